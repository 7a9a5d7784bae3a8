//! Presence that is watched, and who may see it.

use serde_json::{Value, json};

use crate::harness::socket::{Socket, connect_call};
use crate::harness::{Service, Store, eventually};

on_both!(who_is_away_was_last_seen_when_the_database_says,);

on_sqlite!(
    presence_is_watched,
    many_changes_are_told_as_few,
    a_socket_watches_a_thousand_and_no_more,
    watching_outlives_the_socket,
    presence_is_shown_to_those_who_share_a_conversation,
    presence_is_shown_to_nobody,
);

/// Subscribes: the snapshot's entries.
async fn watch(socket: &mut Socket, users: &[i64]) -> Vec<Value> {
    socket.send(json!({ "type": "presence_subscribe", "user_ids": users })).await;
    entries(&socket.expect("presence_snapshot").await)
}

fn entries(message: &Value) -> Vec<Value> {
    message["users"].as_array().unwrap_or_else(|| panic!("no users: {message}")).clone()
}

/// The next change that says so of a user; versions must rise on the way.
async fn changed(socket: &mut Socket, user: i64, status: &str, version: &mut u64) {
    loop {
        for entry in entries(&socket.expect("presence_changed").await) {
            assert_eq!(entry["user_id"], json!(user), "{entry}");
            let next = entry["version"].as_u64().expect("a version");
            assert!(next > *version, "{entry} after {version}");
            *version = next;
            if entry["status"] == status {
                return;
            }
        }
    }
}

async fn presence_is_watched(store: Store) {
    let service = Service::with(&store, &[("PRESENCE__LINGER", "100ms")]).await;
    let mut anna = service.device("1", "laptop").await;
    // Without waiting for the welcome.
    anna.send(json!({ "type": "hello" })).await;
    let seen = watch(&mut anna, &[2, 3]).await;
    assert_eq!(seen[0], json!({ "user_id": 2, "status": "offline", "last_seen": null, "version": 0 }));
    let mut version = 0;
    let mut ben = service.socket("2").await;
    changed(&mut anna, 2, "online", &mut version).await;
    let carl = service.socket("3").await;
    let mut of_carl = 0;
    changed(&mut anna, 3, "online", &mut of_carl).await;
    let mut dora = service.socket("4").await;
    connect_call((&mut ben, "2"), (&mut dora, "4")).await;
    changed(&mut anna, 2, "in_call", &mut version).await;
    anna.send(json!({ "type": "presence_query", "user_ids": [2, 4, 5], "ref": "q" })).await;
    let glance = anna.expect("presence_snapshot").await;
    assert_eq!(glance["ref"], json!("q"));
    let stand: Vec<_> = entries(&glance).iter().map(|entry| entry["status"].clone()).collect();
    assert_eq!(stand, [json!("in_call"), json!("in_call"), json!("offline")]);
    ben.hang_up("4").await;
    changed(&mut anna, 2, "online", &mut version).await;
    anna.send(json!({ "type": "presence_unsubscribe", "user_ids": [2], "ref": "u" })).await;
    assert_eq!(anna.expect("ack").await["ref"], json!("u"));
    ben.close().await;
    carl.close().await;
    // Nobody but Carl is told of: `changed` fails at anybody else.
    changed(&mut anna, 3, "offline", &mut of_carl).await;
    anna.without("presence_changed").await;
    dora.expect("call_ended").await;
    dora.quiet().await;
}

async fn many_changes_are_told_as_few(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let users: Vec<i64> = (100..130).collect();
    watch(&mut anna, &users).await;
    let mut people = Vec::new();
    for user in &users {
        people.push(service.rest(&user.to_string()));
    }
    for round in 0..5 {
        let word = if round % 2 == 0 { "busy" } else { "online" };
        let said = people.iter().map(|rest| rest.post("/api/status/update", json!({ "status": word })));
        futures_util::future::join_all(said).await;
    }
    let mut newest = std::collections::HashMap::new();
    let mut frames = 0;
    while newest.len() < users.len() || newest.values().any(|status| *status != json!("busy")) {
        frames += 1;
        for entry in entries(&anna.expect("presence_changed").await) {
            newest.insert(entry["user_id"].as_i64().expect("an id"), entry["status"].clone());
        }
    }
    assert!(frames < 150, "150 changes and more in {frames} messages");
}

