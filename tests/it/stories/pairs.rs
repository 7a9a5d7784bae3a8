//! The whole story of a call, told once and run for every ordered pair of dialects: it rings, is
//! answered, candidates go both ways, it ends; then it rings and is declined; the records are right.

use crate::harness::phone::{Phone, Speaks};
use crate::harness::{Service, Store};

on_both!(every_dialect_calls_every_other);

async fn every_dialect_calls_every_other(store: Store) {
    let service = Service::with(&store, &[("LIMITS__INITIATES_PER_MINUTE", "1000")]).await;
    let mut number = 10;
    for from in Speaks::ALL {
        for to in Speaks::ALL {
            eprintln!("{from:?} calls {to:?}");
            // Everybody new, so that no pair's leftovers reach the next.
            number += 2;
            let mut caller = Phone::open(&service, from, number).await;
            let mut callee = Phone::open(&service, to, number + 1).await;
            let (a, b) = (caller.user.clone(), callee.user.clone());

            caller.call(&b).await;
            let first = callee.rung(&a).await;
            callee.answer(&a).await;
            caller.answered(&b).await;
            for n in 0..3 {
                caller.send_candidate(&b, n).await;
                callee.send_candidate(&a, 100 + n).await;
            }
            for n in 0..3 {
                callee.candidate(n).await;
                caller.candidate(100 + n).await;
            }
            caller.hang_up(&b).await;
            callee.ended().await;
            assert_eq!(callee.record(first).await.0, "ended");

            caller.call(&b).await;
            let second = callee.rung(&a).await;
            assert_ne!(first, second);
            callee.decline(&a).await;
            caller.declined().await;
            assert_eq!(caller.record(second).await, ("declined".to_owned(), 0));
            caller.quiet().await;
            callee.quiet().await;
        }
    }
    let db = store.open().await;
    assert_eq!(db.count("call_logs", "").await, 50, "one row per call");
    assert_eq!(db.count("call_logs", "WHERE status = 'ended'").await, 25);
    assert_eq!(db.count("call_logs", "WHERE status = 'declined'").await, 25);
    assert_eq!(db.count("call_history", "WHERE call_status IN ('answered', 'rejected')").await, 50);
}
