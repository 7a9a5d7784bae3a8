//! A service that is not at the root of its host: everything is below `server.base_path`, for proxies that pass the path
//! on.

use reqwest::redirect::Policy;

use crate::harness::proxy::{CADDY, Program};
use crate::harness::socket::connect_call;
use crate::harness::{Proxy, Rest, Service, Socket, Store, run};

on_sqlite!(
    everything_is_below_the_path,
    what_comes_without_the_path_is_served_as_well,
    the_path_without_its_slash_leads_to_the_page,
    what_only_begins_like_the_path_is_nothing,
    a_path_that_cannot_be_is_refused_at_the_start,
    each_proxy_passes_the_path_on_as_documented,
);

const BELOW: [(&str, &str); 1] = [("SERVER__BASE_PATH", "/apps/calls")];

/// Follows nothing.
fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().redirect(Policy::none());
    client.build().expect("an HTTP client")
}

async fn everything_is_below_the_path(store: Store) {
    let service = Service::with(&store, &BELOW).await;
    let below = |user: &str| Rest::new(client(), service.url("/apps/calls"), user);
    let dial = |user: &str| Socket::dial_path(&service, &format!("/apps/calls/ws/{user}"), user);
    // Two sockets call each other, and the record is there.
    let (mut anna, mut ben) = (dial("1").open().await, dial("2").slash().open().await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    assert_eq!(below("1").final_record(call).await["reason"], "completed");
    // So do two who poll, with a query, and with a path of several parts.
    let (cleo, mut dan) = (below("3"), below("4"));
    dan.heartbeat().await;
    let (status, call) = cleo.initiate("4").await;
    assert_eq!(status, "ringing");
    dan.mail("incoming_call").await;
    dan.reject(call).await;
    assert_eq!(cleo.get("/api/calls?limit=1").await.ok()["calls"][0]["reason"], "declined");
    assert_eq!(cleo.get("/api/nope").await.refused(404)["code"], "not_found");
    assert_eq!(cleo.post("/api/users", serde_json::json!({})).await.refused(405)["code"], "method_not_allowed");
    // What is no socket is refused as ever, and a chat socket is one.
    assert_eq!(Socket::dial_path(&service, "/apps/calls/ws/a/b/c", "1").try_open().await.err(), Some(404));
    Socket::dial_path(&service, "/apps/calls/ws/chat/12/", "1").user("1").open().await.expect("connection.ack").await;
    // Pages and what they load.
    for page in ["/", "/?user=1", "/admin", "/sdk/switchboard.js", "/shared/theme.css"] {
        let answer = client().get(service.url(&format!("/apps/calls{page}"))).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{page}");
        assert_eq!(answer.bytes().await.ok(), client().get(service.url(page)).send().await.unwrap().bytes().await.ok());
    }
}

async fn what_comes_without_the_path_is_served_as_well(store: Store) {
    let service = Service::with(&store, &BELOW).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    for path in ["/healthz", "/readyz", "/", "/admin", "/api/about"] {
        assert_eq!(client().get(service.url(path)).send().await.expect("an answer").status(), 200, "{path}");
    }
    let bind = service.address().to_owned();
    let settings = [("SWITCHBOARD__SERVER__BASE_PATH", "/apps/calls"), ("SWITCHBOARD__SERVER__BIND", bind.as_str())];
    run(&store, &settings, &["healthcheck"]).await.ok();
}

async fn the_path_without_its_slash_leads_to_the_page(store: Store) {
    let service = Service::with(&store, &BELOW).await;
    for (path, to) in [
        ("/apps/calls", "calls/"),
        ("/apps/calls?user=1&lang=ar", "calls/?user=1&lang=ar"),
        ("/apps/calls/admin/", "../admin"),
        ("/apps/calls/admin/calls/41?lang=ar", "../../admin?path=calls/41&lang=ar"),
    ] {
        let answer = client().get(service.url(path)).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (307, &to.parse().unwrap()), "{path}");
    }
    // Followed as a browser does, they arrive.
    let follows = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    for (path, at) in [("/apps/calls?user=1", "/apps/calls/"), ("/apps/calls/admin/calls/41", "/apps/calls/admin")] {
        let answer = follows.get(service.url(path)).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.url().path()), (200, at), "{path}");
    }
}

async fn what_only_begins_like_the_path_is_nothing(store: Store) {
    let service = Service::with(&store, &BELOW).await;
    for path in ["/apps", "/apps/", "/apps/callsigns", "/apps/calls.csv", "/APPS/calls/", "/apps/calls/apps/calls/"] {
        assert_eq!(client().get(service.url(path)).send().await.expect("an answer").status(), 404, "{path}");
    }
}

