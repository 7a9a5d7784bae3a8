//! Tokens as other systems issue them, ids as people have them, and the cookie an application sets.

use std::sync::LazyLock;

use jsonwebtoken::{EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use switchboard::clock::Clock;

use crate::harness::socket::description;
use crate::harness::{Service, Socket, Store, eventually};

on_sqlite!(
    auth0s_tokens_are_taken,
    keycloaks_tokens_are_taken,
    simplejwts_tokens_are_taken,
    a_token_with_roles_of_the_application_and_no_end_is_taken,
    what_the_service_mints_is_what_it_is_configured_to_read,
    a_token_that_cannot_be_taken_says_why_to_its_holder_and_in_the_log,
    a_token_signed_elsewhere_counts_as_a_guess_and_its_reason_is_told_too,
    a_profile_is_had_by_the_claim_only,
    a_user_whose_id_is_a_profiles_key_takes_none_of_its_calls,
    a_page_elsewhere_uses_up_nothing_and_moves_no_profile,
    channels_pages_show_the_username,
    a_page_learns_from_the_service_whom_its_token_is_of,
    the_cookie_is_a_credential_where_the_page_may_use_it,
    another_sites_request_with_the_cookie_has_no_effect,
);

const SECRET: &str = "a secret of the stories, long enough for HS256";

fn sign(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

/// A moment an hour from now, as tokens write it.
static LATER: LazyLock<i64> = LazyLock::new(|| Clock::new().now().wall.timestamp() + 3600);

/// A service in jwt mode with settings of the story's own.
async fn service(store: &Store, settings: &[(&str, &str)]) -> Service {
    let mut all = vec![("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", SECRET)];
    all.extend(settings);
    Service::with(store, &all).await
}

/// An administrator and a plain user, by these tokens, do what they are for: a socket, REST, what the dashboard asks.
async fn both_are_served(service: &Service, (admin, admins): (&str, &Value), (user, users): (&str, &Value)) {
    let (admins, users) = (sign(admins), sign(users));
    let dashboard = service.rest(admin).bearer(&admins).get("/api/admin/overview").await.ok();
    assert_eq!(dashboard["success"], true, "{dashboard}");
    let rest = service.rest(user).bearer(&users);
    rest.get("/api/admin/overview").await.refused(403);
    rest.get("/api/call/missed").await.ok();
    let mut caller = Socket::dial(service, user).token(&users).open().await;
    let mut callee = Socket::dial(service, admin).token(&admins).open().await;
    caller.invite(admin).await;
    let invited = callee.expect("call_invitation").await;
    assert_eq!(invited["from_user_id"], crate::harness::rest::id(user), "{invited}");
    callee.decline(user).await;
    caller.expect("call_declined").await;
}

async fn auth0s_tokens_are_taken(store: Store) {
    let service = service(&store, &[("AUTH__ROLE_CLAIM", "https://app.example.com/roles")]).await;
    let claims = |sub: &str, roles: Value| json!({"sub": sub, "exp": *LATER, "https://app.example.com/roles": roles});
    let (ann, ben) = ("auth0|5f7c8ec7c33c6c004bbafe82", "google-oauth2|103547991597142817347");
    both_are_served(&service, (ann, &claims(ann, json!(["admin", "editor"]))), (ben, &claims(ben, json!([])))).await;
}

async fn keycloaks_tokens_are_taken(store: Store) {
    let settings = [
        ("AUTH__NAME_CLAIM", "preferred_username"),
        ("AUTH__ROLE_CLAIM", "realm_access.roles"),
        ("AUTH__ADMIN_VALUES", "calls-admin,superuser"),
    ];
    let service = service(&store, &settings).await;
    let claims = |sub: &str, roles: Value| {
        json!({
            "sub": sub, "exp": *LATER, "iat": 1, "auth_time": 1, "jti": "x", "typ": "Bearer", "azp": "web", "sid": "y",
            "acr": "1", "aud": ["account"], "preferred_username": "ann@example.com", "email_verified": true,
            "realm_access": {"roles": roles}, "resource_access": {"account": {"roles": ["view-profile"]}}
        })
    };
    let (ann, ben) = ("f:ldap:ann", "0f2c61ab-31a4-4d2c-9d3c-8c3f2a1b7d55");
    let (admins, users) = (json!(["offline_access", "calls-admin"]), json!(["offline_access"]));
    both_are_served(&service, (ann, &claims(ann, admins)), (ben, &claims(ben, users))).await;
}

async fn simplejwts_tokens_are_taken(store: Store) {
    let settings = [("AUTH__USER_CLAIM", "user_id"), ("AUTH__ROLE_CLAIM", "is_staff"), ("AUTH__ADMIN_VALUES", "true")];
    let service = service(&store, &settings).await;
    let claims = |id: u64, staff: bool| json!({"token_type": "access", "exp": *LATER, "iat": 1, "jti": "b3", "user_id": id, "is_staff": staff});
    both_are_served(&service, ("7", &claims(7, true)), ("8", &claims(8, false))).await;
}

async fn a_token_with_roles_of_the_application_and_no_end_is_taken(store: Store) {
    let service = service(&store, &[]).await;
    let never = 253_402_300_799_i64;
    let admin = json!({"sub": 7, "exp": never, "role": "admin", "profiles": null, "name": null, "conversations": null});
    let student = json!({"sub": "Ωmega", "exp": never, "role": "student", "nbf": null});
    both_are_served(&service, ("7", &admin), ("Ωmega", &student)).await;
}

async fn what_the_service_mints_is_what_it_is_configured_to_read(store: Store) {
    let settings = [
        ("AUTH__USER_CLAIM", "user_id"),
        ("AUTH__NAME_CLAIM", "https://app.example.com/name"),
        ("AUTH__ROLE_CLAIM", "realm_access.roles"),
        ("AUTH__ADMIN_VALUES", "calls-admin"),
    ];
    let service = service(&store, &settings).await;
    let token = service.token(&["--user", "auth0|5f", "--name", "Ann", "--role", "admin"]).await;
    let me = service.rest("?").bearer(&token).get("/api/me").await.ok();
    assert_eq!(
        (&me["user_id"], &me["name"], &me["role"]),
        (&json!("auth0|5f"), &json!("Ann"), &json!("admin")),
        "{me}"
    );
    let dev = Service::with(&store, &settings[..3]).await;
    let asked = json!({"user": "a/b", "name": "Ben", "role": "service"});
    let token = dev.rest("x").post("/api/dev/token", asked).await.ok();
    let me = dev.rest("?").bearer(token["token"].as_str().expect("a token")).get("/api/me").await.ok();
    assert_eq!((&me["user_id"], &me["name"], &me["role"]), (&json!("a/b"), &json!("Ben"), &json!("service")), "{me}");
}

async fn a_token_that_cannot_be_taken_says_why_to_its_holder_and_in_the_log(store: Store) {
    let settings = [("AUTH__ISSUER", "https://issuer.example/"), ("AUTH__AUDIENCE", "the-calls")];
    let mut service = service(&store, &settings).await;
    let sound = json!({"sub": 7, "exp": *LATER, "iss": "https://issuer.example/", "aud": "the-calls"});
    let mut told = Vec::new();
    for (claim, value, says) in [
        ("sub", Value::Null, "the token has no claim \"sub\""),
        ("sub", json!("two words"), "the token's claim \"sub\" is no user id"),
        ("exp", Value::Null, "the token has no claim \"exp\""),
        ("exp", json!(1), "the token has expired"),
        ("exp", json!(*LATER * 1000), "the token's claim \"exp\" must be a number of seconds"),
        ("iss", json!("https://elsewhere.example/"), "the token's claim \"iss\" is not the issuer"),
        ("aud", json!("another"), "the token's claim \"aud\" does not name this service"),
        ("profiles", json!([7]), "the token's claim \"profiles\" must be a list"),
    ] {
        let mut claims = sound.clone();
        claims[claim] = value;
        let token = sign(&claims);
        let refused = service.rest("7").bearer(&token).get("/api/call/missed").await.refused(401);
        let said = refused["error"].as_str().expect("a sentence").to_owned();
        assert!(said.starts_with(says), "{claims}: {said}");
        let mut socket = Socket::dial(&service, "7").token(&token).try_open().await.expect("an upgrade");
        socket.expect_close(4401).await;
        let reason = socket.reason();
        assert!(
            reason.starts_with("unauthorized: ") && said.starts_with(&reason["unauthorized: ".len()..]),
            "{reason}"
        );
        told.push(said);
    }
    // Sixteen refusals, and the address is still answered at once: none of them was a guess.
    service.rest("7").bearer("no.to.ken").get("/api/call/missed").await.refused(401);
    // A socket that is open says why a fresh token is not taken, too.
    let mut socket = Socket::dial(&service, "7").token(&sign(&sound)).open().await;
    let mut nobody = sound.clone();
    nobody["sub"] = Value::Null;
    socket.send(json!({"type": "token", "token": sign(&nobody)})).await;
    assert_eq!(socket.expect("error").await["message"], "the token has no claim \"sub\"");
    socket.close().await;
    service.terminate().await;
    service.exited().await;
    let log = service.log();
    for why in &told[..5] {
        assert!(log.contains(&format!("a token was refused: {why}")), "{why}\n{log}");
    }
    let lines = log.lines().filter(|line| line.contains("a token was refused")).count();
    // Ten a minute, and the one guess beside them.
    assert_eq!(lines, 11, "{log}");
    for configured in ["issuer.example", "the-calls"] {
        assert!(!told.iter().any(|said| said.contains(configured)) && !log.contains(configured), "{configured}");
    }
}

async fn a_token_signed_elsewhere_counts_as_a_guess_and_its_reason_is_told_too(store: Store) {
    let service = service(&store, &[]).await;
    let with = |algorithm, secret: &str| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::new(algorithm), &json!({"sub": 7, "exp": *LATER}), &key).expect("a token")
    };
    let other = with(jsonwebtoken::Algorithm::HS256, "another secret which is just as long as it takes");
    let longer = with(jsonwebtoken::Algorithm::HS384, SECRET);
    for (token, why) in [
        (other.as_str(), "the token is not valid: its signature does not hold"),
        (longer.as_str(), "the token is not valid: its algorithm is not the one in auth.algorithm"),
        ("opaque", "the token is not valid: it is no JWT"),
    ] {
        let refused = service.rest("7").bearer(token).get("/api/call/missed").await.refused(401);
        assert_eq!(refused["error"], why);
    }
    for _ in 3..10 {
        service.rest("7").bearer(&other).get("/api/call/missed").await.refused(401);
    }
    service.rest("7").bearer(&other).get("/api/call/missed").await.refused(429);
}

