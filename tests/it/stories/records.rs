//! The record of calls as clients read it: the call logs of the seed, and `/api/calls`.

use serde_json::{Value, json};

use crate::harness::rest::call_id;
use crate::harness::socket::connect_call;
use crate::harness::{Rest, Service, Store};

on_both!(
    a_log_the_caller_posts_is_the_live_call_and_not_a_second_one,
    a_log_cannot_be_talked_out_of_what_the_server_saw,
    a_call_the_server_never_saw_may_be_reported,
    the_pages_order_of_logging_beside_a_live_call,
    a_log_posted_late_is_the_call_that_ended_at_once,
    a_log_posted_early_waits_for_its_call,
    a_reported_call_moves_forward_only,
    a_reported_call_left_open_is_settled_in_time,
    the_logs_of_a_conversation_read_right_for_both_sides,
    calls_are_listed_newest_first_in_pages,
    calls_are_filtered,
    only_members_and_admins_read_a_record,
    a_calls_events_tell_its_whole_story,
);

fn calls(body: &Value) -> Vec<i64> {
    let list = body["calls"].as_array().unwrap_or_else(|| panic!("no calls: {body}"));
    list.iter().map(|call| call["id"].as_i64().unwrap_or_else(|| panic!("no id: {call}"))).collect()
}

fn logs(body: &Value) -> &Vec<Value> {
    body["call_logs"].as_array().unwrap_or_else(|| panic!("no call_logs: {body}"))
}

/// A log as the seed's page posts it.
fn log(conversation: u64) -> Value {
    json!({
        "conversation_id": conversation,
        "caller_profile_id": 1,
        "caller_profile_type": "student",
        "call_type": "voice",
        "status": "initiated",
        "started_at": "2026-01-16T13:30:00Z",
    })
}

/// One caller's missed calls to people who are not there, oldest first.
async fn missed_calls(anna: &Rest, callees: &[&str]) -> Vec<i64> {
    anna.heartbeat().await;
    let mut made = Vec::new();
    for callee in callees {
        made.push(anna.initiate(callee).await.1);
    }
    made
}

async fn a_log_the_caller_posts_is_the_live_call_and_not_a_second_one(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    let created = service.rest("1").post("/api/call-logs", log(123)).await.ok();
    assert_eq!((&created["success"], &created["call_log_id"]), (&true.into(), &call.into()));
    assert_eq!(store.open().await.count("call_logs", "").await, 1);
}

async fn a_log_cannot_be_talked_out_of_what_the_server_saw(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let rest = service.rest("1");
    let path = format!("/api/call-logs/{call}");
    rest.put(&path, json!({ "status": "answered", "answered_at": "2026-01-16T13:30:05Z" })).await.ok();
    // A page that believes the call is over does not end it.
    rest.put(&path, json!({ "status": "ended", "duration_seconds": 3600 })).await.ok();
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    rest.put(&path, json!({ "status": "cancelled", "duration_seconds": 3600 })).await.ok();
    let row = store.open().await.row(&["status", "duration_seconds"], "call_logs", &format!("WHERE id = {call}")).await;
    assert_eq!(row[0], "ended");
    assert!(row[1].parse::<i64>().is_ok_and(|seconds| seconds < 60), "{row:?}");
    service.rest("3").put(&path, json!({ "status": "ended" })).await.refused(404);
}

async fn a_call_the_server_never_saw_may_be_reported(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    let created = anna.post("/api/call-logs", log(55)).await.ok();
    let id = created["call_log_id"].as_i64().unwrap_or_else(|| panic!("{created}"));
    let end = json!({ "status": "ended", "ended_at": "2026-01-16T13:30:45Z", "duration_seconds": 45 });
    anna.put(&format!("/api/call-logs/{id}"), end).await.ok();
    let body = anna.get("/api/call-logs/55").await.ok();
    assert_eq!(logs(&body).len(), 1, "{body}");
    // It is the page's word, so it makes nobody busy.
    assert_ne!(service.rest("2").status_of("1").await, "in_call");
}

