//! Open sockets whose token expires.

use serde_json::json;

use super::{brief, device, expire, expiring, give, jwt, lasting, rest, until_expired, until_lapsed};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call, description};
use crate::harness::{Socket, Store, eventually};

on_both!(a_call_outlives_its_tokens, a_device_that_rings_may_still_answer);

mod only_here {
    use super::*;
    on_sqlite!(
        nothing_but_the_call_is_spoken_of,
        watches_end_with_the_token,
        following_ends_with_the_token,
        a_fresh_token_makes_the_socket_whole_again,
        a_member_that_left_a_group_is_let_go_and_the_others_stay,
        a_call_ended_elsewhere_is_told_before_the_socket_is_closed,
    );
}

async fn a_call_outlives_its_tokens(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    expire(&service, "1", &mut [&mut anna]).await;
    expire(&service, "2", &mut [&mut ben]).await;
    // Everything of the call goes on, with and without its number.
    anna.candidate("2", 1).await;
    assert_eq!(ben.expect("ice_candidate").await["candidate"], candidate(1));
    ben.send(json!({ "type": "ice_candidate", "call_id": call, "candidate": candidate(2) })).await;
    assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(2));
    anna.send(json!({ "type": "call_offer", "to_user_id": 2, "offer": description("offer") })).await;
    assert_eq!(call_id(&ben.expect("call_offer").await), call);
    ben.send(json!({ "type": "call_answer", "to_user_id": 1, "answer": description("answer") })).await;
    assert_eq!(call_id(&anna.expect("call_answer").await), call);
    anna.send(json!({ "type": "ping" })).await;
    anna.expect("pong").await;
    let cleo = lasting("3");
    assert_eq!(rest(&service, "3", &cleo).status_of("1").await, "in_call");

    anna.hang_up("2").await;
    assert_eq!(call_id(&ben.expect("call_ended").await), call);
    anna.expect_close(4401).await;
    ben.expect_close(4401).await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    let cleo = rest(&service, "3", &cleo);
    eventually("user 1 is offline", async || (cleo.status_of("1").await == "offline").then_some(())).await;
}

