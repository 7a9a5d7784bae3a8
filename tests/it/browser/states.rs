//! Every state of the pages keeps nobody out: whoever reads with a screen reader, in the dark, on a small phone or
//! from right to left.

use serde_json::json;

use super::admin::{SECRET, some_calls};
use super::driver::{ALLOWING, Browser};
use super::gallery::{Gallery, Task};
use super::phone::{ANSWER, talk};
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(
    every_state_of_the_call_page_is_for_everybody,
    every_state_of_the_call_page_is_for_everybody_in_arabic,
    every_view_of_the_dashboard_is_for_everybody,
    every_view_of_the_dashboard_is_for_everybody_in_arabic,
);

/// Pictures of everything, in `target/screenshots`: for people, so only when asked for.
#[tokio::test]
#[ignore = "takes pictures; run it with: ./test screenshots -- --ignored"]
async fn screenshots() {
    for language in ["en", "ar"] {
        let kind = crate::harness::Kind::Sqlite;
        super::stage::tell(kind, "screenshots", async |stage| call_page(stage, Task::Shoot, language).await).await;
        super::stage::tell(kind, "screenshots", async |stage| dashboard(stage, Task::Shoot, language).await).await;
    }
}

async fn every_state_of_the_call_page_is_for_everybody(stage: Stage) {
    call_page(stage, Task::Inspect, "en").await;
}

async fn every_state_of_the_call_page_is_for_everybody_in_arabic(stage: Stage) {
    call_page(stage, Task::Inspect, "ar").await;
}

async fn every_view_of_the_dashboard_is_for_everybody(stage: Stage) {
    dashboard(stage, Task::Inspect, "en").await;
}

async fn every_view_of_the_dashboard_is_for_everybody_in_arabic(stage: Stage) {
    dashboard(stage, Task::Inspect, "ar").await;
}

async fn call_page(stage: Stage, task: Task, language: &'static str) {
    let gallery = Gallery::open(task, language, "/call/strings");
    // It rings while it is looked at from all sides.
    let service = Service::with(&stage.store, &[("CALL__RING_TIMEOUT", "120s")]).await;
    let (anna, ben) = tokio::join!(stage.launch(Browser::of("1").without(ALLOWING)), stage.launch(Browser::of("2")));

    anna.goto(&service.url(&format!("/?lang={language}"))).await;
    anna.until_shown("#sign-in-user").await;
    gallery.at(&anna, "sign-in").await;
    for page in [&anna, &ben] {
        page.goto(&service.url(&format!("/?user={}&lang={language}", page.user))).await;
        page.until_is("#connection", "data-state", "connected").await;
    }
    gallery.at(&anna, "idle").await;

    for name in ["microphone", "camera"] {
        let denied = json!({ "permission": { "name": name }, "setting": "denied" });
        anna.cdp("Browser.setPermission", denied).await.expect("a permission");
    }
    anna.dial("2", "video").await;
    anna.until_shown("#problem .retry").await;
    gallery.at(&anna, "problem").await;
    for name in ["microphone", "camera"] {
        let granted = json!({ "permission": { "name": name }, "setting": "granted" });
        anna.cdp("Browser.setPermission", granted).await.expect("a permission");
    }
    anna.click("#problem .retry").await;
    ben.rings_for("1").await;
    anna.call_is("ringing").await;
    gallery.at(&anna, "ringing").await;
    gallery.at(&ben, "incoming").await;
    ben.click(ANSWER).await;
    tokio::join!(anna.sees_colour("2"), ben.sees_colour("1"));
    gallery.at(&anna, "active").await;
    anna.click("#settings").await;
    anna.until_shown("#choosing").await;
    gallery.at(&anna, "settings").await;
    anna.click("#choosing button").await;
    anna.click("#add-person").await;
    anna.until_shown("#adding").await;
    gallery.at(&anna, "add-person").await;
    anna.click("#adding button[value='']").await;
    ben.click("#hang-up").await;
    anna.learns("completed", "").await;
    gallery.at(&anna, "ended").await;

    anna.dial("2", "voice").await;
    ben.until_shown(ANSWER).await;
    gallery.at(&ben, "incoming-voice").await;
    anna.click("#hang-up").await;
    ben.until_is("#missed", "data-count", "1").await;
    gallery.at(&ben, "missed").await;
    ben.click("#missed").await;
    ben.until_shown("#missed-list").await;
    gallery.at(&ben, "missed-list").await;
    ben.click("#missed-list [data-t=close]").await;

    talk(&ben, &anna, "voice").await;
    gallery.at(&ben, "active-voice").await;
    ben.click("#hang-up").await;
    anna.learns("completed", "").await;
    gallery.close();
}

async fn dashboard(stage: Stage, task: Task, language: &'static str) {
    let gallery = Gallery::open(task, language, "/admin/strings");
    let service = Service::with(&stage.store, &[("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", SECRET)]).await;
    let calls = some_calls(&service).await;
    let page = stage.launch(Browser::of("9")).await;

    page.goto(&service.url(&format!("/admin?lang={language}"))).await;
    page.until_shown("#sign-in-token").await;
    gallery.at(&page, "admin-sign-in").await;
    page.fill("#sign-in-token", &service.token(&["--user", "5"]).await).await;
    page.click("#sign-in button").await;
    page.until_shown("#forbidden").await;
    gallery.at(&page, "admin-forbidden").await;
    page.click("#other-token").await;
    page.fill("#sign-in-token", &service.token(&["--user", "9", "--role", "admin"]).await).await;
    page.click("#sign-in button").await;

    page.until_shown("#live [data-call]").await;
    gallery.at(&page, "admin-overview").await;
    page.click("#live .end").await;
    page.until_shown("#confirm").await;
    gallery.at(&page, "admin-confirm").await;
    page.click("#confirm-no").await;
    for (view, shows) in [
        ("devices", "#sessions [data-session]"),
        ("missed", "#missed [data-call]"),
        ("history", "#history [data-call]"),
        ("charts", "#chart-day svg[role=img]"),
    ] {
        page.click(&format!("nav [data-to={view}]")).await;
        page.until_shown(shows).await;
        gallery.at(&page, &format!("admin-{view}")).await;
    }
    page.goto(&service.url(&format!("/admin/calls/{}", calls.live))).await;
    page.until_shown("#timeline li").await;
    gallery.at(&page, "admin-timeline").await;
    gallery.close();
}
