//! Tokens where requests carry them, the gate, and what others see of a refusal.

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{App, HttpResponse, test};
use serde_json::{Value, json};

use super::*;
use crate::auth::Grant;
use crate::clock::Clock;
use crate::config::{AuthMode, Secret, Settings};
use crate::http::base_path::BasePath;
use crate::http::credentials::HasEffect;
use crate::http::dev_token::{DEFAULT_TTL, dev_token};
use crate::http::gate::Gate;
use crate::http::origins::Origins;
use crate::http::under_way::UnderWay;
use crate::net::Proxies;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn dev() -> Settings {
    Settings::defaults().unwrap()
}

fn jwt() -> Settings {
    let mut settings = dev();
    settings.auth.mode = AuthMode::Jwt;
    settings.auth.jwt_secret = Some(Secret::new(SECRET));
    settings.auth.cookie = Some("sb".to_owned());
    settings.server.allowed_origins = vec!["https://app.example".to_owned()];
    settings
}

fn data(settings: &Settings) -> web::Data<Authenticator> {
    web::Data::new(Authenticator::new(settings, Clock::new()).unwrap())
}

fn grant(user: &str) -> Grant {
    let user = UserId::parse(user).unwrap();
    let profiles = vec![("tutor".to_owned(), "1".to_owned())];
    Grant { user, name: Some("N".to_owned()), role: Role::User, profiles, conversations: None, ttl: DEFAULT_TTL }
}

fn mint(auth: &Authenticator, user: &str, role: Role) -> String {
    auth.mint(&Grant { role, ..grant(user) }).unwrap()
}

