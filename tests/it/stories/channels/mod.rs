//! Pages of the channels dialect: one socket for notifications, one for the conversation that is open, and
//! calls made, taken and ended by REST beside them.

mod calls;
mod others;
mod pages;
mod refusals;

use serde_json::{Value, json};

use crate::harness::rest::Answer;
use crate::harness::socket::{candidate, description};
use crate::harness::{Rest, Service, Socket};

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
    let number: u64 = call.parse().expect("a number");
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
            "id": number, "actor": { "id": "1", "username": "1", "first_name": "", "last_name": "" },
            "verb": format!("incoming_{call_type}_call"), "object_id": number, "conversation_id": 12,
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
    let ended = act(&anna, &call, "end").await.ok();
    assert!(ended["duration"].as_i64().is_some_and(|seconds| seconds < 60), "{ended}");
    assert_eq!(ended, json!({ "status": "ended", "duration": ended["duration"] }));
    let end = callee[0].expect("call.end").await;
    assert_eq!(end, json!({ "type": "call.end", "call_id": call, "reason": "completed" }));
    for socket in caller.iter_mut().chain(callee) {
        // Nothing was echoed to its sender, and nobody was told twice.
        socket.quiet().await;
    }
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
