//! Whatever is sent, by whomever: it is refused, and a call that is going on does not notice.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call};
use crate::harness::{Service, Socket, Store};

on_both!(
    no_request_harms_a_call,
    no_message_harms_a_call,
    five_malformed_messages_close_the_socket,
    one_malformed_message_does_not_close_the_socket,
    a_message_too_big_closes_the_socket,
    an_outsider_cannot_touch_a_call,
    nobody_connects_as_somebody_else,
);

/// A call between users 1 and 2 that goes on while others misbehave.
struct Ongoing {
    anna: Socket,
    ben: Socket,
    call: i64,
    sent: usize,
}

impl Ongoing {
    async fn start(service: &Service) -> Self {
        let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
        let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
        Self { anna, ben, call, sent: 0 }
    }

    /// It still works, and its members have heard nothing that is not theirs.
    async fn unharmed(&mut self, after: &str) {
        println!("after {after}");
        self.sent += 1;
        self.anna.candidate("2", self.sent).await;
        assert_eq!(self.ben.expect("ice_candidate").await["candidate"], candidate(self.sent), "{after}");
        // Only the socket limit of messages per second is slower than a table, so both sides take turns.
        if self.sent.is_multiple_of(2) {
            self.ben.candidate("1", self.sent).await;
            assert_eq!(self.anna.expect("ice_candidate").await["candidate"], candidate(self.sent), "{after}");
        }
        self.anna.quiet().await;
        self.ben.quiet().await;
    }

    async fn hang_up(mut self, store: &Store) {
        self.anna.hang_up("2").await;
        self.ben.expect("call_ended").await;
        let outcome = store.open().await.outcome(self.call).await;
        assert_eq!(outcome, ("ended".to_owned(), "answered".to_owned()));
    }
}

const FAST: [(&str, &str); 2] = [("LIMITS__MESSAGES_PER_SECOND", "10000"), ("LIMITS__INITIATES_PER_MINUTE", "10000")];

/// Values that are no user.
fn no_users() -> Vec<Value> {
    vec![
        json!(null),
        json!(""),
        json!("a b"),
        json!("x".repeat(129)),
        json!(-1),
        json!(1.5),
        json!([2]),
        json!({"id": 2}),
        json!(true),
    ]
}

/// JSON nested deeper than anybody needs.
fn deep() -> String {
    format!("{}1{}", "[".repeat(200), "]".repeat(200))
}

