//! The channels dialect: pages on `/ws/notifications/` and `/ws/chat/{conversation_id}/`, with REST beside them.
//!
//! Names come with a dot or an underscore and leave with a dot. Ids on these sockets are always strings. A
//! call is made, taken and ended by REST; offers, answers and candidates travel by socket.

use serde_json::{Value, json};

use super::fields::{Fields, payload_of};
use super::users::{missing, passed_through, take_call_type};
use super::writer::ObjectWriter;
use super::{Caps, Dialect, Inbound, MAX_TOKEN, Parsed, Reader, read_message};
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{
    Addressee, CallView, Capabilities, Closing, Command, DescriptionKind, Extra, Incoming, Invite, Notice, Payload,
    Phase, Reason, Refusal,
};

/// The largest chat message, in bytes.
const MAX_CHAT: usize = 16 * 1024;

/// What is said in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatKind {
    /// A message.
    Message,
    /// Somebody is writing one.
    Typing,
}

impl ChatKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Typing => "typing",
        }
    }
}

/// Something for the others in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// What it is.
    pub kind: ChatKind,
    /// What its sender put into it, less what only the server says.
    pub fields: Extra,
}

/// Parse and render for pages of this dialect.
#[derive(Debug, Clone, Copy)]
pub struct Channels {
    caps: Caps,
}

impl Channels {
    /// The dialect with these size limits.
    pub fn new(caps: Caps) -> Self {
        Self { caps }
    }

    fn read(&self, kind: &str, mut fields: Fields<'_>, length: usize) -> Result<Inbound, Refusal> {
        let name = kind.replace('.', "_");
        let chat = match name.as_str() {
            "message" => Some(ChatKind::Message),
            "typing" => Some(ChatKind::Typing),
            _ => None,
        };
        if let Some(kind) = chat {
            if length > MAX_CHAT {
                return Err(Refusal::TooLarge(format!("a chat message may have at most {MAX_CHAT} bytes")));
            }
            return Ok(Inbound::Chat(Chat { kind, fields: passed_through(fields) }));
        }
        let command = match name.as_str() {
            "ping" => return Ok(Inbound::Ping),
            "pong" | "heartbeat" => return Ok(Inbound::Alive),
            "token" => {
                let token = fields.text("token", MAX_TOKEN)?;
                return token.map(Inbound::Token).ok_or_else(|| missing("token"));
            }
            "call_offer" => Command::Describe {
                to: addressee(&mut fields)?,
                kind: DescriptionKind::Offer,
                payload: fields.payload("offer", self.caps.max_sdp)?.ok_or_else(|| missing("offer"))?,
                extra: extra(fields),
            },
            "call_answer" => Command::Accept {
                to: addressee(&mut fields)?,
                answer: Some(fields.payload("answer", self.caps.max_sdp)?.ok_or_else(|| missing("answer"))?),
                extra: extra(fields),
            },
            // `null` is how a browser says that no more candidates follow.
            "call_ice" => Command::Candidate {
                to: addressee(&mut fields)?,
                payload: match fields.take_any("candidate") {
                    Some(raw) => payload_of("candidate", raw, self.caps.max_candidate)?,
                    None => return Err(missing("candidate")),
                },
                extra: extra(fields),
            },
            "call_end" => Command::HangUp { to: addressee(&mut fields)? },
            _ => return Err(Refusal::UnknownType(kind.chars().take(64).collect())),
        };
        Ok(Inbound::Command(command))
    }

