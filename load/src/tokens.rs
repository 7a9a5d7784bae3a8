//! Tokens for the users of a run, signed as an application would.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::Outcome;

/// What the service is told to trust.
pub const SECRET: &str = "a secret for measuring, of no use elsewhere";

/// A token for each of the users 1 to `users`, in this order.
pub fn mint(users: usize) -> Outcome<Vec<String>> {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 3600;
    let (header, key) = (Header::new(Algorithm::HS256), EncodingKey::from_secret(SECRET.as_bytes()));
    (1..=users)
        .map(|user| {
            let claims = serde_json::json!({ "sub": user.to_string(), "exp": expires });
            Ok(jsonwebtoken::encode(&header, &claims, &key)?)
        })
        .collect()
}
