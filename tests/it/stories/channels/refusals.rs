//! Every no a page can get, and what is no error at all.

use reqwest::Method;
use serde_json::{Value, json};

use super::{act, answer, chat, ice, id_of, initiate, notifications, offer};
use crate::harness::rest::Answer;
use crate::harness::{Service, Store};

on_both!(
    every_no_by_rest_has_its_code_and_its_text,
    busy_and_offline_are_calls_that_ended,
    the_same_again_is_fine_and_anything_else_is_too_late,
    what_a_page_may_not_say_is_refused_on_its_socket,
);

async fn every_no_by_rest_has_its_code_and_its_text(store: Store) {
    let service = Service::start(&store).await;
    let (_anna, _ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let (anna, ben, carl) = (service.rest("1"), service.rest("2"), service.rest("3"));
    let says = |answer: Answer, status: u16, text: &str, code: &str| {
        let body = answer.refused(status);
        assert_eq!((&body["error"], &body["code"]), (&json!(text), &json!(code)));
    };
    for body in [json!({}), json!({ "receiver_id": null }), json!({ "receiver_id": "" })] {
        let path = "/api/calls/initiate";
        says(anna.post(path, body).await, 400, "receiver_id is required", "invalid");
    }
    let stranger = anna.post("/api/calls/initiate/", json!({ "receiver_id": 77 })).await;
    says(stranger, 404, "Receiver not found", "not_found");
    let own = anna.post("/api/calls/initiate/", json!({ "receiver_id": 1 })).await;
    says(own, 400, "you cannot call yourself", "self_call");
    for action in ["accept", "reject", "end"] {
        for call in ["4711", "x"] {
            says(act(&anna, call, action).await, 404, "Call not found", "not_found");
        }
    }
    let call = id_of(&initiate(&anna, json!(2), "voice").await);
    for action in ["accept", "reject"] {
        for who in [&anna, &carl] {
            says(act(who, &call, action).await, 403, "You are not the receiver of this call", "forbidden");
        }
    }
    says(act(&carl, &call, "end").await, 403, "You are not part of this call", "forbidden");
    let body = json!({ "receiver_id": 3 });
    // 3 has no page, but 4 has: the caller is engaged, whoever it calls.
    let _dora = notifications(&service, "4").await;
    says(anna.post("/api/calls/initiate/", body).await, 404, "Receiver not found", "not_found");
    let busy = anna.post("/api/calls/initiate/", json!({ "receiver_id": 4 })).await;
    says(busy, 409, "you are in another call", "caller_busy");
    // It still rings, untouched by all of this.
    assert_eq!(act(&ben, &call, "accept").await.ok()["status"], "active");
    assert_eq!(anna.send(anna.request(Method::GET, "/api/calls/initiate/")).await.status, 405);
    assert_eq!(anna.get("/api/calls/").await.ok()["calls"].as_array().map(Vec::len), Some(1));
    assert_eq!(anna.get(&format!("/api/calls/{call}")).await.ok()["call"]["status"], "answered");
}

async fn busy_and_offline_are_calls_that_ended(store: Store) {
    let service = Service::with(&store, &[("LIMITS__INITIATES_PER_MINUTE", "1000")]).await;
    let (_anna, ben, mut carl) =
        (notifications(&service, "1").await, notifications(&service, "2").await, notifications(&service, "3").await);
    let ended = |call: &Value, reason: &str| {
        assert_eq!((&call["status"], &call["reason"]), (&json!("ended"), &json!(reason)), "{call}");
    };
    service.rest("3").post("/api/status/update", json!({ "status": "busy" })).await.ok();
    ended(&initiate(&service.rest("1"), json!(3), "voice").await, "busy");
    carl.quiet().await;
    ben.close().await;
    // Known, but not there.
    let offline = crate::harness::eventually("2 is gone", async || {
        let call = initiate(&service.rest("1"), json!(2), "voice").await;
        if call["status"] == "ringing" {
            act(&service.rest("1"), &id_of(&call), "end").await.ok();
        }
        (call["status"] == "ended").then_some(call)
    })
    .await;
    ended(&offline, "offline");
}

async fn the_same_again_is_fine_and_anything_else_is_too_late(store: Store) {
    let service = Service::start(&store).await;
    let (_one, _two) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let (anna, ben) = (service.rest("1"), service.rest("2"));
    let made = initiate(&anna, json!(2), "voice").await;
    assert_eq!(id_of(&initiate(&anna, json!(2), "voice").await), id_of(&made), "a retry is no second call");
    let call = id_of(&made);
    for _ in 0..2 {
        assert_eq!(act(&ben, &call, "reject").await.ok(), json!({ "status": "rejected" }));
    }
    for (who, action) in [(&ben, "accept"), (&anna, "end")] {
        let body = act(who, &call, action).await.refused(409);
        assert_eq!((&body["code"], &body["reason"]), (&json!("call_ended"), &json!("declined")));
    }
    let call = id_of(&initiate(&anna, json!(2), "voice").await);
    for _ in 0..2 {
        assert_eq!(act(&ben, &call, "accept").await.ok()["status"], "active");
    }
    let ended = act(&anna, &call, "end").await.ok();
    assert_eq!(ended["status"], "ended");
    assert_eq!(act(&anna, &call, "end").await.ok(), ended);
    act(&ben, &call, "reject").await.refused(409);
}

async fn what_a_page_may_not_say_is_refused_on_its_socket(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, chat(&service, "2", "12").await);
    let mut carl = chat(&service, "3", "12").await;
    anna.send(json!({ "type": "ping" })).await;
    assert_eq!(anna.expect("pong").await, json!({ "type": "pong" }));
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    // In the conversation, but not in the call.
    for message in [offer(&call, "voice"), answer(&call), ice(&call, 1), json!({ "type": "call.end", "call_id": call })]
    {
        let late = message["type"] == "call.end";
        carl.send(message).await;
        if !late {
            assert_eq!(carl.expect("error").await["code"], "not_found");
        }
    }
    anna.send(json!({ "type": "call.offer", "call_id": call })).await;
    assert_eq!(anna.expect("error").await["message"], "offer is required");
    anna.send(json!({ "type": "call.dance" })).await;
    assert_eq!(anna.expect("error").await["code"], "unknown_type");
    ben.expect("notification.created").await;
    ben.quiet().await;
    carl.quiet().await;
    anna.quiet().await;
}
