//! Migrations, and the views against the vocabulary.

use super::database::Db;
use super::*;
use crate::harness::PATIENCE;
use switchboard::router::messages::Ledger;
use switchboard::store::{Store, StoreError, migrate, queries, vocabulary};

stories! {
    async fn migrations_go_down_and_up_again(db: &Db) {
        let store = db.open().await;
        let all = migrate::status(&store).await.unwrap();
        assert!(all.iter().all(|(_, applied)| *applied));
        let steps = u32::try_from(all.len()).unwrap();
        migrate::down(&store, steps).await.unwrap();
        assert_eq!(migrate::pending(&store).await.unwrap().len(), all.len());
        migrate::up(&store, Some(1)).await.unwrap();
        let refused = Store::open(&db.url, true).await.err().unwrap();
        assert!(matches!(&refused, StoreError::Pending(left) if left.len() == all.len() - 1), "{refused}");
        assert!(refused.to_string().contains("--no-migrate"));
        migrate::up(&store, None).await.unwrap();
        Store::open(&db.url, true).await.unwrap();
    }

    async fn a_live_calls_machine_is_taken_along_either_way(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        for record in [ringing(1, "7", &["8"]), ended(ringing(2, "7", &["8"]), Reason::Cancelled)] {
            writer.open(record).await.unwrap().unwrap();
        }
        let before = queries::live_calls(&store).await.unwrap();
        let since = migrate::status(&store).await.unwrap();
        let since = since.iter().rev().position(|(name, _)| name.ends_with("_live_calls")).unwrap();
        migrate::down(&store, u32::try_from(since).unwrap() + 1).await.unwrap();
        assert_eq!(db.number("SELECT count(*) FROM calls WHERE live = '{}'").await, 1);
        migrate::up(&store, None).await.unwrap();
        assert_eq!(queries::live_calls(&store).await.unwrap(), before);
        assert_eq!(before[0].live.as_deref(), Some("{}"));
    }

    async fn several_nodes_may_start_at_once(db: &Db) {
        // On SQLite a node does not wait for ever for one that migrates: it gives up, and is started again.
        let node = || async {
            loop {
                match Store::open(&db.url, false).await {
                    Err(busy) if !db.is_postgres() && busy.to_string().contains("locked") => {
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                    opened => break opened.unwrap(),
                }
            }
        };
        let nodes = futures_util::future::join_all((0..4).map(|_| node()));
        for store in tokio::time::timeout(PATIENCE, nodes).await.expect("each has its turn") {
            store.ping().await.unwrap();
        }
    }

    async fn the_views_agree_with_the_vocabulary(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let mut number = 0;
        let mut expected = Vec::new();
        let mut write = |record: Record| {
            let answered = record.answered_at.is_some();
            expected.push((
                vocabulary::log_status(record.phase, record.reason, answered),
                vocabulary::history_status(record.phase, record.reason, answered),
            ));
            writer.open(record)
        };
        let mut next = || {
            number += 1;
            ringing(number, "7", &["tutor_1"])
        };
        let mut receipts = vec![write(Record { phase: Phase::Initiated, ..next() }), write(next()), write(answered(next()))];
        for reason in Reason::ALL {
            receipts.push(write(ended(next(), reason)));
            receipts.push(write(ended(answered(next()), reason)));
        }
        // Ended, but for no known reason.
        receipts.push(write(Record { reason: None, legs: ringing(1, "7", &["tutor_1"]).legs, ..ended(next(), Reason::Failed) }));
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
        let logs = db.rows("SELECT id, status FROM call_logs ORDER BY id").await;
        let history = db.rows("SELECT id, call_status, call_duration FROM call_history ORDER BY id").await;
        assert_eq!((logs.len(), history.len()), (expected.len(), expected.len()));
        for ((log, row), (status, call_status)) in logs.iter().zip(&history).zip(&expected) {
            let number: i64 = log.try_get("", "id").unwrap();
            assert_eq!(log.try_get::<String>("", "status").unwrap(), *status, "call {number}");
            assert_eq!(row.try_get::<String>("", "call_status").unwrap(), *call_status, "call {number}");
            assert_eq!(queries::call(&store, id(number)).await.unwrap().unwrap().status, *status);
        }
        let read = queries::history_between(&store, &user("tutor_1"), &user("7"), 100).await.unwrap();
        for (row, (_, call_status)) in read.iter().rev().zip(&expected) {
            assert_eq!(row.call_status, *call_status, "call {}", row.id);
        }
    }

    async fn lists_are_read_by_index(db: &Db) {
        if db.is_postgres() {
            // Its planner goes by the size of tables, and these are empty.
            return;
        }
        db.open().await;
        for (query, index) in [
            ("SELECT * FROM call_legs WHERE missed AND user_id = '8' ORDER BY call_id DESC, user_id", "call_legs_missed_by"),
            ("SELECT * FROM call_legs WHERE missed ORDER BY call_id DESC, user_id", "call_legs_missed"),
            ("SELECT count(*) FROM call_legs WHERE missed AND user_id = '8' AND NOT seen", "call_legs_unseen"),
            ("SELECT * FROM calls WHERE phase <> 'ended' ORDER BY id", "calls_live"),
            ("SELECT * FROM calls WHERE conversation_id = '1' ORDER BY id DESC", "calls_conversation"),
            ("SELECT * FROM calls WHERE caller_id = '7' AND idempotency_key = 'k'", "calls_idempotency"),
            ("SELECT id FROM call_logs ORDER BY started_at DESC LIMIT 10", "calls_started"),
            ("SELECT call_id FROM call_legs WHERE user_id = '8'", "call_legs_user"),
        ] {
            let plan = db.rows(&format!("EXPLAIN QUERY PLAN {query}")).await;
            let plan: String = plan.iter().map(|row| row.try_get::<String>("", "detail").unwrap() + "; ").collect();
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{query}: {plan}");
        }
    }

    async fn the_seeds_own_query_works(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        for number in 1..=12 {
            let call = ended(answered(ringing(number, "7", &["tutor_1", "007", "8"])), Reason::Completed);
            writer.open(call).await.unwrap().unwrap();
        }
        let rows = db.rows("SELECT * FROM call_logs ORDER BY started_at DESC LIMIT 10").await;
        assert_eq!(rows.len(), 10);
        let first = &rows[0];
        assert_eq!(first.try_get::<i64>("", "id").unwrap(), 12);
        assert_eq!(first.try_get::<Timestamp>("", "started_at").unwrap(), at(12_000));
        assert_eq!(first.try_get::<Timestamp>("", "created_at").unwrap(), at(12_000));
        assert_eq!(first.try_get::<i64>("", "duration_seconds").unwrap(), 10);
        assert_eq!(first.try_get::<Option<i32>>("", "caller_profile_id").unwrap(), None);
        let who = db.rows("SELECT CAST(participants AS TEXT) AS who FROM call_logs LIMIT 1").await;
        let who: serde_json::Value = serde_json::from_str(&who[0].try_get::<String>("", "who").unwrap()).unwrap();
        assert_eq!(who, serde_json::json!([7, "tutor_1", "007", 8]));
    }
}
