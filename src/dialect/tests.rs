//! Golden frames: the files of `tests/frames`, the code and `docs/PROTOCOL.md` say the same. And what must
//! hold for any input.

mod channels;

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
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
        Inbound::Presence(AboutPresence::Watch(users)) => json!({"command": "watch", "users": users}),
        Inbound::Presence(AboutPresence::Unwatch(users)) => json!({"command": "unwatch", "users": users}),
        Inbound::Presence(AboutPresence::Glance(users)) => json!({"command": "glance", "users": users}),
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

enum Extension {
    /// Written by the dialect, for whoever said hello.
    Notice(Box<Notice>),
    /// Written by the edge.
    Text(String),
    /// None of the extensions.
    None,
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

fn extension(name: &str, frame: &Value) -> Extension {
    let reference = Payload::from_json(&frame["ref"]);
    let seen: crate::clock::Timestamp = "2026-11-21T02:39:39.035624Z".parse().unwrap();
    let (call, voice) = (call(), CallType::Voice);
    Extension::Notice(Box::new(match name {
        "call_ringing" => Notice::Ringing { call, user: user("8"), devices: 2 },
        "call_answered" => Notice::Answered { call, by: user("8") },
        "peer_reconnecting" => Notice::PeerReconnecting { call, user: user("8"), grace_ms: 30_000 },
        "peer_resumed" => Notice::PeerResumed { call, user: user("8") },
        "peer_joined" => Notice::PeerJoined { call, user: user("9") },
        "peer_left" => Notice::PeerLeft { call, user: user("9"), reason: Reason::Declined },
        "missed_call" => {
            Notice::Missed { call, from: user("7"), name: Some("Ada".into()), call_type: voice, reason: Reason::Busy }
        }
        "welcome" => {
            let seen = CallSeen { view: view(Phase::Ringing, None, CallType::Video), expires_in_ms: Some(30_000) };
            let welcome = extensions::Welcome {
                session: "1f0c5a2be8d24a0a9c6f0d5b7c3e9a41".into(),
                recovered: false,
                seq: 0,
                heartbeat_ms: 10_000,
                ice_servers: json!([{ "urls": ["stun:stun.example.com:3478"] }]),
                calls: Some(vec![seen]),
                unseen_missed: Some(2),
            };
            return Extension::Text(extensions::welcome(&welcome, None));
        }
        "ack" => {
            let call = view(Phase::Ended, Some(Reason::Busy), voice);
            return Extension::Text(extensions::ack(&reference, Some(&call)));
        }
        "presence_snapshot" => {
            let entries = [
                extensions::presence_entry(&user("8"), "online", Some(seen), 1_795_228_779_035_625),
                extensions::presence_entry(&user("9"), "offline", None, 0),
            ];
            let entries = entries.iter().map(String::as_str);
            return Extension::Text(extensions::presence_snapshot(entries, Some(&reference)));
        }
        "presence_changed" => {
            let entry = extensions::presence_entry(&user("8"), "in_call", Some(seen), 1_795_228_779_035_626);
            return Extension::Text(extensions::presence_changed(std::iter::once(entry.as_str())));
        }
        "server_draining" => return Extension::Text(extensions::server_draining()),
        "pong_numbered" => return Extension::Text(extensions::numbered(users().pong(), 17)),
        _ => return Extension::None,
    }))
}

#[test]
fn golden_frames_of_users_are_what_the_code_reads_and_writes() {
    for golden in golden("users") {
        if golden.inbound {
            let parsed = users().parse(&golden.frame());
            assert_eq!(inbound_reads_as(&parsed.inbound.unwrap()), golden.doc["reads_as"], "{}", golden.name);
            continue;
        }
        let reference = Payload::from_json(&json!("m-5"));
        let written = match golden.name.as_str() {
            "pong" => users().pong(),
            "error" => users().error(&Refusal::RateLimited(Duration::from_millis(1500)), Some(&reference)),
            "call_declined" => users()
                .render(&closed("8", Closing::Declined, Reason::Busy, CallType::Voice, 0), Reader::plain(&user("7")))
                .unwrap(),
            "call_cancelled" => {
                let notice = closed("7", Closing::Cancelled, Reason::NoAnswer, CallType::Voice, 0);
                users().render(&notice, Reader::plain(&user("8"))).unwrap()
            }
            name => match extension(name, &golden.doc["frame"]) {
                Extension::Notice(notice) => {
                    assert!(users().render(&notice, Reader::plain(&user("1"))).is_none(), "{name}");
                    users().render(&notice, Reader { user: &user("1"), extended: true }).unwrap()
                }
                Extension::Text(text) => text,
                Extension::None => users().render(&notice(name).expect(name), Reader::plain(&user("1"))).unwrap(),
            },
        };
        assert_eq!(written, golden.frame(), "{}", golden.name);
    }
}

/// A notice as it is, but from this party.
fn sent_by(mut notice: Notice, party: Party) -> Notice {
    match &mut notice {
        Notice::Incoming(incoming) => incoming.about.caller = party,
        Notice::Description { from, .. } | Notice::Candidate { from, .. } => *from = party,
        Notice::Closed { peer, .. } => *peer = party,
        other => panic!("{other:?}"),
    }
    notice
}

fn as_profile(id: &str, kind: &str, profile: &str) -> Party {
    Party { user: user(id), profile: Some(Profile { kind: kind.into(), id: profile.into() }) }
}

#[test]
fn golden_frames_of_profiles_are_what_the_code_reads_and_writes() {
    let (tutor, student) = (as_profile("7", "tutor", "1"), as_profile("8", "student", "2"));
    let voice = CallType::Voice;
    let ringing = || match incoming(voice, true, true, vec![]) {
        Notice::Incoming(mut incoming) => {
            incoming.about.conversation = Some(ConversationId::parse("123").unwrap());
            Notice::Incoming(incoming)
        }
        other => other,
    };
    for golden in golden("profiles") {
        if golden.inbound {
            for dialect in [profiles(), users()] {
                let parsed = dialect.parse(&golden.frame());
                assert_eq!(inbound_reads_as(&parsed.inbound.unwrap()), golden.doc["reads_as"], "{}", golden.name);
            }
            continue;
        }
        let notice = match golden.name.as_str() {
            "call_invitation" => sent_by(ringing(), student.clone()),
            "call_invitation_from_user" => sent_by(ringing(), user("7").into()),
            "call_answer" => sent_by(described("7", DescriptionKind::Answer, "answer"), tutor.clone()),
            "call_offer" => sent_by(described("7", DescriptionKind::Offer, "offer"), tutor.clone()),
            "ice_candidate" => sent_by(candidate(), student.clone()),
            "ice_candidate_from_user" => candidate(),
            "call_declined" => sent_by(closed("7", Closing::Declined, Reason::Declined, voice, 0), tutor.clone()),
            "call_cancelled" => sent_by(closed("8", Closing::Cancelled, Reason::Cancelled, voice, 0), student.clone()),
            "call_ended" => sent_by(closed("8", Closing::Ended, Reason::Completed, voice, 45), student.clone()),
            name => panic!("{name}"),
        };
        assert_eq!(profiles().render(&notice, Reader::plain(&user("1"))).unwrap(), golden.frame(), "{}", golden.name);
        if !golden.name.ends_with("_from_user") {
            // A profile that calls is named as such to users as well.
            assert_eq!(users().render(&notice, Reader::plain(&user("1"))).unwrap(), golden.frame(), "{}", golden.name);
        }
    }
}

#[test]
fn golden_messages_of_pollers_are_what_the_code_reads_and_writes() {
    let view = |phase, reason| CallView {
        id: call(),
        caller: user("7"),
        callees: vec![user("8")],
        phase,
        reason,
        call_type: CallType::Voice,
        conversation: None,
        started_at: chrono::DateTime::UNIX_EPOCH,
        duration_seconds: 0,
    };
    for golden in golden("polling") {
        if golden.inbound {
            let path = golden.doc["where"].as_str().unwrap();
            let action = Action::parse(path.rsplit('/').next().unwrap()).unwrap();
            let command = polling().parse(action, &golden.frame()).unwrap();
            assert_eq!(reads_as(&command), golden.doc["reads_as"], "{}", golden.name);
            continue;
        }
        let item =
            |notice: &Notice| polling().render(notice).unwrap().render(golden.doc["frame"]["id"].as_u64().unwrap());
        let written = match golden.name.as_str() {
            "reply_ringing" => polling::initiate_reply(&view(Phase::Ringing, None), &user("7")).to_string(),
            "reply_busy" => polling::initiate_reply(&view(Phase::Ended, Some(Reason::Busy)), &user("7")).to_string(),
            "reply_offline" => {
                polling::initiate_reply(&view(Phase::Ended, Some(Reason::Offline)), &user("7")).to_string()
            }
            "reply_refused" => Refusal::CallEnded(Reason::Cancelled).to_json().to_string(),
            "call_declined" => item(&closed("8", Closing::Declined, Reason::Declined, CallType::Voice, 0)),
            "call_cancelled" => item(&closed("7", Closing::Cancelled, Reason::Cancelled, CallType::Voice, 0)),
            name => item(&notice(name).expect(name)),
        };
        assert_eq!(written, golden.frame(), "{}", golden.name);
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

#[test]
fn what_a_client_says_about_the_sender_is_dropped() {
    let text = r#"{"type":"ice_candidate","from_user_id":1,"from_name":"x","caller_username":"x","caller_id":2,
        "seq":1,"expires_in_ms":9,"candidate":1,"room":3}"#;
    let Ok(Inbound::Command(Command::Candidate { extra, .. })) = users().parse(text).inbound else { panic!() };
    assert_eq!(extra, [("room".to_owned(), Payload::from_json(&json!(3)))]);
}

#[test]
fn sizes_and_types_are_refused_with_a_reason() {
    let refused = |text: &str| users().parse(text).inbound.unwrap_err();
    assert_eq!(refused(r#"{"type":"call_invitation"}"#), Refusal::NoRecipient);
    assert_eq!(refused(r#"{"type":"call_invitation","to_user_ids":[]}"#), Refusal::NoRecipient);
    assert_eq!(refused(r#"{"type":"dance"}"#), Refusal::UnknownType("dance".into()));
    for text in [
        "",
        "{",
        "[]",
        "7",
        r#"{"no":"type"}"#,
        r#"{"type":7}"#,
        r#"{"type":"call_answer"}"#,
        r#"{"type":"ice_candidate"}"#,
        r#"{"type":"call_offer","offer":null}"#,
        r#"{"type":"call_ended","call_id":"x"}"#,
        r#"{"type":"call_ended","to_user_id":{}}"#,
        r#"{"type":"call_invitation","to_user_id":8,"call_type":"smell"}"#,
    ] {
        assert!(matches!(refused(text), Refusal::Invalid(_)), "{text}");
    }
    let long = |field: &str, n: usize| {
        format!(r#"{{"type":"call_invitation","to_user_id":8,"candidate":1,"{field}":"{}"}}"#, "x".repeat(n))
    };
    assert!(matches!(refused(&long("offer", 32 * 1024)), Refusal::TooLarge(_)));
    assert!(matches!(refused(&long("from_name", 129)), Refusal::TooLarge(_)));
    assert!(users().parse(&long("from_name", 128)).inbound.is_ok());
    let refused = users().parse(r#"{"type":"call_answer","ref":7}"#);
    assert_eq!(refused.reference.unwrap().get(), "7");
}

#[test]
fn what_one_dialect_sends_the_other_can_use() {
    let to = |inbound: Command| match inbound {
        Command::Candidate { payload, extra, .. } => {
            Notice::Candidate { call: call(), from: user("7").into(), payload, extra }
        }
        Command::Describe { kind, payload, extra, .. } => {
            Notice::Description { about: about(), from: user("7").into(), kind, payload, extra }
        }
        other => panic!("{other:?}"),
    };
    for signal in [
        json!({"type": "ice_candidate", "candidate": {"candidate": "c", "sdpMid": "0"}, "note": 1}),
        json!({"type": "ice_candidate", "candidate": "c", "sdpMid": "0"}),
        json!({"type": "offer", "sdp": "v=0", "note": [1]}),
    ] {
        let command = polling().parse(Action::Signal, &json!({"signal": signal}).to_string()).unwrap();
        let notice = to(command);
        let item: Value = serde_json::from_str(&polling().render(&notice).unwrap().render(1)).unwrap();
        assert_eq!(item["signal"], signal, "poller to poller: as it was sent");
        let frame: Value = serde_json::from_str(&users().render(&notice, Reader::plain(&user("8"))).unwrap()).unwrap();
        assert!(frame["offer"]["sdp"] == "v=0" || frame["candidate"]["candidate"] == "c", "{frame}");
    }
    let Ok(Inbound::Command(bare)) = users().parse(r#"{"type":"call_offer","offer":"v=0"}"#).inbound else { panic!() };
    let item: Value = serde_json::from_str(&polling().render(&to(bare)).unwrap().render(1)).unwrap();
    assert_eq!(item["signal"], json!({"type": "offer", "sdp": "v=0"}));
}

#[test]
fn a_poller_is_told_of_the_call_without_the_offer_and_is_spared_the_rest() {
    let notice = incoming(CallType::Voice, false, false, vec![("id".into(), sdp("x"))]);
    let item: Value = serde_json::from_str(&polling().render(&notice).unwrap().render(9)).unwrap();
    assert_eq!((&item["type"], &item["id"]), (&json!("incoming_call"), &json!(9)));
    assert!(polling().render(&Notice::PeerResumed { call: call(), user: user("7") }).is_none());
}

/// Any JSON of a few levels.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Objects that look like messages but for what is in their fields.
fn any_message() -> impl Strategy<Value = Value> {
    let kinds = [
        "call_invitation",
        "call.offer",
        "call.ice",
        "message",
        "call_answer",
        "ice_candidate",
        "call_ended",
        "token",
        "resume",
        "presence_subscribe",
        "dance",
    ];
    let names = [
        "to_user_id",
        "to_user_ids",
        "to_profile_id",
        "to_profile_type",
        "offer",
        "answer",
        "candidate",
        "call_id",
        "conversation_id",
        "from_name",
        "call_type",
        "glare",
        "capabilities",
        "ref",
        "signal",
        "user_ids",
        "session_id",
        "seq",
        "callee_id",
        "x",
    ];
    let field = (prop::sample::select(names.to_vec()), prop_oneof![any_json(), Just(json!(8)), Just(json!("8"))]);
    (prop::sample::select(kinds.to_vec()), prop::collection::vec(field, 0..8)).prop_map(|(kind, fields)| {
        let mut message = serde_json::Map::new();
        message.insert("type".into(), kind.into());
        message.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Value::Object(message)
    })
}

fn is_json_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, Value>>(text).is_ok()
}

/// Reads a text every way there is; whatever was understood is written every way there is.
fn go_round(text: &str) {
    let mut commands = Vec::new();
    let parsed = users().parse(text);
    match parsed.inbound {
        Ok(Inbound::Command(command)) => commands.push(command),
        Ok(_) => {}
        Err(refusal) => assert!(is_json_object(&users().error(&refusal, parsed.reference.as_ref()))),
    }
    let parsed = channels::dialect().parse(text);
    match parsed.inbound {
        Ok(Inbound::Command(command)) => commands.push(command),
        Ok(_) => {}
        Err(refusal) => assert!(is_json_object(&channels::dialect().error(&refusal, parsed.reference.as_ref()))),
    }
    commands.extend(channels::dialect().initiate(text).map(Command::Invite).ok());
    for action in [Action::Initiate, Action::Answer, Action::Reject, Action::Hangup, Action::Signal] {
        commands.extend(polling().parse(action, text).ok());
    }
    for command in commands {
        let from = Party::from(user("7"));
        let notice = match command {
            Command::Candidate { payload, extra, .. } => Notice::Candidate { call: call(), from, payload, extra },
            Command::Describe { kind, payload, extra, .. } => {
                Notice::Description { about: about(), from, kind, payload, extra }
            }
            Command::Invite(invite) | Command::BringIn { invite, .. } => Notice::Incoming(Incoming {
                about: About {
                    call: call(),
                    caller: from,
                    caller_name: invite.name,
                    call_type: invite.call_type,
                    conversation: invite.conversation,
                },
                offer: invite.offer,
                started_at: chrono::DateTime::UNIX_EPOCH,
                rings_until: chrono::DateTime::UNIX_EPOCH,
                expires_in_ms: 1,
                participants: vec![user("7"), user("8")],
                extra: invite.extra,
            }),
            _ => continue,
        };
        for dialect in [users(), profiles()] {
            assert!(is_json_object(&dialect.render(&notice, Reader::plain(&user("8"))).unwrap()));
        }
        assert!(is_json_object(&channels::dialect().render(&notice, Reader::plain(&user("8"))).unwrap()));
        assert!(polling().render(&notice).iter().all(|item| is_json_object(&item.render(1))));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in ".{0,200}") {
        go_round(&text);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        go_round(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_json_is_read_without_panic_and_what_is_written_is_json(value in any_json()) {
        go_round(&value.to_string());
    }

    #[test]
    fn any_message_is_read_without_panic_and_what_is_written_is_json(value in any_message()) {
        go_round(&value.to_string());
    }

    #[test]
    fn unknown_fields_survive(name in "[a-z\"\\\\é]{1,8}", value in any_json()) {
        let name = format!("x_{name}");
        let mut message = json!({"type": "call_invitation", "to_user_id": 8, "offer": {"sdp": "v=0"}});
        message[&name] = value.clone();
        let Ok(Inbound::Command(Command::Invite(invite))) = users().parse(&message.to_string()).inbound else { panic!() };
        let frame = users().render(&incoming(CallType::Voice, false, true, invite.extra), Reader::plain(&user("8"))).unwrap();
        // As text: a number is passed through digit by digit.
        let raw = Fields::parse(&frame).unwrap().take_any(&name).unwrap().get().to_owned();
        prop_assert_eq!(raw, value.to_string());
    }
}
