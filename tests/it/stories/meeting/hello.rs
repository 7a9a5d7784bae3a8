//! What the extensions tell of those who speak another dialect.

use serde_json::json;

use super::{act, call_page, chat, ice_on_page, page, profile, shows, token_of_7};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, description, invitation};
use crate::harness::{Service, Socket, Store};

on_sqlite!(
    who_said_hello_talks_to_a_poller,
    hello_on_a_profile_socket,
    a_profile_is_watched_by_any_of_its_names,
    who_said_hello_is_told_of_a_page_that_is_lost,
    a_resumed_device_has_the_direct_way_to_a_page,
    a_drain_is_told_in_every_dialect,
);

async fn hello_on_a_profile_socket(store: Store) {
    let service = Service::start(&store).await;
    let token = token_of_7(&service).await;
    let dial = || Socket::dial_profile(&service, "1", "tutor").token(&token).device("board");
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let mut tia = dial().open().await;
    let welcome = tia.hello().await;
    assert_eq!((&welcome["seq"], &welcome["recovered"]), (&json!(0), &json!(false)), "{welcome}");
    anna.invite("tutor_1").await;
    let rung = tia.expect("call_invitation").await;
    assert_eq!((&rung["seq"], &rung["from_profile_type"]), (&json!(1), &json!("user")), "{rung}");
    let ringing = anna.expect("call_ringing").await;
    assert_eq!(ringing["user_id"], 7, "{ringing}");
    tia.answer("1").await;
    assert_eq!(anna.expect("call_answer").await["from_profile_id"], 1);
    anna.expect("call_answered").await;
    tia.candidate("1", 1).await;
    anna.expect("ice_candidate").await;
    tia.vanish();
    let lost = anna.expect("peer_reconnecting").await;
    assert_eq!(lost["user_id"], 7, "{lost}");
    anna.candidate("tutor_1", 2).await;
    anna.round_trip().await;
    let mut tia = dial().open_silently().await;
    let back = tia.resume(&welcome["session_id"], 1).await;
    assert_eq!((&back["recovered"], &back["seq"]), (&json!(true), &json!(1)), "{back}");
    assert_eq!(back["calls"][0]["callee_ids"], json!([7]), "{back}");
    let held = tia.expect("ice_candidate").await;
    assert_eq!((&held["candidate"], &held["seq"]), (&candidate(2), &json!(2)), "{held}");
    anna.expect("peer_resumed").await;
    anna.candidate("7", 3).await;
    assert_eq!(tia.expect("ice_candidate").await["seq"], 3);
    tia.hang_up("1").await;
    anna.expect("call_ended").await;
    tia.quiet().await;
    anna.quiet().await;
}

async fn who_said_hello_is_told_of_a_page_that_is_lost(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let mut ben = page(&service, "2").await;
    let call = call_page((&mut anna, "1"), (&mut ben, "2"), &service).await;
    anna.clear().await;
    // One more socket is no news, nor is its going.
    let more = chat(&service, "2").await;
    more.close().await;
    anna.quiet().await;
    ben.vanish();
    let lost = anna.expect("peer_reconnecting").await;
    assert_eq!((call_id(&lost), &lost["user_id"]), (call, &json!(2)), "{lost}");
    anna.candidate("2", 1).await;
    let mut ben = page(&service, "2").await;
    ice_on_page(&mut ben, call, 2).await;
    assert_eq!(ben.expect("call.ice").await["candidate"], candidate(1));
    anna.expect("peer_resumed").await;
    assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(2));
    ben.quiet().await;
    // The other way round: the page is told nothing it does not know.
    anna.vanish();
    store.open().await.until_lost(2).await;
    shows(&service, "2", "in_call").await;
    ben.quiet().await;
    act(&service, "2", call, "end").await;
    let mut anna = service.device("1", "laptop").await;
    anna.expect("call_ended").await;
    ben.quiet().await;
}

async fn who_said_hello_talks_to_a_poller(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let welcome = anna.hello().await;
    let mut ben = service.rest("2");
    ben.heartbeat().await;
    let mut invite = invitation("2");
    invite["ref"] = json!("r");
    anna.send(invite).await;
    let call = call_id(&anna.expect("ack").await);
    ben.mail("incoming_call").await;
    ben.mail("offer").await;
    ben.answer(call).await;
    ben.signal("1", description("answer")).await;
    anna.expect("call_ringing").await;
    anna.expect("call_answered").await;
    let last = anna.expect("call_answer").await["seq"].as_u64().expect("a number");
    anna.vanish();
    ben.signal("1", json!({ "type": "ice_candidate", "candidate": candidate(1) })).await;
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    assert_eq!(anna.resume(&welcome["session_id"], last).await["recovered"], true);
    assert_eq!(anna.expect("ice_candidate").await["seq"], last + 1);
    anna.candidate("2", 2).await;
    assert_eq!(ben.mail("ice_candidate").await["signal"]["candidate"], candidate(2));
    ben.hangup(call).await;
    anna.expect("call_ended").await;
    anna.quiet().await;
    ben.no_more_mail().await;
}

