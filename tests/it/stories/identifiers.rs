//! Ids as applications have them: with signs, beyond ASCII, long; on sockets, by REST, in records, on every database.

use serde_json::{Value, json};

use super::admin::admin;
use crate::harness::rest::{call_id, id};
use crate::harness::socket::{connect_call, description};
use crate::harness::{Service, Socket, Store, encoded};

on_both!(
    people_with_the_ids_they_have_call_each_other,
    a_conversation_and_a_profile_have_such_ids_too,
    what_is_no_id_is_refused_with_the_rule,
);

/// One pair a kind of id. Those of a pair differ as little as can be, since ids are compared exactly.
fn pairs() -> [(String, String); 6] {
    let long = |sign: &str, times: usize| sign.repeat(times);
    [
        ("auth0|5f7c8ec7c33c6c004bbafe82".to_owned(), "auth0|5F7c8ec7c33c6c004bbafe82".to_owned()),
        ("ann+calls@example.com".to_owned(), "ann%2Bcalls@example.com".to_owned()),
        ("Ωmega".to_owned(), "ωmega".to_owned()),
        // Composed and decomposed.
        ("\u{e9}mile".to_owned(), "e\u{301}mile".to_owned()),
        ("CN=Ann,OU=a/b;\"c\" 'd".replace(' ', "_"), "=1+1".to_owned()),
        (long("語", 85), long("語", 84)),
    ]
}

