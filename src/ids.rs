//! The names things go by: users, devices, sessions, calls, conversations.
//!
//! Identifiers are opaque to the service. They are checked once, where they enter, and are cheap to
//! clone afterwards. What a JSON number or string means on the wire is decided here and nowhere else.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The largest integer a JSON number carries without loss in every client (2^53 − 1).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The longest id of a user, a conversation or a profile, in characters.
pub const MAX_ID_CHARS: usize = 128;

/// The same in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 256;

/// The longest id of a device, in characters.
const MAX_DEVICE_CHARS: usize = 64;

/// Beginnings of user ids that are kept for addresses of the service's own: guests and lines.
const KEPT_PREFIXES: [&str; 2] = ["guest:", "line:"];

/// What names the devices of the channels dialect.
const CHANNELS: &str = "channels";

/// Why a text is not an identifier: the rule it breaks, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// No id of a user, a conversation or a profile.
    #[error(
        "{0} must be 1 to 128 characters (at most 256 bytes) without blanks and control or format characters, and \
         neither \".\" nor \"..\"; as a JSON number, an integer from 0 to 2^53-1"
    )]
    Name(&'static str),
    /// A user id whose beginning is kept for the service's own addresses.
    #[error("a user id must not begin with \"guest:\" or \"line:\": those are reserved")]
    Kept,
    /// No id of a device.
    #[error(
        "a device id must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ -, and neither \"http\" nor \"channels\", \
         which are taken"
    )]
    Device,
    /// No number of a call.
    #[error("a call id must be an integer from 1 to 2^53-1")]
    Call,
    /// No id of a session.
    #[error("a session id is the letter s and a number")]
    Session,
}

/// Whether a text can be the id of a user, a conversation or a profile. Such ids are the embedding application's
/// own, so nothing is asked of them but that they can be seen whole: no character of Unicode's categories C (control,
/// format, surrogate, private use, unassigned) or Z (separators). `.` and `..` are steps of a path.
fn is_name(text: &str) -> bool {
    let visible = |letter: char| {
        letter.is_ascii_graphic()
            || (!letter.is_ascii()
                && !matches!(
                    letter.general_category_group(),
                    GeneralCategoryGroup::Other | GeneralCategoryGroup::Separator
                ))
    };
    !text.is_empty()
        && text.len() <= MAX_ID_BYTES
        && !matches!(text, "." | "..")
        && text.chars().all(visible)
        && (text.len() <= MAX_ID_CHARS || text.chars().count() <= MAX_ID_CHARS)
}

/// Whether a text can be a name that only this service and its clients make up: a device's, a node's.
pub fn is_plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_DEVICE_CHARS
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b))
}

/// Reads an id from an HTTP header, where it is percent-encoded; it may as well stand there as it is, where its
/// characters can. `None` where that is no text.
pub fn from_header(value: &[u8]) -> Option<Cow<'_, str>> {
    percent_decode(value.trim_ascii()).decode_utf8().ok()
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
    ($(#[$doc:meta])* $name:ident, $what:literal, kept: $kept:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id as it stands in a path, a token or a header, percent-decoded.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let kept: &[&str] = &$kept;
                if kept.iter().any(|prefix| text.starts_with(prefix)) {
                    return Err(InvalidId::Kept);
                }
                Self::recorded(text)
            }

            /// Reads an id as it stands in a record, which may be older than today's rule of what is kept.
            pub fn recorded(text: &str) -> Result<Self, InvalidId> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(InvalidId::Name($what)) }
            }

            /// Reads an id from a message, where it may be a JSON number or a string.
            pub fn from_json(value: &Value) -> Result<Self, InvalidId> {
                text_of(value).ok_or(InvalidId::Name($what)).and_then(|text| Self::parse(&text))
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
                Self::recorded(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        /// Quoted, as logs write it.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type!(
    /// A user, by the id the embedding application has for them: opaque, compared exactly, never normalised.
    UserId,
    "a user id",
    kept: KEPT_PREFIXES
);
name_type!(
    /// The conversation a call belongs to in the embedding application.
    ConversationId,
    "a conversation id",
    kept: []
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
        if is_plain_name(text) && text != "http" && !chosen.is_channels() { Ok(chosen) } else { Err(InvalidId::Device) }
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
        number.and_then(|rest| rest.parse().ok()).map(Self).ok_or(InvalidId::Session)
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
        text.parse().ok().and_then(Self::new).ok_or(InvalidId::Call)
    }

    /// Reads an id from a message, where it may be a JSON number or a string.
    pub fn from_json(value: &Value) -> Result<Self, InvalidId> {
        match value {
            Value::String(text) => Self::parse(text),
            number => number.as_i64().and_then(Self::new).ok_or(InvalidId::Call),
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
    fn ids_that_people_have_are_ids() {
        for id in [
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "ann+calls@example.com",
            "Ωmega",
            "用户一",
            "a/b",
            "CN=Ann,OU=Staff,O=Example",
            "!room:example.org",
            "o'brien~x#1=2?&%41",
            "guests:1",
            "...",
            "e\u{301}",
            "👩",
        ] {
            assert_eq!(UserId::parse(id).map(|id| id.to_string()).as_deref(), Ok(id));
        }
        for longest in ["x".repeat(128), "ü".repeat(128), "語".repeat(85)] {
            assert!(UserId::parse(&longest).is_ok(), "{longest}");
        }
        // Never normalised: two spellings are two users.
        assert_ne!(UserId::parse("é").unwrap(), UserId::parse("e\u{301}").unwrap());
    }

    #[test]
    fn headers_carry_ids_percent_encoded() {
        for (header, id) in
            [("7", "7"), (" a%2Fb ", "a/b"), ("%CE%A9mega", "Ωmega"), ("Ωmega", "Ωmega"), ("a+b", "a+b")]
        {
            assert_eq!(from_header(header.as_bytes()).as_deref(), Some(id));
        }
        assert_eq!(from_header(b"%FF"), None, "no text is repaired");
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
        for bad in [
            json!(""),
            json!(-1),
            json!(1.5),
            json!(null),
            json!([7]),
            json!("a b"),
            json!("."),
            json!(".."),
            json!("a\u{a0}b"),
            json!("a\u{2028}b"),
            json!("a\0b"),
            json!("a\u{7f}b"),
            // Format characters: a soft hyphen, a joiner, an override of direction, a byte order mark.
            json!("a\u{ad}b"),
            json!("a\u{200d}b"),
            json!("a\u{202e}b"),
            json!("\u{feff}a"),
            // Private use, and never assigned.
            json!("\u{e000}"),
            json!("\u{ffff}"),
            json!("x".repeat(129)),
            json!("ü".repeat(129)),
            json!("語".repeat(86)),
            json!("guest:1"),
            json!("line:support"),
        ] {
            assert!(UserId::from_json(&bad).is_err(), "{bad}");
        }
        assert_eq!(ConversationId::parse("line:support").map(|id| id.to_string()).as_deref(), Ok("line:support"));
        assert_eq!(UserId::recorded("guest:1").map(|id| id.to_string()).as_deref(), Ok("guest:1"));
        for bad in [json!(0), json!(-3), json!("x"), json!(9007199254740992u64)] {
            assert!(CallId::from_json(&bad).is_err(), "{bad}");
        }
        for taken in ["http", "channels", "channels:tab", "ü", "a|b", &"x".repeat(65)] {
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
