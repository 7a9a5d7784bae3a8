//! What sockets that said `hello` are told beyond the seeds, and that nobody else is.

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::harness::rest::call_id;
use crate::harness::socket::{Socket, candidate, connect_call, invitation};
use crate::harness::{PATIENCE, Service, Store, eventually};

on_both!(
    a_welcome_says_what_there_is,
    a_missed_call_is_told_and_counted,
    who_is_away_was_last_seen_when_the_database_says,
);

on_sqlite!(
    whoever_never_says_hello_hears_nothing_new,
    what_has_a_ref_is_acknowledged_or_refused,
    everything_after_hello_is_numbered_without_gaps,
    nothing_is_lost_or_doubled_when_the_socket_drops_in_a_burst,
    a_session_that_cannot_be_filled_is_begun_anew,
    a_session_is_its_own_users,
    a_device_that_is_back_is_rung_once,
    a_closing_that_came_while_away_is_told_once_after_what_was_missed,
    whoever_comes_back_without_a_word_is_told_all_the_same,
    the_same_device_takes_over_without_disturbing_the_call,
    the_first_of_many_devices_wins,
    the_other_side_is_told_of_a_loss_and_a_return,
    presence_is_watched,
    many_changes_are_told_as_few,
    a_socket_watches_a_thousand_and_no_more,
    watching_outlives_the_socket,
    presence_is_shown_to_those_who_share_a_conversation,
    presence_is_shown_to_nobody,
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

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap_or_else(|| panic!("no seq: {message}"))
}

/// The numbers of messages in the order they came; fails where one is missing.
fn numbers(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(seq).collect()
}

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

async fn nothing_is_lost_or_doubled_when_the_socket_drops_in_a_burst(store: Store) {
    let service = Service::with(&store, &[("LIMITS__MESSAGE_BURST", "1000")]).await;
    for round in 0..5 {
        let mut anna = service.device("1", "laptop").await;
        let mut ben = service.device("2", "phone").await;
        let session = ben.hello().await["session_id"].clone();
        connect_call((&mut anna, "1"), (&mut ben, "2")).await;
        // So that the direct way is open in some rounds and the long way is taken in others.
        if round % 2 == 0 {
            ben.candidate("1", 0).await;
            anna.expect("ice_candidate").await;
        }
        ben.round_trip().await;
        let mut got = ben.all().await;
        let before = got.len();
        let burst = async {
            for number in 1..=50 {
                anna.candidate("2", number).await;
            }
            anna.round_trip().await;
        };
        let listening = async {
            while got.len() < before + 20 {
                got.extend(ben.next_within(PATIENCE).await);
            }
            ben.vanish();
        };
        tokio::join!(burst, listening);
        let last = got.iter().map(seq).max().unwrap_or(0);
        let mut ben = Socket::dial(&service, "2").device("phone").open_silently().await;
        for number in 51..=100 {
            anna.candidate("2", number).await;
        }
        let welcome = ben.resume(&session, last).await;
        assert_eq!((&welcome["recovered"], &welcome["seq"]), (&json!(true), &json!(last)), "round {round}");
        while got.iter().filter(|message| message["type"] == "ice_candidate").count() < 100 {
            let next = ben.next_within(PATIENCE).await;
            got.push(next.unwrap_or_else(|| panic!("round {round}: only {} came", got.len())));
        }
        got.extend(ben.all().await);
        let all = numbers(&got);
        assert_eq!(all, (all[0]..all[0] + all.len() as u64).collect::<Vec<_>>(), "round {round}: {got:?}");
        let candidates: Vec<_> = got.iter().filter(|message| message["type"] == "ice_candidate").collect();
        let wanted: Vec<Value> = (1..=100).map(candidate).collect();
        assert_eq!(candidates.iter().map(|c| c["candidate"].clone()).collect::<Vec<_>>(), wanted, "round {round}");
        ben.hang_up("1").await;
        anna.expect("call_ended").await;
        ben.close().await;
        anna.close().await;
        eventually("both are gone", async || (service.rest("9").status_of("2").await == "offline").then_some(())).await;
    }
}

async fn a_session_that_cannot_be_filled_is_begun_anew(store: Store) {
    let service =
        Service::with(&store, &[("LIMITS__MESSAGES_PER_SECOND", "1000"), ("LIMITS__MESSAGE_BURST", "1000")]).await;
    let mut anna = service.device("1", "laptop").await;
    let session = anna.hello().await["session_id"].clone();
    for _ in 0..3 {
        for _ in 0..100 {
            anna.send(json!({ "type": "ping" })).await;
        }
        for _ in 0..100 {
            anna.expect("pong").await;
        }
    }
    anna.vanish();
    // The first 44 of 300 are gone.
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    let welcome = anna.resume(&session, 10).await;
    assert_eq!((&welcome["recovered"], &welcome["seq"]), (&json!(false), &json!(0)));
    assert_ne!(welcome["session_id"], session);
    anna.quiet().await;
    // Unknown, from the future, and told something already.
    let session = welcome["session_id"].clone();
    let mut other = service.device("1", "other").await;
    assert_eq!(other.resume(&json!("nonsense"), 0).await["recovered"], json!(false));
    anna.vanish();
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    assert_eq!(anna.resume(&session, 7).await["recovered"], json!(false));
    let session = anna.hello().await["session_id"].clone();
    anna.vanish();
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    anna.send(json!({ "type": "ping" })).await;
    assert!(anna.expect("pong").await.get("seq").is_none());
    assert_eq!(anna.resume(&session, 0).await["recovered"], json!(false));
}

