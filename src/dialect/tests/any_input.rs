//! What must hold for any input: nothing panics, and what is written is JSON.

use proptest::prelude::*;

use super::*;

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
        "admin_subscribe",
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
