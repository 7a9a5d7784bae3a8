//! Where the dialects and the extensions meet: calls whose members speak differently, watched and resumed.

mod calls;
mod hello;
mod losing;

use serde_json::{Value, json};

use crate::harness::socket::{candidate, description};
use crate::harness::{Service, Socket, eventually};

/// A page's notification socket.
async fn page(service: &Service, user: &str) -> Socket {
    let mut socket = Socket::dial_path(service, "/ws/notifications/", user).user(user).open().await;
    socket.expect("connection.ack").await;
    socket
}

/// The socket of a page in the conversation of these stories.
async fn chat(service: &Service, user: &str) -> Socket {
    let mut socket = Socket::dial_path(service, "/ws/chat/123/", user).user(user).open().await;
    socket.expect("connection.ack").await;
    socket
}

async fn profile(service: &Service, number: &str, device: &str) -> Socket {
    Socket::dial_profile(service, number, "tutor").device(device).open().await
}

/// A token of user 7, whose `tutor_1` is.
async fn token_of_7(service: &Service) -> String {
    let wanted = json!({ "user": 7, "profiles": [{ "type": "tutor", "id": 1 }] });
    let body = service.rest("1").post("/api/dev/token", wanted).await.ok();
    body["token"].as_str().expect("a token").to_owned()
}

async fn act(service: &Service, user: &str, call: i64, action: &str) -> Value {
    service.rest(user).post(&format!("/api/calls/{call}/{action}/"), json!({})).await.ok()
}

async fn shows(service: &Service, user: &str, status: &str) {
    let watcher = service.rest("99");
    eventually(&format!("{user} is {status}"), async || (watcher.status_of(user).await == status).then_some(())).await;
}

/// A socket calls a page, which answers on its notification socket.
async fn call_page(caller: (&mut Socket, &str), callee: (&mut Socket, &str), service: &Service) -> i64 {
    caller.0.invite(callee.1).await;
    let offer = callee.0.expect("call.offer").await;
    callee.0.expect("notification.created").await;
    let call: i64 = offer["call_id"].as_str().expect("an id").parse().expect("a number");
    act(service, callee.1, call, "accept").await;
    answer_on_page(callee.0, call).await;
    caller.0.expect("call_answer").await;
    call
}

async fn answer_on_page(page: &mut Socket, call: i64) {
    page.send(json!({ "type": "call.answer", "call_id": call.to_string(), "answer": description("answer") })).await;
}

async fn ice_on_page(page: &mut Socket, call: i64, number: usize) {
    page.send(json!({ "type": "call.ice", "call_id": call.to_string(), "candidate": candidate(number) })).await;
}
