//! Who sent a message is what the service says, and a call is nobody's business but its members'.

use serde_json::{Value, json};

use crate::harness::rest::id;
use crate::harness::socket::{candidate, connect_call, description};
use crate::harness::{Rest, Service, Store};

on_both!(
    no_field_of_any_message_forges_its_sender,
    a_stranger_gets_nothing_out_of_a_calls_number,
    a_stranger_reads_and_changes_nothing_by_rest,
    candidates_of_a_device_that_lost_the_race_go_nowhere,
);

/// Everything by which a message might say who it is from, some of it spelled with escapes.
fn forged(message: &Value) -> String {
    let honest = message.to_string();
    let lies = r#""from_user_id":99,"from_name":"Mallory","from_profile_id":99,"from_profile_type":"tutor","from":99,
        "caller_id":99,"caller_name":"Mallory","caller_username":"Mallory","caller_user_id":99,"sender":99,
        "sender_id":99,"\u0066rom_user_id":98,"caller\u005fid":98,"seq":99,"expires_in_ms":99,"#;
    format!("{{{lies}{}", &honest[1..])
}

#[track_caller]
fn honest(message: &Value, from: &str) {
    assert_eq!(message["from_user_id"], id(from), "{message}");
    let text = message.to_string();
    assert!(!text.contains("99") && !text.contains("98"), "a lie got through: {text}");
}

async fn no_field_of_any_message_forges_its_sender(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let to = |user: i64, kind: &str| json!({ "type": kind, "to_user_id": user, "call_type": "voice" });
    let mut offer = to(2, "call_invitation");
    offer["offer"] = json!({ "sdp": "x" });
    anna.send_text(forged(&offer)).await;
    let invited = ben.expect("call_invitation").await;
    honest(&json!({ "from_user_id": invited["from_user_id"], "caller": invited["caller_id"] }), "1");
    assert!(invited["seq"].is_null() && invited["caller_username"].is_null(), "{invited}");
    assert_ne!(invited["expires_in_ms"], 99);
    let mut answer = to(1, "call_answer");
    answer["answer"] = json!({ "sdp": "x" });
    ben.send_text(forged(&answer)).await;
    honest(&anna.expect("call_answer").await, "2");
    for _ in 0..3 {
        let mut ice = to(2, "ice_candidate");
        ice["candidate"] = json!({ "candidate": "x" });
        anna.send_text(forged(&ice)).await;
        honest(&ben.expect("ice_candidate").await, "1");
    }
    let mut again = to(1, "call_offer");
    again["offer"] = json!({ "sdp": "y" });
    ben.send_text(forged(&again)).await;
    let offered = anna.next_within(crate::harness::PATIENCE).await.expect("an offer");
    honest(&offered, "2");
    ben.send_text(forged(&to(1, "call_ended"))).await;
    honest(&anna.expect("call_ended").await, "2");
    // By REST: the body says who calls, the credentials know better.
    let cleo = service.rest("3");
    let body = json!({ "callee_id": 2, "caller_id": 99, "from_user_id": 99, "user_id": 99, "caller_username": "Mallory",
        "offer": { "sdp": "x" } });
    let call = cleo.post("/api/call/initiate", body).await.ok();
    assert_eq!(ben.expect("call_invitation").await["from_user_id"], 3);
    let signal = json!({ "target_user_id": 2, "from_user_id": 99, "signal": { "type": "ice_candidate", "from_user_id": 99,
        "candidate": { "candidate": "x" } } });
    cleo.post("/api/call/signal", signal).await.ok();
    honest(&ben.expect("ice_candidate").await, "3");
    let record = cleo.record(call["call_id"].as_i64().expect("an id")).await;
    assert_eq!(record["caller_id"], 3);
}

