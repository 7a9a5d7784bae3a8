//! `/api/about`: what this service is, for pages that are to find out by themselves how to sign in.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Edge;
use crate::clock::{Clock, Now};
use crate::config::{AuthMode, Settings};

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this process is.
#[derive(Debug, Clone)]
pub struct About {
    /// Its name among its peers.
    pub node: String,
    /// Its version.
    pub version: &'static str,
    /// How users are known.
    pub auth: AuthMode,
    /// Whether any user may list everybody there is.
    pub directory: bool,
    /// When it started.
    pub started: Now,
}

impl About {
    /// A process that starts now with these settings.
    pub fn new(settings: &Settings, clock: Clock) -> Self {
        Self {
            node: settings.node.id.clone(),
            version: VERSION,
            auth: settings.auth.mode,
            directory: settings.directory_is_open(),
            started: clock.now(),
        }
    }
}

/// `GET /api/about`: for anybody.
pub async fn about(edge: web::Data<Edge>) -> HttpResponse {
    let About { version, auth, directory, .. } = &edge.about;
    let auth = match auth {
        AuthMode::Dev => "dev",
        AuthMode::Jwt => "jwt",
    };
    HttpResponse::Ok().json(json!({
        "success": true,
        "name": "switchboard",
        "version": version,
        "auth": auth,
        "directory": directory,
    }))
}