async fn a_profile_is_had_by_the_claim_only(store: Store) {
    let service = service(&store, &[]).await;
    let lookalike = service.token(&["--user", "tutor_1"]).await;
    let dial = |token: &str| Socket::dial_profile(&service, "1", "tutor").token(token);
    dial(&lookalike).try_open().await.expect("an upgrade").expect_close(4403).await;
    // It is a user like any other.
    Socket::dial(&service, "tutor_1").token(&lookalike).open().await.quiet().await;
    let owner = service.token(&["--user", "7", "--profile", "tutor:1"]).await;
    dial(&owner).open().await.quiet().await;
}

async fn a_user_whose_id_is_a_profiles_key_takes_none_of_its_calls(store: Store) {
    let service = service(&store, &[]).await;
    let owner = service.token(&["--user", "14", "--profile", "student:5"]).await;
    let mut owner = Socket::dial_profile(&service, "5", "student").token(&owner).open().await;
    let lookalike = service.token(&["--user", "student_5"]).await;
    let mut lookalike = Socket::dial(&service, "student_5").token(&lookalike).open().await;
    let (tutor, other) = (service.token(&["--user", "22"]).await, service.token(&["--user", "23"]).await);
    let mut tutor = Socket::dial(&service, "22").token(&tutor).open().await;
    let mut other = Socket::dial(&service, "23").token(&other).open().await;
    // Whoever goes by the key as an id is in a call of their own.
    lookalike.invite("23").await;
    other.expect("call_invitation").await;
    tutor.invite("student_5").await;
    let invited = owner.expect("call_invitation").await;
    assert_eq!(invited["from_user_id"], json!(22), "{invited}");
    lookalike.quiet().await;
}

