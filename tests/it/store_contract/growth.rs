//! A record that has grown: what people look at is found by index, however much else there is.

use super::database::Db;
use super::*;
use sea_orm::{ConnectionTrait, QueryTrait, Statement};
use switchboard::ids::ConversationId;
use switchboard::store::queries::{self, CallFilter, Cursor, MissedFilter, Span};

/// How many calls there are.
const CALLS: i64 = 120_000;

/// How many users share them.
const USERS: i64 = 2000;

/// Fills the tables as years of use would, in bulk.
async fn grow(db: &Db) {
    let connection = db.connect().await;
    let numbers = if db.is_postgres() {
        format!("numbers AS (SELECT n::bigint AS n FROM generate_series(1, {CALLS}) AS n)")
    } else {
        format!("RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {CALLS})")
    };
    let time = |plus: i64| {
        if db.is_postgres() {
            format!("to_timestamp(1700000000 + n * 60 + {plus})")
        } else {
            format!("strftime('%Y-%m-%dT%H:%M:%S', 1700000000 + n * 60 + {plus}, 'unixepoch') || '+00:00'")
        }
    };
    // One in a hundred was missed, one in ten thousand failed, few have a conversation.
    let calls = format!(
        "WITH {numbers} INSERT INTO calls (id, caller_id, call_type, conversation_id, phase, reason, started_at, \
         answered_at, ended_at, duration_seconds, reported) \
         SELECT n, CAST(n % {USERS} AS TEXT), CASE WHEN n % 3 = 0 THEN 'video' ELSE 'voice' END, \
         CASE WHEN n % 10 = 0 THEN CAST(n % 5000 AS TEXT) END, 'ended', \
         CASE WHEN n % 10000 = 0 THEN 'failed' WHEN n % 100 = 0 THEN 'no_answer' ELSE 'completed' END, \
         {}, CASE WHEN n % 100 <> 0 THEN {} END, {}, 30, false FROM numbers",
        time(0),
        time(5),
        time(35)
    );
    let legs = |role: &str, position: i64, who: &str, missed: &str| {
        format!(
            "WITH {numbers} INSERT INTO call_legs (call_id, user_id, position, role, state, missed, seen) \
             SELECT n, {who}, {position}, '{role}', 'left', {missed}, n % 200 = 0 FROM numbers"
        )
    };
    let caller = format!("CAST(n % {USERS} AS TEXT)");
    let callee = format!("CAST((n + 1 + n / {USERS}) % {USERS} AS TEXT)");
    for sql in [calls, legs("caller", 0, &caller, "false"), legs("callee", 1, &callee, "n % 100 = 0")] {
        connection.execute_unprepared(&sql).await.unwrap();
    }
    if db.is_postgres() {
        // What PostgreSQL does by itself before long.
        connection.execute_unprepared("ANALYZE").await.unwrap();
    }
    connection.close().await.unwrap();
}

