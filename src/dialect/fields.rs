//! A flat view of one JSON object.
//!
//! Signalling messages are small objects around payloads nobody here reads. The view keeps the fields in
//! the order they came and their values as raw text, so a description of 30 KB is copied once and never
//! parsed. Getters *take* a field; what nobody took is what passes through.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{Extra, Payload, Refusal};
use crate::text;

/// How deep a message may nest.
pub const MAX_DEPTH: usize = 32;

/// How many fields a message may have. The search for a name is linear, so this bounds its cost.
pub const MAX_FIELDS: usize = 64;

/// How many fields most messages have.
const USUAL_FIELDS: usize = 8;

/// How many ids a list may name. Far above what a call may hold; the core says what is too many.
const MAX_IDS: usize = 64;

/// The longest retry key, in characters.
const MAX_KEY_CHARS: usize = 128;

/// The fields of one JSON object, in the order they came; of a repeated name the last value counts.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// The name of a field, borrowed where it holds no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Self::Value = Vec::with_capacity(USUAL_FIELDS);
                while let Some(Name(name)) = map.next_key()? {
                    let value: &'de RawValue = map.next_value()?;
                    if let Some(earlier) = fields.iter_mut().find(|(known, _)| *known == name) {
                        earlier.1 = value;
                    } else if fields.len() < MAX_FIELDS {
                        fields.push((name, value));
                    } else {
                        return Err(A::Error::custom("too many fields"));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

/// Whether brackets nest no deeper than [`MAX_DEPTH`]. Scans bytes, so that it costs no stack.
fn is_shallow(text: &str) -> bool {
    // Where so few open, wherever they stand, it need not be looked at closely. Counted in portions for which a byte
    // suffices, so that it is done for many bytes at once; `{` and `[` differ in one bit.
    let opening = |portion: &[u8]| portion.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    if text.as_bytes().chunks(usize::from(u8::MAX)).map(|portion| usize::from(opening(portion))).sum::<usize>()
        <= MAX_DEPTH
    {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

fn invalid(name: &str, what: &str) -> Refusal {
    Refusal::Invalid(format!("{name} must be {what}"))
}

/// Refuses a raw value that is no number and no string, without reading it.
fn scalar<'a>(name: &str, raw: &'a RawValue) -> Result<&'a RawValue, Refusal> {
    match raw.get().bytes().next() {
        Some(b'"' | b'-' | b'0'..=b'9') => Ok(raw),
        _ => Err(invalid(name, "a number or a string")),
    }
}

fn within(name: &str, text: &str, max_chars: usize) -> Result<(), Refusal> {
    if text.len() > max_chars && text.chars().count() > max_chars {
        return Err(Refusal::TooLarge(format!("{name} may have at most {max_chars} characters")));
    }
    Ok(())
}

fn no_retry_key(name: &str) -> Refusal {
    Refusal::Invalid(format!(
        "{name} must be 1 to {MAX_KEY_CHARS} characters, without control characters and those that switch the \
         direction of writing"
    ))
}

/// Checks a retry key that came as `name`. A key that no database keeps is refused and not mended, since two mended
/// keys could become equal.
pub fn retry_key_of(name: &str, key: &str) -> Result<String, Refusal> {
    let fits = !key.is_empty() && within(name, key, MAX_KEY_CHARS).is_ok() && text::is_kept(key);
    if fits { Ok(key.to_owned()) } else { Err(no_retry_key(name)) }
}

fn user_of(name: &str, raw: &RawValue) -> Result<UserId, Refusal> {
    UserId::from_raw(scalar(name, raw)?).map_err(|why| Refusal::Invalid(format!("{name}: {why}")))
}

impl<'a> Fields<'a> {
    /// Reads one JSON object.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        if !is_shallow(text) {
            return Err(Refusal::TooLarge(format!("a message may nest at most {MAX_DEPTH} deep")));
        }
        serde_json::from_str(text).map_err(|why| Refusal::Invalid(format!("a message is one JSON object: {why}")))
    }

    /// Takes a field, `null` included.
    pub fn take_any(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Takes a field; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.take_any(name).filter(|raw| raw.get() != "null")
    }

    /// Takes a text of at most `max_chars` characters.
    pub fn text(&mut self, name: &str, max_chars: usize) -> Result<Option<String>, Refusal> {
        Ok(self.borrowed_text(name, max_chars)?.map(Cow::into_owned))
    }

    /// The same, borrowed where it holds no escapes.
    pub fn borrowed_text(&mut self, name: &str, max_chars: usize) -> Result<Option<Cow<'a, str>>, Refusal> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        within(name, &text, max_chars)?;
        Ok(Some(text))
    }

    /// Takes the name of a person, as it is kept, of at most `max_chars` characters. A blank one is none.
    pub fn person(&mut self, name: &str, max_chars: usize) -> Result<Option<String>, Refusal> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        let text = text::kept(&text).into_owned();
        within(name, &text, max_chars)?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// Takes the key by which a retry of the same attempt is recognised.
    pub fn retry_key(&mut self) -> Result<Option<String>, Refusal> {
        const NAME: &str = "idempotency_key";
        let Some(raw) = self.take(NAME) else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Ok(Name(key)) => retry_key_of(NAME, &key).map(Some),
            // Half a surrogate pair; in a name it would be mended.
            Err(_) if raw.get().starts_with('"') => Err(no_retry_key(NAME)),
            Err(_) => Err(invalid(NAME, "a string")),
        }
    }

    fn string(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.take(name).map(|raw| text::read(raw).ok_or_else(|| invalid(name, "a string"))).transpose()
    }

    /// Takes a user id.
    pub fn user(&mut self, name: &str) -> Result<Option<UserId>, Refusal> {
        self.take(name).map(|raw| user_of(name, raw)).transpose()
    }

    /// Takes a list of user ids; a repeated one counts once.
    pub fn users(&mut self, name: &str) -> Result<Vec<UserId>, Refusal> {
        self.users_up_to(name, MAX_IDS)
    }

    /// As [`Fields::users`], with a limit of the message's own.
    pub fn users_up_to(&mut self, name: &str, max: usize) -> Result<Vec<UserId>, Refusal> {
        let Some(raw) = self.take(name) else { return Ok(Vec::new()) };
        let list: Vec<&RawValue> =
            serde_json::from_str(raw.get()).map_err(|_| invalid(name, "a list of numbers or strings"))?;
        if list.len() > max {
            return Err(Refusal::TooLarge(format!("{name} may name at most {max} users")));
        }
        let mut users = Vec::with_capacity(list.len());
        let mut seen = std::collections::HashSet::with_capacity(list.len());
        for raw in list {
            let user = user_of(name, raw)?;
            if seen.insert(user.clone()) {
                users.push(user);
            }
        }
        Ok(users)
    }

    /// Takes a number or string as text, for parts an id is made of.
    pub fn id_text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.user(name)?.map(|id| id.as_str().to_owned()))
    }

    /// Takes the id of a call.
    pub fn call(&mut self, name: &str) -> Result<Option<CallId>, Refusal> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        let value = serde_json::from_str(scalar(name, raw)?.get()).unwrap_or_default();
        CallId::from_json(&value).map(Some).map_err(|_| invalid(name, "an integer from 1 to 2^53-1"))
    }

    /// Takes the id of a conversation.
    pub fn conversation(&mut self, name: &str) -> Result<Option<ConversationId>, Refusal> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        let id = ConversationId::from_raw(scalar(name, raw)?);
        id.map(Some).map_err(|why| Refusal::Invalid(format!("{name}: {why}")))
    }

    /// Takes a payload of at most `max_bytes`, unread.
    pub fn payload(&mut self, name: &str, max_bytes: usize) -> Result<Option<Payload>, Refusal> {
        self.take(name).map(|raw| payload_of(name, raw, max_bytes)).transpose()
    }

    /// Removes the fields whose name `unwanted` says.
    pub fn drop_where(&mut self, unwanted: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| !unwanted(name));
    }

    /// What nobody took.
    pub fn into_extra(self) -> Extra {
        self.0.into_iter().map(|(name, raw)| (name.into_owned(), Payload::new(raw))).collect()
    }
}