async fn the_logs_of_a_conversation_read_right_for_both_sides(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    for (user, is_caller) in [("1", true), ("2", false)] {
        for path in ["/api/call-logs/123", "/api/call-logs?conversation_id=123"] {
            let body = service.rest(user).get(path).await.ok();
            let [log] = &logs(&body)[..] else { panic!("one log: {body}") };
            assert_eq!((&log["id"], &log["is_caller"]), (&call.into(), &is_caller.into()), "{log}");
            assert_eq!((&log["status"], &log["conversation_id"]), (&"ended".into(), &123.into()), "{log}");
            assert_eq!(log["call_type"], "voice");
            for time in ["started_at", "answered_at", "ended_at"] {
                assert!(log[time].is_string(), "{time}: {log}");
            }
            assert!(log["duration_seconds"].is_i64(), "{log}");
        }
    }
    let others = service.rest("3").get("/api/call-logs/123").await;
    assert!(others.status == 404 || others.status == 403 || logs(&others.body).is_empty(), "{others:?}");
}

async fn calls_are_listed_newest_first_in_pages(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    let made = missed_calls(&anna, &["2", "3", "4", "5", "6"]).await;
    let newest_first: Vec<i64> = made.into_iter().rev().collect();
    assert_eq!(calls(&anna.get("/api/calls").await.ok()), newest_first);
    assert_eq!(calls(&anna.get("/api/calls/").await.ok()), newest_first);

    let (mut read, mut cursor) = (Vec::new(), None);
    for _ in 0..5 {
        let path = match &cursor {
            None => "/api/calls?limit=2".to_owned(),
            Some(cursor) => format!("/api/calls?limit=2&cursor={cursor}"),
        };
        let body = anna.get(&path).await.ok();
        read.extend(calls(&body));
        // A call made while somebody turns pages does not shift them.
        if cursor.is_none() {
            anna.initiate("7").await;
        }
        match &body["next_cursor"] {
            Value::Null => break,
            Value::String(text) => cursor = Some(text.clone()),
            other => cursor = Some(other.to_string()),
        }
    }
    assert_eq!(read, newest_first);
    for bad in ["limit=0", "limit=x", "cursor=%25%25", "since=yesterday", "status=nonsense"] {
        anna.get(&format!("/api/calls?{bad}")).await.refused(400);
    }
}

async fn calls_are_filtered(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let answered = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    let rest = service.rest("1");
    let offline = rest.initiate("4").await.1;

    for (filter, expected) in [
        ("status=ended", vec![answered]),
        ("status=missed", vec![offline]),
        ("reason=offline", vec![offline]),
        ("reason=completed", vec![answered]),
        ("peer=2", vec![answered]),
        ("type=video", vec![]),
        ("conversation_id=123", vec![answered]),
        ("since=2020-01-01T00:00:00Z", vec![offline, answered]),
        ("until=2020-01-01T00:00:00Z", vec![]),
        ("status=ended&peer=4", vec![]),
    ] {
        assert_eq!(calls(&rest.get(&format!("/api/calls?{filter}")).await.ok()), expected, "{filter}");
    }
    // Somebody else's calls are an admin's business.
    let admin = service.rest("90").role("admin");
    assert_eq!(calls(&admin.get("/api/calls?user=4").await.ok()), [offline]);
    assert_eq!(calls(&service.rest("2").get("/api/calls").await.ok()), [answered]);
}

async fn only_members_and_admins_read_a_record(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    let call = missed_calls(&anna, &["2"]).await[0];
    let record = anna.record(call).await;
    assert_eq!((&record["id"], &record["caller_id"]), (&call.into(), &1.into()));
    assert_eq!(record["callee_ids"], json!([2]));
    assert_eq!((&record["status"], &record["reason"]), (&"missed".into(), &"offline".into()));
    service.rest("2").get(&format!("/api/calls/{call}")).await.ok();
    service.rest("90").role("admin").get(&format!("/api/calls/{call}")).await.ok();
    service.rest("3").get(&format!("/api/calls/{call}")).await.refused(404);
    anna.get("/api/calls/999999").await.refused(404);
}

async fn a_calls_events_tell_its_whole_story(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    let body = service.rest("2").get(&format!("/api/calls/{call}/events")).await.ok();
    let events = body["events"].as_array().unwrap_or_else(|| panic!("no events: {body}"));
    let what: Vec<&str> = events.iter().filter_map(|event| event["what"].as_str()).collect();
    let phases: Vec<&str> =
        what.into_iter().filter(|what| ["initiated", "ringing", "answered", "ended"].contains(what)).collect();
    assert_eq!(phases, ["initiated", "ringing", "answered", "ended"], "{body}");
    service.rest("3").get(&format!("/api/calls/{call}/events")).await.refused(404);
}

