//! The record as CSV.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Rest, Service, Store};

on_both!(
    the_whole_record_comes_as_csv_with_what_the_pages_have,
    a_table_has_only_what_its_reader_may_see,
    a_name_is_never_a_formula,
    a_record_that_cannot_be_read_breaks_the_table_off,
    a_table_that_cannot_be_made_is_refused,
);

/// Old calls from 1 to 2 and 3, straight into the record: more than two pages of them.
async fn many_calls(store: &Store) {
    let (mut calls, mut legs) = (Vec::new(), Vec::new());
    for id in 1001..1451 {
        let at = format!("2026-03-{:02}T10:00:{:02}.5+00:00", id % 28 + 1, id % 60);
        calls.push(format!("({id}, '1', 'An, \"na\"', 'voice', 'ended', 'busy', '{at}', '{at}', 0, false)"));
        for (place, user, role) in [(0, 1, "caller"), (1, 2, "callee"), (2, 3, "callee")] {
            legs.push(format!("({id}, '{user}', {place}, '{role}', 'left', 'busy', {}, false)", place > 0));
        }
    }
    let db = store.open().await;
    let columns =
        "id, caller_id, caller_name, call_type, phase, reason, started_at, ended_at, duration_seconds, reported";
    db.execute(&format!("INSERT INTO calls ({columns}) VALUES {}", calls.join(", "))).await;
    let columns = "call_id, user_id, position, role, state, reason, missed, seen";
    db.execute(&format!("INSERT INTO call_legs ({columns}) VALUES {}", legs.join(", "))).await;
}

/// The rows of a table as objects of texts.
async fn table(who: &Rest, path: &str) -> Vec<Value> {
    let answer = who.request(Method::GET, path).header("Accept", "text/csv").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-type").starts_with("text/csv"), "{answer:?}");
    assert_eq!(header("content-disposition"), "attachment; filename=\"calls.csv\"");
    let text = answer.text().await.expect("all of it");
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .map(|row| {
            serde_json::to_value(row.map(|row: std::collections::BTreeMap<String, String>| row).unwrap()).unwrap()
        })
        .collect()
}

/// Every call of every page.
async fn pages(who: &Rest, filter: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let body = who.get(&format!("/api/calls?limit=200{filter}{cursor}")).await.ok();
        all.extend(body["calls"].as_array().unwrap_or_else(|| panic!("no calls: {body}")).clone());
        let Some(next) = body["next_cursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

/// A call of a page as a row of a table.
fn as_row(call: &Value) -> Value {
    let text = |value: &Value| {
        value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
    };
    let mut row = json!({});
    for column in [
        "id",
        "caller_id",
        "caller_name",
        "conversation_id",
        "call_type",
        "status",
        "reason",
        "started_at",
        "answered_at",
        "ended_at",
        "duration_seconds",
        "reported",
    ] {
        row[column] = text(&call[column]).into();
    }
    let callees: Vec<String> = call["callee_ids"].as_array().unwrap().iter().map(text).collect();
    row["callee_ids"] = callees.join(" ").into();
    let legs = call["participants"].as_array().unwrap();
    let missed: Vec<_> = legs.iter().filter(|leg| leg["missed"] == true).collect();
    row["missed"] = (!missed.is_empty()).to_string().into();
    row["seen"] = (!missed.is_empty() && missed.iter().all(|leg| leg["seen"] == true)).to_string().into();
    row
}

async fn the_whole_record_comes_as_csv_with_what_the_pages_have(store: Store) {
    let service = Service::start(&store).await;
    many_calls(&store).await;
    let admin = service.rest("90").role("admin");
    service.rest("2").post("/api/call/mark-seen/1450", json!({})).await.ok();
    service.rest("3").post("/api/call/mark-seen/1450", json!({})).await.ok();
    let listed: Vec<Value> = pages(&admin, "").await.iter().map(as_row).collect();
    assert_eq!((listed.len(), &listed[0]["seen"], &listed[1]["seen"]), (450, &json!("true"), &json!("false")));
    assert_eq!(table(&admin, "/api/calls").await, listed);
    assert_eq!(table(&admin, "/api/calls.csv").await, listed);
    for filter in ["&since=2026-03-05T00:00:00Z", "&since=2026-03-05T00:00:00Z&until=2026-03-20T00:00:00Z", "&user=2"] {
        let listed: Vec<Value> = pages(&admin, filter).await.iter().map(as_row).collect();
        assert!(listed.len() > 200, "{filter}");
        assert_eq!(table(&admin, &format!("/api/calls.csv?{}", &filter[1..])).await, listed, "{filter}");
    }
    assert_eq!(table(&admin, "/api/calls.csv?until=2020-01-01T00:00:00Z").await, Vec::<Value>::new());
    // Who does not ask for CSV first gets JSON.
    for accept in ["*/*", "application/json, text/csv", "text/html", "text/csv;q=0.5, application/json"] {
        let answer = admin.send(admin.request(Method::GET, "/api/calls").header("Accept", accept)).await.ok();
        assert_eq!(answer["success"], true, "{accept}");
    }
}

async fn a_table_has_only_what_its_reader_may_see(store: Store) {
    let service = Service::start(&store).await;
    for (caller, callee) in [("2", "1"), ("3", "4"), ("1", "2")] {
        service.rest(caller).initiate(callee).await;
    }
    let ids =
        |rows: Vec<Value>| rows.iter().map(|row| row["callee_ids"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(table(&service.rest("1"), "/api/calls.csv").await), ["2", "1"]);
    assert_eq!(ids(table(&service.rest("1"), "/api/calls.csv?missed=true").await), ["1"]);
    assert_eq!(ids(table(&service.rest("4"), "/api/calls.csv").await), ["4"]);
    assert_eq!(ids(table(&service.rest("90").role("service"), "/api/calls.csv").await), ["2", "4", "1"]);
    service.rest("1").get("/api/calls.csv?user=3").await.refused(403);
}

async fn a_name_is_never_a_formula(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    let name = "=cmd|' /C calc'!A0";
    anna.post("/api/call/initiate", json!({ "callee_id": 2, "caller_name": name })).await.ok();
    assert_eq!(pages(&anna, "").await[0]["caller_name"], name);
    assert_eq!(table(&anna, "/api/calls.csv").await[0]["caller_name"], format!("'{name}"));
}

async fn a_record_that_cannot_be_read_breaks_the_table_off(store: Store) {
    let service = Service::start(&store).await;
    many_calls(&store).await;
    let admin = service.rest("90").role("admin");
    // On the third page.
    store.open().await.execute("UPDATE calls SET phase = 'nonsense' WHERE id = 1010").await;
    let answer = admin.request(Method::GET, "/api/calls.csv").send().await.expect("it begins well");
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.is_err(), "half a table must not look like a whole one");
    // On the first one: a refusal as any other.
    store.open().await.execute("UPDATE calls SET phase = 'nonsense' WHERE id = 1450").await;
    admin.get("/api/calls.csv").await.refused(503);
}

async fn a_table_that_cannot_be_made_is_refused(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    for bad in ["limit=10", "cursor=4", "colour=red", "since=yesterday", "status=nonsense"] {
        anna.get(&format!("/api/calls.csv?{bad}")).await.refused(400);
    }
    anna.post("/api/calls.csv", json!({})).await.refused(405);
}
