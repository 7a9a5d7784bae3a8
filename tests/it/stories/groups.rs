//! Calls of several: everybody rings, each pair negotiates for itself, people come and go.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::rest::{call_id, id};
use crate::harness::socket::{candidate, connect_call};
use crate::harness::{Rest, Service, Socket, Store, eventually};

on_both!(
    three_ring_join_and_negotiate_pair_by_pair,
    a_message_in_a_group_names_a_member_or_is_refused,
    who_is_busy_or_offline_does_not_stop_the_others,
    a_call_nobody_of_several_can_take_is_over_at_once,
    a_third_and_a_fourth_are_brought_in_and_leave_one_by_one,
    a_call_of_two_goes_on_if_whom_they_invited_cannot_come,
    an_invitation_to_a_member_is_an_offer_within_the_call,
    one_declines_while_others_ring,
    the_inviter_leaves_while_somebody_rings,
    a_lost_member_comes_back_to_its_group,
    a_dropped_member_leaves_a_group_that_goes_on,
    a_call_has_room_for_so_many,
    bringing_in_is_counted_like_calling,
    strangers_bring_nobody_in,
    who_has_just_left_is_invited_again_at_once,
    two_members_invite_the_same_one,
    of_two_calls_that_want_the_same_one_gets_them,
    a_group_call_survives_a_crash,
    a_poller_takes_part_in_a_group,
    a_poller_calls_several,
);

/// Who sent what to whom, as a payload.
fn sdp(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "sdp": text })
}

/// Rings several, with an offer.
async fn ring(caller: &mut Socket, callees: &[&str]) {
    let callees: Vec<Value> = callees.iter().map(|callee| id(callee)).collect();
    caller.send(json!({ "type": "call_invitation", "to_user_ids": callees, "offer": sdp("offer", "to all") })).await;
}

/// Brings somebody into a call, with an offer.
async fn bring(member: &mut Socket, call: i64, whom: &str, text: &str) {
    let offer = sdp("offer", text);
    member.send(json!({ "type": "call_invitation", "to_user_id": id(whom), "call_id": call, "offer": offer })).await;
}

async fn answer_to(member: &mut Socket, call: i64, to: &str, text: &str) {
    let answer = sdp("answer", text);
    member.send(json!({ "type": "call_answer", "to_user_id": id(to), "call_id": call, "answer": answer })).await;
}

async fn offer_to(member: &mut Socket, call: i64, to: &str, text: &str) {
    let offer = sdp("offer", text);
    member.send(json!({ "type": "call_offer", "to_user_id": id(to), "call_id": call, "offer": offer })).await;
}

async fn leave(member: &mut Socket, call: i64) {
    member.send(json!({ "type": "call_ended", "call_id": call })).await;
}

/// The next message of that type: who it is from and its `sdp`.
async fn hears(member: &mut Socket, kind: &str) -> (Value, Value) {
    let message = member.expect(kind).await;
    let field = if kind == "call_answer" { "answer" } else { "offer" };
    (message["from_user_id"].clone(), message[field]["sdp"].clone())
}

async fn hears_candidate(member: &mut Socket) -> (Value, Value) {
    let message = member.expect("ice_candidate").await;
    (message["from_user_id"].clone(), message["candidate"]["candidate"].clone())
}

/// User 1 called 2 and 3 from named devices, and both answered.
async fn three(service: &Service) -> ([Socket; 3], i64) {
    let mut anna = service.device("1", "a").await;
    let mut ben = service.device("2", "b").await;
    let mut cleo = service.device("3", "c").await;
    ring(&mut anna, &["2", "3"]).await;
    let call = call_id(&ben.expect("call_invitation").await);
    assert_eq!(call_id(&cleo.expect("call_invitation").await), call);
    for member in [&mut ben, &mut cleo] {
        answer_to(member, call, "1", "yes").await;
        anna.expect("call_answer").await;
    }
    ([anna, ben, cleo], call)
}

