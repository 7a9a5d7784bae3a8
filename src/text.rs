//! Text that is kept: names and whatever else people write and a database or another screen holds afterwards.
//!
//! Clients write what a database cannot keep (PostgreSQL has no NUL), half characters (a name cut by
//! `slice(0, n)` ends in one half of an emoji), and characters that change how everything around them reads. One
//! rule for all edges, so that the same text is kept whatever the database. Ids and keys are never repaired:
//! they are refused, see [`is_kept`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::ids::unescaped;

/// A text as it is kept: control characters, NUL among them, become U+FFFD, and what switches the direction of
/// writing is dropped.
///
/// A control character stands for something, so that a mark stays in its place and two words do not become one.
/// Direction characters come unseen with numbers and names copied from a phone's contacts. Marks of direction
/// (U+200E, U+200F, U+061C) are part of ordinary Arabic and Hebrew, act on their neighbours only, and stay.
pub fn kept(text: &str) -> Cow<'_, str> {
    if is_kept(text) {
        return Cow::Borrowed(text);
    }
    let written = text.chars().filter(|letter| !switches_direction(*letter));
    Cow::Owned(written.map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect())
}

/// Whether [`kept`] leaves the text as it is.
pub fn is_kept(text: &str) -> bool {
    !text.chars().any(|letter| letter.is_control() || switches_direction(letter))
}

/// Embeddings, overrides and isolates, and the ends of those (Unicode TR9): left open they turn what follows.
fn switches_direction(letter: char) -> bool {
    matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Reads a JSON string; `None` where the value is none. Half a surrogate pair, which JSON can write and no text
/// can hold, becomes U+FFFD.
pub fn read(json: &RawValue) -> Option<Cow<'_, str>> {
    match unescaped(json) {
        Some(text) => Some(Cow::Borrowed(text)),
        None => serde_json::from_str::<Read>(json.get()).ok().map(|Read(text)| Cow::Owned(text)),
    }
}

/// A text as it is kept, where serde reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept(String);

impl From<Kept> for String {
    fn from(Kept(text): Kept) -> Self {
        text
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Read(text) = Read::deserialize(from)?;
        Ok(match kept(&text) {
            Cow::Borrowed(_) => Self(text),
            Cow::Owned(mended) => Self(mended),
        })
    }
}

/// What a JSON string says, halves of pairs replaced.
struct Read(String);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Halves;
        impl Visitor<'_> for Halves {
            type Value = Read;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<Read, E> {
                Ok(Read(text.to_owned()))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Read, E> {
                Ok(Read(whole(bytes)))
            }
        }
        // As bytes, serde_json hands out what it refuses to call a text.
        from.deserialize_bytes(Halves)
    }
}

/// Text out of WTF-8: UTF-8 in which halves of pairs may stand by themselves, as the three bytes `ED A0..BF 80..BF`.
fn whole(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // No byte of a half is UTF-8, so that it is found as three errors. The first begins a half, and only a half.
        if chunk.invalid().first() == Some(&0xED) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_a_database_or_a_screen_cannot_hold_is_replaced_or_dropped() {
        for (given, wanted) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("", ""),
            ("A\0da", "A\u{FFFD}da"),
            ("Ada\r\nLovelace\t\u{7F}\u{85}", "Ada\u{FFFD}\u{FFFD}Lovelace\u{FFFD}\u{FFFD}\u{FFFD}"),
            ("\u{202E}nimda\u{202C}", "nimda"),
            ("\u{2068}Ada\u{2069}", "Ada"),
            ("\u{202D}+49 30 1\u{202C}", "+49 30 1"),
            ("ليلى\u{200F} \u{200E}(Layla)", "ليلى\u{200F} \u{200E}(Layla)"),
            ("👩‍👩‍👧 \u{FFFD} ｗｉｄｅ", "👩‍👩‍👧 \u{FFFD} ｗｉｄｅ"),
        ] {
            assert_eq!(kept(given), wanted);
            assert_eq!(is_kept(given), given == wanted, "{given:?}");
        }
    }

    #[test]
    fn half_a_pair_becomes_one_mark_and_a_whole_one_its_character() {
        for (json, wanted) in [
            (r#""Ada \ud83d""#, "Ada \u{FFFD}"),
            (r#""\ude00 Ada""#, "\u{FFFD} Ada"),
            (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}😀"),
            (r#""\ud83dé\ud83d\u0041""#, "\u{FFFD}é\u{FFFD}A"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\u0000\n\"\u0061""#, "\0\n\"a"),
            (r#""plain é""#, "plain é"),
            (r#""""#, ""),
        ] {
            assert_eq!(read(raw(json)).as_deref(), Some(wanted), "{json}");
        }
        for json in ["7", "null", "true", "[65,66]", "{}"] {
            assert_eq!(read(raw(json)), None, "{json}");
        }
        assert!(matches!(read(raw(r#""plain""#)), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn serde_reads_it_from_a_text_and_from_a_value() {
        let json = r#"["A\u0000da \ud83d\u202e","Ben"]"#;
        let read: Vec<Kept> = serde_json::from_str(json).unwrap();
        assert_eq!(read, [Kept("A\u{FFFD}da \u{FFFD}".to_owned()), Kept("Ben".to_owned())]);
        let value = serde_json::json!(["A\0da"]);
        assert_eq!(serde_json::from_value::<Vec<Kept>>(value).unwrap(), [Kept("A\u{FFFD}da".to_owned())]);
        for wrong in ["7", "[65]", "null"] {
            assert!(serde_json::from_str::<Kept>(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_stays_as_it_is(text in any::<String>()) {
            let once = kept(&text).into_owned();
            prop_assert!(is_kept(&once));
            prop_assert_eq!(kept(&once), once.as_str());
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(raw(&json)).unwrap(), text);
        }

        #[test]
        fn any_sixteen_bit_units_are_read_as_a_lossy_decoder_would(units in proptest::collection::vec(
            prop_oneof![0xD7FEu16..0xE002, 0u16..0x80, any::<u16>()], 0..12))
        {
            let json = units.iter().fold(String::from("\""), |json, unit| format!("{json}\\u{unit:04x}")) + "\"";
            prop_assert_eq!(read(raw(&json)).unwrap(), String::from_utf16_lossy(&units));
        }
    }
}
