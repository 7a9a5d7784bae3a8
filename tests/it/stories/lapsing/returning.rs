//! Devices whose connection breaks, or whose service restarts, after their token has expired.

use serde_json::{Value, json};

use super::{brief, device, expire, expiring, give, jwt, lasting, refused, until_expired};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call};
use crate::harness::{PATIENCE, Service, Socket, Store};

on_both!(a_call_outlives_its_tokens_and_a_restart);

mod only_here {
    use super::*;
    on_sqlite!(
        a_device_comes_back_to_its_call_and_no_other_device_does,
        a_device_without_a_name_comes_back_to_its_call,
        a_session_goes_on_where_it_broke_off,
        a_session_that_lost_its_watches_is_begun_anew_with_a_fresh_token,
        a_device_that_was_away_at_the_end_is_told_it,
        a_session_is_told_the_end_in_its_place,
        a_token_that_expired_before_the_call_is_no_way_into_it,
        a_service_whose_token_has_expired_is_not_let_in_for_others,
    );
}

/// 1 and 2 in a call, 2 with `hello`; the token of 1 has expired.
async fn lapsed(service: &Service) -> (Socket, Socket, i64, String) {
    let mut anna = device(service, "1", "desk", &lasting("1")).await;
    let mut ben = device(service, "2", "phone", &lasting("2")).await;
    ben.hello().await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let token = expire(service, "1", &mut [&mut anna]).await;
    (anna, ben, call, token)
}

async fn a_call_outlives_its_tokens_and_a_restart(store: Store) {
    let mut service = jwt(&store).await;
    let (_, _, call, token) = lapsed(&service).await;
    service.restart().await;
    let mut anna = device(&service, "1", "desk", &token).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    refused(&service, "1", "tablet", &token).await;
    anna.candidate("2", 1).await;
    assert_eq!(ben.expect("ice_candidate").await["candidate"], candidate(1));
    ben.hang_up("1").await;
    assert_eq!(call_id(&anna.expect("call_ended").await), call);
    anna.expect_close(4401).await;
    refused(&service, "1", "desk", &token).await;
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
}

async fn a_device_comes_back_to_its_call_and_no_other_device_does(store: Store) {
    let service = jwt(&store).await;
    let (anna, mut ben, _, token) = lapsed(&service).await;
    anna.vanish();
    ben.expect("peer_reconnecting").await;
    refused(&service, "1", "tablet", &token).await;
    let mut anna = device(&service, "1", "desk", &token).await;
    ben.expect("peer_resumed").await;
    anna.quiet().await;
    // It is there for the call alone, as before.
    anna.invite("3").await;
    assert_eq!(anna.expect("error").await["code"], "unauthorized");
    let welcome = anna.hello().await;
    assert_eq!((welcome["calls"].as_array().map(Vec::len), &welcome["unseen_missed"]), (Some(1), &Value::Null));
    // A second connection of the device takes the place of the first.
    let mut again = device(&service, "1", "desk", &token).await;
    anna.expect_close(4409).await;
    again.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
    give(&mut again, &lasting("1")).await;
    again.hang_up("2").await;
    ben.expect("call_ended").await;
    again.quiet().await;
}

async fn a_device_without_a_name_comes_back_to_its_call(store: Store) {
    let service = jwt(&store).await;
    let open = async |token: &str| Socket::dial(&service, "1").token(token).open().await;
    let mut anna = open(&lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    ben.hello().await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let token = expire(&service, "1", &mut [&mut anna]).await;
    // As long as it is there, another one is another.
    Socket::dial(&service, "1").token(&token).try_open().await.expect("an upgrade").expect_close(4401).await;
    anna.vanish();
    ben.expect("peer_reconnecting").await;
    let mut anna = open(&token).await;
    ben.expect("peer_resumed").await;
    anna.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    anna.expect_close(4401).await;
}

async fn a_session_goes_on_where_it_broke_off(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    let session = anna.hello().await["session_id"].clone();
    anna.send(json!({ "type": "presence_subscribe", "user_ids": [3] })).await;
    anna.expect("presence_snapshot").await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let token = brief("1");
    give(&mut anna, &token).await;
    let seq = anna.all().await.iter().filter_map(|message| message["seq"].as_u64()).max().unwrap_or(2);
    // The token expires while nobody looks after it.
    anna.vanish();
    until_expired(&service, &token).await;
    ben.candidate("1", 1).await;
    let _cleo = device(&service, "3", "desk", &lasting("3")).await;
    let mut anna = Socket::dial(&service, "1").device("desk").token(&token).open_silently().await;
    let welcome = anna.resume(&session, seq).await;
    assert_eq!(welcome["recovered"], true, "{welcome}");
    assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(1));
    anna.without("presence_changed").await;
    ben.candidate("1", 2).await;
    anna.expect("ice_candidate").await;
    anna.without("presence_changed").await;
}

