//! `/api/me`: who the caller is here, for pages that hold a token and cannot know which of its claims is read.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::{Value, json};

use super::auth::Caller;
use crate::ids::UserId;

/// `GET /api/me`: the caller's id, name, role and profiles, and when their token expires (null where there is none).
pub async fn me(Caller(identity): Caller) -> HttpResponse {
    // A profile's id as the dialects write ids: a number where it is one.
    let profile = |(kind, id): &(String, String)| {
        let id = UserId::parse(id).map_or_else(|_| Value::from(id.as_str()), |id| id.to_json());
        json!({ "type": kind, "id": id })
    };
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "success": true,
        "user_id": identity.user.to_json(),
        "name": identity.name,
        "role": identity.role.as_str(),
        "profiles": identity.profiles.iter().map(profile).collect::<Vec<_>>(),
        "expires_at": identity.expires_at,
    }))
}
