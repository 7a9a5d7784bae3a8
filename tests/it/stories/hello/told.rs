//! What there is to be told, numbered and acknowledged.

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use super::{numbers, seq};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call, invitation};
use crate::harness::{Service, Store, eventually};

on_both!(a_welcome_says_what_there_is, a_missed_call_is_told_and_counted,);

on_sqlite!(
    whoever_never_says_hello_hears_nothing_new,
    what_has_a_ref_is_acknowledged_or_refused,
    everything_after_hello_is_numbered_without_gaps,
    the_first_of_many_devices_wins,
    whoever_said_hello_is_told_of_a_shutdown,
    turn_credentials_are_what_the_server_computes,
);

/// The types of the extensions.
const EXTENSIONS: &[&str] = &[
    "welcome",
    "ack",
    "call_ringing",
    "call_answered",
    "peer_reconnecting",
    "peer_resumed",
    "peer_joined",
    "peer_left",
    "missed_call",
    "server_draining",
    "presence_snapshot",
    "presence_changed",
];

async fn a_welcome_says_what_there_is(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let welcome = anna.hello().await;
    assert_eq!(welcome["recovered"], json!(false));
    assert_eq!(
        (&welcome["seq"], &welcome["heartbeat_ms"], &welcome["ice_servers"], &welcome["calls"]),
        (&json!(0), &json!(10_000), &json!([]), &json!([]))
    );
    assert_eq!(welcome["unseen_missed"], json!(0));
    assert!(welcome["session_id"].as_str().is_some_and(|id| id.len() >= 32), "{welcome}");

    let mut ben = service.device("2", "phone").await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    let welcome = ben.hello().await;
    let seen = &welcome["calls"][0];
    assert_eq!((&seen["call_id"], &seen["status"]), (&json!(call), &json!("ringing")));
    assert_eq!((&seen["caller_id"], &seen["callee_ids"]), (&json!(1), &json!([2])));
    assert_eq!((&seen["call_type"], &seen["conversation_id"]), (&json!("voice"), &json!(123)));
    assert_eq!(seen["ringing_here"], json!(true));
    assert!(seen["expires_in_ms"].as_u64().is_some_and(|ms| (20_000..=30_000).contains(&ms)), "{seen}");
    ben.answer("1").await;
    anna.expect("call_answer").await;
    let mut tablet = service.device("2", "tablet").await;
    let seen = &tablet.hello().await["calls"][0];
    assert_eq!((&seen["status"], &seen["ringing_here"]), (&json!("answered"), &json!(false)));
    assert_eq!(seen["expires_in_ms"], Value::Null);
}

async fn a_missed_call_is_told_and_counted(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let mut tablet = service.device("2", "tablet").await;
    ben.hello().await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    anna.cancel("2").await;
    ben.expect("call_cancelled").await;
    let missed = ben.expect("missed_call").await;
    assert_eq!((call_id(&missed), &missed["from_user_id"]), (call, &json!(1)));
    assert_eq!((&missed["from_name"], &missed["call_type"]), (&json!("Somebody"), &json!("voice")));
    assert_eq!(missed["reason"], json!("cancelled"));
    ben.quiet().await;
    tablet.expect("call_cancelled").await;
    tablet.clear().await;
    assert_eq!(tablet.hello().await["unseen_missed"], json!(1));
}

async fn whoever_never_says_hello_hears_nothing_new(store: Store) {
    let service = Service::with(&store, &[("CALL__RECONNECT_GRACE", "2s")]).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let mut heard = Vec::new();
    anna.send(json!({ "type": "call_invitation", "to_user_id": 9, "ref": 1, "offer": {} })).await;
    anna.expect("call_declined").await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    ben.vanish();
    anna.round_trip().await;
    let mut ben = service.device("2", "phone").await;
    ben.candidate("1", 1).await;
    anna.expect("ice_candidate").await;
    ben.vanish();
    anna.expect("call_ended").await;
    let mut ben = service.device("2", "phone").await;
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    anna.send(json!({ "type": "call_cancelled", "to_user_id": 2, "ref": "r" })).await;
    ben.expect("call_cancelled").await;
    anna.send(json!({ "type": "presence_subscribe", "user_ids": [2] })).await;
    assert_eq!(anna.expect("error").await["code"], json!("out_of_turn"));
    service.terminate().await;
    heard.extend(anna.rest().await);
    heard.extend(ben.rest().await);
    for message in heard {
        let kind = message["type"].as_str().expect("a type");
        assert!(!EXTENSIONS.contains(&kind) && message.get("seq").is_none(), "{message}");
    }
}