async fn people_with_the_ids_they_have_call_each_other(store: Store) {
    let service = Service::start(&store).await;
    for (one, other) in &pairs() {
        let (mut ann, mut ben) = (service.socket(one).await, service.socket(other).await);
        let call = connect_call((&mut ann, one), (&mut ben, other)).await;
        assert_eq!(service.rest(one).status_of(other).await, "in_call");
        let asked = service.rest(one).post("/api/status/query", json!({"user_ids": [one, other]})).await.ok();
        let listed: Vec<_> = asked["statuses"].as_array().expect("users").iter().map(|user| &user["user_id"]).collect();
        assert_eq!(listed, [&json!(one), &json!(other)], "{asked}");
        ann.hang_up(other).await;
        assert_eq!(ben.expect("call_ended").await["from_user_id"], json!(one));
        ben.close().await;
        let record = service.rest(one).final_record(call).await;
        assert_eq!((&record["caller_id"], &record["callee_ids"]), (&json!(one), &json!([other])));
        // Who polls calls who is gone: it is missed, and found by every list that names people.
        let polls = service.rest(one);
        polls.heartbeat().await;
        crate::harness::eventually("they are gone", async || (polls.status_of(other).await == "offline").then_some(()))
            .await;
        let missed_call = polls.initiate(other).await;
        assert_eq!(missed_call.0, "offline");
        let (missed, unseen) = service.rest(other).missed().await;
        assert_eq!((unseen, &missed[0]["caller_id"]), (1, &json!(one)), "{missed:?}");
        let of = |path: String| async move { path };
        let history = service.rest(one).get(&of(format!("/api/call/history/{}", encoded(other))).await).await.ok();
        assert!(history.to_string().contains(&json!(other).to_string()), "{history}");
        let peers = service.rest(one).get(&format!("/api/calls?peer={}", encoded(other))).await.ok();
        assert_eq!(peers["calls"].as_array().expect("calls").len(), 2, "{peers}");
        let found = admin(&service).get(&format!("/api/users?q={}", encoded(one))).await.ok();
        assert!(found["users"].as_array().expect("users").iter().any(|user| user["user_id"] == json!(one)), "{found}");
        let db = store.open().await;
        let by_id = format!("WHERE id = {}", missed_call.1);
        let row = db.row(&["caller_user_id"], "call_logs", &by_id).await;
        assert_eq!(&row[0], one);
        let csv = admin(&service).get(&format!("/api/calls.csv?user={}", encoded(other))).await.ok();
        let mut table = csv::Reader::from_reader(csv.as_str().expect("a table").as_bytes());
        let first = table.records().next().expect("a row").expect("a row");
        // A cell that a spreadsheet would take for a formula has a sign before it.
        let cells: Vec<&str> = first.iter().map(|cell| cell.strip_prefix('\'').unwrap_or(cell)).collect();
        assert!(cells.contains(&one.as_str()) && cells.contains(&other.as_str()), "{cells:?}");
        assert!(!first.iter().any(|cell| cell.starts_with('=')), "{first:?}");
    }
    // Everybody page by page, in one order on every database.
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin(&service).get(&format!("/api/users?limit=3{cursor}")).await.ok();
        let users = page["users"].as_array().expect("users");
        all.extend(users.iter().map(|user| user["user_id"].as_str().unwrap_or_default().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={}", encoded(next));
    }
    let mut expected: Vec<String> = pairs().into_iter().flat_map(|(one, other)| [one, other]).collect();
    expected.sort_unstable();
    all.retain(|user| expected.contains(user));
    assert_eq!(all, expected);
}

async fn a_conversation_and_a_profile_have_such_ids_too(store: Store) {
    let service = Service::start(&store).await;
    let conversation = "!room/7:example.org|ü";
    let (mut ann, mut ben) = (service.socket("1").await, service.socket("2").await);
    let mut invitation = crate::harness::socket::invitation("2");
    invitation["conversation_id"] = json!(conversation);
    ann.send(invitation).await;
    let invited = ben.expect("call_invitation").await;
    assert_eq!(invited["conversation_id"], json!(conversation));
    let call = call_id(&invited);
    ann.cancel("2").await;
    ben.expect("call_cancelled").await;
    let by_query =
        service.rest("1").get(&format!("/api/call-logs?conversation_id={}", encoded(conversation))).await.ok();
    let by_path = service.rest("1").get(&format!("/api/call-logs/{}", encoded(conversation))).await.ok();
    assert!(by_query.to_string().contains(&format!("\"id\":{call}")), "{by_query}");
    assert_eq!(by_query, by_path);
    let chat = async |user: &str| {
        let path = format!("/ws/chat/{}/", encoded(conversation));
        let mut socket = Socket::dial_path(&service, &path, user).user(user).open_silently().await;
        socket.expect("connection.ack").await;
        socket
    };
    let (mut chats, mut listens) = (chat("1").await, chat("2").await);
    chats.send(json!({"type": "message", "content": "hello"})).await;
    assert_eq!(listens.expect("message").await["content"], "hello");
    // A profile's number is any id, too.
    let student = Socket::dial_profile(&service, &encoded("n°/7"), "student");
    let mut student = student.open().await;
    ann.send(json!({
        "type": "call_invitation", "to_profile_type": "student", "to_profile_id": "n°/7", "call_type": "voice",
        "offer": description("offer"),
    }))
    .await;
    let invited = student.expect("call_invitation").await;
    assert_eq!(invited["from_user_id"], id("1"), "{invited}");
}

async fn what_is_no_id_is_refused_with_the_rule(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("1");
    for (bad, rule) in [
        ("a b", "1 to 128 characters"),
        ("\u{202e}", "without blanks and control or format characters"),
        ("guest:7", "must not begin with \"guest:\" or \"line:\""),
        ("line:support", "must not begin with"),
    ] {
        let said = rest.get(&format!("/api/status/user/{}", encoded(bad))).await.refused(400);
        assert!(said["error"].as_str().is_some_and(|error| error.contains(rule)), "{said}");
        let called = rest.post("/api/call/initiate", json!({"callee_id": bad})).await.refused(400);
        assert!(called["error"].as_str().is_some_and(|error| error.contains(rule)), "{called}");
        // A path that is no address says so before anything else.
        let path = rest.get(&format!("/ws/{}", encoded(bad))).await.refused(404);
        assert!(path["error"].as_str().is_some_and(|error| error.contains(rule)), "{path}");
        let mut socket = service.socket("1").await;
        socket.send(json!({"type": "call_invitation", "to_user_id": bad, "offer": description("offer")})).await;
        let error = socket.expect("error").await;
        assert!(error["message"].as_str().is_some_and(|error| error.contains(rule)), "{error}");
    }
    // Bytes that are no text are not made into one: two users would become the same.
    for path in ["/ws/%FF", "/api/status/user/%FF", "/api/call-logs?conversation_id=%FF"] {
        let refused = rest.get(path).await;
        assert!([400, 404].contains(&refused.status), "{path}: {refused:?}");
        assert!(refused.body["error"].as_str().is_some_and(|error| error.contains("UTF-8")), "{refused:?}");
    }
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    let refused =
        client.get(service.url("/api/call/missed")).header("X-User-Id", "%FF").send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.expect("JSON")["error"], "x-user-id is not UTF-8");
}
