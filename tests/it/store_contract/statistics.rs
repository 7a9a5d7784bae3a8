//! Statistics, compared with the same counted by hand.

use super::database::Db;
use super::*;
use switchboard::router::messages::Ledger;
use switchboard::store::Store;
use switchboard::store::queries::{self, Period};
use switchboard::store::statistics::{Grid, Step, days_of, total};

/// A call that was answered after so many milliseconds and then lasted so many seconds.
fn lasted(number: i64, caller: &str, callee: &str, answer: i64, seconds: i64) -> Record {
    let mut record = ringing(number, caller, &[callee]);
    record.answered_at = Some(record.started_at + Duration::milliseconds(answer));
    record.phase = Phase::Answered;
    let mut record = ended(record, Reason::Completed);
    record.ended_at = record.answered_at.map(|answered| answered + Duration::seconds(seconds));
    record.duration_seconds = seconds;
    record
}

/// Every outcome, an hour after each other.
async fn some_calls(store: &Store) {
    let records = [
        lasted(1, "7", "8", 1500, 10),
        lasted(3601, "8", "7", 2500, 20),
        lasted(3602, "7", "9", 900, 90),
        ended(ringing(7201, "7", &["8"]), Reason::Busy),
        ended(ringing(7202, "7", &["8", "9"]), Reason::NoAnswer),
        ended(ringing(7203, "8", &["7"]), Reason::Cancelled),
        ended(ringing(7204, "8", &["9"]), Reason::Declined),
        answered(ringing(90_000, "5", &["6"])),
        ringing(90_001, "7", &["9"]),
    ];
    let writer = store.writer();
    for record in records {
        writer.open(record).await.unwrap().unwrap();
    }
}

fn period(from: i64, to: i64) -> Period {
    Period { member: None, since: at(from * 1000), until: at(to * 1000) }
}

const HOURS: Grid = Grid { step: Step::Hour, ahead: 0 };

stories! {
    async fn outcomes_are_counted_by_the_hour_and_by_the_day(db: &Db) {
        let store = db.open().await;
        some_calls(&store).await;
        let all = period(0, 100_000);
        let hours = queries::groups(&store, &all, HOURS).await.unwrap();
        let sum = total(&hours);
        assert_eq!((sum.calls, sum.live, sum.answered, sum.missed), (9, 2, 4, 3));
        let reasons: Vec<u64> = sum.reasons().map(|(_, count)| count).collect();
        assert_eq!(reasons, [3, 1, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!((sum.answer_rate(), sum.mean_duration_seconds()), (Some(0.5), Some(40.0)));
        // `at(0)` is 11:06:40 and a little.
        let per_hour = HOURS.fill(all.since, all.until, &hours);
        let calls: Vec<u64> = per_hour.iter().map(|(_, tally)| tally.calls).collect();
        assert_eq!((calls.len(), &calls[..4], calls[25]), (28, &[1, 2, 4, 0][..], 2));
        assert_eq!(per_hour[0].0.to_rfc3339(), "2026-11-18T11:00:00+00:00");
        // Days of the same groups, and days the database counted, are the same: also somewhere else.
        for ahead in [0, 3600 * 13, -3600 * 9, 19_800] {
            let (hour, day) = (Grid { ahead, ..HOURS }, Grid { step: Step::Day, ahead });
            let hours = queries::groups(&store, &all, hour).await.unwrap();
            let days = queries::groups(&store, &all, day).await.unwrap();
            let filled = day.fill(all.since, all.until, &days);
            assert_eq!(filled, day.fill(all.since, all.until, &days_of(&hours)), "{ahead}");
            assert_eq!(filled.iter().map(|(_, tally)| tally.calls).sum::<u64>(), 9, "{ahead}");
        }
    }

    async fn the_end_of_a_period_belongs_to_the_next_one(db: &Db) {
        let store = db.open().await;
        some_calls(&store).await;
        for (from, to, calls) in [(1, 3601, 1), (1, 3602, 2), (2, 3601, 0), (7204, 90_001, 2)] {
            assert_eq!(total(&queries::groups(&store, &period(from, to), HOURS).await.unwrap()).calls, calls);
        }
    }

    async fn a_last_microsecond_stays_in_its_hour(db: &Db) {
        let store = db.open().await;
        let mut late = ended(ringing(1, "7", &["8"]), Reason::Busy);
        // at(0) is 400 seconds past the hour.
        late.started_at = at(0) + Duration::seconds(3200) - Duration::microseconds(8);
        store.writer().open(late).await.unwrap().unwrap();
        let groups = queries::groups(&store, &period(0, 10_000), HOURS).await.unwrap();
        let filled = HOURS.fill(at(0), at(10_000_000), &groups);
        assert_eq!(filled.iter().map(|(_, tally)| tally.calls).collect::<Vec<_>>(), [1, 0, 0]);
    }

    async fn a_member_counts_their_own_calls_and_what_they_missed_themselves(db: &Db) {
        let store = db.open().await;
        some_calls(&store).await;
        for (who, calls, missed) in [("7", 7, 1), ("8", 6, 2), ("9", 4, 1), ("5", 1, 0), ("99", 0, 0)] {
            let own = Period { member: Some(user(who)), ..period(0, 100_000) };
            let sum = total(&queries::groups(&store, &own, HOURS).await.unwrap());
            assert_eq!((sum.calls, sum.missed), (calls, missed), "{who}");
        }
    }

    async fn medians_and_percentiles_are_exact(db: &Db) {
        let store = db.open().await;
        let all = period(0, 10_000);
        assert_eq!(queries::durations(&store, &all).await.unwrap(), None);
        let writer = store.writer();
        let mut lengths = Vec::new();
        let mut answers = Vec::new();
        for number in 1..=40_i64 {
            let (answer, seconds) = (number * 7919 % 4001, number * 104_729 % 307);
            lengths.push(seconds);
            answers.push(answer);
            writer.open(lasted(number, "7", "8", answer, seconds)).await.unwrap().unwrap();
        }
        // Still going on: answered after two seconds, of no length yet. And one nobody answered.
        writer.open(answered(ringing(41, "5", &["6"]))).await.unwrap().unwrap();
        writer.open(ended(ringing(42, "5", &["7"]), Reason::Busy)).await.unwrap().unwrap();
        answers.push(2000);
        lengths.sort();
        answers.sort();
        let spread = queries::durations(&store, &all).await.unwrap().unwrap();
        assert_eq!((spread.total, spread.max), (lengths.iter().sum(), lengths[39]));
        assert_eq!((spread.median, spread.p95), ((lengths[19] + lengths[20]) as f64 / 2.0, lengths[37]));
        let spread = queries::time_to_answer(&store, &all).await.unwrap().unwrap();
        assert_eq!((spread.median, spread.p95, spread.max), (answers[20] as f64, answers[38], answers[40]));
        let summary = queries::summary(&store, &all).await.unwrap();
        assert_eq!(summary.median_time_to_answer_ms, Some(answers[20] as f64));
        assert_eq!((summary.tally.calls, summary.tally.answered, summary.tally.missed), (42, 41, 1));
    }
}
