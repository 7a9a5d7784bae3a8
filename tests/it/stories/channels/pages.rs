//! What makes a page one device: its sockets come and go, and each hears what it is for.

use std::time::Duration;

use serde_json::{Value, json};

use super::{a_call, acknowledged, act, answer, chat, connected, ice, id_of, initiate, notifications, offer};
use crate::harness::socket::{candidate, description};
use crate::harness::{Service, Socket, Store};

on_both!(
    a_page_that_is_opened_while_it_rings_is_told_and_others_are_not_told_again,
    a_page_with_only_a_chat_socket_learns_everything_there,
    messages_and_typing_stay_in_their_conversation_and_are_stamped,
    a_conversation_lets_in_only_whom_the_token_names,
    two_tabs_with_ids_of_their_own_are_two_devices,
    a_page_goes_only_with_its_last_socket,
    a_page_that_is_reloaded_during_a_call_is_still_in_it,
    a_shutdown_closes_every_socket_of_a_page,
);

async fn a_page_that_is_opened_while_it_rings_is_told_and_others_are_not_told_again(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (notifications(&service, "1").await, notifications(&service, "2").await);
    let call = id_of(&initiate(&service.rest("1"), json!(2), "voice").await);
    anna.send(offer(&call, "voice")).await;
    ben.expect("notification.created").await;
    ben.expect("call.offer").await;
    let mut another = notifications(&service, "2").await;
    assert_eq!(another.expect("notification.created").await["payload"]["object_id"].to_string(), call);
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
    let settings = [("PRESENCE__LINGER", "1m"), ("LIMITS__INITIATES_PER_MINUTE", "1000")];
    let service = Service::with(&store, &settings).await;
    let rest = service.rest("9");
    let ben = notifications(&service, "2").await;
    let page = chat(&service, "2", "12").await;
    assert_eq!(rest.status_of("2").await, "online");
    page.close().await;
    assert_eq!(rest.status_of("2").await, "online");
    ben.close().await;
    // A clean goodbye shows at once, not only when a page that was lost would no longer be waited for.
    crate::harness::eventually("2 is gone", async || (rest.status_of("2").await == "offline").then_some(())).await;
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

async fn a_shutdown_closes_every_socket_of_a_page(store: Store) {
    let mut service = Service::start(&store).await;
    let (mut anna, mut page) = (notifications(&service, "1").await, chat(&service, "1", "12").await);
    service.terminate().await;
    anna.expect_close(1012).await;
    page.expect_close(1012).await;
    assert!(service.exited().await.success());
}
