//! People who poll, with a token that expired during their call.

use reqwest::Method;
use serde_json::json;

use super::{JWT, brief, device, expiring, jwt, lasting, rest, until_expired};
use crate::harness::socket::{candidate, connect_call, description};
use crate::harness::{Outage, Rest, Service, Store, within};

on_both!(
    a_call_by_polling_outlives_its_tokens,
    a_call_by_polling_outlives_its_tokens_and_a_restart,
    the_end_is_read_while_it_is_being_written,
);

mod only_here {
    use super::*;
    on_sqlite!(
        nothing_but_the_call_is_taken,
        only_the_calls_own_signals_are_read,
        a_token_that_expired_before_the_call_is_not_taken,
        a_token_that_expired_before_its_bearer_was_brought_in_is_not_taken,
        a_service_whose_token_has_expired_speaks_for_nobody,
        heartbeats_keep_a_polling_user_in_the_call,
    );
}

/// Two users with tokens that hold, who are there.
async fn alive(service: &Service, users: [&str; 2]) -> [Rest; 2] {
    let both = users.map(|user| rest(service, user, &lasting(user)));
    for one in &both {
        one.heartbeat().await;
    }
    both
}

/// They get into a call: its number.
async fn talk(anna: &Rest, ben: &Rest) -> i64 {
    let (status, call) = anna.initiate(ben.user()).await;
    assert_eq!(status, "ringing");
    ben.answer(call).await;
    call
}

/// 1 and 2 in a call by polling, and the tokens they have: those held when it began and have expired.
async fn lapsed(service: &Service) -> ([String; 2], i64) {
    let [anna, ben] = alive(service, ["1", "2"]).await;
    let call = talk(&anna, &ben).await;
    let tokens = ["1", "2"].map(brief);
    for token in &tokens {
        until_expired(service, token).await;
    }
    (tokens, call)
}

fn both(service: &Service, [one, two]: &[String; 2]) -> (Rest, Rest) {
    (rest(service, "1", one), rest(service, "2", two))
}

