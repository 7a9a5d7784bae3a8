//! What two people do in the same instant: whoever comes first decides, and nobody is left in between.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::harness::rest::{call_id, id};
use crate::harness::socket::{candidate, connect_call, description, invitation};
use crate::harness::{PATIENCE, Service, Socket, Store, eventually};

on_both!(
    of_two_devices_that_answer_at_once_one_has_the_call,
    an_answer_crossing_the_cancel_leaves_nobody_in_between,
    who_hangs_up_may_call_again_at_once,
    who_hangs_up_may_be_called_by_another_at_once,
    of_two_hundred_callers_one_rings,
    a_burst_of_candidates_around_the_answer_keeps_its_order,
    who_sees_their_socket_open_can_be_called,
);

const ROUNDS: usize = 24;
const FAST: &[(&str, &str)] = &[
    ("LIMITS__INITIATES_PER_MINUTE", "1000000"),
    ("LIMITS__MESSAGES_PER_SECOND", "1000000"),
    ("LIMITS__MESSAGE_BURST", "1000000"),
    ("LIMITS__REST_BURST", "100000"),
];
const LIVE: &str = "WHERE status IN ('initiated', 'ringing', 'answered')";

async fn of_two_devices_that_answer_at_once_one_has_the_call(store: Store) {
    let service = Service::with(&store, FAST).await;
    let mut anna = service.socket("1").await;
    let (mut laptop, mut phone) = (service.device("2", "laptop").await, service.device("2", "phone").await);
    for round in 0..ROUNDS {
        anna.invite("2").await;
        let call = call_id(&laptop.expect("call_invitation").await);
        phone.expect("call_invitation").await;
        let answer = |device: &str| json!({ "type": "call_answer", "to_user_id": 1, "answer": { "sdp": device } });
        if round % 2 == 0 {
            join(laptop.send(answer("laptop")), phone.send(answer("phone"))).await;
        } else {
            join(phone.send(answer("phone")), laptop.send(answer("laptop"))).await;
        }
        let heard = anna.expect("call_answer").await;
        let winner = heard["answer"]["sdp"].as_str().expect("who answered").to_owned();
        let (winning, losing) = if winner == "laptop" { (&mut laptop, &mut phone) } else { (&mut phone, &mut laptop) };
        let closed = losing.expect("call_ended").await;
        assert_eq!((&closed["reason"], call_id(&closed)), (&"answered_elsewhere".into(), call), "{closed}");
        // Its own answer came too late; the call is not its any more. Nor does its "no", pressed in the same
        // instant, end what the other device has begun.
        assert_eq!(losing.expect("error").await["code"], "answered_elsewhere");
        let no = if round % 3 == 0 { "call_ended" } else { "call_declined" };
        losing.send(json!({ "type": no, "to_user_id": 1, "ref": round })).await;
        let refused = losing.expect("error").await;
        assert_eq!((&refused["code"], &refused["ref"]), (&"answered_elsewhere".into(), &round.into()));
        losing.quiet().await;
        winning.quiet().await;
        winning.candidate("1", round).await;
        assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(round));
        winning.hang_up("1").await;
        assert_eq!(call_id(&anna.expect("call_ended").await), call);
        anna.quiet().await;
        losing.quiet().await;
    }
    let db = store.open().await;
    assert_eq!(db.count("call_logs", "WHERE status = 'ended'").await, ROUNDS);
    assert_eq!(db.count("call_logs", "").await, ROUNDS);
}