async fn no_request_harms_a_call(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let mut ongoing = Ongoing::start(&service).await;
    let call = ongoing.call;

    let mut bodies: Vec<(Method, String, String, &[u16])> = Vec::new();
    let mut bad = |method: Method, path: &str, body: String, statuses: &'static [u16]| {
        bodies.push((method, path.to_owned(), body, statuses));
    };
    let refused: &[u16] = &[400, 422];
    let posts = [
        "/api/call/initiate",
        "/api/call/answer",
        "/api/call/reject",
        "/api/call/hangup",
        "/api/call/signal",
        "/api/status/update",
        "/api/call-logs",
    ];
    for path in posts {
        for body in ["{", "nonsense", "[]", "7", "\"text\"", "null", "\u{0}", "{\"a\":"] {
            bad(Method::POST, path, body.to_owned(), refused);
        }
        bad(Method::POST, path, deep(), refused);
        // Beyond the limit of the signal route, so beyond every route's.
        bad(Method::POST, path, json!({ "padding": "x".repeat(100_000) }).to_string(), &[413, 400, 422]);
        bad(Method::DELETE, path, String::new(), &[404, 405]);
    }
    for user in no_users() {
        bad(Method::POST, "/api/call/initiate", json!({ "callee_id": user }).to_string(), refused);
        let signal = json!({ "target_user_id": user, "signal": { "type": "offer", "sdp": "v=0" } });
        // A signal may leave its target out where there is a call, but there is none.
        bad(Method::POST, "/api/call/signal", signal.to_string(), &[400, 404, 409, 422]);
    }
    bad(Method::POST, "/api/call/initiate", json!({}).to_string(), refused);
    bad(Method::POST, "/api/call/initiate", json!({ "callee_id": 2, "call_type": "smoke" }).to_string(), refused);
    bad(Method::POST, "/api/call/initiate", json!({ "callee_id": 2, "call_type": 7 }).to_string(), refused);
    for id in
        [json!("x"), json!(0), json!(-1), json!(1.5), json!([]), json!({}), json!(true), json!(9007199254740992_u64)]
    {
        for path in ["/api/call/answer", "/api/call/reject", "/api/call/hangup"] {
            bad(Method::POST, path, json!({ "call_id": id }).to_string(), refused);
        }
    }
    for path in ["/api/call/answer", "/api/call/reject", "/api/call/hangup"] {
        bad(Method::POST, path, json!({ "call_id": 999_999 }).to_string(), &[404]);
        bad(Method::POST, path, json!({ "call_id": call }).to_string(), &[404, 403]);
        bad(Method::POST, path, json!({}).to_string(), &[404, 409]);
    }
    for signal in
        [json!(null), json!("offer"), json!([]), json!({}), json!({ "type": 7 }), json!({ "type": "nonsense" })]
    {
        bad(
            Method::POST,
            "/api/call/signal",
            json!({ "target_user_id": 2, "signal": signal }).to_string(),
            &[400, 404, 409, 422],
        );
    }
    for kind in ["offer", "answer", "ice_candidate"] {
        // Well formed, but there is no call between the sender and user 2.
        let signal = json!({ "type": kind, "sdp": "v=0", "candidate": "candidate:1" });
        let body = json!({ "target_user_id": 2, "signal": signal, "call_id": call }).to_string();
        bad(Method::POST, "/api/call/signal", body, &[403, 404, 409]);
        let body = json!({ "target_user_id": 2, "signal": signal }).to_string();
        bad(Method::POST, "/api/call/signal", body, &[403, 404, 409]);
    }
    for status in [json!(null), json!("asleep"), json!(7), json!([])] {
        bad(Method::POST, "/api/status/update", json!({ "status": status }).to_string(), refused);
    }
    for path in
        ["/api/call/mark-seen/x", "/api/call/mark-seen/0", "/api/call/mark-seen/-1", "/api/call/mark-seen/999999"]
    {
        bad(Method::POST, path, "{}".to_owned(), &[400, 404]);
    }
    bad(Method::POST, &format!("/api/call/mark-seen/{call}"), "{}".to_owned(), &[404]);
    bad(Method::PUT, &format!("/api/call-logs/{call}"), json!({ "status": "ended" }).to_string(), &[404]);
    bad(Method::PUT, &format!("/api/call-logs/{call}"), "{".to_owned(), &[400, 404]);
    bad(Method::PUT, "/api/call-logs/x", json!({ "status": "ended" }).to_string(), &[400, 404]);
    for path in [
        "/api/call/signals?wait=x",
        "/api/call/signals?wait=-1",
        "/api/call/signals?after=x",
        "/api/status/user/a%20b",
        "/api/calls?limit=-1",
        "/api/calls?cursor=x%00",
        "/api/calls/x",
        "/api/call/history/a%20b",
        "/api/call/missed?user_id=a%20b",
    ] {
        bad(Method::GET, path, String::new(), &[400, 403, 404]);
    }
    bad(Method::GET, &format!("/api/calls/{call}"), String::new(), &[404]);
    bad(Method::GET, "/api/no/such/thing", String::new(), &[404]);

    for (number, (method, path, body, statuses)) in bodies.into_iter().enumerate() {
        // Everybody makes one mistake only, so that no limit of requests per user gets in the way.
        let mallory = service.rest(&format!("mallory{number}"));
        let shown: String = body.chars().take(80).collect();
        let what = format!("{method} {path} {shown}");
        let request = mallory.request(method, &path).header("Content-Type", "application/json").body(body);
        let answer = mallory.send(request).await;
        assert!(statuses.contains(&answer.status), "{what}: {answer:?}, expected one of {statuses:?}");
        let status = answer.status;
        answer.refused(status);
        ongoing.unharmed(&what).await;
    }

    // No credentials at all, and a name that is none.
    let nobody = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    for path in ["/api/call/missed", "/api/call/signals", "/api/calls", "/api/call-logs/123"] {
        let status = nobody.get(service.url(path)).send().await.expect("an answer").status();
        assert_eq!(status, 401, "{path}");
        let request = nobody.get(service.url(path)).header("X-User-Id", "a b");
        assert!([400, 401].contains(&request.send().await.expect("an answer").status().as_u16()), "{path}");
        let request = nobody.get(service.url(path)).bearer_auth("not.a.token");
        assert_eq!(request.send().await.expect("an answer").status(), 401, "{path}");
    }
    ongoing.unharmed("requests without credentials").await;
    // Calling oneself, in any spelling.
    for own in [json!(7), json!("7")] {
        service.rest("7").post("/api/call/initiate", json!({ "callee_id": own })).await.refused(400);
    }
    // Nothing of this became a call.
    assert_eq!(store.open().await.count("call_logs", "").await, 1);
    ongoing.hang_up(&store).await;
}

