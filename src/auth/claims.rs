//! The claims of a token, read by the names the configuration gives its claims.
//!
//! Issuers agree on `exp`, `nbf`, `iss` and `aud`, and on little else: where the user's id, name and role stand is
//! configured. A claim that is `null` is absent, and claims nobody asks for are not looked at.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Grant, Identity, Rejected, Role};
use crate::clock::Timestamp;
use crate::config::Auth;
use crate::ids::{ConversationId, UserId};
use crate::text::Kept;

/// Beyond this many seconds from 1970 a NumericDate is no date but, most likely, one in milliseconds. It is the year
/// 33658: far beyond "never", which some write as the year 9999, and far below what time can be reckoned with.
const LATEST: f64 = 1e12;

/// The names of the claims that are read, and what their values mean.
pub(super) struct Names {
    user: String,
    name: String,
    role: String,
    admin_values: Vec<String>,
    service_values: Vec<String>,
    profile_types: Vec<String>,
    /// The longest name; what is beyond is left out.
    max_name_chars: usize,
}

/// The claims of a token whose signature held. Values are read when they are asked for.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(HashMap<String, Box<RawValue>>);

#[derive(Deserialize)]
struct Profile {
    #[serde(rename = "type")]
    kind: String,
    id: Value,
}

impl Claims {
    /// The claim of exactly this name; else the dots in the name lead from an object to one within it. `null` is
    /// absent.
    fn get(&self, name: &str) -> Option<Cow<'_, RawValue>> {
        if let Some(value) = self.0.get(name) {
            return Some(Cow::Borrowed(&**value)).filter(|value| value.get() != "null");
        }
        let (outer, rest) = name.split_once('.')?;
        let inner: Self = serde_json::from_str(self.0.get(outer)?.get()).ok()?;
        inner.get(rest).map(|value| Cow::Owned(value.into_owned()))
    }

    /// Reads a claim, if it is there; `must` says what it has to be, after its name.
    fn read<T: for<'de> Deserialize<'de>>(&self, name: &str, must: &str) -> Result<Option<T>, Rejected> {
        let Some(value) = self.get(name) else { return Ok(None) };
        serde_json::from_str(value.get()).map(Some).map_err(|_| Rejected::unfit(name, must))
    }

    /// Reads a NumericDate (RFC 7519, section 2): seconds since 1970, with or without a fraction.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Rejected> {
        let must = "must be a number of seconds since 1970 (not of milliseconds)";
        let Some(seconds) = self.read::<f64>(name, must)? else { return Ok(None) };
        let time = DateTime::from_timestamp_millis((seconds * 1000.0) as i64).filter(|_| seconds.abs() < LATEST);
        time.map(Some).ok_or_else(|| Rejected::unfit(name, must))
    }

    /// From when and until when the token holds.
    pub(super) fn lifetime(&self) -> Result<(Option<Timestamp>, Timestamp), Rejected> {
        Ok((self.time("nbf")?, self.time("exp")?.ok_or_else(|| Rejected::missing("exp"))?))
    }

    /// The bearer. A profile of a kind that is not configured is left out.
    pub(super) fn identity(&self, names: &Names, expires_at: Timestamp) -> Result<Identity, Rejected> {
        let id = self.get(&names.user).ok_or_else(|| Rejected::missing(&names.user))?;
        let user =
            UserId::from_raw(&id).map_err(|why| Rejected::unfit(&names.user, &format!("is no user id: {why}")))?;
        let text = |claim: &str| {
            let text = self.read::<Kept>(claim, "must be a text")?.map(String::from);
            let text = text.filter(|text| !text.trim().is_empty());
            Ok(text.map(|text| text.chars().take(names.max_name_chars).collect()))
        };
        Ok(Identity {
            user,
            name: text(&names.name)?,
            username: text("username")?,
            role: self.role(names),
            profiles: self.profiles(&names.profile_types)?,
            conversations: self.conversations()?,
            expires_at: Some(expires_at),
        })
    }

    /// The bearer's role. Of several the one that may do most counts. A role that is not configured is a plain user's: it
    /// is one of the application's own.
    fn role(&self, names: &Names) -> Role {
        let Some(claim) = self.get(&names.role) else { return Role::User };
        let roles = match serde_json::from_str(claim.get()) {
            Ok(Value::Array(roles)) => roles,
            Ok(role) => vec![role],
            Err(_) => Vec::new(),
        };
        let is = |configured: &[String]| {
            let same = |role: &Value| match role {
                Value::String(role) => configured.contains(role),
                Value::Bool(_) | Value::Number(_) => configured.contains(&role.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            };
            roles.iter().any(same)
        };
        if is(&names.admin_values) {
            Role::Admin
        } else if is(&names.service_values) {
            Role::Service
        } else {
            Role::User
        }
    }

    fn profiles(&self, types: &[String]) -> Result<Vec<(String, String)>, Rejected> {
        let (claim, must) = ("profiles", "must be a list of {\"type\": a text, \"id\": a number or a text}");
        let profiles: Vec<Profile> = self.read(claim, must)?.unwrap_or_default();
        let known = profiles.into_iter().filter(|profile| types.contains(&profile.kind));
        let read = |Profile { kind, id }: Profile| match UserId::from_json(&id) {
            Ok(id) => Ok((kind, id.to_string())),
            Err(why) => Err(Rejected::unfit(claim, &format!("holds an id that is none: {why}"))),
        };
        known.map(read).collect()
    }

    fn conversations(&self) -> Result<Option<Vec<String>>, Rejected> {
        let claim = "conversations";
        let Some(ids) = self.read::<Vec<Value>>(claim, "must be a list of ids")? else { return Ok(None) };
        let read = |id| match ConversationId::from_json(id) {
            Ok(id) => Ok(id.to_string()),
            Err(why) => Err(Rejected::unfit(claim, &format!("holds an id that is none: {why}"))),
        };
        ids.iter().map(read).collect::<Result<_, _>>().map(Some)
    }
}

