//! How calls went, in numbers; and missed calls that are seen all at once.

use serde_json::{Value, json};

use crate::harness::socket::connect_call;
use crate::harness::{Rest, Service, Store};

on_both!(
    the_numbers_of_a_week_are_those_of_its_records,
    statistics_are_of_own_calls_and_everybodys_for_admins,
    every_hour_and_every_day_is_there_also_without_calls,
    a_question_that_cannot_be_answered_is_refused,
    all_missed_calls_are_seen_at_once_and_once_more,
    an_admin_marks_for_one_user_and_for_everybody,
    missed_calls_are_filtered_by_time_and_by_whether_they_were_seen,
);

const REASONS: [&str; 9] =
    ["completed", "declined", "cancelled", "no_answer", "busy", "offline", "dropped", "failed", "killed"];

/// Calls of 1 with every ending a story can have quickly: completed, declined, cancelled, twice offline, and one of
/// others that still rings.
async fn some_calls(service: &Service) {
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    let (caller, callee) = (service.rest("1"), service.rest("2"));
    for refuse in [true, false] {
        let (status, call) = caller.initiate("2").await;
        assert_eq!(status, "ringing");
        if refuse {
            callee.reject(call).await
        } else {
            caller.hangup(call).await
        };
        callee.final_record(call).await;
    }
    for absent in ["3", "4"] {
        assert_eq!(caller.initiate(absent).await.0, "offline");
    }
    let carol = service.rest("6");
    carol.heartbeat().await;
    assert_eq!(service.rest("5").initiate("6").await.0, "ringing");
}

/// What the rows say, counted one by one.
async fn counted(store: &Store) -> Value {
    let db = store.open().await;
    let rows = db.rows(&["phase", "reason", "answered_at", "id"], "calls", "").await;
    let missed = db.row(&["count(DISTINCT call_id)"], "call_legs", "WHERE missed").await;
    let count = |which: &dyn Fn(&[String]) -> bool| rows.iter().filter(|row| which(row)).count();
    let mut totals = json!({
        "calls": rows.len(),
        "live": count(&|row| row[0] != "ended"),
        "answered": count(&|row| !row[2].is_empty()),
        "missed": missed[0].parse::<usize>().expect("a count"),
    });
    for reason in REASONS {
        totals[reason] = count(&|row| row[1] == reason).into();
    }
    totals
}

/// The sum of a column of stretches.
fn sum(stretches: &Value, column: &str) -> u64 {
    let list = stretches.as_array().unwrap_or_else(|| panic!("no list: {stretches}"));
    list.iter().map(|stretch| stretch[column].as_u64().unwrap_or_else(|| panic!("no {column}: {stretch}"))).sum()
}

async fn the_numbers_of_a_week_are_those_of_its_records(store: Store) {
    let service = Service::start(&store).await;
    some_calls(&service).await;
    let body = service.rest("90").role("admin").get("/api/calls/stats").await.ok();
    let totals = counted(&store).await;
    assert_eq!(body["totals"], totals);
    assert_eq!((&totals["calls"], &totals["live"], &totals["completed"]), (&json!(6), &json!(1), &json!(1)));
    assert_eq!(body["answer_rate"], json!(0.2));
    for column in ["calls", "live", "answered", "missed"].iter().chain(&REASONS) {
        assert_eq!(sum(&body["per_day"], column), totals[*column].as_u64().unwrap(), "{column}");
        assert_eq!(sum(&body["per_hour"], column), totals[*column].as_u64().unwrap(), "{column}");
    }
    // One call lasted, so every figure of its length is the same.
    let seconds = &body["duration_seconds"];
    for figure in ["median", "mean", "p95", "max"] {
        assert_eq!(seconds[figure].as_f64(), seconds["total"].as_f64(), "{seconds}");
    }
    assert!(body["time_to_answer_ms"]["median"].as_f64().is_some_and(|millis| millis >= 0.0), "{body}");
}

async fn statistics_are_of_own_calls_and_everybodys_for_admins(store: Store) {
    let service = Service::start(&store).await;
    some_calls(&service).await;
    let calls = async |who: Rest, query: &str| {
        let body = who.get(&format!("/api/calls/stats{query}")).await.ok();
        (body["totals"]["calls"].as_u64().unwrap(), body["totals"]["missed"].as_u64().unwrap())
    };
    // What they missed themselves, as in the list of calls.
    assert_eq!(calls(service.rest("1"), "").await, (5, 0));
    assert_eq!(calls(service.rest("2"), "?user=2").await, (3, 1));
    assert_eq!(calls(service.rest("9"), "").await, (0, 0));
    let admin = || service.rest("90").role("admin");
    assert_eq!(calls(admin(), "").await, (6, 3));
    assert_eq!(calls(admin(), "?user=3").await, (1, 1));
    service.rest("2").get("/api/calls/stats?user=1").await.refused(403);
    let none = service.rest("9").get("/api/calls/stats").await.ok();
    assert_eq!((&none["answer_rate"], &none["duration_seconds"]["median"]), (&Value::Null, &Value::Null));
}

