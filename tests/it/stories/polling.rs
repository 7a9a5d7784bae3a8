//! The polling seed's backend checklist and its edge cases, between people who only speak REST.

use serde_json::json;

use crate::harness::rest::id;
use crate::harness::{Rest, Service, Store, eventually};

on_both!(
    a_heartbeat_makes_a_user_online_and_silence_offline,
    what_a_user_says_is_their_status_until_they_say_otherwise,
    a_call_rings_is_answered_and_ends,
    a_rejected_call_is_not_a_missed_one,
    a_busy_callee_is_not_disturbed_and_finds_a_missed_call,
    an_offline_callee_finds_a_missed_call,
    of_simultaneous_callers_the_first_wins_and_the_others_are_missed,
    nobody_answers_and_the_ring_times_out,
    hanging_up_before_an_answer_cancels,
    the_same_attempt_again_is_the_same_call,
    a_callers_silence_while_ringing_cancels,
    an_admin_sees_everyones_missed_calls,
    marking_seen_counts_down_and_may_be_repeated,
    the_history_is_what_two_users_had_with_each_other,
    requests_without_a_call_id_mean_the_only_call,
    unread_signals_are_read_again_with_after,
);

/// Users who have just sent a heartbeat.
async fn alive<const N: usize>(service: &Service, users: [&str; N]) -> [Rest; N] {
    let rest = users.map(|user| service.rest(user));
    for user in &rest {
        user.heartbeat().await;
    }
    rest
}

async fn a_heartbeat_makes_a_user_online_and_silence_offline(store: Store) {
    let settings = [("PRESENCE__HEARTBEAT", "1s"), ("PRESENCE__OFFLINE_AFTER", "3s")];
    let service = Service::with(&store, &settings).await;
    let watcher = service.rest("9");
    assert_eq!(watcher.status_of("1").await, "offline");
    let [anna] = alive(&service, ["1"]).await;
    assert_eq!(watcher.status_of("1").await, "online");
    let body = anna.get("/api/status/user/1").await.ok();
    assert!(body["last_seen"].is_string(), "{body}");
    eventually("user 1 is offline", async || (watcher.status_of("1").await == "offline").then_some(())).await;
    anna.heartbeat().await;
    assert_eq!(watcher.status_of("1").await, "online");
}

