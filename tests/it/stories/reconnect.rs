//! Connections break; calls need not.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::rest::call_id;
use crate::harness::socket::connect_call;
use crate::harness::{Service, Store, eventually};

on_both!(
    back_within_the_grace_the_call_goes_on,
    gone_for_good_the_call_is_dropped_as_of_the_moment_of_loss,
    a_callee_whose_page_reloads_is_rung_again,
    a_caller_who_vanishes_while_ringing_cancels,
    a_callee_who_vanishes_while_ringing_is_rung_until_the_timer,
    a_reloaded_page_that_calls_again_starts_a_new_call,
);

async fn back_within_the_grace_the_call_goes_on(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;

    ben.vanish();
    // What is sent while he is away is for a device that is away; what counts is after.
    anna.round_trip().await;
    let mut ben = service.device("2", "phone").await;
    ben.candidate("1", 7).await;
    anna.expect("ice_candidate").await;
    anna.candidate("2", 8).await;
    ben.expect("ice_candidate").await;
    anna.without("call_ended").await;
    ben.without("call_ended").await;
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
    ben.hang_up("1").await;
    anna.expect("call_ended").await;
    assert_eq!(store.open().await.outcome(call).await.0, "ended");
}

async fn gone_for_good_the_call_is_dropped_as_of_the_moment_of_loss(store: Store) {
    let grace = Duration::from_secs(3);
    let service = Service::with(&store, &[("CALL__RECONNECT_GRACE", "3s")]).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;

    let lost = Instant::now();
    ben.vanish();
    let ended = anna.expect("call_ended").await;
    assert!(lost.elapsed() >= grace - Duration::from_millis(200), "dropped after {:?}", lost.elapsed());
    assert_eq!((&ended["reason"], call_id(&ended)), (&"dropped".into(), call));
    anna.quiet().await;
    let record = service.rest("1").final_record(call).await;
    assert_eq!((&record["status"], &record["reason"]), (&"ended".into(), &"dropped".into()));
    // They were connected for an instant; the grace is not part of the call.
    assert!(record["duration_seconds"].as_i64().is_some_and(|seconds| seconds < 3), "{record}");
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "dropped".to_owned()));
    eventually("both are free", async || (service.rest("9").status_of("1").await == "online").then_some(())).await;
}

async fn a_callee_whose_page_reloads_is_rung_again(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut ben = service.device("2", "phone").await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    ben.close().await;
    let mut ben = service.device("2", "phone").await;
    let again = ben.expect("call_invitation").await;
    assert_eq!(call_id(&again), call);
    assert!(again["expires_in_ms"].as_u64().is_some_and(|left| left < 30_000), "{again}");
    ben.answer("1").await;
    anna.expect("call_answer").await;
}

async fn a_caller_who_vanishes_while_ringing_cancels(store: Store) {
    let service = Service::with(&store, &[("CALL__CALLER_GRACE", "1s")]).await;
    let anna = service.device("1", "laptop").await;
    let mut ben = service.socket("2").await;
    let mut anna = anna;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    anna.vanish();
    ben.expect("call_cancelled").await;
    ben.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("cancelled".to_owned(), "missed".to_owned()));
    assert_eq!(service.rest("2").missed().await.1, 1);
}

async fn a_callee_who_vanishes_while_ringing_is_rung_until_the_timer(store: Store) {
    let service = Service::with(&store, &[("CALL__RING_TIMEOUT", "2s")]).await;
    let mut anna = service.socket("1").await;
    let mut ben = service.device("2", "phone").await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    ben.vanish();
    assert_eq!(anna.expect("call_ended").await["reason"], "no_answer");
    assert_eq!(store.open().await.outcome(call).await, ("missed".to_owned(), "missed".to_owned()));
    assert_eq!(service.rest("2").missed().await.1, 1);
}

async fn a_reloaded_page_that_calls_again_starts_a_new_call(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let first = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    ben.close().await;
    let mut ben = service.device("2", "phone").await;
    // His page has forgotten the call, so what he sends is a new one.
    ben.invite("1").await;
    let second = call_id(&anna.expect("call_invitation").await);
    assert_ne!(first, second);
    assert_eq!(service.rest("1").final_record(first).await["reason"], "dropped");
    anna.answer("2").await;
    ben.expect("call_answer").await;
    assert_eq!(store.open().await.outcome(second).await.0, "answered");
}
