//! What the writer makes of records.

use super::database::Db;
use super::*;
use switchboard::router::messages::Ledger;
use switchboard::router::messages::StatusRow;
use switchboard::store::queries;

stories! {
    async fn writing_a_record_twice_changes_nothing(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let record = ringing(1, "7", &["8"]);
        writer.open(record.clone()).await.unwrap().unwrap();
        let first = queries::call(&store, id(1)).await.unwrap().unwrap();
        writer.open(record.clone()).await.unwrap().unwrap();
        writer.update(record.clone()).await.unwrap().unwrap();
        assert_eq!(queries::call(&store, id(1)).await.unwrap().unwrap(), first);
        assert_eq!(queries::events(&store, id(1)).await.unwrap(), record.trace);
        assert_eq!((first.started_at, first.status), (record.started_at, "ringing"));
        assert_eq!(first.callees().collect::<Vec<_>>(), [&user("8")]);
    }

    async fn snapshots_of_one_call_coalesce_to_the_newest_with_all_traces(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let open = ringing(1, "7", &["8"]);
        // Handed over without waiting, so they meet in one batch.
        let receipts = [
            writer.open(open.clone()),
            writer.update(answered(open.clone())),
            writer.update(ended(answered(open), Reason::Completed)),
        ];
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
        let call = queries::call(&store, id(1)).await.unwrap().unwrap();
        assert_eq!((call.status, call.duration_seconds), ("ended", 10));
        let trace = queries::events(&store, id(1)).await.unwrap();
        assert_eq!(trace.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    async fn one_bad_row_does_not_spoil_its_batch(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let keyed = |number| {
            let mut record = ringing(number, "7", &["8"]);
            record.idempotency_key = Some("again".into());
            record
        };
        let receipts: Vec<_> =
            (1..=20).map(|n| writer.open(if n == 3 || n == 9 { keyed(n) } else { ringing(n, "5", &["6"]) })).collect();
        let mut refused = 0;
        for receipt in receipts {
            refused += i32::from(receipt.await.unwrap().is_err());
        }
        assert_eq!(refused, 1);
        assert_eq!(db.number("SELECT count(*) FROM calls").await, 19);
        assert!(writer.healthy());
        let found = queries::find_by_key(&store, &user("7"), "again").await.unwrap().unwrap();
        assert_eq!(found.id, id(3));
        // What was refused stays away.
        writer.update(keyed(9)).await.unwrap().unwrap_err();
        assert!(queries::call(&store, id(9)).await.unwrap().is_none());
    }

    async fn many_calls_at_once_are_all_written(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let names: Vec<String> = (0..6).map(|n| format!("user{n}")).collect();
        let callees: Vec<&str> = names.iter().map(String::as_str).collect();
        let receipts: Vec<_> = (1..=1500).map(|n| writer.open(ringing(n, "7", &callees))).collect();
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
        assert_eq!(db.number("SELECT count(*) FROM calls").await, 1500);
        assert_eq!(db.number("SELECT count(*) FROM call_legs").await, 10_500);
        assert_eq!(db.number("SELECT count(*) FROM users").await, 7);
        assert_eq!(writer.waiting(), 0);
    }

    async fn a_rewrite_leaves_seen_and_reported_alone(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let missed = ended(ringing(1, "7", &["8"]), Reason::Busy);
        writer.open_reported(missed.clone()).await.unwrap().unwrap();
        assert!(writer.mark_seen(id(1), &user("8")).await.unwrap());
        assert!(writer.mark_seen(id(1), &user("8")).await.unwrap(), "twice is fine");
        assert!(!writer.mark_seen(id(1), &user("7")).await.unwrap(), "the caller missed nothing");
        assert!(!writer.mark_seen(id(2), &user("8")).await.unwrap());
        writer.update(missed).await.unwrap().unwrap();
        let call = queries::call(&store, id(1)).await.unwrap().unwrap();
        assert!(call.reported && call.participants[1].seen);
    }

    async fn statuses_and_names_are_stored_and_settled_at_the_start(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let row = |n: i64, status: &str| StatusRow {
            user: user(&format!("u{n}")),
            status: status.into(),
            last_seen: at(n),
            current_call_with: (status == "in_call").then(|| user("7")),
            name: (n % 2 == 0).then(|| format!("Name {n}")),
        };
        writer.statuses((1..=1200).map(|n| row(n, "online")).collect());
        writer.statuses(vec![row(5, "in_call")]);
        writer.names(vec![(user("u5"), "Five".into()), (user("u6"), "Six".into())]);
        assert!(writer.flush().await);
        assert_eq!(db.number("SELECT count(*) FROM user_status WHERE status = 'in_call'").await, 1);
        assert_eq!(db.number("SELECT count(*) FROM users WHERE name IN ('Five', 'Six')").await, 2);
        queries::settle_statuses(&store).await.unwrap();
        let away = "SELECT count(*) FROM user_status WHERE status = 'offline' AND current_call_with IS NULL";
        assert_eq!(db.number(away).await, 1200);
        let all = queries::all_statuses(&store).await.unwrap();
        assert_eq!(all.len(), 1200);
        assert!(all.contains(&(user("u5"), at(5))));
        let seen = queries::last_seen(&store, &[user("u9"), user("nobody")]).await.unwrap();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(user("u9"), at(9))]);
    }
}
