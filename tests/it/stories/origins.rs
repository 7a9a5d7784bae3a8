//! Which pages come in: apps of any scheme, subdomains by pattern, ports that browsers leave out; what a preflight
//! allows; and what somebody reads whose page does not come in.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{Service, Socket, Store, run};

on_sqlite!(
    an_app_of_any_scheme_may_be_allowed,
    a_pattern_lets_in_what_is_below_a_domain_and_not_the_domain,
    a_default_port_is_the_same_as_none,
    an_allowed_page_may_send_any_header,
    cookies_are_for_origins_that_are_listed_exactly,
    who_is_kept_out_reads_what_was_compared,
    in_dev_mode_a_host_that_is_not_loopback_is_named,
    an_origin_that_lets_in_too_many_stops_the_start,
);

const SECRET: &str = "a secret of the stories, long enough for HS256";

async fn allowing(store: &Store, origins: &str) -> Service {
    let settings = [("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", SECRET), ("SERVER__ALLOWED_ORIGINS", origins)];
    Service::with(store, &settings).await
}

/// A request of a page of `origin`, with what else it sends.
async fn ask(service: &Service, method: Method, origin: &str, headers: &[(&str, &str)]) -> Response {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    let mut request = client.request(method, service.url("/api/about")).header("Origin", origin);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap_or_else(|error| panic!("{origin}: {error}"))
}

/// A preflight for a request with those headers.
async fn preflight(service: &Service, origin: &str, wanted: &str) -> Response {
    let headers = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", wanted)];
    ask(service, Method::OPTIONS, origin, &headers).await
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().expect("a text"))
}

/// Whether pages of an origin come in: by REST with a preflight, and on a socket. They agree.
async fn comes_in(service: &Service, origin: &str) -> bool {
    let token = service.token(&["--user", "7"]).await;
    let before = preflight(service, origin, "authorization").await;
    let answer = ask(service, Method::GET, origin, &[]).await;
    let readable = header(&answer, "access-control-allow-origin") == Some(origin) && answer.status() == 200;
    assert_eq!(before.status() == 200, readable, "{origin}: {before:?} {answer:?}");
    assert!(readable || answer.status() == 403, "{origin}: {answer:?}");
    let socket = Socket::dial(service, "7").token(&token).origin(origin).try_open().await;
    assert_eq!(socket.as_ref().err().copied(), (!readable).then_some(403), "{origin}");
    readable
}

async fn an_app_of_any_scheme_may_be_allowed(store: Store) {
    let apps = [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "app://-",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://0d6f1f2a-7d1c-4c0c-9d1f-0123456789ab",
        "http://localhost:3000",
        "http://[::1]:3000",
    ];
    let service = allowing(&store, &apps.join(",")).await;
    for app in apps {
        assert!(comes_in(&service, app).await, "{app}");
    }
    for other in ["capacitor://elsewhere", "tauri2://localhost", "https://localhost:3000", "http://localhost", "null"] {
        assert!(!comes_in(&service, other).await, "{other}");
    }
}

async fn a_pattern_lets_in_what_is_below_a_domain_and_not_the_domain(store: Store) {
    let service = allowing(&store, "https://*.example.com,https://*.preview.example.org:8443").await;
    for origin in ["https://a.example.com", "https://pr-7.team.example.com", "https://a.preview.example.org:8443"] {
        assert!(comes_in(&service, origin).await, "{origin}");
    }
    for origin in [
        "https://example.com",
        "https://badexample.com",
        "http://a.example.com",
        "https://a.example.com:8443",
        "https://a.example.com.evil.example",
        "https://evil.example/.example.com",
        "https://evil.example#.example.com",
        "https://user@.example.com",
        "https://a.preview.example.org",
    ] {
        assert!(!comes_in(&service, origin).await, "{origin}");
    }
}

async fn a_default_port_is_the_same_as_none(store: Store) {
    let service = allowing(&store, "https://App.Example.com:443,http://plain.example:80,https://bücher.example").await;
    for origin in ["https://app.example.com", "http://plain.example", "https://xn--bcher-kva.example"] {
        assert!(comes_in(&service, origin).await, "{origin}");
    }
    // Our own origin is that of `Host`, which a proxy may write with the port that the page leaves out.
    for (host, origin, status) in [
        ("calls.example:443", "https://calls.example", 200),
        ("calls.example:80", "http://calls.example", 200),
        ("Calls.Example", "https://calls.example", 200),
        ("calls.example", "http://calls.example", 200),
        ("calls.example:8443", "https://calls.example:8443", 200),
        ("calls.example", "https://calls.example:8443", 403),
        ("calls.example:8443", "https://calls.example", 403),
        ("calls.example:443", "http://calls.example", 403),
    ] {
        let answer = ask(&service, Method::GET, origin, &[("Host", host)]).await;
        assert_eq!(answer.status(), status, "{origin} at {host}");
    }
}

