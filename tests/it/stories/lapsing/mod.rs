//! Tokens that expire during a call: the device that is in it stays until the call is over, and for nothing else.

mod dialects;
mod polling;
mod returning;
mod sockets;

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use switchboard::clock::Clock;

use crate::harness::{Rest, Service, Socket, Store, eventually};

const SECRET: &str = "a secret of the stories, long enough for HS256";

/// Without leeway REST and sockets refuse a token at the same moment; stories show refused ones more often than anybody
/// who guesses may.
const JWT: [(&str, &str); 5] = [
    ("AUTH__MODE", "jwt"),
    ("AUTH__JWT_SECRET", SECRET),
    ("AUTH__LEEWAY", "0s"),
    ("LIMITS__FAILED_AUTH", "10000"),
    ("CHAT__MEMBERSHIP", "open"),
];

async fn jwt(store: &Store) -> Service {
    Service::with(store, &JWT).await
}

/// A token that expires so many seconds from now, with further claims.
fn expiring(user: &str, seconds: i64, claims: &Value) -> String {
    let mut all = claims.clone();
    all["sub"] = user.into();
    all["exp"] = (Clock::new().now().wall.timestamp() + seconds).into();
    jsonwebtoken::encode(&Header::default(), &all, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

/// A token that expires within two seconds.
fn brief(user: &str) -> String {
    expiring(user, 2, &json!({}))
}

/// A token that holds for as long as a story lasts.
fn lasting(user: &str) -> String {
    expiring(user, 3600, &json!({}))
}

/// A user who speaks REST, with this token.
fn rest(service: &Service, user: &str, token: &str) -> Rest {
    service.rest(user).bearer(token)
}

/// A socket of a user on a device, opened with this token.
async fn device(service: &Service, user: &str, device: &str, token: &str) -> Socket {
    Socket::dial(service, user).device(device).token(token).open().await
}

/// The socket is closed for its token: at once, or when the service has looked.
async fn refused(service: &Service, user: &str, device: &str, token: &str) {
    let dial = Socket::dial(service, user).device(device).token(token);
    dial.try_open().await.expect("refused after the upgrade").expect_close(4401).await;
}

/// Waits until the service refuses a token where no call is concerned.
async fn until_expired(service: &Service, token: &str) {
    let bearer = service.rest("nobody").bearer(token);
    eventually("the token has expired", async || (bearer.get("/api/call/missed").await.status == 401).then_some(()))
        .await;
}

/// Gives a socket another token.
async fn give(socket: &mut Socket, token: &str) {
    socket.send(json!({ "type": "token", "token": token })).await;
}

/// The pace of asking, which a socket may go on with for ever.
const PACE: Duration = Duration::from_millis(100);

/// Waits until the session of a socket has noticed that its token has expired: it refuses to speak of another call
/// for that reason. `hang_up` is how its dialect ends a call.
async fn until_lapsed(socket: &mut Socket, hang_up: &str) {
    loop {
        socket.send(json!({ "type": hang_up, "call_id": "999", "ref": "probe" })).await;
        let error = socket.expect("error").await;
        if error["code"] == "unauthorized" {
            assert!(error["message"].as_str().is_some_and(|text| text.contains("expired")), "{error}");
            return;
        }
        assert_eq!(error["code"], "not_found", "{error}");
        tokio::time::sleep(PACE).await;
    }
}

/// Waits until the session of a socket has taken a fresh token.
async fn until_whole(socket: &mut Socket, hang_up: &str) {
    loop {
        socket.send(json!({ "type": hang_up, "call_id": "999", "ref": "probe" })).await;
        if socket.expect("error").await["code"] == "not_found" {
            return;
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Gives sockets of one user a token that is about to expire, and waits until it has: another socket of the user,
/// which is in no call, is closed.
async fn expire(service: &Service, user: &str, sockets: &mut [&mut Socket]) -> String {
    let token = brief(user);
    let mut witness = device(service, user, "witness", &token).await;
    for socket in sockets.iter_mut() {
        give(socket, &token).await;
    }
    witness.expect_close(4401).await;
    for socket in sockets {
        until_lapsed(socket, "call_ended").await;
    }
    token
}
