//! Every limit, met from outside: what is refused, how, and that what is within it goes on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::rest::call_id;
use crate::harness::socket::description;
use crate::harness::{PATIENCE, Service, Socket, Store, eventually};

on_sqlite!(
    calls_per_minute_are_counted_over_rest_and_socket_together,
    a_flooding_socket_is_closed_and_told_when_to_return,
    the_eleventh_device_is_one_too_many,
    a_message_may_be_as_big_as_the_limit_and_no_bigger,
    requests_of_a_user_are_counted_by_user,
    beyond_the_ceiling_sockets_are_refused_and_requests_are_not,
    an_address_has_a_ceiling_of_its_own,
    nobody_takes_all_connections,
    an_address_has_so_many_long_polls,
    a_socket_refused_for_its_token_gives_its_place_back,
);

async fn calls_per_minute_are_counted_over_rest_and_socket_together(store: Store) {
    let service = Service::with(&store, &[("LIMITS__INITIATES_PER_MINUTE", "4")]).await;
    let mut anna = service.socket("1").await;
    let rest = service.rest("1");
    for _ in 0..2 {
        assert_eq!(rest.initiate("2").await.0, "offline");
        anna.invite("2").await;
        anna.expect("call_declined").await;
    }
    let refused = rest.post("/api/call/initiate", json!({ "callee_id": 2, "call_type": "voice" })).await;
    // One comes back every 15 s.
    assert!(refused.retry_after.is_some_and(|seconds| (1..=15).contains(&seconds)), "{refused:?}");
    assert_eq!(refused.refused(429)["code"], "rate_limited");
    anna.invite("2").await;
    let error = anna.expect("error").await;
    assert_eq!(error["code"], "rate_limited", "{error}");
    assert!(error["retry_after_ms"].as_u64().is_some_and(|ms| (1..=15_000).contains(&ms)), "{error}");
    // Nobody was called, nobody else is held up, and the socket lives.
    assert_eq!(store.open().await.count("call_logs", "").await, 4);
    assert_eq!(service.rest("3").initiate("2").await.0, "offline");
    anna.quiet().await;
    // Being called and answering are not calls one makes.
    let mut ben = service.socket("2").await;
    ben.invite("1").await;
    call_id(&anna.expect("call_invitation").await);
    anna.answer("2").await;
    ben.expect("call_answer").await;
}

async fn a_flooding_socket_is_closed_and_told_when_to_return(store: Store) {
    let settings = [("LIMITS__MESSAGES_PER_SECOND", "1"), ("LIMITS__MESSAGE_BURST", "5")];
    let service = Service::with(&store, &settings).await;
    let mut calm = service.socket("2").await;
    let mut flood = service.socket("1").await;
    // The ping of the opening was one message already.
    for _ in 0..20 {
        flood.try_send(json!({ "type": "ping" })).await;
    }
    flood.expect_close(4429).await;
    let (_, wait) = flood.reason().split_once("retry_after_ms=").expect("the reason says when to return");
    assert!((1..=1000).contains(&wait.parse::<u64>().expect("milliseconds")), "{wait}");
    calm.quiet().await;
}

async fn the_eleventh_device_is_one_too_many(store: Store) {
    let service = Service::start(&store).await;
    let mut devices = Vec::new();
    for n in 0..10 {
        devices.push(service.device("1", &format!("device{n}")).await);
    }
    let eleventh = Socket::dial(&service, "1").device("device10").try_open().await;
    eleventh.expect("refused after the upgrade").expect_close(4409).await;
    // The ten are all still there and all ring; one that returns takes its own place.
    devices.push(service.device("1", "device0").await);
    devices.remove(0).expect_close(4409).await;
    let mut ben = service.socket("2").await;
    ben.invite("1").await;
    for device in &mut devices {
        device.expect("call_invitation").await;
    }
    ben.cancel("1").await;
    for device in &mut devices {
        device.expect("call_cancelled").await;
    }
    // And the place of one that goes is free.
    devices.pop().expect("a device").close().await;
    eventually("a device's place is free again", async || {
        let mut socket = Socket::dial(&service, "1").device("device10").try_open().await.ok()?;
        socket.try_round_trip().await.then_some(())
    })
    .await;
}

