//! Why a socket is closed, and with which code.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use switchboard::ids::UserId;
use switchboard::router::messages::Eviction;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{Setup, candidate, closed, frame, say, serve};
use crate::harness::{PATIENCE, eventually};

#[actix_web::test]
async fn a_client_that_does_not_read_is_disconnected_and_holds_little() {
    let server = serve(Setup::default());
    let (head, stalled) = server.upgrade("/ws/7", "").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    let (outlet, text) = (server.outlet("7"), "x".repeat(4000));
    let mut taken = 0;
    while outlet.deliver(&candidate(1, &text)) {
        taken += 1;
        assert!(taken < 2_000, "it takes for ever");
        if taken % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(!outlet.deliver(&candidate(1, &text)));
    server.gone_once("7", false).await;
    // Only the server's own reference cycle could keep the outlet: nobody but this test has it now.
    server.heard.lock().unwrap().outlets.clear();
    eventually("nobody else holds it", async || (Arc::strong_count(&outlet) == 1).then_some(())).await;
    drop(stalled);
}

#[actix_web::test]
async fn a_declared_length_over_the_limit_closes_at_the_header() {
    let server = serve(Setup::default());
    let (_, mut stream) = server.upgrade("/ws/7", "").await;
    let mut header = vec![0x81, 0xff];
    header.extend((1u64 << 40).to_be_bytes());
    stream.write_all(&header).await.unwrap();
    let mut close = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut close)).await.unwrap().unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &1009u16.to_be_bytes()[..]));
    server.gone_once("7", false).await;
    // It may go on sending, into nothing and not for long.
    let (before, chunk) = (resident_kib(), vec![0; 64 * 1024]);
    let mut sent = 0;
    let flood = async {
        while stream.write_all(&chunk).await.is_ok() {
            sent += chunk.len() / 1024;
        }
    };
    timeout(PATIENCE, flood).await.expect("the connection is still open");
    // Other tests run in this process, too; where a machine is that slow, no more came than they may take.
    let now = resident_kib();
    assert!(
        now < before + 256 * 1024,
        "{before} KiB were held before, {now} after {sent} KiB came: they were buffered"
    );
}

/// The memory this process holds.
fn resident_kib() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

#[actix_web::test]
async fn a_client_that_ignores_the_close_is_cut_off() {
    let server = serve(Setup::default());
    let (_, mut stream) = server.upgrade("/ws/7", "").await;
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    server.outlet("7").evict(Eviction::Killed);
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("still open").unwrap();
    assert_eq!(rest[2..4], 4403u16.to_be_bytes());
    drop(stream);
    eventually("its place is free", async || (server.connections.count() == 0).then_some(())).await;
}

#[actix_web::test]
async fn bad_frames_have_their_own_codes() {
    let server = serve(Setup::default());
    for (bytes, code) in [
        (&[0x81, 0x01, b'x'][..], 1002u16),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0x82, 0x81, 0, 0, 0, 0, b'x'], 1003),
    ] {
        let (_, mut stream) = server.upgrade("/ws/7", "").await;
        stream.write_all(bytes).await.unwrap();
        let mut close = [0; 4];
        timeout(PATIENCE, stream.read_exact(&mut close)).await.unwrap().unwrap();
        assert_eq!(close[2..], code.to_be_bytes());
    }
}

#[actix_web::test]
async fn five_malformed_messages_close_one_gets_an_error() {
    let server = serve(Setup::default());
    let mut seven = server.connect("7").await;
    for _ in 0..4 {
        seven.send(Message::text("{")).await.unwrap();
        assert_eq!(frame(&mut seven).await["code"], "invalid");
    }
    seven.send(Message::text("[]")).await.unwrap();
    assert_eq!(u16::from(closed(&mut seven).await.code), 4400);
    server.gone_once("7", false).await;
}

#[actix_web::test]
async fn flooding_closes_and_says_when_to_come_back() {
    let server = serve(Setup { messages: 3, ..Setup::default() });
    let mut seven = server.connect("7").await;
    for _ in 0..4 {
        say(&mut seven, json!({"type": "heartbeat"})).await;
    }
    let close = closed(&mut seven).await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4429, "flooding; retry_after_ms=1500"));
}

