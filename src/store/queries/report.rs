//! The call-log seed's report: totals, the last calls, counts by status, and how sound the records are.

use entity::calls;
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, ExprTrait, QuerySelect};

use super::calls::{CallFilter, calls as page};
use super::rows::{CallRow, read, reason};
use crate::signal::Phase;
use crate::store::{Store, StoreError, vocabulary, within};

/// How many calls the report lists.
const LAST: u64 = 10;

/// The report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// All calls.
    pub total: i64,
    /// The last ten, newest first.
    pub last: Vec<CallRow>,
    /// How many read as each word of the call-log vocabulary, in its order; words without calls are 0.
    pub by_status: Vec<(&'static str, i64)>,
    /// Ended after an answer.
    pub ended: i64,
    /// Of those, with a duration of a second or more.
    pub ended_with_duration: i64,
    /// Cancelled by their caller.
    pub cancelled: i64,
    /// Ever answered.
    pub answered: i64,
    /// Still initiated.
    pub stuck_in_initiated: i64,
}

/// Counts everything.
pub async fn report(store: &Store) -> Result<Report, StoreError> {
    use calls::Column as C;
    let db = store.readers();
    let answered = Expr::col(C::AnsweredAt).is_not_null();
    let lasted = Expr::col(C::DurationSeconds).gt(0);
    let groups: Vec<(String, Option<String>, bool, bool, i64)> = within(
        calls::Entity::find()
            .select_only()
            .column(C::Phase)
            .column(C::Reason)
            .expr_as(answered.clone(), "answered")
            .expr_as(lasted.clone(), "lasted")
            .expr_as(Expr::col(C::Id).count(), "calls")
            .group_by(C::Phase)
            .group_by(C::Reason)
            .group_by(Expr::cust("3"))
            .group_by(Expr::cust("4"))
            .into_tuple()
            .all(db.as_ref()),
    )
    .await?;
    let mut report = Report {
        total: 0,
        last: page(store, &CallFilter { limit: LAST, ..CallFilter::default() }).await?.0,
        by_status: vocabulary::LOG_STATUSES.map(|word| (word, 0)).to_vec(),
        ended: 0,
        ended_with_duration: 0,
        cancelled: 0,
        answered: 0,
        stuck_in_initiated: 0,
    };
    for (phase, why, answered, lasted, count) in groups {
        let phase = read("phase", &phase, Phase::parse)?;
        let status = vocabulary::log_status(phase, reason(why.as_deref())?, answered);
        report.total += count;
        for (word, sum) in &mut report.by_status {
            if *word == status {
                *sum += count;
            }
        }
        let count_if = |is: bool| if is { count } else { 0 };
        report.ended += count_if(status == "ended");
        report.ended_with_duration += count_if(status == "ended" && lasted);
        report.cancelled += count_if(status == "cancelled");
        report.answered += count_if(answered);
        report.stuck_in_initiated += count_if(status == "initiated");
    }
    Ok(report)
}