async fn an_answer_crossing_the_cancel_leaves_nobody_in_between(store: Store) {
    let service = Service::with(&store, FAST).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let (mut answered, mut cancelled) = (0, 0);
    for round in 0..ROUNDS {
        anna.invite("2").await;
        let call = call_id(&ben.expect("call_invitation").await);
        if round % 2 == 0 {
            join(ben.answer("1"), anna.cancel("2")).await;
        } else {
            join(anna.cancel("2"), ben.answer("1")).await;
        }
        anna.round_trip().await;
        ben.round_trip().await;
        // Ben is told that it is over, whichever came first, and only once.
        let over = eventually("Ben is told", async || {
            if ben.has("call_cancelled").await {
                return Some("call_cancelled");
            }
            ben.has("call_ended").await.then_some("call_ended")
        })
        .await;
        assert_eq!(call_id(&ben.expect(over).await), call);
        ben.without("call_cancelled").await;
        ben.without("call_ended").await;
        let reason = service.rest("9").role("admin").final_record(call).await["reason"].clone();
        if over == "call_ended" {
            assert_eq!(reason, "completed");
            assert_eq!(call_id(&anna.expect("call_answer").await), call);
            answered += 1;
        } else {
            assert_eq!(reason, "cancelled");
            anna.without("call_answer").await;
            cancelled += 1;
        }
        anna.clear().await;
        ben.clear().await;
        assert_eq!(service.rest("9").status_of("1").await, "online");
        assert_eq!(service.rest("9").status_of("2").await, "online");
    }
    println!("{answered} answered first, {cancelled} cancelled first");
    let (_, unseen) = service.rest("2").missed().await;
    assert_eq!(unseen, cancelled);
}

async fn who_hangs_up_may_call_again_at_once(store: Store) {
    let service = Service::with(&store, FAST).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let mut cleo = service.socket("3").await;
    let mut calls = BTreeSet::new();
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    for round in 0..ROUNDS {
        // In one breath: down, and up again, to the same one or to another.
        let (callee, callee_id) = if round % 2 == 0 { (&mut cleo, "3") } else { (&mut ben, "2") };
        anna.send(json!({ "type": "call_ended", "to_user_id": id(if callee_id == "3" { "2" } else { "3" }) })).await;
        anna.send(invitation(callee_id)).await;
        let call = call_id(&callee.expect("call_invitation").await);
        assert!(calls.insert(call));
        callee.answer("1").await;
        assert_eq!(call_id(&anna.expect("call_answer").await), call);
        anna.without("error").await;
        anna.without("call_declined").await;
    }
    // And the same pair: hang up and call the same one again.
    for _ in 0..ROUNDS {
        anna.hang_up("2").await;
        anna.send(invitation("2")).await;
        let call = call_id(&ben.expect("call_invitation").await);
        assert!(calls.insert(call));
        ben.answer("1").await;
        assert_eq!(call_id(&anna.expect("call_answer").await), call);
        anna.without("error").await;
    }
    anna.hang_up("2").await;
    eventually("nothing is live", async || (store.open().await.count("call_logs", LIVE).await == 0).then_some(()))
        .await;
}

async fn who_hangs_up_may_be_called_by_another_at_once(store: Store) {
    let service = Service::with(&store, FAST).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let mut cleo = service.socket("3").await;
    let (mut rang, mut busy) = (0, 0);
    for round in 0..ROUNDS {
        let before = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
        if round % 2 == 0 {
            join(ben.hang_up("1"), cleo.invite("2")).await;
        } else {
            join(cleo.invite("2"), ben.hang_up("1")).await;
        }
        assert_eq!(call_id(&anna.expect("call_ended").await), before);
        // Either it rings or he was busy; nothing else, and both sides agree.
        let outcome = eventually("one or the other", async || {
            if cleo.has("call_declined").await {
                return Some(false);
            }
            ben.has("call_invitation").await.then_some(true)
        })
        .await;
        if outcome {
            let call = call_id(&ben.expect("call_invitation").await);
            ben.answer("3").await;
            assert_eq!(call_id(&cleo.expect("call_answer").await), call);
            cleo.hang_up("2").await;
            ben.expect("call_ended").await;
            rang += 1;
        } else {
            assert_eq!(cleo.expect("call_declined").await["reason"], "busy");
            busy += 1;
        }
        for who in [&mut anna, &mut ben, &mut cleo] {
            who.quiet().await;
        }
    }
    println!("{rang} rang, {busy} were busy");
    assert_eq!(service.rest("2").missed().await.1, busy);
    assert_eq!(store.open().await.count("call_logs", LIVE).await, 0);
}