async fn a_call_by_polling_outlives_its_tokens(store: Store) {
    let service = jwt(&store).await;
    let (tokens, call) = lapsed(&service).await;
    let (mut anna, mut ben) = both(&service, &tokens);
    anna.heartbeat().await;
    anna.signal("2", description("offer")).await;
    assert_eq!(ben.mail("offer").await["call_id"], call);
    ben.signal("1", description("answer")).await;
    anna.mail("answer").await;
    ben.signal("1", json!({ "type": "ice_candidate", "candidate": candidate(1) })).await;
    anna.mail("ice_candidate").await;
    anna.hangup(call).await;
    // The end is still told to who was not the one to bring it about.
    assert_eq!(ben.mail("call_ended").await["reason"], "completed");
    for one in [&anna, &ben] {
        let refused = one.get("/api/call/signals").await.refused(401);
        assert!(refused["error"].as_str().is_some_and(|text| text.contains("expired")), "{refused}");
        one.post("/api/status/heartbeat", json!({})).await.refused(401);
    }
    // The same again is answered with what became of it.
    assert_eq!(anna.hangup(call).await["success"], true);
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn a_call_by_polling_outlives_its_tokens_and_a_restart(store: Store) {
    let mut service = jwt(&store).await;
    let (tokens, call) = lapsed(&service).await;
    service.restart().await;
    let (anna, mut ben) = both(&service, &tokens);
    anna.heartbeat().await;
    ben.heartbeat().await;
    anna.signal("2", description("offer")).await;
    ben.mail("offer").await;
    anna.hangup(call).await;
    ben.mail("call_ended").await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn the_end_is_read_while_it_is_being_written(store: Store) {
    let mut outage = Outage::prepare(&store).await;
    let service = Service::with(outage.store(), &JWT).await;
    let (tokens, call) = lapsed(&service).await;
    let (anna, mut ben) = both(&service, &tokens);
    outage.jam().await;
    // Ben asks again and again, meanwhile the end waits for the database.
    let (_, end) = tokio::join!(anna.hangup(call), ben.mail("call_ended"));
    assert_eq!(end["call_id"], call);
    outage.end().await;
}

async fn nothing_but_the_call_is_taken(store: Store) {
    let service = jwt(&store).await;
    let (tokens, call) = lapsed(&service).await;
    let (anna, _) = both(&service, &tokens);
    let signal = |body| anna.post("/api/call/signal", body);
    signal(json!({ "target_user_id": 3, "signal": description("offer") })).await.refused(404);
    signal(json!({ "target_user_id": 2, "call_id": call + 1, "signal": description("offer") })).await.refused(401);
    for (path, body) in [
        ("/api/call/hangup", json!({ "call_id": call + 1 })),
        ("/api/call/initiate", json!({ "callee_id": 3 })),
        ("/api/call/initiate", json!({ "callee_id": 3, "call_id": call })),
        ("/api/call/answer", json!({ "call_id": call })),
        ("/api/call/reject", json!({ "call_id": call })),
        ("/api/status/update", json!({ "status": "busy" })),
        ("/api/call-logs", json!({})),
    ] {
        let refused = anna.post(path, body).await.refused(401);
        assert_eq!(refused["code"], "unauthorized", "{path}: {refused}");
        assert!(refused["error"].as_str().is_some_and(|text| text.contains("expired")), "{path}: {refused}");
    }
    for path in ["/api/call/missed", "/api/calls", "/api/status/user/2", "/api/ice-servers"] {
        anna.get(path).await.refused(401);
    }
    // Without a number the call is meant that the token may speak of.
    anna.post("/api/call/hangup", json!({})).await.ok();
}

async fn only_the_calls_own_signals_are_read(store: Store) {
    let service = jwt(&store).await;
    let [mut anna, ben] = alive(&service, ["1", "2"]).await;
    // An earlier call leaves letters that nobody has read yet.
    let cleo = rest(&service, "3", &lasting("3"));
    let (_, earlier) = cleo.initiate("1").await;
    cleo.hangup(earlier).await;
    let call = talk(&anna, &ben).await;
    let token = brief("1");
    until_expired(&service, &token).await;
    let lapsed = rest(&service, "1", &token);
    ben.signal("1", description("offer")).await;
    for after in ["?after=0", ""] {
        let read = lapsed.get(&format!("/api/call/signals{after}")).await.ok();
        let calls: Vec<_> = read["signals"].as_array().expect("a list").iter().map(|item| &item["call_id"]).collect();
        assert!(!calls.is_empty() && calls.iter().all(|of| **of == call), "{after}: {read}");
    }
    // What it was not shown it did not drain.
    assert_eq!(anna.mail("incoming_call").await["call_id"], earlier);
    assert_eq!(anna.mail("call_cancelled").await["call_id"], earlier);
    anna.no_more_mail().await;
}

async fn a_token_that_expired_before_the_call_is_not_taken(store: Store) {
    let service = jwt(&store).await;
    let (_, call) = lapsed(&service).await;
    let old = rest(&service, "1", &expiring("1", -60, &json!({})));
    old.post("/api/status/heartbeat", json!({})).await.refused(401);
    old.post("/api/call/hangup", json!({ "call_id": call })).await.refused(401);
    old.get("/api/call/signals").await.refused(401);
    // Nor is that of somebody in no call.
    let other = expiring("3", 0, &json!({}));
    until_expired(&service, &other).await;
    rest(&service, "3", &other).post("/api/status/heartbeat", json!({})).await.refused(401);
    assert_eq!(rest(&service, "9", &lasting("9")).status_of("1").await, "in_call");
}

async fn a_token_that_expired_before_its_bearer_was_brought_in_is_not_taken(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "a", &lasting("1")).await;
    let mut ben = device(&service, "2", "b", &lasting("2")).await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    // It held when the call began, and is over when its bearer comes in.
    let old = brief("3");
    until_expired(&service, &old).await;
    let mut cleo = rest(&service, "3", &lasting("3"));
    cleo.heartbeat().await;
    let offer = description("offer");
    anna.send(json!({ "type": "call_invitation", "to_user_id": 3, "call_id": call, "offer": offer })).await;
    cleo.mail("incoming_call").await;
    let old = rest(&service, "3", &old);
    old.post("/api/status/heartbeat", json!({})).await.refused(401);
    old.get("/api/call/signals").await.refused(401);
    old.post("/api/call/hangup", json!({ "call_id": call })).await.refused(401);
    assert_eq!(cleo.status_of("1").await, "in_call");
}

async fn a_service_whose_token_has_expired_speaks_for_nobody(store: Store) {
    let service = jwt(&store).await;
    lapsed(&service).await;
    let token = expiring("backend", 1, &json!({ "role": "service" }));
    until_expired(&service, &token).await;
    let backend = rest(&service, "backend", &token);
    for path in ["/api/status/heartbeat", "/api/call/hangup"] {
        let request = backend.request(Method::POST, path).header("X-On-Behalf-Of", "1");
        backend.send(request.json(&json!({}))).await.refused(401);
    }
    assert_eq!(rest(&service, "9", &lasting("9")).status_of("1").await, "in_call");
}

async fn heartbeats_keep_a_polling_user_in_the_call(store: Store) {
    let mut settings = JWT.to_vec();
    settings.extend([
        ("PRESENCE__HEARTBEAT", "500ms"),
        ("PRESENCE__OFFLINE_AFTER", "3s"),
        ("CALL__RECONNECT_GRACE", "1s"),
    ]);
    let service = Service::with(&store, &settings).await;
    let [anna, ben] = alive(&service, ["1", "2"]).await;
    let call = talk(&anna, &ben).await;
    let tokens = ["1", "2"].map(brief);
    let (anna, ben) = both(&service, &tokens);
    // Others fall silent in their call, which tells when it would have been over for these two.
    let [cleo, dora] = alive(&service, ["3", "4"]).await;
    let others = talk(&cleo, &dora).await;
    let watcher = rest(&service, "9", &lasting("9"));
    within(crate::harness::PATIENCE * 2, "the call of those who fell silent is dropped", async || {
        anna.heartbeat().await;
        ben.heartbeat().await;
        (!cleo.record(others).await["ended_at"].is_null()).then_some(())
    })
    .await;
    until_expired(&service, &tokens[0]).await;
    assert_eq!(watcher.status_of("1").await, "in_call");
    anna.heartbeat().await;
    anna.hangup(call).await;
    anna.post("/api/status/heartbeat", json!({})).await.refused(401);
}
