//! What the writer makes of records.

use super::database::Db;
use super::*;
use switchboard::router::messages::Ledger;
use switchboard::router::messages::StatusRow;
use switchboard::store::queries;
use switchboard::store::told::{Said, Told};

/// A client that says a call is answered and counted that long.
fn told(number: i64, seconds: i64) -> Told {
    Told {
        call: id(number),
        by: user("7"),
        at: at(number * 1000 + 5000),
        status: Said::parse("answered"),
        answered_at: None,
        ended_at: None,
        duration_seconds: Some(seconds),
    }
}

stories! {
    async fn what_clients_say_stays_beside_the_record(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        assert!(!writer.told(told(1, 3)).await.unwrap(), "there is no such call");
        writer.open(answered(ringing(1, "7", &["8"]))).await.unwrap().unwrap();
        let before = queries::call(&store, id(1)).await.unwrap().unwrap();
        // Together with others, and with what is no call: each gets its own answer.
        let answers = tokio::join!(writer.told(told(1, 3)), writer.told(told(9, 3)), writer.told(told(1, 4)));
        assert_eq!((answers.0.unwrap(), answers.1.unwrap(), answers.2.unwrap()), (true, false, true));
        let after = queries::call(&store, id(1)).await.unwrap().unwrap();
        let said = (Some(at(6000)), Some(3));
        assert_eq!((after.client_connected_at, after.client_duration_seconds), said);
        let stripped = queries::CallRow { client_connected_at: None, client_duration_seconds: None, ..after };
        assert_eq!(stripped, before);
        assert_eq!(queries::events(&store, id(1)).await.unwrap().len(), 1);
        // The next snapshot does not know of it and leaves it.
        writer.update(ended(answered(ringing(1, "7", &["8"])), Reason::Completed)).await.unwrap().unwrap();
        let over = queries::call(&store, id(1)).await.unwrap().unwrap();
        assert_eq!((over.client_connected_at, over.client_duration_seconds), said);
        assert_eq!((over.status, over.duration_seconds), ("ended", 10));
    }

    async fn whose_a_profile_is_the_last_word_says(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let owners = |list: &[(&str, &str)]| list.iter().map(|(key, owner)| (user(key), user(owner))).collect::<Vec<_>>();
        writer.profiles(owners(&[("tutor_1", "7"), ("student_2", "7")]));
        writer.profiles(owners(&[("tutor_1", "8")]));
        assert!(writer.flush().await);
        writer.profiles(owners(&[("tutor_3", "7"), ("tutor_1", "9")]));
        assert!(writer.flush().await);
        let mut read = queries::profiles(&store).await.unwrap();
        read.sort();
        assert_eq!(read, owners(&[("student_2", "7"), ("tutor_1", "9"), ("tutor_3", "7")]));
    }

    async fn reported_calls_left_open_are_settled_and_others_are_not_touched(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let own = |number| Record { live: None, ..ringing(number, "7", &[]) };
        for record in [own(1), answered(own(2)), own(90_000)] {
            writer.open_reported(record).await.unwrap().unwrap();
        }
        writer.open(ringing(3, "7", &["8"])).await.unwrap().unwrap();
        let now = at(90_000_000);
        assert_eq!(queries::settle_reported(&store, now).await.unwrap(), 2);
        assert_eq!(queries::settle_reported(&store, now).await.unwrap(), 0);
        let status = async |number| queries::call(&store, id(number)).await.unwrap().unwrap();
        let first = status(1).await;
        assert_eq!((first.status, first.ended_at), ("failed", Some(at(1000))));
        let second = status(2).await;
        assert_eq!((second.status, second.duration_seconds, second.ended_at), ("ended", 0, second.answered_at));
        assert_eq!((status(3).await.status, status(90_000).await.status), ("ringing", "ringing"));
        // A start takes up what was routed here, and nothing else.
        let live: Vec<CallId> = queries::live_calls(&store).await.unwrap().into_iter().map(|call| call.id).collect();
        assert_eq!(live, [id(3)]);
    }

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
        // So many go together. More at once would wait for each other, which nobody does for long.
        for first in [1, 501, 1001] {
            let receipts: Vec<_> = (first..first + 500).map(|n| writer.open(ringing(n, "7", &callees))).collect();
            for receipt in receipts {
                receipt.await.unwrap().unwrap();
            }
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

    async fn the_name_last_seen_is_stored_also_when_it_is_an_earlier_one_again(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let named = |number, name: Option<&str>| Record {
            caller_name: name.map(str::to_owned),
            ..ringing(number, "7", &["8"])
        };
        let names = [Some("Seven"), Some("Seven"), Some("Sept"), None, Some("Seven"), None];
        for (number, (name, stored)) in (1..).zip(names.into_iter().zip(["Seven", "Seven", "Sept", "Sept", "Seven", "Seven"])) {
            writer.open(named(number, name)).await.unwrap().unwrap();
            let read = queries::names(&store, &[user("7"), user("8")]).await.unwrap();
            assert_eq!(read.into_iter().collect::<Vec<_>>(), [(user("7"), stored.to_owned())], "call {number}");
        }
        assert_eq!(db.number("SELECT count(*) FROM users").await, 2);
        // In one batch the later one counts, wherever it comes from.
        let status = |name: Option<&str>| StatusRow {
            user: user("7"),
            status: "online".into(),
            last_seen: at(1),
            current_call_with: None,
            name: name.map(str::to_owned),
        };
        let receipt = writer.open(named(7, Some("Siete")));
        writer.statuses(vec![status(Some("Seven")), status(None)]);
        receipt.await.unwrap().unwrap();
        assert!(writer.flush().await);
        let read = queries::names(&store, &[user("7")]).await.unwrap();
        assert_eq!(read.into_iter().collect::<Vec<_>>(), [(user("7"), "Seven".to_owned())]);
    }

    async fn the_machine_of_a_call_is_kept_as_long_as_it_lives(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let with = |machine: &str, record: Record| Record { live: Some(machine.into()), ..record };
        let kept = async || {
            let live = queries::live_calls(&store).await.unwrap();
            live.into_iter().map(|call| (call.id.get(), call.live.unwrap())).collect::<Vec<_>>()
        };
        // More than a page of SQLite's, and more calls than one statement takes.
        let large = "x".repeat(9000);
        let receipts: Vec<_> = (1..=150).map(|n| writer.open(with(&large, ringing(n, "7", &["8"])))).collect();
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
        assert_eq!(kept().await, (1..=150).map(|n| (n, large.clone())).collect::<Vec<_>>());
        let receipts: Vec<_> = (1..=150)
            .map(|n| match n {
                1 => writer.update(with("1", answered(ringing(n, "7", &["8"])))),
                _ => writer.update(ended(ringing(n, "7", &["8"]), Reason::Cancelled)),
            })
            .collect();
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
        assert_eq!(kept().await, [(1, "1".to_owned())]);
        assert_eq!(db.number("SELECT count(*) FROM live_calls").await, 1);
        assert!(queries::fail_orphan(&store, id(1), at(99_000)).await.unwrap());
        assert_eq!(db.number("SELECT count(*) FROM live_calls").await, 0);
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
        let named = |n: i64, name: &str| StatusRow { name: Some(name.into()), ..row(n, "online") };
        writer.statuses(vec![StatusRow { status: "in_call".into(), ..named(5, "Five") }, named(6, "Six")]);
        assert!(writer.flush().await);
        assert_eq!(db.number("SELECT count(*) FROM user_status WHERE status = 'in_call'").await, 1);
        assert_eq!(db.number("SELECT count(*) FROM users WHERE name IN ('Five', 'Six')").await, 2);
        queries::settle_statuses(&store).await.unwrap();
        let away = "SELECT count(*) FROM user_status WHERE status = 'offline' AND current_call_with IS NULL";
        assert_eq!(db.number(away).await, 1200);
        let seen = queries::last_seen(&store, &[user("u5"), user("nobody")]).await.unwrap();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(user("u5"), at(5))]);
    }
}
