//! `/api/ice-servers`: what a client's `RTCPeerConnection` is made with.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Edge;
use super::auth::Caller;

/// `GET /api/ice-servers`: STUN and TURN, with credentials of the caller's own that hold for a while.
pub async fn servers(Caller(identity): Caller, edge: web::Data<Edge>) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({
        "success": true,
        "ice_servers": edge.ice.of(&identity.user),
        "ttl_seconds": edge.ice.ttl().as_secs(),
    }))
}
