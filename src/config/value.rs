//! The kinds of value settings are made of, beyond what serde brings: secrets that do not show
//! themselves, texts that may be empty, and lists that the environment writes with commas.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
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

/// A list of networks, written as [`list`] reads it: `10.0.0.0/8`, or an address, which is a network of one.
pub fn nets<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    list(from)?.iter().map(|text| net(text).map_err(serde::de::Error::custom)).collect()
}

/// Reads a network; the error is a sentence. A network of IPv4-mapped addresses becomes one of IPv4.
fn net(text: &str) -> Result<IpNet, String> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network: IpNet = network.map_err(|_| {
        format!("\"{text}\" is not a network: write it as 10.0.0.0/8 or fd00::/8, or as one address, 192.168.1.7")
    })?;
    let mapped = match network {
        IpNet::V4(_) => None,
        IpNet::V6(v6) => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96))
            .and_then(|(address, length)| Ipv4Net::new(address, length).ok()),
    };
    Ok(mapped.map_or(network, IpNet::V4).trunc())
}

/// A database address, whose password is not shown.
pub fn hide_password<S: Serializer>(url: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&without_password(url))
}

/// As [`hide_password`], for an address that may not be set.
pub fn hide_password_if_any<S: Serializer>(url: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    hide_password(url.as_deref().unwrap_or_default(), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_and_without_a_length() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.168.1.7", "192.168.1.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.7", "10.0.0.7/32"),
        ] {
            assert_eq!(net(text).unwrap().to_string(), read);
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "example.org", "*", "10.0.0.0-10.0.0.9", "127.1"] {
            assert!(net(wrong).unwrap_err().starts_with(&format!("\"{wrong}\" is not a network: ")), "{wrong}");
        }
    }
}
