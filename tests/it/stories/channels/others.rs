//! Calls between a page and those who speak another dialect.

use serde_json::json;

use super::{act, answer, ice, id_of, initiate, notifications, offer};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, description};
use crate::harness::{Service, Store};

on_both!(
    a_user_of_the_first_dialect_calls_a_page,
    a_page_calls_a_user_of_the_first_dialect,
    somebody_who_polls_calls_a_page,
    a_page_calls_somebody_who_polls,
);

async fn a_user_of_the_first_dialect_calls_a_page(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut ben = notifications(&service, "2").await;
    anna.invite("2").await;
    let told = ben.expect("notification.created").await;
    let call = told["payload"]["object_id"].as_u64().expect("a number").to_string();
    assert_eq!(ben.expect("call.offer").await["offer"], description("offer"));
    act(&service.rest("2"), &call, "accept").await.ok();
    ben.send(answer(&call)).await;
    let answered = anna.expect("call_answer").await;
    assert_eq!((&answered["answer"], call_id(&answered).to_string()), (&description("answer"), call.clone()));
    for number in 0..4 {
        anna.candidate("2", number).await;
        ben.send(ice(&call, number)).await;
    }
    for number in 0..4 {
        assert_eq!(ben.expect("call.ice").await["candidate"], candidate(number));
        assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(number));
    }
    anna.hang_up("2").await;
    assert_eq!(ben.expect("call.end").await["reason"], "completed");
    ben.quiet().await;
    anna.quiet().await;
}

async fn a_page_calls_a_user_of_the_first_dialect(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = notifications(&service, "1").await;
    let mut ben = service.socket("2").await;
    let call = id_of(&initiate(&service.rest("1"), json!(2), "video").await);
    // A browser of that dialect can do nothing with an invitation without an offer.
    ben.quiet().await;
    anna.send(offer(&call, "video")).await;
    let invitation = ben.expect("call_invitation").await;
    assert_eq!(
        (&invitation["from_user_id"], &invitation["call_type"], &invitation["offer"], &invitation["conversation_id"]),
        (&json!(1), &json!("video"), &description("offer"), &json!(12))
    );
    ben.answer("1").await;
    assert_eq!(anna.expect("call.answer").await["receiver_id"], "2");
    // Hold: an offer within the call, from the one who was called.
    ben.send(json!({ "type": "call_offer", "to_user_id": 1, "offer": description("hold") })).await;
    let held = anna.expect("call.offer").await;
    assert_eq!((&held["offer"], &held["caller_id"]), (&description("hold"), &json!("2")));
    anna.send(answer(&call)).await;
    ben.expect("call_answer").await;
    ben.hang_up("1").await;
    anna.expect("call.end").await;
    anna.quiet().await;
    ben.quiet().await;
}

async fn somebody_who_polls_calls_a_page(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.rest("1");
    anna.heartbeat().await;
    let mut ben = notifications(&service, "2").await;
    let (status, number) = anna.initiate("2").await;
    assert_eq!(status, "ringing");
    ben.expect("notification.created").await;
    anna.signal("2", description("offer")).await;
    let offered = ben.expect("call.offer").await;
    assert_eq!((&offered["offer"]["sdp"], &offered["caller_id"]), (&description("offer")["sdp"], &json!("1")));
    let call = number.to_string();
    act(&service.rest("2"), &call, "accept").await.ok();
    ben.send(answer(&call)).await;
    anna.mail("call_answered").await;
    assert_eq!(anna.mail("answer").await["signal"]["sdp"], description("answer")["sdp"]);
    anna.signal("2", json!({ "type": "ice_candidate", "candidate": candidate(1) })).await;
    assert_eq!(ben.expect("call.ice").await["candidate"], candidate(1));
    anna.hangup(number).await;
    ben.expect("call.end").await;
    ben.quiet().await;
}

async fn a_page_calls_somebody_who_polls(store: Store) {
    let service = Service::start(&store).await;
    let mut ben = service.rest("2");
    ben.heartbeat().await;
    let mut anna = notifications(&service, "1").await;
    let call = id_of(&initiate(&service.rest("1"), json!("2"), "voice").await);
    let number: i64 = call.parse().unwrap();
    assert_eq!(call_id(&ben.mail("incoming_call").await), number);
    anna.send(offer(&call, "voice")).await;
    ben.mail("offer").await;
    ben.answer(number).await;
    ben.signal("1", description("answer")).await;
    assert_eq!(anna.expect("call.answer").await["answer"]["sdp"], description("answer")["sdp"]);
    anna.send(ice(&call, 1)).await;
    assert_eq!(ben.mail("ice_candidate").await["signal"]["candidate"], candidate(1));
    act(&service.rest("1"), &call, "end").await.ok();
    assert_eq!(ben.mail("call_ended").await["call_id"], number);
    ben.no_more_mail().await;
}
