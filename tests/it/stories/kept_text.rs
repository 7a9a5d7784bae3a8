//! Names and keys are kept alike on both databases. Characters that a database or a screen cannot hold are replaced
//! where they come in, and the call rings.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Method;
use serde_json::{Value, json};
use switchboard::clock::Clock;

use super::admin::admin;
use crate::harness::rest::{Answer, call_id};
use crate::harness::socket::description;
use crate::harness::{Rest, Service, Socket, Store};

on_both!(
    a_name_no_database_keeps_rings_and_reads_back_mended,
    a_name_in_a_token_is_mended_as_well,
    a_name_is_as_long_as_what_is_kept_of_it,
    a_retry_key_no_database_keeps_is_refused,
    a_log_that_a_page_reports_may_hold_anything_beside,
    a_search_finds_what_is_kept,
);

/// Names as clients write them in JSON, and as they are kept.
const NAMES: [(&str, &str); 4] = [
    (r#""A\u0000da""#, "A\u{FFFD}da"),
    (r#""Ada \ud83d""#, "Ada \u{FFFD}"),
    (r#""\u202eAda\u202c\u2066!""#, "Ada!"),
    (r#""Ada\u001b[31m\r\nليلى\u200f""#, "Ada\u{FFFD}[31m\u{FFFD}\u{FFFD}ليلى\u{200F}"),
];

const SECRET: &str = "a secret of the stories, long enough for HS256";

async fn post(rest: &Rest, path: &str, body: String) -> Answer {
    rest.send(rest.request(Method::POST, path).header("Content-Type", "application/json").body(body)).await
}

/// The name is the same wherever the call of `caller` is read.
async fn reads_back(service: &Service, store: &Store, caller: &str, call: i64, name: &str) {
    let record = service.rest(caller).record(call).await;
    assert_eq!(record["caller_name"], name, "{record}");
    let missed = service.rest("2").missed().await.0;
    let mine = missed.iter().find(|missed| missed["id"] == call).unwrap_or_else(|| panic!("{call} in {missed:?}"));
    assert_eq!(mine["caller_name"], name, "{mine}");
    let request = service.rest(caller).request(Method::GET, "/api/calls.csv");
    let csv = service.rest(caller).send(request).await.ok();
    assert!(csv.as_str().expect("CSV").contains(name), "{csv}");
    let db = store.open().await;
    assert_eq!(db.row(&["caller_name"], "calls", &format!("WHERE id = {call}")).await, [name]);
}

async fn a_name_no_database_keeps_rings_and_reads_back_mended(store: Store) {
    let service = Service::start(&store).await;
    let mut ben = service.socket("2").await;
    for (number, (written, kept)) in NAMES.into_iter().enumerate() {
        let caller = format!("user{number}");
        let mut anna = service.socket(&caller).await;
        anna.send_text(format!(
            r#"{{"type":"call_invitation","to_user_id":2,"from_name":{written},"offer":{{"type":"offer","sdp":"v=0"}}}}"#
        ))
        .await;
        let invited = ben.expect("call_invitation").await;
        assert_eq!(invited["from_name"], kept, "{written}");
        anna.cancel("2").await;
        ben.expect("call_cancelled").await;
        reads_back(&service, &store, &caller, call_id(&invited), kept).await;

        let caller = format!("poller{number}");
        let poller = service.rest(&caller);
        poller.heartbeat().await;
        let body = format!(r#"{{"callee_id":2,"caller_name":{written},"offer":{{"type":"offer","sdp":"v=0"}}}}"#);
        let call = call_id(&post(&poller, "/api/call/initiate", body).await.ok());
        assert_eq!(ben.expect("call_invitation").await["from_name"], kept, "{written}");
        poller.hangup(call).await;
        ben.expect("call_cancelled").await;
        reads_back(&service, &store, &caller, call, kept).await;

        let caller = format!("page{number}");
        let page = service.rest(&caller);
        page.heartbeat().await;
        let body = format!(r#"{{"receiver_id":2,"caller_username":{written},"offer":{{"type":"offer","sdp":"v=0"}}}}"#);
        let call = post(&page, "/api/calls/initiate/", body).await.ok()["id"].as_i64().expect("a call");
        assert_eq!(ben.expect("call_invitation").await["from_name"], kept, "{written}");
        page.post(&format!("/api/calls/{call}/end/"), json!({})).await.ok();
        ben.expect("call_cancelled").await;
        reads_back(&service, &store, &caller, call, kept).await;
    }
    // Nothing of it hinders what is written later.
    admin(&service).get("/readyz").await.ok();
}

async fn a_name_in_a_token_is_mended_as_well(store: Store) {
    let service = Service::with(&store, &[("AUTH__JWT_SECRET", SECRET)]).await;
    let mut ben = service.socket("2").await;
    let mut tokens = Vec::new();
    for (number, (written, kept)) in NAMES.into_iter().enumerate() {
        let user = format!("dev{number}");
        let body = format!(r#"{{"user":"{user}","name":{written}}}"#);
        let answer = post(&service.rest(&user), "/api/dev/token", body).await.ok();
        tokens.push((user, answer["token"].as_str().expect("a token").to_owned(), kept));
        let user = format!("own{number}");
        let exp = Clock::new().now().wall.timestamp() + 600;
        let claims = format!(r#"{{"sub":"{user}","exp":{exp},"name":{written}}}"#);
        tokens.push((user, signed(&claims), kept));
    }
    for (user, token, kept) in tokens {
        let mut anna = Socket::dial(&service, &user).token(&token).open().await;
        anna.invite("2").await;
        let invited = ben.expect("call_invitation").await;
        assert_eq!(invited["from_name"], kept, "{user}");
        anna.cancel("2").await;
        ben.expect("call_cancelled").await;
        reads_back(&service, &store, &user, call_id(&invited), kept).await;
        let db = store.open().await;
        assert_eq!(db.row(&["name"], "users", &format!("WHERE id = '{user}'")).await, [kept]);
        // By REST, where a token's name is learned with a heartbeat.
        service.rest(&user).bearer(&token).heartbeat().await;
    }
}

/// A token with claims as they stand, which no serialiser would write like that.
fn signed(claims: &str) -> String {
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let message = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a signature");
    format!("{message}.{signature}")
}

async fn a_name_is_as_long_as_what_is_kept_of_it(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let invitation = |name: &str| {
        format!(
            r#"{{"type":"call_invitation","to_user_id":2,"from_name":"{name}","offer":{{"type":"offer","sdp":"v=0"}}}}"#
        )
    };
    anna.send_text(invitation(&format!("{}\\ud83d\\u202e", "é".repeat(127)))).await;
    let invited = ben.expect("call_invitation").await;
    assert_eq!(invited["from_name"], format!("{}\u{FFFD}", "é".repeat(127)));
    anna.cancel("2").await;
    ben.expect("call_cancelled").await;
    anna.send_text(invitation(&format!("{}\\ud83d", "é".repeat(128)))).await;
    let refused = anna.expect("error").await;
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("too_large"), &json!("from_name may have at most 128 characters"))
    );
    // Nothing but direction: that is no name.
    anna.send_text(invitation("\\u202e \\u202c")).await;
    assert_eq!(ben.expect("call_invitation").await["from_name"], Value::Null);
}

async fn a_retry_key_no_database_keeps_is_refused(store: Store) {
    let service = Service::start(&store).await;
    let mut ben = service.socket("2").await;
    let poller = service.rest("3");
    poller.heartbeat().await;
    let rule = "1 to 128 characters, without control characters and those that switch the direction of writing";
    for (number, key) in [r#""a\u0000b""#, r#""\ud83d""#, r#""a\u202eb""#, r#""a\nb""#, r#""""#].into_iter().enumerate()
    {
        // Somebody else each time: five mistakes on one socket would end it.
        let mut anna = service.socket(&format!("user{number}")).await;
        anna.send_text(format!(
            r#"{{"type":"call_invitation","to_user_id":2,"idempotency_key":{key},"offer":{{"type":"offer","sdp":"v=0"}}}}"#
        ))
        .await;
        let refused = anna.expect("error").await;
        assert_eq!(refused["code"], "invalid", "{key}: {refused}");
        assert!(refused["message"].as_str().expect("a sentence").contains(rule), "{key}: {refused}");
        for (path, callee) in [("/api/call/initiate", "callee_id"), ("/api/calls/initiate/", "receiver_id")] {
            let body = format!(r#"{{"{callee}":2,"idempotency_key":{key}}}"#);
            let refused = post(&poller, path, body).await.refused(400);
            assert!(refused["error"].as_str().expect("a sentence").contains(rule), "{key}: {refused}");
        }
    }
    let request = poller.request(Method::POST, "/api/call/initiate").header("Idempotency-Key", "a\tb");
    let refused = poller.send(request.json(&json!({ "callee_id": 2 }))).await.refused(400);
    assert!(refused["error"].as_str().expect("a sentence").contains(rule), "{refused}");
    ben.quiet().await;
    assert_eq!(store.open().await.count("calls", "").await, 0);
    // Any other text is a key.
    let body = json!({ "callee_id": 2, "idempotency_key": "schlüssel 🔑 \u{FFFD}", "offer": description("offer") });
    let call = call_id(&poller.post("/api/call/initiate", body.clone()).await.ok());
    ben.expect("call_invitation").await;
    poller.hangup(call).await;
    ben.expect("call_cancelled").await;
    assert_eq!(call_id(&poller.post("/api/call/initiate", body).await.ok()), call);
}

async fn a_log_that_a_page_reports_may_hold_anything_beside(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    for (written, _) in NAMES {
        let body = format!(r#"{{"conversation_id":12,"call_type":"voice","caller_name":{written},"note":{written}}}"#);
        let made = post(&anna, "/api/call-logs", body).await.ok();
        let id = made["call_log_id"].as_i64().expect("a log");
        let body = format!(r#"{{"status":"ended","duration_seconds":3,"note":{written}}}"#);
        let request =
            anna.request(Method::PUT, &format!("/api/call-logs/{id}")).header("Content-Type", "application/json");
        anna.send(request.body(body)).await.ok();
        for field in ["conversation_id", "call_type", "status"] {
            let body = format!(r#"{{"{field}":{written}}}"#);
            post(&anna, "/api/call-logs", body).await.refused(400);
        }
    }
    let logs = anna.get("/api/call-logs/12").await.ok();
    let statuses: Vec<&Value> = logs["call_logs"].as_array().expect("logs").iter().map(|log| &log["status"]).collect();
    assert_eq!(statuses, ["ended"; 4]);
}

async fn a_search_finds_what_is_kept(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut ben = service.socket("2").await;
    anna.send_text(
        r#"{"type":"call_invitation","to_user_id":2,"from_name":"A\u0000da","offer":{"type":"offer","sdp":"v=0"}}"#,
    )
    .await;
    ben.expect("call_invitation").await;
    let found = async |q: &str| {
        let page = admin(&service).get(&format!("/api/users?q={q}")).await.ok();
        page["users"].as_array().expect("users").iter().map(|user| user["user_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("a%00DA").await, [1]);
    assert_eq!(found("A%EF%BF%BDda").await, [1]);
    assert_eq!(found("A%E2%80%AE%00da").await, [1]);
    assert_eq!(found("b%00da").await, [0; 0]);
}
