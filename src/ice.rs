//! STUN and TURN servers, with credentials that hold for a while: the TURN REST scheme that coturn
//! knows as `use-auth-secret`. The user name is when they end and whose they are; the password is its
//! HMAC-SHA1 under the secret shared with the TURN server.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::clock::{Clock, Timestamp};
use crate::config::{Secret, Settings};
use crate::ids::UserId;

/// The servers clients are told of.
#[derive(Clone)]
pub struct IceServers {
    stun: Vec<String>,
    turn: Vec<String>,
    secret: Option<Secret>,
    ttl: Duration,
    clock: Clock,
}

impl IceServers {
    /// The servers as they are set.
    pub fn new(settings: &Settings, clock: Clock) -> Self {
        let ice = &settings.ice;
        Self {
            stun: ice.stun_urls.clone(),
            turn: ice.turn_urls.clone(),
            secret: ice.turn_secret.clone(),
            ttl: ice.turn_ttl,
            clock,
        }
    }

    /// How long credentials given now hold.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The servers for a user, as `RTCPeerConnection` takes them.
    pub fn of(&self, user: &UserId) -> Value {
        self.at(user, self.clock.now().wall)
    }

    fn at(&self, user: &UserId, now: Timestamp) -> Value {
        let mut servers = Vec::new();
        if !self.stun.is_empty() {
            servers.push(json!({ "urls": self.stun }));
        }
        if let Some(secret) = self.secret.as_ref().filter(|_| !self.turn.is_empty()) {
            let expiry = now.timestamp().saturating_add(i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX));
            let name = format!("{expiry}:{user}");
            if let Some(credential) = credential(secret.expose(), &name) {
                servers.push(json!({ "urls": self.turn, "username": name, "credential": credential }));
            }
        }
        servers.into()
    }
}

/// A key of any length will do for an HMAC, so there always is one.
fn credential(secret: &str, name: &str) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(name.as_bytes());
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_is_what_coturn_computes() {
        // echo -n 1700003600:7 | openssl dgst -sha1 -hmac north -binary | base64
        let settings = Settings::defaults().unwrap();
        let mut servers = IceServers::new(&settings, Clock::new());
        assert_eq!(servers.of(&UserId::parse("7").unwrap()), json!([]));
        servers.stun = vec!["stun:s.example".to_owned()];
        servers.turn = vec!["turn:t.example".to_owned()];
        servers.secret = Some(Secret::new("north"));
        servers.ttl = Duration::from_secs(3600);
        let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let list = servers.at(&UserId::parse("7").unwrap(), now);
        assert_eq!(list[0], json!({ "urls": ["stun:s.example"] }));
        assert_eq!(list[1]["username"], "1700003600:7");
        assert_eq!(list[1]["credential"], "3SXD73xvzbKOJb8QpzBT3wJ3nzU=");
    }
}