async fn a_session_is_its_own_users(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let session = anna.hello().await["session_id"].clone();
    anna.send(json!({ "type": "ping" })).await;
    anna.expect("pong").await;
    let mut eve = service.device("6", "laptop").await;
    let welcome = eve.resume(&session, 0).await;
    assert_eq!(welcome["recovered"], json!(false));
    assert_ne!(welcome["session_id"], session);
    eve.quiet().await;
    // Nor another device's, while its socket is open.
    let mut phone = service.device("1", "phone").await;
    assert_eq!(phone.resume(&session, 0).await["recovered"], json!(false));
    phone.quiet().await;
    anna.vanish();
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    assert_eq!(anna.resume(&session, 0).await["recovered"], json!(true));
    assert_eq!(anna.expect("pong").await["seq"], json!(1));
}

async fn a_device_that_is_back_is_rung_once(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let session = ben.hello().await["session_id"].clone();
    anna.invite("2").await;
    let rung = ben.expect("call_invitation").await;
    // Once it was read, once it was not.
    for seq in [seq(&rung), 0] {
        ben.vanish();
        ben = Socket::dial(&service, "2").device("phone").open_silently().await;
        let welcome = ben.resume(&session, seq).await;
        assert_eq!(welcome["recovered"], json!(seq > 0), "trimmed once it was acknowledged");
        assert_eq!(welcome["calls"][0]["ringing_here"], json!(true));
        if seq > 0 {
            ben.quiet().await;
        } else {
            assert_eq!(call_id(&ben.expect("call_invitation").await), call_id(&rung));
            ben.quiet().await;
        }
    }
    ben.answer("1").await;
    anna.expect("call_answer").await;
}

async fn a_closing_that_came_while_away_is_told_once_after_what_was_missed(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let session = ben.hello().await["session_id"].clone();
    anna.invite("2").await;
    let rung = ben.expect("call_invitation").await;
    ben.vanish();
    let rest = service.rest("9");
    eventually("ben is seen gone", async || (rest.status_of("2").await == "offline").then_some(())).await;
    anna.cancel("2").await;
    anna.round_trip().await;
    let record = service.rest("1").final_record(call_id(&rung)).await;
    assert_eq!(record["reason"], json!("cancelled"));
    let mut ben = Socket::dial(&service, "2").device("phone").open_silently().await;
    let welcome = ben.resume(&session, 0).await;
    assert_eq!((&welcome["recovered"], &welcome["calls"]), (&json!(true), &json!([])));
    let all = ben.all().await;
    let kinds: Vec<_> = all.iter().map(|message| message["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["call_invitation", "call_cancelled"], "{all:?}");
    assert_eq!(numbers(&all), [1, 2]);
}

async fn whoever_comes_back_without_a_word_is_told_all_the_same(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    ben.hello().await;
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    ben.vanish();
    let mut ben = Socket::dial(&service, "2").device("phone").open_silently().await;
    let again = ben.expect("call_invitation").await;
    assert!(again.get("seq").is_none(), "{again}");
    anna.cancel("2").await;
    assert!(ben.expect("call_cancelled").await.get("seq").is_none());
    ben.quiet().await;
}

async fn the_same_device_takes_over_without_disturbing_the_call(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.hello().await;
    let session = ben.hello().await["session_id"].clone();
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let last = ben.all().await.last().map_or(1, seq);
    // The old socket seems open: the network changed under it.
    let mut again = Socket::dial(&service, "2").device("phone").open_silently().await;
    let welcome = again.resume(&session, last).await;
    assert_eq!(welcome["recovered"], json!(true));
    assert_eq!(welcome["calls"][0]["call_id"], json!(call));
    ben.expect_close(4409).await;
    anna.candidate("2", 1).await;
    assert_eq!(seq(&again.expect("ice_candidate").await), last + 1);
    anna.without("peer_reconnecting").await;
    anna.without("call_ended").await;
    again.hang_up("1").await;
    assert_eq!(anna.expect("call_ended").await["reason"], json!("completed"));
}

async fn the_other_side_is_told_of_a_loss_and_a_return(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.hello().await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    ben.vanish();
    let lost = anna.expect("peer_reconnecting").await;
    assert_eq!((call_id(&lost), &lost["user_id"]), (call, &json!(2)));
    assert!(lost["grace_ms"].as_u64().is_some_and(|ms| (20_000..=30_000).contains(&ms)), "{lost}");
    let mut ben = service.device("2", "phone").await;
    let back = anna.expect("peer_resumed").await;
    assert_eq!((call_id(&back), &back["user_id"]), (call, &json!(2)));
    ben.quiet().await;
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
    assert!(frames < 100, "150 changes and more in {frames} messages");
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