async fn an_allowed_page_may_send_any_header(store: Store) {
    let service = allowing(&store, "https://app.example.com,https://*.example.org").await;
    let tracing = "authorization,baggage,content-type,sentry-trace,traceparent,tracestate,x-b3-traceid,x-request-id,\
                   x-requested-with";
    for origin in ["https://app.example.com", "https://a.example.org"] {
        let answer = preflight(&service, origin, tracing).await;
        assert_eq!(answer.status(), 200, "{origin}");
        assert_eq!(header(&answer, "access-control-allow-headers"), Some(tracing), "{origin}");
        assert!(header(&answer, "vary").is_some_and(|vary| vary.contains("Origin")), "{answer:?}");
    }
    let refused = preflight(&service, "https://elsewhere.example", "traceparent").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "access-control-allow-headers")), (403, None));
}

async fn cookies_are_for_origins_that_are_listed_exactly(store: Store) {
    let service = allowing(&store, "https://app.example.com,https://*.example.com,capacitor://localhost").await;
    let own = format!("http://{}", service.address());
    for (origin, credentials) in [
        ("https://app.example.com", Some("true")),
        ("capacitor://localhost", Some("true")),
        ("https://other.example.com", None),
        (own.as_str(), None),
    ] {
        for answer in [preflight(&service, origin, "content-type").await, ask(&service, Method::GET, origin, &[]).await]
        {
            assert_eq!(answer.status(), 200, "{origin}");
            assert_eq!(header(&answer, "access-control-allow-origin"), Some(origin));
            assert_eq!(header(&answer, "access-control-allow-credentials"), credentials, "{origin}: {answer:?}");
        }
    }
}

async fn who_is_kept_out_reads_what_was_compared(store: Store) {
    let service = allowing(&store, "https://app.example.com").await;
    let sentence = async |headers: &[(&str, &str)], origin: &str| {
        let answer = ask(&service, Method::GET, origin, headers).await;
        assert_eq!(answer.status(), 403, "{origin}");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!((&body["success"], &body["code"]), (&json!(false), &json!("forbidden")), "{body}");
        body["error"].as_str().expect("a sentence").to_owned()
    };
    let said = sentence(&[("Host", "b.example:8443")], "https://a.example").await;
    assert!(said.contains(r#""https://a.example""#) && said.contains(r#""b.example:8443""#), "{said}");
    assert!(said.contains("server.allowed_origins"), "{said}");
    // The usual mistake of a proxy: the port is lost.
    let said = sentence(&[("Host", "b.example")], "https://b.example:8443").await;
    assert!(said.contains("a proxy must pass on Host with its port"), "{said}");
    // However long or strange it is, what is repeated is short and plain.
    let long = format!("https://{}.example", "a".repeat(5000));
    let said = sentence(&[("Host", "b.example")], &long).await;
    assert!(said.len() < 1000 && said.contains("aaaa…"), "{said}");
    let said = sentence(&[("Host", "b.example")], "https://\"<b>\u{202e}.example").await;
    assert!(said.is_ascii() && said.contains(r#"\"<b>\xe2\x80\xae"#), "{said}");
}

async fn in_dev_mode_a_host_that_is_not_loopback_is_named(store: Store) {
    let service = Service::start(&store).await;
    let answer = ask(&service, Method::GET, "http://localhost:1", &[("Host", "calls.example")]).await;
    assert_eq!(answer.status(), 403);
    let body: Value = answer.json().await.expect("JSON");
    let said = body["error"].as_str().expect("a sentence");
    assert!(said.contains(r#""calls.example""#) && said.contains("loopback"), "{said}");
}

async fn an_origin_that_lets_in_too_many_stops_the_start(store: Store) {
    for (origin, why) in [
        ("*", "every page"),
        ("null", "null"),
        ("https://*.com", "public suffix"),
        ("https://*.co.uk", "public suffix"),
        ("https://*.github.io", "public suffix"),
    ] {
        let said =
            run(&store, &[("SWITCHBOARD__SERVER__ALLOWED_ORIGINS", origin)], &["serve", "--bind", "127.0.0.1:0"])
                .await
                .failed();
        assert!(said.contains(&format!("server.allowed_origins holds \"{origin}\"")) && said.contains(why), "{said}");
    }
}
