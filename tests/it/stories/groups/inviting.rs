//! Members bring others in.

use serde_json::{Value, json};

use super::{answer_to, bring, hears, leave, missed_of, offer_to, part, ring, sdp, shows, three};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call};
use crate::harness::{Service, Store, eventually};

on_both!(
    a_third_and_a_fourth_are_brought_in_and_leave_one_by_one,
    a_call_of_two_goes_on_if_whom_they_invited_cannot_come,
    an_invitation_to_a_member_is_an_offer_within_the_call,
    a_call_has_room_for_so_many,
    bringing_in_is_counted_like_calling,
    strangers_bring_nobody_in,
    who_has_just_left_is_invited_again_at_once,
    two_members_invite_the_same_one,
    of_two_calls_that_want_the_same_one_gets_them,
);

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
