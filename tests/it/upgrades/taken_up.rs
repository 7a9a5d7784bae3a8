//! This service on the databases of the releases before it, as `kill -9` left them.
//!
//! The process was killed long before these stories run, so every ring has run out. An answered call waits
//! `restart_grace` for its participants, counted from the start of this service, because media goes on without one. If nobody
//! returns, the call is over then, and its end is the moment its participants were last seen.

use reqwest::Method;
use serde_json::{Value, json};
use switchboard::clock::{Clock, Timestamp};

use super::life::{HELD, KEY};
use super::{Fixture, look};
use crate::harness::rest::call_id;
use crate::harness::socket::{candidate, connect_call, description};
use crate::harness::{Kind, Service, Socket, Store, run, tell};

/// Makes a test of each story on each database, which runs it for each release.
macro_rules! on_every_release {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    super::tell_each($crate::harness::Kind::Sqlite, super::$story).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    super::tell_each($crate::harness::Kind::Postgres, super::$story).await;
                }
            )+
        }
    };
}

on_every_release!(
    the_record_reads_as_it_did,
    what_was_live_and_nobody_returns_to_is_over,
    an_answered_call_goes_on_for_those_who_return,
    a_group_goes_on_with_what_waited_for_the_one_who_was_lost,
);

async fn tell_each<Story: Future<Output = ()>>(kind: Kind, story: impl Fn(Store, Fixture) -> Story) {
    for fixture in Fixture::all(kind) {
        println!("the database of {}", fixture.release);
        // A minute: what rang must have run out.
        let stopped_for = Clock::new().now().wall - fixture.killed_at();
        assert!(stopped_for.num_minutes() >= 1, "by this machine's clock it was killed {stopped_for} ago");
        tell(kind, async |store| {
            store.load(&fixture.sql).await;
            story(store, fixture).await;
        })
        .await;
    }
}

async fn the_record_reads_as_it_did(store: Store, fixture: Fixture) {
    let service = Service::start(&store).await;
    let live = fixture.all_live();
    look::covers(&look::served(&service, &live).await, &fixture.said["served"], "served");
    look::covers(&look::stored(&store, &live).await, &fixture.said["stored"], "stored");
    // Of the people too, as far as it was written.
    let anna = service.rest("99").get("/api/status/user/1").await.ok();
    assert_eq!(anna["status"], "offline", "{anna}");
    assert!(anna["last_seen"].is_string(), "{anna}");
    // A retry that comes as late as this finds its call.
    let request = service.rest("1").request(Method::POST, "/api/call/initiate");
    let body = json!({ "callee_id": 2, "idempotency_key": KEY });
    let again = call_id(&service.rest("1").send(request.json(&body)).await.ok());
    let keyed = format!("WHERE idempotency_key = '{KEY}'");
    assert_eq!(store.open().await.row(&["id"], "calls", &keyed).await, [again.to_string()]);
    let report = run(&store, &[], &["report"]).await.ok();
    assert!(report.contains("Total call logs: "), "{report}");
}

/// A call's record, once it is over, checked against itself and against when everything stopped.
async fn ended(service: &Service, fixture: &Fixture, call: i64, reason: &str) -> Value {
    let record = service.rest("1000").role("admin").final_record(call).await;
    assert_eq!(record["reason"], reason, "{record}");
    let time = |name: &str| {
        serde_json::from_value::<Timestamp>(record[name].clone()).unwrap_or_else(|_| panic!("no {name}: {record}"))
    };
    assert!(time("ended_at") >= time("started_at"), "{record}");
    if reason == "completed" {
        assert!(time("ended_at") > fixture.killed_at(), "{record}");
    }
    if reason == "dropped" {
        assert!(time("ended_at") <= fixture.killed_at() && time("ended_at") >= time("answered_at"), "{record}");
        // All of it was over within seconds, whenever this is told.
        assert!(record["duration_seconds"].as_i64().is_some_and(|seconds| (0..60).contains(&seconds)), "{record}");
    }
    record
}