async fn of_two_hundred_callers_one_rings(store: Store) {
    const CALLERS: usize = 200;
    let service = Service::with(&store, FAST).await;
    let mut ben = service.socket("1").await;
    let mut callers: Vec<_> = (0..CALLERS).map(|n| service.rest(&format!("{}", 1000 + n))).collect();
    join_all(callers.iter().map(|caller| caller.heartbeat())).await;
    let attempts = join_all(callers.iter().map(|caller| caller.initiate("1"))).await;
    // Rung once the caller's offer is there; only the one who rings may send it.
    let ringing: Vec<_> = attempts.iter().filter(|(status, _)| status == "ringing").collect();
    assert_eq!(ringing.len(), 1, "{ringing:?}");
    assert!(attempts.iter().all(|(status, _)| status == "ringing" || status == "busy"));
    let at = attempts.iter().position(|(status, _)| status == "ringing").expect("the one");
    callers[at].signal("1", description("offer")).await;
    let invited = ben.expect("call_invitation").await;
    assert_eq!(call_id(&invited), attempts[at].1);
    let other = if at == 0 { 1 } else { 0 };
    let strange = json!({ "target_user_id": 1, "call_id": attempts[at].1, "signal": description("offer") });
    callers[other].post("/api/call/signal", strange).await.refused(404);
    ben.quiet().await;
    let db = store.open().await;
    assert_eq!(db.count("call_logs", "").await, CALLERS);
    assert_eq!(db.count("call_logs", LIVE).await, 1);
    assert_eq!(db.count("call_history", "WHERE call_status = 'missed'").await, CALLERS - 1);
    assert_eq!(service.rest("1").missed().await.1, CALLERS as i64 - 1);
    ben.answer(&format!("{}", 1000 + at)).await;
    callers[at].mail("call_answered").await;
    callers[at].hangup(attempts[at].1).await;
    ben.expect("call_ended").await;
}

/// Numbers of the candidates that came, up to so many.
async fn candidates(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut seen = Vec::with_capacity(count);
    while seen.len() < count {
        seen.push(socket.expect_within(PATIENCE, "ice_candidate").await["candidate"].clone());
    }
    seen
}

async fn a_burst_of_candidates_around_the_answer_keeps_its_order(store: Store) {
    const BURST: usize = 60;
    let service = Service::with(&store, FAST).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let whole: Vec<Value> = (0..BURST * 2).map(candidate).collect();
    for _ in 0..ROUNDS / 4 {
        anna.invite("2").await;
        ben.expect("call_invitation").await;
        // Half of them before the answer, half after it, both ways, without waiting for anything.
        let callee = async {
            for n in 0..BURST {
                ben.candidate("1", n).await;
            }
            ben.answer("1").await;
            for n in BURST..BURST * 2 {
                ben.candidate("1", n).await;
            }
        };
        let caller = async {
            for n in 0..BURST {
                anna.candidate("2", n).await;
            }
            // She goes on as soon as she has the answer.
            tokio::task::yield_now().await;
            for n in BURST..BURST * 2 {
                anna.candidate("2", n).await;
            }
        };
        join(callee, caller).await;
        anna.expect("call_answer").await;
        // Whether she was past the answer or not, at most 64 are held; those she sent are all there.
        let at_anna = candidates(&mut anna, BURST * 2).await;
        assert_eq!(at_anna, whole, "what Ben sent");
        let at_ben = candidates(&mut ben, BURST * 2).await;
        assert_eq!(at_ben, whole, "what Anna sent");
        anna.quiet().await;
        ben.quiet().await;
        anna.hang_up("2").await;
        ben.expect("call_ended").await;
    }
}

async fn who_sees_their_socket_open_can_be_called(store: Store) {
    let service = Service::with(&store, FAST).await;
    let mut anna = service.socket("1").await;
    for round in 0..ROUNDS * 4 {
        let callee = format!("callee-{round}");
        // Nothing is exchanged on it before the call.
        let mut socket = Socket::dial(&service, &callee).open_silently().await;
        anna.invite(&callee).await;
        socket.expect("call_invitation").await;
        anna.cancel(&callee).await;
        socket.expect("call_cancelled").await;
    }
}
