//! Which pages a request may come from: the rules of `Host`, `Origin` and `Sec-Fetch-Site`. No state and no app.
//!
//! A page's script can make a browser send anything anywhere except these headers. In dev mode anybody is believed, so
//! only loopback names and pages pass; in jwt mode our own pages and the listed ones do. A request without `Origin` is
//! no page's doing, and passes.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderName};

use crate::config::{AllowedOrigin, AuthMode, Origin, Settings, host_and_port};

/// Where a request of a page comes from, as the browser sees it (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The most bytes of a header's value that a refusal repeats.
const MAX_SHOWN: usize = 200;

/// Which hosts and origins pass.
#[derive(Debug, Clone)]
pub struct Origins {
    dev: bool,
    allowed: Vec<AllowedOrigin>,
}

impl Origins {
    /// As configured. The error is a sentence.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let entries = settings.server.allowed_origins.iter();
        let allowed = entries.map(|entry| AllowedOrigin::parse(entry).map_err(|why| format!("\"{entry}\" is {why}")));
        Ok(Self { dev: settings.auth.mode == AuthMode::Dev, allowed: allowed.collect::<Result<_, _>>()? })
    }

    /// Whether the request may come in; if not, a sentence that names what was compared.
    pub fn check(&self, head: &RequestHead) -> Result<(), String> {
        if self.dev {
            if let Some(header) = head.headers().keys().find(|name| is_a_proxys(name)) {
                return Err(format!(
                    "in dev mode anybody is believed, and this request came through a proxy (it has {header}), which lets \
                     other machines in; set auth.mode to jwt (SWITCHBOARD__AUTH__MODE=jwt) and server.trusted_proxies \
                     to the proxy's address"
                ));
            }
            let mut hosts = hosts_of(head).peekable();
            let named = hosts.peek().is_some();
            if let Some(host) = hosts.find(|host| !is_loopback(host)) {
                return Err(format!(
                    "in dev mode the service answers to loopback names only, such as localhost; this request's Host \
                     is {}",
                    shown(host)
                ));
            }
            if !named {
                return Err("in dev mode the service answers to loopback names only; this request names no Host".into());
            }
        }
        for origin in head.headers().get_all(header::ORIGIN) {
            if !self.allows(origin.as_bytes(), head) {
                return Err(why_not(origin.as_bytes(), head));
            }
        }
        Ok(())
    }

    /// Whether pages of `origin`, the value of the header, may come in to the hosts a request names.
    pub fn allows(&self, origin: &[u8], head: &RequestHead) -> bool {
        let Some(origin) = read(origin) else { return false };
        self.allowed.iter().any(|allowed| allowed.admits(&origin))
            || if self.dev { is_web(&origin) && is_loopback(origin.host) } else { is_own(&origin, head) }
    }

    /// Whether `origin` is listed itself, and not by a pattern: only such pages are told that they may use cookies.
    pub fn lists(&self, origin: &[u8]) -> bool {
        read(origin).is_some_and(|origin| self.allowed.iter().any(|one| one.is_exact() && one.admits(&origin)))
    }

    /// Whether a request that a cookie alone stands for was meant by a page we trust with that: its `Origin` is our own,
    /// in dev mode as well to the port, or is listed exactly; or it has none and the browser says that it came from our
    /// own origin. Patterns do not count: somebody may get a name below a domain who should not act for its users.
    pub fn vouches(&self, head: &RequestHead) -> bool {
        let mut origins = head.headers().get_all(header::ORIGIN).peekable();
        if origins.peek().is_none() {
            let mut sites = head.headers().get_all(&SEC_FETCH_SITE).peekable();
            return sites.peek().is_some() && sites.all(|site| site == "same-origin");
        }
        origins.all(|origin| {
            let own = read(origin.as_bytes()).is_some_and(|origin| is_web(&origin) && is_own(&origin, head));
            own || self.lists(origin.as_bytes())
        })
    }
}

fn read(origin: &[u8]) -> Option<Origin<'_>> {
    Origin::read(std::str::from_utf8(origin).ok()?)
}

/// Whether pages of this origin can be ours: the service is reached by http or https.
fn is_web(origin: &Origin<'_>) -> bool {
    ["http", "https"].iter().any(|scheme| origin.scheme.eq_ignore_ascii_case(scheme))
}

/// Whether a request came to where its page is from.
fn is_own(origin: &Origin<'_>, head: &RequestHead) -> bool {
    let mut hosts = hosts_of(head).peekable();
    is_web(origin) && hosts.peek().is_some() && hosts.all(|host| origin.is_at(host))
}

/// A request may name its host twice, in the request line and in the header; both count, as we cannot know which one
/// the browser's rules were applied to. One that is no text is the empty text, which fits nothing.
fn hosts_of(head: &RequestHead) -> impl Iterator<Item = &str> {
    let named = head.headers().get_all(header::HOST).map(|host| host.to_str().unwrap_or_default());
    named.chain(head.uri.authority().map(|authority| authority.as_str()))
}

