//! Pages of the channels dialect: one socket for notifications, one for the conversation that is open, and
//! calls made, taken and ended by REST beside them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::rest::{Answer, call_id};
use crate::harness::socket::{candidate, description};
use crate::harness::{Rest, Service, Socket, Store};

on_both!(
    both_are_on_the_chat_page,
    the_receiver_is_elsewhere_on_the_site,
    both_are_elsewhere,
    a_rejection_reaches_the_caller_wherever_it_is,
    an_end_reaches_the_other_side_wherever_it_is,
    the_duration_is_the_services_own,
    accepting_and_answering_come_in_either_order,
    an_offer_that_was_there_first_follows_the_notification,
    a_page_that_is_opened_while_it_rings_is_told_and_others_are_not_told_again,
    a_page_with_only_a_chat_socket_learns_everything_there,
    messages_and_typing_stay_in_their_conversation_and_are_stamped,
    a_conversation_lets_in_only_whom_the_token_names,
    two_tabs_with_ids_of_their_own_are_two_devices,
    a_page_goes_only_with_its_last_socket,
    a_page_that_is_reloaded_during_a_call_is_still_in_it,
    a_call_between_pages_survives_a_restart,
    two_pages_that_call_each_other_share_one_call,
    a_shutdown_closes_every_socket_of_a_page,
    a_user_of_the_first_dialect_calls_a_page,
    a_page_calls_a_user_of_the_first_dialect,
    somebody_who_polls_calls_a_page,
    a_page_calls_somebody_who_polls,
    every_no_by_rest_has_its_code_and_its_text,
    busy_and_offline_are_calls_that_ended,
    the_same_again_is_fine_and_anything_else_is_too_late,
    what_a_page_may_not_say_is_refused_on_its_socket,
);

const BOTH: [&str; 2] = ["voice", "video"];

/// The socket every page has.
async fn notifications(service: &Service, user: &str) -> Socket {
    acknowledged(Socket::dial_path(service, "/ws/notifications/", user).user(user).open().await).await
}

/// The socket of a chat page.
async fn chat(service: &Service, user: &str, conversation: &str) -> Socket {
    let path = format!("/ws/chat/{conversation}/");
    acknowledged(Socket::dial_path(service, &path, user).user(user).open().await).await
}

async fn acknowledged(mut socket: Socket) -> Socket {
    assert_eq!(socket.expect("connection.ack").await, json!({ "type": "connection.ack" }));
    socket
}

