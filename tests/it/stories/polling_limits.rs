//! What polling clients may rely on when much happens, or when they fall silent.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, description};
use crate::harness::{PATIENCE, Rest, Service, Store, eventually};

on_both!(
    a_full_mailbox_loses_no_description_and_no_end,
    two_readers_each_get_everything_once_with_after_and_nothing_twice_without,
    a_reader_who_waits_is_woken_at_once,
    a_poller_who_falls_silent_in_a_call_is_dropped_as_of_the_last_sign,
);

const FAST: &[(&str, &str)] = &[
    ("LIMITS__MESSAGES_PER_SECOND", "1000000"),
    ("LIMITS__MESSAGE_BURST", "1000000"),
    ("LIMITS__REST_PER_SECOND", "100000"),
    ("LIMITS__REST_BURST", "100000"),
];

async fn mail(rest: &Rest, query: &str) -> Vec<Value> {
    let body = rest.get(&format!("/api/call/signals{query}")).await.ok();
    body["signals"].as_array().expect("signals").clone()
}

/// A browser and a poller in a call.
async fn in_a_call(service: &Service) -> (crate::harness::Socket, Rest, i64) {
    let (mut anna, mut ben) = (service.socket("1").await, service.rest("2"));
    ben.heartbeat().await;
    eventually("Ben is there", async || (ben.status_of("2").await == "online").then_some(())).await;
    anna.invite("2").await;
    let call = call_id(&ben.mail("incoming_call").await);
    ben.answer(call).await;
    ben.signal("1", description("answer")).await;
    anna.expect("call_answer").await;
    mail(&ben, "").await;
    (anna, ben, call)
}

async fn a_full_mailbox_loses_no_description_and_no_end(store: Store) {
    let service = Service::with(&store, FAST).await;
    let (mut anna, ben, call) = in_a_call(&service).await;
    // Three times what a mailbox takes, candidates and offers mixed; then she hangs up.
    for n in 0..150 {
        let offer = json!({ "type": "offer", "sdp": format!("offer {n}") });
        anna.send(json!({ "type": "call_offer", "to_user_id": 2, "call_id": call, "offer": offer })).await;
        anna.candidate("2", n).await;
        if n % 20 == 0 {
            anna.round_trip().await;
        }
    }
    anna.send(json!({ "type": "call_ended", "to_user_id": 2 })).await;
    let service_rest = service.rest("9").role("admin");
    service_rest.final_record(call).await;
    let letters = eventually("the end is in the mailbox", async || {
        let letters = mail(&ben, "?after=0").await;
        letters.iter().any(|letter| letter["type"] == "call_ended").then_some(letters)
    })
    .await;
    assert!(letters.len() <= 101, "{}", letters.len());
    let last = letters.iter().rev().find(|letter| letter["signal"]["type"] == "offer").expect("an offer");
    assert_eq!(last["signal"]["sdp"], "offer 149", "the newest offer is the one that counts");
    assert_eq!(letters.last().expect("a letter")["type"], "call_ended");
    anna.without("error").await;
}

