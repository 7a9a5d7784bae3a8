//! Calls from invitation to end: eleven messages, and at the service a record that is committed before anybody is
//! told. Afterwards the records are counted.

use std::time::Instant;

use sea_orm::{ConnectionTrait, Database, Statement};

use super::pairs::{self, Pair, Round, next_of};
use crate::measure::{Sample, alternate, median, ratios, tails};
use crate::process::{self, Process};
use crate::reference::Kind;
use crate::report::Row;
use crate::{Outcome, Plan, messages, tokens};

const PAIRS: usize = 50;

/// Candidates each side sends.
const CANDIDATES: u64 = 4;

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let count = plan.pairs.unwrap_or(PAIRS);
    let what = format!("calls, {count} pairs");
    let sides =
        [Process::service(plan)?, Process::reference(plan, Kind::Relay)?, Process::reference(plan, Kind::Recording)?];
    let (samples, acknowledged) = measured(plan, &sides, count).await?;
    let [ours, theirs, recorded] = [0, 1, 2].map(|side| &samples[side]);
    let cpu = |samples: &[Sample]| median(samples.iter().map(Sample::each)) / 1000.0;
    let per_core = |samples: &[Sample]| median(samples.iter().map(Sample::per_core_second));
    let took = |samples: &[Sample]| {
        let [half, most, all] = tails(samples, 1e3);
        format!("{half:.1} / {most:.1} / {all:.1} ms")
    };
    let mut rows = vec![
        Row::plain(&what, "CPU per call", format!("{:.3} ms", cpu(ours)))
            .beside(format!("{:.3} ms, {} without record", cpu(theirs), sides[1].name))
            .ratio(&ratios(ours, theirs, Sample::each), Some(1.5)),
        Row::plain(&what, "CPU per call", format!("{:.3} ms", cpu(ours)))
            .beside(format!("{:.3} ms, {}", cpu(recorded), sides[2].name))
            .ratio(&ratios(ours, recorded, Sample::each), None)
            .wanted("≤ 0.130 ms", cpu(ours) <= 0.13),
        Row::plain(&what, "calls per second of CPU", format!("{:.0}", per_core(ours)))
            .beside(format!("{:.0}; {:.0}", per_core(theirs), per_core(recorded)))
            .wanted("≥ 8000", per_core(ours) >= 8000.0),
        Row::plain(&what, "rate", rate(ours)).beside(format!("{}; {}", rate(theirs), rate(recorded))),
        Row::plain(&what, "invitation to end p50 / p99 / longest", took(ours)).beside(format!(
            "{}; {}",
            took(theirs),
            took(recorded)
        )),
        Row::plain(&what, "records", format!("{acknowledged} of {acknowledged} acknowledged")).wanted("all", true),
    ];
    if plan.database_url.is_some() {
        // Its disk is another process's business.
        return Ok(rows);
    }
    let folder = tempfile::tempdir()?;
    match process::slow_disk(folder.path())? {
        Some(slow_disk) => {
            let plan = Plan { slow_disk: Some(slow_disk), rounds: plan.rounds.div_ceil(2), ..plan.clone() };
            rows.extend(on_a_slow_disk(&plan, count, Some(Kind::Recording)).await?);
            // A call waits for three syncs, so it takes many at once to keep the service busy; the reference would be
            // no faster. While 4,096 changes wait to be written the service refuses new calls.
            for times in [10, 40] {
                rows.extend(on_a_slow_disk(&plan, count * times, None).await?);
            }
        }
        None => eprintln!("calls on a slow disk are left out: there is no cc"),
    }
    Ok(rows)
}

