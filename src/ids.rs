//! The names things go by: users, devices, sessions, calls, conversations.
//!
//! Identifiers are opaque to the service. They are checked once, where they enter, and are cheap to
//! clone afterwards. What a JSON number or string means on the wire is decided here and nowhere else.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The largest integer a JSON number carries without loss in every client (2^53 − 1).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The longest user, device or conversation name accepted, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// What names the devices of the channels dialect.
const CHANNELS: &str = "channels";

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ -, or a non-negative integer up to 2^53-1")]
pub struct InvalidId {
    what: &'static str,
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_CHARS
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b))
}

/// A JSON number or string as the text of an identifier; `None` for anything else.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().filter(|n| *n <= MAX_SAFE_INTEGER).map(|n| n.to_string()),
        _ => None,
    }
}

/// The integer `text` is, where it is how JSON would print one that every client reads without loss.
fn canonical_integer(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok().filter(|n| *n <= MAX_SAFE_INTEGER) } else { None }
}

/// The text a JSON string stands for, where it holds no escapes and so stands there as it is.
pub fn unescaped(json: &RawValue) -> Option<&str> {
    json.get().strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name as it stands in a path, a token or a header.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(InvalidId { what: $what }) }
            }

            /// Reads a name from a message, where it may be a JSON number or a string.
            pub fn from_json(value: &Value) -> Result<Self, InvalidId> {
                text_of(value).ok_or(InvalidId { what: $what }).and_then(|text| Self::parse(&text))
            }

            /// The same, where the JSON was not read yet.
            pub fn from_raw(json: &RawValue) -> Result<Self, InvalidId> {
                let number = || canonical_integer(json.get()).map(|_| json.get());
                match unescaped(json).or_else(number) {
                    Some(text) => Self::parse(text),
                    None => Self::from_json(&serde_json::from_str(json.get()).unwrap_or_default()),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as the number-speaking dialects write it: a JSON number where it is a
            /// canonical integer up to 2^53−1, else a string.
            pub fn to_json(&self) -> Value {
                canonical_integer(&self.0).map_or_else(|| Value::from(&*self.0), Value::from)
            }

            /// Whether that is a number, which then looks as the name does.
            pub fn is_number(&self) -> bool {
                canonical_integer(&self.0).is_some()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// Who someone is: opaque, 1–64 characters of `[A-Za-z0-9._:@-]`.
    UserId,
    "a user id"
);
name_type!(
    /// The conversation a call belongs to in the embedding application.
    ConversationId,
    "a conversation id"
);

/// One device of a user: a browser tab, a phone, or `http` for everything a user does by REST.
///
/// A device whose client chose no id gets a generated one. Such a client cannot present the same id
/// again, so a generated device that comes back takes the place of a generated one that is gone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceId {
    name: Arc<str>,
    generated: bool,
}

impl DeviceId {
    /// The device that stands for all of a user's REST requests.
    pub fn http() -> Self {
        Self { name: "http".into(), generated: false }
    }

    /// The device that stands for a user's page of the channels dialect, with all its sockets. One whose
    /// page chose an id is told from those that chose none.
    pub fn channels(chosen: Option<&Self>) -> Self {
        match chosen {
            None => Self { name: CHANNELS.into(), generated: false },
            Some(chosen) => Self { name: format!("{CHANNELS}:{chosen}").into(), generated: false },
        }
    }

    /// Whether it is one of those.
    pub fn is_channels(&self) -> bool {
        self.name.strip_prefix(CHANNELS).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// A device id as its client chose it. `http`, `channels` and what starts with `channels:` are taken.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let chosen = Self { name: text.into(), generated: false };
        if is_name(text) && text != "http" && !chosen.is_channels() {
            Ok(chosen)
        } else {
            Err(InvalidId { what: "a device id (and \"http\" and \"channels\" are taken)" })
        }
    }

    /// An id for a client that chose none.
    pub fn generate() -> Self {
        Self { name: uuid::Uuid::new_v4().simple().to_string().into(), generated: true }
    }

    /// Whether the service made this id up, so that its client cannot present it again.
    pub fn is_generated(&self) -> bool {
        self.generated
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One live socket. Never reused within a process, so a late message about a replaced socket cannot
/// hit its successor; and not soon by another process, so that a name read before a restart names nobody after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// The next id of this process.
    pub fn next() -> Self {
        static NEXT: LazyLock<AtomicU64> =
            LazyLock::new(|| AtomicU64::new(u64::from(uuid::Uuid::new_v4().as_fields().0) << 20));
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Reads an id from a path.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let number = text.strip_prefix('s').filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        number.and_then(|rest| rest.parse().ok()).map(Self).ok_or(InvalidId { what: "a session id" })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// One call, its log and its history row: an integer from 1 to 2^53−1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId(i64);

impl CallId {
    /// The call with this number, if it is one.
    pub fn new(number: i64) -> Option<Self> {
        (1..=MAX_SAFE_INTEGER as i64).contains(&number).then_some(Self(number))
    }

    /// Reads an id from a path.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        text.parse().ok().and_then(Self::new).ok_or(InvalidId { what: "a call id" })
    }

    /// Reads an id from a message, where it may be a JSON number or a string.
    pub fn from_json(value: &Value) -> Result<Self, InvalidId> {
        match value {
            Value::String(text) => Self::parse(text),
            number => number.as_i64().and_then(Self::new).ok_or(InvalidId { what: "a call id" }),
        }
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_user_id_may_be_a_number_or_a_string_and_is_written_as_a_number_when_it_is_one() {
        assert_eq!(UserId::from_json(&json!(7)).unwrap(), UserId::from_json(&json!("7")).unwrap());
        assert_eq!(UserId::parse("7").unwrap().to_json(), json!(7));
        assert_eq!(UserId::parse("007").unwrap().to_json(), json!("007"));
        assert_eq!(UserId::parse("9007199254740993").unwrap().to_json(), json!("9007199254740993"));
        assert_eq!(UserId::parse("0").unwrap().to_json(), json!(0));
        assert_eq!(UserId::parse("18446744073709551616").unwrap().to_json(), json!("18446744073709551616"));
        assert_eq!(UserId::parse("tutor_1").unwrap().to_json(), json!("tutor_1"));
    }

    #[test]
    fn an_id_is_read_alike_from_json_that_was_read_and_that_was_not() {
        for json in [
            "7",
            "0",
            "-1",
            "-0",
            "1.5",
            "1e2",
            "9007199254740991",
            "9007199254740992",
            "18446744073709551616",
            r#""7""#,
            r#""007""#,
            r#""tutor_1""#,
            r#""\u0037""#,
            r#""a\"b""#,
            r#""\ud800""#,
            "\"\"",
            r#"" ""#,
            r#""ü""#,
            "null",
            "true",
            "[7]",
            "{}",
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let read =
                serde_json::from_str(json).map_err(|_| ()).and_then(|value| UserId::from_json(&value).map_err(|_| ()));
            assert_eq!(UserId::from_raw(raw).map_err(|_| ()), read, "{json}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in
            [json!(""), json!(-1), json!(1.5), json!(null), json!([7]), json!("a b"), json!("ü"), json!("x".repeat(65))]
        {
            assert!(UserId::from_json(&bad).is_err(), "{bad}");
        }
        for bad in [json!(0), json!(-3), json!("x"), json!(9007199254740992u64)] {
            assert!(CallId::from_json(&bad).is_err(), "{bad}");
        }
        for taken in ["http", "channels", "channels:tab"] {
            assert!(DeviceId::parse(taken).is_err(), "{taken}");
        }
        assert!(!DeviceId::parse("channels2").unwrap().is_channels());
        for bad in ["", "s", "7", "s-1", "s+1", "s1.5", "s99999999999999999999", "x7"] {
            assert!(SessionId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_session_is_known_by_what_it_is_told_as() {
        let (one, two) = (SessionId::next(), SessionId::next());
        assert_eq!(SessionId::parse(&one.to_string()).unwrap(), one);
        assert_ne!(one, two);
    }
}