async fn no_message_harms_a_call(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let mut ongoing = Ongoing::start(&service).await;
    let call = ongoing.call;

    let mut texts: Vec<String> =
        ["", " ", "{", "nonsense", "[]", "7", "null", "\"call_invitation\"", "{}", "{\"type\":", "\u{0}\u{1}"]
            .map(str::to_owned)
            .to_vec();
    texts.push(deep());
    for kind in [json!(null), json!(7), json!([]), json!({}), json!(""), json!("no_such_type"), json!("x".repeat(5000))]
    {
        texts.push(json!({ "type": kind, "to_user_id": 2 }).to_string());
    }
    let kinds = ["call_invitation", "call_answer", "ice_candidate", "call_declined", "call_cancelled", "call_ended"];
    for kind in kinds {
        texts.push(json!({ "type": kind }).to_string());
        for user in no_users() {
            texts.push(
                json!({ "type": kind, "to_user_id": user, "offer": {}, "answer": {}, "candidate": {} }).to_string(),
            );
        }
        for id in [json!("x"), json!(0), json!(-1), json!([]), json!(true), json!(999_999)] {
            texts.push(json!({ "type": kind, "to_user_id": 2, "call_id": id }).to_string());
        }
    }
    // Somebody else's call, well formed; the invitation is left out: calling user 2 is allowed, and busy.
    for kind in &kinds[1..] {
        for to in [1, 2] {
            let payload = json!({ "type": "answer", "sdp": "v=0" });
            let mut message = json!({ "type": kind, "to_user_id": to, "from_user_id": 3 - to, "answer": payload });
            message["candidate"] = candidate(1);
            texts.push(message.to_string());
            message["call_id"] = call.into();
            texts.push(message.to_string());
        }
    }
    let invitation = |key: &str, value: Value| {
        let mut message = crate::harness::socket::invitation("2");
        message[key] = value;
        message.to_string()
    };
    texts.push(invitation("call_type", json!("smoke")));
    texts.push(invitation("call_type", json!(7)));
    texts.push(invitation("offer", json!({ "type": "offer", "sdp": "x".repeat(40_000) })));

    for text in texts {
        let shown: String = text.chars().take(100).collect();
        // A fresh socket each: five mistakes on one would end it.
        let mut mallory = service.socket("mallory").await;
        mallory.send_text(text).await;
        assert!(mallory.try_round_trip().await, "one mistake closed the socket: {shown}");
        ongoing.unharmed(&shown).await;
        mallory.close().await;
    }
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
    ongoing.hang_up(&store).await;
}

async fn five_malformed_messages_close_the_socket(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let mut ongoing = Ongoing::start(&service).await;
    let mut mallory = service.socket("mallory").await;
    for _ in 0..5 {
        mallory.send_text("nonsense").await;
    }
    mallory.expect_close(4400).await;
    ongoing.unharmed("five malformed messages").await;
    ongoing.hang_up(&store).await;
}

async fn one_malformed_message_does_not_close_the_socket(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.send_text("nonsense").await;
    anna.clear().await;
    anna.invite("2").await;
    call_id(&ben.expect("call_invitation").await);
}

async fn a_message_too_big_closes_the_socket(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let mut ongoing = Ongoing::start(&service).await;
    let mut mallory = service.socket("mallory").await;
    let mut huge = crate::harness::socket::invitation("2");
    huge["padding"] = "x".repeat(200_000).into();
    // The service may hang up while this is still being written.
    mallory.try_send(huge).await;
    mallory.expect_close(1009).await;
    ongoing.unharmed("a message too big").await;
    ongoing.hang_up(&store).await;
}

async fn an_outsider_cannot_touch_a_call(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    // While it rings, an outsider who knows its number tries everything.
    let mut mallory = service.socket("3").await;
    for kind in ["call_answer", "call_declined", "call_cancelled", "call_ended"] {
        for to in [1, 2] {
            mallory
                .send(json!({ "type": kind, "to_user_id": to, "call_id": call, "answer": { "type": "answer", "sdp": "v=0" } }))
                .await;
        }
    }
    mallory.round_trip().await;
    for path in ["/api/call/answer", "/api/call/reject", "/api/call/hangup"] {
        service.rest("3").post(path, json!({ "call_id": call })).await.refused(404);
    }
    anna.quiet().await;
    ben.quiet().await;
    ben.answer("1").await;
    assert_eq!(anna.expect("call_answer").await["from_user_id"], 2);
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
}

async fn nobody_connects_as_somebody_else(store: Store) {
    let service = Service::start(&store).await;
    let token = |user: &str| {
        let (rest, body) = (service.rest(user), json!({ "user": user, "sub": user, "user_id": user }));
        async move {
            let answer = rest.post("/api/dev/token", body).await.ok();
            answer["token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
        }
    };
    let (own, other) = (token("2").await, token("3").await);

    Socket::dial(&service, "2").token(&own).open().await.quiet().await;
    let pair = format!("switchboard, bearer.{own}");
    let by_subprotocol = Socket::dial(&service, "2").subprotocol(&pair).try_open().await;
    by_subprotocol.expect("a token may come as a subprotocol").quiet().await;
    let mut stranger = Socket::dial(&service, "2").token(&other).try_open().await.expect("refused after the upgrade");
    stranger.expect_close(4403).await;
    let mut broken =
        Socket::dial(&service, "2").token("not.a.token").try_open().await.expect("refused after the upgrade");
    broken.expect_close(4401).await;
    // A page of another site is refused before the upgrade, whatever it brings along.
    let elsewhere = Socket::dial(&service, "2").origin("https://example.org").try_open().await;
    assert_eq!(elsewhere.err(), Some(403));
    let by_token = service.rest("3").bearer(&own);
    assert_eq!(by_token.get("/api/call/missed").await.status, 200);
}
