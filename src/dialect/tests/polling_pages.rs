//! Golden messages of pollers, and what passes between them and sockets.

use super::*;

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
