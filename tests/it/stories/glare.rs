//! Two people call each other at the same moment: one call comes of it, and no missed one.

use futures_util::future::join;

use crate::harness::rest::call_id;
use crate::harness::{Service, Store};

on_both!(
    calling_the_person_who_is_calling_brings_their_call,
    pollers_who_call_each_other_share_one_call,
    a_pair_that_always_calls_at_once_never_gets_stuck,
);

async fn calling_the_person_who_is_calling_brings_their_call(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    // Ben pressed the button just before it rang.
    ben.invite("1").await;
    ben.round_trip().await;
    anna.without("call_invitation").await;
    ben.answer("1").await;
    assert_eq!(call_id(&anna.expect("call_answer").await), call);
    let db = store.open().await;
    assert_eq!(db.outcome(call).await.0, "answered");
    assert_eq!(db.count("call_logs", "WHERE status IN ('initiated', 'ringing', 'answered')").await, 1);
    assert_eq!((service.rest("1").missed().await.1, service.rest("2").missed().await.1), (0, 0));
}

async fn pollers_who_call_each_other_share_one_call(store: Store) {
    let service = Service::start(&store).await;
    let (anna, mut ben) = (service.rest("1"), service.rest("2"));
    anna.heartbeat().await;
    ben.heartbeat().await;
    let (_, call) = anna.initiate("2").await;
    ben.mail("incoming_call").await;
    let second = ben.post("/api/call/initiate", serde_json::json!({ "callee_id": 1 })).await;
    assert!(second.status == 200 || second.status == 409, "{second:?}");
    ben.answer(call).await;
    let db = store.open().await;
    assert_eq!(db.outcome(call).await.0, "answered");
    assert_eq!(db.count("call_logs", "WHERE status IN ('initiated', 'ringing', 'answered')").await, 1);
    assert_eq!((anna.missed().await.1, ben.missed().await.1), (0, 0));
}

async fn a_pair_that_always_calls_at_once_never_gets_stuck(store: Store) {
    let settings = [("LIMITS__INITIATES_PER_MINUTE", "100000"), ("LIMITS__MESSAGE_BURST", "1000")];
    let service = Service::with(&store, &settings).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    for _ in 0..15 {
        join(anna.invite("2"), ben.invite("1")).await;
        anna.round_trip().await;
        ben.round_trip().await;
        // Whoever was second has the other's invitation, and answers it.
        let rung = crate::harness::eventually("one of them is rung", async || {
            if anna.has("call_invitation").await {
                return Some(true);
            }
            ben.has("call_invitation").await.then_some(false)
        })
        .await;
        let (callee, caller, from) = if rung { (&mut anna, &mut ben, "2") } else { (&mut ben, &mut anna, "1") };
        let call = call_id(&callee.expect("call_invitation").await);
        callee.answer(from).await;
        assert_eq!(call_id(&caller.expect("call_answer").await), call);
        callee.hang_up(from).await;
        caller.expect("call_ended").await;
        anna.clear().await;
        ben.clear().await;
    }
    let db = store.open().await;
    assert_eq!(db.count("call_logs", "WHERE status IN ('initiated', 'ringing', 'answered')").await, 0);
    assert_eq!(db.count("call_logs", "WHERE status = 'ended'").await, 15);
    assert_eq!((service.rest("1").missed().await.1, service.rest("2").missed().await.1), (0, 0));
}