/// What a record says of one participant: state and reason.
fn part(record: &Value, user: &str) -> (String, Value) {
    let participants = record["participants"].as_array().unwrap_or_else(|| panic!("no participants: {record}"));
    let found = participants.iter().find(|leg| leg["user_id"] == id(user));
    let leg = found.unwrap_or_else(|| panic!("{user} is no participant: {record}"));
    (leg["state"].as_str().unwrap_or_default().to_owned(), leg["reason"].clone())
}

async fn shows(service: &Service, user: &str, status: &str) {
    let watcher = service.rest("99");
    eventually(&format!("{user} is {status}"), async || (watcher.status_of(user).await == status).then_some(())).await;
}

async fn missed_of(service: &Service, user: &str) -> Vec<Value> {
    service.rest(user).missed().await.0
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

async fn a_third_and_a_fourth_are_brought_in_and_leave_one_by_one(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (mut cleo, mut dora) = (service.socket("3").await, service.socket("4").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let with = service.rest("9").get("/api/status/user/1").await.ok();
    assert_eq!(with["current_call_with"], 2, "{with}");

    bring(&mut ben, call, "3", "b to c").await;
    let rung = cleo.expect("call_invitation").await;
    assert_eq!((call_id(&rung), &rung["from_user_id"]), (call, &2.into()), "{rung}");
    assert_eq!((&rung["offer"]["sdp"], &rung["participants"]), (&"b to c".into(), &json!([1, 2, 3])), "{rung}");
    shows(&service, "3", "busy").await;
    for user in ["1", "2"] {
        let status = service.rest("9").get(&format!("/api/status/user/{user}")).await.ok();
        assert_eq!((&status["status"], &status["current_call_with"]), (&"in_call".into(), &Value::Null), "{status}");
    }
    answer_to(&mut cleo, call, "2", "c to b").await;
    assert_eq!(hears(&mut ben, "call_answer").await, (3.into(), "c to b".into()));
    anna.quiet().await;
    // Who comes offers to those who were there.
    offer_to(&mut cleo, call, "1", "c to a").await;
    assert_eq!(hears(&mut anna, "call_offer").await, (3.into(), "c to a".into()));
    answer_to(&mut anna, call, "3", "a to c").await;
    assert_eq!(hears(&mut cleo, "call_answer").await, (1.into(), "a to c".into()));

    // Without an offer, and joined without an answer.
    anna.send(json!({ "type": "call_invitation", "to_user_ids": [4], "call_id": call })).await;
    let rung = dora.expect("call_invitation").await;
    assert_eq!((&rung["from_user_id"], &rung["participants"]), (&1.into(), &json!([1, 2, 3, 4])), "{rung}");
    assert!(rung["offer"].is_null(), "{rung}");
    dora.send(json!({ "type": "call_answer", "call_id": call })).await;
    shows(&service, "4", "in_call").await;
    offer_to(&mut dora, call, "2", "d to b").await;
    assert_eq!(hears(&mut ben, "call_offer").await, (4.into(), "d to b".into()));

    leave(&mut anna, call).await;
    shows(&service, "1", "online").await;
    leave(&mut ben, call).await;
    shows(&service, "2", "online").await;
    cleo.quiet().await;
    // One who left is brought in again.
    bring(&mut cleo, call, "2", "c to b again").await;
    let rung = ben.expect("call_invitation").await;
    assert_eq!((&rung["from_user_id"], &rung["participants"]), (&3.into(), &json!([3, 4, 2])), "{rung}");
    answer_to(&mut ben, call, "3", "back").await;
    assert_eq!(hears(&mut cleo, "call_answer").await, (2.into(), "back".into()));
    // Who made the call, too.
    bring(&mut dora, call, "1", "d to a").await;
    let rung = anna.expect("call_invitation").await;
    assert_eq!((&rung["from_user_id"], &rung["participants"]), (&4.into(), &json!([3, 4, 2, 1])), "{rung}");
    answer_to(&mut anna, call, "4", "back as well").await;
    assert_eq!(hears(&mut dora, "call_answer").await, (1.into(), "back as well".into()));
    leave(&mut anna, call).await;
    leave(&mut cleo, call).await;
    leave(&mut dora, call).await;
    assert_eq!(ben.expect("call_ended").await["reason"], "completed");
    for socket in [&mut anna, &mut ben, &mut cleo, &mut dora] {
        socket.quiet().await;
    }
    let record = service.rest("4").final_record(call).await;
    assert_eq!(record["caller_id"], 1);
    for user in ["1", "2", "3", "4"] {
        assert_eq!(part(&record, user), ("left".to_owned(), "completed".into()));
    }
    let db = store.open().await;
    let by_id = format!("WHERE id = {call}");
    let log = db.row(&["participants", "status"], "call_logs", &by_id).await;
    let participants: Value = serde_json::from_str(&log[0]).expect("a list");
    // Who comes again comes last.
    assert_eq!((participants, log[1].as_str()), (json!([1, 3, 4, 2]), "ended"));
    assert_eq!(db.count("call_history", &by_id).await, 3, "a row per callee");
}

async fn a_call_of_two_goes_on_if_whom_they_invited_cannot_come(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    bring(&mut anna, call, "3", "x").await;
    let told = anna.expect("call_declined").await;
    assert_eq!((&told["from_user_id"], &told["reason"], call_id(&told)), (&3.into(), &"offline".into(), call));
    let status = service.rest("9").get("/api/status/user/1").await.ok();
    assert_eq!(status["current_call_with"], 2, "{status}");
    // Still a call of two: no need to name the other.
    ben.send(json!({ "type": "ice_candidate", "candidate": candidate(1) })).await;
    anna.expect("ice_candidate").await;
    ben.hang_up("1").await;
    anna.expect("call_ended").await;
    assert_eq!(missed_of(&service, "3").await.len(), 1);
    assert_eq!(part(&service.rest("1").final_record(call).await, "3"), ("missed".to_owned(), "offline".into()));
}

async fn an_invitation_to_a_member_is_an_offer_within_the_call(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    bring(&mut ben, call, "1", "hold").await;
    assert_eq!(hears(&mut anna, "call_offer").await, (2.into(), "hold".into()));
    anna.send(json!({ "type": "call_invitation", "call_id": call, "offer": sdp("offer", "no hold") })).await;
    assert_eq!(hears(&mut ben, "call_offer").await, (1.into(), "no hold".into()));
    let status = service.rest("9").get("/api/status/user/1").await.ok();
    assert_eq!(status["current_call_with"], 2, "{status}");
    bring(&mut anna, call, "1", "myself").await;
    assert_eq!(anna.expect("error").await["code"], "self_call");
    anna.quiet().await;
    ben.quiet().await;
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

async fn a_lost_member_comes_back_to_its_group(store: Store) {
    let service = Service::start(&store).await;
    let ([mut anna, mut ben, cleo], call) = three(&service).await;
    cleo.vanish();
    eventually("3 is waited for", async || {
        (part(&service.rest("1").record(call).await, "3").0 == "lost").then_some(())
    })
    .await;
    offer_to(&mut ben, call, "3", "while you were out").await;
    ben.round_trip().await;
    let mut cleo = service.device("3", "c").await;
    assert_eq!(hears(&mut cleo, "call_offer").await, (2.into(), "while you were out".into()));
    answer_to(&mut cleo, call, "2", "here").await;
    assert_eq!(hears(&mut ben, "call_answer").await, (3.into(), "here".into()));
    for socket in [&mut anna, &mut ben, &mut cleo] {
        socket.quiet().await;
    }
    leave(&mut anna, call).await;
    leave(&mut ben, call).await;
    cleo.expect("call_ended").await;
    cleo.quiet().await;
}

async fn a_dropped_member_leaves_a_group_that_goes_on(store: Store) {
    let service = Service::with(&store, &[("CALL__RECONNECT_GRACE", "1s")]).await;
    let ([mut anna, mut ben, cleo], call) = three(&service).await;
    cleo.vanish();
    eventually("3 is dropped", async || {
        (part(&service.rest("1").record(call).await, "3") == ("left".to_owned(), "dropped".into())).then_some(())
    })
    .await;
    offer_to(&mut ben, call, "1", "we talk on").await;
    assert_eq!(hears(&mut anna, "call_offer").await.0, 2);
    // What it missed is told when it is back, though the call lives.
    let mut cleo = service.device("3", "c").await;
    let told = cleo.expect("call_ended").await;
    assert_eq!((&told["reason"], call_id(&told)), (&"dropped".into(), call));
    shows(&service, "3", "online").await;
    bring(&mut anna, call, "3", "again").await;
    cleo.expect("call_invitation").await;
    answer_to(&mut cleo, call, "1", "yes").await;
    anna.expect("call_answer").await;
    leave(&mut anna, call).await;
    leave(&mut ben, call).await;
    cleo.expect("call_ended").await;
    for socket in [&mut anna, &mut ben, &mut cleo] {
        socket.quiet().await;
    }
}

async fn a_call_has_room_for_so_many(store: Store) {
    let service = Service::with(&store, &[("CALL__MAX_PARTICIPANTS", "3")]).await;
    let mut dora = service.socket("4").await;
    let ([mut anna, mut ben, mut cleo], call) = three(&service).await;
    bring(&mut anna, call, "4", "x").await;
    assert_eq!(anna.expect("error").await["code"], "too_many_participants");
    shows(&service, "4", "online").await;
    ring(&mut dora, &["5", "6", "7"]).await;
    assert_eq!(dora.expect("error").await["code"], "too_many_participants");
    let rest = service.rest("4");
    let refused = rest.post("/api/call/initiate", json!({ "callee_ids": [5, 6, 7] })).await.refused(422);
    assert_eq!(refused["code"], "too_many_participants");
    leave(&mut cleo, call).await;
    shows(&service, "3", "online").await;
    bring(&mut ben, call, "4", "x").await;
    dora.expect("call_invitation").await;
    for socket in [&mut anna, &mut ben, &mut cleo, &mut dora] {
        socket.quiet().await;
    }
}

async fn bringing_in_is_counted_like_calling(store: Store) {
    let service = Service::with(&store, &[("LIMITS__INITIATES_PER_MINUTE", "2")]).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let mut cleo = service.socket("3").await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    for number in 0..20 {
        offer_to(&mut anna, call, "2", &number.to_string()).await;
        bring(&mut anna, call, "2", "an offer is no call").await;
    }
    anna.quiet().await;
    eventually("the budget is spent", async || {
        bring(&mut anna, call, "4", "x").await;
        anna.round_trip().await;
        anna.has("error").await.then_some(())
    })
    .await;
    let refused = anna.expect("error").await;
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    bring(&mut anna, call, "3", "x").await;
    assert_eq!(anna.expect("error").await["code"], "rate_limited");
    cleo.quiet().await;
    shows(&service, "3", "online").await;
}

async fn strangers_bring_nobody_in(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (mut cleo, mut dora) = (service.socket("3").await, service.socket("4").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    bring(&mut cleo, call, "4", "x").await;
    assert_eq!(cleo.expect("error").await["code"], "not_found");
    bring(&mut anna, call + 1, "4", "x").await;
    assert_eq!(anna.expect("error").await["code"], "not_found");
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    bring(&mut ben, call, "4", "x").await;
    assert_eq!(ben.expect("error").await["code"], "call_ended");
    for socket in [&mut anna, &mut ben, &mut cleo, &mut dora] {
        socket.quiet().await;
    }
    shows(&service, "4", "online").await;
}

async fn who_has_just_left_is_invited_again_at_once(store: Store) {
    let service = Service::with(&store, &[("LIMITS__INITIATES_PER_MINUTE", "100")]).await;
    let ([mut anna, mut ben, mut cleo], call) = three(&service).await;
    for _ in 0..10 {
        leave(&mut cleo, call).await;
        // The socket has read it; the call may not have, yet.
        cleo.round_trip().await;
        bring(&mut anna, call, "3", "come back").await;
        cleo.expect("call_invitation").await;
        answer_to(&mut cleo, call, "1", "yes").await;
        assert_eq!(hears(&mut anna, "call_answer").await, (3.into(), "yes".into()));
    }
    for socket in [&mut anna, &mut ben, &mut cleo] {
        socket.quiet().await;
    }
}

async fn two_members_invite_the_same_one(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben, mut cleo) =
        (service.socket("1").await, service.socket("2").await, service.socket("3").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    tokio::join!(bring(&mut anna, call, "3", "from 1"), bring(&mut ben, call, "3", "from 2"));
    let rung = cleo.expect("call_invitation").await;
    let (inviter, other) = if rung["from_user_id"] == 1 { ("1", 2) } else { ("2", 1) };
    anna.round_trip().await;
    ben.round_trip().await;
    cleo.quiet().await;
    answer_to(&mut cleo, call, inviter, "yes").await;
    assert_eq!(hears(&mut cleo, "call_offer").await, (other.into(), format!("from {other}").into()));
    let inviter = if other == 2 { &mut anna } else { &mut ben };
    assert_eq!(hears(inviter, "call_answer").await, (3.into(), "yes".into()));
    for socket in [&mut anna, &mut ben, &mut cleo] {
        socket.quiet().await;
    }
}

async fn of_two_calls_that_want_the_same_one_gets_them(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (mut cleo, mut dora) = (service.socket("3").await, service.socket("4").await);
    let mut emil = service.socket("5").await;
    let first = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let second = connect_call((&mut cleo, "3"), (&mut dora, "4")).await;
    tokio::join!(bring(&mut anna, first, "5", "x"), bring(&mut cleo, second, "5", "x"));
    let rung = emil.expect("call_invitation").await;
    let loser = if call_id(&rung) == first { &mut cleo } else { &mut anna };
    let told = loser.expect("call_declined").await;
    assert_eq!((&told["from_user_id"], &told["reason"]), (&5.into(), &"busy".into()), "{told}");
    for socket in [&mut anna, &mut ben, &mut cleo, &mut dora, &mut emil] {
        socket.quiet().await;
    }
    assert_eq!(missed_of(&service, "5").await.len(), 1);
}

async fn a_group_call_survives_a_crash(store: Store) {
    let mut service = Service::with(&store, &[("CALL__RESTART_GRACE", "3s")]).await;
    let ([mut anna, ben, cleo], call) = three(&service).await;
    let mut dora = service.device("4", "d").await;
    bring(&mut anna, call, "4", "a to d").await;
    dora.expect("call_invitation").await;
    service.kill9().await;
    drop((anna, ben, cleo, dora));
    service.start_again().await;
    let mut anna = service.device("1", "a").await;
    let mut ben = service.device("2", "b").await;
    let mut dora = service.device("4", "d").await;
    let rung = dora.expect("call_invitation").await;
    assert_eq!((&rung["from_user_id"], &rung["offer"]["sdp"]), (&1.into(), &"a to d".into()), "{rung}");
    answer_to(&mut dora, call, "1", "d to a").await;
    assert_eq!(hears(&mut anna, "call_answer").await, (4.into(), "d to a".into()));
    offer_to(&mut ben, call, "4", "b to d").await;
    assert_eq!(hears(&mut dora, "call_offer").await, (2.into(), "b to d".into()));
    // 3 does not come back; the others talk on.
    eventually("3 is dropped", async || {
        (part(&service.rest("1").record(call).await, "3") == ("left".to_owned(), "dropped".into())).then_some(())
    })
    .await;
    leave(&mut anna, call).await;
    leave(&mut ben, call).await;
    assert_eq!(dora.expect("call_ended").await["reason"], "completed");
    for socket in [&mut anna, &mut ben, &mut dora] {
        socket.quiet().await;
    }
    assert_eq!(service.rest("4").final_record(call).await["reason"], "completed");
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
