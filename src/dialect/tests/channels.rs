//! The same for pages of the channels dialect.

use super::*;
use crate::dialect::channels::{Channels, ack, call_json, ended_json, own_copy, rejected_json, said};

pub(super) fn dialect() -> Channels {
    Channels::new(Caps::default())
}

fn view(phase: Phase, reason: Option<Reason>, duration_seconds: i64) -> CallView {
    CallView {
        id: call(),
        caller: user("7"),
        callees: vec![user("8")],
        phase,
        reason,
        call_type: CallType::Video,
        conversation: ConversationId::parse("12").ok(),
        started_at: chrono::DateTime::UNIX_EPOCH,
        duration_seconds,
    }
}

fn in_conversation(from: &str, kind: DescriptionKind) -> Notice {
    let about = About {
        call: call(),
        caller: user("7").into(),
        caller_name: Some("Ada Lovelace".into()),
        call_type: CallType::Video,
        conversation: ConversationId::parse("12").ok(),
    };
    let name = if kind == DescriptionKind::Offer { "offer" } else { "answer" };
    Notice::Description { about, from: user(from).into(), kind, payload: sdp(name), extra: vec![] }
}

fn written(name: &str) -> String {
    let render = |notice: &Notice| dialect().render(notice, Reader::plain(&user("8"))).unwrap();
    let in_twelve = ConversationId::parse("12").unwrap();
    match name {
        "connection_ack" => ack(),
        "pong" => dialect().pong(),
        "error" => dialect().error(&Refusal::Invalid("offer is required".into()), None),
        "notification_created" => {
            let Notice::Incoming(mut incoming) = incoming(CallType::Video, true, false, vec![]) else { panic!() };
            incoming.about.caller_name = Some("Ada Lovelace".into());
            render(&Notice::Incoming(incoming))
        }
        "call_offer" => render(&in_conversation("7", DescriptionKind::Offer)),
        "call_answer" => render(&in_conversation("8", DescriptionKind::Answer)),
        "call_ice" => render(&candidate()),
        "call_end" => render(&closed("7", Closing::Ended, Reason::Completed, CallType::Video, 45)),
        "call_end_elsewhere" => render(&closed("7", Closing::AnsweredElsewhere, Reason::Completed, CallType::Video, 0)),
        "message" => {
            let text = r#"{"type":"message","content":"hello","sender_id":"9","sender_username":"Eve"}"#;
            let Ok(Inbound::Chat(chat)) = dialect().parse(text).inbound else { panic!() };
            said(&chat, &user("7"), Some("Ada Lovelace"), &in_twelve)
        }
        "reply_initiate" => call_json(&view(Phase::Ringing, None, 0)).to_string(),
        "reply_offline" => call_json(&view(Phase::Ended, Some(Reason::Offline), 0)).to_string(),
        "reply_accept" => call_json(&view(Phase::Answered, None, 0)).to_string(),
        "reply_reject" => rejected_json(&view(Phase::Ended, Some(Reason::Declined), 0)).to_string(),
        "reply_end" => ended_json(&view(Phase::Ended, Some(Reason::Completed), 45)).to_string(),
        "reply_refused" => Refusal::Forbidden("You are not the receiver of this call".into()).to_json().to_string(),
        _ => panic!("{name}"),
    }
}

#[test]
fn golden_frames_of_channels_are_what_the_code_reads_and_writes() {
    for golden in golden("channels") {
        if golden.name == "initiate" {
            let invite = dialect().initiate(&golden.frame()).unwrap();
            assert_eq!(reads_as(&Command::Invite(invite)), golden.doc["reads_as"]);
        } else if golden.inbound {
            let parsed = dialect().parse(&golden.frame());
            assert_eq!(inbound_reads_as(&parsed.inbound.unwrap()), golden.doc["reads_as"], "{}", golden.name);
        } else {
            assert_eq!(written(&golden.name), golden.frame(), "{}", golden.name);
        }
    }
}

#[test]
fn every_golden_frame_of_channels_stands_in_the_protocol_document() {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROTOCOL.md")).unwrap();
    for golden in golden("channels") {
        let pretty = serde_json::to_string_pretty(&golden.doc["frame"]).unwrap();
        assert!(document.contains(&pretty), "{} is not in docs/PROTOCOL.md", golden.name);
    }
}

#[test]
fn names_come_with_a_dot_or_an_underscore() {
    for name in ["call.end", "call_end"] {
        let text = json!({"type": name, "call_id": "41"}).to_string();
        let Ok(Inbound::Command(Command::HangUp { to })) = dialect().parse(&text).inbound else { panic!("{name}") };
        assert_eq!(to.call, Some(call()));
    }
}

#[test]
fn the_senders_copy_is_what_the_receiver_sees() {
    let in_twelve = ConversationId::parse("12").unwrap();
    for (text, notice) in [
        (
            json!({"type": "call.offer", "call_id": "41", "call_type": "video", "offer": {"type": "offer", "sdp": "v=0\r\n"}}),
            in_conversation("7", DescriptionKind::Offer),
        ),
        (
            json!({"type": "call.answer", "call_id": "41", "answer": {"type": "answer", "sdp": "v=0\r\n"}}),
            in_conversation("7", DescriptionKind::Answer),
        ),
    ] {
        let Ok(Inbound::Command(mut command)) = dialect().parse(&text.to_string()).inbound else { panic!() };
        let copy = own_copy(&mut command, &user("7"), Some("Ada Lovelace"), Some(&in_twelve));
        assert_eq!(copy, dialect().render(&notice, Reader::plain(&user("8"))));
        let (Command::Describe { extra, .. } | Command::Accept { extra, .. }) = command else { panic!() };
        assert!(extra.is_empty(), "what the call says itself is not passed on");
        assert!(own_copy(&mut Command::HangUp { to: Addressee::default() }, &user("7"), None, None).is_none());
    }
}

#[test]
fn a_receiver_that_is_nobody_is_no_receiver() {
    for body in ["", "{}", r#"{"receiver_id":null}"#, r#"{"receiver_id":""}"#, r#"{"receiver_id":0}"#] {
        assert_eq!(dialect().initiate(body).unwrap_err().to_string(), "receiver_id is required", "{body}");
    }
    assert!(dialect().initiate(r#"{"receiver_id":[8]}"#).is_err());
}