async fn a_device_that_rings_may_still_answer(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let token = brief("2");
    let mut ben = device(&service, "2", "phone", &token).await;
    let mut bens_other = device(&service, "2", "tablet", &token).await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    bens_other.expect("call_invitation").await;
    // The caller may give up as long as it rings, whatever became of the token.
    give(&mut anna, &brief("1")).await;
    until_expired(&service, &token).await;
    for socket in [&mut ben, &mut bens_other, &mut anna] {
        until_lapsed(socket, "call_ended").await;
    }
    ben.answer("1").await;
    assert_eq!(call_id(&anna.expect("call_answer").await), call);
    // Who has no part in it any more is told so, and let go.
    assert_eq!(bens_other.expect("call_ended").await["reason"], "answered_elsewhere");
    bens_other.expect_close(4401).await;
    ben.candidate("1", 1).await;
    anna.expect("ice_candidate").await;
    ben.hang_up("1").await;
    anna.expect("call_ended").await;
    anna.expect_close(4401).await;
    ben.expect_close(4401).await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn nothing_but_the_call_is_spoken_of(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    let mut cleo = device(&service, "3", "desk", &lasting("3")).await;
    anna.hello().await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    expire(&service, "1", &mut [&mut anna]).await;
    anna.clear().await;
    for message in [
        json!({ "type": "call_invitation", "to_user_id": 3, "offer": description("offer") }),
        json!({ "type": "call_invitation", "to_user_id": 2, "offer": description("offer") }),
        json!({ "type": "call_invitation", "to_user_id": 3, "call_id": call }),
        json!({ "type": "call_invitation", "to_user_ids": [3, 2], "call_id": call }),
        json!({ "type": "call_declined", "call_id": call + 1 }),
        json!({ "type": "ice_candidate", "call_id": call + 1, "candidate": candidate(1) }),
        json!({ "type": "presence_subscribe", "user_ids": [3] }),
        json!({ "type": "presence_query", "user_ids": [3] }),
        json!({ "type": "admin_subscribe" }),
    ] {
        anna.send(message).await;
        let error = anna.expect("error").await;
        assert_eq!(error["code"], "unauthorized", "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("fresh")), "{error}");
    }
    cleo.quiet().await;
    // An offer to who is in it already is of the call, however it is written.
    anna.send(json!({ "type": "call_invitation", "to_user_id": 2, "call_id": call, "offer": description("offer") }))
        .await;
    ben.expect("call_offer").await;
    // Who calls finds the line busy, and she is not told.
    cleo.invite("1").await;
    assert_eq!(cleo.expect("call_declined").await["reason"], "busy");
    anna.quiet().await;
    // Nine refusals are not nine malformed messages.
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    anna.expect_close(4401).await;
    assert_eq!(rest(&service, "1", &lasting("1")).missed().await.1, 1);
}

async fn watches_end_with_the_token(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    let mut dora = device(&service, "4", "desk", &lasting("4")).await;
    for watcher in [&mut anna, &mut dora] {
        watcher.hello().await;
        watcher.send(json!({ "type": "presence_subscribe", "user_ids": [3] })).await;
        watcher.expect("presence_snapshot").await;
    }
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let cleo = device(&service, "3", "desk", &lasting("3")).await;
    for watcher in [&mut anna, &mut dora] {
        assert_eq!(watcher.expect("presence_changed").await["users"][0]["status"], "online");
    }
    expire(&service, "1", &mut [&mut anna]).await;
    cleo.close().await;
    assert_eq!(dora.expect("presence_changed").await["users"][0]["status"], "offline");
    anna.without("presence_changed").await;
}

async fn following_ends_with_the_token(store: Store) {
    let service = jwt(&store).await;
    let admin = |seconds| expiring("1", seconds, &json!({ "role": "admin" }));
    let mut anna = device(&service, "1", "desk", &admin(3600)).await;
    let mut other = device(&service, "1", "laptop", &admin(3600)).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    for follower in [&mut anna, &mut other] {
        follower.hello().await;
        follower.send(json!({ "type": "admin_subscribe", "ref": 1 })).await;
        follower.expect("ack").await;
    }
    give(&mut anna, &admin(2)).await;
    let mut witness = device(&service, "1", "witness", &admin(2)).await;
    witness.expect_close(4401).await;
    until_lapsed(&mut anna, "call_ended").await;
    anna.clear().await;
    other.clear().await;
    let _cleo = device(&service, "3", "desk", &lasting("3")).await;
    other.expect("admin_changed").await;
    anna.without("admin_changed").await;
}

async fn a_fresh_token_makes_the_socket_whole_again(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    anna.hello().await;
    anna.send(json!({ "type": "presence_subscribe", "user_ids": [3] })).await;
    anna.expect("presence_snapshot").await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    expire(&service, "1", &mut [&mut anna]).await;
    anna.send(json!({ "type": "token", "token": lasting("1"), "ref": "t" })).await;
    assert_eq!(anna.expect("ack").await["ref"], "t");
    // What was watched is watched again once that is asked for.
    let _cleo = device(&service, "3", "desk", &lasting("3")).await;
    anna.without("presence_changed").await;
    anna.send(json!({ "type": "presence_subscribe", "user_ids": [3] })).await;
    assert_eq!(anna.expect("presence_snapshot").await["users"][0]["status"], "online");
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    anna.clear().await;
    connect_call((&mut ben, "2"), (&mut anna, "1")).await;
}

async fn a_member_that_left_a_group_is_let_go_and_the_others_stay(store: Store) {
    let service = jwt(&store).await;
    let mut sockets = Vec::new();
    for user in ["1", "2", "3"] {
        let mut socket = device(&service, user, "desk", &lasting(user)).await;
        socket.hello().await;
        sockets.push(socket);
    }
    let [anna, ben, cleo] = &mut sockets[..] else { panic!("three") };
    anna.send(json!({ "type": "call_invitation", "to_user_ids": [2, 3] })).await;
    let mut call = 0;
    for callee in [&mut *ben, &mut *cleo] {
        call = call_id(&callee.expect("call_invitation").await);
        callee.send(json!({ "type": "call_answer", "call_id": call })).await;
        anna.expect("call_answered").await;
    }
    for (user, socket) in [("1", &mut *anna), ("2", &mut *ben), ("3", &mut *cleo)] {
        expire(&service, user, &mut [socket]).await;
    }
    cleo.send(json!({ "type": "call_ended", "call_id": call, "ref": "bye" })).await;
    assert_eq!(cleo.expect("ack").await["ref"], "bye");
    cleo.expect_close(4401).await;
    anna.expect("peer_left").await;
    ben.expect("peer_left").await;
    anna.send(json!({ "type": "call_offer", "call_id": call, "to_user_id": 2, "offer": description("offer") })).await;
    ben.expect("call_offer").await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    anna.expect_close(4401).await;
    ben.expect_close(4401).await;
}

async fn a_call_ended_elsewhere_is_told_before_the_socket_is_closed(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    expire(&service, "1", &mut [&mut anna]).await;
    let admin = expiring("9", 3600, &json!({ "role": "admin" }));
    rest(&service, "9", &admin).post(&format!("/api/admin/calls/{call}/kill"), json!({})).await.ok();
    assert_eq!(anna.expect("call_ended").await["reason"], "killed");
    anna.expect_close(4401).await;
    // Whose token holds stays.
    ben.expect("call_ended").await;
    ben.quiet().await;
    let mut again = Socket::dial(&service, "1").device("desk").token(&lasting("1")).open().await;
    again.quiet().await;
}
