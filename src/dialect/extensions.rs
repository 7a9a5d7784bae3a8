//! The extensions: what only sockets that said `hello` are told. The users and profiles dialects share them.

use std::fmt::Write;

use serde_json::{Value, json};

use super::fields::Fields;
use super::writer::ObjectWriter;
use super::{Inbound, Inquiry, users::missing};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::signal::{CallSeen, CallView, Notice, Payload, Refusal};

/// How many users one message about presence may name, and one socket may watch.
pub const MAX_WATCHED: usize = 1000;

/// The longest session id, in characters.
const MAX_SESSION: usize = 64;

/// Reads a message of the extensions; `None` when its type is none of theirs.
pub fn read(name: &str, fields: &mut Fields<'_>) -> Option<Result<Inbound, Refusal>> {
    Some(match name {
        "hello" => Ok(Inbound::Hello),
        "resume" => resume(fields),
        "presence_subscribe" => watched(fields).map(|users| Inbound::Inquiry(Inquiry::Watch(users))),
        "presence_unsubscribe" => {
            let users = fields.users_up_to("user_ids", MAX_WATCHED);
            users.map(|users| Inbound::Inquiry(Inquiry::Unwatch(users)))
        }
        "presence_query" => watched(fields).map(|users| Inbound::Inquiry(Inquiry::Glance(users))),
        "admin_subscribe" => Ok(Inbound::Inquiry(Inquiry::Follow)),
        "admin_unsubscribe" => Ok(Inbound::Inquiry(Inquiry::Unfollow)),
        _ => return None,
    })
}

fn resume(fields: &mut Fields<'_>) -> Result<Inbound, Refusal> {
    let session = fields.text("session_id", MAX_SESSION)?.ok_or_else(|| missing("session_id"))?;
    let seq = fields.take("seq").ok_or_else(|| missing("seq"))?;
    let seq = serde_json::from_str(seq.get())
        .map_err(|_| Refusal::Invalid("seq must be a whole number, 0 or more".to_owned()))?;
    Ok(Inbound::Resume { session, seq })
}

fn watched(fields: &mut Fields<'_>) -> Result<Vec<UserId>, Refusal> {
    let users = fields.users_up_to("user_ids", MAX_WATCHED)?;
    if users.is_empty() { Err(missing("user_ids")) } else { Ok(users) }
}

/// Writes a notice that only the extensions have.
pub fn notice(notice: &Notice) -> Option<String> {
    let frame = match notice {
        Notice::Ringing { call, user, devices } => {
            about("call_ringing", call.get(), user).value("devices", *devices as u64)
        }
        Notice::Answered { call, by } => about("call_answered", call.get(), by),
        Notice::PeerReconnecting { call, user, grace_ms } => {
            about("peer_reconnecting", call.get(), user).value("grace_ms", *grace_ms)
        }
        Notice::PeerResumed { call, user } => about("peer_resumed", call.get(), user),
        Notice::PeerJoined { call, user } => about("peer_joined", call.get(), user),
        Notice::PeerLeft { call, user, reason } => about("peer_left", call.get(), user).text("reason", reason.as_str()),
        Notice::Missed { call, from, name, call_type, reason } => ObjectWriter::typed("missed_call")
            .value("call_id", call.get())
            .user("from_user_id", from)
            .value("from_name", name.as_deref())
            .text("call_type", call_type.as_str())
            .text("reason", reason.as_str()),
        Notice::Incoming(_)
        | Notice::Description { .. }
        | Notice::Candidate { .. }
        | Notice::NotJoining { .. }
        | Notice::Closed { .. } => return None,
    };
    Some(frame.finish())
}

fn about(kind: &str, call: i64, user: &UserId) -> ObjectWriter {
    ObjectWriter::typed(kind).value("call_id", call).user("user_id", user)
}

