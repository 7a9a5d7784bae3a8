//! The users dialect: browsers on `/ws/{user_id}`.
//!
//! Names come with a dot or an underscore and leave with an underscore. A client may leave `call_id` out;
//! the server always says it, beside the fields such clients know.

use std::borrow::Cow;

use serde_json::Value;

use super::fields::Fields;
use super::profiles::Naming;
use super::writer::ObjectWriter;
use super::{
    Caps, Dialect, Inbound, MAX_TOKEN, Parsed, Reader, extensions, is_servers_own, read_message, take_addressee,
    take_recipient,
};
use crate::ids::UserId;
use crate::signal::{
    Addressee, CallType, Capabilities, Closing, Command, DescriptionKind, Incoming, Invite, Notice, Party, Payload,
    Refusal,
};

/// Parse and render for user sockets.
#[derive(Debug, Clone, Copy)]
pub struct Users {
    caps: Caps,
    naming: Naming,
}

impl Users {
    /// The dialect with these size limits.
    pub fn new(caps: Caps) -> Self {
        Self::naming(caps, Naming::Users)
    }

    /// The dialect with another way to say who sent a message.
    pub(super) fn naming(caps: Caps, naming: Naming) -> Self {
        Self { caps, naming }
    }

    fn read(&self, kind: &str, mut fields: Fields<'_>) -> Result<Inbound, Refusal> {
        let name = if kind.contains('.') { Cow::Owned(kind.replace('.', "_")) } else { Cow::Borrowed(kind) };
        let command = match &*name {
            "ping" => return Ok(Inbound::Ping),
            "pong" | "heartbeat" => return Ok(Inbound::Alive),
            "token" => {
                let token = fields.text("token", MAX_TOKEN)?;
                return token.map(Inbound::Token).ok_or_else(|| missing("token"));
            }
            "call_invitation" => self.invitation(fields)?,
            "call_offer" => self.description(fields)?,
            "call_answer" => {
                let to = take_addressee(&mut fields)?;
                let answer = fields.payload("answer", self.caps.max_sdp)?;
                // Who was rung without an offer, in a group, joins without an answer.
                if answer.is_none() && to.call.is_none() {
                    return Err(missing("answer"));
                }
                Command::Accept { to, answer, extra: passed_through(fields) }
            }
            // `null` is how a browser says that no more candidates follow, so only absence is a mistake.
            "ice_candidate" => Command::Candidate {
                to: take_addressee(&mut fields)?,
                payload: match fields.take_any("candidate") {
                    Some(raw) => super::fields::payload_of("candidate", raw, self.caps.max_candidate)?,
                    None => return Err(missing("candidate")),
                },
                extra: passed_through(fields),
            },
            "call_declined" => Command::Decline { to: take_addressee(&mut fields)? },
            "call_cancelled" | "call_ended" => Command::HangUp { to: take_addressee(&mut fields)? },
            _ => {
                let unknown = || Err(Refusal::UnknownType(kind.chars().take(64).collect()));
                return extensions::read(&name, &mut fields).unwrap_or_else(unknown);
            }
        };
        Ok(Inbound::Command(command))
    }

    /// An invitation. With a `call_id` it is one into that call, and where it names nobody an offer within it.
    fn invitation(&self, mut fields: Fields<'_>) -> Result<Command, Refusal> {
        let call = fields.call("call_id")?;
        let mut callees: Vec<Party> = take_recipient(&mut fields)?.into_iter().collect();
        for user in fields.users("to_user_ids")? {
            if !callees.iter().any(|known| known.user == user) {
                callees.push(user.into());
            }
        }
        if call.is_some() && callees.is_empty() {
            return self.offer(Addressee { call, user: None }, fields);
        }
        if callees.is_empty() {
            return Err(Refusal::NoRecipient);
        }
        let invite = Invite {
            callees,
            call_type: take_call_type(&mut fields)?,
            conversation: fields.conversation("conversation_id")?,
            offer: fields.payload("offer", self.caps.max_sdp)?,
            name: fields.person("from_name", self.caps.max_name_chars)?,
            glare: take_glare(&mut fields),
            idempotency_key: fields.retry_key()?,
            extra: passed_through(fields),
        };
        Ok(match call {
            Some(call) => Command::BringIn { call, invite },
            None => Command::Invite(invite),
        })
    }

    fn description(&self, mut fields: Fields<'_>) -> Result<Command, Refusal> {
        let to = take_addressee(&mut fields)?;
        self.offer(to, fields)
    }

    fn offer(&self, to: Addressee, mut fields: Fields<'_>) -> Result<Command, Refusal> {
        let payload = fields.payload("offer", self.caps.max_sdp)?.ok_or_else(|| missing("offer"))?;
        Ok(Command::Describe { to, kind: DescriptionKind::Offer, payload, extra: passed_through(fields) })
    }
}