async fn what_a_user_says_is_their_status_until_they_say_otherwise(store: Store) {
    let service = Service::start(&store).await;
    let [anna, ben] = alive(&service, ["1", "2"]).await;
    anna.post("/api/status/update", json!({ "status": "busy" })).await.ok();
    assert_eq!(ben.status_of("1").await, "busy");
    assert_eq!(ben.initiate("1").await.0, "busy");
    anna.post("/api/status/update", json!({ "status": "online" })).await.ok();
    assert_eq!(ben.status_of("1").await, "online");
    // A page that goes away says so with whatever content type the browser puts on it.
    let bye = anna.request(reqwest::Method::POST, "/api/status/update");
    let bye = bye.header("Content-Type", "text/plain;charset=UTF-8").body(r#"{"status":"offline"}"#);
    anna.send(bye).await.ok();
    assert_eq!(ben.status_of("1").await, "offline");
    anna.heartbeat().await;
    assert_eq!(ben.status_of("1").await, "online");
    // Being in a call is a fact, not something one says.
    let said = anna.post("/api/status/update", json!({ "status": "in_call" })).await;
    assert!(said.status == 200 || said.status == 400 || said.status == 422, "{said:?}");
    assert_eq!(ben.status_of("1").await, "online");
}

async fn a_call_rings_is_answered_and_ends(store: Store) {
    let service = Service::start(&store).await;
    let [mut anna, mut ben] = alive(&service, ["1", "2"]).await;

    let (status, call) = anna.initiate("2").await;
    assert_eq!(status, "ringing");
    let incoming = ben.mail("incoming_call").await;
    assert_eq!((&incoming["caller_id"], &incoming["call_type"]), (&1.into(), &"voice".into()));
    assert_eq!(incoming["call_id"], call);
    assert!(incoming["expires_in_ms"].as_u64().is_some_and(|ms| ms <= 30_000), "{incoming}");
    assert_eq!(anna.status_of("2").await, "busy");

    anna.signal("2", json!({ "type": "offer", "sdp": "v=0 offer" })).await;
    let offer = ben.mail("offer").await;
    assert_eq!(offer["signal"], json!({ "type": "offer", "sdp": "v=0 offer" }));
    assert_eq!((&offer["from_user_id"], &offer["call_id"]), (&1.into(), &call.into()));
    ben.answer(call).await;
    anna.mail("call_answered").await;
    ben.signal("1", json!({ "type": "answer", "sdp": "v=0 answer" })).await;
    assert_eq!(anna.mail("answer").await["signal"]["sdp"], "v=0 answer");
    for number in 0..3 {
        ben.signal("1", json!({ "type": "ice_candidate", "candidate": format!("candidate:{number}") })).await;
    }
    for number in 0..3 {
        let mail = anna.mail("ice_candidate").await;
        assert_eq!(mail["signal"]["candidate"], format!("candidate:{number}"));
    }
    let body = ben.get("/api/status/user/1").await.ok();
    assert_eq!((&body["status"], &body["current_call_with"]), (&"in_call".into(), &2.into()), "{body}");

    ben.hangup(call).await;
    assert_eq!(anna.mail("call_ended").await["call_id"], call);
    anna.no_more_mail().await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    assert_eq!(anna.status_of("2").await, "online");
    assert_eq!(ben.missed().await.1, 0);
}

async fn a_rejected_call_is_not_a_missed_one(store: Store) {
    let service = Service::start(&store).await;
    let [mut anna, mut ben] = alive(&service, ["1", "2"]).await;
    let (_, call) = anna.initiate("2").await;
    ben.mail("incoming_call").await;
    ben.reject(call).await;
    assert_eq!(anna.mail("call_declined").await["call_id"], call);
    assert_eq!(store.open().await.outcome(call).await, ("declined".to_owned(), "rejected".to_owned()));
    assert_eq!(ben.missed().await.1, 0);
    // The same request again is fine, another one is told how it went.
    ben.reject(call).await;
    let refused = ben.post("/api/call/answer", json!({ "call_id": call })).await.refused(409);
    assert_eq!(refused["code"], "call_ended");
}

async fn a_busy_callee_is_not_disturbed_and_finds_a_missed_call(store: Store) {
    let service = Service::start(&store).await;
    let [anna, mut ben, cleo] = alive(&service, ["1", "2", "3"]).await;
    let (_, call) = anna.initiate("2").await;
    ben.mail("incoming_call").await;
    ben.answer(call).await;

    let (status, missed) = cleo.initiate("2").await;
    assert_eq!(status, "busy");
    assert_ne!(missed, call);
    assert_eq!(store.open().await.outcome(missed).await, ("missed".to_owned(), "missed".to_owned()));
    let (list, unseen) = ben.missed().await;
    assert_eq!((list.len(), unseen), (1, 1));
    assert_eq!(
        (&list[0]["id"], &list[0]["caller_id"], &list[0]["reason"]),
        (&missed.into(), &3.into(), &"busy".into())
    );
    assert_eq!(list[0]["call_status"], "missed");
    // She who is in a call cannot make another one.
    anna.heartbeat().await;
    let refused = anna.post("/api/call/initiate", json!({ "callee_id": 3 })).await.refused(409);
    assert_eq!(refused["code"], "caller_busy");
    assert_eq!(store.open().await.count("call_history", "").await, 2);
    ben.hangup(call).await;
}

async fn an_offline_callee_finds_a_missed_call(store: Store) {
    let service = Service::start(&store).await;
    let [anna] = alive(&service, ["1"]).await;
    let (status, call) = anna.initiate("2").await;
    assert_eq!(status, "offline");
    assert_eq!(store.open().await.outcome(call).await, ("missed".to_owned(), "missed".to_owned()));
    let (list, unseen) = service.rest("2").missed().await;
    assert_eq!((list.len(), unseen), (1, 1));
    assert_eq!((&list[0]["id"], &list[0]["reason"]), (&call.into(), &"offline".into()));
    assert_eq!(anna.status_of("1").await, "online");
}

async fn of_simultaneous_callers_the_first_wins_and_the_others_are_missed(store: Store) {
    let service = Service::start(&store).await;
    let callers: Vec<Rest> = (10..30).map(|user| service.rest(&user.to_string())).collect();
    let [mut callee] = alive(&service, ["1"]).await;
    for caller in &callers {
        caller.heartbeat().await;
    }
    let attempts = callers.iter().map(|caller| caller.initiate("1"));
    let outcomes = futures_util::future::join_all(attempts).await;
    let ringing = outcomes.iter().filter(|(status, _)| status == "ringing").count();
    let busy = outcomes.iter().filter(|(status, _)| status == "busy").count();
    assert_eq!((ringing, busy), (1, 19), "{outcomes:?}");
    callee.mail("incoming_call").await;
    callee.no_more_mail_of("incoming_call").await;
    assert_eq!(callee.missed().await.1, 19);
    assert_eq!(store.open().await.count("call_history", "").await, 20);
}

async fn nobody_answers_and_the_ring_times_out(store: Store) {
    let service = Service::with(&store, &[("CALL__RING_TIMEOUT", "4s")]).await;
    let [mut anna, mut ben] = alive(&service, ["1", "2"]).await;
    let (_, call) = anna.initiate("2").await;
    ben.mail("incoming_call").await;
    anna.signal("2", json!({ "type": "offer", "sdp": "v=0" })).await;
    assert_eq!(anna.mail("call_ended").await["reason"], "no_answer");
    ben.mail("call_cancelled").await;
    assert_eq!(store.open().await.outcome(call).await, ("missed".to_owned(), "missed".to_owned()));
    let (list, unseen) = ben.missed().await;
    assert_eq!((&list[0]["reason"], unseen), (&"no_answer".into(), 1));
    let refused = ben.post("/api/call/answer", json!({ "call_id": call })).await.refused(409);
    assert_eq!(refused["code"], "call_ended");
    assert_eq!(anna.status_of("2").await, "online");
}

async fn hanging_up_before_an_answer_cancels(store: Store) {
    let service = Service::start(&store).await;
    let [anna, mut ben] = alive(&service, ["1", "2"]).await;
    let (_, call) = anna.initiate("2").await;
    ben.mail("incoming_call").await;
    anna.hangup(call).await;
    assert_eq!(ben.mail("call_cancelled").await["call_id"], call);
    ben.no_more_mail().await;
    assert_eq!(store.open().await.outcome(call).await, ("cancelled".to_owned(), "missed".to_owned()));
    assert_eq!(ben.missed().await.1, 1);
    anna.hangup(call).await;
}

async fn the_same_attempt_again_is_the_same_call(store: Store) {
    let service = Service::start(&store).await;
    let [anna, mut ben] = alive(&service, ["1", "2"]).await;
    let (_, call) = anna.initiate("2").await;
    assert_eq!(anna.initiate("2").await, ("ringing".to_owned(), call));
    ben.mail("incoming_call").await;
    ben.no_more_mail().await;
    assert_eq!(store.open().await.count("call_history", "").await, 1);
    anna.hangup(call).await;
    // With a key of the client's own the retry finds the call even when it is over.
    let attempt = || {
        let request = anna.request(reqwest::Method::POST, "/api/call/initiate");
        request.header("Idempotency-Key", "once").json(&json!({ "callee_id": 2 }))
    };
    let first = anna.send(attempt()).await.ok();
    let second = anna.send(attempt()).await.ok();
    assert_eq!(first["call_id"], second["call_id"]);
    assert_eq!(store.open().await.count("call_history", "").await, 2);
}

async fn a_callers_silence_while_ringing_cancels(store: Store) {
    let settings = [
        ("PRESENCE__HEARTBEAT", "1s"),
        ("PRESENCE__OFFLINE_AFTER", "3s"),
        ("CALL__CALLER_GRACE", "500ms"),
        ("LIMITS__MESSAGE_BURST", "10000"),
    ];
    let service = Service::with(&store, &settings).await;
    let mut ben = service.socket("2").await;
    let [anna] = alive(&service, ["1"]).await;
    let (_, call) = anna.initiate("2").await;
    anna.signal("2", json!({ "type": "offer", "sdp": "v=0" })).await;
    ben.expect("call_invitation").await;
    // Anna's page is gone: no heartbeat, no poll. Ben's asking keeps his own socket fresh meanwhile.
    eventually("the ring stops", async || ben.has("call_cancelled").await.then_some(())).await;
    ben.expect("call_cancelled").await;
    ben.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("cancelled".to_owned(), "missed".to_owned()));
}

