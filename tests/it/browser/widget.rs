//! One line on somebody else's page, and it rings there.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::calls::reasons;
use super::driver::Browser;
use super::page::PATIENCE;
use super::phone::ANSWER;
use super::stage::Stage;
use crate::harness::{Service, within};

in_browsers!(a_page_of_somebody_else_rings_and_answers, a_page_of_somebody_else_brings_its_own_tokens);

/// Somebody else's service: a page, and at `/token` what it knows to be its user's token. Until the story is over.
async fn serve(listener: TcpListener, page: String, token: String) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut request = [0; 4096];
        let length = socket.read(&mut request).await.unwrap_or_default();
        let (kind, body) =
            if request[..length].starts_with(b"GET /token ") { ("text/plain", &token) } else { ("text/html", &page) };
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close", body.len());
        let _ = socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
    }
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
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    let service = Service::with(&stage.store, &[("SERVER__ALLOWED_ORIGINS", origin.as_str())]).await;
    tokio::spawn(serve(listener, shop(&service, ""), String::new()));
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
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    let settings = [
        ("SERVER__ALLOWED_ORIGINS", origin.as_str()),
        ("AUTH__MODE", "jwt"),
        ("AUTH__JWT_SECRET", super::admin::SECRET),
    ];
    let service = Service::with(&stage.store, &settings).await;
    let token = service.token(&["--user", "2"]).await;
    tokio::spawn(serve(listener, shop(&service, "data-token-url=/token"), token));
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
