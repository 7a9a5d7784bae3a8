//! What is read back.

use super::database::Db;
use super::*;
use switchboard::ids::ConversationId;
use switchboard::router::messages::{Ledger, StatusRow};
use switchboard::store::queries::{self, CallFilter, Cursor, MissedFilter};

stories! {
    async fn missed_calls_are_listed_until_seen(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let eight = user("8");
        let own = MissedFilter { callee: Some(eight.clone()), limit: 50, ..MissedFilter::default() };
        for (number, reason) in [(1, Reason::Busy), (2, Reason::NoAnswer), (3, Reason::Declined), (4, Reason::Cancelled)] {
            writer.open(ended(ringing(number, "7", &["8"]), reason)).await.unwrap().unwrap();
        }
        writer.open(ended(ringing(5, "8", &["9"]), Reason::Offline)).await.unwrap().unwrap();
        let (list, next) = queries::missed(&store, &own).await.unwrap();
        assert_eq!(list.iter().map(|call| call.id.get()).collect::<Vec<_>>(), [4, 2, 1]);
        assert!(next.is_none());
        assert_eq!((list[0].call_status, list[0].reason), ("missed", Some(Reason::Cancelled)));
        assert_eq!(list[0].call_time, at(4000));
        assert_eq!(queries::unseen_count(&store, Some(&eight)).await.unwrap(), 3);
        assert_eq!(queries::unseen_count(&store, None).await.unwrap(), 4);
        let (seven, nine) = (user("7"), user("9"));
        let of_each = queries::unseen_counts(&store, &[&seven, &eight, &nine]).await.unwrap();
        assert_eq!(of_each, [(eight.clone(), 3), (nine, 1)].into());
        writer.mark_seen(id(2), &eight).await.unwrap();
        assert_eq!(queries::unseen_count(&store, Some(&eight)).await.unwrap(), 2);
        let (list, _) = queries::missed(&store, &own).await.unwrap();
        assert_eq!(list.iter().map(|call| call.seen_by_callee).collect::<Vec<_>>(), [false, true, false]);
    }

    async fn people_come_in_the_order_of_their_ids_byte_by_byte(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let people = [("10", "Ten"), ("9", "N%ne"), ("Zoe", "Zoe"), ("ann", "Änn"), ("b_b", "Ben")];
        let row = |(id, name): (&str, &str)| StatusRow {
            user: user(id),
            status: "online".into(),
            last_seen: at(1),
            current_call_with: None,
            name: Some(name.into()),
        };
        writer.statuses(people.map(row).to_vec());
        writer.open(ringing(1, "ann", &["nobody"])).await.unwrap().unwrap();
        let ids = async |sought: Option<&str>, after: Option<&str>, limit| {
            let page = queries::people(&store, sought, after.map(user).as_ref(), limit).await.unwrap();
            page.into_iter().map(|person| person.user.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(None, None, 50).await, ["10", "9", "Zoe", "ann", "b_b", "nobody"]);
        assert_eq!(ids(None, Some("9"), 2).await, ["Zoe", "ann"]);
        assert_eq!(ids(None, Some("nobody"), 2).await, [""; 0]);
        assert_eq!(ids(Some("n%"), None, 50).await, ["9"]);
        assert_eq!(ids(Some("_"), None, 50).await, ["b_b"]);
        assert_eq!(ids(Some("zo"), None, 50).await, ["Zoe"]);
        // No database is asked about capital letters beyond ASCII; the reader compares.
        assert!(ids(Some("änn"), None, 50).await.contains(&"ann".to_owned()));
        let names = queries::names(&store, &[user("9"), user("nobody"), user("never")]).await.unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), [(user("9"), "N%ne".to_owned())]);
    }

    async fn pages_have_no_gaps_and_no_repeats(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        for number in 1..=23 {
            writer.open(ended(ringing(number, "7", &["8", "9", "10"]), Reason::NoAnswer)).await.unwrap().unwrap();
        }
        let mut filter = CallFilter { limit: 5, ..CallFilter::default() };
        let mut seen = Vec::new();
        loop {
            let (page, next) = queries::calls(&store, &filter).await.unwrap();
            assert!(page.iter().all(|call| call.participants.len() == 4));
            seen.extend(page.into_iter().map(|call| call.id.get()));
            // A call that comes while somebody pages does not move the pages.
            writer.open(ringing(1000 + seen.len() as i64, "5", &["6"])).await.unwrap().unwrap();
            let Some(next) = next else { break };
            filter.before = Some(Cursor::parse(&next.to_string()).unwrap());
        }
        assert_eq!(seen, (1..=23).rev().collect::<Vec<i64>>());

        let mut missed = Vec::new();
        let mut filter = MissedFilter { limit: 4, ..MissedFilter::default() };
        loop {
            let (page, next) = queries::missed(&store, &filter).await.unwrap();
            missed.extend(page.into_iter().map(|call| (call.id.get(), call.callee_id.to_string())));
            let Some(next) = next else { break };
            filter.before = Some(Cursor::parse(&next.to_string()).unwrap());
        }
        assert_eq!(missed.len(), 69);
        let mut apart = missed.clone();
        apart.sort();
        apart.dedup();
        assert_eq!(apart.len(), 69);
        assert!(missed.is_sorted_by_key(|(number, _)| -number));
    }

    async fn calls_are_found_by_every_filter(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let class = ConversationId::parse("123").unwrap();
        let mut video = ended(answered(ringing(3, "9", &["8"])), Reason::Completed);
        video.call_type = CallType::Video;
        video.conversation = Some(class.clone());
        let records = [
            ended(ringing(1, "7", &["8"]), Reason::Busy),
            ended(ringing(2, "8", &["7"]), Reason::Killed),
            video,
            ended(answered(ringing(4, "7", &["9"])), Reason::Killed),
            ringing(5, "5", &["6"]),
        ];
        for record in records {
            writer.open(record).await.unwrap().unwrap();
        }
        let find = async |filter: CallFilter| -> Vec<i64> {
            let filter = CallFilter { limit: 100, ..filter };
            queries::calls(&store, &filter).await.unwrap().0.iter().map(|call| call.id.get()).collect()
        };
        let all = CallFilter::default;
        assert_eq!(find(all()).await, [5, 4, 3, 2, 1]);
        assert_eq!(find(CallFilter { member: Some(user("7")), ..all() }).await, [4, 2, 1]);
        assert_eq!(find(CallFilter { user: Some(user("7")), peer: Some(user("8")), ..all() }).await, [2, 1]);
        for (status, found) in [
            ("ended", vec![4, 3]),
            ("cancelled", vec![2]),
            ("missed", vec![1]),
            ("ringing", vec![5]),
            ("failed", vec![]),
            ("nonsense", vec![]),
        ] {
            assert_eq!(find(CallFilter { status: Some(status.into()), ..all() }).await, found, "{status}");
        }
        assert_eq!(find(CallFilter { reason: Some(Reason::Killed), ..all() }).await, [4, 2]);
        assert_eq!(find(CallFilter { call_type: Some(CallType::Video), ..all() }).await, [3]);
        assert_eq!(find(CallFilter { conversation_id: Some(class.clone()), ..all() }).await, [3]);
        assert_eq!(find(CallFilter { since: Some(at(2000)), until: Some(at(4000)), ..all() }).await, [3, 2]);
        assert_eq!(find(CallFilter { missed: Some(true), ..all() }).await, [2, 1]);
        assert_eq!(find(CallFilter { missed: Some(true), user: Some(user("8")), ..all() }).await, [1]);
        assert_eq!(find(CallFilter { missed: Some(false), ..all() }).await, [5, 4, 3]);

        let log = queries::call_logs(&store, &class, None, 200).await.unwrap();
        assert_eq!(log.len(), 1);
        assert!(log[0].is_member(&user("8")) && !log[0].is_member(&user("7")));

        let report = queries::report(&store).await.unwrap();
        assert_eq!((report.total, report.last.len(), report.answered, report.cancelled), (5, 5, 2, 1));
        assert_eq!((report.ended, report.ended_with_duration, report.stuck_in_initiated), (2, 2, 0));
        assert!(report.by_status.contains(&("missed", 1)));
    }

    async fn a_group_callee_keeps_an_outcome_of_their_own(db: &Db) {
        let store = db.open().await;
        let writer = store.writer();
        let mut call = answered(ringing(1, "7", &["8", "9"]));
        call.legs[2].joined_at = None;
        call.legs[2].reason = Some(Reason::Declined);
        writer.open(call).await.unwrap().unwrap();
        let with = async |who: &str| queries::history_between(&store, &user("7"), &user(who), 5).await.unwrap();
        assert_eq!(with("8").await[0].call_status, "ongoing");
        assert_eq!(with("9").await[0].call_status, "rejected");
        let rows = db.rows("SELECT call_status FROM call_history ORDER BY callee_id").await;
        let words: Vec<String> = rows.iter().map(|row| row.try_get("", "call_status").unwrap()).collect();
        assert_eq!(words, ["ongoing", "rejected"]);
    }

    async fn a_start_finds_live_calls_and_ends_orphans(db: &Db) {
        let store = db.open().await;
        assert_eq!(queries::highest_call_id(&store).await.unwrap(), 0);
        let writer = store.writer();
        writer.open(ringing(1, "7", &["8"])).await.unwrap().unwrap();
        writer.open(answered(ringing(2, "5", &["6"]))).await.unwrap().unwrap();
        writer.open(ended(ringing(3, "7", &["8"]), Reason::Busy)).await.unwrap().unwrap();
        assert_eq!(queries::highest_call_id(&store).await.unwrap(), 3);
        let live = queries::live_calls(&store).await.unwrap();
        assert_eq!(live.iter().map(|call| (call.id.get(), call.live.as_deref())).collect::<Vec<_>>(), [(1, Some("{}")), (2, Some("{}"))]);
        for call in live {
            assert!(queries::fail_orphan(&store, call.id, at(60_000)).await.unwrap());
            assert!(!queries::fail_orphan(&store, call.id, at(90_000)).await.unwrap(), "it has ended");
        }
        let failed = queries::call(&store, id(1)).await.unwrap().unwrap();
        assert_eq!((failed.status, failed.reason, failed.participants[1].missed), ("failed", Some(Reason::Failed), true));
        let dropped = queries::call(&store, id(2)).await.unwrap().unwrap();
        assert_eq!((dropped.reason, dropped.ended_at), (Some(Reason::Dropped), Some(at(60_000))));
        assert_eq!((dropped.duration_seconds, dropped.participants[1].missed), (56, false));
        assert_eq!(queries::events(&store, id(1)).await.unwrap().last().unwrap().what, "ended");
        assert!(queries::live_calls(&store).await.unwrap().is_empty());
    }
}