async fn a_session_that_lost_its_watches_is_begun_anew_with_a_fresh_token(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    let session = anna.hello().await["session_id"].clone();
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    expire(&service, "1", &mut [&mut anna]).await;
    let seq = anna.all().await.iter().filter_map(|message| message["seq"].as_u64()).max().unwrap_or(0);
    anna.vanish();
    let mut anna = Socket::dial(&service, "1").device("desk").token(&lasting("1")).open_silently().await;
    let welcome = anna.resume(&session, seq).await;
    assert_eq!(welcome["recovered"], false, "its client has to watch again: {welcome}");
    assert_eq!(welcome["calls"].as_array().map(Vec::len), Some(1), "{welcome}");
}

async fn a_device_that_was_away_at_the_end_is_told_it(store: Store) {
    let service = jwt(&store).await;
    let (anna, mut ben, call, token) = lapsed(&service).await;
    anna.vanish();
    ben.expect("peer_reconnecting").await;
    ben.hang_up("1").await;
    ben.round_trip().await;
    let dial = Socket::dial(&service, "1").device("desk").token(&token);
    let mut anna = dial.try_open().await.expect("an upgrade");
    assert_eq!(call_id(&anna.expect_within(PATIENCE, "call_ended").await), call);
    anna.expect_close(4401).await;
    refused(&service, "1", "desk", &token).await;
}

async fn a_session_is_told_the_end_in_its_place(store: Store) {
    let service = jwt(&store).await;
    for speaks in [true, false] {
        let mut anna = device(&service, "1", "desk", &lasting("1")).await;
        let mut ben = device(&service, "2", "phone", &lasting("2")).await;
        let session = anna.hello().await["session_id"].clone();
        ben.hello().await;
        let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
        let token = expire(&service, "1", &mut [&mut anna]).await;
        let seq = anna.all().await.iter().filter_map(|message| message["seq"].as_u64()).max().unwrap_or(2);
        anna.vanish();
        ben.expect("peer_reconnecting").await;
        ben.hang_up("1").await;
        ben.round_trip().await;
        let mut anna = Socket::dial(&service, "1").device("desk").token(&token).open_silently().await;
        if speaks {
            let welcome = anna.resume(&session, seq).await;
            assert_eq!((&welcome["recovered"], &welcome["calls"]), (&json!(true), &json!([])), "{welcome}");
        }
        // A client that does not speak is waited for a little, and then told all the same.
        assert_eq!(call_id(&anna.expect("call_ended").await), call);
        anna.expect_close(4401).await;
    }
}

async fn a_token_that_expired_before_the_call_is_no_way_into_it(store: Store) {
    let service = jwt(&store).await;
    let old = expiring("1", -5, &json!({}));
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    refused(&service, "1", "desk", &old).await;
    // Nor does it disturb who is in it.
    anna.quiet().await;
    ben.quiet().await;
}

async fn a_service_whose_token_has_expired_is_not_let_in_for_others(store: Store) {
    let service = jwt(&store).await;
    let mut anna = device(&service, "1", "desk", &lasting("1")).await;
    let mut ben = device(&service, "2", "phone", &lasting("2")).await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let backend = expiring("backend", 1, &json!({ "role": "service" }));
    until_expired(&service, &backend).await;
    refused(&service, "1", "desk", &backend).await;
    anna.quiet().await;
}
