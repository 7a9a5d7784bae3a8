//! The same on the sockets of profiles and of channels.

use serde_json::{Value, json};

use super::{brief, expiring, give, jwt, lasting, rest, until_expired, until_lapsed, until_whole};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, description};
use crate::harness::{Rest, Service, Socket, Store};

on_both!(a_call_of_profiles_outlives_its_tokens, a_call_of_pages_outlives_its_tokens);

mod only_here {
    use super::*;
    on_sqlite!(a_page_comes_back_to_its_call, a_conversation_is_closed_to_an_expired_token);
}

/// A token of user `number` for the profile `tutor number`.
fn tutor(number: u32, seconds: i64) -> String {
    expiring(&number.to_string(), seconds, &json!({ "profiles": [{ "type": "tutor", "id": number }] }))
}

async fn a_call_of_profiles_outlives_its_tokens(store: Store) {
    let service = jwt(&store).await;
    let open = async |number: u32, token: &str| {
        Socket::dial_profile(&service, &number.to_string(), "tutor").device("page").token(token).open().await
    };
    let (mut anna, mut ben) = (open(1, &tutor(1, 3600)).await, open(2, &tutor(2, 3600)).await);
    let to = |number: u32, kind: &str, more: Value| {
        let mut message = json!({ "type": kind, "to_profile_id": number, "to_profile_type": "tutor" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    anna.send(to(2, "call_invitation", json!({ "offer": description("offer") }))).await;
    let call = call_id(&ben.expect("call_invitation").await);
    ben.send(to(1, "call_answer", json!({ "answer": description("answer") }))).await;
    anna.expect("call_answer").await;
    let token = tutor(1, 2);
    give(&mut anna, &token).await;
    until_expired(&service, &token).await;
    until_lapsed(&mut anna, "call_ended").await;
    anna.send(to(2, "ice_candidate", json!({ "candidate": candidate(1) }))).await;
    ben.expect("ice_candidate").await;
    anna.vanish();
    let mut anna = open(1, &token).await;
    ben.send(to(1, "ice_candidate", json!({ "candidate": candidate(2) }))).await;
    anna.expect("ice_candidate").await;
    ben.send(to(1, "call_ended", json!({}))).await;
    assert_eq!(call_id(&anna.expect("call_ended").await), call);
    anna.expect_close(4401).await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn channels(service: &Service, path: &str, token: &str) -> Socket {
    let mut socket = Socket::dial_path(service, path, "a page").token(token).open().await;
    socket.expect("connection.ack").await;
    socket
}

const NOTIFICATIONS: &str = "/ws/notifications/";
const CHAT: &str = "/ws/chat/12/";

/// 1 calls 2 from a page with both sockets, and 2 answers on another page: what 2 acts with, and the call.
async fn talk(service: &Service, anna: &mut [Socket; 2], ben: &mut Socket) -> (Rest, String) {
    let body = json!({ "receiver_id": 2, "call_type": "voice", "conversation_id": 12 });
    let made = rest(service, "1", &lasting("1")).post("/api/calls/initiate/", body).await.ok();
    let call = made["id"].to_string();
    let offer = json!({ "type": "call.offer", "call_id": call, "call_type": "voice", "offer": description("offer") });
    anna[1].send(offer).await;
    ben.expect("call.offer").await;
    ben.send(json!({ "type": "call.answer", "call_id": call, "answer": description("answer") })).await;
    for socket in anna {
        socket.expect("call.answer").await;
    }
    (rest(service, "2", &lasting("2")), call)
}

fn ice(call: &str, number: usize) -> Value {
    json!({ "type": "call.ice", "call_id": call, "candidate": candidate(number) })
}

async fn a_call_of_pages_outlives_its_tokens(store: Store) {
    let service = jwt(&store).await;
    let [one, two] = [lasting("1"), lasting("2")];
    let mut anna = [channels(&service, NOTIFICATIONS, &one).await, channels(&service, CHAT, &one).await];
    let mut ben = channels(&service, NOTIFICATIONS, &two).await;
    let (_, call) = talk(&service, &mut anna, &mut ben).await;
    let token = brief("1");
    for socket in &mut anna {
        give(socket, &token).await;
    }
    until_expired(&service, &token).await;
    for socket in &mut anna {
        until_lapsed(socket, "call.end").await;
    }
    anna[1].send(ice(&call, 1)).await;
    ben.expect("call.ice").await;
    ben.send(ice(&call, 2)).await;
    for socket in &mut anna {
        socket.expect("call.ice").await;
    }
    // A page of this dialect hangs up by REST.
    let lapsed = rest(&service, "1", &token);
    lapsed.post(&format!("/api/calls/{call}/accept/"), json!({})).await.refused(401);
    lapsed.post("/api/calls/999/end/", json!({})).await.refused(401);
    let ended = lapsed.post(&format!("/api/calls/{call}/end/"), json!({})).await.ok();
    assert_eq!(ended["status"], "ended", "{ended}");
    assert_eq!(ben.expect("call.end").await["call_id"], *call);
    for socket in &mut anna {
        socket.expect_close(4401).await;
    }
    let outcome = store.open().await.outcome(call.parse().unwrap()).await;
    assert_eq!(outcome, ("ended".to_owned(), "answered".to_owned()));
}

async fn a_page_comes_back_to_its_call(store: Store) {
    let service = jwt(&store).await;
    let [one, two] = [lasting("1"), lasting("2")];
    let mut anna = [channels(&service, NOTIFICATIONS, &one).await, channels(&service, CHAT, &one).await];
    let mut ben = channels(&service, NOTIFICATIONS, &two).await;
    let (two, call) = talk(&service, &mut anna, &mut ben).await;
    let token = brief("1");
    for socket in &mut anna {
        give(socket, &token).await;
    }
    until_expired(&service, &token).await;
    for socket in &mut anna {
        until_lapsed(socket, "call.end").await;
    }
    // One after the other: the page's device is there as long as one of its sockets is.
    let [bell, chat] = anna;
    bell.vanish();
    let mut bell = channels(&service, NOTIFICATIONS, &token).await;
    chat.vanish();
    let mut chat = channels(&service, CHAT, &token).await;
    ben.send(ice(&call, 1)).await;
    bell.expect("call.ice").await;
    chat.expect("call.ice").await;
    // A socket with a fresh token stays when the call is over, the other is closed.
    give(&mut bell, &lasting("1")).await;
    until_whole(&mut bell, "call.end").await;
    two.post(&format!("/api/calls/{call}/end/"), json!({})).await.ok();
    bell.expect("call.end").await;
    chat.expect_close(4401).await;
    bell.quiet().await;
    // And rings for the next call.
    let body = json!({ "receiver_id": 1, "call_type": "voice", "conversation_id": 12 });
    two.post("/api/calls/initiate/", body).await.ok();
    bell.expect("notification.created").await;
}

async fn a_conversation_is_closed_to_an_expired_token(store: Store) {
    let service = jwt(&store).await;
    let [one, two] = [lasting("1"), lasting("2")];
    let mut anna = [channels(&service, NOTIFICATIONS, &one).await, channels(&service, CHAT, &one).await];
    let mut ben = channels(&service, CHAT, &two).await;
    let mut cleo = channels(&service, CHAT, &lasting("3")).await;
    talk(&service, &mut anna, &mut ben).await;
    let token = brief("1");
    give(&mut anna[1], &token).await;
    until_expired(&service, &token).await;
    until_lapsed(&mut anna[1], "call.end").await;
    anna[1].clear().await;
    cleo.clear().await;
    anna[1].send(json!({ "type": "message", "message": "are you there?" })).await;
    assert_eq!(anna[1].expect("error").await["code"], "unauthorized");
    cleo.quiet().await;
    cleo.send(json!({ "type": "message", "message": "who is there?" })).await;
    ben.expect("message").await;
    anna[1].quiet().await;
    // As soon as the token is a fresh one it goes on.
    give(&mut anna[1], &lasting("1")).await;
    until_whole(&mut anna[1], "call.end").await;
    anna[1].send(json!({ "type": "message", "message": "here I am" })).await;
    cleo.expect("message").await;
}
