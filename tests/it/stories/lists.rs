//! How lists are asked: how many, and from when. What cannot be done is said, the same by every list.

use serde_json::json;

use crate::harness::rest::Answer;
use crate::harness::{Rest, Service, Store};

on_sqlite!(
    every_list_has_pages_of_one_to_two_hundred,
    a_page_has_as_many_as_were_asked_for,
    a_time_is_a_moment_or_the_start_of_a_day,
    a_time_that_cannot_be_read_is_told_how_to_write_one,
);

/// Every list that can be asked for so many.
const LISTS: [&str; 6] = [
    "/api/calls",
    "/api/call/missed",
    "/api/users",
    "/api/call/history/8",
    "/api/call-logs/12",
    "/api/call-logs?conversation_id=12",
];

/// Every address that takes a time.
const BY_TIME: [&str; 5] =
    ["/api/calls", "/api/calls.csv", "/api/call/missed", "/api/calls/stats", "/api/admin/overview"];

async fn ask(rest: &Rest, path: &str, parameter: &str) -> Answer {
    let sign = if path.contains('?') { '&' } else { '?' };
    rest.get(&format!("{path}{sign}{parameter}")).await
}

async fn every_list_has_pages_of_one_to_two_hundred(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("7");
    for path in LISTS {
        for good in ["1", "200"] {
            ask(&rest, path, &format!("limit={good}")).await.ok();
        }
        for bad in ["0", "201", "500", "18446744073709551616", "-1", "1.5", "", "ten", "%31%20"] {
            let refused = ask(&rest, path, &format!("limit={bad}")).await.refused(400);
            assert_eq!(
                (&refused["code"], &refused["error"]),
                (&json!("invalid"), &json!("limit is 1 to 200")),
                "{path}"
            );
        }
    }
}

async fn a_page_has_as_many_as_were_asked_for(store: Store) {
    let service = Service::with(&store, &[("LIMITS__INITIATES_PER_MINUTE", "100")]).await;
    let rest = service.rest("7");
    for _ in 0..3 {
        let call = json!({ "callee_id": 8, "conversation_id": 12 });
        assert_eq!(rest.post("/api/call/initiate", call).await.ok()["status"], "offline");
    }
    for (who, path, list) in [
        ("7", "/api/calls", "calls"),
        ("8", "/api/call/missed", "missed_calls"),
        ("7", "/api/users", "users"),
        ("7", "/api/call/history/8", "history"),
        ("7", "/api/call-logs/12", "call_logs"),
        ("7", "/api/call-logs?conversation_id=12", "call_logs"),
    ] {
        let rest = service.rest(who);
        for limit in 1..=2 {
            let page = ask(&rest, path, &format!("limit={limit}")).await.ok();
            assert_eq!(page[list].as_array().map(Vec::len), Some(limit), "{path}: {page}");
        }
    }
}

async fn a_time_is_a_moment_or_the_start_of_a_day(store: Store) {
    let service = Service::start(&store).await;
    let admin = service.rest("7").role("admin");
    for path in BY_TIME {
        for time in ["2026-11-21", "2026-11-21T00:00:00Z", "2026-11-21T01:00:00%2B01:00", "2026-11-21T00:00:00.5-05:00"]
        {
            let answer = ask(&admin, path, &format!("since={time}")).await;
            assert_eq!(answer.status, 200, "{path} since {time}: {answer:?}");
        }
    }
    let stats = ask(&admin, "/api/calls/stats", "since=2026-11-21&until=2026-11-23").await.ok();
    assert_eq!((&stats["since"], &stats["until"]), (&json!("2026-11-21T00:00:00Z"), &json!("2026-11-23T00:00:00Z")));
}

async fn a_time_that_cannot_be_read_is_told_how_to_write_one(store: Store) {
    let service = Service::start(&store).await;
    let admin = service.rest("7").role("admin");
    for path in BY_TIME {
        for bad in
            ["", "yesterday", "1795228778", "2026-02-30", "2026-13-01", "2026-11-21T00:00", "20261121", "26-11-21"]
        {
            let refused = ask(&admin, path, &format!("since={bad}")).await.refused(400);
            let sentence = "since must be a time such as 2026-11-21T09:30:00Z, or a day such as 2026-11-21, which \
                            begins at midnight UTC";
            assert_eq!((&refused["code"], &refused["error"]), (&json!("invalid"), &json!(sentence)), "{path}: {bad}");
        }
        // A + of an address is a blank.
        let refused = ask(&admin, path, "since=2026-11-21T01:00:00+01:00").await.refused(400);
        let sentence = refused["error"].as_str().expect("a sentence");
        assert!(sentence.ends_with("; the + of an offset is written %2B in an address"), "{path}: {sentence}");
    }
}
