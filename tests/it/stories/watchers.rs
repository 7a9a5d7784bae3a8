//! Many who watch one user over real sockets.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::rest::Rest;
use crate::harness::{Service, Socket, Store};

on_sqlite!(whoever_watches_is_told_each_state_once_and_nobody_else_is);

/// How many watch and read.
const WATCHERS: i64 = 150;

/// Who is watched.
const WATCHED: i64 = 1000;

async fn open(service: &Service, user: i64, conversation: i64) -> Socket {
    let body = json!({ "user": user, "conversations": [conversation] });
    let minted = service.rest("0").post("/api/dev/token", body).await.ok();
    let token = minted["token"].as_str().expect("a token");
    Socket::dial(service, &user.to_string()).token(token).open().await
}

/// Says `hello` and watches: how the watched user stands.
async fn watch(socket: &mut Socket) -> Value {
    socket.hello().await;
    socket.send(json!({ "type": "presence_subscribe", "user_ids": [WATCHED] })).await;
    socket.expect("presence_snapshot").await
}

async fn say(watched: &Rest, status: &str) {
    watched.post("/api/status/update", json!({ "status": status })).await.ok();
}

/// What a message says of the watched user alone: number, status and version.
fn told(message: &Value) -> (u64, &str, u64) {
    let users = message["users"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(message["type"] == "presence_changed" && users.len() == 1, "{message}");
    let entry = &users[0];
    assert_eq!(entry["user_id"], WATCHED, "{message}");
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number in {message}"));
    (number(&message["seq"]), entry["status"].as_str().unwrap_or_default(), number(&entry["version"]))
}

async fn whoever_watches_is_told_each_state_once_and_nobody_else_is(store: Store) {
    let settings = [("PRESENCE__VISIBILITY", "conversations"), ("LIMITS__REST_BURST", "1000")];
    let service = Service::with(&store, &settings).await;
    let mut watchers = join_all((1..=WATCHERS).map(|user| open(&service, user, 10))).await;
    let mut asleep = open(&service, 500, 10).await;
    let mut stranger = open(&service, 501, 11).await;
    let mut plain = open(&service, 502, 10).await;
    let _watched = open(&service, WATCHED, 10).await;
    let rest = service.rest(&WATCHED.to_string());
    say(&rest, "busy").await;
    join_all(watchers.iter_mut().map(watch)).await;
    watch(&mut asleep).await;
    let hidden = watch(&mut stranger).await;
    assert_eq!((&hidden["users"][0]["status"], &hidden["users"][0]["version"]), (&json!("offline"), &json!(0)));

    // Who is told each state before there is the next is told every one of them, and none twice.
    let mut newest = 0;
    for (n, status) in (2..).zip(["online", "busy", "online", "busy"]) {
        say(&rest, status).await;
        let heard = join_all(watchers.iter_mut().map(|socket| socket.expect("presence_changed"))).await;
        let version = told(&heard[0]).2;
        assert!(version > newest, "{version} after {newest}");
        newest = version;
        for message in &heard {
            assert_eq!(told(message), (n, status, version));
        }
    }
    // One is told other things meanwhile, which are numbered with the rest, and one has gone.
    watchers[0].send(json!({ "type": "ping" })).await;
    assert_eq!(watchers[0].expect("pong").await["seq"], 6);
    watchers.pop().expect("a watcher").vanish();
    say(&rest, "online").await;
    let heard = join_all(watchers.iter_mut().map(|socket| socket.expect("presence_changed"))).await;
    for (user, message) in heard.iter().enumerate() {
        let (seq, status, version) = told(message);
        assert_eq!((seq, status), (if user == 0 { 7 } else { 6 }, "online"));
        assert!(version > newest);
    }
    join_all(watchers.iter_mut().map(Socket::quiet)).await;
    stranger.quiet().await;
    plain.quiet().await;
    // Who did not read until now finds all of it, in order.
    let found = asleep.all().await;
    let states: Vec<(u64, &str)> = found.iter().map(told).map(|(seq, status, _)| (seq, status)).collect();
    assert_eq!(states, [(2, "online"), (3, "busy"), (4, "online"), (5, "busy"), (6, "online")]);
    assert!(found.iter().map(told).is_sorted_by_key(|(_, _, version)| version));
}