async fn initiate(rest: &Rest, receiver: Value, call_type: &str) -> Value {
    let body = json!({ "receiver_id": receiver, "call_type": call_type, "conversation_id": 12 });
    let answer = rest.post("/api/calls/initiate/", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.ok()
}

async fn act(rest: &Rest, call: &str, action: &str) -> Answer {
    rest.post(&format!("/api/calls/{call}/{action}/"), json!({})).await
}

fn offer(call: &str, call_type: &str) -> Value {
    // Who it says it is does not count.
    json!({ "type": "call.offer", "call_id": call, "caller_id": "999", "caller_username": "Mallory",
            "call_type": call_type, "offer": description("offer") })
}

fn answer(call: &str) -> Value {
    json!({ "type": "call.answer", "call_id": call, "answer": description("answer") })
}

fn ice(call: &str, number: usize) -> Value {
    json!({ "type": "call.ice", "call_id": call, "candidate": candidate(number) })
}

fn id_of(call: &Value) -> String {
    call["id"].as_i64().unwrap_or_else(|| panic!("no id: {call}")).to_string()
}

/// 1 calls 2, whose notification socket and open chat sockets are given; then 2 takes the call by REST and
/// answers on the last of its sockets. What each socket must see is checked to the field.
async fn a_call(service: &Service, caller: &mut [Socket], callee: &mut [Socket], call_type: &str) {
    let (anna, ben) = (service.rest("1"), service.rest("2"));
    let made = initiate(&anna, json!(2), call_type).await;
    let call = id_of(&made);
    assert_eq!(
        (&made["caller"], &made["receiver"], &made["call_type"], &made["conversation_id"], &made["status"]),
        (&json!(1), &json!(2), &json!(call_type), &json!(12), &json!("ringing")),
        "{made}"
    );
    assert!(made["created_at"].is_string() && made["duration_seconds"] == 0, "{made}");
    let told = callee[0].next_within(crate::harness::PATIENCE).await.expect("a notification");
    assert_eq!(
        told,
        json!({ "type": "notification.created", "payload": {
            "id": call, "actor": { "id": "1", "username": "1", "first_name": "", "last_name": "" },
            "verb": format!("incoming_{call_type}_call"), "object_id": call, "conversation_id": "12",
            "timestamp": made["created_at"],
        }})
    );

    let sender = caller.len() - 1;
    caller[sender].send(offer(&call, call_type)).await;
    for socket in callee.iter_mut() {
        assert_eq!(
            socket.expect("call.offer").await,
            json!({ "type": "call.offer", "call_id": call, "caller_id": "1", "caller_username": "1",
                    "call_type": call_type, "offer": description("offer"), "conversation_id": "12" })
        );
    }
    let active = act(&ben, &call, "accept").await.ok();
    assert_eq!((&active["status"], id_of(&active)), (&json!("active"), call.clone()), "{active}");
    let answerer = callee.len() - 1;
    callee[answerer].send(answer(&call)).await;
    for socket in caller.iter_mut() {
        assert_eq!(
            socket.expect("call.answer").await,
            json!({ "type": "call.answer", "call_id": call, "answer": description("answer"), "receiver_id": "2" })
        );
    }
    for number in 0..3 {
        caller[sender].send(ice(&call, number)).await;
        callee[answerer].send(ice(&call, number)).await;
    }
    for (sockets, other) in [(&mut *callee, "1"), (&mut *caller, "2")] {
        for socket in sockets.iter_mut() {
            for number in 0..3 {
                let wanted = json!({ "type": "call.ice", "call_id": call, "candidate": candidate(number),
                                     "from_user_id": other });
                assert_eq!(socket.expect("call.ice").await, wanted);
            }
        }
    }
    assert_eq!(act(&anna, &call, "end").await.ok(), json!({ "status": "ended", "duration": 0 }));
    let end = callee[0].expect("call.end").await;
    assert_eq!(end, json!({ "type": "call.end", "call_id": call, "reason": "completed" }));
    for socket in caller.iter_mut().chain(callee) {
        // Nothing was echoed to its sender, and nobody was told twice.
        socket.quiet().await;
    }
}

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
    assert_eq!(first["payload"]["object_id"], second["call_id"]);
    ben.quiet().await;
}

async fn a_page_that_is_opened_while_it_rings_is_told_and_others_are_not_told_again(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    anna.send(offer(&call, "voice")).await;
    ben.expect("notification.created").await;
    ben.expect("call.offer").await;
    let mut another = notifications(&service, "2").await;
    assert_eq!(another.expect("notification.created").await["payload"]["object_id"], json!(call));
    another.expect("call.offer").await;
    let mut page = chat(&service, "2", "12").await;
    page.expect("call.offer").await;
    page.quiet().await;
    another.quiet().await;
    ben.quiet().await;
    // They are one device: whoever answers, nobody is told that it was elsewhere.
    page.send(answer(&call)).await;
    anna.expect("call.answer").await;
    another.quiet().await;
    ben.quiet().await;
    page.quiet().await;
    // A page reloaded during the call is not told that it rings.
    let mut reloaded = notifications(&service, "2").await;
    reloaded.quiet().await;
}

async fn a_page_with_only_a_chat_socket_learns_everything_there(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = [chat(&service, "1", "12").await];
    let mut ben = [chat(&service, "2", "12").await];
    a_call(&service, &mut anna, &mut ben, "voice").await;
}

