//! `kill -9` in the middle of a thousand calls, three times. Nothing the service said may turn out
//! untrue: every call somebody was told of has its one record, every record becomes final, nobody
//! stays engaged.
//!
//! The counting is done from outside: what clients were told on one side, what stands in the
//! database on the other.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::sync::{RwLock, watch};

use crate::harness::rest::id;
use crate::harness::socket::Dial;
use crate::harness::{Rest, Service, Socket, Store, within};

on_both!(a_thousand_calls_survive_three_kills);

const CALLERS: usize = 40;
const CALLS_EACH: usize = 26;
const KILLS: usize = 3;

/// What is still going on according to the call log.
const LIVE: &str = "WHERE status IN ('initiated', 'ringing', 'answered')";

/// A caller and their callee.
type Pair = (String, String);

/// What clients know, together.
struct Ledger {
    /// Where the service is now. Whoever kills it keeps it until it is up again, so that nobody asks for its address
    /// while it is dead.
    service: RwLock<Service>,
    /// Calls some client was told of.
    acknowledged: RefCell<BTreeSet<i64>>,
    /// Attempts finished, which is when the kills happen.
    progress: watch::Sender<usize>,
}

impl Ledger {
    /// Two people who speak REST.
    async fn rest(&self, (caller, callee): &Pair) -> (Rest, Rest) {
        let service = self.service.read().await;
        (service.rest(caller), service.rest(callee))
    }

    /// Two people who are about to open a socket.
    async fn dials(&self, (caller, callee): &Pair) -> (Dial, Dial) {
        let service = self.service.read().await;
        (Socket::dial(&service, caller).device("laptop"), Socket::dial(&service, callee).device("phone"))
    }
}

async fn a_thousand_calls_survive_three_kills(store: Store) {
    let service = Service::with(
        &store,
        &[
            ("LIMITS__INITIATES_PER_MINUTE", "100000"),
            ("LIMITS__MESSAGES_PER_SECOND", "100000"),
            ("CALL__RING_TIMEOUT", "3s"),
            ("CALL__CALLER_GRACE", "1s"),
            ("CALL__RECONNECT_GRACE", "2s"),
            ("CALL__RESTART_GRACE", "2s"),
        ],
    )
    .await;
    let ledger =
        Ledger { service: RwLock::new(service), acknowledged: RefCell::default(), progress: watch::Sender::new(0) };

    // Half of the callers speak REST, half have sockets; each has a callee of their own.
    let pairs: Vec<Pair> = (1..=CALLERS).map(|n| (n.to_string(), (n + 1000).to_string())).collect();
    let mut kills: Vec<usize> = (0..KILLS).map(|_| rand::random_range(50..CALLERS * CALLS_EACH - 100)).collect();
    kills.sort_unstable();
    println!("kills after {kills:?} attempts");

    let killer = async {
        for kill in kills {
            ledger.progress.subscribe().wait_for(|done| *done >= kill).await.expect("the callers live");
            ledger.service.write().await.restart().await;
        }
    };
    let callers = pairs.iter().enumerate().map(|(n, pair)| {
        let ledger = &ledger;
        async move {
            if n % 2 == 0 {
                polling_caller(pair, ledger).await;
            } else {
                socket_caller(pair, ledger).await;
            }
        }
    });
    tokio::join!(killer, join_all(callers));

    let acknowledged = ledger.acknowledged.take();
    assert!(acknowledged.len() >= 1000, "only {} calls were acknowledged", acknowledged.len());
    let db = store.open().await;
    // Every grace is 3 s at most.
    within(Duration::from_secs(20), "no call is live any more", async || {
        (db.count("call_logs", LIVE).await == 0).then_some(())
    })
    .await;

    let rows = db.rows(&["id", "caller_user_id", "status"], "call_logs", "").await;
    let mut recorded = BTreeSet::new();
    for row in &rows {
        assert!(recorded.insert(row[0].parse::<i64>().expect("an id")), "call {} has two records", row[0]);
    }
    let lost: Vec<_> = acknowledged.difference(&recorded).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged calls have no record: {lost:?}", lost.len(), acknowledged.len());
    // A poller repeats its attempt with the same key until it is answered, so each of its records is
    // one it was told of; one more would be a duplicate.
    for (n, (caller, _)) in pairs.iter().enumerate() {
        let own = rows.iter().filter(|row| &row[1] == caller);
        let unknown = own.filter(|row| !acknowledged.contains(&row[0].parse().expect("an id"))).count();
        // On a socket there is no such key: what was sent when the service died may have been written.
        let allowed = if n % 2 == 0 { 0 } else { KILLS * 2 };
        assert!(unknown <= allowed, "caller {caller} has {unknown} records nobody was told of");
    }
    println!("{} acknowledged, {} recorded, 0 lost, 0 twice, 0 live", acknowledged.len(), recorded.len());

    // Nobody is engaged: their status says so, and each can be in a new call.
    for pair in &pairs {
        let (caller, callee) = pair;
        let (a, b) = ledger.rest(pair).await;
        for (user, rest) in [(caller, &a), (callee, &b)] {
            let status = rest.status_of(user).await;
            assert!(status == "online" || status == "offline", "user {user} is {status}");
        }
        b.heartbeat().await;
        a.heartbeat().await;
        let (status, call) = a.initiate(callee).await;
        assert_eq!(status, "ringing", "{caller} calls {callee}");
        a.hangup(call).await;
    }
}