async fn an_admin_sees_everyones_missed_calls(store: Store) {
    let service = Service::start(&store).await;
    let [anna] = alive(&service, ["1"]).await;
    anna.initiate("2").await;
    anna.initiate("3").await;
    let admin = service.rest("90").role("admin");
    assert_eq!(admin.missed().await.0.len(), 2);
    let of_three = admin.get("/api/call/missed?user_id=3").await.ok();
    assert_eq!(of_three["missed_calls"].as_array().map(Vec::len), Some(1), "{of_three}");
    // Others see their own only.
    assert_eq!(service.rest("2").missed().await.0.len(), 1);
    let other = service.rest("2").get("/api/call/missed?user_id=3").await;
    let theirs =
        other.body["missed_calls"].as_array().is_some_and(|list| list.iter().any(|call| call["callee_id"] == id("3")));
    assert!(!theirs, "{other:?}");
}

async fn marking_seen_counts_down_and_may_be_repeated(store: Store) {
    let service = Service::start(&store).await;
    let [anna, cleo] = alive(&service, ["1", "3"]).await;
    let (_, first) = anna.initiate("2").await;
    cleo.initiate("2").await;
    let ben = service.rest("2");
    assert_eq!(ben.missed().await.1, 2);
    for _ in 0..2 {
        ben.post(&format!("/api/call/mark-seen/{first}"), json!({})).await.ok();
        assert_eq!(ben.missed().await.1, 1);
    }
    let seen = store.open().await.row(&["seen_by_callee"], "call_history", &format!("WHERE id = {first}")).await;
    assert!(seen[0] == "1" || seen[0] == "true", "{seen:?}");
    // Nobody else may, and there is nothing to learn from trying.
    cleo.post(&format!("/api/call/mark-seen/{first}"), json!({})).await.refused(404);
    ben.post("/api/call/mark-seen/999999", json!({})).await.refused(404);
}