async fn a_page_elsewhere_uses_up_nothing_and_moves_no_profile(store: Store) {
    let settings = [("AUTH__COOKIE", "session"), ("LIMITS__REST_BURST", "5"), ("LIMITS__REST_PER_SECOND", "1")];
    let service = service(&store, &settings).await;
    let owner = service.token(&["--user", "7", "--profile", "tutor:1"]).await;
    let mut socket = Socket::dial_profile(&service, "1", "tutor").token(&owner).open().await;
    let claims_it_too = service.token(&["--user", "8", "--profile", "tutor:1"]).await;
    let cross = [("Sec-Fetch-Site", "cross-site")];
    for _ in 0..10 {
        browser(&service, &claims_it_too, Method::GET, "/api/me", &cross).await;
        browser(&service, &owner, Method::GET, "/api/me", &cross).await;
    }
    assert_eq!(browser(&service, &owner, Method::GET, "/api/me", &cross).await.0, 429, "there is an end to that");
    // What they do themselves is not slowed down, and a call to the profile is still theirs.
    service.rest("7").bearer(&owner).post("/api/status/heartbeat", json!({})).await.ok();
    let caller = service.token(&["--user", "9"]).await;
    let mut caller = Socket::dial(&service, "9").token(&caller).open().await;
    caller
        .send(json!({
            "type": "call_invitation", "to_profile_type": "tutor", "to_profile_id": 1, "call_type": "voice",
            "offer": description("offer"),
        }))
        .await;
    socket.expect("call_invitation").await;
}

