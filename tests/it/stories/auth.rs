//! Who is who in jwt mode, with tokens as an operator makes them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use switchboard::clock::Clock;

use crate::harness::rest::call_id;
use crate::harness::socket::{Dial, description, invitation};
use crate::harness::{Service, Socket, Store, run};

on_sqlite!(
    a_token_is_taken_wherever_a_client_can_put_it,
    a_path_is_open_to_its_own_user_only,
    a_token_that_does_not_hold_is_told_apart_from_one_that_is_not_yours,
    a_socket_ends_with_its_token_unless_a_fresh_one_came,
    what_an_admin_is_told_is_not_told_on_to_less_than_one,
    a_role_says_whose_calls_are_seen,
    a_service_acts_for_others,
    the_name_shown_is_the_tokens,
    a_private_key_elsewhere_signs_and_a_public_key_here_checks,
    guessing_becomes_slow_and_a_token_that_holds_does_not,
    no_token_reaches_the_log,
);

const SECRET: &str = "a secret of the stories, long enough for HS256";
const JWT: [(&str, &str); 4] = [
    ("AUTH__MODE", "jwt"),
    ("AUTH__JWT_SECRET", SECRET),
    ("AUTH__COOKIE", "switchboard_token"),
    ("AUTH__LEEWAY", "0s"),
];

async fn jwt(store: &Store) -> Service {
    Service::with(store, &JWT).await
}