async fn a_socket_watches_a_thousand_and_no_more(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let users: Vec<i64> = (1000..2000).collect();
    assert_eq!(watch(&mut anna, &users).await.len(), 1000);
    // The same again is no more.
    assert_eq!(watch(&mut anna, &users[..5]).await.len(), 5);
    anna.send(json!({ "type": "presence_subscribe", "user_ids": [5], "ref": 1 })).await;
    let error = anna.expect("error").await;
    assert_eq!((&error["code"], &error["ref"]), (&json!("too_large"), &json!(1)));
    let users: Vec<i64> = (1000..2001).collect();
    anna.send(json!({ "type": "presence_subscribe", "user_ids": users })).await;
    assert_eq!(anna.expect("error").await["code"], json!("too_large"));
    anna.send(json!({ "type": "presence_unsubscribe" })).await;
    assert_eq!(watch(&mut anna, &[5]).await.len(), 1);
}

async fn watching_outlives_the_socket(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let session = anna.hello().await["session_id"].clone();
    watch(&mut anna, &[2]).await;
    anna.vanish();
    let mut ben = service.socket("2").await;
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    assert_eq!(anna.resume(&session, 1).await["recovered"], json!(true));
    let mut version = 0;
    changed(&mut anna, 2, "online", &mut version).await;
    ben.quiet().await;
}

async fn who_is_away_was_last_seen_when_the_database_says(store: Store) {
    let mut service = Service::with(&store, &[("PRESENCE__FLUSH_EVERY", "100ms")]).await;
    let ben = service.device("2", "phone").await;
    ben.close().await;
    let db = store.open().await;
    eventually("ben is written down", async || {
        (db.count("user_status", "WHERE user_id = '2'").await == 1).then_some(())
    })
    .await;
    service.restart().await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let seen = watch(&mut anna, &[2]).await;
    assert!(seen[0]["last_seen"].is_string() && seen[0]["status"] == "offline", "{seen:?}");
}

async fn token(service: &Service, user: i64, conversations: &[i64], role: &str) -> String {
    let body = json!({ "user": user, "conversations": conversations, "role": role });
    let minted = service.rest("0").post("/api/dev/token", body).await.ok();
    minted["token"].as_str().expect("a token").to_owned()
}

async fn presence_is_shown_to_those_who_share_a_conversation(store: Store) {
    let service = Service::with(&store, &[("PRESENCE__VISIBILITY", "conversations")]).await;
    let open = async |user: i64, conversations: &[i64], role: &str| {
        let token = token(&service, user, conversations, role).await;
        Socket::dial(&service, &user.to_string()).token(&token).open().await
    };
    let mut anna = open(1, &[10], "user").await;
    let mut admin = open(9, &[], "admin").await;
    anna.hello().await;
    admin.hello().await;
    watch(&mut anna, &[1, 2, 3, 4, 5]).await;
    watch(&mut admin, &[3]).await;
    let _carl = open(3, &[11], "user").await;
    let _dora = service.socket("4").await;
    let _ben = open(2, &[10, 12], "user").await;
    let mut version = 0;
    changed(&mut admin, 3, "online", &mut version).await;
    let mut version = 0;
    changed(&mut anna, 2, "online", &mut version).await;
    let again = watch(&mut anna, &[1, 2, 3, 4, 5]).await;
    let stand: Vec<_> = again.iter().map(|entry| entry["status"].as_str().unwrap_or_default()).collect();
    assert_eq!(stand, ["online", "online", "offline", "offline", "offline"]);
    for hidden in &again[2..] {
        assert_eq!((&hidden["last_seen"], &hidden["version"]), (&Value::Null, &json!(0)), "{hidden}");
    }
    // By REST it is the same.
    let rest = service.rest("1").bearer(&token(&service, 1, &[10], "user").await);
    let body = rest.post("/api/status/query", json!({ "user_ids": [2, 3, 5] })).await.ok();
    assert_eq!(body["statuses"][0]["status"], json!("online"));
    let (mut hidden, mut unknown) = (body["statuses"][1].clone(), body["statuses"][2].clone());
    hidden["user_id"].take();
    unknown["user_id"].take();
    assert_eq!(hidden, unknown);
    assert_eq!(rest.status_of("3").await, "offline");
    assert_eq!(rest.status_of("2").await, "online");
    assert_eq!(service.rest("8").role("admin").status_of("3").await, "online");
}

async fn presence_is_shown_to_nobody(store: Store) {
    let service = Service::with(&store, &[("PRESENCE__VISIBILITY", "nobody")]).await;
    let mut anna = service.socket("1").await;
    let _ben = service.socket("2").await;
    anna.hello().await;
    let seen = watch(&mut anna, &[1, 2]).await;
    assert_eq!((&seen[0]["status"], &seen[1]["status"]), (&json!("online"), &json!("offline")));
    assert_eq!(service.rest("1").status_of("2").await, "offline");
    assert_eq!(service.rest("3").role("service").status_of("2").await, "online");
}
