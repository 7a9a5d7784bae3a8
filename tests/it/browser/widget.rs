//! One line on somebody else's page, and it rings there.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::calls::reasons;
use super::driver::Browser;
use super::phone::ANSWER;
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(a_page_of_somebody_else_rings_and_answers);

/// Serves one page to everybody who asks, until the story is over.
async fn serve(listener: TcpListener, page: String) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close",
            page.len()
        );
        let _ = socket.write_all(format!("{head}\r\n\r\n{page}").as_bytes()).await;
    }
}

async fn a_page_of_somebody_else_rings_and_answers(stage: Stage) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    let service = Service::with(&stage.store, &[("SERVER__ALLOWED_ORIGINS", origin.as_str())]).await;
    let page = format!(
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>A shop</title><h1>A shop</h1>
         <script type=module src=\"{}\" data-user=2></script>",
        service.url("/sdk/widget.js")
    );
    tokio::spawn(serve(listener, page));
    let (anna, shop) = tokio::join!(stage.open(&service, "1"), stage.launch(Browser::of("2")));
    shop.goto(&origin).await;
    crate::harness::eventually("the shop is connected", async || {
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