async fn channels_pages_show_the_username(store: Store) {
    let service = service(&store, &[("CHAT__MEMBERSHIP", "open")]).await;
    let token =
        |sub: u64, username: Value| sign(&json!({"sub": sub, "exp": *LATER, "name": "Ann Lee", "username": username}));
    let open = async |token: &str| {
        let mut socket = Socket::dial_path(&service, "/ws/notifications/", "?").token(token).open_silently().await;
        socket.send(json!({"type": "ping"})).await;
        socket
    };
    for (username, shown) in [(json!("ann99"), "ann99"), (Value::Null, "Ann Lee")] {
        let mut ben = open(&token(8, json!("ben"))).await;
        let ann = token(7, username);
        let caller = service.rest("7").bearer(&ann);
        let receiver = json!({"receiver_id": 8, "conversation_id": 12, "call_type": "audio"});
        // The receiver is known once their socket is.
        eventually("the receiver is there", async || {
            let status = caller.status_of("8").await;
            (status == "online").then_some(())
        })
        .await;
        let call = caller.post("/api/calls/initiate", receiver).await.ok();
        let told = ben.expect("notification.created").await;
        assert!(told.to_string().contains(shown), "{told}");
        let path = format!("/api/calls/{}/end", call["id"].as_i64().unwrap_or_else(|| panic!("{call}")));
        caller.post(&path, json!({})).await.ok();
        ben.close().await;
    }
}

