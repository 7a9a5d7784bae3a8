//! The polling dialect: clients that only speak REST and fetch what they are told.
//!
//! Bodies of `/api/call/*` become commands; notices become the items of `GET /api/call/signals`. A
//! description travels inside as `{type, sdp}` and a candidate as the browser's own object, so that clients
//! of the other dialects understand what a poller sends.

use serde_json::Value;

use super::fields::{Fields, payload_of};
use super::users::take_call_type;
use super::writer::ObjectWriter;
use super::{Caps, is_servers_own};
use crate::ids::{CallId, UserId};
use crate::signal::{
    Addressee, CallView, Capabilities, Closing, Command, DescriptionKind, Extra, Incoming, Invite, Notice, Party,
    Payload, Phase, Reason, Refusal,
};

/// What a path under `/api/call/` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `initiate`
    Initiate,
    /// `answer`
    Answer,
    /// `reject`
    Reject,
    /// `hangup`
    Hangup,
    /// `signal`
    Signal,
}

impl Action {
    /// The action with that last path segment.
    pub fn parse(segment: &str) -> Option<Self> {
        match segment {
            "initiate" => Some(Self::Initiate),
            "answer" => Some(Self::Answer),
            "reject" => Some(Self::Reject),
            "hangup" => Some(Self::Hangup),
            "signal" => Some(Self::Signal),
            _ => None,
        }
    }
}

/// One entry of `GET /api/call/signals`, before the mailbox has numbered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    body: String,
}

impl Item {
    fn new(body: ObjectWriter) -> Self {
        Self { body: body.finish() }
    }

    /// The item's JSON with its number.
    pub fn render(&self, id: u64) -> String {
        format!("{{\"id\":{id},{}", self.body.get(1..).unwrap_or("}"))
    }
}

/// Parse and render for polling clients.
#[derive(Debug, Clone, Copy)]
pub struct Polling {
    caps: Caps,
}

impl Polling {
    /// The dialect with these size limits.
    pub fn new(caps: Caps) -> Self {
        Self { caps }
    }