/// What `welcome` says.
#[derive(Debug, Clone)]
pub struct Welcome {
    /// By which the session can be resumed.
    pub session: String,
    /// Whether this goes on where the last socket broke off.
    pub recovered: bool,
    /// The number before that of the next message.
    pub seq: u64,
    /// How often a client should give a proof of life.
    pub heartbeat_ms: u64,
    /// As `RTCPeerConnection` takes them.
    pub ice_servers: Value,
    /// The live calls of the user; `None` where that could not be found out in time.
    pub calls: Option<Vec<CallSeen>>,
    /// How many missed calls the user has not seen; `None` while the database is away.
    pub unseen_missed: Option<u64>,
}

/// Writes `welcome`.
pub fn welcome(welcome: &Welcome, reference: Option<&Payload>) -> String {
    let calls = welcome.calls.as_ref().map(|calls| calls.iter().map(call_seen).collect::<Vec<_>>());
    let frame = ObjectWriter::typed("welcome")
        .text("session_id", &welcome.session)
        .value("recovered", welcome.recovered)
        .value("seq", welcome.seq)
        .value("heartbeat_ms", welcome.heartbeat_ms)
        .value("ice_servers", welcome.ice_servers.clone())
        .value("calls", calls)
        .value("unseen_missed", welcome.unseen_missed);
    with_reference(frame, reference)
}

fn call_seen(CallSeen { view, expires_in_ms }: &CallSeen) -> Value {
    json!({
        "call_id": view.id.get(),
        "status": view.phase.as_str(),
        "caller_id": view.caller.to_json(),
        "callee_ids": view.callees.iter().map(UserId::to_json).collect::<Vec<_>>(),
        "call_type": view.call_type.as_str(),
        "conversation_id": view.conversation.as_ref().map(|id| id.to_json()),
        "ringing_here": expires_in_ms.is_some(),
        "expires_in_ms": expires_in_ms,
    })
}

/// Writes the "done" to a message that had a `ref`; what became of its call, where it was about one.
pub fn ack(reference: &Payload, call: Option<&CallView>) -> String {
    let mut frame = ObjectWriter::typed("ack").payload("ref", reference);
    if let Some(call) = call {
        frame = frame
            .value("call_id", call.id.get())
            .text("status", call.phase.as_str())
            .value("reason", call.reason.map(|reason| reason.as_str()));
    }
    frame.finish()
}

/// Tells that the service takes no new calls and is about to close its sockets.
pub fn server_draining() -> String {
    ObjectWriter::typed("server_draining").finish()
}

/// Writes one user's entry in the messages about presence.
pub fn presence_entry(user: &UserId, status: &str, last_seen: Option<Timestamp>, version: u64) -> String {
    json!({ "user_id": user.to_json(), "status": status, "last_seen": last_seen, "version": version }).to_string()
}

/// Writes what is shown of users, in the order they were named.
pub fn presence_snapshot<'a>(entries: impl Iterator<Item = &'a str>, reference: Option<&Payload>) -> String {
    with_reference(presence("presence_snapshot", entries), reference)
}

/// Writes what changed.
pub fn presence_changed<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    presence("presence_changed", entries).finish()
}

/// Writes that something of these parts changed.
pub fn admin_changed(parts: &[&str]) -> String {
    ObjectWriter::typed("admin_changed").value("parts", parts).finish()
}

fn presence<'a>(kind: &str, entries: impl Iterator<Item = &'a str>) -> ObjectWriter {
    let list = entries.collect::<Vec<_>>().join(",");
    ObjectWriter::typed(kind).raw("users", &format!("[{list}]"))
}

fn with_reference(frame: ObjectWriter, reference: Option<&Payload>) -> String {
    match reference {
        Some(reference) => frame.payload("ref", reference).finish(),
        None => frame.finish(),
    }
}

/// How much longer a number makes a message.
const MAX_NUMBER: usize = r#","seq":18446744073709551615"#.len();

/// A message's text with its number.
pub fn numbered(text: &str, seq: u64) -> String {
    let Some(open) = text.strip_suffix('}') else { return text.to_owned() };
    let mut numbered = String::with_capacity(text.len() + MAX_NUMBER);
    numbered.push_str(open);
    // A string takes everything.
    let _ = write!(numbered, ",\"seq\":{seq}}}");
    numbered
}
