//! The pages below a path of somebody's host, through a proxy that has nothing of ours anywhere else.

use super::driver::Browser;
use super::page::Page;
use super::phone::{ANSWER, talk};
use super::stage::Stage;
use crate::harness::proxy::CADDY;
use crate::harness::{Proxy, Service};

in_browsers!(
    a_call_below_a_path_that_is_passed_on,
    a_call_below_a_path_that_is_taken_off,
    a_page_of_somebody_else_rings_by_a_widget_below_a_path,
);

/// A service, and the proxy that has it below `/calls/`: `handle` passes the path on, `handle_path` takes it off.
async fn below(stage: &Stage, how: &str, settings: &[(&str, &str)]) -> (Service, Proxy) {
    let settings = [&[("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", super::admin::SECRET)], settings].concat();
    let service = Service::with(&stage.store, &settings).await;
    let caddy = Proxy::start(&stage.store, &CADDY, |port| {
        format!(
            "{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n {how} /calls/* {{\n  reverse_proxy {}\n }}\n \
             handle {{\n  respond 404\n }}\n}}\n",
            service.address()
        )
    })
    .await;
    (service, caddy)
}

/// Opens an address of the proxy, signed in.
async fn enter(stage: &Stage, (service, caddy): (&Service, &Proxy), path: &str, user: &str, role: &str) -> Page {
    let token = service.token(&["--user", user, "--role", role]).await;
    let page = stage.launch(Browser::of(user)).await;
    page.goto(&caddy.url(&format!("{path}#token={token}"))).await;
    page.until_is("#connection", "data-state", "connected").await;
    page
}

/// Everything this page asked for was below the path, and was there.
async fn stays_below(page: &Page) {
    let asked = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .filter(({ name }) => name.startsWith('http'))
        .map(({ name, responseStatus }) => [new URL(name).pathname, responseStatus])";
    let asked: Vec<(String, u16)> = serde_json::from_value(page.eval(asked).await).expect("names and statuses");
    assert!(asked.len() > 5, "{asked:?}");
    assert!(asked.iter().all(|(path, status)| path.starts_with("/calls/") && *status < 400), "{asked:?}");
}

async fn a_call_below(stage: Stage, how: &str, settings: &[(&str, &str)]) {
    let (service, caddy) = below(&stage, how, settings).await;
    let at = (&service, &caddy);
    let (anna, ben) =
        tokio::join!(enter(&stage, at, "/calls/", "1", "user"), enter(&stage, at, "/calls/", "2", "user"));
    talk(&anna, &ben, "video").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    // What is loaded when it is asked for is below the path, too.
    anna.click("#settings").await;
    anna.until_shown("#choosing").await;
    anna.click("#choosing button").await;

    // The dashboard, by an address of its own and by one within it.
    let call = stage.store.open().await.row(&["id"], "calls", "").await.remove(0);
    let admin = enter(&stage, at, &format!("/calls/admin/calls/{call}?lang=en"), "9", "admin").await;
    admin.until_shown("#timeline ol li").await;
    assert_eq!(
        admin.eval("location.pathname + location.search").await,
        format!("/calls/admin?lang=en&view=history&call={call}")
    );
    admin.click("nav [data-to=overview]").await;
    admin.until_shown(&format!("#live [data-call='{call}']")).await;
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
    admin.until_gone("#live [data-call]").await;
    // A call to the administrator rings there, with what is loaded for that.
    anna.dial("9", "voice").await;
    admin.rings_for("1").await;
    admin.click(ANSWER).await;
    anna.call_is("active").await;
    anna.click("#hang-up").await;
    admin.until_gone("switchboard-call").await;

    // They are where they were after a reload, and in another language.
    anna.reload().await;
    anna.until_is("#connection", "data-state", "connected").await;
    assert_eq!(anna.eval("location.pathname + location.search").await, "/calls/?user=1");
    for page in [&anna, &ben, &admin] {
        stays_below(page).await;
    }
    assert_eq!(super::calls::reasons(&stage.store).await, ["completed", "completed"]);
}

async fn a_call_below_a_path_that_is_passed_on(stage: Stage) {
    a_call_below(stage, "handle", &[("SERVER__BASE_PATH", "/calls")]).await;
}

/// The service is told nothing of it.
async fn a_call_below_a_path_that_is_taken_off(stage: Stage) {
    a_call_below(stage, "handle_path", &[]).await;
}

async fn a_page_of_somebody_else_rings_by_a_widget_below_a_path(stage: Stage) {
    let elsewhere = super::elsewhere::Elsewhere::listen().await;
    let origin = elsewhere.origin.clone();
    let settings = [("SERVER__BASE_PATH", "/calls"), ("SERVER__ALLOWED_ORIGINS", origin.as_str())];
    let (service, caddy) = below(&stage, "handle", &settings).await;
    let token = service.token(&["--user", "2"]).await;
    let shop = format!(
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>A shop</title><h1>A shop</h1>
         <script type=module src=\"{}\" data-user=2 data-token=\"{token}\"></script>",
        caddy.url("/calls/sdk/widget.js")
    );
    elsewhere.answer(move |_| super::elsewhere::response("text/html", shop.len(), &shop));
    let (anna, page) =
        tokio::join!(enter(&stage, (&service, &caddy), "/calls/", "1", "user"), stage.launch(Browser::of("2")));
    page.goto(&origin).await;
    let me = service.rest("1").bearer(&service.token(&["--user", "1"]).await);
    crate::harness::within(super::page::PATIENCE, "the shop is connected", async || {
        (me.status_of("2").await == "online").then_some(())
    })
    .await;
    anna.dial("2", "voice").await;
    page.rings_for("1").await;
    page.click(ANSWER).await;
    anna.call_is("active").await;
    tokio::join!(anna.hears(), page.hears());
    anna.click("#hang-up").await;
    page.until_gone("switchboard-call").await;
}
