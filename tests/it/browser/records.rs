//! The calls on record as the dashboard shows them: filtered, in pages, as a file, and one call's course.

use serde_json::Value;

use super::admin::dashboard;
use super::page::Page;
use super::stage::Stage;
use crate::harness::rest::call_id;
use crate::harness::{Rest, Service};

in_browsers!(sixty_calls_are_paged_filtered_and_downloaded, the_course_of_a_group_call_names_everybody);

const CALLS: usize = 60;

const LISTED: &str = "[...document.querySelectorAll('#history tr[data-call]')].map((row) => Number(row.dataset.call))";

/// Everything the service has on record with these filters, newest first, page by page.
async fn recorded(admin: &Rest, filters: &str) -> Vec<Value> {
    let mut calls = Vec::new();
    let mut cursor = String::new();
    loop {
        let body = admin.get(&format!("/api/calls?limit=50&{filters}{cursor}")).await.ok();
        calls.extend(body["calls"].as_array().expect("calls").iter().cloned());
        let Some(next) =
            body["next_cursor"].as_str().map(str::to_owned).or_else(|| Some(body["next_cursor"].as_i64()?.to_string()))
        else {
            return calls;
        };
        cursor = format!("&cursor={next}");
    }
}

fn ids(calls: &[Value]) -> Vec<i64> {
    calls.iter().map(|call| call["id"].as_i64().expect("an id")).collect()
}

async fn lists(page: &Page, calls: &[i64]) {
    page.until("these calls are listed", LISTED, |now| *now == serde_json::json!(calls)).await;
}

/// The rows of the file, its heading first.
async fn download(stage: &Stage, page: &Page, name: &str) -> Vec<Vec<String>> {
    let text = page.downloads("#csv", &stage.store.file(name)).await;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
}

/// A row of the file says what the interface says.
fn same(heading: &[String], row: &[String], call: &Value) {
    for (name, cell) in heading.iter().zip(row) {
        let Some(value) = call.get(name) else { continue };
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(several) => several.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
            other => other.to_string(),
        };
        assert_eq!(*cell, text, "{name} of {call}");
    }
}

async fn sixty_calls_are_paged_filtered_and_downloaded(stage: Stage) {
    let service = Service::with(&stage.store, &[("LIMITS__INITIATES_PER_MINUTE", "1000")]).await;
    let (one, three, admin) = (service.rest("1"), service.rest("3"), service.rest("9").role("admin"));
    one.heartbeat().await;
    three.heartbeat().await;
    // Nobody of those who are called is there; one in six calls is of user 3.
    for call in 0..CALLS {
        let caller = if call % 6 == 0 { &three } else { &one };
        caller.initiate(if call % 2 == 0 { "77" } else { "78" }).await;
    }
    let all = recorded(&admin, "").await;
    assert_eq!(all.len(), CALLS);

    let page = dashboard(&stage, &service, "/admin?view=history").await;
    lists(&page, &ids(&all)[..50]).await;
    assert!(!page.is_shown("#previous-page").await);
    page.click("#next-page").await;
    lists(&page, &ids(&all)[50..]).await;
    assert!(!page.is_shown("#next-page").await);
    page.reload().await;
    lists(&page, &ids(&all)[50..]).await;
    page.click("#previous-page").await;
    lists(&page, &ids(&all)[..50]).await;

    // The file has them all, not the page that is shown.
    let mut rows = download(&stage, &page, "all").await;
    let heading = rows.remove(0);
    assert_eq!(rows.len(), CALLS);
    for (row, call) in rows.iter().zip(&all) {
        same(&heading, row, call);
    }

    page.fill("#filters [name=user]", "3").await;
    page.fill("#filters [name=peer]", "77").await;
    page.click("#filters button.primary").await;
    let some = recorded(&admin, "user=3&peer=77").await;
    assert_eq!(some.len(), CALLS / 6);
    lists(&page, &ids(&some)).await;
    let rows = download(&stage, &page, "some").await;
    assert_eq!(rows.len(), 1 + some.len());

    // A filter nothing answers to, and away with all of them.
    page.fill("#filters [name=peer]", "nobody-at-all").await;
    page.click("#filters button.primary").await;
    lists(&page, &[]).await;
    page.click("#filters button[type=reset]").await;
    lists(&page, &ids(&all)[..50]).await;
}

async fn the_course_of_a_group_call_names_everybody(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (mut one, mut two, mut three) = tokio::join!(service.socket("1"), service.socket("2"), service.socket("3"));
    let invitation = serde_json::json!({ "type": "call_invitation", "to_user_ids": [2, 3], "call_type": "video" });
    one.send(invitation).await;
    let call = call_id(&two.expect("call_invitation").await);
    three.expect("call_invitation").await;
    let answer = serde_json::json!({ "type": "call_answer", "to_user_id": 1, "call_id": call });
    two.send(answer).await;
    two.round_trip().await;
    three.decline("1").await;
    three.round_trip().await;
    one.send(serde_json::json!({ "type": "call_ended", "call_id": call })).await;
    let admin = service.rest("9").role("admin");
    admin.final_record(call).await;
    let events = admin.get(&format!("/api/calls/{call}/events")).await.ok();
    let events = events["events"].as_array().expect("events").clone();

    let page = dashboard(&stage, &service, &format!("/admin/calls/{call}")).await;
    let shown = "[...document.querySelectorAll('#timeline li')].map((step) => [step.className.replace('is-', ''),
        step.querySelector('time').dateTime, step.textContent])";
    let steps =
        page.until("every step is shown", shown, |now| now.as_array().is_some_and(|steps| steps.len() == events.len()));
    for (step, event) in steps.await.as_array().expect("steps").iter().zip(&events) {
        assert_eq!((&step[0], &step[1]), (&event["what"], &event["at"]), "{step}");
        if !event["who"].is_null() {
            let words = step[2].as_str().expect("words");
            assert!(words.contains(&event["who"].to_string()), "{words} names {}", event["who"]);
        }
    }
    let facts = page.text("#timeline dl").await;
    for person in ["1 (", "2 (", "3 ("] {
        assert!(facts.contains(person), "{facts}");
    }
    lists(&page, &[call]).await;
    // Closed, the list is there without it, and the address says so.
    page.click("#timeline button").await;
    page.until_gone("#timeline").await;
    lists(&page, &[call]).await;
    assert!(!page.eval("location.search").await.to_string().contains("call="));
}