/// A token the command line would not make: any claims, any secret.
fn forge(claims: &serde_json::Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

/// Seconds since 1970.
fn now() -> i64 {
    Clock::new().now().wall.timestamp()
}

fn expired(user: &str) -> String {
    forge(&json!({ "sub": user, "exp": now() - 60 }), SECRET)
}

async fn closed_with(dial: Dial, code: u16) {
    dial.try_open().await.expect("refused after the upgrade").expect_close(code).await;
}

async fn a_token_is_taken_wherever_a_client_can_put_it(store: Store) {
    let service = jwt(&store).await;
    let token = service.token(&["--user", "7"]).await;
    let dial = || Socket::dial(&service, "7");

    let socket = dial().header("Authorization", &format!("Bearer {token}")).open().await;
    assert_eq!(socket.selected(), None);
    assert_eq!(dial().token(&token).open().await.selected(), None);
    let cookie = format!("a=b; switchboard_token={token}");
    let own = format!("http://{}", service.address());
    assert_eq!(dial().header("Cookie", &cookie).origin(&own).open().await.selected(), None);
    // A browser drops a socket unless one of its offers is selected, and the token must not come back.
    for pair in [format!("switchboard, bearer.{token}"), format!("bearer.{token},switchboard")] {
        assert_eq!(dial().subprotocol(&pair).open().await.selected(), Some("switchboard"));
    }
    service.rest("7").bearer(&token).get("/api/call/missed").await.ok();
    // REST takes it from the cookie as well, and not from the query, which is logged and kept all over the world.
    let bare = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    let request = bare.get(service.url("/api/call/missed")).header("Cookie", &cookie);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let request = bare.get(service.url(&format!("/api/call/missed?token={token}")));
    assert_eq!(request.send().await.expect("an answer").status(), 401);
}

async fn a_path_is_open_to_its_own_user_only(store: Store) {
    let service = jwt(&store).await;
    for role in ["user", "admin"] {
        let token = service.token(&["--user", "7", "--role", role]).await;
        closed_with(Socket::dial(&service, "8").token(&token), 4403).await;
        service.rest("7").bearer(&token).get("/api/call/missed").await.ok();
    }
    let token = service.token(&["--user", "7"]).await;
    let rest = service.rest("7").bearer(&token);
    for path in ["/api/call/missed?user_id=8", "/api/call/missed?user_id=all", "/api/calls?user=8"] {
        rest.get(path).await.refused(403);
    }
    // What dev mode believes is nothing here.
    service.rest("7").get("/api/call/missed").await.refused(401);
    service.rest("7").post("/api/dev/token", json!({ "user": 7 })).await.refused(404);
    let claimed = rest.clone().role("admin");
    claimed.get("/api/call/missed?user_id=8").await.refused(403);
}

async fn a_token_that_does_not_hold_is_told_apart_from_one_that_is_not_yours(store: Store) {
    let service = jwt(&store).await;
    let later = now() + 600;
    let good = service.token(&["--user", "7"]).await;
    let unsigned = format!("{}.", good.rsplit_once('.').expect("three parts").0);
    let bad = [
        "nonsense".to_owned(),
        unsigned,
        expired("7"),
        forge(&json!({ "sub": "7", "exp": later }), "another secret which is just as long as it takes"),
        forge(&json!({ "sub": "7" }), SECRET),
    ];
    closed_with(Socket::dial(&service, "7"), 4401).await;
    for token in &bad {
        closed_with(Socket::dial(&service, "7").token(token), 4401).await;
        let refused = service.rest("7").bearer(token).get("/api/call/missed").await.refused(401);
        assert_eq!(refused["code"], "unauthorized", "{refused}");
    }
}

async fn a_socket_ends_with_its_token_unless_a_fresh_one_came(store: Store) {
    let service = jwt(&store).await;
    let fresh = service.token(&["--user", "7"]).await;
    let others = service.token(&["--user", "8"]).await;
    let open = async |device: &str| {
        let brief = service.token(&["--user", "7", "--ttl", "6s"]).await;
        Socket::dial(&service, "7").device(device).token(&brief).open().await
    };
    let (mut leaves, mut stays, mut later) = (open("leaves").await, open("stays").await, open("later").await);
    stays.send(json!({ "type": "token", "token": fresh })).await;
    // Neither somebody else's token nor a bad one prolongs anything, and neither ends the socket.
    for token in [&others, "nonsense"] {
        leaves.send(json!({ "type": "token", "token": token })).await;
        leaves.expect("error").await;
    }
    leaves.expect_close(4401).await;
    // The token that `stays` came with is older than this one's.
    later.expect_close(4401).await;
    stays.quiet().await;
}

async fn what_an_admin_is_told_is_not_told_on_to_less_than_one(store: Store) {
    let service = jwt(&store).await;
    let lesser = service.token(&["--user", "7"]).await;
    let brief = service.token(&["--user", "7", "--role", "admin", "--ttl", "6s"]).await;
    let mut watcher = Socket::dial(&service, "7").token(&brief).open().await;
    watcher.hello().await;
    watcher.send(json!({ "type": "admin_subscribe", "ref": 1 })).await;
    watcher.expect("ack").await;
    watcher.send(json!({ "type": "token", "token": lesser })).await;
    assert_eq!(watcher.expect("error").await["code"], "forbidden");
    watcher.expect_close(4401).await;
}

async fn a_role_says_whose_calls_are_seen(store: Store) {
    let service = jwt(&store).await;
    let rest = async |user: &str, role: &str| {
        let token = service.token(&["--user", user, "--role", role]).await;
        service.rest(user).bearer(&token)
    };
    for (caller, callee) in [("1", "2"), ("3", "4")] {
        assert_eq!(rest(caller, "user").await.initiate(callee).await.0, "offline");
    }
    let callees = async |role: &str| rest("2", role).await.missed().await.0.len();
    assert_eq!((callees("user").await, callees("admin").await, callees("service").await), (1, 2, 2));
    assert_eq!(rest("9", "user").await.missed().await.0.len(), 0);
    let admin = rest("9", "admin").await.get("/api/call/missed?user_id=4").await.ok();
    assert_eq!(admin["missed_calls"].as_array().expect("a list").len(), 1, "{admin}");
}

async fn a_service_acts_for_others(store: Store) {
    let service = jwt(&store).await;
    let token = service.token(&["--user", "backend", "--role", "service", "--name", "Backend"]).await;
    let backend = service.rest("backend").bearer(&token);
    let for_anna = |path: &str| backend.request(reqwest::Method::POST, path).header("X-On-Behalf-Of", "1");
    let ben = service.token(&["--user", "2"]).await;
    let mut ben = Socket::dial(&service, "2").token(&ben).open().await;
    backend.send(for_anna("/api/status/heartbeat").json(&json!({}))).await.ok();
    let body = json!({ "callee_id": 2, "call_type": "voice" });
    let call = call_id(&backend.send(for_anna("/api/call/initiate").json(&body)).await.ok());
    let offer = json!({ "target_user_id": 2, "signal": description("offer") });
    backend.send(for_anna("/api/call/signal").json(&offer)).await.ok();
    let invited = ben.expect("call_invitation").await;
    assert_eq!((&invited["from_user_id"], call_id(&invited)), (&json!(1), call));
    assert_ne!(invited["from_name"], "Backend");
    backend.send(for_anna("/api/call/hangup").json(&json!({ "call_id": call }))).await.ok();
    ben.expect("call_cancelled").await;

    // Acting for somebody means seeing what they see, not what the service may see by itself.
    let missed = async |user: &str| {
        let request = backend.request(reqwest::Method::GET, "/api/call/missed").header("X-On-Behalf-Of", user);
        backend.send(request).await.ok()["missed_calls"].as_array().expect("a list").len()
    };
    assert_eq!((missed("2").await, missed("1").await), (1, 0));

    for role in ["user", "admin"] {
        let token = service.token(&["--user", "5", "--role", role]).await;
        let other = service.rest("5").bearer(&token);
        let request = other.request(reqwest::Method::GET, "/api/call/missed").header("X-On-Behalf-Of", "1");
        other.send(request).await.refused(403);
    }
}

async fn the_name_shown_is_the_tokens(store: Store) {
    let service = jwt(&store).await;
    let ben = service.token(&["--user", "2"]).await;
    let mut ben = Socket::dial(&service, "2").token(&ben).open().await;
    for (user, name, shown) in [("1", Some("Anna Real"), "Anna Real"), ("3", None, "Queen of Sheba")] {
        let mut args = vec!["--user", user];
        args.extend(name.iter().flat_map(|name| ["--name", name]));
        let token = service.token(&args).await;
        let mut caller = Socket::dial(&service, user).token(&token).open().await;
        let mut message = invitation("2");
        for (key, claim) in
            [("from_name", "Queen of Sheba"), ("caller_username", "Queen of Sheba"), ("from_user_id", "99")]
        {
            message[key] = claim.into();
        }
        caller.send(message).await;
        let invited = ben.expect("call_invitation").await;
        assert_eq!(invited["from_name"], shown, "{invited}");
        assert_eq!(invited["from_user_id"], user.parse::<i64>().expect("a number"), "{invited}");
        if name.is_some() {
            assert!(!invited.to_string().contains("Sheba"), "{invited}");
        }
        caller.cancel("2").await;
        ben.expect("call_cancelled").await;
    }
}

async fn a_private_key_elsewhere_signs_and_a_public_key_here_checks(store: Store) {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys");
    let public = format!("{keys}/eddsa.public.pem");
    let settings = [("AUTH__MODE", "jwt"), ("AUTH__ALGORITHM", "EdDSA"), ("AUTH__PUBLIC_KEY_FILE", public.as_str())];
    let service = Service::with(&store, &settings).await;
    let claims = json!({ "sub": 7, "exp": now() + 600 });
    let pem = std::fs::read(format!("{keys}/eddsa.private.pem")).expect("the private key");
    let key = EncodingKey::from_ed_pem(&pem).expect("a key");
    let good = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).expect("a token");
    Socket::dial(&service, "7").token(&good).open().await.quiet().await;
    service.rest("7").bearer(&good).get("/api/call/missed").await.ok();
    // The oldest trick: the public key, which everybody has, as a shared secret.
    let public_text = std::fs::read_to_string(&public).expect("the public key");
    let rsa = std::fs::read(format!("{keys}/rs256.private.pem")).expect("the private key");
    let rsa = EncodingKey::from_rsa_pem(&rsa).expect("a key");
    let other = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &rsa).expect("a token");
    for bad in [forge(&claims, &public_text), other] {
        closed_with(Socket::dial(&service, "7").token(&bad), 4401).await;
        service.rest("7").bearer(&bad).get("/api/call/missed").await.refused(401);
    }
    // Who only has the public key cannot make tokens, and is told so.
    let env: Vec<_> = settings.iter().map(|(key, value)| (format!("SWITCHBOARD__{key}"), *value)).collect();
    let env: Vec<_> = env.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let why = run(&store, &env, &["token", "--user", "7"]).await.failed();
    assert!(why.contains("only has public keys"), "{why}");
}

