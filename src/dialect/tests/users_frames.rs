//! Golden frames of the users dialect with its extensions, and what it refuses.

use super::*;

enum Extension {
    /// Written by the dialect, for whoever said hello.
    Notice(Box<Notice>),
    /// Written by the edge.
    Text(String),
    /// None of the extensions.
    None,
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
        "admin_changed" => return Extension::Text(extensions::admin_changed(&["calls", "users", "missed"])),
        "server_draining" => return Extension::Text(extensions::server_draining()),
        "pong_numbered" => return Extension::Text(extensions::numbered(&users().pong(), 17)),
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
