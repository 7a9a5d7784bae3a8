//! Behind a reverse proxy: who is who by address, through nginx, Caddy and HAProxy as docs/PROXIES.md sets them up, and
//! through proxies that a story plays itself.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::proxies::Kind;
use crate::harness::socket::description;
use crate::harness::{Rest, Service, Socket, Store, eventually, run};

on_sqlite!(
    the_client_is_the_last_who_is_no_proxy,
    another_header_is_read_where_it_is_named,
    who_guesses_behind_a_proxy_slows_down_nobody_else,
    requests_under_way_are_counted_by_the_clients_address,
    sockets_of_one_v6_network_are_those_of_one_address,
    in_dev_mode_what_came_through_a_proxy_is_refused,
);

/// Tells each story behind each proxy.
macro_rules! behind {
    ($($module:ident: $kind:ident),+ $(,)?) => {
        $(
            mod $module {
                use super::{Kind, Store};

                on_sqlite!(
                    three_hundred_people_are_three_hundred_addresses,
                    a_request_arrives_as_it_was_sent,
                    dev_mode_is_refused,
                );

                async fn three_hundred_people_are_three_hundred_addresses(store: Store) {
                    super::three_hundred_people(Kind::$kind, store).await;
                }

                async fn a_request_arrives_as_it_was_sent(store: Store) {
                    super::a_request_arrives_as_it_was_sent(Kind::$kind, store).await;
                }

                async fn dev_mode_is_refused(store: Store) {
                    super::dev_mode_is_refused(Kind::$kind, store).await;
                }
            }
        )+
    };
}

behind!(nginx: Nginx, caddy: Caddy, haproxy: HaProxy);

const SECRET: &str = "a secret of the stories, long enough for HS256";

/// Believes whoever comes from 127.0.0.1, as all of the proxies do.
const TRUSTING: [(&str, &str); 3] =
    [("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", SECRET), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];

async fn trusting(store: &Store, more: &[(&str, &str)]) -> Service {
    Service::with(store, &[TRUSTING.as_slice(), more].concat()).await
}

/// A client at an address of its own, who asks whoever listens at `base`.
fn client_at(address: impl Into<IpAddr>, base: &str, user: &str) -> Rest {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().local_address(address.into());
    Rest::new(client.build().expect("an HTTP client"), base.to_owned(), user)
}

/// The addresses of all sessions there are.
async fn addresses(service: &Service, token: &str) -> Vec<String> {
    let answer = service.rest("backend").bearer(token).get("/api/admin/sessions").await.ok();
    let sessions = answer["sessions"].as_array().unwrap_or_else(|| panic!("no sessions: {answer}"));
    sessions.iter().map(|session| session["address"].as_str().expect("an address").to_owned()).collect()
}

/// The address of the one session of a user.
async fn address_of(service: &Service, token: &str, user: &str) -> String {
    let answer = service.rest("backend").bearer(token).get(&format!("/api/admin/sessions?user={user}")).await.ok();
    answer["sessions"][0]["address"].as_str().unwrap_or_else(|| panic!("no session: {answer}")).to_owned()
}

/// A token that opens anybody's socket and sees every session.
async fn backend(service: &Service) -> String {
    service.token(&["--user", "backend", "--role", "service"]).await
}

async fn three_hundred_people(kind: Kind, store: Store) {
    let service = trusting(&store, &[]).await;
    let proxy = kind.start(&store, service.address()).await;
    let token = backend(&service).await;
    let people: Vec<(String, IpAddr)> = (0..300_u16)
        .map(|n| (n.to_string(), Ipv4Addr::new(127, 0, 1 + (n / 100) as u8, (n % 100) as u8 + 1).into()))
        .collect();
    let dials = people.iter().map(|(user, from)| {
        let dial = Socket::dial(&service, user).token(&token).by_way_of(&proxy.address()).from(*from);
        // What a stranger says of their address counts nothing.
        dial.header("X-Forwarded-For", "203.0.113.9").header("X-Real-IP", "203.0.113.10").open()
    });
    let mut sockets: Vec<Socket> = stream::iter(dials).buffer_unordered(20).collect().await;
    let shown = addresses(&service, &token).await;
    let expected: BTreeSet<String> = people.iter().map(|(_, from)| from.to_string()).collect();
    assert_eq!((shown.len(), BTreeSet::from_iter(shown)), (300, expected));
    // They are all served: a message of a few of them comes through both ways.
    for socket in sockets.iter_mut().step_by(50) {
        socket.quiet().await;
    }
    let straight = Socket::dial(&service, "straight").token(&token).from(Ipv4Addr::new(127, 0, 9, 9).into());
    let _straight = straight.header("X-Forwarded-For", "203.0.113.9").open().await;
    assert_eq!(address_of(&service, &token, "straight").await, "127.0.9.9", "nobody's proxy");
    let log = service.log();
    let lines = |address: &str| log.lines().filter(|line| line.contains(&format!("{address} \"GET /ws/"))).count();
    assert!(lines("127.0.1.1") == 1 && lines("203.0.113.9") == 0, "the access log has the clients");
}

