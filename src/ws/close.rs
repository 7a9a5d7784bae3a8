//! Why sockets are closed: one table of codes, what each means, and whether the client may come back.

use std::time::Duration;

use actix_http::ws::{CloseCode, CloseReason};

use crate::router::messages::Eviction;

/// The longest reason a close frame may carry, in bytes (125 less the code).
const MAX_REASON: usize = 123;

/// What a closed client should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComeBack {
    /// It closed on purpose.
    AsItLikes,
    /// Never with the same behaviour: it would be closed again.
    No,
    /// After a random wait of up to ten seconds, then backing off.
    Later,
    /// With a new token.
    WithToken,
    /// At once, and fetch what it missed.
    AndResync,
    /// After the `retry_after_ms` in the reason.
    AfterWait,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The code on the wire.
    pub code: u16,
    /// The reason on the wire.
    pub reason: &'static str,
    /// When it is used.
    pub meaning: &'static str,
    /// What the client should do.
    pub come_back: ComeBack,
}

macro_rules! closes {
    ($($name:ident = $code:literal, $reason:literal, $meaning:literal, $back:ident;)*) => {
        /// Why the service closes a socket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Close {
            $(#[doc = $meaning] $name,)*
        }

        impl Close {
            /// Every reason, in the order they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its row of the table.
            pub fn row(self) -> Row {
                match self {
                    $(Self::$name => Row { code: $code, reason: $reason, meaning: $meaning, come_back: ComeBack::$back },)*
                }
            }
        }
    };
}

closes! {
    Normal = 1000, "bye", "The client closed; its close is answered.", AsItLikes;
    Protocol = 1002, "protocol error", "A frame breaks the WebSocket protocol.", No;
    Binary = 1003, "text only", "A binary message: this service speaks JSON text.", No;
    NotUtf8 = 1007, "invalid utf-8", "A text message is not UTF-8.", No;
    TooBig = 1009, "message too big", "A message, or the length a frame declares, is over the limit.", No;
    Fault = 1011, "internal error", "The service cannot serve this socket.", Later;
    Draining = 1012, "service restart", "The service is shutting down.", Later;
    Overload = 1013, "try again later", "The service cannot decide now: it is full, or has no key to check tokens with.", Later;
    Malformed = 4400, "malformed messages", "Five malformed messages within ten seconds.", No;
    Unauthorized = 4401, "unauthorized", "No token, a bad one, or one that has expired.", WithToken;
    Forbidden = 4403, "forbidden", "This address is not the token's.", No;
    Killed = 4403, "closed by administrator", "An administrator closed the socket.", No;
    NotFound = 4404, "no such endpoint", "Nothing is served here.", No;
    Silent = 4408, "no pong", "A ping was not answered in time.", AndResync;
    Slow = 4408, "slow consumer", "The client does not read what it is sent.", AndResync;
    Replaced = 4409, "replaced", "The same device opened a new socket.", No;
    TooMany = 4409, "too many devices", "The user has as many sockets as allowed.", No;
    Flooding = 4429, "flooding", "Too many messages; the reason says when to come back.", AfterWait;
}

impl ComeBack {
    /// The rule in words, as the protocol document has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsItLikes => "as it likes",
            Self::No => "does not come back",
            Self::Later => "comes back after a random wait (0–10 s), then backs off",
            Self::WithToken => "comes back with a new token",
            Self::AndResync => "comes back and resyncs",
            Self::AfterWait => "comes back after `retry_after_ms`",
        }
    }
}

impl Close {
    /// The close as a frame's content.
    pub fn frame(self) -> CloseReason {
        reason(self.row().code, self.row().reason)
    }

    /// A close that says more than its row: a sentence for the client's developer.
    pub fn frame_saying(self, why: &str) -> CloseReason {
        reason(self.row().code, &format!("{}: {why}", self.row().reason))
    }

    /// A close that says when to come back.
    pub fn frame_after(self, after: Duration) -> CloseReason {
        reason(self.row().code, &format!("{}; retry_after_ms={}", self.row().reason, after.as_millis()))
    }
}

fn reason(code: u16, text: &str) -> CloseReason {
    let text: String = text.chars().filter(char::is_ascii).take(MAX_REASON).collect();
    CloseReason { code: CloseCode::from(code), description: Some(text) }
}

impl From<Eviction> for Close {
    fn from(why: Eviction) -> Self {
        match why {
            Eviction::Replaced => Self::Replaced,
            Eviction::TooManyDevices => Self::TooMany,
            Eviction::Draining => Self::Draining,
            Eviction::Killed => Self::Killed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_stands_in_the_protocol_document() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROTOCOL.md");
        let document = std::fs::read_to_string(path).unwrap();
        for close in Close::ALL {
            let Row { code, reason, meaning, come_back } = close.row();
            let line = format!("| {code} | {reason} | {meaning} | {} |", come_back.as_str());
            assert!(document.contains(&line), "missing: {line}");
        }
    }

    #[test]
    fn a_sentence_follows_the_reason_as_far_as_it_fits() {
        let close = Close::Unauthorized.frame_saying(&format!("the claim \"{}\" ü", "x".repeat(200)));
        let said = close.description.unwrap();
        assert!(said.starts_with("unauthorized: the claim \"xxx") && said.len() == MAX_REASON, "{said}");
    }

    #[test]
    fn a_wait_is_said_in_the_reason() {
        let close = Close::Flooding.frame_after(Duration::from_millis(1500));
        assert_eq!(close.description.as_deref(), Some("flooding; retry_after_ms=1500"));
    }
}