async fn a_resumed_device_has_the_direct_way_to_a_page(store: Store) {
    let service =
        Service::with(&store, &[("LIMITS__MESSAGES_PER_SECOND", "1000"), ("LIMITS__MESSAGE_BURST", "1000")]).await;
    let mut anna = service.device("1", "laptop").await;
    let session = anna.hello().await["session_id"].clone();
    let mut ben = page(&service, "2").await;
    let call = call_page((&mut anna, "1"), (&mut ben, "2"), &service).await;
    let (mut number, mut last) = (0, anna.hello().await["seq"].as_u64().expect("a number"));
    for _ in 0..3 {
        anna.vanish();
        ice_on_page(&mut ben, call, 500).await;
        anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
        assert_eq!(anna.resume(&session, last).await["recovered"], true);
        for _ in 0..20 {
            number += 1;
            anna.candidate("2", number).await;
            ice_on_page(&mut ben, call, number).await;
        }
        for wanted in number - 19..=number {
            assert_eq!(ben.expect("call.ice").await["candidate"], candidate(wanted));
        }
        let all = async {
            let mut heard = Vec::new();
            while heard.len() < 21 {
                let message = anna.expect("ice_candidate").await;
                last = message["seq"].as_u64().expect("a number");
                heard.push(message["candidate"].clone());
            }
            heard
        };
        let wanted: Vec<_> = std::iter::once(500).chain(number - 19..=number).map(candidate).collect();
        assert_eq!(all.await, wanted);
    }
    anna.hang_up("2").await;
    ben.expect("call.end").await;
    ben.quiet().await;
}

async fn a_profile_is_watched_by_any_of_its_names(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let token = token_of_7(&service).await;
    let tia = Socket::dial_profile(&service, "1", "tutor").token(&token).device("board").open().await;
    let stray = profile(&service, "2", "stray").await;
    anna.send(json!({ "type": "presence_subscribe", "user_ids": ["tutor_1", 7, "tutor_2", "tutor_3"] })).await;
    let snapshot = anna.expect("presence_snapshot").await;
    let seen: Vec<_> = snapshot["users"]
        .as_array()
        .expect("users")
        .iter()
        .map(|u| (u["user_id"].clone(), u["status"].clone()))
        .collect();
    assert_eq!(
        seen,
        [
            (json!("tutor_1"), json!("online")),
            (json!(7), json!("online")),
            (json!("tutor_2"), json!("online")),
            (json!("tutor_3"), json!("offline")),
        ]
    );
    tia.close().await;
    stray.close().await;
    let mut gone = Vec::new();
    while gone.len() < 3 {
        let changed = anna.expect("presence_changed").await;
        for user in changed["users"].as_array().expect("users") {
            assert_eq!(user["status"], "offline", "{changed}");
            gone.push(user["user_id"].to_string());
        }
    }
    gone.sort();
    assert_eq!(gone, ["\"tutor_1\"", "\"tutor_2\"", "7"]);
    anna.send(json!({ "type": "presence_unsubscribe", "user_ids": ["tutor_1"], "ref": "u" })).await;
    assert_eq!(anna.expect("ack").await["ref"], json!("u"));
    let _tia = Socket::dial_profile(&service, "1", "tutor").token(&token).device("board").open().await;
    let changed = anna.expect("presence_changed").await;
    assert_eq!((&changed["users"][0]["user_id"], changed["users"].as_array().map(Vec::len)), (&json!(7), Some(1)));
    anna.quiet().await;
}

async fn a_drain_is_told_in_every_dialect(store: Store) {
    let mut service = Service::start(&store).await;
    let token = token_of_7(&service).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let mut ben = page(&service, "2").await;
    let mut open = chat(&service, "2").await;
    let mut tia = Socket::dial_profile(&service, "1", "tutor").token(&token).device("board").open().await;
    tia.hello().await;
    let mut plain = profile(&service, "3", "plain").await;
    service.rest("4").heartbeat().await;
    let call = call_page((&mut anna, "1"), (&mut ben, "2"), &service).await;
    open.clear().await;
    service.terminate().await;
    anna.expect("server_draining").await;
    tia.expect("server_draining").await;
    plain.quiet().await;
    // The call goes on, with one more socket of the page in it.
    let mut third = chat(&service, "2").await;
    ice_on_page(&mut third, call, 1).await;
    assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(1));
    act(&service, "2", call, "end").await;
    anna.expect("call_ended").await;
    for mut socket in [anna, ben, open, third, tia, plain] {
        socket.expect_close(1012).await;
    }
    assert!(service.exited().await.success());
}
