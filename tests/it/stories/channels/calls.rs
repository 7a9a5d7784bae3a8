//! Calls between pages, wherever on the site both of them are.

use std::time::Duration;

use serde_json::json;

use super::{a_call, acknowledged, act, answer, chat, connected, ice, id_of, initiate, notifications, offer};
use crate::harness::socket::candidate;
use crate::harness::{Service, Socket, Store};

on_both!(
    both_are_on_the_chat_page,
    the_receiver_is_elsewhere_on_the_site,
    both_are_elsewhere,
    a_rejection_reaches_the_caller_wherever_it_is,
    an_end_reaches_the_other_side_wherever_it_is,
    the_duration_is_the_services_own,
    accepting_and_answering_come_in_either_order,
    an_offer_that_was_there_first_follows_the_notification,
    a_call_between_pages_survives_a_restart,
    two_pages_that_call_each_other_share_one_call,
);

const BOTH: [&str; 2] = ["voice", "video"];

async fn both_are_on_the_chat_page(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = [notifications(&service, "1").await, chat(&service, "1", "12").await];
    let mut ben = [notifications(&service, "2").await, chat(&service, "2", "12").await];
    let mut elsewhere = chat(&service, "2", "13").await;
    for call_type in BOTH {
        a_call(&service, &mut anna, &mut ben, call_type).await;
    }
    elsewhere.quiet().await;
}

async fn the_receiver_is_elsewhere_on_the_site(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = [notifications(&service, "1").await, chat(&service, "1", "12").await];
    // Without the slash it is the same socket. It answers from there, too.
    let ben = Socket::dial_path(&service, "/ws/notifications", "2").user("2").open().await;
    let mut ben = [acknowledged(ben).await];
    for call_type in BOTH {
        a_call(&service, &mut anna, &mut ben, call_type).await;
    }
}

async fn both_are_elsewhere(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = [notifications(&service, "1").await];
    let mut ben = [notifications(&service, "2").await];
    for call_type in BOTH {
        a_call(&service, &mut anna, &mut ben, call_type).await;
    }
}

async fn a_rejection_reaches_the_caller_wherever_it_is(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let call = id_of(&initiate(&service.rest("1"), json!("2"), "voice").await);
    anna.send(offer(&call, "voice")).await;
    ben.expect("notification.created").await;
    ben.expect("call.offer").await;
    assert_eq!(act(&service.rest("2"), &call, "reject").await.ok(), json!({ "status": "rejected" }));
    let end = anna.expect("call.end").await;
    assert_eq!((&end["call_id"], &end["reason"]), (&json!(call), &json!("declined")));
    anna.quiet().await;
    ben.quiet().await;
    let outcome = store.open().await.outcome(call.parse().unwrap()).await;
    assert_eq!(outcome, ("declined".to_owned(), "rejected".to_owned()));
}

async fn an_end_reaches_the_other_side_wherever_it_is(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = [notifications(&service, "1").await, chat(&service, "1", "12").await];
    let mut ben = notifications(&service, "2").await;
    // Before it was taken: the caller gives up, and ben has missed a call.
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    ben.expect("notification.created").await;
    assert_eq!(act(&service.rest("1"), &call, "end").await.ok(), json!({ "status": "ended", "duration": 0 }));
    assert_eq!(ben.expect("call.end").await["reason"], "cancelled");
    assert_eq!(service.rest("2").missed().await.1, 1);
    // By the one who was called, by socket.
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    anna[1].send(offer(&call, "voice")).await;
    ben.expect("call.offer").await;
    ben.send(answer(&call)).await;
    anna[1].expect("call.answer").await;
    ben.send(json!({ "type": "call_end", "call_id": call })).await;
    assert_eq!(anna[0].expect("call.end").await["reason"], "completed");
    anna[1].without("call.end").await;
    ben.without("call.end").await;
}

async fn the_duration_is_the_services_own(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    anna.send(offer(&call, "voice")).await;
    ben.expect("call.offer").await;
    ben.send(answer(&call)).await;
    anna.expect("call.answer").await;
    // What is measured takes the time it takes.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let path = format!("/api/calls/{call}/end/");
    let ended = service.rest("2").post(&path, json!({ "duration_seconds": 4711 })).await.ok();
    let seconds = ended["duration"].as_i64().expect("a duration");
    assert!((1..60).contains(&seconds), "{ended}");
    let row = store.open().await.row(&["duration_seconds"], "call_logs", &format!("WHERE id = {call}")).await;
    assert_eq!(row, [seconds.to_string()]);
}

async fn accepting_and_answering_come_in_either_order(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let rest = service.rest("2");
    // Answered by socket, then accepted by REST.
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    anna.send(offer(&call, "voice")).await;
    ben.expect("call.offer").await;
    ben.send(answer(&call)).await;
    anna.expect("call.answer").await;
    assert_eq!(act(&rest, &call, "accept").await.ok()["status"], "active");
    act(&rest, &call, "end").await.ok();
    anna.clear().await;
    ben.clear().await;
    // Accepted before the offer is there.
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    ben.expect("notification.created").await;
    assert_eq!(act(&rest, &call, "accept").await.ok()["status"], "active");
    anna.send(offer(&call, "voice")).await;
    ben.expect("call.offer").await;
    ben.send(answer(&call)).await;
    assert_eq!(anna.expect("call.answer").await["call_id"], json!(call));
    ben.quiet().await;
}

async fn an_offer_that_was_there_first_follows_the_notification(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, notifications(&service, "2").await);
    // This caller's offer comes with the invitation.
    anna.invite("2").await;
    let first = ben.next_within(crate::harness::PATIENCE).await.expect("a message");
    let second = ben.next_within(crate::harness::PATIENCE).await.expect("a message");
    assert_eq!((&first["type"], &second["type"]), (&json!("notification.created"), &json!("call.offer")));
    assert_eq!(first["payload"]["object_id"].to_string(), second["call_id"].as_str().expect("a string"));
    ben.quiet().await;
}

async fn a_call_between_pages_survives_a_restart(store: Store) {
    let mut service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let call = connected(&service, &mut anna, &mut ben).await;
    service.restart().await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, chat(&service, "2", "12").await);
    anna.send(ice(&call, 1)).await;
    assert_eq!(ben.expect("call.ice").await["candidate"], candidate(1));
    assert_eq!(act(&service.rest("1"), &call, "end").await.ok()["status"], "ended");
    assert_eq!(ben.expect("call.end").await["reason"], "completed");
    anna.quiet().await;
    ben.quiet().await;
}

async fn two_pages_that_call_each_other_share_one_call(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let first = initiate(&service.rest("1"), json!(2), "voice").await;
    let second = initiate(&service.rest("2"), json!(1), "voice").await;
    assert_eq!((&second["id"], &second["caller"]), (&first["id"], &json!(1)));
    ben.expect("notification.created").await;
    ben.quiet().await;
    // With `glare` the second attempt answers the first.
    let body = json!({ "receiver_id": 1, "glare": true });
    let answered = service.rest("2").post("/api/calls/initiate/", body).await.ok();
    assert_eq!((&answered["id"], &answered["status"]), (&first["id"], &json!("active")));
    anna.quiet().await;
}
