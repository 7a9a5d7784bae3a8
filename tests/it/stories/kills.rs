//! `kill -9` at each point of one call: what was said before stays true after.

use serde_json::json;

use crate::harness::rest::call_id;
use crate::harness::socket::connect_call;
use crate::harness::{Service, Store, eventually};

on_both!(
    killed_before_the_offer_the_call_becomes_final,
    killed_while_ringing_and_nobody_back_it_becomes_final,
    killed_right_after_the_answer_both_find_their_call,
    killed_right_after_the_hang_up_the_other_is_told,
);

const LIVE: &str = "WHERE status IN ('initiated', 'ringing', 'answered')";

async fn killed_before_the_offer_the_call_becomes_final(store: Store) {
    let mut service = Service::with(&store, &[("CALL__OFFER_TIMEOUT", "2s")]).await;
    let (anna, mut ben) = (service.rest("1"), service.socket("2").await);
    anna.heartbeat().await;
    let (status, call) = anna.initiate("2").await;
    assert_eq!(status, "ringing");
    ben.without("call_invitation").await;
    service.restart().await;
    let (anna, mut ben) = (service.rest("1"), service.socket("2").await);
    assert_eq!(store.open().await.count("call_logs", "").await, 1);
    let record = anna.final_record(call).await;
    assert!(record["reason"] == "failed" || record["reason"] == "cancelled", "{record}");
    assert!(record["answered_at"].is_null());
    ben.without("call_invitation").await;
    // Nobody is busy.
    anna.heartbeat().await;
    connect_call((&mut service.device("3", "x").await, "3"), (&mut ben, "2")).await;
}

async fn killed_while_ringing_and_nobody_back_it_becomes_final(store: Store) {
    let mut service = Service::with(&store, &[("CALL__RING_TIMEOUT", "20s"), ("CALL__CALLER_GRACE", "1s")]).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    service.restart().await;
    let record = service.rest("1").final_record(call).await;
    assert_eq!(record["reason"], "cancelled", "the caller was gone first");
    assert_eq!(service.rest("2").missed().await.1, 1);
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    assert_eq!(store.open().await.count("call_logs", LIVE).await, 1);
}

async fn killed_right_after_the_answer_both_find_their_call(store: Store) {
    let mut service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.device("1", "laptop").await, service.device("2", "phone").await);
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    ben.answer("1").await;
    anna.expect("call_answer").await;
    service.restart().await;
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    eventually("they are in it", async || {
        let rest = service.rest("9");
        (rest.status_of("1").await == "in_call" && rest.status_of("2").await == "in_call").then_some(())
    })
    .await;
    // A third one finds her busy, and the two can end it.
    let mut cleo = service.socket("3").await;
    cleo.invite("1").await;
    assert_eq!(cleo.expect("call_declined").await["reason"], "busy");
    ben.send(json!({ "type": "call_ended", "call_id": call })).await;
    assert_eq!(call_id(&anna.expect("call_ended").await), call);
    let record = service.rest("1").final_record(call).await;
    assert_eq!(record["reason"], "completed");
}

async fn killed_right_after_the_hang_up_the_other_is_told(store: Store) {
    let mut service = Service::start(&store).await;
    let (anna, mut ben) = (service.rest("1"), service.device("2", "phone").await);
    anna.heartbeat().await;
    let offer = json!({ "callee_id": 2, "offer": { "type": "offer", "sdp": "x" } });
    let call = call_id(&anna.post("/api/call/initiate", offer).await.ok());
    ben.expect("call_invitation").await;
    ben.answer("1").await;
    eventually("it is answered", async || (anna.status_of("2").await == "in_call").then_some(())).await;
    // Ben's socket is gone when she hangs up, so he has yet to be told; then the service is killed.
    ben.vanish();
    store.open().await.until_lost(1).await;
    anna.hangup(call).await;
    service.restart().await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    let (anna, mut ben) = (service.rest("1"), service.device("2", "phone").await);
    // Nothing is relayed into it any more; whoever asks by its number is told the truth.
    ben.send(json!({ "type": "ice_candidate", "call_id": call, "candidate": {}, "ref": 1 })).await;
    let refused = ben.expect("error").await;
    assert_eq!(refused["code"], "not_found");
    let late = service.rest("2").post("/api/call/hangup", json!({ "call_id": call })).await.refused(409);
    assert_eq!((&late["code"], &late["reason"]), (&"call_ended".into(), &"completed".into()));
    // She ended it, and may say so again: her first request's answer may have been lost.
    assert_eq!(anna.hangup(call).await["status"], "completed");
    assert_eq!(store.open().await.count("call_logs", LIVE).await, 0);
    anna.heartbeat().await;
    let mut cleo = service.socket("3").await;
    connect_call((&mut cleo, "3"), (&mut ben, "2")).await;
}
