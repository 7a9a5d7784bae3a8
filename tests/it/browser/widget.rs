//! One line on somebody else's page, and it rings there.

use super::calls::reasons;
use super::driver::Browser;
use super::elsewhere::{Elsewhere, response};
use super::page::PATIENCE;
use super::phone::ANSWER;
use super::stage::Stage;
use crate::harness::{Service, within};

in_browsers!(a_page_of_somebody_else_rings_and_answers, a_page_of_somebody_else_brings_its_own_tokens);

/// A page, and at `/token` what its service knows to be its user's token.
fn serve(elsewhere: Elsewhere, page: String, token: String) {
    elsewhere.answer(move |path| match path {
        "/token" => response("text/plain", token.len(), &token),
        _ => response("text/html", page.len(), &page),
    });
}

/// The page, with the one line in it.
fn shop(service: &Service, attributes: &str) -> String {
    format!(
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>A shop</title><h1>A shop</h1>
         <script type=module src=\"{}\" data-user=2 {attributes}></script>",
        service.url("/sdk/widget.js")
    )
}

async fn a_page_of_somebody_else_rings_and_answers(stage: Stage) {
    let elsewhere = Elsewhere::listen().await;
    let origin = elsewhere.origin.clone();
    let service = Service::with(&stage.store, &[("SERVER__ALLOWED_ORIGINS", origin.as_str())]).await;
    serve(elsewhere, shop(&service, ""), String::new());
    let (anna, shop) = tokio::join!(stage.open(&service, "1"), stage.launch(Browser::of("2")));
    shop.goto(&origin).await;
    within(PATIENCE, "the shop is connected", async || {
        (service.rest("9").status_of("2").await == "online").then_some(())
    })
    .await;

    anna.dial("2", "video").await;
    shop.rings_for("1").await;
    shop.click(ANSWER).await;
    anna.call_is("active").await;
    shop.until_shown("switchboard-call >>> #hang-up").await;
    tokio::join!(anna.sees_and_hears(), shop.sees_and_hears());
    anna.sees_colour("2").await;
    shop.click("switchboard-call >>> #hang-up").await;
    anna.learns("completed", "").await;
    shop.until_gone("switchboard-call").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
    // The page itself is as it was.
    assert_eq!(shop.text("h1").await, "A shop");
}

async fn a_page_of_somebody_else_brings_its_own_tokens(stage: Stage) {
    let elsewhere = Elsewhere::listen().await;
    let origin = elsewhere.origin.clone();
    let settings = [
        ("SERVER__ALLOWED_ORIGINS", origin.as_str()),
        ("AUTH__MODE", "jwt"),
        ("AUTH__JWT_SECRET", super::admin::SECRET),
    ];
    let service = Service::with(&stage.store, &settings).await;
    let token = service.token(&["--user", "2"]).await;
    serve(elsewhere, shop(&service, "data-token-url=/token"), token);
    let (anna, shop) = tokio::join!(stage.launch(Browser::of("1")), stage.launch(Browser::of("2")));
    let token = service.token(&["--user", "1"]).await;
    anna.goto(&service.url(&format!("/#token={token}"))).await;
    anna.until_is("#connection", "data-state", "connected").await;
    shop.goto(&origin).await;
    let me = service.rest("1").bearer(&token);
    within(PATIENCE, "the shop is connected", async || (me.status_of("2").await == "online").then_some(())).await;

    anna.dial("2", "voice").await;
    shop.rings_for("1").await;
    shop.click(ANSWER).await;
    anna.call_is("active").await;
    tokio::join!(anna.hears(), shop.hears());
    anna.click("#hang-up").await;
    shop.until_gone("switchboard-call").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
    assert_eq!(shop.text("h1").await, "A shop");
}
