//! Where a request's token stands, and whether a page's browser may have sent it by itself.
//!
//! A browser adds cookies to requests that any page on the web makes it send; everything else that carries a token
//! is put there by a page that has it. So a request with nothing but the cookie, which has an effect, must name the page
//! it comes from, and that must be one of ours or listed as it stands.

use std::borrow::Cow;

use actix_web::http::Method;
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, web};

use super::origins::Origins;
use crate::auth::Authenticator;
use crate::signal::Refusal;

/// Marks a resource, as its app data, whose requests all have an effect, whatever their method.
#[derive(Clone, Copy)]
pub struct HasEffect;

/// Marks a request, among its extensions, that reads with nothing but the cookie, and whose page may be anybody's. It
/// is answered, as no page sees the answer that may not. Beyond that it must not count as its user's doing.
pub struct Unvouched;

/// A token, and whether only the cookie brought it.
pub struct Credential<'a> {
    /// The token.
    pub token: Cow<'a, str>,
    by_cookie: bool,
}

impl<'a> Credential<'a> {
    fn shown(token: impl Into<Cow<'a, str>>) -> Self {
        Self { token: token.into(), by_cookie: false }
    }

    /// The token of a request: `Authorization: Bearer`, which counts alone where it is there.
    pub fn shown_in(request: &'a HttpRequest) -> Option<Self> {
        bearer(request).map(Self::shown)
    }

    /// The token in the configured cookie.
    pub fn in_cookie(request: &'a HttpRequest, auth: &Authenticator) -> Option<Self> {
        let token = cookie(request, auth.cookie.as_deref()?).filter(|token| !token.is_empty())?;
        Some(Self { token: token.into(), by_cookie: true })
    }

    /// The token of a request for a socket. The first place that has one counts.
    pub fn of_socket(request: &'a HttpRequest, auth: &Authenticator) -> Option<Self> {
        Self::shown_in(request)
            .or_else(|| subprotocols(request).find_map(|p| p.strip_prefix("bearer.")).map(Self::shown))
            .or_else(|| query(request, "token").map(Self::shown))
            .filter(|credential| !credential.token.is_empty())
            .or_else(|| Self::in_cookie(request, auth))
    }

    /// Whether the request may count as its bearer's own doing.
    pub fn vouched(&self, request: &HttpRequest) -> Result<(), Refusal> {
        // Without the list of origins nobody is vouched for: only an app that forgot it has none.
        let vouches =
            || request.app_data::<web::Data<Origins>>().is_some_and(|origins| origins.vouches(request.head()));
        if !self.by_cookie || vouches() {
            return Ok(());
        }
        if has_effect(request) {
            return Err(Refusal::OriginRequired);
        }
        request.extensions_mut().insert(Unvouched);
        Ok(())
    }
}

/// Whether a request does more than read.
fn has_effect(request: &HttpRequest) -> bool {
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    !reads || request.headers().contains_key(header::UPGRADE) || request.app_data::<HasEffect>().is_some()
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let credentials = std::str::from_utf8(request.headers().get(header::AUTHORIZATION)?.as_bytes()).ok()?;
    let (scheme, token) = credentials.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A parameter of the query string.
pub fn query(request: &HttpRequest, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?.into_inner();
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The subprotocols a socket's client offers.
pub fn subprotocols(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offers.filter_map(|offer| offer.to_str().ok()).flat_map(|offer| offer.split(',')).map(str::trim)
}

fn cookie<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let cookies = request.headers().get_all(header::COOKIE).filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
}