async fn a_request_arrives_as_it_was_sent(kind: Kind, store: Store) {
    let service = trusting(&store, &[]).await;
    let proxy = kind.start(&store, service.address()).await;
    let token = backend(&service).await;
    let here = service.rest("backend").bearer(&token);
    let there = client_at(Ipv4Addr::new(127, 0, 7, 7), &proxy.url(""), "backend").bearer(&token);
    // Whatever an id may hold, the proxy does not read it.
    for path in ["/api/status/user/a%2Fb", "/api/status/user/auth0%7C5f", "/api/calls/1%2F..%2F2", "/api//calls"] {
        let (direct, through) = (here.get(path).await, there.get(path).await);
        assert_eq!((through.status, through.body), (direct.status, direct.body), "{path}");
        let line = format!("127.0.7.7 \"GET {path}\"");
        eventually(&line, async || service.log().contains(&line).then_some(())).await;
    }
    let socket = Socket::dial_path(&service, "/ws/a%2Fb", "a/b").token(&token).by_way_of(&proxy.address());
    let mut socket = socket.open().await;
    there.post("/api/call/initiate", json!({ "callee_id": "a/b", "offer": description("offer") })).await.ok();
    socket.expect("call_invitation").await;
    assert_eq!(there.get("/api/status/user/a%2Fb").await.ok()["status"], "busy");
    // The page the proxy serves is our own by its Host, port included; another one is not.
    let own = proxy.url("");
    for (origin, status) in [(own.as_str(), 200), ("http://127.0.0.1", 403), ("https://elsewhere.example", 403)] {
        let request = there.request(Method::GET, "/api/about").header("Origin", origin);
        assert_eq!(there.send(request).await.status, status, "{origin}");
    }
    // A long poll waits, and an answer without a body ends there: the connection serves the next.
    let polled = there.get("/api/call/signals?wait=2").await.ok();
    assert_eq!(polled["signals"], json!([]));
    there.get("/api/call/signals").await.ok();
}

async fn dev_mode_is_refused(kind: Kind, store: Store) {
    let service = Service::start(&store).await;
    let proxy = kind.start(&store, service.address()).await;
    service.rest("7").get("/api/call/missed").await.ok();
    let refused = client_at(Ipv4Addr::LOCALHOST, &proxy.url(""), "7").get("/api/call/missed").await.refused(403);
    let said = refused["error"].as_str().unwrap_or_default();
    assert!(said.contains("x-forwarded-") && said.contains("SWITCHBOARD__AUTH__MODE=jwt"), "{said}");
    let socket = Socket::dial(&service, "7").by_way_of(&proxy.address()).try_open().await;
    assert_eq!(socket.err(), Some(403));
}

