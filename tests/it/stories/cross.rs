//! A browser on a socket and a page that polls call each other as if they spoke the same language.

use serde_json::json;

use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, description};
use crate::harness::{Service, Store};

on_both!(
    a_browser_calls_somebody_who_polls,
    somebody_who_polls_calls_a_browser,
    a_poller_declines_a_browser,
    a_browser_declines_a_poller,
    a_browser_that_gives_up_stops_the_pollers_ring,
    candidates_sent_before_the_answer_arrive_after_it_in_order,
);

async fn a_browser_calls_somebody_who_polls(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut ben = service.rest("2");
    ben.heartbeat().await;

    anna.invite("2").await;
    let incoming = ben.mail("incoming_call").await;
    let call = call_id(&incoming);
    assert_eq!(incoming["caller_id"], 1);
    assert_eq!(ben.mail("offer").await["signal"]["sdp"], description("offer")["sdp"]);
    ben.answer(call).await;
    ben.signal("1", description("answer")).await;
    let answer = anna.expect("call_answer").await;
    assert_eq!((&answer["answer"]["sdp"], call_id(&answer)), (&description("answer")["sdp"], call));

    for number in 0..4 {
        anna.candidate("2", number).await;
        ben.signal("1", json!({ "type": "ice_candidate", "candidate": candidate(number) })).await;
    }
    for number in 0..4 {
        assert_eq!(ben.mail("ice_candidate").await["signal"]["candidate"], candidate(number));
        assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(number));
    }
    anna.hang_up("2").await;
    assert_eq!(ben.mail("call_ended").await["call_id"], call);
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn somebody_who_polls_calls_a_browser(store: Store) {
    let service = Service::start(&store).await;
    let mut ben = service.socket("2").await;
    let mut anna = service.rest("1");
    anna.heartbeat().await;

    let (status, call) = anna.initiate("2").await;
    assert_eq!(status, "ringing");
    // A browser can do nothing with an invitation without an offer, so it is not rung before.
    ben.quiet().await;
    anna.signal("2", description("offer")).await;
    let invitation = ben.expect("call_invitation").await;
    assert_eq!((&invitation["from_user_id"], call_id(&invitation)), (&1.into(), call));
    assert_eq!(invitation["offer"]["sdp"], description("offer")["sdp"]);
    ben.answer("1").await;
    anna.mail("call_answered").await;
    assert_eq!(anna.mail("answer").await["signal"]["sdp"], description("answer")["sdp"]);

    for number in 0..4 {
        ben.candidate("1", number).await;
        anna.signal("2", json!({ "type": "ice_candidate", "candidate": candidate(number) })).await;
    }
    for number in 0..4 {
        assert_eq!(ben.expect("ice_candidate").await["candidate"], candidate(number));
        assert_eq!(anna.mail("ice_candidate").await["signal"]["candidate"], candidate(number));
    }
    anna.hangup(call).await;
    assert_eq!(call_id(&ben.expect("call_ended").await), call);
    ben.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn a_poller_declines_a_browser(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut ben = service.rest("2");
    ben.heartbeat().await;
    anna.invite("2").await;
    let call = call_id(&ben.mail("incoming_call").await);
    ben.reject(call).await;
    assert_eq!(call_id(&anna.expect("call_declined").await), call);
    anna.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("declined".to_owned(), "rejected".to_owned()));
}

async fn a_browser_declines_a_poller(store: Store) {
    let service = Service::start(&store).await;
    let mut ben = service.socket("2").await;
    let mut anna = service.rest("1");
    anna.heartbeat().await;
    let (_, call) = anna.initiate("2").await;
    anna.signal("2", description("offer")).await;
    ben.expect("call_invitation").await;
    ben.decline("1").await;
    assert_eq!(anna.mail("call_declined").await["call_id"], call);
    anna.no_more_mail().await;
    assert_eq!(store.open().await.outcome(call).await, ("declined".to_owned(), "rejected".to_owned()));
}

async fn a_browser_that_gives_up_stops_the_pollers_ring(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut ben = service.rest("2");
    ben.heartbeat().await;
    anna.invite("2").await;
    let call = call_id(&ben.mail("incoming_call").await);
    anna.cancel("2").await;
    assert_eq!(ben.mail("call_cancelled").await["call_id"], call);
    ben.no_more_mail_of("call_cancelled").await;
    assert_eq!(ben.missed().await.1, 1);
}

async fn candidates_sent_before_the_answer_arrive_after_it_in_order(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    // Ben's page gathers candidates before it has sent its answer; Anna can use them only after it.
    for number in 0..3 {
        ben.candidate("1", number).await;
    }
    ben.answer("1").await;
    let patience = crate::harness::PATIENCE;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.push(anna.next_within(patience).await.unwrap_or_else(|| panic!("only {seen:?}")));
    }
    assert_eq!(seen[0]["type"], "call_answer", "{seen:?}");
    for (number, message) in seen[1..].iter().enumerate() {
        assert_eq!(message["candidate"], candidate(number), "{seen:?}");
    }
}