    /// What a polling device can do: it fetches offers as signals of their own.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities { offer_in_invitation: false }
    }

    /// Reads a body. An empty one is an empty object.
    pub fn parse(&self, action: Action, body: &str) -> Result<Command, Refusal> {
        let mut fields = Fields::parse(if body.trim().is_empty() { "{}" } else { body })?;
        match action {
            Action::Initiate => self.initiate(fields),
            Action::Answer => Ok(Command::Accept {
                to: addressee(&mut fields)?,
                answer: fields.payload("answer", self.caps.max_sdp)?,
                extra: passed_through(fields),
            }),
            Action::Reject => Ok(Command::Decline { to: addressee(&mut fields)? }),
            Action::Hangup => Ok(Command::HangUp { to: addressee(&mut fields)? }),
            Action::Signal => self.signal(fields),
        }
    }

    fn initiate(&self, mut fields: Fields<'_>) -> Result<Command, Refusal> {
        let call = fields.call("call_id")?;
        let callee = first_user(&mut fields, &["callee_id", "target_user_id", "to_user_id", "user_id"])?;
        let mut callees: Vec<Party> = callee.into_iter().map(Party::from).collect();
        for user in fields.users("callee_ids")? {
            if !callees.iter().any(|known| known.user == user) {
                callees.push(user.into());
            }
        }
        if callees.is_empty() {
            return Err(Refusal::Invalid("callee_id is required".to_owned()));
        }
        let invite = Invite {
            callees,
            call_type: take_call_type(&mut fields)?,
            conversation: fields.conversation("conversation_id")?,
            offer: fields.payload("offer", self.caps.max_sdp)?,
            name: fields.person("caller_name", self.caps.max_name_chars)?,
            glare: fields.take("glare").is_some_and(|raw| raw.get() == "true"),
            idempotency_key: fields.retry_key()?,
            extra: passed_through(fields),
        };
        Ok(match call {
            Some(call) => Command::BringIn { call, invite },
            None => Command::Invite(invite),
        })
    }

    fn signal(&self, mut fields: Fields<'_>) -> Result<Command, Refusal> {
        let to = addressee(&mut fields)?;
        let raw = fields.take("signal").ok_or_else(|| Refusal::Invalid("signal is required".to_owned()))?;
        let mut signal =
            Fields::parse(raw.get()).map_err(|_| Refusal::Invalid("signal must be a JSON object".to_owned()))?;
        let kind = signal.text("type", 32)?.unwrap_or_default();
        let kind = match kind.as_str() {
            "offer" => DescriptionKind::Offer,
            "answer" => DescriptionKind::Answer,
            "ice_candidate" | "candidate" | "ice-candidate" => {
                let (payload, extra) = self.candidate(raw, signal)?;
                return Ok(Command::Candidate { to, payload, extra });
            }
            _ => return Err(Refusal::Invalid("signal.type must be offer, answer or ice_candidate".to_owned())),
        };
        let payload = payload_of("signal", raw, self.caps.max_sdp)?;
        Ok(Command::Describe { to, kind, payload, extra: passed_through(fields) })
    }

    /// The browser's candidate object: nested in the signal, or the signal's own fields.
    fn candidate(
        &self,
        raw: &serde_json::value::RawValue,
        mut signal: Fields<'_>,
    ) -> Result<(Payload, Extra), Refusal> {
        let max = self.caps.max_candidate;
        match signal.take_any("candidate") {
            None => Err(Refusal::Invalid("signal.candidate is required".to_owned())),
            Some(inner) if inner.get().starts_with('"') => Ok((payload_of("signal", raw, max)?, Extra::new())),
            Some(inner) => Ok((payload_of("signal.candidate", inner, max)?, passed_through(signal))),
        }
    }

    /// Writes a notice as the item a poller fetches; `None` where this dialect does not tell that.
    ///
    /// The offer is an item of its own: a device of this dialect gets it as a description.
    pub fn render(&self, notice: &Notice) -> Option<Item> {
        let closing = |name: &str, call: Option<i64>, reason: Option<&str>| {
            Some(Item::new(ObjectWriter::typed(name).value("call_id", call).value("reason", reason)))
        };
        match notice {
            Notice::Incoming(Incoming { about, expires_in_ms, participants, extra, .. }) => {
                let mut item = ObjectWriter::typed("incoming_call")
                    .reserve("id")
                    .value("call_id", about.call.get())
                    .user("caller_id", &about.caller.user)
                    .value("caller_name", about.caller_name.as_deref())
                    .text("call_type", about.call_type.as_str())
                    .value("expires_in_ms", *expires_in_ms);
                if !participants.is_empty() {
                    item = item.value("participants", participants.iter().map(UserId::to_json).collect::<Vec<_>>());
                }
                Some(Item::new(item.extra(extra)))
            }
            Notice::NotJoining { call, user, reason, .. } => Some(Item::new(
                ObjectWriter::typed("call_declined")
                    .value("call_id", call.get())
                    .text("reason", reason.as_str())
                    .user("user_id", &user.user),
            )),
            Notice::Answered { call, .. } => closing("call_answered", Some(call.get()), None),
            Notice::Description { about, from, kind, payload, extra: _ } => {
                Some(signal_item(from, about.call, description(*kind, payload)))
            }
            Notice::Candidate { call, from, payload, extra } => {
                Some(signal_item(from, *call, candidate(payload, extra)))
            }
            // An attempt that never became a call: the reply to `initiate` told.
            Notice::Closed { call: None, .. } => None,
            Notice::Closed { call: Some(call), closing: how, reason, .. } => {
                let reason = reason.map(Reason::as_str);
                let call = Some(call.get());
                match how {
                    Closing::Declined => closing("call_declined", call, reason),
                    Closing::Cancelled => closing("call_cancelled", call, reason),
                    Closing::Ended => closing("call_ended", call, reason),
                    Closing::AnsweredElsewhere => closing("call_ended", call, Some("answered_elsewhere")),
                    Closing::DeclinedElsewhere => closing("call_ended", call, Some("declined_elsewhere")),
                }
            }
            Notice::Ringing { .. }
            | Notice::PeerReconnecting { .. }
            | Notice::PeerResumed { .. }
            | Notice::PeerJoined { .. }
            | Notice::PeerLeft { .. }
            | Notice::Missed { .. } => None,
        }
    }
}

