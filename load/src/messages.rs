//! What the clients say. Every message that is relayed carries a mark, a number that tells whether what arrives
//! is what was sent.

use crate::Outcome;
use crate::socket::frame;

const MARK: &[u8] = b"mark=";
const DIGITS: usize = 10;

/// A message to send again and again with another mark.
#[derive(Clone)]
pub struct Marked {
    frame: Vec<u8>,
    at: usize,
}

impl Marked {
    fn new(text: &str) -> Self {
        let frame = frame(text);
        let at = frame.windows(MARK.len()).position(|part| part == MARK).unwrap_or_default() + MARK.len();
        Self { frame, at }
    }

    /// The frame with this mark.
    pub fn with(&mut self, mut mark: u64) -> &[u8] {
        for digit in self.frame[self.at..self.at + DIGITS].iter_mut().rev() {
            *digit = b'0' + (mark % 10) as u8;
            mark /= 10;
        }
        &self.frame
    }
}

/// A candidate of 600 bytes for a user.
pub fn candidate(to: usize) -> Marked {
    sized(600, |filler| {
        format!(
            r#"{{"type":"ice_candidate","to_user_id":{to},"candidate":{{"candidate":"candidate:mark=0000000000 1 udp 2122260223 192.0.2.1 54400 typ host generation 0 ufrag {filler}","sdpMid":"0","sdpMLineIndex":0}}}}"#
        )
    })
}

/// An invitation with a description of 2.2 kB.
pub fn invitation(to: usize) -> Marked {
    sized(2300, |filler| {
        format!(
            r#"{{"type":"call_invitation","to_user_id":{to},"call_type":"video","offer":{{"type":"offer","sdp":"v=0\r\no=- mark=0000000000 2 IN IP4 127.0.0.1\r\ns=-\r\na={filler}\r\n"}}}}"#
        )
    })
}

/// The answer to it, of the same size.
pub fn answer(to: usize) -> Marked {
    sized(2300, |filler| {
        format!(
            r#"{{"type":"call_answer","to_user_id":{to},"answer":{{"type":"answer","sdp":"v=0\r\no=- mark=0000000000 2 IN IP4 127.0.0.1\r\ns=-\r\na={filler}\r\n"}}}}"#
        )
    })
}

/// The end of a call.
pub fn end(to: usize) -> Vec<u8> {
    frame(&format!(r#"{{"type":"call_ended","to_user_id":{to},"call_type":"video"}}"#))
}

/// Introduces a socket that speaks the extensions.
pub fn hello() -> Vec<u8> {
    frame(r#"{"type":"hello"}"#)
}

fn sized(bytes: usize, text: impl Fn(&str) -> String) -> Marked {
    let empty = text("").len();
    Marked::new(&text(&"x".repeat(bytes.saturating_sub(empty))))
}

/// The mark of what arrived, if it has one.
pub fn mark(text: &[u8]) -> Option<u64> {
    let at = text.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    std::str::from_utf8(text.get(at..at + DIGITS)?).ok()?.parse().ok()
}

/// Whether a message is of this type. All begin with their type.
pub fn is(text: &[u8], kind: &str) -> bool {
    text.strip_prefix(br#"{"type":""#).and_then(|rest| rest.strip_prefix(kind.as_bytes())).is_some()
}

/// Checks that this is the message of that type with that mark.
pub fn expect(text: &[u8], kind: &str, wanted: u64) -> Outcome<()> {
    if is(text, kind) && mark(text) == Some(wanted) {
        return Ok(());
    }
    let came = String::from_utf8_lossy(&text[..text.len().min(160)]);
    Err(format!("expected {kind} number {wanted}, and this came: {came}").into())
}
