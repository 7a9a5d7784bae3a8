//! What a page costs whoever loads it: the bytes of everything the browser really asked for, compressed as they were
//! sent.

use super::driver::Browser;
use super::page::Page;
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(the_call_page_stays_small, the_library_stays_small, the_dashboard_stays_small);

/// Name and size of each file the page is made of; what it asks the service for while it runs is not of it.
const LOADED: &str = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(({ name }) => new URL(name).origin === location.origin && !new URL(name).pathname.startsWith('/api/'))
    .map(({ name, encodedBodySize, decodedBodySize }) => [new URL(name).pathname, encodedBodySize, decodedBodySize])";

async fn files(page: &Page) -> Vec<(String, u64)> {
    let loaded = page.eval(LOADED).await;
    let loaded: Vec<(String, u64, u64)> = serde_json::from_value(loaded).expect("names and sizes");
    let page_files = |name: &str| name != "/healthz" && name != "/favicon.ico";
    let loaded = loaded.into_iter().filter(|(name, ..)| page_files(name));
    loaded
        .map(|(name, sent, plain)| {
            assert!(0 < sent && sent < plain, "{name} is sent compressed: {sent} of {plain} bytes");
            (name, sent)
        })
        .collect()
}

fn within(budget: u64, what: &str, files: &[(String, u64)]) {
    let total: u64 = files.iter().map(|(_, sent)| sent).sum();
    println!("{what}: {total} of {budget} bytes");
    assert!(total <= budget, "{what} takes {total} bytes of {budget}: {files:#?}");
}

async fn the_call_page_stays_small(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let page = stage.open(&service, "1").await;
    let files = files(&page).await;
    assert!(files.iter().any(|(name, _)| name == "/call/call.js"), "{files:?}");
    within(30_000, "the call page", &files);
}

/// By itself, as somebody's own page loads it.
async fn the_library_stays_small(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let page = stage.launch(Browser::of("2")).await;
    page.goto(&service.url("/healthz")).await;
    page.eval("import('/sdk/switchboard.js').then(() => true)").await;
    let mut files = files(&page).await;
    files.retain(|(name, _)| name.starts_with("/sdk/"));
    assert!(files.iter().any(|(name, _)| name == "/sdk/switchboard.js"), "{files:?}");
    within(10_000, "the library", &files);
}

async fn the_dashboard_stays_small(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let page = stage.launch(Browser::of("9")).await;
    page.goto(&service.url("/admin")).await;
    page.until_is("#connection", "data-state", "connected").await;
    within(40_000, "the dashboard", &files(&page).await);
}
