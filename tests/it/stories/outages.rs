//! The database goes away in the middle of calls: nobody notices but those who want to begin one.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::rest::call_id;
use crate::harness::socket::connect_call;
use crate::harness::{Outage, PATIENCE, Rest, Service, Store, eventually};

on_both!(
    live_calls_go_on_while_the_database_does_not_answer,
    live_calls_go_on_while_the_database_is_gone,
    a_call_that_could_not_be_recorded_never_was,
    who_is_back_while_the_end_is_being_written_is_told_of_it,
);

/// Nobody waits longer than this for anything. What asks the database waits for it as long as the service allows,
/// which is a fifth of this.
const AT_MOST: Duration = PATIENCE;

/// So many in a row would take longer than [`AT_MOST`] if each of them waited for the database.
const MANY: usize = 10;

async fn live_calls_go_on_while_the_database_does_not_answer(store: Store) {
    live_through(&store, async |outage| outage.jam().await).await;
}

async fn live_calls_go_on_while_the_database_is_gone(store: Store) {
    live_through(&store, async |outage| outage.cut().await).await;
}

#[expect(clippy::disallowed_methods, reason = "a story about how long people wait")]
async fn timed<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = work.await;
    assert!(start.elapsed() < limit, "{what} took {:?}", start.elapsed());
    result
}

async fn ready(rest: &Rest) -> bool {
    rest.get("/readyz").await.status == 200
}

async fn live_through(store: &Store, begin: impl AsyncFnOnce(&mut Outage)) {
    let mut outage = Outage::prepare(store).await;
    let service = Service::start(outage.store()).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (mut cleo, mut dan) = (service.socket("3").await, service.socket("4").await);
    let (eve, mut finn) = (service.rest("5"), service.rest("6"));
    eve.heartbeat().await;
    finn.heartbeat().await;
    eventually("they are online", async || (eve.status_of("6").await == "online").then_some(())).await;
    let talking = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    cleo.invite("4").await;
    let ringing = call_id(&dan.expect("call_invitation").await);

    begin(&mut outage).await;
    // New calls are refused, by REST and on sockets, and ring nobody.
    let body = json!({ "callee_id": 6 });
    let refused = timed("a new call", AT_MOST, eve.post("/api/call/initiate", body.clone())).await;
    assert_eq!(refused.refused(503)["code"], "unavailable");
    timed("another", AT_MOST, eve.post("/api/call/initiate", body)).await.refused(503);
    let mut gina = timed("a socket", AT_MOST, service.socket("7")).await;
    gina.invite("6").await;
    assert_eq!(timed("a call", AT_MOST, gina.expect("error")).await["code"], "unavailable");
    let presence = async {
        for _ in 0..MANY {
            eve.heartbeat().await;
            assert_eq!(eve.status_of("1").await, "in_call");
            assert_eq!(eve.status_of("77").await, "offline");
        }
    };
    timed("presence", AT_MOST, presence).await;
    assert!(!timed("readiness", AT_MOST, ready(&eve)).await);
    timed("reading records", AT_MOST, eve.get("/api/calls")).await;
    // What was ringing is answered, who talked hangs up.
    dan.answer("3").await;
    timed("the answer", AT_MOST, cleo.expect("call_answer")).await;
    let candidates = async {
        for number in 0..MANY {
            cleo.candidate("4", number).await;
            dan.expect("ice_candidate").await;
        }
    };
    timed("candidates", AT_MOST, candidates).await;
    anna.hang_up("2").await;
    timed("the end", AT_MOST, ben.expect("call_ended")).await;
    assert_eq!(eve.status_of("1").await, "online");
    finn.no_more_mail().await;

    outage.end().await;
    service.until_ready().await;
    let db = store.open().await;
    assert_eq!(db.outcome(talking).await, ("ended".to_owned(), "answered".to_owned()));
    assert_eq!(db.outcome(ringing).await.0, "answered");
    assert_eq!(db.count("call_logs", "").await, 2, "who was refused left no record");
    dan.hang_up("3").await;
    cleo.expect("call_ended").await;
    assert_eq!(db.outcome(ringing).await, ("ended".to_owned(), "answered".to_owned()));
    finn.heartbeat().await;
    let (status, call) = eve.initiate("6").await;
    assert_eq!((status.as_str(), call_id(&finn.mail("incoming_call").await)), ("ringing", call));
}

async fn a_call_that_could_not_be_recorded_never_was(store: Store) {
    let mut outage = Outage::prepare(&store).await;
    let service = Service::start(outage.store()).await;
    let (anna, ben) = (service.rest("1"), service.rest("2"));
    anna.heartbeat().await;
    ben.heartbeat().await;
    eventually("he is online", async || (anna.status_of("2").await == "online").then_some(())).await;
    let initiate = async |key: &str, callee: i64| {
        let request = anna.request(Method::POST, "/api/call/initiate").header("Idempotency-Key", key);
        anna.send(request.json(&json!({ "callee_id": callee }))).await
    };
    outage.jam().await;
    // Somebody who is away, and somebody who could be rung.
    initiate("one", 3).await.refused(503);
    initiate("two", 2).await.refused(503);
    anna.post("/api/call/initiate", json!({ "callee_id": 3 })).await.refused(503);
    // She has no call to end, nor has she had one.
    anna.post("/api/call/hangup", json!({})).await.refused(404);
    outage.end().await;
    let attempts = async || {
        let again = initiate("one", 3).await;
        (again.status == 200).then_some(again.body)
    };
    let again = eventually("she may call again", attempts).await;
    assert_eq!(again["status"], "offline");
    let db = store.open().await;
    assert_eq!(db.outcome(call_id(&again)).await.0, "missed", "the same key again is a call with a record");
    ben.heartbeat().await;
    let rung = initiate("two", 2).await.ok();
    assert_eq!(rung["status"], "ringing");
    assert_eq!(db.outcome(call_id(&rung)).await.0, "ringing");
    assert_eq!(db.count("call_logs", "").await, 2);
}

async fn who_is_back_while_the_end_is_being_written_is_told_of_it(store: Store) {
    let mut outage = Outage::prepare(&store).await;
    let service = Service::start(outage.store()).await;
    let (mut anna, mut ben) = (service.device("1", "laptop").await, service.device("2", "phone").await);
    let rest = service.rest("9");
    let until = async |user: &str, status: &str| {
        eventually(status, async || (rest.status_of(user).await == status).then_some(())).await;
    };
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    until("1", "busy").await;
    ben.vanish();
    until("2", "offline").await;
    outage.jam().await;
    anna.cancel("2").await;
    // She is free at once; that it is over is not written yet.
    until("1", "online").await;
    let mut ben = service.device("2", "phone").await;
    outage.end().await;
    ben.expect("call_cancelled").await;
    ben.quiet().await;
}