async fn guessing_becomes_slow_and_a_token_that_holds_does_not(store: Store) {
    let service = jwt(&store).await;
    let token = service.token(&["--user", "7"]).await;
    let guess = service.rest("7").bearer("not.a.token");
    for _ in 0..10 {
        guess.get("/api/call/missed").await.refused(401);
    }
    let eleventh = guess.get("/api/call/missed").await;
    assert!(eleventh.retry_after.is_some_and(|seconds| seconds >= 1), "{eleventh:?}");
    eleventh.refused(429);
    // The delay doubles with each: so it is long enough to do something else in.
    guess.get("/api/call/missed").await.refused(429);
    // A socket is told late, and what it is told stays the same. Meanwhile the same address is served.
    let mut guessing = Box::pin(async {
        let began = tokio::time::Instant::now();
        closed_with(Socket::dial(&service, "7").token("not.a.token"), 4401).await;
        began.elapsed()
    });
    let served = async {
        service.rest("7").bearer(&token).get("/api/call/missed").await.ok();
        Socket::dial(&service, "7").token(&token).open().await.quiet().await;
    };
    tokio::select! {
        biased;
        waited = &mut guessing => panic!("the guess was answered first, after {waited:?}"),
        () = served => {}
    }
    assert!(guessing.await.as_secs() >= 3);
}

