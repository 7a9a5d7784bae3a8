//! Pages whose token ends, or that are let in no more, while they are in a call.

use std::time::Duration;

use super::calls::reasons;
use super::driver::Browser;
use super::elsewhere::{Elsewhere, response};
use super::page::{PATIENCE, Page, quoted};
use super::phone::{ANSWER, talk};
use super::stage::Stage;
use crate::harness::{Service, Socket, Store, within};

in_browsers_on_both!(a_call_outlives_the_tokens_of_its_pages_and_a_restart);

mod alone {
    use super::*;
    in_browsers!(
        a_call_outlives_the_token_of_a_widget,
        a_library_whose_tokens_fail_keeps_its_call_and_watches_again_with_the_next,
        a_page_that_is_let_in_no_more_shows_its_call_until_that_is_over,
        a_page_that_is_let_in_no_more_rings_no_more,
    );
}

/// How long the tokens hold: enough to get into a call, on a busy machine too.
const TTL: &str = "30s";

async fn jwt(store: &Store, origin: &str) -> Service {
    let settings = [
        ("AUTH__MODE", "jwt"),
        ("AUTH__JWT_SECRET", super::admin::SECRET),
        ("AUTH__LEEWAY", "0s"),
        ("SERVER__ALLOWED_ORIGINS", origin),
    ];
    Service::with(store, &settings).await
}

/// Opens the call page with a token in its address.
async fn enter(page: &Page, service: &Service, token: &str) {
    page.goto(&service.url(&format!("/#token={token}"))).await;
    page.until_is("#connection", "data-state", "connected").await;
}

/// Waits until a token has expired: a socket in no call is closed for it.
async fn until_expired(service: &Service, user: &str, token: &str) {
    let mut witness = Socket::dial(service, user).device("witness").token(token).open().await;
    assert_eq!(witness.until(Duration::from_secs(60), "anything at all").await, None);
    witness.expect_close(4401).await;
}

/// Looks at the page from now on whether one can hang up.
async fn watch_hang_up(page: &Page, button: &str) {
    page.eval(&format!("void setInterval(() => {{ if (!__look.shown('{button}')) window.__missing = true; }}, 50)"))
        .await;
}

async fn one_could_always_hang_up(page: &Page, button: &str) {
    assert!(page.is_shown(button).await);
    assert_eq!(page.eval("window.__missing === true").await, false, "user {}: Hang up was hidden", page.user);
}

/// Hangs up: at once nothing is recorded any more, and the page asks for another token.
async fn hang_up(page: &Page) {
    page.click("#hang-up").await;
    asks_for_a_token(page).await;
}

async fn asks_for_a_token(page: &Page) {
    page.until("nothing is recorded any more", "__look.recording()", |open| open == 0).await;
    page.until_shown("#sign-in-token").await;
    page.until_is("#connection", "data-state", "closed").await;
    page.until_shown("#problem").await;
}

