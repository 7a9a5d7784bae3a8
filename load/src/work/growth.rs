//! The record as it grows: what a start, a page and a statistic cost with a million calls, beside the same with ten
//! thousand. What people look at is the same in both: pages of as many rows, a week with as many calls.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sea_orm::{ConnectionTrait, Database};

use super::heartbeats::ask;
use crate::measure::{Sample, alternate, median, percentile, ratios, tails};
use crate::process::{self, Process};
use crate::report::Row;
use crate::{Outcome, Plan, socket, tokens};

const FEW: i64 = 10_000;
const MANY: i64 = 1_000_000;

/// Who calls whom, among these; so many more are known.
const USERS: i64 = 20;
const KNOWN: i64 = 100_000;

/// How often each question is asked in a round.
const TIMES: usize = 40;

/// What is asked, by the user whose token it is.
const QUESTIONS: [(&str, &str); 5] = [
    ("missed calls, unseen ones counted", "/api/call/missed?limit=5"),
    ("a page of one's history", "/api/calls?limit=10"),
    ("a later page of it", "/api/calls?limit=10&cursor=5000"),
    ("the history of two", "/api/call/history/2"),
    ("statistics of one's week", "/api/calls/stats"),
];

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    for (folder, calls) in folders.iter().zip([MANY, FEW]) {
        fill(plan, folder.path(), calls).await?;
    }
    let start = |folder: &Path| Process::service(&Plan { database_url: Some(process::sqlite(folder)), ..plan.clone() });
    let sides = [start(folders[0].path())?, start(folders[1].path())?];
    let what = format!("a record of {MANY} calls");
    let started = sides[0].started_in.as_secs_f64();
    let mut rows = vec![
        Row::plain(&what, "from start to listening", format!("{started:.2} s"))
            .beside(format!("{:.2} s, with {FEW}", sides[1].started_in.as_secs_f64()))
            .wanted("≤ 1 s", started <= 1.0),
    ];
    let token = tokens::mint(1)?.remove(0);
    for (question, path) in QUESTIONS {
        let samples = alternate(plan.rounds, &sides, async |side, _| asked(side, path, &token).await).await?;
        let [ours, theirs] = [&samples[0], &samples[1]];
        let took = |samples: &[Sample]| {
            let cpu = median(samples.iter().map(Sample::each)) / 1e3;
            let [half, most, all] = tails(samples, 1e3);
            format!("{cpu:.2} ms CPU; {half:.2} / {most:.2} / {all:.2} ms")
        };
        let half = |sample: &Sample| percentile(std::slice::from_ref(sample), 50.0);
        rows.push(
            Row::plain(&format!("{what}: {question}"), "CPU; p50 / p99 / longest", took(ours))
                .beside(format!("{}, with {FEW}", took(theirs)))
                .ratio(&ratios(ours, theirs, half), None),
        );
    }
    Ok(rows)
}

async fn asked(side: &Process, path: &str, token: &str) -> Outcome<Sample> {
    let address = side.address;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut stream = socket::connect(address, 1).await?;
    let mut answer = Vec::new();
    let before = side.spent()?;
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        ask(&mut stream, &request, &mut answer).await?;
        took.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(Sample { took, ..Sample::between(before, side.spent()?, TIMES as u64) })
}

/// Makes a record as years of use would: a call each minute until now, between users who all call two others. Some are
/// missed, and all but the last of those were seen.
async fn fill(plan: &Plan, folder: &Path, calls: i64) -> Outcome<()> {
    let url = process::sqlite(folder);
    // The service itself makes the tables.
    drop(Process::service(&Plan { database_url: Some(url.clone()), ..plan.clone() })?);
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let first = now - calls * 60;
    let time =
        |seconds: i64| format!("strftime('%Y-%m-%dT%H:%M:%S', {first} + n * 60 + {seconds}, 'unixepoch') || '+00:00'");
    let numbers = |last: i64| {
        format!("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})")
    };
    let each = numbers(calls);
    let caller = format!("CAST(n % {USERS} + 1 AS TEXT)");
    let callee = format!("CAST((n + 1 + n / {USERS} % 2) % {USERS} + 1 AS TEXT)");
    let (missed, ended) = ("n % 53 = 0", time(35));
    let legs = |role: &str, position: i64, who: &str, missed: &str| {
        format!(
            "{each} INSERT INTO call_legs (call_id, user_id, position, role, state, left_at, missed, seen) \
             SELECT n, {who}, {position}, '{role}', 'left', {ended}, {missed}, n < {calls} - 5000 FROM numbers"
        )
    };
    let db = Database::connect(&url).await?;
    for sql in [
        format!(
            "{each} INSERT INTO calls (id, caller_id, call_type, phase, reason, started_at, answered_at, ended_at, \
             duration_seconds, reported) SELECT n, {caller}, 'voice', 'ended', \
             CASE WHEN {missed} THEN 'no_answer' ELSE 'completed' END, {}, CASE WHEN NOT {missed} THEN {} END, {ended}, \
             30, false FROM numbers",
            time(0),
            time(5)
        ),
        legs("caller", 0, &caller, "false"),
        legs("callee", 1, &callee, missed),
        format!("{} INSERT INTO users (id) SELECT CAST(n AS TEXT) FROM numbers", numbers(KNOWN)),
        format!(
            "{} INSERT INTO user_status (user_id, status, last_seen) SELECT CAST(n AS TEXT), 'offline', {} FROM numbers",
            numbers(KNOWN),
            time(0)
        ),
    ] {
        db.execute_unprepared(&sql).await?;
    }
    db.close().await?;
    Ok(())
}