async fn the_history_is_what_two_users_had_with_each_other(store: Store) {
    let service = Service::start(&store).await;
    let [anna, cleo] = alive(&service, ["1", "3"]).await;
    let (_, call) = anna.initiate("2").await;
    cleo.initiate("2").await;
    let body = anna.get("/api/call/history/2").await.ok();
    let list = ["call_history", "history", "calls"].iter().find_map(|key| body[*key].as_array());
    let list = list.unwrap_or_else(|| panic!("no list: {body}"));
    assert_eq!(list.len(), 1, "{body}");
    assert_eq!((&list[0]["id"], &list[0]["call_status"]), (&call.into(), &"missed".into()));
}

async fn requests_without_a_call_id_mean_the_only_call(store: Store) {
    let service = Service::start(&store).await;
    let [anna, mut ben] = alive(&service, ["1", "2"]).await;
    let (_, call) = anna.initiate("2").await;
    ben.mail("incoming_call").await;
    ben.post("/api/call/answer", json!({})).await.ok();
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
    anna.post("/api/call/hangup", json!({})).await.ok();
    ben.mail("call_ended").await;
    assert_eq!(store.open().await.outcome(call).await.0, "ended");
}

async fn unread_signals_are_read_again_with_after(store: Store) {
    let service = Service::start(&store).await;
    let [anna, ben] = alive(&service, ["1", "2"]).await;
    anna.initiate("2").await;
    let first = ben.get("/api/call/signals?after=0&wait=5").await.ok();
    assert_eq!(first["signals"][0]["type"], "incoming_call", "{first}");
    // The answer got lost on its way: the same question has the same answer.
    let again = ben.get("/api/call/signals?after=0").await.ok();
    assert_eq!(first["signals"][0]["id"], again["signals"][0]["id"], "{again}");
    let last = &first["signals"][0]["id"];
    let last = last.as_str().map_or_else(|| last.to_string(), str::to_owned);
    let after = ben.get(&format!("/api/call/signals?after={last}")).await.ok();
    assert_eq!(after["signals"], json!([]));
}
