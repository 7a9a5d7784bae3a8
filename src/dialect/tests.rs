//! Golden frames: the files of `tests/frames`, the code and `docs/PROTOCOL.md` say the same. And what must
//! hold for any input.

mod any_input;
mod channels;
mod polling_pages;
mod profiles_frames;
mod users_frames;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::polling::{self, Action, Polling};
use super::profiles::profiles as of_profiles;
use super::users::Users;
use super::*;
use crate::ids::{CallId, ConversationId};
use crate::signal::{
    About, CallSeen, CallType, CallView, Closing, DescriptionKind, Extra, Incoming, Party, Phase, Reason,
};

struct Golden {
    name: String,
    inbound: bool,
    doc: Value,
}

impl Golden {
    fn frame(&self) -> String {
        self.doc["frame"].to_string()
    }
}

fn golden(dialect: &str) -> Vec<Golden> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames").join(dialect);
    let mut found: Vec<Golden> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| {
            let doc: Value = serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
            Golden { name: doc["name"].as_str().unwrap().to_owned(), inbound: doc["direction"] == "in", doc }
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() > 10);
    found
}

fn users() -> Users {
    Users::new(Caps::default())
}

fn profiles() -> Users {
    of_profiles(Caps::default())
}

fn polling() -> Polling {
    Polling::new(Caps::default())
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn call() -> CallId {
    CallId::new(41).unwrap()
}

/// A command as the golden frames describe it.
fn reads_as(command: &Command) -> Value {
    let raw = |payload: &Payload| serde_json::from_str::<Value>(payload.get()).unwrap();
    let names = |extra: &Extra| extra.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let to_call = |to: &Addressee| json!(to.call.map(CallId::get));
    let to_user = |to: &Addressee| json!(to.user);
    match command {
        Command::BringIn { call, invite } => {
            let mut said = reads_as(&Command::Invite(invite.clone()));
            said["command"] = json!("bring_in");
            said["call"] = json!(call.get());
            said
        }
        Command::Invite(invite) => json!({
            "command": "invite", "callees": invite.callees.iter().map(ToString::to_string).collect::<Vec<_>>(), "call_type": invite.call_type.as_str(),
            "conversation": invite.conversation, "payload": invite.offer.as_ref().map(raw), "name": invite.name,
            "glare": invite.glare, "extra": names(&invite.extra),
        }),
        Command::Accept { to, answer, extra } => json!({
            "command": "accept", "call": to_call(to), "user": to_user(to), "payload": answer.as_ref().map(raw),
            "extra": names(extra),
        }),
        Command::Decline { to } => json!({"command": "decline", "call": to_call(to), "user": to_user(to)}),
        Command::HangUp { to } => json!({"command": "hang_up", "call": to_call(to), "user": to_user(to)}),
        Command::Describe { to, kind, payload, extra } => json!({
            "command": "describe", "kind": kind, "call": to_call(to), "user": to_user(to), "payload": raw(payload),
            "extra": names(extra),
        }),
        Command::Candidate { to, payload, extra } => json!({
            "command": "candidate", "call": to_call(to), "user": to_user(to), "payload": raw(payload),
            "extra": names(extra),
        }),
    }
}

fn inbound_reads_as(inbound: &Inbound) -> Value {
    match inbound {
        Inbound::Command(command) => reads_as(command),
        Inbound::Ping => json!({"command": "ping"}),
        Inbound::Alive => json!({"command": "alive"}),
        Inbound::Token(_) => json!({"command": "token"}),
        Inbound::Hello => json!({"command": "hello"}),
        Inbound::Resume { session, seq } => json!({"command": "resume", "session": session, "seq": seq}),
        Inbound::Inquiry(Inquiry::Watch(users)) => json!({"command": "watch", "users": users}),
        Inbound::Inquiry(Inquiry::Unwatch(users)) => json!({"command": "unwatch", "users": users}),
        Inbound::Inquiry(Inquiry::Glance(users)) => json!({"command": "glance", "users": users}),
        Inbound::Inquiry(Inquiry::Follow) => json!({"command": "follow"}),
        Inbound::Inquiry(Inquiry::Unfollow) => json!({"command": "unfollow"}),
        Inbound::Chat(chat) => {
            let names: Vec<&String> = chat.fields.iter().map(|(name, _)| name).collect();
            json!({"command": "chat", "kind": chat.kind.as_str(), "extra": names})
        }
    }
}

fn closed(peer: &str, closing: Closing, reason: Reason, call_type: CallType, duration_seconds: i64) -> Notice {
    Notice::Closed {
        call: Some(call()),
        peer: user(peer).into(),
        closing,
        reason: Some(reason),
        call_type,
        duration_seconds,
    }
}

fn sdp(kind: &str) -> Payload {
    Payload::from_json(&json!({"type": kind, "sdp": "v=0\r\n"}))
}

fn incoming(call_type: CallType, conversation: bool, offer: bool, extra: Extra) -> Notice {
    Notice::Incoming(Incoming {
        about: About {
            call: call(),
            caller: user("7").into(),
            caller_name: Some("Ada".into()),
            call_type,
            conversation: conversation.then(|| ConversationId::parse("12").unwrap()),
        },
        offer: offer.then(|| sdp("offer")),
        started_at: chrono::DateTime::UNIX_EPOCH,
        rings_until: chrono::DateTime::UNIX_EPOCH,
        expires_in_ms: 30_000,
        participants: Vec::new(),
        extra,
    })
}

fn about() -> About {
    let (caller, call_type) = (user("7").into(), CallType::Voice);
    About { call: call(), caller, caller_name: None, call_type, conversation: None }
}

fn described(from: &str, kind: DescriptionKind, name: &str) -> Notice {
    Notice::Description { about: about(), from: user(from).into(), kind, payload: sdp(name), extra: vec![] }
}

fn candidate() -> Notice {
    let payload = Payload::from_json(&json!({
        "candidate": "candidate:1 1 udp 2122260223 192.0.2.1 54400 typ host", "sdpMid": "0", "sdpMLineIndex": 0,
    }));
    Notice::Candidate { call: call(), from: user("7").into(), payload, extra: vec![] }
}

/// The notice behind a golden outbound message, where there is one.
fn notice(name: &str) -> Option<Notice> {
    let voice = CallType::Voice;
    Some(match name {
        "call_invitation" => {
            incoming(CallType::Video, true, true, vec![("ringtone".into(), Payload::from_json(&json!("bell")))])
        }
        "incoming_call" => incoming(voice, false, false, vec![]),
        "call_invitation_group" | "incoming_call_group" => {
            let Notice::Incoming(one) = incoming(voice, false, name == "call_invitation_group", vec![]) else {
                panic!()
            };
            Notice::Incoming(Incoming { participants: vec![user("7"), user("8"), user("9")], ..one })
        }
        "call_declined_group" => {
            Notice::NotJoining { call: call(), user: user("8").into(), call_type: voice, reason: Reason::Busy }
        }
        "call_answer" | "signal_answer" => described("8", DescriptionKind::Answer, "answer"),
        "call_offer" => described("8", DescriptionKind::Offer, "offer"),
        "signal_offer" => described("7", DescriptionKind::Offer, "offer"),
        "ice_candidate" | "signal_candidate" => candidate(),
        "call_answered" => Notice::Answered { call: call(), by: user("8") },
        "call_ended" => closed("7", Closing::Ended, Reason::Completed, CallType::Video, 45),
        "call_ended_elsewhere" => closed("7", Closing::AnsweredElsewhere, Reason::Completed, voice, 0),
        _ => return None,
    })
}

fn view(phase: Phase, reason: Option<Reason>, call_type: CallType) -> CallView {
    CallView {
        id: call(),
        caller: user("7"),
        callees: vec![user("8")],
        phase,
        reason,
        call_type,
        conversation: ConversationId::parse("12").ok(),
        started_at: chrono::DateTime::UNIX_EPOCH,
        duration_seconds: 0,
    }
}

#[test]
fn every_golden_frame_stands_in_the_protocol_document() {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROTOCOL.md")).unwrap();
    for golden in ["users", "profiles", "polling"].into_iter().flat_map(golden) {
        let pretty = serde_json::to_string_pretty(&golden.doc["frame"]).unwrap();
        assert!(document.contains(&pretty), "{} is not in docs/PROTOCOL.md", golden.name);
    }
}