/// How the database would carry out a query.
async fn plan(db: &Db, query: &impl QueryTrait) -> String {
    let connection = db.connect().await;
    let backend = connection.get_database_backend();
    let Statement { sql, values, .. } = query.build(backend);
    let explain = if db.is_postgres() { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" };
    let statement = Statement { sql: format!("{explain} {sql}"), values, db_backend: backend };
    let rows = connection.query_all_raw(statement).await.unwrap();
    let column = if db.is_postgres() { 0 } else { 3 };
    rows.iter().map(|row| row.try_get_by_index::<String>(column).unwrap() + "\n").collect()
}

/// Whether the whole of a table is read to find what is asked for.
fn reads_all(db: &Db, plan: &str) -> bool {
    if db.is_postgres() {
        return plan.contains("Seq Scan");
    }
    plan.lines().any(|line| line.starts_with("SCAN") && !line.contains("USING INDEX"))
}

/// Whether calls are gone through one by one, between the ends of what is asked for.
fn walks(db: &Db, plan: &str) -> bool {
    let lines: Vec<&str> = plan.lines().collect();
    if db.is_postgres() {
        return lines
            .windows(2)
            .any(|pair| pair[0].contains("using calls_pkey") && pair[1].trim().starts_with("Index Cond: ((id >="));
    }
    lines.iter().any(|line| line.starts_with("SEARCH calls") && line.ends_with("(rowid>? AND rowid<?)"))
}

stories! {
    async fn a_page_of_a_large_record_is_found_by_index(db: &Db) {
        let _store = db.open().await;
        grow(db).await;
        let seven = user("7");
        let place = Cursor::parse("1000").unwrap();
        let missed = || MissedFilter { limit: 50, ..MissedFilter::default() };
        let own_missed = || MissedFilter { callee: Some(seven.clone()), ..missed() };
        let own = || CallFilter { member: Some(seven.clone()), limit: 50, ..CallFilter::default() };
        let of = |word: &str| CallFilter { status: Some(word.to_owned()), limit: 50, ..CallFilter::default() };
        let class = ConversationId::parse("10").ok();
        let mut plans = vec![
            ("how many a user has not seen", plan(db, &queries::all_unseen(Some(&seven))).await),
            ("how many each of some has not seen", plan(db, &queries::all_unseen_of(&[&seven, &user("8")])).await),
            ("how many nobody has seen", plan(db, &queries::all_unseen(None)).await),
            ("the history of two", plan(db, &queries::page_between(&seven, &user("8"), 50)).await),
        ];
        for (what, filter) in [
            ("the missed calls of a user", own_missed()),
            ("more of them", MissedFilter { before: Some(place.clone()), ..own_missed() }),
            ("those the user has not seen", MissedFilter { unseen: Some(true), ..own_missed() }),
            ("everybody's missed calls", missed()),
            ("those nobody has seen", MissedFilter { unseen: Some(true), ..missed() }),
        ] {
            plans.push((what, plan(db, &queries::page_of_missed(&filter, Span::ALL)).await));
        }
        for (what, filter) in [
            ("a user's calls", own()),
            ("more of them", CallFilter { before: Some(place.clone()), ..own() }),
            ("with a peer", CallFilter { peer: Some(user("8")), ..own() }),
            ("missed by the user", CallFilter { missed: Some(true), ..own() }),
            ("not missed by the user", CallFilter { missed: Some(false), ..own() }),
            ("the user's that failed", CallFilter { status: Some("failed".to_owned()), ..own() }),
            ("the user's for a reason", CallFilter { reason: Some(Reason::NoAnswer), ..own() }),
            ("the user's with video", CallFilter { call_type: Some(CallType::Video), ..own() }),
            ("the user's of a conversation", CallFilter { conversation_id: class.clone(), ..own() }),
            ("a conversation's", CallFilter { conversation_id: class, ..CallFilter::default() }),
            ("for a reason", CallFilter { reason: Some(Reason::Failed), ..CallFilter::default() }),
            ("those that ring", of("ringing")),
            ("those that are missed", of("missed")),
            ("those that failed", of("failed")),
        ] {
            plans.push((what, plan(db, &queries::page_of_calls(&filter, Span::ALL)).await));
        }
        let slow: Vec<String> = plans
            .iter()
            .filter(|(_, plan)| reads_all(db, plan) || walks(db, plan))
            .map(|(what, plan)| format!("{what}:\n{plan}"))
            .collect();
        assert!(slow.is_empty(), "all of the record is read for\n{}", slow.join("\n"));
    }

    async fn a_page_of_a_period_is_found_between_its_ends(db: &Db) {
        let _store = db.open().await;
        grow(db).await;
        // A day in the middle of them.
        let start = DateTime::<Utc>::from_timestamp(1_700_000_000 + CALLS / 2 * 60, 0);
        let (since, until) = (start, start.map(|start| start + Duration::days(1)));
        let connection = db.connect().await;
        let span = queries::span(&connection, since, until).await.unwrap().unwrap();
        connection.close().await.unwrap();
        assert_eq!(span, Span { lowest: CALLS / 2, highest: CALLS / 2 + 1439 });
        let seven = user("7");
        let calls = || CallFilter { since, until, limit: 50, ..CallFilter::default() };
        let missed = || MissedFilter { since, until, limit: 50, ..MissedFilter::default() };
        let mut plans = vec![("its ends", plan(db, &queries::ends_of(since, until)).await)];
        for (what, filter) in [
            ("a user's missed calls", MissedFilter { callee: Some(seven.clone()), ..missed() }),
            ("everybody's missed calls", missed()),
            ("those nobody has seen", MissedFilter { unseen: Some(true), ..missed() }),
        ] {
            plans.push((what, plan(db, &queries::page_of_missed(&filter, span)).await));
        }
        for (what, filter) in [
            ("a user's calls", CallFilter { member: Some(seven), ..calls() }),
            ("everybody's calls", calls()),
            ("with video", CallFilter { call_type: Some(CallType::Video), ..calls() }),
            ("those that failed", CallFilter { status: Some("failed".to_owned()), ..calls() }),
            ("missed by nobody", CallFilter { missed: Some(false), ..calls() }),
        ] {
            plans.push((what, plan(db, &queries::page_of_calls(&filter, span)).await));
        }
        for (what, plan) in plans {
            assert!(!reads_all(db, &plan), "all of the record is read for {what}:\n{plan}");
        }
    }

    async fn lists_of_everything_are_read_from_the_newest_on(db: &Db) {
        let _store = db.open().await;
        grow(db).await;
        for (what, filter) in [
            ("all", CallFilter::default()),
            ("with video", CallFilter { call_type: Some(CallType::Video), ..CallFilter::default() }),
            ("missed by anybody", CallFilter { missed: Some(true), ..CallFilter::default() }),
            ("missed by nobody", CallFilter { missed: Some(false), ..CallFilter::default() }),
            ("ended well", CallFilter { status: Some("ended".to_owned()), ..CallFilter::default() }),
        ] {
            // Without sorting: reading stops where the page is full.
            let plan = plan(db, &queries::page_of_calls(&CallFilter { limit: 50, ..filter }, Span::ALL)).await;
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "{what}:\n{plan}");
        }
    }
}