/// The same where each sync takes two milliseconds more.
async fn on_a_slow_disk(plan: &Plan, count: usize, beside: Option<Kind>) -> Outcome<Vec<Row>> {
    let mut sides = vec![Process::service(plan)?];
    if let Some(kind) = beside {
        sides.push(Process::reference(plan, kind)?);
    }
    let (samples, acknowledged) = measured(plan, &sides, count).await?;
    let what = format!("calls, {count} pairs, 2 ms more for each sync");
    let reached = median(samples[0].iter().map(Sample::rate));
    let theirs = samples.iter().zip(&sides).skip(1).map(|(samples, side)| format!("{}, {}", rate(samples), side.name));
    Ok(vec![
        Row::plain(&what, "rate", rate(&samples[0])).beside(theirs.collect()).wanted("≥ 6000/s", reached >= 6000.0),
        Row::plain(&what, "records", format!("{acknowledged} of {acknowledged} acknowledged")).wanted("all", true),
    ])
}

fn rate(samples: &[Sample]) -> String {
    let rate = median(samples.iter().map(Sample::rate));
    let busy = median(samples.iter().map(Sample::busy)) * 100.0;
    format!("{rate:.0}/s, core {busy:.0} % busy")
}

/// The rounds of each side, and how many calls the service acknowledged: all of them are in its record as completed,
/// and nothing else is.
async fn measured(plan: &Plan, sides: &[Process], count: usize) -> Outcome<(Vec<Vec<Sample>>, u64)> {
    let tokens = tokens::mint(count * 2)?;
    let before = records(&sides[0]).await?;
    let rounds = alternate(plan.rounds, sides, async |side, _| {
        let pairs = Pair::of(super::open(side.address, &tokens, plan.hello && side.is_service).await?);
        let (sample, pairs) = pairs::work(side, pairs, plan.round, calling).await?;
        // Each call took five marks.
        let calls: u64 = pairs.iter().map(|pair| pair.mark / (CANDIDATES + 1)).sum();
        super::close(pairs.into_iter().flat_map(|pair| [pair.caller, pair.callee]).collect()).await?;
        Ok((sample, calls))
    })
    .await?;
    let acknowledged: u64 = rounds[0].iter().map(|(_, calls)| calls).sum();
    let after = records(&sides[0]).await?;
    let (all, completed) = (after.0 - before.0, after.1 - before.1);
    if (all, completed) != (acknowledged, acknowledged) {
        let why = format!("{acknowledged} calls were acknowledged; {all} are recorded, {completed} as completed");
        return Err(why.into());
    }
    let samples = rounds.into_iter().map(|side| side.into_iter().map(|(sample, _)| sample).collect()).collect();
    Ok((samples, acknowledged))
}

async fn calling(mut pair: Pair, round: Round) -> Outcome<(Pair, Vec<u32>)> {
    let (mut to_callee, mut to_caller) = (messages::candidate(pair.callee_id()), messages::candidate(pair.caller_id()));
    let mut took = Vec::new();
    while round.goes_on() {
        let began = Instant::now();
        pair.call().await?;
        let first = pair.mark + 1;
        pair.mark += CANDIDATES;
        for mark in first..=pair.mark {
            pair.caller.send(to_callee.with(mark)).await?;
            pair.callee.send(to_caller.with(mark)).await?;
        }
        for mark in first..=pair.mark {
            next_of(&mut pair.callee, "ice_candidate", mark).await?;
            next_of(&mut pair.caller, "ice_candidate", mark).await?;
        }
        pair.hang_up().await?;
        round.count();
        if round.counts() {
            took.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
    Ok((pair, took))
}

/// All calls in the database, and those that were completed.
async fn records(service: &Process) -> Outcome<(u64, u64)> {
    let db = Database::connect(&service.database).await?;
    let mut counts = [0; 2];
    for (count, which) in counts.iter_mut().zip(["", " WHERE phase = 'ended' AND reason = 'completed'"]) {
        let query = Statement::from_string(db.get_database_backend(), format!("SELECT count(*) FROM calls{which}"));
        let row = db.query_one_raw(query).await?.ok_or("no count")?;
        *count = u64::try_from(row.try_get_by_index::<i64>(0)?)?;
    }
    db.close().await?;
    Ok((counts[0], counts[1]))
}