async fn messages_and_typing_stay_in_their_conversation_and_are_stamped(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut again) = (chat(&service, "1", "12").await, chat(&service, "1", "12").await);
    let (mut ben, mut carl) = (chat(&service, "2", "12").await, chat(&service, "3", "13").await);
    let mut elsewhere = notifications(&service, "2").await;
    let forged = json!({ "type": "message", "content": "hi", "sender_id": "9", "sender_username": "Eve",
                         "conversation_id": "13", "attachments": [1, { "a": null }] });
    anna.send(forged).await;
    let wanted = json!({ "type": "message", "content": "hi", "sender_id": "1", "sender_username": "1",
                         "conversation_id": "12", "attachments": [1, { "a": null }] });
    assert_eq!(ben.expect("message").await, wanted);
    assert_eq!(again.expect("message").await, wanted, "the sender's other page is in the conversation, too");
    ben.send(json!({ "type": "typing", "is_typing": true })).await;
    assert_eq!(anna.expect("typing").await["sender_id"], "2");
    again.expect("typing").await;
    for socket in [&mut anna, &mut again, &mut ben, &mut carl, &mut elsewhere] {
        socket.quiet().await;
    }
    // Who has left hears no more, and who is no longer there is no obstacle.
    again.close().await;
    anna.send(json!({ "type": "message", "content": "x".repeat(17_000) })).await;
    assert_eq!(anna.expect("error").await["code"], "too_large");
    anna.send(json!({ "type": "message", "content": "still here" })).await;
    assert_eq!(ben.expect("message").await["content"], "still here");
    elsewhere.send(json!({ "type": "message", "content": "from nowhere", "ref": 7 })).await;
    let error = elsewhere.expect("error").await;
    assert_eq!((&error["code"], &error["ref"]), (&json!("out_of_turn"), &json!(7)));
}

