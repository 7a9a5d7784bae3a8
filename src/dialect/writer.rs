//! Writes one JSON object: what is written here, and payloads that nobody here reads.

use std::fmt::Write as _;

use serde_json::Value;
use smallvec::SmallVec;

use crate::ids::UserId;
use crate::signal::{Extra, Payload};

/// How large most messages are that carry no description: a candidate, and who sent it.
const USUAL_BYTES: usize = 1000;

/// How much room a payload's name takes, and what usually follows it.
const USUAL_REST: usize = 128;

/// Writes the text of one JSON object: names and texts escaped, payloads spliced in as they are.
#[derive(Debug, Default)]
pub struct ObjectWriter {
    text: String,
    /// What was written here, so that a passed-through field can never stand in for it.
    names: SmallVec<[&'static str; 12]>,
}

impl ObjectWriter {
    /// An object whose first field is its type.
    pub fn typed(kind: &str) -> Self {
        Self { text: String::with_capacity(USUAL_BYTES), names: SmallVec::new() }.text("type", kind)
    }

    /// Keeps a name from being passed through, for a field that is added later.
    pub fn reserve(mut self, name: &'static str) -> Self {
        self.names.push(name);
        self
    }

    fn separator(&mut self) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
    }

    /// Begins a field that is known here: nothing in its name is to be escaped.
    fn name(&mut self, name: &'static str) {
        self.names.push(name);
        self.separator();
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    fn known(mut self, name: &'static str, json: &str) -> Self {
        self.name(name);
        self.text.push_str(json);
        self
    }

    /// Adds a text.
    pub fn text(mut self, name: &'static str, value: &str) -> Self {
        self.name(name);
        push_string(&mut self.text, value);
        self
    }

    /// Adds a payload as it was sent.
    pub fn payload(mut self, name: &'static str, value: &Payload) -> Self {
        // It is most of the object: room for it and what follows is made once.
        self.text.reserve(value.get().len() + USUAL_REST);
        self.known(name, value.get())
    }

    /// Adds JSON made here.
    pub fn raw(self, name: &'static str, json: &str) -> Self {
        self.known(name, json)
    }

    /// Adds a user's id: a number where it is one.
    pub fn user(self, name: &'static str, user: &UserId) -> Self {
        if user.is_number() { self.known(name, user.as_str()) } else { self.text(name, user.as_str()) }
    }

    /// Adds a value made here: a number, an id, `null`.
    pub fn value(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.name(name);
        // A text can always be written to.
        match value.into() {
            Value::String(text) => push_string(&mut self.text, &text),
            Value::Number(number) => drop(write!(self.text, "{number}")),
            other => drop(write!(self.text, "{other}")),
        }
        self
    }

    /// Adds an object made here.
    pub fn object(self, name: &'static str, value: Self) -> Self {
        let json = value.finish();
        self.known(name, &json)
    }

    /// Adds the passed-through fields whose names are not taken.
    pub fn extra(mut self, extra: &Extra) -> Self {
        for (name, payload) in extra {
            if !self.names.contains(&name.as_str()) {
                self.separator();
                push_string(&mut self.text, name);
                self.text.push(':');
                self.text.push_str(payload.get());
            }
        }
        self
    }

    /// The object's text.
    pub fn finish(mut self) -> String {
        if self.text.is_empty() {
            self.text.push('{');
        }
        self.text.push('}');
        self.text
    }
}

/// Appends a JSON string literal.
fn push_string(to: &mut String, text: &str) {
    to.push('"');
    let mut rest = text;
    // All that is escaped is ASCII, so what is before it ends where a character does.
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        to.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => to.push_str("\\\""),
            b'\\' => to.push_str("\\\\"),
            b'\n' => to.push_str("\\n"),
            b'\r' => to.push_str("\\r"),
            b'\t' => to.push_str("\\t"),
            byte => to.push_str(&format!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    to.push_str(rest);
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_through_field_never_replaces_one_written_here() {
        let extra = vec![
            ("type".to_owned(), Payload::from_json(&Value::from("forged"))),
            ("a\"b".to_owned(), Payload::from_json(&Value::from(1))),
        ];
        assert_eq!(ObjectWriter::typed("x\u{1}").extra(&extra).finish(), r#"{"type":"x\u0001","a\"b":1}"#);
    }
}