async fn the_pages_order_of_logging_beside_a_live_call(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (rest, other) = (service.rest("1"), service.rest("2"));
    // `sendCallInvitation`, which names no conversation here, then `createCallLog`.
    let mut invitation = crate::harness::socket::invitation("2");
    invitation["conversation_id"] = Value::Null;
    anna.send(invitation).await;
    let id = call_id(&ben.expect("call_invitation").await);
    let created = rest.post("/api/call-logs?profile_id=1&profile_type=student", log(77)).await;
    assert_eq!(created.status, 200);
    assert_eq!(created.ok()["call_log_id"], id);
    let path = format!("/api/call-logs/{id}?profile_id=1&profile_type=student");
    // Said too early, an answer is nothing.
    let early = rest.put(&path, json!({ "status": "answered" })).await.ok();
    assert_eq!((&early["call_log"]["status"], &early["call_log"]["connected_at"]), (&"ringing".into(), &Value::Null));
    ben.answer("1").await;
    anna.expect("call_answer").await;
    // `ontrack`: answered. Again: nothing new. The other page may say so too.
    let first = rest.put(&path, json!({ "status": "answered", "answered_at": "2026-01-16T13:30:05Z" })).await.ok();
    assert_eq!(first["success"], json!(true));
    assert_eq!(first["call_log"]["status"], "answered");
    assert_eq!(first["call_log"]["connected_at"], "2026-01-16T13:30:05Z");
    assert!(first["call_log"]["answered_at"].as_str() > Some("2026-02"), "{first}");
    let again = other.put(&path, json!({ "status": "answered", "answered_at": "2027-01-16T13:30:05Z" })).await.ok();
    assert_eq!(again["call_log"]["connected_at"], first["call_log"]["connected_at"]);
    // `endChatCall`: the message, then the log.
    anna.hang_up("2").await;
    let ended = json!({ "status": "ended", "ended_at": "2026-01-16T13:31:00Z", "duration_seconds": 45.7 });
    ben.expect("call_ended").await;
    let body = rest.put(&path, ended).await.ok();
    let log = &body["call_log"];
    assert_eq!((&log["id"], &log["status"], &log["reported"]), (&id.into(), &"ended".into(), &false.into()));
    assert!(log["duration_seconds"].as_i64().is_some_and(|seconds| seconds < 40), "{log}");
    assert_eq!(log["client_duration_seconds"], 45);
    let db = store.open().await;
    assert_eq!(db.count("calls", "").await, 1);
    assert_eq!(db.outcome(id).await, ("ended".to_owned(), "answered".to_owned()));
    // Others learn nothing of it; an admin may.
    service.rest("3").put(&path, json!({ "status": "ended" })).await.refused(404);
    service.rest("90").role("admin").put(&path, json!({})).await.ok();
    rest.put(&path, json!({ "status": "nonsense" })).await.refused(400);
    rest.put(&path, json!({ "duration_seconds": -1 })).await.refused(400);
    rest.put("/api/call-logs/999999", json!({ "status": "ended" })).await.refused(404);
}

async fn a_log_posted_late_is_the_call_that_ended_at_once(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    anna.invite("2").await;
    let offline = call_id(&anna.expect("call_declined").await);
    let rest = service.rest("1");
    let body = rest.post("/api/call-logs", log(123)).await.ok();
    assert_eq!(body["call_log_id"], offline);
    let left = rest.put(&format!("/api/call-logs/{offline}"), json!({ "status": "cancelled" })).await.ok();
    assert_eq!(left["call_log"]["status"], "missed");
    assert_eq!(store.open().await.count("calls", "").await, 1);
    // Another conversation's log is another call, and somebody else's is too.
    assert_ne!(rest.post("/api/call-logs", log(124)).await.ok()["call_log_id"], offline);
    assert_ne!(service.rest("3").post("/api/call-logs", log(123)).await.ok()["call_log_id"], offline);
}

async fn a_log_posted_early_waits_for_its_call(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let rest = service.rest("1");
    for _ in 0..5 {
        // On two connections at once: either may be first.
        let (_, created) = tokio::join!(anna.invite("2"), rest.post("/api/call-logs", log(123)));
        let call = call_id(&ben.expect("call_invitation").await);
        assert_eq!(created.ok()["call_log_id"], call);
        ben.decline("1").await;
        anna.expect("call_declined").await;
        service.rest("2").final_record(call).await;
    }
    assert_eq!(store.open().await.count("calls", "").await, 5);
}

