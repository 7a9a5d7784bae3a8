//! The three scenarios of the call-log seed (A cancel, B answer and end, C decline) between two
//! browsers, with what both see and what is written down.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call, description};
use crate::harness::{Service, Store};

on_both!(
    cancelled_while_ringing_stops_the_callees_ring,
    an_answered_call_is_recorded_with_its_duration,
    declined_tells_the_caller_and_nobody_has_missed_anything,
    ending_before_an_answer_is_cancelling,
    a_ring_nobody_answers_ends_by_itself,
    the_server_stamps_who_sent_a_message,
    fields_the_service_does_not_know_are_passed_on,
    either_side_may_hang_up,
    calling_somebody_who_is_away_or_engaged_is_refused_at_once_and_recorded,
    an_offer_within_the_call_is_passed_on_untouched,
);

async fn cancelled_while_ringing_stops_the_callees_ring(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    anna.invite("2").await;
    let invitation = ben.expect("call_invitation").await;
    let call = call_id(&invitation);
    assert_eq!(invitation["from_user_id"], 1);
    assert_eq!(invitation["call_type"], "voice");
    assert_eq!(invitation["offer"], description("offer"));
    anna.cancel("2").await;
    let cancelled = ben.expect("call_cancelled").await;
    assert_eq!(cancelled["from_user_id"], 1);
    assert_eq!(call_id(&cancelled), call);
    ben.quiet().await;

    let (log, history) = store.open().await.outcome(call).await;
    assert_eq!((log.as_str(), history.as_str()), ("cancelled", "missed"));
    let record = service.rest("1").record(call).await;
    assert_eq!(record["reason"], "cancelled");
    assert_eq!(record["duration_seconds"], 0);
    assert!(record["answered_at"].is_null());
    // However short the ring was, the callee sees that somebody called.
    let (missed, unseen) = service.rest("2").missed().await;
    assert_eq!((missed.len(), unseen), (1, 1));
    assert_eq!(missed[0]["caller_id"], 1);
    // Both are free again.
    connect_call((&mut ben, "2"), (&mut anna, "1")).await;
}

async fn an_answered_call_is_recorded_with_its_duration(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    ben.answer("1").await;
    let answer = anna.expect("call_answer").await;
    assert_eq!(answer["from_user_id"], 2);
    assert_eq!(answer["answer"], description("answer"));
    let answered = Instant::now();
    assert_eq!(store.open().await.outcome(call).await, ("answered".to_owned(), "ongoing".to_owned()));
    assert_eq!(service.rest("3").status_of("1").await, "in_call");

    // They talk: candidates travel both ways, in order.
    for number in 0..5 {
        anna.candidate("2", number).await;
        ben.candidate("1", number).await;
    }
    for number in 0..5 {
        let (at_ben, at_anna) = (ben.expect("ice_candidate").await, anna.expect("ice_candidate").await);
        assert_eq!((&at_ben["candidate"], &at_ben["from_user_id"]), (&candidate(number), &1.into()));
        assert_eq!((&at_anna["candidate"], &at_anna["from_user_id"]), (&candidate(number), &2.into()));
    }
    // The one place that really waits: a duration has to be long enough to be measured.
    tokio::time::sleep(Duration::from_millis(2300)).await;
    anna.hang_up("2").await;
    let talked = answered.elapsed();
    let ended = ben.expect("call_ended").await;
    assert_eq!(ended["from_user_id"], 1);
    assert_eq!(call_id(&ended), call);

    let record = service.rest("2").final_record(call).await;
    let duration = record["duration_seconds"].as_i64().expect("a duration");
    assert!(duration >= 2, "{record}");
    assert!((duration - i64::try_from(talked.as_secs()).expect("seconds")).abs() <= 1, "{talked:?}: {record}");
    assert_eq!((&record["status"], &record["reason"]), (&"ended".into(), &"completed".into()));
    let db = store.open().await;
    let by_id = format!("WHERE id = {call}");
    let log = db.row(&["status", "duration_seconds", "caller_user_id", "call_type"], "call_logs", &by_id).await;
    assert_eq!(log, ["ended", &duration.to_string(), "1", "voice"]);
    let history = db.row(&["call_status", "call_duration", "caller_id", "callee_id"], "call_history", &by_id).await;
    assert_eq!(history, ["answered", &duration.to_string(), "1", "2"]);
    let times = "started_at <= answered_at AND answered_at <= ended_at";
    assert_eq!(db.count("call_logs", &format!("WHERE id = {call} AND {times}")).await, 1);
    assert_eq!(service.rest("2").missed().await.1, 0);
    assert_eq!(service.rest("3").status_of("1").await, "online");
}

