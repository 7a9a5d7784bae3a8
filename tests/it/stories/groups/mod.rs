//! Calls of several: everybody rings, each pair negotiates for itself, people come and go.

mod inviting;
mod losing;
mod ringing;

use serde_json::{Value, json};

use crate::harness::rest::{call_id, id};
use crate::harness::{Service, Socket, eventually};

/// Who sent what to whom, as a payload.
fn sdp(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "sdp": text })
}

/// Rings several, with an offer.
async fn ring(caller: &mut Socket, callees: &[&str]) {
    let callees: Vec<Value> = callees.iter().map(|callee| id(callee)).collect();
    caller.send(json!({ "type": "call_invitation", "to_user_ids": callees, "offer": sdp("offer", "to all") })).await;
}

/// Brings somebody into a call, with an offer.
async fn bring(member: &mut Socket, call: i64, whom: &str, text: &str) {
    let offer = sdp("offer", text);
    member.send(json!({ "type": "call_invitation", "to_user_id": id(whom), "call_id": call, "offer": offer })).await;
}

async fn answer_to(member: &mut Socket, call: i64, to: &str, text: &str) {
    let answer = sdp("answer", text);
    member.send(json!({ "type": "call_answer", "to_user_id": id(to), "call_id": call, "answer": answer })).await;
}

async fn offer_to(member: &mut Socket, call: i64, to: &str, text: &str) {
    let offer = sdp("offer", text);
    member.send(json!({ "type": "call_offer", "to_user_id": id(to), "call_id": call, "offer": offer })).await;
}

async fn leave(member: &mut Socket, call: i64) {
    member.send(json!({ "type": "call_ended", "call_id": call })).await;
}

/// The next message of that type: who it is from and its `sdp`.
async fn hears(member: &mut Socket, kind: &str) -> (Value, Value) {
    let message = member.expect(kind).await;
    let field = if kind == "call_answer" { "answer" } else { "offer" };
    (message["from_user_id"].clone(), message[field]["sdp"].clone())
}

/// User 1 called 2 and 3 from named devices, and both answered.
async fn three(service: &Service) -> ([Socket; 3], i64) {
    let mut anna = service.device("1", "a").await;
    let mut ben = service.device("2", "b").await;
    let mut cleo = service.device("3", "c").await;
    ring(&mut anna, &["2", "3"]).await;
    let call = call_id(&ben.expect("call_invitation").await);
    assert_eq!(call_id(&cleo.expect("call_invitation").await), call);
    for member in [&mut ben, &mut cleo] {
        answer_to(member, call, "1", "yes").await;
        anna.expect("call_answer").await;
    }
    ([anna, ben, cleo], call)
}

/// What a record says of one participant: state and reason.
fn part(record: &Value, user: &str) -> (String, Value) {
    let participants = record["participants"].as_array().unwrap_or_else(|| panic!("no participants: {record}"));
    let found = participants.iter().find(|leg| leg["user_id"] == id(user));
    let leg = found.unwrap_or_else(|| panic!("{user} is no participant: {record}"));
    (leg["state"].as_str().unwrap_or_default().to_owned(), leg["reason"].clone())
}

async fn shows(service: &Service, user: &str, status: &str) {
    let watcher = service.rest("99");
    eventually(&format!("{user} is {status}"), async || (watcher.status_of(user).await == status).then_some(())).await;
}

async fn missed_of(service: &Service, user: &str) -> Vec<Value> {
    service.rest(user).missed().await.0
}