async fn what_has_a_ref_is_acknowledged_or_refused(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.hello().await;
    let mut invite = invitation("2");
    invite["ref"] = json!("first");
    anna.send(invite).await;
    let ack = anna.expect("ack").await;
    let call = call_id(&ben.expect("call_invitation").await);
    assert_eq!((&ack["ref"], call_id(&ack)), (&json!("first"), call));
    assert!(ack["reason"].is_null() && ack["status"].is_string(), "{ack}");
    let ringing = anna.expect("call_ringing").await;
    assert_eq!((call_id(&ringing), &ringing["user_id"], &ringing["devices"]), (call, &json!(2), &json!(1)));
    ben.answer("1").await;
    anna.expect("call_answer").await;
    assert_eq!(call_id(&anna.expect("call_answered").await), call);
    anna.send(json!({ "type": "ice_candidate", "to_user_id": 2, "candidate": candidate(1), "ref": 2 })).await;
    assert_eq!(anna.expect("ack").await["ref"], json!(2));
    anna.send(json!({ "type": "call_ended", "call_id": call, "ref": 3 })).await;
    let ack = anna.expect("ack").await;
    assert_eq!((&ack["ref"], &ack["status"], &ack["reason"]), (&json!(3), &json!("ended"), &json!("completed")));
    anna.send(json!({ "type": "ice_candidate", "call_id": call, "candidate": candidate(2), "ref": 4 })).await;
    let error = anna.expect("error").await;
    assert_eq!((&error["ref"], &error["code"]), (&json!(4), &json!("call_ended")));
    anna.send(json!({ "type": "dance", "ref": 5 })).await;
    assert_eq!(anna.expect("error").await["ref"], json!(5));
}

async fn everything_after_hello_is_numbered_without_gaps(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    assert_eq!(anna.hello().await["seq"], json!(0));
    anna.send(json!({ "type": "ping" })).await;
    anna.send(json!({ "type": "dance" })).await;
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    ben.answer("1").await;
    ben.candidate("1", 1).await;
    ben.hang_up("1").await;
    ben.round_trip().await;
    eventually("the call is over", async || anna.has("call_ended").await.then_some(())).await;
    let all = anna.all().await;
    assert_eq!(numbers(&all), (1..=all.len() as u64).collect::<Vec<_>>(), "{all:?}");
    // Hello again: the same session, as it stands.
    assert_eq!(anna.hello().await["seq"], json!(all.len()));
}

async fn the_first_of_many_devices_wins(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut phone = service.device("2", "phone").await;
    let mut tablet = service.device("2", "tablet").await;
    let mut old = service.device("2", "old").await;
    for socket in [&mut anna, &mut phone, &mut tablet] {
        socket.hello().await;
    }
    anna.invite("2").await;
    let call = call_id(&tablet.expect("call_invitation").await);
    assert_eq!(anna.expect("call_ringing").await["devices"], json!(3));
    phone.expect("call_invitation").await;
    old.expect("call_invitation").await;
    tablet
        .send(json!({ "type": "call_answer", "to_user_id": 1, "answer": { "type": "answer", "sdp": "v=0" }, "ref": 1 }))
        .await;
    let ack = tablet.expect("ack").await;
    assert_eq!((&ack["ref"], &ack["status"], call_id(&ack)), (&json!(1), &json!("answered"), call));
    assert_eq!(call_id(&anna.expect("call_answer").await), call);
    let elsewhere = phone.expect("call_ended").await;
    assert_eq!((&elsewhere["reason"], seq(&elsewhere)), (&json!("answered_elsewhere"), 2));
    assert!(old.expect("call_ended").await.get("seq").is_none());
    phone
        .send(json!({ "type": "call_answer", "call_id": call, "answer": { "type": "answer", "sdp": "v=0" }, "ref": 2 }))
        .await;
    let error = phone.expect("error").await;
    assert_eq!((&error["ref"], &error["code"]), (&json!(2), &json!("answered_elsewhere")));
    phone.quiet().await;
    old.quiet().await;
    // Two sockets of one device: the newer one stays, and the call with it.
    let mut again = service.device("2", "tablet").await;
    tablet.expect_close(4409).await;
    assert_eq!(again.hello().await["calls"][0]["status"], json!("answered"));
    anna.candidate("2", 1).await;
    again.expect("ice_candidate").await;
    anna.without("call_ended").await;
}

async fn whoever_said_hello_is_told_of_a_shutdown(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.hello().await;
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    service.terminate().await;
    anna.expect("server_draining").await;
    ben.quiet().await;
    anna.hang_up("2").await;
    anna.expect_close(1012).await;
    ben.expect_close(1012).await;
}

async fn turn_credentials_are_what_the_server_computes(store: Store) {
    let settings = [
        ("ICE__TURN_SECRET", "north-by-northwest"),
        ("ICE__TURN_URLS", "turn:t.example:3478,turns:t.example:5349"),
        ("ICE__STUN_URLS", "stun:s.example:3478"),
    ];
    let service = Service::with(&store, &settings).await;
    let body = service.rest("7").get("/api/ice-servers").await.ok();
    let mut anna = service.socket("7").await;
    let welcomed = anna.hello().await["ice_servers"].clone();
    for servers in [&body["ice_servers"], &welcomed] {
        assert_eq!(servers[0], json!({ "urls": ["stun:s.example:3478"] }));
        assert_eq!(servers[1]["urls"], json!(["turn:t.example:3478", "turns:t.example:5349"]));
        let name = servers[1]["username"].as_str().expect("a name");
        let (expiry, user) = name.split_once(':').expect("expiry:user");
        assert_eq!(user, "7");
        assert!(expiry.parse::<i64>().is_ok_and(|at| at > 1_700_000_000), "{name}");
        let mut mac = Hmac::<Sha1>::new_from_slice(b"north-by-northwest").expect("a key");
        mac.update(name.as_bytes());
        let wanted = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(servers[1]["credential"], json!(wanted));
    }
    assert_eq!(body["ttl_seconds"], json!(3600));
    service.rest("7").get("/api/ice-servers/").await.ok();
    let nobody = reqwest::get(service.url("/api/ice-servers")).await.expect("an answer");
    assert_eq!(nobody.status().as_u16(), 401);
}
