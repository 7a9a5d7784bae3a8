//! `GET /api/calls/stats`: how calls went in a period, all together, by the day and by the hour.

use actix_web::{HttpResponse, web};
use chrono::Duration;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Edge;
use super::auth::Caller;
use super::calls::{readable_user, sees_all};
use super::query::time;
use crate::clock::Timestamp;
use crate::signal::Refusal;
use crate::store::queries::{self, Period, Spread};
use crate::store::statistics::{Grid, Step, Tally, days_of, total};

/// How far back it goes when nobody says.
const USUAL: Duration = Duration::days(7);

/// The longest period.
const LONGEST: Duration = Duration::days(366);

/// The longest one that is told by the hour.
const BY_THE_HOUR: Duration = Duration::days(31);

/// How far the clocks of the world are from UTC, in minutes.
const OFFSETS: std::ops::RangeInclusive<i64> = -12 * 60..=14 * 60;

/// How it is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    since: Option<String>,
    until: Option<String>,
    user: Option<String>,
    utc_offset_minutes: Option<i64>,
}

/// `GET /api/calls/stats`: of own calls; of everybody's, or one user's, for admins and services.
pub async fn stats(caller: Caller, edge: web::Data<Edge>, query: web::Query<Query>) -> Result<HttpResponse, Refusal> {
    let as_of = edge.clock.now().wall;
    let offset = query.utc_offset_minutes.unwrap_or(0);
    if !OFFSETS.contains(&offset) {
        return Err(Refusal::Invalid("utc_offset_minutes is -720 to 840".to_owned()));
    }
    let (since, until) = period(&query, as_of)?;
    let own = (!sees_all(&caller.0)).then(|| caller.0.user.clone());
    let member = readable_user(&edge, &caller.0, query.user.as_deref())?.or(own);
    let period = Period { member, since, until };

    let by_the_hour = until - since <= BY_THE_HOUR;
    let days = Grid { step: Step::Day, ahead: offset * 60 };
    let hours = Grid { step: Step::Hour, ..days };
    let groups = queries::groups(&edge.store, &period, if by_the_hour { hours } else { days }).await?;
    let (durations, answers) =
        (queries::durations(&edge.store, &period).await?, queries::time_to_answer(&edge.store, &period).await?);

    let (per_day, per_hour) = if by_the_hour {
        (days.fill(since, until, &days_of(&groups)), hours.fill(since, until, &groups))
    } else {
        (days.fill(since, until, &groups), Vec::new())
    };
    let sum = total(&groups);
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "as_of": as_of,
        "since": since,
        "until": until,
        "utc_offset_minutes": offset,
        "totals": outcomes(&sum),
        "answer_rate": sum.answer_rate(),
        "duration_seconds": render_durations(durations),
        "time_to_answer_ms": render_answers(answers),
        "per_day": per_day.iter().map(stretch).collect::<Vec<_>>(),
        "per_hour": per_hour.iter().map(stretch).collect::<Vec<_>>(),
    })))
}

fn period(query: &Query, now: Timestamp) -> Result<(Timestamp, Timestamp), Refusal> {
    let until = query.until.as_deref().map(|text| time("until", text)).transpose()?.unwrap_or(now);
    let since = query.since.as_deref().map(|text| time("since", text)).transpose()?;
    let since = since.unwrap_or(until - USUAL);
    if since >= until {
        return Err(Refusal::Invalid("since must be before until".to_owned()));
    }
    if until - since > LONGEST {
        return Err(Refusal::Invalid(format!("a period has at most {} days", LONGEST.num_days())));
    }
    Ok((since, until))
}

fn outcomes(tally: &Tally) -> Map<String, Value> {
    let counts = [("calls", tally.calls), ("live", tally.live), ("answered", tally.answered), ("missed", tally.missed)];
    let reasons = tally.reasons().map(|(reason, count)| (reason.as_str(), count));
    counts.into_iter().chain(reasons).map(|(name, count)| (name.to_owned(), count.into())).collect()
}

fn stretch((at, tally): &(Timestamp, Tally)) -> Value {
    let mut row = Map::from_iter([("at".to_owned(), json!(at))]);
    row.append(&mut outcomes(tally));
    row.insert("answer_rate".to_owned(), json!(tally.answer_rate()));
    row.insert("mean_duration_seconds".to_owned(), json!(tally.mean_duration_seconds()));
    Value::Object(row)
}

fn render_durations(spread: Option<Spread>) -> Value {
    json!({
        "total": spread.map(|spread| spread.total),
        "mean": spread.map(|spread| spread.mean),
        "median": spread.map(|spread| spread.median),
        "p95": spread.map(|spread| spread.p95),
        "max": spread.map(|spread| spread.max),
    })
}

fn render_answers(spread: Option<Spread>) -> Value {
    json!({
        "mean": spread.map(|spread| spread.mean),
        "median": spread.map(|spread| spread.median),
        "p95": spread.map(|spread| spread.p95),
    })
}