    /// Reads the body of `POST /api/calls/initiate/`. An empty one is an empty object.
    pub fn initiate(&self, body: &str) -> Result<Invite, Refusal> {
        let mut fields = Fields::parse(if body.trim().is_empty() { "{}" } else { body })?;
        let receiver = match fields.take_any("receiver_id").map(|raw| raw.get()) {
            None | Some("null" | "\"\"" | "0") => return Err(missing("receiver_id")),
            Some(raw) => {
                let value: Value = serde_json::from_str(raw).unwrap_or_default();
                UserId::from_json(&value).map_err(|why| Refusal::Invalid(format!("receiver_id: {why}")))?
            }
        };
        Ok(Invite {
            callees: vec![receiver.into()],
            call_type: take_call_type(&mut fields)?,
            conversation: fields.conversation("conversation_id")?,
            offer: fields.payload("offer", self.caps.max_sdp)?,
            name: fields.person("caller_username", self.caps.max_name_chars)?,
            glare: fields.take("glare").is_some_and(|raw| raw.get() == "true"),
            idempotency_key: fields.retry_key()?,
            extra: passed_through(fields),
        })
    }
}

impl Dialect for Channels {
    fn parse(&self, text: &str) -> Parsed {
        read_message(text, |kind, fields| self.read(kind, fields, text.len()))
    }

    fn render(&self, notice: &Notice, _to: Reader<'_>) -> Option<String> {
        let frame = match notice {
            Notice::Incoming(incoming) => notification(incoming),
            Notice::Description { about, from, kind: DescriptionKind::Offer, payload, extra } => {
                let name = about.caller_name.as_deref().filter(|_| about.caller.user == from.user);
                let kind = Value::from(about.call_type.as_str());
                offer(about.call, &from.user, name, kind, payload, about.conversation.as_ref(), extra)
            }
            Notice::Description { about, from, kind: DescriptionKind::Answer, payload, extra } => {
                answer(about.call, &from.user, payload, extra)
            }
            Notice::Candidate { call, from, payload, extra } => ObjectWriter::typed("call.ice")
                .text("call_id", &call.to_string())
                .payload("candidate", payload)
                .text("from_user_id", from.user.as_str())
                .extra(extra),
            // An attempt that never became a call: the reply to `initiate` told.
            Notice::Closed { call: None, .. } => return None,
            Notice::Closed { call: Some(call), closing, reason, .. } => {
                let reason = match closing {
                    Closing::AnsweredElsewhere => Some("answered_elsewhere"),
                    Closing::DeclinedElsewhere => Some("declined_elsewhere"),
                    Closing::Declined | Closing::Cancelled | Closing::Ended => reason.map(Reason::as_str),
                };
                ObjectWriter::typed("call.end").text("call_id", &call.to_string()).value("reason", reason)
            }
            Notice::Ringing { .. }
            | Notice::Answered { .. }
            | Notice::PeerReconnecting { .. }
            | Notice::PeerResumed { .. }
            | Notice::PeerJoined { .. }
            | Notice::PeerLeft { .. }
            | Notice::NotJoining { .. }
            | Notice::Missed { .. } => return None,
        };
        Some(frame.finish())
    }

    /// A page is told of the call first, and gets the offer as a message of its own.
    fn name(&self) -> &'static str {
        "channels"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { offer_in_invitation: false }
    }
}

/// The first message on every socket.
pub fn ack() -> String {
    ObjectWriter::typed("connection.ack").finish()
}

/// What the sender's other pages in the conversation see of a description sent there; `None` for anything else.
/// Takes the sender's own `call_type` out of what is passed on: the call says it.
pub fn own_copy(
    command: &mut Command,
    sender: &UserId,
    name: Option<&str>,
    conversation: Option<&ConversationId>,
) -> Option<String> {
    let frame = match command {
        Command::Describe { to, kind: DescriptionKind::Offer, payload, extra } => {
            let at = extra.iter().position(|(name, _)| name == "call_type");
            let kind = at.and_then(|at| serde_json::from_str(extra.remove(at).1.get()).ok()).unwrap_or_default();
            offer(to.call?, sender, name, kind, payload, Some(conversation?), extra)
        }
        Command::Accept { to, answer: Some(payload), extra } => {
            conversation?;
            answer(to.call?, sender, payload, extra)
        }
        _ => return None,
    };
    Some(frame.finish())
}

