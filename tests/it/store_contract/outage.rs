//! The database goes away and comes back.
#![allow(clippy::disallowed_methods, reason = "a test may look at the clock")]

use std::time::{Duration as Wait, Instant};

use sea_orm::ConnectionTrait;

use super::database::{Db, until};
use super::*;
use crate::harness::PATIENCE;
use switchboard::router::messages::Ledger;
use switchboard::router::messages::StatusRow;
use switchboard::store::{Store, Writer, queries};

/// What must hold while the database is away: who finds out waits for as long as an operation may take, which is two
/// seconds, and nobody after them.
async fn live_through_it(writer: &Writer) {
    let start = Instant::now();
    let mut receipts: Vec<_> = (2..300).map(|n| writer.open(ringing(n, "5", &["6"]))).collect();
    receipts.push(writer.update(answered(ringing(1, "7", &["8"]))));
    for receipt in receipts {
        receipt.await.unwrap().unwrap_err();
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    // The first ones found out; these come while that is known. If one of four asked the database, ten would take 20 s.
    let known = Instant::now();
    for n in 300..310 {
        writer.open(ringing(n, "5", &["6"])).await.unwrap().unwrap_err();
        writer.update(ended(answered(ringing(1, "7", &["8"])), Reason::Completed)).await.unwrap().unwrap_err();
        writer.update(ringing(2, "5", &["6"])).await.unwrap().unwrap_err();
        assert!(writer.mark_seen(id(1), &user("8")).await.is_err());
    }
    assert!(known.elapsed() < PATIENCE, "{:?}", known.elapsed());
    assert!(!writer.healthy());
    writer.statuses(vec![StatusRow {
        user: user("7"),
        status: "online".into(),
        last_seen: at(9),
        current_call_with: None,
        name: None,
    }]);
}

/// What must hold when it is back.
async fn and_back(db: &Db, store: &Store, writer: &Writer) {
    until("the writer is healthy", || writer.healthy()).await;
    assert!(writer.flush().await);
    let call = queries::call(store, id(1)).await.unwrap().unwrap();
    assert_eq!(call.status, "ended");
    assert_eq!(queries::events(store, id(1)).await.unwrap().len(), 4, "no transition is lost");
    // A call that was refused leaves nothing, and a late update does not bring it to life.
    writer.update(ended(ringing(2, "5", &["6"]), Reason::Failed)).await.unwrap().unwrap_err();
    assert_eq!(db.number("SELECT count(*) FROM calls").await, 1);
    assert_eq!(db.number("SELECT count(*) FROM user_status").await, 1);
    writer.open(ringing(400, "5", &["6"])).await.unwrap().unwrap();
    store.ping().await.unwrap();
}

/// Stops and resumes a whole PostgreSQL server: with it every test that runs beside this one.
#[tokio::test]
#[ignore = "stops the whole PostgreSQL server; run alone, as a user who may signal it"]
async fn a_stopped_server_makes_nobody_wait() {
    let Some(db) = Db::postgres().await else { return };
    let store = db.open().await;
    let writer = store.writer();
    writer.open(ringing(1, "7", &["8"])).await.unwrap().unwrap();
    let rows = db.rows("SELECT pid FROM pg_stat_activity").await;
    let mut pids: Vec<i32> = rows.iter().map(|row| row.try_get("", "pid").unwrap()).collect();
    // The parent first, so that nobody new is let in.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pids[0])).unwrap();
    let parent = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    pids.insert(0, parent);
    // A signal that finds a process gone is not worth failing for: pools close what they do not need.
    let signal = |what: &str| {
        for pid in &pids {
            let _ = std::process::Command::new("kill").args([what, &pid.to_string()]).status();
        }
    };
    signal("-STOP");
    let through = tokio::spawn({
        let (store, writer) = (store.clone(), writer.clone());
        async move {
            live_through_it(&writer).await;
            let start = Instant::now();
            assert!(store.ping().await.is_err());
            assert!(queries::missed(&store, &queries::MissedFilter::default()).await.is_err());
            assert!(start.elapsed() < Wait::from_secs(5));
            assert!(!writer.flush().await, "nothing can be written");
        }
    })
    .await;
    signal("-CONT");
    through.unwrap();
    and_back(&db, &store, &writer).await;
    db.remove().await;
}

/// A full disk leaves sqlx believing that its connection is in a transaction; without the check when a connection
/// is given back, everything "committed" afterwards was lost.
#[tokio::test]
#[ignore = "needs TMPDIR on a file system of about 2 MiB, for example a tmpfs"]
async fn a_full_disk_is_survived() {
    let db = Db::sqlite();
    let store = db.open().await;
    let writer = store.writer();
    writer.open(ringing(1, "7", &["8"])).await.unwrap().unwrap();
    let filler = std::env::temp_dir().join("filler");
    assert!(std::fs::write(&filler, vec![1; 4 << 20]).is_err(), "the disk is too big");
    for number in 2..50 {
        writer.open(ringing(number, "7", &["8"])).await.unwrap().unwrap_err();
    }
    writer.update(ended(ringing(1, "7", &["8"]), Reason::Cancelled)).await.unwrap().unwrap_err();
    std::fs::remove_file(filler).unwrap();
    until("the writer is healthy", || writer.healthy()).await;
    writer.open(ringing(50, "7", &["8"])).await.unwrap().unwrap();
    assert_eq!(db.number("SELECT count(*) FROM calls WHERE phase = 'ended'").await, 1);
    assert_eq!(db.number("SELECT count(*) FROM calls").await, 2);
}

stories! {
    async fn a_database_that_hangs_is_survived(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        writer.open(ringing(1, "7", &["8"])).await.unwrap().unwrap();
        let hold = db.hang().await;
        live_through_it(&writer).await;
        tokio::time::sleep(Wait::from_secs(2)).await;
        assert!(!writer.healthy());
        hold.rollback().await.unwrap();
        and_back(db, &store, &writer).await;
    }

    async fn a_database_that_is_gone_is_survived(db: &Db) {
        if !db.is_postgres() {
            return;
        }
        let store = db.open().await;
        let writer = store.writer();
        writer.open(ringing(1, "7", &["8"])).await.unwrap().unwrap();
        db.admit(false).await;
        live_through_it(&writer).await;
        let start = Instant::now();
        assert!(store.ping().await.is_err());
        assert!(queries::call(&store, id(1)).await.is_err());
        assert!(start.elapsed() < 2 * PATIENCE);
        db.admit(true).await;
        and_back(db, &store, &writer).await;
    }

    async fn what_was_promised_is_there_and_nothing_else(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let faulty = std::sync::atomic::AtomicBool::new(true);
        let faults = async {
            for _ in 0..if db.is_postgres() { 60 } else { 2 } {
                if db.is_postgres() {
                    db.cut().await;
                    tokio::time::sleep(Wait::from_millis(40)).await;
                } else {
                    let hold = db.hang().await;
                    tokio::time::sleep(Wait::from_millis(2100)).await;
                    hold.rollback().await.unwrap();
                    tokio::time::sleep(Wait::from_millis(400)).await;
                }
            }
            faulty.store(false, std::sync::atomic::Ordering::Relaxed);
        };
        let calls = async {
            let mut receipts = Vec::new();
            while faulty.load(std::sync::atomic::Ordering::Relaxed) {
                let call = ringing(receipts.len() as i64 + 1, "7", &["8"]);
                let opened = writer.open(call.clone());
                receipts.push((call.id.get(), opened, writer.update(ended(call, Reason::NoAnswer))));
                tokio::time::sleep(Wait::from_millis(1)).await;
            }
            receipts
        };
        let (receipts, ()) = futures_util::future::join(calls, faults).await;
        let mut promised = Vec::new();
        let mut refused = 0;
        for (number, opened, updated) in receipts {
            let _ = updated.await.unwrap();
            match opened.await.unwrap() {
                Ok(()) => promised.push(number),
                Err(_) => refused += 1,
            }
        }
        until("the writer is healthy", || writer.healthy()).await;
        assert!(writer.flush().await);
        let rows = db.rows("SELECT id, phase FROM calls ORDER BY id").await;
        let there: Vec<i64> = rows.iter().map(|row| row.try_get("", "id").unwrap()).collect();
        println!("{} promised, {refused} refused", promised.len());
        assert_eq!(there, promised);
        assert!(rows.iter().all(|row| row.try_get::<String>("", "phase").unwrap() == "ended"));
        let orphans = "SELECT count(*) FROM call_legs WHERE call_id NOT IN (SELECT id FROM calls)";
        assert_eq!(db.number(orphans).await, 0);
    }

    async fn a_refused_call_whose_commit_landed_after_all_is_taken_back(db: &Db) {
        if !db.is_postgres() {
            return;
        }
        let store = db.open().await;
        let beside = db.connect().await;
        // The commit itself takes longer than the writer waits, and succeeds.
        for sql in [
            "CREATE TABLE landed (id BIGINT)",
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO landed VALUES (NEW.id); PERFORM pg_sleep(4.5); RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON calls DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION linger()",
        ] {
            beside.execute_unprepared(sql).await.unwrap();
        }
        let writer = store.writer();
        writer.open(ringing(1, "7", &["8"])).await.unwrap().unwrap_err();
        until("the writer is healthy", || writer.healthy()).await;
        assert!(writer.flush().await);
        assert_eq!(db.number("SELECT count(*) FROM landed").await, 1, "the story needs a commit that landed");
        assert_eq!(db.number("SELECT count(*) FROM calls").await, 0);
    }

    async fn a_commit_that_failed_does_not_swallow_later_ones(db: &Db) {
        if db.is_postgres() {
            return;
        }
        let store = db.open().await;
        // The commit fails, and SQLite leaves the transaction open.
        let beside = db.connect().await;
        for sql in [
            "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
            "CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER orphan AFTER INSERT ON calls WHEN NEW.id = 13 BEGIN INSERT INTO children VALUES (1); END",
        ] {
            beside.execute_unprepared(sql).await.unwrap();
        }
        let writer = store.writer();
        writer.open(ringing(13, "7", &["8"])).await.unwrap().unwrap_err();
        writer.open(ringing(14, "7", &["8"])).await.unwrap().unwrap();
        assert_eq!(db.number("SELECT count(*) FROM calls").await, 1, "seen by another connection");
    }

    async fn a_short_lock_is_waited_out(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let hold = db.hang().await;
        let receipt = writer.open(ringing(1, "7", &["8"]));
        tokio::time::sleep(Wait::from_millis(200)).await;
        hold.rollback().await.unwrap();
        receipt.await.unwrap().unwrap();
        assert!(writer.healthy());
    }
}
