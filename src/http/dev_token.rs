//! `POST /api/dev/token`: tokens for anybody, in dev mode.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::authenticator;
use super::body::Body;
use crate::auth::{Grant, Role};
use crate::ids::{InvalidId, UserId};
use crate::signal::Refusal;
use crate::text::Kept;

/// What `POST /api/dev/token` is asked for.
#[derive(Debug, Deserialize)]
pub struct TokenRequest {
    user: Value,
    name: Option<Kept>,
    role: Option<String>,
    #[serde(default)]
    profiles: Vec<ProfileRequest>,
    conversations: Option<Vec<Value>>,
    ttl: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ProfileRequest {
    #[serde(rename = "type")]
    kind: String,
    id: Value,
}

/// How long a token holds when nobody says.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// `POST /api/dev/token`: mints a token for anybody. In jwt mode there is no such path.
pub async fn dev_token(request: HttpRequest, Body(wanted): Body<TokenRequest>) -> Result<HttpResponse, Refusal> {
    let auth = authenticator(&request)?;
    if !auth.is_dev() {
        return Err(Refusal::NotFound("path"));
    }
    let invalid = |error: InvalidId| Refusal::Invalid(error.to_string());
    let text = |id: &Value| UserId::from_json(id).map(|id| id.to_string()).map_err(invalid);
    let grant = Grant {
        user: UserId::from_json(&wanted.user).map_err(invalid)?,
        name: wanted.name.map(String::from),
        role: wanted
            .role
            .map_or(Some(Role::User), |role| Role::parse(&role))
            .ok_or_else(|| Refusal::Invalid("role is user, admin or service".to_owned()))?,
        profiles: wanted.profiles.into_iter().map(|p| Ok((p.kind, text(&p.id)?))).collect::<Result<_, Refusal>>()?,
        conversations: wanted.conversations.map(|ids| ids.iter().map(text).collect()).transpose()?,
        ttl: match &wanted.ttl {
            None => DEFAULT_TTL,
            Some(ttl) => crate::config::duration(ttl)
                .ok_or_else(|| Refusal::Invalid("ttl is a duration such as 1h".to_owned()))?,
        },
    };
    let token = auth.mint(&grant).map_err(Refusal::Invalid)?;
    Ok(HttpResponse::Ok().json(json!({ "success": true, "token": token, "expires_in": grant.ttl.as_secs() })))
}