async fn a_reported_call_moves_forward_only(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("1");
    let report = async |log: Value| {
        let created = rest.post("/api/call-logs", log).await;
        assert_eq!(created.status, 201);
        let body = created.ok();
        assert_eq!(body["message"], "Call log created");
        body["call_log_id"].as_i64().expect("an id")
    };
    let tell =
        async |id: i64, word: Value| rest.put(&format!("/api/call-logs/{id}"), word).await.ok()["call_log"].clone();
    let id = report(log(55)).await;
    for (word, status) in [
        ("ringing", "ringing"),
        ("initiated", "ringing"),
        ("answered", "answered"),
        ("ringing", "answered"),
        ("ended", "ended"),
        ("answered", "ended"),
        ("failed", "ended"),
    ] {
        let log = tell(id, json!({ "status": word })).await;
        assert_eq!((&log["status"], &log["reported"]), (&status.into(), &true.into()), "{word}");
    }
    let log_as_it_stands = tell(id, json!({})).await;
    assert!(log_as_it_stands["started_at"].as_str() <= log_as_it_stands["answered_at"].as_str());
    assert!(log_as_it_stands["answered_at"].as_str() <= log_as_it_stands["ended_at"].as_str());
    for word in ["cancelled", "declined", "missed", "failed"] {
        let id = report(json!({ "conversation_id": 56, "call_type": "video", "status": "ringing" })).await;
        let log = tell(id, json!({ "status": word, "ended_at": "1999-01-01T00:00:00Z" })).await;
        assert_eq!(
            (&log["status"], &log["call_type"], &log["duration_seconds"]),
            (&word.into(), &"video".into(), &0.into())
        );
        assert!(log["started_at"].as_str() <= log["ended_at"].as_str(), "{log}");
    }
    // Said when all was over.
    let id = report(json!({ "conversation_id": 57, "status": "missed" })).await;
    let db = store.open().await;
    assert_eq!(db.row(&["status"], "call_logs", &format!("WHERE id = {id}")).await, ["missed"]);
    // It names no callee, so it is nobody's history and nobody's missed call.
    assert_eq!(db.count("call_history", "").await, 0);
    let events = rest.get(&format!("/api/calls/{id}/events")).await.ok();
    let trace: Vec<&Value> = events["events"].as_array().expect("events").iter().map(|event| &event["what"]).collect();
    assert_eq!(trace, ["initiated", "ended"]);
    // It makes nobody busy, and the next call has the next number.
    let mut anna = service.socket("1").await;
    let mut ben = service.socket("2").await;
    anna.invite("2").await;
    assert!(call_id(&ben.expect("call_invitation").await) > id);
    for bad in [
        json!({ "conversation_id": "a b" }),
        json!({ "conversation_id": [1] }),
        json!({ "status": "x" }),
        json!({ "call_type": "smell" }),
        json!({ "started_at": "yesterday" }),
        json!({ "duration_seconds": "long" }),
    ] {
        rest.post("/api/call-logs", bad).await.refused(400);
    }
}

async fn a_reported_call_left_open_is_settled_in_time(store: Store) {
    let mut service = Service::start(&store).await;
    let rest = service.rest("1");
    let mut ids = Vec::new();
    for conversation in [61, 62, 63] {
        let body = rest.post("/api/call-logs", log(conversation)).await.ok();
        ids.push(body["call_log_id"].as_i64().expect("an id"));
    }
    rest.put(&format!("/api/call-logs/{}", ids[1]), json!({ "status": "answered" })).await.ok();
    service.kill9().await;
    // Two of them are two days old.
    store.open().await.two_days_older(&ids[..2]).await;
    service.start_again().await;
    let db = store.open().await;
    let columns = ["status", "duration_seconds"];
    // The young one may still be going on where its page is.
    for (id, expected) in ids.iter().zip([["failed", "0"], ["ended", "0"], ["initiated", "0"]]) {
        assert_eq!(db.row(&columns, "call_logs", &format!("WHERE id = {id}")).await, expected);
    }
    let rest = service.rest("1");
    let log = rest.put(&format!("/api/call-logs/{}", ids[2]), json!({ "status": "cancelled" })).await.ok();
    assert_eq!(log["call_log"]["status"], "cancelled");
}
