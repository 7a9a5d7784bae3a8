//! The service goes away and comes back; calls are still there, and nobody is stuck in one.

use std::time::Duration;

use serde_json::json;

use crate::harness::rest::call_id;
use crate::harness::socket::connect_call;
use crate::harness::{Service, Store, within};

on_both!(
    an_answered_call_goes_on_after_a_restart,
    an_answered_call_nobody_comes_back_to_is_dropped,
    a_ringing_call_rings_on_after_a_restart,
    a_ring_that_ran_out_during_the_restart_ends_unanswered,
    missed_calls_and_last_seen_survive_a_restart,
    asked_to_stop_it_takes_no_new_call_and_lets_live_ones_end,
);

async fn an_answered_call_goes_on_after_a_restart(store: Store) {
    let mut service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;

    service.restart().await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
    assert_eq!(service.rest("9").status_of("1").await, "in_call");
    anna.hang_up("2").await;
    assert_eq!(call_id(&ben.expect("call_ended").await), call);
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    connect_call((&mut ben, "2"), (&mut anna, "1")).await;
}

async fn an_answered_call_nobody_comes_back_to_is_dropped(store: Store) {
    let mut service = Service::with(&store, &[("CALL__RESTART_GRACE", "1s")]).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    service.restart().await;
    let record = service.rest("1").final_record(call).await;
    assert_eq!(record["reason"], "dropped");
    assert!(record["duration_seconds"].as_i64().is_some_and(|seconds| (0..=5).contains(&seconds)), "{record}");
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.clear().await;
    ben.clear().await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
}

async fn a_ringing_call_rings_on_after_a_restart(store: Store) {
    let mut service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    service.restart().await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let again = ben.expect("call_invitation").await;
    assert_eq!(call_id(&again), call);
    ben.answer("1").await;
    assert_eq!(call_id(&anna.expect("call_answer").await), call);
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
}

async fn a_ring_that_ran_out_during_the_restart_ends_unanswered(store: Store) {
    let mut service = Service::with(&store, &[("CALL__RING_TIMEOUT", "1s"), ("CALL__CALLER_GRACE", "20s")]).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    service.kill9().await;
    // Nobody is there to tell when the ring has run out, so this waits for the time itself.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    service.start_again().await;
    assert_eq!(service.rest("1").final_record(call).await["reason"], "no_answer");
    let (missed, unseen) = service.rest("2").missed().await;
    assert_eq!((missed.len(), unseen), (1, 1));
}

async fn missed_calls_and_last_seen_survive_a_restart(store: Store) {
    let mut service = Service::start(&store).await;
    let anna = service.rest("1");
    anna.heartbeat().await;
    let (_, call) = anna.initiate("2").await;
    service.terminate().await;
    assert!(service.exited().await.success());
    service.start_again().await;
    let (missed, unseen) = service.rest("2").missed().await;
    assert_eq!((missed.len(), unseen), (1, 1));
    assert_eq!(missed[0]["id"], call);
    let body = service.rest("2").get("/api/status/user/1").await.ok();
    assert!(body["last_seen"].is_string(), "{body}");
    assert_eq!(body["status"], "offline");
}

async fn asked_to_stop_it_takes_no_new_call_and_lets_live_ones_end(store: Store) {
    let mut service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let (cleo, dora) = (service.rest("3"), service.rest("4"));
    cleo.heartbeat().await;
    dora.heartbeat().await;

    service.terminate().await;
    within(crate::harness::PATIENCE, "new calls get 503", async || {
        let answer = cleo.post("/api/call/initiate", json!({ "callee_id": 4 })).await;
        if answer.status == 503 {
            Some(answer.refused(503))
        } else {
            cleo.post("/api/call/hangup", json!({})).await;
            None
        }
    })
    .await;
    anna.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    ben.expect_close(1012).await;
    assert!(service.exited().await.success());
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}