async fn what_was_live_and_nobody_returns_to_is_over(store: Store, fixture: Fixture) {
    let service = Service::with(&store, &[("CALL__RESTART_GRACE", "1s")]).await;
    // No offer came in its time.
    ended(&service, &fixture, fixture.live("initiated"), "failed").await;
    ended(&service, &fixture, fixture.live("ringing"), "no_answer").await;
    ended(&service, &fixture, fixture.live("answered"), "dropped").await;
    ended(&service, &fixture, fixture.live("lost"), "dropped").await;
    let group = ended(&service, &fixture, fixture.live("group"), "dropped").await;
    let part = |user: i64| {
        let legs = group["participants"].as_array().expect("participants");
        let leg = legs.iter().find(|leg| leg["user_id"] == user).unwrap_or_else(|| panic!("no {user}: {group}"));
        (leg["state"].clone(), leg["reason"].clone(), leg["missed"].clone())
    };
    assert_eq!(part(24), (json!("missed"), json!("no_answer"), json!(true)));
    assert_eq!(part(25), (json!("declined"), json!("declined"), json!(false)));
    for (callee, call) in [("14", "ringing"), ("24", "group")] {
        let (missed, unseen) = service.rest(callee).missed().await;
        assert_eq!((missed.len(), unseen, &missed[0]["id"]), (1, 1, &json!(fixture.live(call))), "{missed:?}");
    }

    // Nothing is live, and nobody is stuck.
    let db = store.open().await;
    assert_eq!((db.count("calls", "WHERE phase <> 'ended'").await, db.count("live_calls", "").await), (0, 0));
    let live = service.rest("1000").role("admin").get("/api/admin/calls").await.ok();
    assert_eq!(live["calls"], json!([]));
    let stuck = "WHERE status IN ('in_call', 'busy') OR current_call_with IS NOT NULL";
    assert_eq!(db.count("user_status", stuck).await, 0);
    let highest = fixture.all_live().into_iter().max().expect("live calls");
    for (caller, callee) in [("11", "12"), ("13", "14"), ("15", "16"), ("17", "18"), ("21", "22"), ("23", "24")] {
        let (mut anna, mut ben) = (service.device(caller, "d").await, service.device(callee, "d").await);
        // Some are told how the call ended that they were in.
        anna.clear().await;
        ben.clear().await;
        let call = connect_call((&mut anna, caller), (&mut ben, callee)).await;
        assert!(call > highest, "{call} after {highest}");
        anna.hang_up(callee).await;
        ben.expect("call_ended").await;
        assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    }
}

async fn an_answered_call_goes_on_for_those_who_return(store: Store, fixture: Fixture) {
    let service = Service::start(&store).await;
    // In the second call one was lost already when the process was killed.
    for (call, anna_is, ben_is) in [("answered", "15", "16"), ("lost", "17", "18")] {
        let call = fixture.live(call);
        let (mut anna, mut ben) = (service.device(anna_is, "d").await, service.device(ben_is, "d").await);
        assert_eq!(service.rest("99").status_of(anna_is).await, "in_call");
        anna.candidate(ben_is, 7).await;
        assert_eq!(ben.expect("ice_candidate").await["candidate"], candidate(7));
        ben.candidate(anna_is, 8).await;
        assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(8));
        ben.hang_up(anna_is).await;
        assert_eq!(call_id(&anna.expect("call_ended").await), call);
        ended(&service, &fixture, call, "completed").await;
        assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    }
}

async fn a_group_goes_on_with_what_waited_for_the_one_who_was_lost(store: Store, fixture: Fixture) {
    let service = Service::start(&store).await;
    let call = fixture.live("group");
    let member = async |user: &str| service.device(user, "d").await;
    let (mut anna, mut ben, mut cleo) = (member("21").await, member("22").await, member("23").await);
    let offer = cleo.expect("call_offer").await;
    assert_eq!((call_id(&offer), &offer["offer"]["sdp"]), (call, &json!(HELD)), "{offer}");
    let answer = description("answer");
    cleo.send(json!({ "type": "call_answer", "to_user_id": 21, "call_id": call, "answer": answer })).await;
    assert_eq!(anna.expect("call_answer").await["from_user_id"], 23);
    let leave = async |member: &mut Socket| member.send(json!({ "type": "call_ended", "call_id": call })).await;
    leave(&mut anna).await;
    let offer = description("offer");
    ben.send(json!({ "type": "call_offer", "to_user_id": 23, "call_id": call, "offer": offer })).await;
    assert_eq!(cleo.expect("call_offer").await["from_user_id"], 22);
    leave(&mut ben).await;
    assert_eq!(call_id(&cleo.expect("call_ended").await), call);
    ended(&service, &fixture, call, "completed").await;
}