async fn no_token_reaches_the_log(store: Store) {
    let mut settings = JWT.to_vec();
    settings.push(("LIMITS__FAILED_AUTH", "1000"));
    let mut service = Service::verbose(&store, &settings).await;
    let good = service.token(&["--user", "7"]).await;
    let fresh = service.token(&["--user", "7", "--ttl", "2h"]).await;
    let others = service.token(&["--user", "8"]).await;
    let broken = format!("{}x", service.token(&["--user", "9"]).await);
    for token in [&good, &broken, &others, &expired("7")] {
        let dials = [
            Socket::dial(&service, "7").token(token),
            Socket::dial(&service, "7").subprotocol(&format!("switchboard, bearer.{token}")),
            Socket::dial(&service, "7").header("Authorization", &format!("Bearer {token}")),
            Socket::dial(&service, "7").header("Cookie", &format!("switchboard_token={token}")),
            // Refused before anybody looks at the token.
            Socket::dial(&service, "7").token(token).device("no%20device%20id"),
            Socket::dial(&service, "7").token(token).origin("https://example.org"),
        ];
        for dial in dials {
            if let Ok(mut socket) = dial.try_open().await {
                socket.try_round_trip().await;
            }
        }
        let rest = service.rest("7").bearer(token);
        for path in ["/api/call/missed", "/api/no/such/thing", "/api/calls?limit=-1", "/ws/7"] {
            rest.get(&format!("{path}?token={token}")).await;
        }
    }
    let mut socket = Socket::dial(&service, "7").token(&good).open().await;
    for token in [&broken, &others, &fresh] {
        socket.send(json!({ "type": "token", "token": token })).await;
    }
    socket.send_text(format!("{{\"type\":\"token\",\"token\":\"{fresh}\"")).await;
    socket.send(json!({ "type": "token", "token": [fresh] })).await;
    socket.round_trip().await;
    socket.close().await;
    service.rest("7").bearer(&good).get("/api/the/last").await;

    // Lines are gathered before they are written; at an ordinary end none is missing.
    service.terminate().await;
    service.exited().await;
    let log = service.log();
    assert!(log.contains("GET /api/the/last"), "the last access, too, is logged");
    assert!(log.contains("DEBUG"), "the log is at debug");
    assert!(log.contains("GET /ws/7"), "accesses are logged");
    assert!(!log.contains("token="), "no query is logged");
    assert!(!log.contains(SECRET));
    for token in [&good, &fresh, &others, &broken] {
        // The first part is the same for all tokens and says nothing.
        for part in token.split('.').skip(1) {
            let line = log.lines().find(|line| line.contains(part));
            assert_eq!(line, None, "part of a token is in the log");
        }
    }
}