/// Keeps a raw value as a payload of at most `max_bytes`.
pub fn payload_of(name: &str, raw: &RawValue, max_bytes: usize) -> Result<Payload, Refusal> {
    if raw.get().len() > max_bytes {
        return Err(Refusal::TooLarge(format!("{name} may have at most {max_bytes} bytes")));
    }
    Ok(Payload::new(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_repeated_field_the_last_value_counts_and_order_is_kept() {
        let mut fields = Fields::parse(r#"{"b":1,"a":"x","b":2,"\u0063":[3]}"#).unwrap();
        assert_eq!(fields.take("a").unwrap().get(), "\"x\"");
        let rest = fields.into_extra();
        let seen: Vec<_> = rest.iter().map(|(name, payload)| (name.as_str(), payload.get())).collect();
        assert_eq!(seen, [("b", "2"), ("c", "[3]")]);
    }

    #[test]
    fn depth_and_number_of_fields_are_limited() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(Fields::parse(&nested(31)).is_ok());
        assert!(matches!(Fields::parse(&nested(32)), Err(Refusal::TooLarge(_))));
        assert!(Fields::parse(r#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[["}"#).is_ok());
        let many: Vec<String> = (0..65).map(|n| format!("\"f{n}\":1")).collect();
        assert!(Fields::parse(&format!("{{{}}}", many.join(","))).is_err());
    }

    #[test]
    fn refusals_name_the_field_and_what_it_must_be() {
        let mut fields = Fields::parse(r#"{"to_user_id":[7],"call_id":0,"from_name":7}"#).unwrap();
        assert_eq!(fields.user("to_user_id").unwrap_err().to_string(), "to_user_id must be a number or a string");
        assert_eq!(fields.call("call_id").unwrap_err().to_string(), "call_id must be an integer from 1 to 2^53-1");
        assert_eq!(fields.text("from_name", 9).unwrap_err().to_string(), "from_name must be a string");
    }
}
