//! For those who run the service: is it up, may it take traffic.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Edge;
use crate::router::messages::Measure;

/// `GET /healthz`: the process is up.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "success": true, "status": "up" }))
}

/// `GET /readyz`: may take traffic. Says which part is away where it may not.
pub async fn readyz(edge: web::Data<Edge>) -> HttpResponse {
    // A round trip through the router: a router that does not turn takes no calls.
    let load = tokio::time::timeout(Duration::from_secs(1), edge.router.send(Measure)).await;
    let load = load.ok().and_then(Result::ok);
    let database = edge.writer.healthy() && edge.store.ping().await.is_ok();
    let draining = load.is_some_and(|load| load.draining);
    let ready = load.is_some() && database && !draining;
    let word = |up: bool| if up { "up" } else { "away" };
    let body = json!({
        "success": ready,
        "status": if ready { "ready" } else if draining { "draining" } else { "not ready" },
        "router": word(load.is_some()),
        "database": word(database),
        "live_calls": load.map(|load| load.live_calls),
    });
    if ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}