fn signal_item(from: &Party, call: CallId, signal: ObjectWriter) -> Item {
    Item::new(
        ObjectWriter::typed("signal")
            .user("from_user_id", &from.user)
            .value("call_id", call.get())
            .object("signal", signal),
    )
}

/// A description as a signal: its fields as sent, its `type` made sure of.
fn description(kind: DescriptionKind, payload: &Payload) -> ObjectWriter {
    let name = match kind {
        DescriptionKind::Offer => "offer",
        DescriptionKind::Answer => "answer",
    };
    match Fields::parse(payload.get()) {
        Ok(fields) => ObjectWriter::typed(name).extra(&fields.into_extra()),
        // Another dialect's client sent the bare SDP text.
        Err(_) => ObjectWriter::typed(name).payload("sdp", payload),
    }
}

/// A candidate as a signal, in the form it was sent.
fn candidate(payload: &Payload, extra: &Extra) -> ObjectWriter {
    let signal = ObjectWriter::typed("ice_candidate");
    if let Ok(mut fields) = Fields::parse(payload.get())
        && fields.take("type").is_some()
    {
        return signal.extra(&fields.into_extra());
    }
    signal.payload("candidate", payload).extra(extra)
}

fn first_user(fields: &mut Fields<'_>, names: &[&str]) -> Result<Option<UserId>, Refusal> {
    let mut found = None;
    for name in names {
        let user = fields.user(name)?;
        found = found.or(user);
    }
    Ok(found)
}

fn addressee(fields: &mut Fields<'_>) -> Result<Addressee, Refusal> {
    let call = fields.call("call_id")?;
    Ok(Addressee { call, user: first_user(fields, &["target_user_id", "to_user_id", "user_id"])? })
}

fn passed_through(mut fields: Fields<'_>) -> Extra {
    fields.drop_where(is_servers_own);
    fields.into_extra()
}

/// The word a poller reads for where a call stands: `ringing`, `busy`, `offline`, `answered`, or why it ended.
pub fn status_word(view: &CallView) -> &'static str {
    match (view.phase, view.reason) {
        (Phase::Initiated | Phase::Ringing, _) => "ringing",
        (Phase::Answered, _) => "answered",
        (Phase::Ended, Some(reason)) => reason.as_str(),
        (Phase::Ended, None) => "ended",
    }
}

/// The reply to `initiate` for `caller`: `{success, status, call_id, message}`.
///
/// Where the person called was calling the caller, it is that call which comes back, and it is theirs.
pub fn initiate_reply(view: &CallView, caller: &UserId) -> Value {
    let theirs = view.caller != *caller && view.phase == Phase::Ringing;
    let status = if theirs { "busy" } else { status_word(view) };
    let message = match status {
        _ if theirs => "User is calling you",
        "ringing" => "Calling",
        "busy" => "User is unavailable",
        "offline" => "User is offline",
        "answered" => "Call answered",
        _ => "Call ended",
    };
    serde_json::json!({"success": true, "status": status, "call_id": view.id.get(), "message": message})
}

/// The reply to `answer`, `reject` and `hangup`.
pub fn call_reply(view: &CallView) -> Value {
    serde_json::json!({
        "success": true, "status": status_word(view), "call_id": view.id.get(),
        "duration_seconds": view.duration_seconds,
    })
}

/// The reply to `signal`.
pub fn relayed_reply() -> Value {
    serde_json::json!({"success": true})
}