async fn a_page_learns_from_the_service_whom_its_token_is_of(store: Store) {
    let service = service(&store, &[("AUTH__USER_CLAIM", "user_id")]).await;
    let claims = json!({"user_id": "Ωmega", "name": "Ω", "exp": *LATER, "profiles": [{"type": "tutor", "id": "1"}]});
    let me = service.rest("?").bearer(&sign(&claims)).get("/api/me").await.ok();
    assert_eq!((&me["user_id"], &me["name"], &me["role"]), (&json!("Ωmega"), &json!("Ω"), &json!("user")));
    assert_eq!(me["profiles"], json!([{"type": "tutor", "id": 1}]));
    assert!(me["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{me}");
    service.rest("7").get("/api/me").await.refused(401);
}

/// A service that takes a cookie, and pages of one origin listed as it stands and of others by a pattern.
async fn with_cookie(store: &Store) -> Service {
    let origins = "https://app.example,https://*.preview.example";
    service(store, &[("AUTH__COOKIE", "session"), ("SERVER__ALLOWED_ORIGINS", origins)]).await
}

/// A request as a browser makes it for some page: the cookie by itself, and where the page is from.
async fn browser(service: &Service, token: &str, method: Method, path: &str, from: &[(&str, &str)]) -> (u16, Value) {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    let mut request = client.request(method, service.url(path)).header("Cookie", format!("a=b; session={token}"));
    for (name, value) in from {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn the_cookie_is_a_credential_where_the_page_may_use_it(store: Store) {
    let service = with_cookie(&store).await;
    let token = service.token(&["--user", "7", "--role", "admin"]).await;
    let own = format!("http://{}", service.address());
    let (own, listed) = (("Origin", own.as_str()), ("Origin", "https://app.example"));
    for (method, path, from) in [
        (Method::GET, "/api/call/missed", vec![]),
        (Method::GET, "/api/me", vec![("Sec-Fetch-Site", "cross-site")]),
        (Method::POST, "/api/status/heartbeat", vec![own]),
        (Method::POST, "/api/status/heartbeat", vec![listed]),
        (Method::GET, "/api/call/signals", vec![("Sec-Fetch-Site", "same-origin")]),
        (Method::GET, "/api/admin/overview", vec![own]),
    ] {
        let (status, body) = browser(&service, &token, method, path, &from).await;
        assert_eq!(status, 200, "{path} {from:?}: {body}");
    }
    let cookie = format!("session={token}");
    for (name, origin) in [own, listed] {
        Socket::dial(&service, "7").header("Cookie", &cookie).header(name, origin).open().await.quiet().await;
    }
    // What is shown comes before what a browser adds by itself.
    let (status, _) =
        browser(&service, &token, Method::GET, "/api/me", &[("Authorization", "Bearer not.a.token")]).await;
    assert_eq!(status, 401);
}

async fn another_sites_request_with_the_cookie_has_no_effect(store: Store) {
    let service = with_cookie(&store).await;
    let token = service.token(&["--user", "7", "--role", "admin"]).await;
    let cookie = format!("session={token}");
    let nothing: &[(&str, &str)] = &[];
    let elsewhere = [
        ("cross-site".to_owned(), vec![("Sec-Fetch-Site", "cross-site")]),
        ("same-site".to_owned(), vec![("Sec-Fetch-Site", "same-site")]),
        ("an old browser".to_owned(), nothing.to_vec()),
        ("a pattern".to_owned(), vec![("Origin", "https://evil.preview.example")]),
    ];
    // Something waits for 7, who polls.
    let seven = service.rest("7").bearer(&token);
    seven.heartbeat().await;
    let eight = service.token(&["--user", "8"]).await;
    let eight = service.rest("8").bearer(&eight);
    let (_, call) = eight.initiate("7").await;
    eight.signal("7", description("offer")).await;
    for (site, from) in &elsewhere {
        let forms = [
            ("text/plain", "{\"status\":\"busy\"}"),
            ("application/x-www-form-urlencoded", "status=busy"),
            ("multipart/form-data; boundary=x", "--x--"),
        ];
        for (method, path) in [
            (Method::GET, "/api/call/signals"),
            (Method::GET, "/api/call/signals?wait=1"),
            (Method::GET, "/api/admin/overview"),
            (Method::POST, "/api/status/heartbeat"),
            (Method::POST, "/api/call/mark-all-seen"),
            (Method::DELETE, "/api/call/missed"),
        ] {
            let (status, body) = browser(&service, &token, method.clone(), path, from).await;
            assert!(
                (status, &body["code"]) == (403, &json!("origin_required")) || status == 405,
                "{site}: {method} {path} is {status} {body}"
            );
        }
        for (kind, text) in forms {
            let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
            let mut request = client.post(service.url("/api/status/update")).header("Cookie", &cookie);
            for (name, value) in from.iter().chain([&("Content-Type", kind)]) {
                request = request.header(*name, *value);
            }
            assert_eq!(request.body(text).send().await.expect("an answer").status(), 403, "{site}: {kind}");
        }
        let mut dial = Socket::dial(&service, "7").header("Cookie", &cookie);
        for (name, value) in from {
            dial = dial.header(name, value);
        }
        assert_eq!(dial.try_open().await.err(), Some(403), "{site}");
    }
    // Not one signal was taken, and nothing was said in their name.
    let waiting = seven.get("/api/call/signals").await.ok();
    let kinds: Vec<_> = waiting["signals"].as_array().expect("signals").iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["incoming_call", "signal"], "{waiting}");
    // Rung, and nothing else: "busy" was not taken from anybody.
    seven.reject(call).await;
    assert_eq!(seven.status_of("7").await, "online");
    // Nor does such a request make anybody online who is not.
    let nine = service.token(&["--user", "9"]).await;
    for (_, from) in &elsewhere {
        browser(&service, &nine, Method::GET, "/api/call/signals", from).await;
        browser(&service, &nine, Method::POST, "/api/status/heartbeat", from).await;
    }
    assert_eq!(seven.status_of("9").await, "offline");
}