/// Whether `authority`, a host with or without port, is one only this machine can mean.
fn is_loopback(authority: &str) -> bool {
    let Some((host, _)) = host_and_port(authority) else { return false };
    let address = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(host);
    // A name ending in localhost may be anybody's in a hosts file; only the name itself is sure.
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether only proxies send this header.
fn is_a_proxys(name: &HeaderName) -> bool {
    ["forwarded", "via", "x-real-ip"].contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-")
}

/// Why pages of an origin do not come in, with the two values that were compared.
fn why_not(origin: &[u8], head: &RequestHead) -> String {
    let refused = format!("the page's origin {} is not in server.allowed_origins", shown(origin));
    let read = read(origin);
    let Some(host) = hosts_of(head).find(|host| !read.as_ref().is_some_and(|origin| origin.is_at(host))) else {
        return format!("{refused}, and this request names no Host it could be");
    };
    let same_name = |origin: &Origin<'_>| {
        host_and_port(host).is_some_and(|(name, port)| name.eq_ignore_ascii_case(origin.host) && port.is_none())
    };
    let hint = match read.as_ref().is_some_and(same_name) {
        true => "; a proxy must pass on Host with its port",
        false => "",
    };
    format!("{refused} and is not this request's Host {}{hint}", shown(host))
}

/// A header's value as it may stand in a sentence: quoted, plain and short.
fn shown(value: impl AsRef<[u8]>) -> String {
    let value = value.as_ref();
    let end = if value.len() > MAX_SHOWN { "…" } else { "" };
    format!("\"{}{end}\"", value[..value.len().min(MAX_SHOWN)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn origins(mode: AuthMode, allowed: &[&str]) -> Origins {
        let mut settings = Settings::defaults().unwrap();
        settings.auth.mode = mode;
        settings.server.allowed_origins = allowed.iter().map(|&origin| origin.to_owned()).collect();
        Origins::new(&settings).unwrap()
    }

    fn head(headers: &[(&'static str, &str)]) -> RequestHead {
        let mut request = TestRequest::get();
        for header in headers {
            request = request.append_header(*header);
        }
        let (mut head, _) = request.to_request().into_parts();
        std::mem::take(&mut *head)
    }

    #[test]
    fn a_request_without_origin_passes_and_one_with_several_only_if_all_may() {
        let origins = origins(AuthMode::Jwt, &["https://app.example"]);
        let host = ("host", "calls.example");
        assert_eq!(origins.check(&head(&[host])), Ok(()));
        assert_eq!(origins.check(&head(&[])), Ok(()));
        let good = ("origin", "https://app.example");
        assert_eq!(origins.check(&head(&[host, good])), Ok(()));
        assert!(origins.check(&head(&[host, good, ("origin", "https://evil.example")])).is_err());
        // Two hosts that differ: the page can be that of one of them only.
        let own = ("origin", "https://calls.example");
        assert_eq!(origins.check(&head(&[host, own])), Ok(()));
        assert!(origins.check(&head(&[host, ("host", "other.example"), own])).is_err());
    }

    #[test]
    fn in_dev_mode_only_what_is_loopback_passes() {
        let origins = origins(AuthMode::Dev, &[]);
        for host in ["localhost", "LocalHost:1", "127.0.0.1:8080", "127.5.5.5", "[::1]", "[::1]:80"] {
            assert_eq!(origins.check(&head(&[("host", host)])), Ok(()), "{host}");
            let origin = format!("http://{host}");
            assert_eq!(origins.check(&head(&[("host", "localhost"), ("origin", &origin)])), Ok(()), "{host}");
        }
        for host in ["", "a.localhost", "localhost.", "192.0.2.1", "[::2]", "127.0.0.1.evil.example", "[::1]x", "::1"] {
            assert!(origins.check(&head(&[("host", host)])).is_err(), "{host}");
            let origin = format!("http://{host}");
            assert!(origins.check(&head(&[("host", "localhost"), ("origin", &origin)])).is_err(), "{host}");
        }
        assert!(origins.check(&head(&[("host", "localhost"), ("origin", "capacitor://localhost")])).is_err());
        assert!(origins.check(&head(&[])).is_err());
        // A proxy lets in whom it likes, and names a host that it likes.
        for header in ["forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-x"] {
            assert!(origins.check(&head(&[("host", "localhost"), (header, "")])).is_err(), "{header}");
        }
    }

    #[test]
    fn a_cookie_is_vouched_for_by_our_own_pages_and_exactly_listed_ones() {
        for mode in [AuthMode::Jwt, AuthMode::Dev] {
            let origins = origins(mode, &["https://app.example", "https://*.example.com", "capacitor://localhost"]);
            let with = |more: &[(&'static str, &str)]| {
                origins.vouches(&head(&[[("host", "localhost:8080")].as_slice(), more].concat()))
            };
            for origin in ["http://localhost:8080", "https://app.example", "capacitor://localhost"] {
                assert!(with(&[("origin", origin)]), "{mode:?} {origin}");
            }
            for origin in [
                "http://localhost",
                "http://localhost:8081",
                "http://127.0.0.1:8080",
                "https://a.example.com",
                "app://localhost:8080",
                "https://evil.example",
                "null",
                "",
            ] {
                // What the browser says of the site does not make up for it.
                assert!(!with(&[("origin", origin)]), "{mode:?} {origin}");
                assert!(!with(&[("origin", origin), ("sec-fetch-site", "same-origin")]), "{mode:?} {origin}");
            }
            assert!(!with(&[("origin", "https://app.example"), ("origin", "https://evil.example")]));
            assert!(with(&[("sec-fetch-site", "same-origin")]));
            for site in ["same-site", "cross-site", "none", ""] {
                assert!(!with(&[("sec-fetch-site", site)]), "{mode:?} {site}");
                assert!(!with(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", site)]), "{mode:?} {site}");
            }
            assert!(!with(&[]));
        }
    }
}
