//! Wire vocabularies: one small file per form. Frame → [`Command`], [`Notice`] → frame, nothing else.
//!
//! A dialect knows names and fields. It knows no socket, no clock and no call: whether a command is
//! allowed is decided in the core. To add one, write its file and its line in [`DIALECTS`].

pub mod channels;
pub mod extensions;
pub mod fields;
pub mod polling;
pub mod profiles;
pub mod users;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::ids::UserId;
use crate::signal::{Addressee, Capabilities, Command, Notice, Party, Payload, Profile, Refusal};
use fields::Fields;
use writer::ObjectWriter;

/// The longest `ref` a client may give a message, in bytes of JSON.
const MAX_REFERENCE: usize = 128;

/// The longest token a client may send to stay connected, in characters.
const MAX_TOKEN: usize = 8 * 1024;

/// How large the parts of a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// A description, in bytes.
    pub max_sdp: usize,
    /// A candidate, in bytes.
    pub max_candidate: usize,
    /// A name shown to people, in characters.
    pub max_name_chars: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { max_sdp: 32 * 1024, max_candidate: 4 * 1024, max_name_chars: 128 }
    }
}

/// What a frame on a socket says.
#[derive(Debug, Clone)]
pub enum Inbound {
    /// Something for the core.
    Command(Command),
    /// "Are you there": answered with `pong`.
    Ping,
    /// Nothing but a proof of life.
    Alive,
    /// A fresh token, so that the socket may stay when the old one expires.
    Token(String),
    /// From now on the extensions may be spoken.
    Hello,
    /// The same, going on where an earlier socket broke off.
    Resume {
        /// The session it was.
        session: String,
        /// The number of the last message that arrived.
        seq: u64,
    },
    /// About how others stand, or all that goes on.
    Inquiry(Inquiry),
    /// Something for the others in the socket's conversation.
    Chat(channels::Chat),
}

/// What a client asks about how others stand, and an administrator's about all that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquiry {
    /// Tell me how these users stand, and whenever that changes.
    Watch(Vec<UserId>),
    /// No more about these; about none where the list is empty.
    Unwatch(Vec<UserId>),
    /// How do these users stand?
    Glance(Vec<UserId>),
    /// Tell me whenever something changed anywhere.
    Follow,
    /// No more of that.
    Unfollow,
}

/// A frame, read: what it says or why it was refused, and the name its sender gave it.
#[derive(Debug)]
pub struct Parsed {
    /// The message's `ref`, which goes back with the answer. Known even where the rest was refused.
    pub reference: Option<Payload>,
    /// What it says.
    pub inbound: Result<Inbound, Refusal>,
}

/// To whom a dialect writes.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Whose socket it is.
    pub user: &'a UserId,
    /// Whether it said `hello`: only then is it told what its seed does not know.
    pub extended: bool,
}

impl<'a> Reader<'a> {
    /// Somebody who never said `hello`.
    pub fn plain(user: &'a UserId) -> Self {
        Self { user, extended: false }
    }
}

/// One wire form of a socket.
pub trait Dialect: Send + Sync {
    /// Reads a frame.
    fn parse(&self, text: &str) -> Parsed;

    /// Writes a notice to `to`. `None` when this dialect does not tell that.
    fn render(&self, notice: &Notice, to: Reader<'_>) -> Option<String>;

    /// Its name, for those who run the service.
    fn name(&self) -> &'static str;

    /// What a device that speaks this can do.
    fn capabilities(&self) -> Capabilities;

    /// Writes a refusal.
    fn error(&self, refusal: &Refusal, reference: Option<&Payload>) -> String {
        error_frame(refusal, reference)
    }

    /// The answer to [`Inbound::Ping`].
    fn pong(&self) -> String {
        ObjectWriter::typed("pong").finish()
    }
}

/// How the path of a socket says whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// By a user id.
    User,
    /// By a profile and its kind.
    Profile,
}

/// A dialect and where it is spoken.
pub struct Served {
    /// The path of its sockets, with and without a slash at the end.
    pub path: &'static str,
    /// Whose a socket is.
    pub addressing: Addressing,
    /// How to make it.
    pub make: fn(Caps) -> Arc<dyn Dialect>,
}