/// The address a socket has that comes from 127.0.0.1 with such headers.
async fn comes_from(service: &Service, token: &str, headers: &[(&'static str, &str)]) -> String {
    let mut dial = Socket::dial(service, "7").token(token).device("one");
    for (name, value) in headers {
        dial = dial.header(name, value);
    }
    let _socket = dial.open().await;
    address_of(service, token, "7").await
}

async fn the_client_is_the_last_who_is_no_proxy(store: Store) {
    let service = trusting(&store, &[("SERVER__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8,2001:db8:f::/48")]).await;
    let token = backend(&service).await;
    for (said, address) in [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.1, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        ("10.0.0.3, 10.0.0.2,10.0.0.1", "10.0.0.3"),
        ("192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711, 2001:db8:f::2", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("nonsense", "127.0.0.1"),
    ] {
        assert_eq!(comes_from(&service, &token, &[("X-Forwarded-For", said)]).await, address, "{said}");
    }
    assert_eq!(comes_from(&service, &token, &[("X-Real-IP", "192.0.2.1")]).await, "127.0.0.1");
    assert_eq!(comes_from(&service, &token, &[("Forwarded", "for=192.0.2.1")]).await, "127.0.0.1");
    assert_eq!(comes_from(&service, &token, &[]).await, "127.0.0.1");
}

async fn another_header_is_read_where_it_is_named(store: Store) {
    for (header, said, address) in [
        (
            "Forwarded",
            r#"for=192.0.2.9, for="[2001:db8::1]:4711";proto=https;host="a,b;c", for=127.0.0.1"#,
            "2001:db8::1",
        ),
        ("CF-Connecting-IP", "192.0.2.1", "192.0.2.1"),
    ] {
        let service = trusting(&store, &[("SERVER__FORWARDED_HEADER", header)]).await;
        let token = backend(&service).await;
        let headers = [(header, said), ("X-Forwarded-For", "203.0.113.9")];
        assert_eq!(comes_from(&service, &token, &headers).await, address, "{header}");
    }
}

async fn who_guesses_behind_a_proxy_slows_down_nobody_else(store: Store) {
    let service = trusting(&store, &[]).await;
    let proxy = service.rest("7").bearer("not.a.token");
    let ask = async |address: &str| {
        proxy.send(proxy.request(Method::GET, "/api/call/missed").header("X-Forwarded-For", address)).await.status
    };
    for _ in 0..10 {
        assert_eq!(ask("192.0.2.1").await, 401);
    }
    assert_eq!((ask("192.0.2.1").await, ask("192.0.2.2").await), (429, 401));
}

async fn requests_under_way_are_counted_by_the_clients_address(store: Store) {
    let service = trusting(&store, &[("LIMITS__SOCKETS_PER_ADDRESS", "2")]).await;
    let token = backend(&service).await;
    let rest = service.rest("backend").bearer(&token);
    let by = async |user: &str, method: Method, path: &str, body: Option<Value>| {
        let request = rest.request(method, path).header("X-On-Behalf-Of", user);
        rest.send(if let Some(body) = body { request.json(&body) } else { request }).await
    };
    for user in ["1", "2"] {
        by(user, Method::POST, "/api/status/heartbeat", None).await.ok();
    }
    let ask = async |user: &str, address: &str, path: &str| {
        let request = rest.request(Method::GET, path).header("X-On-Behalf-Of", user);
        rest.send(request.header("X-Forwarded-For", address)).await
    };
    let polls = ["1", "2"].map(async |user| {
        // The requests below may come first, and be one too many of their own.
        eventually("a poll is let in", async || {
            let answer = ask(user, "192.0.2.1", "/api/call/signals?wait=30").await;
            (answer.status == 200).then_some(answer)
        })
        .await
    });
    let refused = async {
        let answer = eventually("a third request is one too many", async || {
            Some(ask("3", "192.0.2.1", "/api/call/missed").await).filter(|answer| answer.status != 200)
        });
        let answer = answer.await;
        assert!(answer.retry_after.is_some_and(|seconds| seconds >= 1), "{answer:?}");
        let body = answer.refused(503);
        assert!(
            body["code"] == "unavailable" && body["error"].as_str().unwrap_or_default().contains("192.0.2.1"),
            "{body}"
        );
        assert_eq!(ask("3", "192.0.2.2", "/api/call/missed").await.status, 200, "another address is served");
        for (caller, callee) in [("8", "1"), ("9", "2")] {
            let call = json!({ "callee_id": callee, "offer": description("offer") });
            by(caller, Method::POST, "/api/call/initiate", Some(call)).await.ok();
        }
    };
    futures_util::future::join(refused, futures_util::future::join_all(polls)).await;
    eventually("there is room again", async || {
        (ask("3", "192.0.2.1", "/api/call/missed").await.status == 200).then_some(())
    })
    .await;
}

async fn sockets_of_one_v6_network_are_those_of_one_address(store: Store) {
    let service = trusting(&store, &[("LIMITS__SOCKETS_PER_ADDRESS", "2")]).await;
    let token = backend(&service).await;
    let open = async |user: &str, address: &str| {
        Socket::dial(&service, user).token(&token).header("X-Forwarded-For", address).try_open().await
    };
    let first = open("1", "2001:db8::1").await.expect("the first");
    let _second = open("2", "2001:db8::ffff:0:0:1").await.expect("the second");
    assert_eq!(open("3", "2001:db8::2").await.err(), Some(503));
    open("3", "2001:db8:0:1::2").await.expect("the network beside it");
    // The sessions have the addresses themselves.
    assert_eq!(address_of(&service, &token, "2").await, "2001:db8::ffff:0:0:1");
    first.close().await;
    eventually("there is room again", async || open("3", "2001:db8::2").await.ok()).await;
}

async fn in_dev_mode_what_came_through_a_proxy_is_refused(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("7");
    for header in [
        "Forwarded",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "X-Real-IP",
    ] {
        let request = rest.request(Method::GET, "/api/call/missed").header(header, "127.0.0.1");
        let refused = rest.send(request).await.refused(403);
        assert!(refused["error"].as_str().unwrap_or_default().contains(&header.to_lowercase()), "{refused}");
        assert_eq!(
            Socket::dial(&service, "7").header(header, "127.0.0.1").try_open().await.err(),
            Some(403),
            "{header}"
        );
    }
    rest.get("/api/call/missed").await.ok();
    let trusting = [("SWITCHBOARD__SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let said = run(&store, &trusting, &["serve", "--bind", "127.0.0.1:0"]).await.failed();
    assert!(said.contains("server.trusted_proxies is set") && said.contains("SWITCHBOARD__AUTH__MODE=jwt"), "{said}");
}
