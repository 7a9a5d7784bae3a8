//! Clients that stop reading, and a service that is stopped itself.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::socket::{connect_call, invitation};
use crate::harness::{Service, Socket, Store, eventually, within};

on_both!(after_the_service_stood_still_nobody_is_gone);

#[tokio::test]
async fn who_does_not_read_is_closed_and_harms_nobody() {
    crate::harness::tell(crate::harness::Kind::Sqlite, a_reader_that_stops).await;
}

async fn after_the_service_stood_still_nobody_is_gone(store: Store) {
    const SOCKETS: usize = 150;
    let service = Service::with(
        &store,
        &[
            ("PRESENCE__HEARTBEAT", "500ms"),
            ("PRESENCE__OFFLINE_AFTER", "1s"),
            ("PRESENCE__PING_EVERY", "400ms"),
            ("PRESENCE__PONG_WITHIN", "500ms"),
        ],
    )
    .await;
    let name = |n: usize| n.to_string();
    let mut sockets = join_all((1..=SOCKETS).map(|n| Socket::dial(&service, &name(n)).open())).await;
    let mut ben = sockets.pop().expect("a socket");
    let mut anna = sockets.pop().expect("a socket");
    let (anna_id, ben_id) = (name(SOCKETS - 1), name(SOCKETS));
    let call = connect_call((&mut anna, &anna_id), (&mut ben, &ben_id)).await;
    service.signal("-STOP").await;
    // The one thing that must take its time: everybody's deadlines pass while it stands still. What is
    // sent meanwhile is what it finds first.
    sockets[0].send(invitation("2")).await;
    tokio::time::sleep(Duration::from_millis(3500)).await;
    service.signal("-CONT").await;
    // The first thing it reads is a call to somebody it has not heard of for long.
    let invited = sockets[1].expect("call_invitation").await;
    assert_eq!(invited["from_user_id"], 1);
    let watcher = service.rest("1");
    let users: Vec<usize> = (1..=SOCKETS).collect();
    let shown = watcher.post("/api/status/query", json!({ "user_ids": users })).await.ok();
    for status in shown["statuses"].as_array().expect("a list") {
        assert_eq!(status["online"], true, "{status}");
    }
    let kept = join_all(sockets.iter_mut().map(|socket| socket.try_round_trip())).await;
    assert_eq!(kept.iter().filter(|open| **open).count(), SOCKETS - 2);
    anna.candidate(&ben_id, 1).await;
    ben.expect("ice_candidate").await;
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
    assert_eq!(store.open().await.count("call_events", "WHERE what = 'lost'").await, 0);
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

async fn a_reader_that_stops(store: Store) {
    let service =
        Service::with(&store, &[("LIMITS__MESSAGES_PER_SECOND", "1000000"), ("LIMITS__MESSAGE_BURST", "1000000")])
            .await;
    let (mut anna, mut ben) = (service.socket("1").await, service.device("2", "phone").await);
    let (mut cleo, mut dan) = (service.socket("3").await, service.socket("4").await);
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    connect_call((&mut cleo, "3"), (&mut dan, "4")).await;
    let before = resident_kib(service.pid());
    // Ben does not read. Anna sends him twenty thousand messages of a kilobyte.
    let filler = "x".repeat(1000);
    for n in 0..20_000 {
        anna.send(json!({ "type": "ice_candidate", "to_user_id": 2, "candidate": { "candidate": filler, "n": n } }))
            .await;
        if n % 4000 == 0 {
            cleo.candidate("4", n).await;
            dan.expect("ice_candidate").await;
        }
        if n % 500 == 0 {
            anna.clear().await;
        }
    }
    anna.clear().await;
    let grown = resident_kib(service.pid()).saturating_sub(before);
    assert!(grown < 20 * 1024, "{grown} KiB more");
    let gone = eventually("Ben's socket is closed", async || {
        (service.rest("9").status_of("2").await == "offline").then_some(())
    });
    gone.await;
    // He comes back and is in the call.
    drop(ben);
    let mut ben = service.device("2", "phone").await;
    within(Duration::from_secs(5), "he is there", async || {
        (service.rest("9").status_of("2").await == "in_call").then_some(())
    })
    .await;
    ben.clear().await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    cleo.candidate("4", 1).await;
    dan.expect("ice_candidate").await;
}
