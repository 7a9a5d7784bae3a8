//! The record of calls as clients read it: the call logs of the seed, and `/api/calls`.

use serde_json::{Value, json};

use crate::harness::socket::connect_call;
use crate::harness::{Rest, Service, Store};

on_both!(
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

/// One caller's missed calls to people who are not there, oldest first.
async fn missed_calls(anna: &Rest, callees: &[&str]) -> Vec<i64> {
    anna.heartbeat().await;
    let mut made = Vec::new();
    for callee in callees {
        made.push(anna.initiate(callee).await.1);
    }
    made
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
