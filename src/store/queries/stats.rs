//! Statistics of calls: counted and ranked by the database, so that only groups are read and never the calls.
//!
//! Each query goes through the period's part of the index by start, so a week costs a week however much there is.

use entity::calls;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, QueryTrait};

use super::members::{self, Legs};
use super::rows::{read, reason};
use super::span::{span, started};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::signal::Phase;
use crate::store::statistics::{Grid, Group, Step, Tally, total};
use crate::store::{Store, StoreError, within};

/// Which calls are counted: those started from `since` to before `until`.
#[derive(Debug, Clone)]
pub struct Period {
    /// Only this user's, and `missed` is what they missed themselves.
    pub member: Option<UserId>,
    /// Started at or after.
    pub since: Timestamp,
    /// Started before.
    pub until: Timestamp,
}

/// How a number is spread over calls; of a mean of two, and of a percentile the number of the call at that place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// All together.
    pub total: i64,
    /// In the mean.
    pub mean: f64,
    /// As many are below as above.
    pub median: f64,
    /// 95 of 100 are at most this.
    pub p95: i64,
    /// The highest.
    pub max: i64,
}

/// What became of the calls of a period, for an overview.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many had which outcome.
    pub tally: Tally,
    /// The median time until somebody answered, of those that were answered.
    pub median_time_to_answer_ms: Option<f64>,
}

/// A group as the database answers it: stretch, phase, reason, answered, missed, calls, seconds.
type Counted = (i64, String, Option<String>, bool, bool, i64, i64);

/// What became of the calls of a period.
pub async fn summary(store: &Store, period: &Period) -> Result<Summary, StoreError> {
    let grid = Grid { step: Step::Day, ahead: 0 };
    let tally = total(&groups(store, period, grid).await?);
    let spread = time_to_answer(store, period).await?;
    Ok(Summary { tally, median_time_to_answer_ms: spread.map(|spread| spread.median) })
}

/// How many calls there were of each kind in each stretch of the grid; kinds without calls are absent.
pub async fn groups(store: &Store, period: &Period, grid: Grid) -> Result<Vec<Group>, StoreError> {
    use calls::Column as C;
    let Some(which) = which(store, period).await? else { return Ok(Vec::new()) };
    let id = Expr::col((calls::Entity, C::Id));
    let db = store.readers();
    let groups = calls::Entity::find()
        .select_only()
        .expr_as(stretch(store.inner.backend, grid), "stretch")
        .column(C::Phase)
        .column(C::Reason)
        .expr_as(Expr::col(C::AnsweredAt).is_not_null(), "answered")
        .expr_as(members::missed_by(id, period.member.as_ref()), "missed")
        .expr_as(Expr::col(C::Id).count(), "calls")
        .expr_as(Expr::cust("CAST(SUM(duration_seconds) AS BIGINT)"), "seconds")
        .filter(which)
        .group_by(Expr::cust("1"))
        .group_by(Expr::cust("2"))
        .group_by(Expr::cust("3"))
        .group_by(Expr::cust("4"))
        .group_by(Expr::cust("5"))
        .into_tuple();
    let rows: Vec<Counted> = store.in_turn(async move { groups.all(db.as_ref()).await }).await?;
    rows.into_iter()
        .map(|(stretch, phase, why, answered, missed, calls, seconds)| {
            Ok(Group {
                stretch,
                phase: read("phase", &phase, Phase::parse)?,
                reason: reason(why.as_deref())?,
                answered,
                missed,
                calls: u64::try_from(calls).unwrap_or(0),
                seconds: u64::try_from(seconds).unwrap_or(0),
            })
        })
        .collect()
}

/// How long the answered calls lasted that have ended, in seconds; `None` where there are none.
pub async fn durations(store: &Store, period: &Period) -> Result<Option<Spread>, StoreError> {
    let Some(which) = which(store, period).await? else { return Ok(None) };
    let ended = which.add(calls::Column::Phase.eq(Phase::Ended.as_str()));
    spread(store, Expr::col(calls::Column::DurationSeconds), ended).await
}