fn request(auth: &web::Data<Authenticator>, path: &str, headers: &[(&'static str, &str)]) -> HttpRequest {
    let peer = "192.0.2.1:1".parse().unwrap();
    let mut request = test::TestRequest::get().uri(path).app_data(auth.clone()).peer_addr(peer);
    request = request.app_data(web::Data::new(Origins::new(&jwt()).unwrap()));
    if path.starts_with("/ws/") {
        request = request.insert_header(("upgrade", "websocket"));
    }
    for header in headers {
        request = request.append_header(*header);
    }
    request.to_http_request()
}

#[actix_web::test]
async fn a_socket_may_carry_its_token_in_four_places() {
    let auth = data(&jwt());
    let token = mint(&auth, "7", Role::User);
    let seven = UserId::parse("7").unwrap();
    let bearer = format!("Bearer {token}");
    let pair = format!("switchboard, bearer.{token}");
    let cookie = format!("a=b; sb={token}");
    let query = format!("/ws/7?device_id=x&token={token}");
    for (path, headers) in [
        ("/ws/7", vec![("authorization", bearer.as_str())]),
        ("/ws/7", vec![("sec-websocket-protocol", pair.as_str())]),
        (query.as_str(), vec![]),
        ("/ws/7", vec![("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")]),
    ] {
        let request = request(&auth, path, &headers);
        let identity = authenticate_socket(&request, PathOwner::User(&seven)).await.unwrap();
        assert_eq!(identity.user, seven);
        assert_eq!(offers_subprotocol(&request), headers.iter().any(|(name, _)| name.starts_with("sec-websocket")));
    }
}

#[actix_web::test]
async fn a_socket_without_a_token_that_holds_or_with_another_ones_path_is_told_apart() {
    let auth = data(&jwt());
    let [seven, eight] = ["7", "8"].map(|id| UserId::parse(id).unwrap());
    let query = |token: &str| format!("/ws/x?token={token}");
    let token = query(&mint(&auth, "7", Role::User));
    let admin = query(&mint(&auth, "7", Role::Admin));
    let service = query(&mint(&auth, "backend", Role::Service));
    let user = PathOwner::User;
    let profile = |id| PathOwner::Profile { kind: "tutor", id };
    for (path, owner, denial) in [
        ("/ws/7", user(&seven), Denial::Unauthorized("there is no token".to_owned())),
        ("/ws/7?token=x.y.z", user(&seven), Denial::Unauthorized("the token is not valid: it is no JWT".to_owned())),
        (token.as_str(), user(&eight), Denial::NotYours),
        (admin.as_str(), user(&eight), Denial::NotYours),
        (token.as_str(), profile("2"), Denial::NotYours),
        ("/ws/notifications", PathOwner::Token, Denial::Unauthorized("there is no token".to_owned())),
    ] {
        let denied = authenticate_socket(&request(&auth, path, &[]), owner).await.unwrap_err();
        assert_eq!(denied.why, denial, "{path}");
    }
    for (path, owner, is) in [
        (&token, profile("1"), "7"),
        (&token, PathOwner::Token, "7"),
        (&service, user(&eight), "8"),
        (&service, profile("9"), "tutor_9"),
    ] {
        let identity = authenticate_socket(&request(&auth, path, &[]), owner).await.unwrap();
        assert_eq!(identity.user.as_str(), is, "{path} {owner:?}");
    }
}

#[actix_web::test]
async fn dev_mode_believes_what_it_is_told_but_checks_a_token() {
    let auth = data(&dev());
    let seven = UserId::parse("7").unwrap();
    let identity = authenticate_socket(&request(&auth, "/ws/7", &[]), PathOwner::User(&seven)).await.unwrap();
    assert_eq!((identity.user, identity.role), (seven.clone(), Role::User));
    let denied = authenticate_socket(&request(&auth, "/ws/7?token=x.y.z", &[]), PathOwner::User(&seven)).await;
    assert!(matches!(denied.unwrap_err().why, Denial::Unauthorized(_)));
    let tutor = PathOwner::Profile { kind: "tutor", id: "1" };
    assert_eq!(authenticate_socket(&request(&auth, "/ws/1/tutor", &[]), tutor).await.unwrap().user.as_str(), "tutor_1");
    let admin = [("x-user-id", "7"), ("x-user-role", "admin")];
    assert_eq!(authenticate_rest(&request(&auth, "/", &admin)).await.unwrap().role, Role::Admin);
    assert_eq!(authenticate_rest(&request(&auth, "/", &[])).await.unwrap_err().code(), "unauthorized");
    let strict = data(&jwt());
    assert_eq!(authenticate_rest(&request(&strict, "/", &admin)).await.unwrap_err().code(), "unauthorized");
}

#[actix_web::test]
async fn only_services_act_for_others() {
    let auth = data(&jwt());
    for (role, is) in [(Role::User, None), (Role::Admin, None), (Role::Service, Some("9"))] {
        let bearer = format!("Bearer {}", mint(&auth, "7", role));
        let request = request(&auth, "/", &[("authorization", &bearer), ("x-on-behalf-of", "9")]);
        let identity = authenticate_rest(&request).await;
        assert_eq!(identity.as_ref().ok().map(|identity| identity.user.as_str()), is, "{role:?}");
    }
}

#[actix_web::test]
async fn bad_tokens_of_an_address_are_delayed_and_good_ones_are_not() {
    let auth = data(&jwt());
    let seven = UserId::parse("7").unwrap();
    let bad = request(&auth, "/ws/7", &[("authorization", "Bearer x.y.z")]);
    for _ in 0..10 {
        assert_eq!(authenticate_rest(&bad).await.unwrap_err().code(), "unauthorized");
    }
    assert!(matches!(authenticate_rest(&bad).await.unwrap_err(), Refusal::RateLimited(_)));
    assert!(!authenticate_socket(&bad, PathOwner::User(&seven)).await.unwrap_err().delay.is_zero());
    let good = format!("Bearer {}", mint(&auth, "7", Role::User));
    authenticate_rest(&request(&auth, "/", &[("authorization", &good)])).await.unwrap();
}

#[actix_web::test]
async fn a_token_of_ours_that_does_not_hold_is_no_guess() {
    let auth = data(&jwt());
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    for claims in [json!({ "sub": 7, "exp": 1 }), json!({ "exp": 4_000_000_000u64 })] {
        let token = jsonwebtoken::encode(&Default::default(), &claims, &key).unwrap();
        let bearer = format!("Bearer {token}");
        let request = request(&auth, "/ws/7", &[("authorization", &bearer)]);
        for _ in 0..20 {
            assert_eq!(authenticate_rest(&request).await.unwrap_err().code(), "unauthorized", "{claims}");
        }
    }
    let guess = request(&auth, "/", &[("authorization", "Bearer x.y.z")]);
    assert_eq!(authenticate_rest(&guess).await.unwrap_err().code(), "unauthorized", "its first");
}

#[actix_web::test]
async fn ids_in_headers_are_percent_encoded() {
    let auth = data(&dev());
    for (header, user) in [("auth0%7C5f", "auth0|5f"), ("%CE%A9mega", "Ωmega"), ("a%2Fb", "a/b"), ("7", "7")] {
        let identity = authenticate_rest(&request(&auth, "/", &[("x-user-id", header)])).await.unwrap();
        assert_eq!(identity.user.as_str(), user);
    }
    for bad in ["%FF", "a%20b", "guest:1", ""] {
        assert_eq!(authenticate_rest(&request(&auth, "/", &[("x-user-id", bad)])).await.unwrap_err().code(), "invalid");
    }
}

/// What an app with a plain and a marked resource answers to a request with a token in the cookie, beside these headers.
async fn with_cookie(method: &str, path: &str, headers: &[(&'static str, &str)]) -> String {
    let mut settings = jwt();
    settings.server.allowed_origins.push("https://*.preview.example".to_owned());
    let auth = data(&settings);
    let me = async |caller: Caller| caller.0.user.to_string();
    let app = App::new()
        .app_data(auth.clone())
        .app_data(web::Data::new(Origins::new(&settings).unwrap()))
        .route("/reads", web::route().to(me))
        .service(web::resource("/drains").app_data(HasEffect).route(web::route().to(me)));
    let app = test::init_service(app).await;
    let cookie = format!("sb={}", mint(&auth, "7", Role::User));
    let mut request = test::TestRequest::with_uri(path).method(method.parse().unwrap());
    for header in [("host", "calls.example"), ("cookie", cookie.as_str())].iter().chain(headers) {
        request = request.append_header(*header);
    }
    let response = test::call_service(&app, request.to_request()).await;
    if response.status() == StatusCode::OK {
        return "taken".to_owned();
    }
    let body: Value = test::read_body_json(response).await;
    body["code"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn what_the_cookie_alone_may_do_depends_on_the_page() {
    let own = ("origin", "https://calls.example");
    let listed = ("origin", "https://app.example");
    let by_pattern = ("origin", "https://pr-7.preview.example");
    for (method, path, headers, answer) in [
        // Reading is nobody's harm: the answer is not shown to a page that may not have it.
        ("GET", "/reads", vec![], "taken"),
        ("HEAD", "/reads", vec![by_pattern], "taken"),
        ("GET", "/drains", vec![], "origin_required"),
        ("GET", "/drains", vec![("sec-fetch-site", "cross-site")], "origin_required"),
        ("GET", "/drains", vec![("sec-fetch-site", "same-site")], "origin_required"),
        ("GET", "/drains", vec![("sec-fetch-site", "same-origin")], "taken"),
        ("POST", "/reads", vec![], "origin_required"),
        ("POST", "/reads", vec![own], "taken"),
        ("DELETE", "/reads", vec![listed], "taken"),
        ("POST", "/reads", vec![by_pattern], "origin_required"),
        // What the page is counts, and not what its browser thinks of the site.
        ("POST", "/reads", vec![by_pattern, ("sec-fetch-site", "same-origin")], "origin_required"),
        ("GET", "/reads", vec![("upgrade", "websocket")], "origin_required"),
        // Whatever no browser sends by itself needs no page.
        ("POST", "/reads", vec![("authorization", "Bearer x.y.z")], "unauthorized"),
    ] {
        assert_eq!(with_cookie(method, path, &headers).await, answer, "{method} {path} {headers:?}");
    }
}

/// What comes back from an app as the service builds it, in this mode, for these headers.
async fn response(settings: &Settings, method: &str, headers: &[(&'static str, &str)]) -> ServiceResponse {
    let under_way = UnderWay::new(settings.limits.sockets_per_address, &Proxies::new(settings).unwrap());
    let origins = web::Data::new(Origins::new(settings).unwrap());
    let gate = Gate::new(origins, web::Data::new(under_way), BasePath::new(settings));
    let app = App::new()
        .app_data(data(settings))
        .route("/x", web::get().to(HttpResponse::NoContent))
        .route("/me", web::get().to(async |caller: Caller| caller.0.user.to_string()))
        .wrap(gate);
    let app = test::init_service(app).await;
    let mut request = test::TestRequest::with_uri("/x").method(method.parse().unwrap());
    for header in headers {
        request = request.append_header(*header);
    }
    test::call_service(&app, request.to_request()).await
}

/// Its status, and whose pages may read it.
async fn answer(settings: &Settings, method: &str, headers: &[(&'static str, &str)]) -> (StatusCode, String) {
    let response = response(settings, method, headers).await;
    let allowed = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    (response.status(), allowed.map(|origin| origin.to_str().unwrap().to_owned()).unwrap_or_default())
}

#[actix_web::test]
async fn in_dev_mode_only_loopback_names_and_pages_come_in() {
    for (host, passes) in [
        ("localhost", true),
        ("LOCALHOST:8080", true),
        ("127.0.0.1:8080", true),
        ("127.9.9.9", true),
        ("[::1]:8080", true),
        ("[::1]", true),
        ("evil.example", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("evil.example:127.0.0.1", false),
        ("[::1]evil.example", false),
        ("192.168.0.1", false),
        ("0.0.0.0", false),
        ("", false),
    ] {
        let status = answer(&dev(), "GET", &[("host", host)]).await.0;
        assert_eq!(status, if passes { 204 } else { 403 }, "{host}");
    }
    assert_eq!(answer(&dev(), "GET", &[]).await.0, 403, "no host");
    assert_eq!(answer(&dev(), "GET", &[("host", "localhost"), ("host", "evil.example")]).await.0, 403, "two hosts");
    for (origin, passes) in [
        ("http://localhost:3000", true),
        ("https://127.0.0.1", true),
        ("http://[::1]:1", true),
        ("http://evil.example", false),
        ("http://localhost@evil.example", false),
        ("http://localhost/", false),
        ("file://localhost", false),
        ("null", false),
    ] {
        let status = answer(&dev(), "GET", &[("host", "localhost"), ("origin", origin)]).await.0;
        assert_eq!(status, if passes { 204 } else { 403 }, "{origin}");
    }
}

#[actix_web::test]
async fn in_jwt_mode_our_own_and_the_listed_origins_come_in() {
    for (origin, passes) in [
        (None, true),
        (Some("https://calls.example"), true),
        (Some("https://app.example"), true),
        (Some("http://app.example"), false),
        (Some("https://app.example:444"), false),
        (Some("https://calls.example.evil.example"), false),
        (Some("http://localhost"), false),
        (Some("null"), false),
    ] {
        let mut headers = vec![("host", "calls.example")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(answer(&jwt(), "GET", &headers).await.0, if passes { 204 } else { 403 }, "{origin:?}");
    }
}

#[actix_web::test]
async fn browsers_learn_which_origins_and_headers_are_allowed() {
    let ask = |origin, wanted| {
        vec![
            ("host", "calls.example"),
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", wanted),
        ]
    };
    let wanted = "authorization,content-type,idempotency-key,traceparent,x-anything";
    let (status, allowed) = answer(&jwt(), "OPTIONS", &ask("https://app.example", wanted)).await;
    assert_eq!((status.as_u16(), allowed.as_str()), (200, "https://app.example"));
    assert_eq!(
        answer(&jwt(), "OPTIONS", &ask("https://evil.example", wanted)).await,
        (StatusCode::FORBIDDEN, "".into())
    );
    let simple = [("host", "calls.example"), ("origin", "https://app.example")];
    assert_eq!(answer(&jwt(), "GET", &simple).await, (StatusCode::NO_CONTENT, "https://app.example".into()));
}

#[actix_web::test]
async fn what_a_cache_may_keep_says_that_it_depends_on_the_page() {
    let page = ("origin", "https://app.example");
    for (method, headers, varies) in [
        ("GET", &[][..], true),
        ("HEAD", &[], true),
        ("POST", &[page], true),
        // Nobody keeps that, and no page asks.
        ("POST", &[], false),
    ] {
        let headers = [&[("host", "calls.example")], headers].concat();
        let response = response(&jwt(), method, &headers).await;
        assert_eq!(response.headers().contains_key(header::VARY), varies, "{method} {headers:?}");
        let allowed = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed.is_some(), headers.contains(&page), "{method} {headers:?}");
    }
}

#[actix_web::test]
async fn dev_tokens_are_minted_in_dev_mode_only() {
    for (settings, status) in [(dev(), 200), (jwt(), 404)] {
        let auth = data(&settings);
        let app = App::new().app_data(auth.clone()).route("/api/dev/token", web::post().to(dev_token));
        let app = test::init_service(app).await;
        let wanted = json!({ "user": 7, "profiles": [{"type": "tutor", "id": 1}], "ttl": "5m" });
        let request = test::TestRequest::post().uri("/api/dev/token").set_json(wanted).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.status(), status);
        if status == 200 {
            let body: Value = test::read_body_json(response).await;
            let identity = auth.verify(body["token"].as_str().unwrap()).await.unwrap();
            assert!(identity.user.as_str() == "7" && identity.has_profile("tutor", "1"));
        }
    }
}

#[actix_web::test]
async fn a_user_who_asks_too_often_waits_and_others_do_not() {
    let mut settings = dev();
    (settings.limits.rest_per_second, settings.limits.rest_burst) = (1, 3);
    let app = App::new()
        .app_data(data(&settings))
        .app_data(web::Data::new(RestLimits::new(&settings, Clock::new())))
        // Twice the caller in one request is one request.
        .route("/me", web::get().to(async |_: Caller, caller: Caller| caller.0.user.to_string()));
    let app = test::init_service(app).await;
    let mut statuses = Vec::new();
    for user in ["7", "7", "7", "7", "8"] {
        let request = test::TestRequest::with_uri("/me").insert_header(("x-user-id", user)).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.headers().contains_key(header::RETRY_AFTER), response.status() == 429);
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
}