async fn a_conversation_lets_in_only_whom_the_token_names(store: Store) {
    let service = Service::with(&store, &[("CHAT__MEMBERSHIP", "claims")]).await;
    let mint = async |body: Value| {
        service.rest("1").post("/api/dev/token", body).await.ok()["token"].as_str().expect("a token").to_owned()
    };
    let member = mint(json!({ "user": 1, "name": "Ada Lovelace", "conversations": [12] })).await;
    let silent = mint(json!({ "user": 2, "name": "Ben" })).await;
    let open = |path: &'static str, token: &str| Socket::dial_path(&service, path, "?").token(token).try_open();
    let refused = async |path: &'static str, token: &str| {
        open(path, token).await.expect("refused after the upgrade").expect_close(4403).await;
    };
    refused("/ws/chat/13/", &member).await;
    refused("/ws/chat/12", &silent).await;
    let mut anna = open("/ws/chat/12", &member).await.expect("open");
    anna.expect("connection.ack").await;
    let mut ben = open("/ws/notifications/", &silent).await.expect("open");
    ben.expect("connection.ack").await;
    // Nobody, and somebody without saying who.
    Socket::dial_path(&service, "/ws/notifications/", "?").try_open().await.expect("open").expect_close(4401).await;
    Socket::dial_path(&service, "/ws/chat/12/", "1").user("1").try_open().await.expect("open").expect_close(4403).await;
    assert_eq!(Socket::dial_path(&service, "/ws/chat/a%20b/", "1").user("1").try_open().await.err(), Some(404));

    // The name is the token's.
    let rest = service.rest("1").bearer(&member);
    let call = id_of(&initiate(&rest, json!(2), "video").await);
    let told = ben.expect("notification.created").await;
    let actor = json!({ "id": "1", "username": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace" });
    assert_eq!((&told["payload"]["actor"], &told["payload"]["verb"]), (&actor, &json!("incoming_video_call")));
    anna.send(offer(&call, "video")).await;
    let offer = ben.expect("call.offer").await;
    assert_eq!((&offer["caller_id"], &offer["caller_username"]), (&json!("1"), &json!("Ada Lovelace")));
    // A fresh token must be for the conversation, too.
    let elsewhere = mint(json!({ "user": 1, "conversations": [13] })).await;
    anna.send(json!({ "type": "token", "token": elsewhere })).await;
    assert_eq!(anna.expect("error").await["code"], "forbidden");
}

async fn two_tabs_with_ids_of_their_own_are_two_devices(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = [notifications(&service, "1").await, chat(&service, "1", "12").await];
    let tab = async |name: &str| {
        let dial = Socket::dial_path(&service, "/ws/notifications/", "2").user("2").device(name);
        acknowledged(dial.open().await).await
    };
    let (mut one, mut two) = (tab("one").await, tab("two").await);
    let mut page = chat(&service, "1", "12").await;
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    anna[1].send(offer(&call, "voice")).await;
    for tab in [&mut one, &mut two] {
        tab.expect("notification.created").await;
        tab.expect("call.offer").await;
    }
    // The caller's other page in the conversation sees what its first one sent.
    assert_eq!(
        page.expect("call.offer").await,
        json!({ "type": "call.offer", "call_id": call, "caller_id": "1", "caller_username": "1",
                "call_type": "voice", "offer": description("offer"), "conversation_id": "12" })
    );
    // By REST nobody can tell which tab it was; the answer tells.
    act(&service.rest("2"), &call, "accept").await.ok();
    one.send(answer(&call)).await;
    anna[1].expect("call.answer").await;
    let end = two.expect("call.end").await;
    assert_eq!((&end["call_id"], &end["reason"]), (&json!(call), &json!("answered_elsewhere")));
    two.send(answer(&call)).await;
    assert_eq!(two.expect("error").await["code"], "answered_elsewhere");
    anna[1].send(ice(&call, 1)).await;
    one.expect("call.ice").await;
    two.quiet().await;
    one.quiet().await;
    act(&service.rest("1"), &call, "end").await.ok();
    one.expect("call.end").await;
    two.quiet().await;
}

async fn a_page_goes_only_with_its_last_socket(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("9");
    let ben = notifications(&service, "2").await;
    let page = chat(&service, "2", "12").await;
    assert_eq!(rest.status_of("2").await, "online");
    page.close().await;
    assert_eq!(rest.status_of("2").await, "online");
    ben.close().await;
    // A clean goodbye shows at once.
    crate::harness::within(Duration::from_millis(1500), "offline", async || {
        (rest.status_of("2").await == "offline").then_some(())
    })
    .await;
    let ben = notifications(&service, "2").await;
    let mut page = chat(&service, "2", "12").await;
    ben.vanish();
    // What is for notifications comes on what the page still has.
    let mut anna = notifications(&service, "1").await;
    let call = crate::harness::eventually("the chat socket is told", async || {
        let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
        let told = page.until(Duration::from_millis(300), "notification.created").await;
        if told.is_none() {
            act(&service.rest("1"), &call, "end").await.ok();
        }
        told.map(|_| call)
    })
    .await;
    page.send(answer(&call)).await;
    anna.expect("call.answer").await;
}

/// 1 and 2 in an answered call, each on a notification socket: the call's id.
async fn connected(service: &Service, anna: &mut Socket, ben: &mut Socket) -> String {
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    anna.send(offer(&call, "voice")).await;
    ben.expect("notification.created").await;
    ben.expect("call.offer").await;
    ben.send(answer(&call)).await;
    anna.expect("call.answer").await;
    call
}

async fn a_page_that_is_reloaded_during_a_call_is_still_in_it(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let call = connected(&service, &mut anna, &mut ben).await;
    ben.close().await;
    // Whether its loss is noticed before that or not, an offer that comes now waits for it.
    let rest = service.rest("9");
    crate::harness::eventually("2 is gone", async || (rest.status_of("2").await == "offline").then_some(())).await;
    anna.send(json!({ "type": "call.offer", "call_id": call, "offer": description("restart") })).await;
    anna.send(ice(&call, 1)).await;
    anna.round_trip().await;
    let mut ben = notifications(&service, "2").await;
    assert_eq!(ben.expect("call.offer").await["offer"], description("restart"));
    assert_eq!(ben.expect("call.ice").await["candidate"], candidate(1));
    ben.send(answer(&call)).await;
    anna.expect("call.answer").await;
    ben.quiet().await;
    act(&service.rest("2"), &call, "end").await.ok();
    assert_eq!(anna.expect("call.end").await["reason"], "completed");
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

async fn a_shutdown_closes_every_socket_of_a_page(store: Store) {
    let mut service = Service::start(&store).await;
    let (mut anna, mut page) = (notifications(&service, "1").await, chat(&service, "1", "12").await);
    service.terminate().await;
    anna.expect_close(1012).await;
    page.expect_close(1012).await;
    assert!(service.exited().await.success());
}

async fn a_user_of_the_first_dialect_calls_a_page(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut ben = notifications(&service, "2").await;
    anna.invite("2").await;
    let told = ben.expect("notification.created").await;
    let call = told["payload"]["object_id"].as_str().expect("a string").to_owned();
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
    let service = Service::start(&store).await;
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
    for _ in 0..2 {
        assert_eq!(act(&anna, &call, "end").await.ok(), json!({ "status": "ended", "duration": 0 }));
    }
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
