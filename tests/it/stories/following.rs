//! Following everything: administrators are told that something changed, for as long as they may be.

use serde_json::json;

use crate::harness::socket::connect_call;
use crate::harness::{Service, Socket, Store};

on_sqlite!(who_follows_everything_is_nudged, following_outlives_a_lost_connection,);

async fn token(service: &Service, user: &str, role: &str) -> String {
    let wanted = json!({ "user": user, "role": role });
    let minted = service.rest(user).post("/api/dev/token", wanted).await.ok();
    minted["token"].as_str().expect("a token").to_owned()
}

async fn who_follows_everything_is_nudged(store: Store) {
    let service = Service::start(&store).await;
    let mut watcher = Socket::dial(&service, "9").token(&token(&service, "9", "admin").await).open().await;
    let subscribe = json!({ "type": "admin_subscribe", "ref": 1 });
    watcher.send(subscribe.clone()).await;
    assert_eq!(watcher.expect("error").await["code"], "out_of_turn");
    watcher.hello().await;
    watcher.send(subscribe.clone()).await;
    assert_eq!(watcher.expect("ack").await["ref"], 1);
    let mut parts = async |wanted: &[&str]| {
        let mut missing: Vec<&str> = wanted.to_vec();
        while !missing.is_empty() {
            let changed = watcher.expect("admin_changed").await;
            assert!(changed["seq"].is_u64(), "{changed}");
            missing.retain(|part| !changed["parts"].as_array().expect("parts").contains(&json!(part)));
        }
    };
    let mut anna = service.socket("1").await;
    parts(&["users"]).await;
    anna.invite("99").await;
    anna.expect("call_declined").await;
    parts(&["calls", "missed"]).await;
    let (list, _) = service.rest("99").missed().await;
    let call = list[0]["id"].as_i64().or_else(|| list[0]["call_id"].as_i64()).expect("an id");
    service.rest("99").post(&format!("/api/call/mark-seen/{call}"), json!({})).await.ok();
    parts(&["missed"]).await;
    let mut ben = service.socket("2").await;
    parts(&["users"]).await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    parts(&["calls", "users"]).await;
    watcher.send(json!({ "type": "admin_unsubscribe", "ref": 2 })).await;
    watcher.expect("ack").await;
    // Nobody else may, whatever their path says.
    anna.hello().await;
    anna.send(subscribe.clone()).await;
    assert_eq!(anna.expect("error").await["code"], "forbidden");
    let mut robot = Socket::dial(&service, "9").token(&token(&service, "robot", "service").await).open().await;
    robot.hello().await;
    robot.send(subscribe).await;
    robot.expect("ack").await;
    drop(ben);
    robot.expect("admin_changed").await;
}

async fn following_outlives_a_lost_connection(store: Store) {
    let service = Service::start(&store).await;
    let token = token(&service, "9", "admin").await;
    let dial = || Socket::dial(&service, "9").device("desk").token(&token);
    let mut watcher = dial().open().await;
    let session = watcher.hello().await["session_id"].clone();
    watcher.send(json!({ "type": "admin_subscribe", "ref": 1 })).await;
    let seq = watcher.expect("ack").await["seq"].as_u64().expect("a number");
    watcher.vanish();
    let _anna = service.socket("1").await;
    // With less than an admin's token it does not go on.
    let mut lesser = Socket::dial(&service, "9").device("desk").open_silently().await;
    assert_eq!(lesser.resume(&session, seq).await["recovered"], false);
    lesser.close().await;
    let mut watcher = dial().open().await;
    let session = watcher.hello().await["session_id"].clone();
    watcher.send(json!({ "type": "admin_subscribe", "ref": 2 })).await;
    let seq = watcher.expect("ack").await["seq"].as_u64().expect("a number");
    watcher.vanish();
    let mut again = dial().open_silently().await;
    assert_eq!(again.resume(&session, seq).await["recovered"], true);
    let _ben = service.socket("2").await;
    again.expect("admin_changed").await;
}