async fn two_readers_each_get_everything_once_with_after_and_nothing_twice_without(store: Store) {
    let service = Service::with(&store, FAST).await;
    let (mut anna, ben, _) = in_a_call(&service).await;
    let last = |letters: &[Value]| letters.last().map_or(0, |letter| letter["id"].as_u64().expect("an id"));
    for n in 0..30 {
        anna.candidate("2", n).await;
    }
    let arrived = eventually("they have come", async || {
        let letters = mail(&ben, "?after=0").await;
        (letters.len() == 30).then_some(letters)
    })
    .await;
    // Read again until acknowledged, by whoever reads.
    let (one, two) = futures_util::future::join(mail(&ben, "?after=0"), mail(&ben, "?after=0")).await;
    assert_eq!((&one, &two), (&arrived, &arrived));
    let half = arrived[14]["id"].as_u64().expect("an id");
    assert_eq!(mail(&ben, &format!("?after={half}")).await, arrived[15..]);
    assert_eq!(mail(&ben, &format!("?after={}", last(&arrived))).await, Vec::<Value>::new());
    // Without acknowledging, two readers share what there is: nothing twice, nothing lost, in order.
    let readers = async {
        let (mut seen, mut seen_too) = (Vec::new(), Vec::new());
        while seen.len() + seen_too.len() < 60 {
            let (a, b) = futures_util::future::join(mail(&ben, "?wait=1"), mail(&ben, "")).await;
            seen.extend(a);
            seen_too.extend(b);
        }
        (seen, seen_too)
    };
    let writer = async {
        for n in 0..60 {
            anna.candidate("2", n).await;
        }
    };
    let ((seen, seen_too), ()) = futures_util::future::join(readers, writer).await;
    let numbers = |letters: &[Value]| letters.iter().map(|l| l["id"].as_u64().expect("an id")).collect::<Vec<_>>();
    let (a, b) = (numbers(&seen), numbers(&seen_too));
    assert!(a.is_sorted() && b.is_sorted());
    let all: std::collections::BTreeSet<u64> = a.iter().chain(&b).copied().collect();
    assert_eq!((all.len(), a.len() + b.len()), (60, 60));
}

#[expect(clippy::disallowed_methods, reason = "a story about how quickly mail comes")]
async fn a_reader_who_waits_is_woken_at_once(store: Store) {
    let service = Service::with(&store, FAST).await;
    let (mut anna, ben, _) = in_a_call(&service).await;
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let reader = tokio::spawn({
            let ben = ben.clone();
            async move { (mail(&ben, "?wait=30").await, Instant::now()) }
        });
        // A request of the same client that is answered: the reader's was sent before it.
        mail(&service.rest("3"), "").await;
        let sent = Instant::now();
        anna.candidate("2", n).await;
        let (letters, at) = reader.await.expect("a reader");
        assert_eq!(letters[0]["signal"]["candidate"], candidate(n));
        slowest = slowest.max(at.saturating_duration_since(sent));
    }
    println!("the slowest of 20 took {slowest:?}");
    assert!(slowest < PATIENCE, "woken, not answered after all that was waited for: {slowest:?}");
}

async fn a_poller_who_falls_silent_in_a_call_is_dropped_as_of_the_last_sign(store: Store) {
    let service = Service::with(
        &store,
        &[
            ("PRESENCE__HEARTBEAT", "1s"),
            ("PRESENCE__OFFLINE_AFTER", "3s"),
            ("PRESENCE__PING_EVERY", "300ms"),
            ("CALL__RECONNECT_GRACE", "1s"),
        ],
    )
    .await;
    let (mut anna, ben, call) = in_a_call(&service).await;
    // His last sign of life was within in_a_call. Reading mail is none: a forgotten tab may poll for ever.
    let seen = ben.get("/api/status/user/2").await.ok()["last_seen"].as_str().expect("when").to_owned();
    let ended = anna.expect("call_ended").await;
    assert_eq!(ended["reason"], "dropped");
    let record = service.rest("1").final_record(call).await;
    assert_eq!((&record["reason"], &record["status"]), (&"dropped".into(), &"ended".into()));
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis();
    let ended_at = at(record["ended_at"].as_str().expect("a time"));
    assert!((ended_at - at(&seen)).abs() < 300, "ended {} but last seen {seen}", record["ended_at"]);
    let trace = service.rest("1").get(&format!("/api/calls/{call}/events")).await.ok();
    let lost =
        trace["events"].as_array().expect("events").iter().find(|event| event["what"] == "lost").expect("a loss");
    assert_eq!(lost["who"], 2);
    // He learns it when he is back.
    mail(&ben, "").await;
    ben.heartbeat().await;
    let told =
        eventually("he is told", async || mail(&ben, "").await.into_iter().find(|l| l["type"] == "call_ended")).await;
    assert_eq!((&told["reason"], call_id(&told)), (&"dropped".into(), call));
}