#[actix_web::test]
async fn an_evicted_socket_says_why_after_what_was_queued() {
    let server = serve(Setup::default());
    let mut seven = server.connect("7").await;
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    let outlet = server.outlet("7");
    assert!(outlet.deliver(&candidate(1, "last words")));
    outlet.evict(Eviction::Replaced);
    outlet.evict(Eviction::Draining);
    assert!(!outlet.deliver(&candidate(1, "too late")));
    assert_eq!(frame(&mut seven).await["candidate"], "last words");
    assert_eq!(u16::from(closed(&mut seven).await.code), 4409);
    server.gone_once("7", false).await;
    assert_eq!(u16::from(closed(&mut server.connect("full").await).await.code), 4409);
}

#[actix_web::test]
async fn a_silent_socket_is_closed_and_one_that_answers_is_kept() {
    let mut setup = Setup::default();
    setup.limits.ping_every = Duration::from_millis(100);
    setup.limits.pong_within = Duration::from_secs(1);
    let server = serve(setup);
    let (_, _silent) = server.upgrade("/ws/7", "").await;
    let mut eight = server.connect("8").await;
    let answering = actix_web::rt::spawn(async move { while let Some(Ok(_)) = eight.next().await {} });
    server.gone_once("7", false).await;
    assert_eq!(server.heard.lock().unwrap().gone.len(), 1);
    assert!(!answering.is_finished());
    answering.abort();
}

#[actix_web::test]
async fn a_socket_ends_with_its_token_unless_a_fresh_one_comes() {
    let server = serve(Setup { lives: Some(Duration::from_secs(3)), ..Setup::default() });
    let (mut seven, mut eight) = (server.connect("7").await, server.connect("8").await);
    say(&mut eight, json!({"type": "token", "token": "stale"})).await;
    assert_eq!(frame(&mut eight).await["code"], "unauthorized");
    say(&mut eight, json!({"type": "token", "token": "fresh"})).await;
    assert_eq!(u16::from(closed(&mut seven).await.code), 4401);
    say(&mut eight, json!({"type": "ping"})).await;
    assert_eq!(frame(&mut eight).await["type"], "pong");
}

#[actix_web::test]
async fn a_call_keeps_a_socket_whose_token_has_expired_for_so_long_and_no_longer() {
    let mut setup = Setup { lives: Some(Duration::from_secs(1)), ..Setup::default() };
    setup.limits.kept_for = Duration::from_secs(4);
    let server = serve(setup);
    let (mut caller, mut seven) = (server.connect("caller").await, server.connect("7").await);
    assert_eq!(u16::from(closed(&mut seven).await.code), 4401);
    let outlet = server.outlet("caller");
    eventually("it is there for its call alone", async || (!outlet.takes_calls()).then_some(())).await;
    assert!(!outlet.deliver(&candidate(2, "another call's")) && outlet.deliver(&candidate(1, "its own")));
    assert_eq!(frame(&mut caller).await["candidate"], "its own");
    // Nobody has said that the call is over.
    assert_eq!(u16::from(closed(&mut caller).await.code), 4401);
    assert_eq!(server.heard.lock().unwrap().staying.len(), 1);
}

#[actix_web::test]
async fn after_a_stall_of_the_process_itself_a_pong_that_had_arrived_still_counts() {
    let mut setup = Setup::default();
    setup.limits.ping_every = Duration::from_secs(2);
    setup.limits.pong_within = Duration::from_secs(1);
    let server = serve(setup);
    // Both are longer than its pong may take, and one is so long that the process knows of its own stall.
    for (stalls, user, stall) in [(1, "7", 1500), (2, "8", 3600)] {
        let (_, mut stream) = server.upgrade(&format!("/ws/{user}"), "").await;
        let mut ping = [0; 2];
        stream.read_exact(&mut ping).await.unwrap();
        assert_eq!(ping, [0x89, 0]);
        let mut blocked = TcpStream::connect(&server.address).await.unwrap();
        let request = format!("GET /block/{stall} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        blocked.write_all(request.as_bytes()).await.unwrap();
        server.until("the stall", |heard| heard.stalls == stalls).await;
        stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap();
        let mut answer = String::new();
        blocked.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("slept"));
        // A ping of the client's own is answered, before or after one of the server's, and with nothing else.
        stream.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
        let mut said = ping;
        while said != [0x8a, 0] {
            assert_eq!(said, ping, "{stall}");
            timeout(PATIENCE, stream.read_exact(&mut said)).await.unwrap().unwrap();
        }
        let user = UserId::parse(user).unwrap();
        assert!(server.heard.lock().unwrap().gone.iter().all(|(gone, _)| *gone != user), "{stall}");
    }
}
