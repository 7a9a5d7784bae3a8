//! The kinds of value settings are made of, beyond what serde brings: secrets that do not show
//! themselves, texts that may be empty, and lists that the environment writes with commas.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in place of a secret wherever settings are shown.
pub const REDACTED: &str = "<redacted>";

/// A text that is never printed, whoever prints the settings it is in.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// An address without its password, for logs and for showing the settings.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    // The last @ ends the credentials, as a password may hold one; one with a / in it must be
    // percent-encoded anyway or the address does not work.
    let shown = match rest[..authority_end].rfind('@') {
        None => rest.to_owned(),
        Some(at) => {
            let user = rest[..at].split(':').next().unwrap_or_default();
            let password = if rest[..at].contains(':') { ":***" } else { "" };
            format!("{user}{password}{}", &rest[at..])
        }
    };
    // PostgreSQL addresses may carry the password as a parameter too.
    let (base, query) = match shown.split_once('?') {
        None => return format!("{scheme}://{shown}"),
        Some(parts) => parts,
    };
    let query: Vec<&str> =
        query.split('&').map(|pair| if pair.starts_with("password=") { "password=***" } else { pair }).collect();
    format!("{scheme}://{base}?{}", query.join("&"))
}

/// A text setting where the empty text means that it is not set, as TOML has no null.
pub mod maybe {
    use super::*;

    /// Reads a text; empty is `None`.
    pub fn deserialize<'de, D: Deserializer<'de>, T: From<String>>(from: D) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }

    /// Writes the value; `None` is empty.
    pub fn serialize<S: Serializer, T: Serialize>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(to),
            None => to.serialize_str(""),
        }
    }
}

/// A list of texts, which the environment writes as one text with commas.
pub fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Many(Vec<String>),
        One(String),
    }
    Ok(match Written::deserialize(from)? {
        Written::Many(list) => list,
        Written::One(text) => text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect(),
    })
}

/// A database address, whose password is not shown.
pub fn hide_password<S: Serializer>(url: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&without_password(url))
}

/// As [`hide_password`], for an address that may not be set.
pub fn hide_password_if_any<S: Serializer>(url: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    hide_password(url.as_deref().unwrap_or_default(), to)
}
