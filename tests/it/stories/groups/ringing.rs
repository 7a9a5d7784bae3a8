//! How a group begins: several ring, and join, decline or cannot come.

use std::time::Duration;

use serde_json::{Value, json};

use super::{answer_to, bring, hears, leave, missed_of, offer_to, part, ring, sdp, shows, three};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call};
use crate::harness::{Rest, Service, Socket, Store};

on_both!(
    three_ring_join_and_negotiate_pair_by_pair,
    a_message_in_a_group_names_a_member_or_is_refused,
    who_is_busy_or_offline_does_not_stop_the_others,
    a_call_nobody_of_several_can_take_is_over_at_once,
    one_declines_while_others_ring,
    the_inviter_leaves_while_somebody_rings,
    a_poller_takes_part_in_a_group,
    a_poller_calls_several,
);

async fn hears_candidate(member: &mut Socket) -> (Value, Value) {
    let message = member.expect("ice_candidate").await;
    (message["from_user_id"].clone(), message["candidate"]["candidate"].clone())
}

async fn three_ring_join_and_negotiate_pair_by_pair(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben, mut cleo) =
        (service.socket("1").await, service.socket("2").await, service.socket("3").await);
    ring(&mut anna, &["2", "3"]).await;
    let rung = ben.expect("call_invitation").await;
    let call = call_id(&rung);
    assert_eq!((&rung["participants"], &rung["offer"]["sdp"]), (&json!([1, 2, 3]), &"to all".into()), "{rung}");
    cleo.expect("call_invitation").await;
    anna.candidate("2", 1).await;
    assert_eq!(hears_candidate(&mut ben).await.0, 1);

    answer_to(&mut ben, call, "1", "b to a").await;
    assert_eq!(hears(&mut anna, "call_answer").await, (2.into(), "b to a".into()));
    // 3 still rings: what 2 sends it waits, candidates behind their offer.
    ben.candidate("3", 2).await;
    offer_to(&mut ben, call, "3", "b to c").await;
    ben.candidate("3", 3).await;
    ben.round_trip().await;
    cleo.quiet().await;
    answer_to(&mut cleo, call, "1", "c to a").await;
    assert_eq!(hears(&mut anna, "call_answer").await, (3.into(), "c to a".into()));
    let mut came = Vec::new();
    for _ in 0..3 {
        let message = cleo.next_within(Duration::from_secs(10)).await.expect("an offer and two candidates");
        assert_eq!((&message["from_user_id"], call_id(&message)), (&2.into(), call), "{message}");
        came.push(message["type"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(came, ["call_offer", "ice_candidate", "ice_candidate"]);
    cleo.candidate("2", 4).await;
    answer_to(&mut cleo, call, "2", "c to b").await;
    assert_eq!(hears(&mut ben, "call_answer").await, (3.into(), "c to b".into()));
    assert_eq!(hears_candidate(&mut ben).await, (3.into(), candidate(4)["candidate"].clone()));
    // Nobody heard what was not for them.
    anna.quiet().await;
    // Camera on between two of them.
    offer_to(&mut cleo, call, "2", "again").await;
    assert_eq!(hears(&mut ben, "call_offer").await, (3.into(), "again".into()));
    answer_to(&mut ben, call, "3", "as well").await;
    assert_eq!(hears(&mut cleo, "call_answer").await, (2.into(), "as well".into()));
    anna.quiet().await;

    for user in ["1", "2", "3"] {
        shows(&service, user, "in_call").await;
        let status = service.rest("9").get(&format!("/api/status/user/{user}")).await.ok();
        assert!(status["current_call_with"].is_null(), "{status}");
    }
    // With a recipient it is leaving all the same.
    ben.hang_up("1").await;
    shows(&service, "2", "online").await;
    anna.quiet().await;
    leave(&mut anna, call).await;
    let ended = cleo.expect("call_ended").await;
    assert_eq!((&ended["reason"], &ended["from_user_id"]), (&"completed".into(), &1.into()), "{ended}");
    anna.quiet().await;
    let record = service.rest("2").final_record(call).await;
    assert_eq!((&record["status"], &record["reason"]), (&"ended".into(), &"completed".into()), "{record}");
    for user in ["1", "2", "3"] {
        assert_eq!(part(&record, user), ("left".to_owned(), "completed".into()));
    }
    let history = service.rest("1").get("/api/call/history/3").await.ok();
    assert_eq!(history["history"][0]["call_status"], "answered", "{history}");
}

async fn a_message_in_a_group_names_a_member_or_is_refused(store: Store) {
    let service = Service::start(&store).await;
    let ([mut anna, mut ben, mut cleo], call) = three(&service).await;
    let mut dora = service.socket("4").await;
    for (message, code) in [
        (json!({ "type": "call_offer", "offer": sdp("offer", "x") }), "no_recipient"),
        (json!({ "type": "ice_candidate", "candidate": candidate(1) }), "no_recipient"),
        (json!({ "type": "call_answer", "call_id": call, "answer": sdp("answer", "x") }), "no_recipient"),
        (json!({ "type": "call_offer", "to_user_id": 4, "call_id": call, "offer": sdp("offer", "x") }), "not_found"),
        (json!({ "type": "ice_candidate", "to_user_id": 4, "call_id": call, "candidate": candidate(1) }), "not_found"),
    ] {
        ben.send(message.clone()).await;
        assert_eq!(ben.expect("error").await["code"], code, "{message}");
    }
    offer_to(&mut dora, call, "1", "let me in").await;
    assert_eq!(dora.expect("error").await["code"], "not_found");
    leave(&mut cleo, call).await;
    shows(&service, "3", "online").await;
    offer_to(&mut ben, call, "3", "x").await;
    assert_eq!(ben.expect("error").await["code"], "call_ended");
    for socket in [&mut anna, &mut cleo, &mut dora] {
        socket.quiet().await;
    }
}

async fn who_is_busy_or_offline_does_not_stop_the_others(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (mut cleo, mut dora) = (service.socket("3").await, service.socket("4").await);
    connect_call((&mut cleo, "3"), (&mut dora, "4")).await;
    ring(&mut anna, &["2", "3", "5"]).await;
    let call = call_id(&ben.expect("call_invitation").await);
    for (user, reason) in [(3, "busy"), (5, "offline")] {
        let told = anna.expect("call_declined").await;
        assert_eq!((&told["from_user_id"], &told["reason"]), (&user.into(), &reason.into()), "{told}");
        assert_eq!(call_id(&told), call);
    }
    answer_to(&mut ben, call, "1", "yes").await;
    anna.expect("call_answer").await;
    cleo.quiet().await;
    anna.quiet().await;
    leave(&mut ben, call).await;
    assert_eq!(anna.expect("call_ended").await["reason"], "completed");
    let record = service.rest("1").final_record(call).await;
    assert_eq!(record["status"], "ended");
    assert_eq!(part(&record, "3"), ("missed".to_owned(), "busy".into()));
    assert_eq!(part(&record, "5"), ("missed".to_owned(), "offline".into()));
    for user in ["3", "5"] {
        let missed = missed_of(&service, user).await;
        assert_eq!((missed.len(), &missed[0]["id"], &missed[0]["caller_id"]), (1, &call.into(), &1.into()));
    }
    assert!(missed_of(&service, "2").await.is_empty());
}

async fn a_call_nobody_of_several_can_take_is_over_at_once(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    ring(&mut anna, &["2", "3"]).await;
    for user in [2, 3] {
        let told = anna.expect("call_declined").await;
        assert_eq!((&told["from_user_id"], &told["reason"]), (&user.into(), &"offline".into()), "{told}");
    }
    assert_eq!(anna.expect("call_ended").await["reason"], "offline");
    anna.quiet().await;
    shows(&service, "1", "online").await;
}

async fn one_declines_while_others_ring(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let (mut ben, mut phone) = (service.device("2", "laptop").await, service.device("2", "phone").await);
    let mut cleo = service.socket("3").await;
    ring(&mut anna, &["2", "3"]).await;
    let call = call_id(&ben.expect("call_invitation").await);
    phone.expect("call_invitation").await;
    cleo.expect("call_invitation").await;
    ben.decline("1").await;
    assert_eq!(phone.expect("call_ended").await["reason"], "declined_elsewhere");
    let told = anna.expect("call_declined").await;
    assert_eq!((&told["from_user_id"], &told["reason"], call_id(&told)), (&2.into(), &"declined".into(), call));
    anna.quiet().await;
    cleo.quiet().await;
    shows(&service, "2", "online").await;
    // The last one says no, too: that is said of it, and then that the call is over.
    cleo.decline("1").await;
    assert_eq!(anna.expect("call_declined").await["from_user_id"], 3);
    assert_eq!(anna.expect("call_ended").await["reason"], "declined");
    for socket in [&mut anna, &mut ben, &mut phone, &mut cleo] {
        socket.quiet().await;
    }
    assert_eq!(service.rest("1").final_record(call).await["status"], "declined");
    assert!(missed_of(&service, "2").await.is_empty());
}

async fn the_inviter_leaves_while_somebody_rings(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben, mut cleo) =
        (service.socket("1").await, service.socket("2").await, service.socket("3").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    bring(&mut ben, call, "3", "b to c").await;
    cleo.expect("call_invitation").await;
    leave(&mut ben, call).await;
    shows(&service, "2", "online").await;
    anna.quiet().await;
    cleo.quiet().await;
    // Its answer to who has left is nobody's, but it has joined.
    answer_to(&mut cleo, call, "2", "c to b").await;
    shows(&service, "3", "in_call").await;
    offer_to(&mut cleo, call, "1", "c to a").await;
    assert_eq!(hears(&mut anna, "call_offer").await, (3.into(), "c to a".into()));
    ben.quiet().await;
    // And the other way round: all leave, and it stops ringing.
    bring(&mut anna, call, "2", "come back").await;
    ben.expect("call_invitation").await;
    leave(&mut anna, call).await;
    leave(&mut cleo, call).await;
    assert_eq!(ben.expect("call_cancelled").await["from_user_id"], 1);
    let record = service.rest("1").final_record(call).await;
    assert_eq!((&record["status"], part(&record, "2").0), (&"ended".into(), "missed".to_owned()), "{record}");
    for socket in [&mut anna, &mut ben, &mut cleo] {
        socket.quiet().await;
    }
}

async fn heartbeats(pollers: &[&Rest]) {
    for poller in pollers {
        poller.heartbeat().await;
    }
}

async fn a_poller_takes_part_in_a_group(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let mut cleo = service.rest("3");
    heartbeats(&[&cleo]).await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    bring(&mut ben, call, "3", "b to c").await;
    let rung = cleo.mail("incoming_call").await;
    assert_eq!((&rung["caller_id"], &rung["participants"]), (&2.into(), &json!([1, 2, 3])), "{rung}");
    let offer = cleo.mail("offer").await;
    assert_eq!((&offer["from_user_id"], &offer["signal"]["sdp"]), (&2.into(), &"b to c".into()), "{offer}");
    cleo.answer(call).await;
    cleo.signal("2", sdp("answer", "c to b")).await;
    assert_eq!(hears(&mut ben, "call_answer").await, (3.into(), "c to b".into()));
    cleo.signal("1", sdp("offer", "c to a")).await;
    assert_eq!(hears(&mut anna, "call_offer").await, (3.into(), "c to a".into()));
    answer_to(&mut anna, call, "3", "a to c").await;
    assert_eq!(cleo.mail("answer").await["from_user_id"], 1);
    let refused = cleo.post("/api/call/signal", json!({ "signal": sdp("offer", "to whom?") })).await.refused(400);
    assert_eq!(refused["code"], "no_recipient");
    leave(&mut anna, call).await;
    shows(&service, "1", "online").await;
    cleo.no_more_mail().await;
    cleo.hangup(call).await;
    assert_eq!(ben.expect("call_ended").await["reason"], "completed");
}

async fn a_poller_calls_several(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.rest("1"), service.rest("2"));
    let mut cleo = service.socket("3").await;
    heartbeats(&[&anna, &ben]).await;
    let body = anna.post("/api/call/initiate", json!({ "callee_ids": [2, 3, "4"] })).await.ok();
    assert_eq!(body["status"], "ringing", "{body}");
    let call = call_id(&body);
    let told = anna.mail("call_declined").await;
    assert_eq!((&told["user_id"], &told["reason"]), (&4.into(), &"offline".into()), "{told}");
    ben.mail("incoming_call").await;
    cleo.expect("call_invitation").await;
    anna.signal("3", sdp("offer", "a to c")).await;
    cleo.send(json!({ "type": "call_answer", "call_id": call })).await;
    assert_eq!(hears(&mut cleo, "call_offer").await, (1.into(), "a to c".into()));
    anna.mail("call_answered").await;
    ben.reject(call).await;
    let told = anna.mail("call_declined").await;
    assert_eq!((&told["user_id"], &told["reason"]), (&2.into(), &"declined".into()), "{told}");
    leave(&mut cleo, call).await;
    assert_eq!(anna.mail("call_ended").await["reason"], "completed");
    anna.no_more_mail().await;
    cleo.quiet().await;
}