impl Names {
    pub(super) fn new(auth: &Auth, max_name_chars: usize) -> Self {
        Self {
            max_name_chars,
            user: auth.user_claim.clone(),
            name: auth.name_claim.clone(),
            role: auth.role_claim.clone(),
            admin_values: auth.admin_values.clone(),
            service_values: auth.service_values.clone(),
            profile_types: auth.profile_types.clone(),
        }
    }

    /// Whether a token can say all this; the error is a sentence.
    pub(super) fn allow(&self, grant: &Grant) -> Result<(), String> {
        if let Some((kind, _)) = grant.profiles.iter().find(|(kind, _)| !self.profile_types.contains(kind)) {
            return Err(format!("\"{kind}\" is none of the profile types in auth.profile_types."));
        }
        let unsaid = |setting: &str| format!("No role is configured for that: auth.{setting} is empty.");
        match grant.role {
            Role::Admin if self.admin_values.is_empty() => Err(unsaid("admin_values")),
            Role::Service if self.service_values.is_empty() => Err(unsaid("service_values")),
            Role::User | Role::Admin | Role::Service => Ok(()),
        }
    }

    /// The claims of a token to be, as this service reads them.
    pub(super) fn write(&self, grant: &Grant, iat: i64, exp: i64, iss: Option<&str>, aud: Option<&str>) -> Value {
        let mut claims = Map::new();
        put(&mut claims, &self.user, grant.user.as_str().into());
        let role = match grant.role {
            Role::User => None,
            Role::Admin => self.admin_values.first(),
            Role::Service => self.service_values.first(),
        };
        let texts = [
            (self.name.as_str(), grant.name.as_deref()),
            (self.role.as_str(), role.map(String::as_str)),
            ("iss", iss),
            ("aud", aud),
        ];
        for (claim, text) in texts.into_iter().filter_map(|(claim, text)| Some((claim, text?))) {
            put(&mut claims, claim, text.into());
        }
        if !grant.profiles.is_empty() {
            let profiles = grant.profiles.iter().map(|(kind, id)| json!({ "type": kind, "id": id }));
            claims.insert("profiles".to_owned(), profiles.collect());
        }
        if let Some(conversations) = &grant.conversations {
            claims.insert("conversations".to_owned(), conversations.clone().into());
        }
        claims.insert("iat".to_owned(), iat.into());
        claims.insert("exp".to_owned(), exp.into());
        claims.into()
    }
}

/// Writes a claim where [`Claims::get`] finds it: a name that is an address of its own is one name, and the dots of
/// any other lead into objects.
fn put(claims: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.').filter(|_| !name.contains('/')) {
        None => drop(claims.insert(name.to_owned(), value)),
        Some((outer, rest)) => {
            let inner = claims.entry(outer).or_insert_with(|| Map::new().into());
            match inner.as_object_mut() {
                Some(inner) => put(inner, rest, value),
                // Another claim stands there as a value of its own, so this one goes by its whole name.
                None => drop(claims.insert(name.to_owned(), value)),
            }
        }
    }
}