/// The dialects whose sockets are a device each. (Pages of the channels dialect open several that are one; those
/// are served by a hub of their own.)
pub const DIALECTS: &[Served] = &[
    Served { path: "/ws/{user_id}", addressing: Addressing::User, make: |caps| Arc::new(users::Users::new(caps)) },
    Served {
        path: "/ws/{profile_id}/{role}",
        addressing: Addressing::Profile,
        make: |caps| Arc::new(profiles::profiles(caps)),
    },
];

/// `{"type":"error","code","message","reason"?,"retry_after_ms"?,"ref"?}`.
pub fn error_frame(refusal: &Refusal, reference: Option<&Payload>) -> String {
    let mut frame = ObjectWriter::typed("error").text("code", refusal.code()).text("message", &refusal.to_string());
    if let Refusal::CallEnded(reason) = refusal {
        frame = frame.text("reason", reason.as_str());
    }
    if let Some(after) = refusal.retry_after() {
        frame = frame.value("retry_after_ms", u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    }
    match reference {
        Some(reference) => frame.payload("ref", reference).finish(),
        None => frame.finish(),
    }
}

/// The field is about who sent the message, or is one only the server writes. What a client says there
/// is never passed on: the server stamps the sender.
fn is_servers_own(name: &str) -> bool {
    name.starts_with("from_")
        || name.starts_with("caller_")
        || matches!(
            name,
            "from" | "caller" | "sender" | "sender_id" | "sender_username" | "seq" | "ref" | "expires_in_ms" | "type"
        )
}

/// Reads a message: its `ref`, which is known even where the rest is refused, its type, and by that the rest. A byte
/// order mark before it, which some frameworks write, is passed over, as in a body by REST.
fn read_message(text: &str, read: impl FnOnce(&str, Fields<'_>) -> Result<Inbound, Refusal>) -> Parsed {
    let mut fields = match Fields::parse(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok(fields) => fields,
        Err(refusal) => return Parsed { reference: None, inbound: Err(refusal) },
    };
    let reference = take_reference(&mut fields);
    let inbound = match fields.borrowed_text("type", 4096) {
        Ok(Some(kind)) => read(&kind, fields),
        Ok(None) => Err(Refusal::Invalid("type is required".to_owned())),
        Err(refusal) => Err(refusal),
    };
    Parsed { reference, inbound }
}

/// Reads and removes `ref`: a number or a short string.
fn take_reference(fields: &mut Fields<'_>) -> Option<Payload> {
    let is_name = |raw: &&RawValue| {
        raw.get().len() <= MAX_REFERENCE && raw.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
    };
    fields.take("ref").filter(is_name).map(Payload::new)
}

/// Whom a message names: `to_user_id`, else `to_profile_type` with `to_profile_id`.
///
/// A profile nobody has mapped to a user is a principal of its own, named `tutor_1`. Profile sockets are
/// shown who has no profile as type `user`, and may answer to that.
fn take_recipient(fields: &mut Fields<'_>) -> Result<Option<Party>, Refusal> {
    let user = fields.user("to_user_id")?;
    let (kind, id) = (fields.id_text("to_profile_type")?, fields.id_text("to_profile_id")?);
    match (user, kind, id) {
        (Some(user), ..) => Ok(Some(user.into())),
        (None, Some(kind), Some(id)) if kind == profiles::NO_PROFILE => {
            let user = UserId::parse(&id).map_err(|why| Refusal::Invalid(format!("to_profile_id: {why}")))?;
            Ok(Some(user.into()))
        }
        (None, Some(kind), Some(id)) => {
            let profile = Profile { kind, id };
            let user = profile.key();
            let user = user.map_err(|why| Refusal::Invalid(format!("to_profile_type and to_profile_id: {why}")))?;
            Ok(Some(Party { user, profile: Some(profile) }))
        }
        (None, ..) => Ok(None),
    }
}

/// Whom a message within a call is for, as far as it says.
fn take_addressee(fields: &mut Fields<'_>) -> Result<Addressee, Refusal> {
    Ok(Addressee { call: fields.call("call_id")?, user: take_recipient(fields)?.map(|party| party.user) })
}
