//! What a page costs whoever loads it: the bytes of everything the browser really asked for, compressed as they were
//! sent.

use super::driver::Browser;
use super::page::Page;
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(the_pages_and_the_library_stay_small);

/// Name and size of each file the page is made of; what it asks the service for while it runs is not of it.
const LOADED: &str = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(({ name }) => new URL(name).origin === location.origin && !new URL(name).pathname.startsWith('/api/'))
    .map(({ name, encodedBodySize, decodedBodySize }) => [new URL(name).pathname, encodedBodySize, decodedBodySize])";

async fn files(page: &Page) -> Vec<(String, u64)> {
    let loaded = page.eval(LOADED).await;
    let loaded: Vec<(String, u64, u64)> = serde_json::from_value(loaded).expect("names and sizes");
    for (name, sent, plain) in &loaded {
        assert!(0 < *sent && sent < plain, "{name} is sent compressed: {sent} of {plain} bytes");
    }
    loaded.into_iter().map(|(name, sent, _)| (name, sent)).collect()
}

fn within(budget: u64, what: &str, files: &[(String, u64)]) {
    let total: u64 = files.iter().map(|(_, sent)| sent).sum();
    println!("{what}: {total} of {budget} bytes");
    assert!(total <= budget, "{what} takes {total} bytes of {budget}: {files:#?}");
}

async fn the_pages_and_the_library_stay_small(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let page = stage.open(&service, "1").await;
    let call_page = files(&page).await;
    assert!(call_page.iter().any(|(name, _)| name == "/call/call.js"), "{call_page:?}");
    within(30_000, "the call page", &call_page);

    // The library by itself, as somebody's own page loads it.
    let bare = stage.launch(Browser::of("2")).await;
    bare.goto(&service.url("/healthz")).await;
    bare.eval("import('/sdk/switchboard.js').then(() => true)").await;
    let mut library = files_below(&bare, "/sdk/").await;
    assert!(library.iter().any(|(name, _)| name == "/sdk/switchboard.js"), "{library:?}");
    library.dedup();
    within(10_000, "the library", &library);

    bare.goto(&service.url("/admin")).await;
    bare.until_shown("#overview").await;
    bare.until_is("#connection", "data-state", "connected").await;
    within(40_000, "the dashboard", &files(&bare).await);
}

async fn files_below(page: &Page, folder: &str) -> Vec<(String, u64)> {
    let script = format!(
        "performance.getEntriesByType('resource').map(({{ name, encodedBodySize }}) =>
        [new URL(name).pathname, encodedBodySize]).filter(([name]) => name.startsWith('{folder}'))"
    );
    serde_json::from_value(page.eval(&script).await).expect("names and sizes")
}