async fn a_message_may_be_as_big_as_the_limit_and_no_bigger(store: Store) {
    let service = Service::with(&store, &[("LIMITS__MAX_MESSAGE_BYTES", "1000")]).await;
    let sized = |bytes: usize| {
        let empty = json!({ "type": "ping", "padding": "" }).to_string().len();
        json!({ "type": "ping", "padding": "x".repeat(bytes - empty) })
    };
    let mut socket = service.socket("1").await;
    socket.send(sized(1000)).await;
    socket.expect("pong").await;
    socket.send(sized(1001)).await;
    socket.expect_close(1009).await;
}

async fn requests_of_a_user_are_counted_by_user(store: Store) {
    let service = Service::with(&store, &[("LIMITS__REST_PER_SECOND", "1"), ("LIMITS__REST_BURST", "5")]).await;
    let rest = service.rest("1");
    let mut refused = Vec::new();
    // Twenty at once take far less than the fifteen seconds in which they would all be allowed.
    for answer in futures_util::future::join_all((0..20).map(|_| rest.get("/api/call/missed"))).await {
        if answer.status != 200 {
            assert!(answer.retry_after.is_some_and(|seconds| seconds >= 1), "{answer:?}");
            refused.push(answer.refused(429)["code"].clone());
        }
    }
    assert!(!refused.is_empty() && refused.len() <= 15, "{} of 20 refused", refused.len());
    assert!(refused.iter().all(|code| code == "rate_limited"), "{refused:?}");
    service.rest("2").get("/api/call/missed").await.ok();
    // What a load balancer asks is nobody's request.
    for _ in 0..20 {
        service.rest("1").get("/healthz").await.ok();
    }
}

async fn beyond_the_ceiling_sockets_are_refused_and_requests_are_not(store: Store) {
    let service = Service::with(&store, &[("LIMITS__MAX_CONNECTIONS", "2")]).await;
    let first = service.socket("1").await;
    let mut second = service.socket("2").await;
    // All of this at once, not when some idle connection has timed out.
    let refused = async {
        for _ in 0..10 {
            assert_eq!(Socket::dial(&service, "3").try_open().await.err(), Some(503));
        }
    };
    tokio::time::timeout(PATIENCE / 3, refused).await.expect("a refusal comes at once");
    // Whoever is in a call can still be served, and a load balancer is told that we live.
    let others = futures_util::future::join_all((0..10).map(|_| async { service.rest("2").get("/healthz").await }));
    let others = tokio::time::timeout(PATIENCE / 3, others).await.expect("requests are answered at once");
    assert!(others.iter().all(|answer| answer.status == 200));
    second.quiet().await;
    first.close().await;
    eventually("a place is free again", async || Socket::dial(&service, "3").try_open().await.ok()).await;
}

async fn an_address_has_a_ceiling_of_its_own(store: Store) {
    let service = Service::with(&store, &[("LIMITS__SOCKETS_PER_ADDRESS", "3")]).await;
    let mut open = Vec::new();
    for user in ["1", "2", "3"] {
        open.push(service.socket(user).await);
    }
    assert_eq!(Socket::dial(&service, "4").try_open().await.err(), Some(503));
    open.remove(0).vanish();
    eventually("a place is free again", async || Socket::dial(&service, "4").try_open().await.ok()).await;
}

/// A connection from an address of its own.
async fn connect(service: &Service, from: Ipv4Addr) -> TcpStream {
    let end = TcpSocket::new_v4().expect("a socket");
    end.bind(SocketAddr::new(from.into(), 0)).expect("an address of this machine");
    end.connect(service.address().parse().expect("an address")).await.expect("a connection")
}

