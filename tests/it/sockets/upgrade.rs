//! How a connection becomes a socket, or does not.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Setup, closed, serve};

#[actix_web::test]
async fn who_may_not_is_told_before_or_after_the_upgrade() {
    let server = serve(Setup::default());
    for (path, header, status) in [
        ("/ws/7", "Origin: https://evil.example\r\n", "403"),
        ("/ws/notifications", "", "404"),
        ("/ws/chat/", "", "404"),
        ("/ws/7/lodger", "", "404"),
        ("/ws/a%20b", "", "404"),
        ("/ws/7?device_id=http", "", "400"),
        ("/ws/7?device_id=a%20b", "", "400"),
        ("/ws/7?device_id=", "", "101"),
    ] {
        let (head, _) = server.upgrade(path, header).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {head}");
    }
    let offered = "Sec-WebSocket-Protocol: switchboard, bearer.secret\r\n";
    let (head, _) = server.upgrade("/ws/7/", offered).await;
    assert!(head.to_lowercase().contains("sec-websocket-protocol: switchboard\r\n"), "{head}");
    assert_eq!(u16::from(closed(&mut server.connect("nobody").await).await.code), 4401);
    assert_eq!(u16::from(closed(&mut server.connect("else").await).await.code), 4403);
}

#[actix_web::test]
async fn what_is_sent_with_the_request_is_read_and_who_stops_sending_still_gets_the_answer() {
    let server = serve(Setup::default());
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let mut sent = b"GET /ws/7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    // A ping, a whole message and half of one.
    sent.extend(b"\x89\x81\0\0\0\0?\x81\x8f\0\0\0\0{\"type\":\"ping\"}\x81\x8f\0\0\0\0{\"type\"");
    stream.write_all(&sent).await.unwrap();
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    stream.write_all(b":\"ping\"}").await.unwrap();
    let pong = b"\x81\x0f{\"type\":\"pong\"}";
    let expected = [&b"\r\n\r\n\x8a\x01?"[..], pong, pong].concat();
    let mut seen = Vec::new();
    while !seen.ends_with(&expected) {
        let byte = timeout(Duration::from_secs(5), stream.read_u8()).await.expect("nothing more came").unwrap();
        seen.push(byte);
    }
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("still open").unwrap();
    assert_eq!(rest, b"");
    server.gone_once("7", false).await;
}

#[actix_web::test]
async fn a_request_that_only_mentions_an_upgrade_is_answered_whole_and_its_connection_closed() {
    let server = serve(Setup::default());
    for (path, extra, status, end) in [
        ("/block/1", "Connection: keep-alive\r\n", "200", "slept"),
        ("/ws/7", "Connection: keep-alive\r\n", "400", ""),
        ("/ws/7", "Connection: Upgrade\r\nSec-WebSocket-Version: 12\r\n", "426", ""),
        ("/nowhere", "Connection: Upgrade\r\n", "404", ""),
    ] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{extra}\r\nand more");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.expect("still open").unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with(end), "{path}: {answer}");
    }
    assert_eq!(server.connections.count(), 0);
}

#[actix_web::test]
async fn an_address_has_only_so_many_sockets_and_gets_its_places_back() {
    let server = serve(Setup { per_address: 2, ..Setup::default() });
    let (first, mut second) = (server.connect("1").await, server.connect("2").await);
    let (head, _) = server.upgrade("/ws/3", "").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    drop(first);
    second.close(None).await.unwrap();
    while let Some(Ok(_)) = second.next().await {}
    drop(second);
    for _ in 0..300 {
        if server.connections.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still connected: {}", server.connections.count());
}