async fn a_call_outlives_the_tokens_of_its_pages_and_a_restart(stage: Stage) {
    let mut service = jwt(&stage.store, "").await;
    let [anna, ben] = tokio::join!(stage.launch(Browser::of("1")), stage.launch(Browser::of("2"))).into();
    let one = service.token(&["--user", "1", "--ttl", TTL]).await;
    let two = service.token(&["--user", "2", "--ttl", TTL]).await;
    tokio::join!(enter(&anna, &service, &one), enter(&ben, &service, &two));
    talk(&anna, &ben, "video").await;
    for page in [&anna, &ben] {
        watch_hang_up(page, "#hang-up").await;
    }
    tokio::join!(until_expired(&service, "1", &one), until_expired(&service, "2", &two));
    for page in [&anna, &ben] {
        page.until_is("#connection", "data-state", "connected").await;
        page.call_is("active").await;
    }
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    // They come back with the tokens they have.
    service.kill9().await;
    tokio::join!(
        anna.until_is("#connection", "data-state", "reconnecting"),
        ben.until_is("#connection", "data-state", "reconnecting")
    );
    service.start_again().await;
    tokio::join!(
        anna.until_is("#connection", "data-state", "connected"),
        ben.until_is("#connection", "data-state", "connected")
    );
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    tokio::join!(one_could_always_hang_up(&anna, "#hang-up"), one_could_always_hang_up(&ben, "#hang-up"));
    hang_up(&anna).await;
    ben.until_is("#outcome", "data-reason", "completed").await;
    asks_for_a_token(&ben).await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn a_call_outlives_the_token_of_a_widget(stage: Stage) {
    let elsewhere = Elsewhere::listen().await;
    let origin = elsewhere.origin.clone();
    let service = jwt(&stage.store, &origin).await;
    let [anna, shop] = tokio::join!(stage.launch(Browser::of("1")), stage.launch(Browser::of("2"))).into();
    let one = service.token(&["--user", "1"]).await;
    let two = service.token(&["--user", "2", "--ttl", TTL]).await;
    let page = format!(
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>A shop</title><h1>A shop</h1>
         <script type=module src=\"{}\" data-user=2 data-token=\"{two}\"></script>",
        service.url("/sdk/widget.js")
    );
    elsewhere.answer(move |_| response("text/html", page.len(), &page));
    enter(&anna, &service, &one).await;
    shop.goto(&origin).await;
    let me = service.rest("1").bearer(&one);
    within(PATIENCE, "the shop is connected", async || (me.status_of("2").await == "online").then_some(())).await;
    anna.dial("2", "video").await;
    shop.rings_for("1").await;
    shop.click(ANSWER).await;
    anna.call_is("active").await;
    let button = "switchboard-call >>> #hang-up";
    shop.until_shown(button).await;
    watch_hang_up(&shop, button).await;
    until_expired(&service, "2", &two).await;
    tokio::join!(anna.sees_and_hears(), shop.sees_and_hears());
    one_could_always_hang_up(&shop, button).await;
    shop.click(button).await;
    anna.learns("completed", "").await;
    shop.until_gone("switchboard-call").await;
    shop.until("nothing is recorded any more", "__look.recording()", |open| open == 0).await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn a_library_whose_tokens_fail_keeps_its_call_and_watches_again_with_the_next(stage: Stage) {
    let mut service = jwt(&stage.store, "").await;
    let [anna, ben] = tokio::join!(stage.launch(Browser::of("1")), stage.launch(Browser::of("2"))).into();
    enter(&ben, &service, &service.token(&["--user", "2"]).await).await;
    anna.goto(&service.url("/")).await;
    anna.until_shown("#sign-in-token").await;
    let one = service.token(&["--user", "1", "--ttl", TTL]).await;
    let library = "(async () => {
        const { Switchboard } = await import('/sdk/switchboard.js');
        window.seen = [];
        window.tokens = [TOKEN];
        const token = async () => tokens.shift() ?? Promise.reject(new Error('no token to be had'));
        window.phone = new Switchboard({ user: '1', token });
        await phone.connect();
        phone.presence.watch(['3'], ({ status }) => seen.push(status));
        phone.call('2').then((call) => { window.call = call; });
    })()";
    anna.eval(&library.replace("TOKEN", &quoted(&one))).await;
    ben.rings_for("1").await;
    ben.click(ANSWER).await;
    let active = |state: &serde_json::Value| state == "active";
    anna.until("the call is active", "window.call?.state", active).await;
    until_expired(&service, "1", &one).await;
    // What it has is still good for the call.
    service.kill9().await;
    ben.until_is("#connection", "data-state", "reconnecting").await;
    service.start_again().await;
    ben.until_is("#connection", "data-state", "connected").await;
    anna.until("it is back", "phone.state", |state| state == "connected").await;
    anna.until("the call is active", "call.state", active).await;
    tokio::join!(anna.hears(), ben.hears());
    let three = service.token(&["--user", "3"]).await;
    let _cleo = Socket::dial(&service, "3").token(&three).open().await;
    let fresh = service.token(&["--user", "1"]).await;
    anna.eval(&format!("void tokens.push({})", quoted(&fresh))).await;
    anna.until("3 is seen", "seen.at(-1)", |status| status == "online").await;
    anna.eval("void call.hangup()").await;
    ben.learns("completed", "").await;
    // With the fresh token it stays.
    let me = service.rest("1").bearer(&fresh);
    assert_eq!(me.status_of("1").await, "online");
    anna.eval("phone.close()").await;
}

/// Closes the sockets of a user for good, as an administrator does.
async fn put_out(service: &Service, user: &str) {
    let token = service.token(&["--user", "9", "--role", "admin"]).await;
    let admin = service.rest("9").bearer(&token);
    let sessions = admin.get(&format!("/api/admin/sessions?user={user}")).await.ok();
    for session in sessions["sessions"].as_array().expect("a list") {
        let id = session["id"].as_str().unwrap_or_else(|| panic!("no id: {session}"));
        admin.post(&format!("/api/admin/sessions/{id}/close"), serde_json::json!({})).await.ok();
    }
}

async fn a_page_that_is_let_in_no_more_shows_its_call_until_that_is_over(stage: Stage) {
    let service = jwt(&stage.store, "").await;
    let [anna, ben] = tokio::join!(stage.launch(Browser::of("1")), stage.launch(Browser::of("2"))).into();
    for page in [&anna, &ben] {
        enter(page, &service, &service.token(&["--user", &page.user]).await).await;
    }
    talk(&anna, &ben, "video").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    watch_hang_up(&anna, "#hang-up").await;
    put_out(&service, "1").await;
    anna.until_is("#connection", "data-state", "closed").await;
    // What they see and hear of each other never went through the service.
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    one_could_always_hang_up(&anna, "#hang-up").await;
    assert_eq!(anna.attribute("body", "data-view").await.as_deref(), Some("phone"));
    hang_up(&anna).await;
    anna.until_is("#problem", "data-code", "forbidden").await;
}

async fn a_page_that_is_let_in_no_more_rings_no_more(stage: Stage) {
    let service = jwt(&stage.store, "").await;
    let [anna, ben] = tokio::join!(stage.launch(Browser::of("1")), stage.launch(Browser::of("2"))).into();
    for page in [&anna, &ben] {
        enter(page, &service, &service.token(&["--user", &page.user]).await).await;
    }
    anna.dial("2", "voice").await;
    ben.rings_for("1").await;
    anna.call_is("ringing").await;
    put_out(&service, "2").await;
    ben.until_gone("switchboard-ring >>> dialog").await;
    asks_for_a_token(&ben).await;
    put_out(&service, "1").await;
    asks_for_a_token(&anna).await;
}
