//! What a token says, as it stands in the token. Ids are numbers or strings there, as everywhere.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Grant, Identity, Role};
use crate::clock::Timestamp;
use crate::ids::{ConversationId, UserId};

/// The claims read. Others are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    sub: Value,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    profiles: Vec<Profile>,
    #[serde(default)]
    conversations: Option<Vec<Value>>,
    pub(super) exp: Seconds,
    #[serde(default)]
    pub(super) nbf: Option<Seconds>,
}

/// A NumericDate: seconds since 1970, with or without a fraction.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Seconds(f64);

impl Seconds {
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        // Far below what a DateTime holds, so that adding a leeway cannot overflow.
        (self.0.abs() < 1e11).then(|| DateTime::from_timestamp_millis((self.0 * 1000.0) as i64)).flatten()
    }
}

#[derive(Debug, Deserialize)]
struct Profile {
    #[serde(rename = "type")]
    kind: String,
    id: Value,
}

impl Claims {
    /// Who this is; `None` when a claim is not what it must be. A role nobody knows is refused rather
    /// than read as `user`: its issuer meant something. A profile of a kind not configured is dropped.
    pub(super) fn identity(self, expires_at: Timestamp, profile_types: &[String]) -> Option<Identity> {
        let profiles = self.profiles.into_iter().filter(|profile| profile_types.contains(&profile.kind));
        Some(Identity {
            user: UserId::from_json(&self.sub).ok()?,
            name: self.name.filter(|name| !name.trim().is_empty()),
            role: self.role.map_or(Some(Role::User), |role| Role::parse(&role))?,
            profiles: profiles
                .map(|profile| Some((profile.kind, UserId::from_json(&profile.id).ok()?.to_string())))
                .collect::<Option<_>>()?,
            conversations: match self.conversations {
                None => None,
                Some(ids) => Some(
                    ids.iter()
                        .map(|id| Some(ConversationId::from_json(id).ok()?.to_string()))
                        .collect::<Option<_>>()?,
                ),
            },
            expires_at: Some(expires_at),
        })
    }
}

/// The claims of a token to be.
pub(super) fn write(grant: &Grant, iat: i64, exp: i64, iss: Option<&str>, aud: Option<&str>) -> Value {
    let mut claims = json!({ "sub": grant.user.as_str(), "role": grant.role.as_str(), "iat": iat, "exp": exp });
    if !grant.profiles.is_empty() {
        let profiles: Vec<Value> = grant.profiles.iter().map(|(kind, id)| json!({ "type": kind, "id": id })).collect();
        claims["profiles"] = profiles.into();
    }
    let texts = [("name", grant.name.as_deref()), ("iss", iss), ("aud", aud)];
    for (claim, text) in texts.into_iter().filter_map(|(claim, text)| Some((claim, text?))) {
        claims[claim] = text.into();
    }
    if let Some(conversations) = &grant.conversations {
        claims["conversations"] = conversations.clone().into();
    }
    claims
}