/// A caller and a callee who speak REST.
async fn polling_caller(pair: &Pair, ledger: &Ledger) {
    let mut attempt = 0;
    while attempt < CALLS_EACH {
        let key = format!("{}-{attempt}", pair.1);
        let Some(call) = initiate(pair, &key, ledger).await else { continue };
        ledger.acknowledged.borrow_mut().insert(call);
        // What comes now may be lost to a kill; the next attempt clears it away.
        let (post, body) = (|who: &Rest, path: &str| who.request(Method::POST, path), json!({ "call_id": call }));
        let (caller, callee) = &ledger.rest(pair).await;
        let steps: &[(&Rest, &str)] = match attempt % 4 {
            0 => &[(caller, "/api/call/hangup")],
            1 => &[(callee, "/api/call/reject")],
            _ => &[(callee, "/api/call/answer"), (caller, "/api/call/hangup")],
        };
        for (who, path) in steps {
            drop(who.try_send(post(who, path).json(&body)).await);
        }
        attempt += 1;
        ledger.progress.send_modify(|done| *done += 1);
    }
}

/// One try; `None` where it has to be repeated.
async fn initiate(pair: &Pair, key: &str, ledger: &Ledger) -> Option<i64> {
    let (caller, callee) = &ledger.rest(pair).await;
    for who in [callee, caller] {
        who.try_send(who.request(Method::POST, "/api/status/heartbeat").json(&json!({}))).await.ok()?;
    }
    let request = caller.request(Method::POST, "/api/call/initiate").header("Idempotency-Key", key);
    let answer = caller.try_send(request.json(&json!({ "callee_id": id(&pair.1) }))).await.ok()?;
    match answer.status {
        200 => Some(answer.body["call_id"].as_i64().unwrap_or_else(|| panic!("no call_id: {answer:?}"))),
        // A call from before the kill is still there.
        409 => {
            drop(caller.try_send(caller.request(Method::POST, "/api/call/hangup").json(&json!({}))).await);
            None
        }
        // More requests than a user may make, or a service that is only coming up.
        429 | 503 => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
        _ => panic!("initiate: {answer:?}"),
    }
}

/// A caller and a callee on sockets, which they open again when they break.
async fn socket_caller(pair: &Pair, ledger: &Ledger) {
    let (caller_id, callee_id) = pair;
    let mut attempt = 0;
    let mut tries = 0;
    while attempt < CALLS_EACH {
        let (caller, callee) = ledger.dials(pair).await;
        tries += 1;
        assert!(tries < 50, "caller {caller_id} cannot get on: {attempt} calls after {tries} connections");
        let (Ok(mut caller), Ok(mut callee)) = (caller.try_open().await, callee.try_open().await) else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let mut works = clear_away(&mut caller, &mut callee, caller_id, callee_id).await;
        while works && attempt < CALLS_EACH {
            works = one_call(&mut caller, &mut callee, caller_id, callee_id, attempt).await;
            if works {
                attempt += 1;
                ledger.progress.send_modify(|done| *done += 1);
            }
        }
        let mut acknowledged = ledger.acknowledged.borrow_mut();
        acknowledged.extend(caller.heard());
        acknowledged.extend(callee.heard());
    }
}

/// Ends what a kill left of the last call.
async fn clear_away(caller: &mut Socket, callee: &mut Socket, caller_id: &str, callee_id: &str) -> bool {
    if !(caller.try_round_trip().await && callee.try_round_trip().await) {
        return false;
    }
    for (socket, peer) in [(&mut *caller, callee_id), (&mut *callee, caller_id)] {
        if !socket.try_send(json!({ "type": "call_ended", "to_user_id": id(peer) })).await {
            return false;
        }
    }
    let both = caller.try_round_trip().await && callee.try_round_trip().await;
    // A ring that was brought along by reconnecting may still be on its way here; it ends like the rest.
    while let Some(message) = callee.next_within(Duration::from_millis(50)).await {
        drop(message);
    }
    while let Some(message) = caller.next_within(Duration::from_millis(50)).await {
        drop(message);
    }
    both
}

/// One call from invitation to end; `false` when the connection is to be opened again.
async fn one_call(caller: &mut Socket, callee: &mut Socket, caller_id: &str, callee_id: &str, attempt: usize) -> bool {
    let patience = Duration::from_secs(5);
    if !caller.try_send(crate::harness::socket::invitation(callee_id)).await {
        return false;
    }
    let Some(_) = callee.until(patience, "call_invitation").await else { return false };
    let to_caller = |kind: &str| json!({ "type": kind, "to_user_id": id(caller_id) });
    let to_callee = |kind: &str| json!({ "type": kind, "to_user_id": id(callee_id) });
    match attempt % 4 {
        0 => {
            caller.try_send(to_callee("call_cancelled")).await
                && callee.until(patience, "call_cancelled").await.is_some()
        }
        1 => {
            callee.try_send(to_caller("call_declined")).await && caller.until(patience, "call_declined").await.is_some()
        }
        _ => {
            let mut answer = to_caller("call_answer");
            answer["answer"] = crate::harness::socket::description("answer");
            callee.try_send(answer).await
                && caller.until(patience, "call_answer").await.is_some()
                && caller.try_send(to_callee("call_ended")).await
                && callee.until(patience, "call_ended").await.is_some()
        }
    }
}