async fn a_path_that_cannot_be_is_refused_at_the_start(store: Store) {
    for path in ["calls", "/calls/", "/", "/call", "/api/calls", "/a%2fb"] {
        let said = run(&store, &[("SWITCHBOARD__SERVER__BASE_PATH", path)], &["serve"]).await.failed();
        assert!(said.contains("server.base_path"), "{path}: {said}");
    }
}

/// What a proxy is told: its port, and where the service is.
type Configuration = fn(&Store, u16, &str) -> String;

/// nginx with what docs/PROXIES.md says of a path, and no more.
fn nginx(store: &Store, port: u16, service: &str) -> String {
    let place = |name: &str| store.file(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {};\n", place(what)))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {};\nevents {{ }}\nhttp {{\naccess_log off;\n{temporary}server {{\n\
         listen 127.0.0.1:{port};\nlocation /calls/ {{\nproxy_pass http://{service};\nproxy_http_version 1.1;\n\
         proxy_set_header Host $http_host;\nproxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection $http_connection;\n}} }} }}\n",
        place("nginx.pid")
    )
}

/// The same of Caddy.
fn caddy(_: &Store, port: u16, service: &str) -> String {
    format!(
        "{{\nadmin off\nauto_https off\n}}\nhttp://127.0.0.1:{port} {{\n@calls path /calls /calls/*\nhandle @calls {{\nreverse_proxy {service}\n}}\n\
         respond 404\n}}\n"
    )
}

/// The same of HAProxy.
fn haproxy(_: &Store, port: u16, service: &str) -> String {
    format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 75s\n timeout server 75s\n timeout tunnel 75s\n\
         frontend calls\n bind 127.0.0.1:{port}\n\
         use_backend switchboard if {{ path /calls }} or {{ path_beg /calls/ }}\n\
         backend switchboard\n server switchboard {service}\n"
    )
}

async fn each_proxy_passes_the_path_on_as_documented(store: Store) {
    let secret = ("AUTH__JWT_SECRET", "a secret of the stories, long enough for HS256");
    let settings = [("SERVER__BASE_PATH", "/calls"), ("AUTH__MODE", "jwt"), ("AUTH__COOKIE", "session"), secret];
    let service = Service::with(&store, &settings).await;
    let token = service.token(&["--user", "a/b"]).await;
    let proxies: [(&Program, Configuration); 3] = [
        (&Program { name: "nginx", arguments: &["-e", "stderr", "-c"] }, nginx),
        (&CADDY, caddy),
        (&Program { name: "haproxy", arguments: &["-db", "-f"] }, haproxy),
    ];
    for (program, configuration) in proxies {
        let proxy = Proxy::start(&store, program, |port| configuration(&store, port, service.address())).await;
        let follows = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
        // A page, an address within the dashboard, and REST; nothing beside the path.
        for (path, at) in [("/calls/", "/calls/"), ("/calls", "/calls/"), ("/calls/admin/calls/41", "/calls/admin")] {
            let answer = follows.get(proxy.url(path)).send().await.expect("an answer");
            assert_eq!((answer.status().as_u16(), answer.url().path()), (200, at), "{}: {path}", program.name);
        }
        let rest = Rest::new(client(), proxy.url("/calls"), "a/b").bearer(&token);
        assert_eq!(rest.status_of("a/b").await, "offline", "{}", program.name);
        let beside = follows.get(proxy.url("/api/about")).send().await.expect("an answer").status();
        assert!([404, 503].contains(&beside.as_u16()), "{}: {beside}", program.name);
        // A socket, of a user whose id has a slash.
        let dial = Socket::dial_path(&service, "/calls/ws/a%2Fb", "a/b").by_way_of(&proxy.address()).token(&token);
        let mut socket = dial.open().await;
        assert_eq!(rest.status_of("a/b").await, "online", "{}", program.name);
        // The application's cookie is as good as a token, on REST and on a socket of a page of this host.
        let cookie = format!("session={token}");
        let missed = client().get(proxy.url("/calls/api/call/missed")).header("cookie", &cookie);
        assert_eq!(missed.send().await.expect("an answer").status(), 200, "{}", program.name);
        let dial = Socket::dial_path(&service, "/calls/ws/a%2Fb", "a/b").by_way_of(&proxy.address());
        dial.header("cookie", &cookie).origin(&proxy.url("")).device("another").open().await.close().await;
        socket.quiet().await;
        socket.close().await;
        crate::harness::eventually("the user is gone", async || {
            (rest.status_of("a/b").await == "offline").then_some(())
        })
        .await;
    }
}