/// How long it took until somebody answered, in milliseconds; `None` where nobody did.
pub async fn time_to_answer(store: &Store, period: &Period) -> Result<Option<Spread>, StoreError> {
    let taken = match store.inner.backend {
        // SQLite reads times to the millisecond; days since noon of the year -4713 lose some of that again.
        DbBackend::Sqlite => "CAST(ROUND((JULIANDAY(answered_at) - JULIANDAY(started_at)) * 86400000) AS BIGINT)",
        _ => {
            "CAST(ROUND(EXTRACT(EPOCH FROM answered_at) * 1000) - ROUND(EXTRACT(EPOCH FROM started_at) * 1000) AS BIGINT)"
        }
    };
    let Some(which) = which(store, period).await? else { return Ok(None) };
    spread(store, Expr::cust(taken), which).await
}

/// How an amount is spread over the answered ones of these calls. The database puts them in order and hands out
/// those at the places asked for.
async fn spread(store: &Store, amount: Expr, which: Condition) -> Result<Option<Spread>, StoreError> {
    let amounts = calls::Entity::find()
        .select_only()
        .expr_as(amount, "amount")
        .filter(which)
        .filter(calls::Column::AnsweredAt.is_not_null())
        .into_query();
    let mut ranked = Query::select();
    ranked
        .expr_as(Expr::cust("amount"), "amount")
        .expr_as(Expr::cust("ROW_NUMBER() OVER (ORDER BY amount)"), "place")
        .expr_as(Expr::cust("COUNT(*) OVER ()"), "places")
        .expr_as(Expr::cust("CAST(SUM(amount) OVER () AS BIGINT)"), "total")
        .from_subquery(amounts, "answered");
    let mut chosen = Query::select();
    chosen
        .columns(["amount", "place", "places", "total"])
        .from_subquery(ranked, "ranked")
        .and_where(Expr::cust("place IN ((places + 1) / 2, (places + 2) / 2, (95 * places + 99) / 100, places)"));
    let rows = chosen_rows(store, chosen).await?;
    let Some((_, _, places, total)) = rows.first().copied() else { return Ok(None) };
    let at = |place| rows.iter().find(|row| row.1 == place).map_or(0, |row| row.0);
    Ok(Some(Spread {
        total,
        mean: total as f64 / places as f64,
        median: (at((places + 1) / 2) + at((places + 2) / 2)) as f64 / 2.0,
        p95: at((95 * places + 99) / 100),
        max: at(places),
    }))
}

async fn chosen_rows(store: &Store, chosen: SelectStatement) -> Result<Vec<(i64, i64, i64, i64)>, StoreError> {
    let db = store.readers();
    let columns = ["amount", "place", "places", "total"].map(String::from);
    let rows = async move {
        let rows = db.query_all(&chosen).await?;
        rows.iter().map(|row| row.try_get_many("", &columns)).collect()
    };
    store.in_turn(rows).await
}

/// Which calls a period has; `None` when it has none. A user's are found by their legs within it, not by all they
/// ever had.
async fn which(store: &Store, period: &Period) -> Result<Option<Condition>, StoreError> {
    let (since, until) = (Some(period.since), Some(period.until));
    let in_time = Condition::all().add(started(since, until));
    let Some(who) = &period.member else { return Ok(Some(in_time)) };
    let Some(span) = within(span(store.readers().as_ref(), since, until)).await? else { return Ok(None) };
    let legs = Legs { of: Some(who.clone()), missed: None };
    Ok(Some(in_time.add(calls::Column::Id.in_subquery(legs.calls(span)))))
}

/// The number of the stretch a call started in, as [`Grid`] counts them.
fn stretch(backend: DbBackend, Grid { step, ahead }: Grid) -> Expr {
    let step = step.seconds();
    Expr::cust(match backend {
        // Without its fraction, which SQLite would round.
        DbBackend::Sqlite => {
            format!("(CAST(STRFTIME('%s', SUBSTR(started_at, 1, 19)) AS BIGINT) + ({ahead})) / {step}")
        }
        _ => format!("CAST(FLOOR((EXTRACT(EPOCH FROM started_at) + ({ahead})) / {step}) AS BIGINT)"),
    })
}