async fn every_hour_and_every_day_is_there_also_without_calls(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    let ask = async |query: &str| anna.get(&format!("/api/calls/stats?{query}")).await.ok();
    let length = |list: &Value| list.as_array().map(Vec::len);
    let week = ask("since=2026-03-01T00:00:00Z&until=2026-03-08T00:00:00Z").await;
    assert_eq!((length(&week["per_day"]), length(&week["per_hour"])), (Some(7), Some(168)));
    assert_eq!(week["per_day"][1]["at"], "2026-03-02T00:00:00Z");
    let india = ask("since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z&utc_offset_minutes=330").await;
    assert_eq!((length(&india["per_day"]), &india["per_day"][0]["at"]), (Some(2), &json!("2026-02-28T18:30:00Z")));
    let year = ask("since=2025-01-01T00:00:00Z&until=2026-01-02T00:00:00Z").await;
    assert_eq!((length(&year["per_day"]), length(&year["per_hour"])), (Some(366), Some(0)));
}

async fn a_question_that_cannot_be_answered_is_refused(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    for bad in [
        "since=yesterday",
        "since=2026-03-02T00:00:00Z&until=2026-03-02T00:00:00Z",
        "since=2024-01-01T00:00:00Z&until=2026-01-01T00:00:00Z",
        "utc_offset_minutes=841",
        "utc_offset_minutes=x",
        "user=%20",
        "sinse=2026-03-02T00:00:00Z",
    ] {
        anna.get(&format!("/api/calls/stats?{bad}")).await.refused(400);
    }
    for bad in ["unseen=perhaps", "since=now", "until=%25"] {
        anna.get(&format!("/api/call/missed?{bad}")).await.refused(400);
    }
    for bad in [json!({ "user": 1 }), json!({ "user_id": {} }), json!([1, 2])] {
        anna.post("/api/call/mark-all-seen", bad).await.refused(400);
    }
}

/// How many were marked, and how many are unseen.
async fn mark_all(who: &Rest, body: Value) -> (i64, i64) {
    let body = who.post("/api/call/mark-all-seen", body).await.ok();
    (body["marked"].as_i64().unwrap(), body["unseen_count"].as_i64().unwrap())
}

async fn all_missed_calls_are_seen_at_once_and_once_more(store: Store) {
    let service = Service::start(&store).await;
    let (anna, ben) = (service.rest("1"), service.rest("2"));
    for callee in ["2", "3", "2"] {
        anna.initiate(callee).await;
    }
    assert_eq!(mark_all(&ben, json!({})).await, (2, 0));
    assert_eq!(mark_all(&ben, json!({ "user_id": 2 })).await, (0, 0));
    ben.post("/api/call/mark-all-seen", json!({ "user_id": 3 })).await.refused(403);
    assert_eq!(service.rest("3").missed().await.1, 1);
    // What comes afterwards is new.
    anna.initiate("2").await;
    assert_eq!(ben.missed().await.1, 1);
    // A page may send nothing at all.
    let empty = ben.request(reqwest::Method::POST, "/api/call/mark-all-seen");
    assert_eq!(ben.send(empty).await.ok()["marked"], 1);
}

async fn an_admin_marks_for_one_user_and_for_everybody(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    for callee in ["2", "3", "4", "2"] {
        anna.initiate(callee).await;
    }
    let admin = service.rest("90").role("admin");
    assert_eq!(mark_all(&admin, json!({ "user_id": 2 })).await, (2, 0));
    assert_eq!(service.rest("3").missed().await.1, 1);
    assert_eq!(mark_all(&admin, json!({})).await, (2, 0));
    assert_eq!(mark_all(&admin, json!({})).await, (0, 0));
    assert_eq!(store.open().await.count("call_legs", "WHERE missed AND NOT seen").await, 0);
}

async fn missed_calls_are_filtered_by_time_and_by_whether_they_were_seen(store: Store) {
    let service = Service::start(&store).await;
    let (anna, ben) = (service.rest("1"), service.rest("2"));
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(anna.initiate("2").await.1);
    }
    ben.post(&format!("/api/call/mark-seen/{}", made[1]), json!({})).await.ok();
    let list = async |query: &str| {
        let body = ben.get(&format!("/api/call/missed?{query}")).await.ok();
        assert_eq!(body["unseen_count"], 2, "all there are, whatever is listed");
        let list = body["missed_calls"].as_array().unwrap_or_else(|| panic!("no list: {body}"));
        list.iter().map(|call| call["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(list("unseen=true").await, [made[2], made[0]]);
    assert_eq!(list("unseen=false").await, [made[1]]);
    let second = ben.record(made[1]).await["started_at"].as_str().unwrap().to_owned();
    assert_eq!(list(&format!("since={second}")).await, [made[2], made[1]]);
    assert_eq!(list(&format!("until={second}")).await, [made[0]]);
    assert_eq!(list(&format!("since={second}&unseen=true")).await, [made[2]]);
    assert_eq!(list("until=2020-01-01T00:00:00Z").await, Vec::<i64>::new());
}