/// Asks on a connection, and reads until the answer ends so, or there is no more.
async fn ask(connection: &mut TcpStream, request: &str, end: &str) -> String {
    // One that was sent away may be closed already; what it was told is there all the same.
    let _ = connection.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = async {
        while !answer.ends_with(end.as_bytes()) && connection.read_buf(&mut answer).await.is_ok_and(|read| read > 0) {}
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no answer to {request}"));
    String::from_utf8(answer).expect("text")
}

async fn nobody_takes_all_connections(store: Store) {
    let settings = [("LIMITS__SOCKETS_PER_ADDRESS", "3"), ("LIMITS__BODY_DEADLINE", "60s")];
    let service = Service::with(&store, &settings).await;
    let (greedy, other) = (Ipv4Addr::new(127, 0, 5, 1), Ipv4Addr::new(127, 0, 5, 2));
    let healthz = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let beat = "POST /api/status/heartbeat HTTP/1.1\r\nHost: localhost\r\nX-User-Id: 1\r\nContent-Length: 2\r\n\r\n";
    let mut open = Vec::new();
    // Six for each socket there may be.
    for _ in 0..18 {
        let mut connection = connect(&service, greedy).await;
        let answer = ask(&mut connection, healthz, "}").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // Now it keeps the service waiting.
        connection.write_all(beat.as_bytes()).await.expect("a request");
        open.push(connection);
    }
    let refused = ask(&mut connect(&service, greedy).await, healthz, "the end of the connection").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("\r\nretry-after: 10\r\n"), "{refused}");
    let body: serde_json::Value = serde_json::from_str(refused.rsplit("\r\n").next().expect("a body")).expect("JSON");
    assert_eq!((&body["success"], &body["code"]), (&json!(false), &json!("unavailable")));
    assert!(body["error"].as_str().is_some_and(|error| error.contains("127.0.5.1")), "{body}");
    let socket = Socket::dial(&service, "4").from(IpAddr::from(greedy)).try_open().await;
    assert_eq!(socket.err(), Some(503), "a socket begins as a request");
    // Nobody else is concerned, and who comes back later is served.
    let answer = ask(&mut connect(&service, other).await, healthz, "}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Socket::dial(&service, "4").from(IpAddr::from(other)).open().await.quiet().await;
    let mut last = open.pop().expect("a connection");
    let answer = ask(&mut last, "{}", "}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(last);
    eventually("there is room again", async || {
        let answer = ask(&mut connect(&service, greedy).await, healthz, "}").await;
        answer.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

async fn an_address_has_so_many_long_polls(store: Store) {
    let service = Service::with(&store, &[("LIMITS__SOCKETS_PER_ADDRESS", "2")]).await;
    let poll = async |user: &str| service.rest(user).get("/api/call/signals?wait=30").await;
    for user in ["1", "2"] {
        service.rest(user).heartbeat().await;
    }
    let polls = ["1", "2"].map(async |user| {
        // The third below may come first, and this one be one too many.
        eventually("a poll is let in", async || Some(poll(user).await).filter(|answer| answer.status == 200)).await
    });
    let refused = async {
        let answer = eventually("a third is one too many", async || {
            let asked = service.rest("3").get("/api/call/signals?wait=0.01").await;
            Some(asked).filter(|answer| answer.status != 200)
        });
        let answer = answer.await;
        assert_eq!(answer.retry_after, Some(10));
        assert_eq!(answer.refused(503)["code"], "unavailable");
        // What does not wait is served all the same, and so are sockets.
        service.rest("3").get("/api/call/signals").await.ok();
        service.socket("3").await.quiet().await;
        for (caller, callee) in [("8", 1), ("9", 2)] {
            let call = json!({ "callee_id": callee, "offer": description("offer") });
            service.rest(caller).post("/api/call/initiate", call).await.ok();
        }
    };
    futures_util::future::join(refused, futures_util::future::join_all(polls)).await;
    service.rest("3").get("/api/call/signals?wait=0.01").await.ok();
}

async fn a_socket_refused_for_its_token_gives_its_place_back(store: Store) {
    let service = Service::with(&store, &[("LIMITS__SOCKETS_PER_ADDRESS", "2"), ("LIMITS__FAILED_AUTH", "100")]).await;
    for _ in 0..10 {
        let refused = eventually("there is a place", async || {
            Socket::dial(&service, "1").token("not.a.token").try_open().await.ok()
        });
        refused.await.expect_close(4401).await;
    }
    eventually("there is a place", async || Socket::dial(&service, "1").try_open().await.ok()).await.quiet().await;
}