impl Dialect for Users {
    fn parse(&self, text: &str) -> Parsed {
        read_message(text, |kind, fields| self.read(kind, fields))
    }

    fn render(&self, notice: &Notice, to: Reader<'_>) -> Option<String> {
        let frame = match notice {
            Notice::Incoming(incoming) => invitation(self.naming, incoming),
            Notice::Description { about, from, kind, payload, extra } => {
                let (name, field) = match kind {
                    DescriptionKind::Offer => ("call_offer", "offer"),
                    DescriptionKind::Answer => ("call_answer", "answer"),
                };
                self.naming
                    .sender(ObjectWriter::typed(name), from)
                    .payload(field, payload)
                    .value("call_id", about.call.get())
                    .extra(extra)
            }
            Notice::Candidate { call, from, payload, extra } => self
                .naming
                .candidate_sender(ObjectWriter::typed("ice_candidate"), from)
                .payload("candidate", payload)
                .value("call_id", call.get())
                .extra(extra),
            Notice::Closed { call, peer, closing, reason, call_type, duration_seconds } => {
                let reason = reason.map(|reason| reason.as_str());
                let (name, reason) = match closing {
                    Closing::Declined => ("call_declined", reason),
                    Closing::Cancelled => ("call_cancelled", reason),
                    Closing::Ended => ("call_ended", reason),
                    Closing::AnsweredElsewhere => ("call_ended", Some("answered_elsewhere")),
                    Closing::DeclinedElsewhere => ("call_ended", Some("declined_elsewhere")),
                };
                let mut frame = self
                    .naming
                    .sender(ObjectWriter::typed(name), peer)
                    .text("call_type", call_type.as_str())
                    .value("reason", reason);
                if name == "call_ended" {
                    frame = frame.value("duration_seconds", *duration_seconds);
                }
                frame.value("call_id", call.map(|call| call.get()))
            }
            // In a group that goes on it says one member will not come; the end of the call is `call_ended`.
            Notice::NotJoining { call, user, call_type, reason } => self
                .naming
                .sender(ObjectWriter::typed("call_declined"), user)
                .text("call_type", call_type.as_str())
                .text("reason", reason.as_str())
                .value("call_id", call.get()),
            // Extensions: only a socket that said hello is told these.
            Notice::Ringing { .. }
            | Notice::Answered { .. }
            | Notice::PeerReconnecting { .. }
            | Notice::PeerResumed { .. }
            | Notice::PeerJoined { .. }
            | Notice::PeerLeft { .. }
            | Notice::Missed { .. } => {
                return to.extended.then(|| extensions::notice(notice)).flatten();
            }
        };
        Some(frame.finish())
    }

    fn name(&self) -> &'static str {
        match self.naming {
            Naming::Users => "users",
            Naming::Profiles => "profiles",
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { offer_in_invitation: true }
    }
}

fn invitation(naming: Naming, incoming: &Incoming) -> ObjectWriter {
    let Incoming { about, offer, expires_in_ms, participants, extra, .. } = incoming;
    let mut frame = naming
        .sender(ObjectWriter::typed("call_invitation"), &about.caller)
        .value("from_name", about.caller_name.as_deref())
        .text("call_type", about.call_type.as_str())
        .value("conversation_id", about.conversation.as_ref().map_or(Value::Null, |id| id.to_json()));
    if let Some(offer) = offer {
        frame = frame.payload("offer", offer);
    }
    frame = frame.value("call_id", about.call.get()).value("expires_in_ms", *expires_in_ms);
    if !participants.is_empty() {
        frame = frame.value("participants", participants.iter().map(UserId::to_json).collect::<Vec<_>>());
    }
    frame.extra(extra)
}

pub(super) fn missing(name: &str) -> Refusal {
    Refusal::Invalid(format!("{name} is required"))
}

pub(super) fn passed_through(mut fields: Fields<'_>) -> Vec<(String, Payload)> {
    fields.drop_where(is_servers_own);
    fields.into_extra()
}

/// `call_type`, voice where absent.
pub(super) fn take_call_type(fields: &mut Fields<'_>) -> Result<CallType, Refusal> {
    match fields.text("call_type", 16)? {
        None => Ok(CallType::default()),
        Some(text) => {
            CallType::parse(&text).ok_or_else(|| Refusal::Invalid("call_type must be voice or video".to_owned()))
        }
    }
}

/// `glare: true`, or `glare` among the `capabilities`.
fn take_glare(fields: &mut Fields<'_>) -> bool {
    let said = fields.take("glare").is_some_and(|raw| raw.get() == "true");
    let listed = fields.take("capabilities").is_some_and(|raw| {
        serde_json::from_str::<Vec<String>>(raw.get()).is_ok_and(|names| names.iter().any(|name| name == "glare"))
    });
    said || listed
}
