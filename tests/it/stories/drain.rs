//! SIGTERM: live calls end in peace, and everybody is told to come back.

use futures_util::future::join_all;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::socket::connect_call;
use crate::harness::{Service, Socket, Store, eventually};

on_both!(
    idle_it_stops_at_once_whatever_clients_do,
    a_participant_may_come_back_while_it_drains,
    asked_twice_it_does_not_wait_for_calls,
);

/// It stops without having waited for calls, which it does for half a minute.
async fn stops(service: &mut Service) {
    let status = service.exited().await;
    assert!(status.success(), "{status}");
}

async fn draining(service: &Service) {
    let rest = service.rest("9");
    eventually("it drains", async || (rest.get("/readyz").await.body["status"] == "draining").then_some(())).await;
}

async fn idle_it_stops_at_once_whatever_clients_do(store: Store) {
    let mut service = Service::start(&store).await;
    let mut sockets = join_all((1..40).map(|n| Socket::dial(&service, &n.to_string()).open())).await;
    // One who answers nothing, not even the close.
    let mut mute = tokio::net::TcpStream::connect(service.address()).await.expect("a connection");
    let upgrade = format!(
        "GET /ws/77 HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        service.address()
    );
    mute.write_all(upgrade.as_bytes()).await.expect("sent");
    let mut head = [0; 12];
    mute.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
    // One who waits for mail, and one whose connection is merely open.
    let poller = service.rest("78");
    poller.heartbeat().await;
    let waiting = tokio::spawn({
        let poller = poller.clone();
        async move { poller.try_send(poller.request(Method::GET, "/api/call/signals?wait=30")).await.map(|a| a.status) }
    });
    let idle = tokio::net::TcpStream::connect(service.address()).await.expect("a connection");
    eventually("the poller is there", async || (poller.status_of("78").await == "online").then_some(())).await;

    service.terminate().await;
    for socket in &mut sockets {
        socket.expect_close(1012).await;
    }
    stops(&mut service).await;
    drop((mute, idle));
    println!("who waited for mail got {:?}", waiting.await.expect("a reader"));
}

async fn a_participant_may_come_back_while_it_drains(store: Store) {
    let mut service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    service.terminate().await;
    draining(&service).await;
    // Nobody new is let in; but who is in a live call is no new guest.
    let mut stranger = Socket::dial(&service, "3").try_open().await.expect("the upgrade");
    stranger.expect_close(1012).await;
    ben.vanish();
    let mut ben = service.device("2", "phone").await;
    anna.candidate("2", 5).await;
    ben.expect("ice_candidate").await;
    ben.hang_up("1").await;
    anna.expect("call_ended").await;
    anna.expect_close(1012).await;
    ben.expect_close(1012).await;
    stops(&mut service).await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn asked_twice_it_does_not_wait_for_calls(store: Store) {
    let mut service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.device("1", "laptop").await, service.device("2", "phone").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    service.terminate().await;
    draining(&service).await;
    anna.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
    service.terminate().await;
    anna.expect_close(1012).await;
    ben.expect_close(1012).await;
    stops(&mut service).await;
    // The call outlives the process: their media goes on, and so does the record.
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
    service.start_again().await;
    let (mut anna, mut ben) = (service.device("1", "laptop").await, service.device("2", "phone").await);
    anna.candidate("2", 2).await;
    ben.expect("ice_candidate").await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    assert_eq!(store.open().await.outcome(call).await.0, "ended");
}
