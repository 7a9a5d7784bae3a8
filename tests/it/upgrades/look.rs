//! Reads everything about calls that have ended: by REST, and in the tables and views.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{Service, Store};

/// Everybody who is in an ended call.
const USERS: [&str; 10] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "student_2"];

/// The answers of the service, without the calls that were live.
pub async fn served(service: &Service, live: &[i64]) -> Value {
    let admin = service.rest("1000").role("admin");
    let ended = |call: &Value| call["id"].as_i64().is_none_or(|id| !live.contains(&id));
    let calls = admin.get("/api/calls?limit=200").await.ok();
    assert!(calls["next_cursor"].is_null(), "the fixture has become larger than a page");
    let calls: Vec<Value> = list(&calls, "calls").iter().filter(|call| ended(call)).cloned().collect();

    let mut events = Map::new();
    for call in &calls {
        let body = admin.get(&format!("/api/calls/{}/events", call["id"])).await.ok();
        events.insert(call["id"].to_string(), body["events"].clone());
    }
    let table = admin.send(admin.request(Method::GET, "/api/calls.csv")).await.ok();
    let rows = csv::Reader::from_reader(table.as_str().expect("CSV").as_bytes())
        .into_deserialize::<Map<String, Value>>()
        .map(|row| Value::from(row.expect("a row")))
        .filter(ended)
        .collect::<Vec<_>>();
    let (mut missed, mut logs) = (Map::new(), Map::new());
    for user in USERS {
        missed.insert(user.to_owned(), service.rest(user).get("/api/call/missed").await.ok());
    }
    for (user, conversation) in [("2", "123"), ("6", "12"), ("8", "12"), ("8", "room-1")] {
        let body = service.rest(user).get(&format!("/api/call-logs/{conversation}")).await.ok();
        logs.insert(format!("{user} in {conversation}"), body["call_logs"].clone());
    }
    let history = service.rest("1").get("/api/call/history/2").await.ok();
    json!({ "calls": calls, "events": events, "csv": rows, "missed": missed, "call_logs": logs, "history": history })
}

/// The rows of the views and of the tables about people, without the calls that were live.
pub async fn stored(store: &Store, live: &[i64]) -> Value {
    let db = store.open().await;
    db.in_utc().await;
    let ids = live.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let read = async |table: &str, columns: &[&str], rest: &str| -> Value {
        let rows = db.rows(columns, table, rest).await;
        let object = |row: Vec<String>| -> Value {
            columns.iter().map(|column| (*column).to_owned()).zip(row.into_iter().map(Value::from)).collect()
        };
        rows.into_iter().map(object).collect()
    };
    let logs = [
        "id",
        "conversation_id",
        "caller_profile_id",
        "caller_profile_type",
        "caller_user_id",
        "call_type",
        "status",
        "started_at",
        "answered_at",
        "ended_at",
        "duration_seconds",
        "participants",
        "created_at",
    ];
    let history = [
        "id",
        "caller_id",
        "callee_id",
        "call_time",
        "call_status",
        "call_duration",
        "answered_at",
        "ended_at",
        "seen_by_callee",
    ];
    json!({
        "call_logs": read("call_logs", &logs, &format!("WHERE id NOT IN ({ids}) ORDER BY id")).await,
        "call_history": read("call_history", &history, &format!("WHERE id NOT IN ({ids}) ORDER BY id, callee_id")).await,
        "users": read("users", &["id", "name"], "ORDER BY id").await,
        "profiles": read("profiles", &["profile", "user_id"], "ORDER BY profile").await,
        "last_seen": read("user_status", &["user_id", "last_seen"], "ORDER BY user_id").await,
    })
}

fn list<'a>(body: &'a Value, name: &str) -> &'a [Value] {
    body[name].as_array().unwrap_or_else(|| panic!("no {name}: {body}"))
}

/// Fails where a part of `before` is missing in `now` or differs. More in `now` is no failure: a later release may say
/// more.
#[track_caller]
pub fn covers(now: &Value, before: &Value, place: &str) {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => {
            for (key, before) in before {
                let now = now.get(key).unwrap_or_else(|| panic!("{place} has no {key} any more"));
                covers(now, before, &format!("{place}.{key}"));
            }
        }
        (Value::Array(now), Value::Array(before)) => {
            assert_eq!(now.len(), before.len(), "{place}: {now:?} was {before:?}");
            for (at, (now, before)) in now.iter().zip(before).enumerate() {
                covers(now, before, &format!("{place}[{at}]"));
            }
        }
        _ => assert_eq!(now, before, "{place}"),
    }
}