async fn a_stranger_gets_nothing_out_of_a_calls_number(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (mut mallory, mut dan) = (service.socket("66").await, service.socket("67").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    // A call of his own, and then none.
    for own in [false, true] {
        if own {
            connect_call((&mut mallory, "66"), (&mut dan, "67")).await;
        }
        for (to, number) in [(Some(1), Some(call)), (None, Some(call)), (Some(1), None), (Some(2), Some(call + 1000))] {
            for kind in ["call_answer", "ice_candidate", "call_offer", "call_declined", "call_cancelled", "call_ended"]
            {
                let mut message = json!({ "type": kind, "ref": 7, "candidate": candidate(1),
                    "answer": description("answer"), "offer": description("offer") });
                if let Some(to) = to {
                    message["to_user_id"] = to.into();
                }
                if let Some(number) = number {
                    message["call_id"] = number.into();
                }
                mallory.send(message.clone()).await;
                let refused = mallory.expect("error").await;
                assert_eq!((&refused["code"], &refused["ref"]), (&"not_found".into(), &7.into()), "{message}");
                let shown = refused["message"].as_str().expect("a sentence");
                assert!(!shown.contains("ended") && !shown.contains("answered"), "{shown}");
            }
        }
        // An offer that names the call is no new call either.
        mallory.send(json!({ "type": "call_invitation", "call_id": call, "to_user_id": 1, "offer": description("offer"), "ref": 8 })).await;
        assert_eq!(mallory.expect("error").await["code"], "not_found");
    }
    anna.quiet().await;
    ben.quiet().await;
    dan.quiet().await;
    anna.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
    // Within his own call he cannot reach others by naming them.
    let own =
        json!({ "type": "ice_candidate", "to_user_id": 1, "call_id": call + 1, "candidate": candidate(1), "ref": 9 });
    mallory.send(own).await;
    assert_eq!(mallory.expect("error").await["code"], "not_found");
    anna.quiet().await;
}

async fn a_stranger_reads_and_changes_nothing_by_rest(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let mallory = service.rest("66");
    let bodies = |call: i64| {
        [
            ("answer", json!({ "call_id": call, "answer": description("answer") })),
            ("reject", json!({ "call_id": call })),
            ("hangup", json!({ "call_id": call })),
            ("signal", json!({ "call_id": call, "target_user_id": 1, "signal": description("offer") })),
            (
                "signal",
                json!({ "target_user_id": 1, "signal": { "type": "ice_candidate", "candidate": candidate(1) } }),
            ),
        ]
    };
    let probe = async |mallory: &Rest, call: i64| {
        let mut answers = Vec::new();
        for (action, body) in bodies(call) {
            answers.push(mallory.post(&format!("/api/call/{action}"), body).await.refused(404));
        }
        for path in ["", "/events"] {
            answers.push(mallory.get(&format!("/api/calls/{call}{path}")).await.refused(404));
        }
        answers.push(mallory.post(&format!("/api/call/mark-seen/{call}"), json!({})).await.refused(404));
        answers
    };
    // Live, over, and never: a stranger cannot tell which.
    let live = probe(&mallory, call).await;
    let never = probe(&mallory, call + 1000).await;
    anna.quiet().await;
    ben.quiet().await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    assert_eq!(live, never);
    assert_eq!(probe(&mallory, call).await, never);
    let mine = mallory.get("/api/calls").await.ok();
    assert_eq!(mine["calls"], json!([]));
    let peer = mallory.get("/api/calls?peer=1").await.ok();
    assert_eq!(peer["calls"], json!([]));
    assert_eq!(mallory.get("/api/calls?conversation_id=123").await.ok()["calls"], json!([]));
    assert_eq!(mallory.get("/api/call/history/1").await.ok()["history"], json!([]));
    mallory.get("/api/calls?user=1").await.refused(403);
    mallory.get("/api/call/missed?user_id=1").await.refused(403);
    mallory.get("/api/call/missed?all=1").await.refused(403);
    let logs = mallory.get("/api/call-logs/123").await.ok();
    assert!(!logs.to_string().contains("started_at"), "{logs}");
}

async fn candidates_of_a_device_that_lost_the_race_go_nowhere(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let (mut laptop, mut phone) = (service.device("2", "laptop").await, service.device("2", "phone").await);
    anna.invite("2").await;
    laptop.expect("call_invitation").await;
    phone.expect("call_invitation").await;
    // The phone has one on its way already, which belongs to the answer it will not get to give.
    phone.candidate("1", 1).await;
    // Refused, which proves that what came before it was read.
    phone.send(json!({ "type": "call_offer", "to_user_id": 1, "offer": description("offer") })).await;
    assert_eq!(phone.expect("error").await["code"], "out_of_turn");
    laptop.answer("1").await;
    anna.expect("call_answer").await;
    phone.expect("call_ended").await;
    phone.answer("1").await;
    phone.expect("error").await;
    phone.candidate("1", 2).await;
    assert_eq!(phone.expect("error").await["code"], "answered_elsewhere");
    laptop.candidate("1", 3).await;
    assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(3));
    anna.quiet().await;
}