async fn declined_tells_the_caller_and_nobody_has_missed_anything(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    ben.decline("1").await;
    let declined = anna.expect("call_declined").await;
    assert_eq!(declined["from_user_id"], 2);
    assert_eq!(call_id(&declined), call);
    anna.quiet().await;

    let (log, history) = store.open().await.outcome(call).await;
    assert_eq!((log.as_str(), history.as_str()), ("declined", "rejected"));
    assert_eq!(service.rest("2").missed().await.1, 0);
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
}

async fn ending_before_an_answer_is_cancelling(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    anna.hang_up("2").await;
    // Whichever of the two closing messages it is, the ring stops with exactly one.
    let closing = ben.next_within(crate::harness::PATIENCE).await.expect("a closing message");
    assert!(closing["type"] == "call_cancelled" || closing["type"] == "call_ended", "{closing}");
    ben.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("cancelled".to_owned(), "missed".to_owned()));
}

async fn a_ring_nobody_answers_ends_by_itself(store: Store) {
    let service = Service::with(&store, &[("CALL__RING_TIMEOUT", "1s")]).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    ben.expect("call_cancelled").await;
    let ended = anna.expect("call_ended").await;
    assert_eq!(ended["reason"], "no_answer");
    anna.quiet().await;
    ben.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("missed".to_owned(), "missed".to_owned()));
    assert_eq!(service.rest("2").missed().await.1, 1);
}

async fn the_server_stamps_who_sent_a_message(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    let mut forged = crate::harness::socket::invitation("2");
    forged["from_user_id"] = 99.into();
    forged["caller_id"] = 99.into();
    anna.send(forged).await;
    let invitation = ben.expect("call_invitation").await;
    assert_eq!(invitation["from_user_id"], 1);
    assert_ne!(invitation["caller_id"], 99);
    assert_eq!(service.rest("1").record(call_id(&invitation)).await["caller_id"], 1);
}

async fn fields_the_service_does_not_know_are_passed_on(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    let mut invitation = crate::harness::socket::invitation("2");
    invitation["whiteboard"] = serde_json::json!({ "session": 4, "tools": ["pen"] });
    anna.send(invitation.clone()).await;
    assert_eq!(ben.expect("call_invitation").await["whiteboard"], invitation["whiteboard"]);
}

async fn either_side_may_hang_up(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);

    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    ben.hang_up("1").await;
    assert_eq!(call_id(&anna.expect("call_ended").await), call);
    anna.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    // Hanging up once more harms nobody.
    ben.hang_up("1").await;
    ben.round_trip().await;
    anna.without("call_ended").await;
}

async fn calling_somebody_who_is_away_or_engaged_is_refused_at_once_and_recorded(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let mut cleo = service.socket("3").await;

    cleo.invite("4").await;
    let offline = cleo.expect("call_declined").await;
    assert_eq!(offline["reason"], "offline");
    let db = store.open().await;
    assert_eq!(db.outcome(call_id(&offline)).await, ("missed".to_owned(), "missed".to_owned()));
    assert_eq!(service.rest("4").missed().await.1, 1);

    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    cleo.invite("2").await;
    let busy = cleo.expect("call_declined").await;
    assert_eq!(busy["reason"], "busy");
    assert_eq!(db.outcome(call_id(&busy)).await, ("missed".to_owned(), "missed".to_owned()));
    ben.without("call_invitation").await;
    cleo.quiet().await;
    // The call that made him busy is not touched.
    anna.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
}

async fn an_offer_within_the_call_is_passed_on_untouched(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;

    // Switching the camera on is an offer and an answer again; it must not ring, nor start a new call.
    let mut offer = crate::harness::socket::invitation("2");
    offer["call_type"] = "video".into();
    offer["call_id"] = call.into();
    offer["offer"]["sdp"] = "v=0\r\ns=with a camera\r\n".into();
    anna.send(offer.clone()).await;
    let arrived = ben.next_within(crate::harness::PATIENCE).await.expect("the offer");
    assert_eq!(arrived["offer"], offer["offer"], "{arrived}");
    assert_eq!(call_id(&arrived), call);
    ben.answer("1").await;
    assert_eq!(call_id(&anna.expect("call_answer").await), call);
    assert_eq!(store.open().await.count("call_logs", "").await, 1);
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
}