/// Writes something said in a conversation, stamped with who said it.
pub fn said(chat: &Chat, sender: &UserId, name: Option<&str>, conversation: &ConversationId) -> String {
    ObjectWriter::typed(chat.kind.as_str())
        .text("conversation_id", conversation.as_str())
        .text("sender_id", sender.as_str())
        .text("sender_username", name.unwrap_or(sender.as_str()))
        .extra(&chat.fields)
        .finish()
}

fn offer(
    call: CallId,
    sender: &UserId,
    name: Option<&str>,
    call_type: Value,
    payload: &Payload,
    conversation: Option<&ConversationId>,
    extra: &Extra,
) -> ObjectWriter {
    ObjectWriter::typed("call.offer")
        .text("call_id", &call.to_string())
        .text("caller_id", sender.as_str())
        .text("caller_username", name.unwrap_or(sender.as_str()))
        .value("call_type", call_type)
        .payload("offer", payload)
        .value("conversation_id", conversation.map(ConversationId::as_str))
        .extra(extra)
}

fn answer(call: CallId, sender: &UserId, payload: &Payload, extra: &Extra) -> ObjectWriter {
    ObjectWriter::typed("call.answer")
        .text("call_id", &call.to_string())
        .payload("answer", payload)
        .text("receiver_id", sender.as_str())
        .extra(extra)
}

fn notification(Incoming { about, started_at, extra, .. }: &Incoming) -> ObjectWriter {
    let caller = about.caller.user.as_str();
    let name = about.caller_name.as_deref().unwrap_or_default();
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    let actor = ObjectWriter::default()
        .text("id", caller)
        .text("username", about.caller_name.as_deref().unwrap_or(caller))
        .text("first_name", first)
        .text("last_name", last);
    // The seed builds this from the database's own integers, and `call.offer` from texts.
    let payload = ObjectWriter::default()
        .value("id", about.call.get())
        .object("actor", actor)
        .text("verb", &format!("incoming_{}_call", about.call_type.as_str()))
        .value("object_id", about.call.get())
        .value("conversation_id", about.conversation.as_ref().map(ConversationId::to_json))
        .value("timestamp", json!(started_at))
        .extra(extra);
    ObjectWriter::typed("notification.created").object("payload", payload)
}

/// The call a message is about. These messages name no recipient: it is the other one.
fn addressee(fields: &mut Fields<'_>) -> Result<Addressee, Refusal> {
    Ok(Addressee { call: fields.call("call_id")?, user: None })
}

fn extra(mut fields: Fields<'_>) -> Extra {
    // Said by the call, or by whom the service knows to have sent it.
    fields.drop_where(|name| matches!(name, "conversation_id" | "receiver_id"));
    passed_through(fields)
}

/// The word this dialect has for where a call stands.
pub fn status_word(view: &CallView) -> &'static str {
    match (view.phase, view.reason) {
        (Phase::Initiated | Phase::Ringing, _) => "ringing",
        (Phase::Answered, _) => "active",
        (Phase::Ended, Some(Reason::Declined)) => "rejected",
        (Phase::Ended, _) => "ended",
    }
}

/// The reply to `reject`. Of a call that was active already it is the end.
pub fn rejected_json(view: &CallView) -> Value {
    json!({ "status": status_word(view) })
}

/// The reply to `end`. The duration is the service's own.
pub fn ended_json(view: &CallView) -> Value {
    json!({ "status": "ended", "duration": view.duration_seconds })
}

/// A call as the REST of this dialect shows it.
pub fn call_json(view: &CallView) -> Value {
    json!({
        "id": view.id.get(),
        "caller": view.caller.to_json(),
        "receiver": view.callees.first().map(UserId::to_json),
        "call_type": view.call_type.as_str(),
        "conversation_id": view.conversation.as_ref().map(ConversationId::to_json),
        "status": status_word(view),
        "reason": view.reason.map(Reason::as_str),
        "created_at": view.started_at,
        "duration_seconds": view.duration_seconds,
    })
}
