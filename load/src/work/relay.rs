//! Candidates there and back in live calls, as fast as they go: what a message costs.

use std::time::Instant;

use tokio::time::Interval;

use super::pairs::{self, Pair, Round, next_of};
use crate::measure::{Sample, alternate, median, ratios, tails};
use crate::process::Process;
use crate::reference::Kind;
use crate::report::Row;
use crate::{Outcome, Plan, messages, tokens};

/// How many pairs, and the most the ratio should be.
const SIZES: [(usize, f64); 3] = [(50, 1.20), (500, 1.35), (5000, 1.20)];

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let sizes =
        plan.pairs.map_or_else(|| SIZES.map(|(pairs, limit)| (pairs, Some(limit))).to_vec(), |n| vec![(n, None)]);
    let mut rows = Vec::new();
    for (pairs, limit) in sizes {
        let sides = [Process::service(plan)?, Process::reference(plan, Kind::Proxy)?];
        let tokens = tokens::mint(pairs * 2)?;
        // Opening ten thousand sockets takes longer than what follows.
        let rounds = if pairs > 1000 { plan.rounds.div_ceil(2) } else { plan.rounds };
        let samples = alternate(rounds, &sides, async |side, _| {
            let pairs = pairs::in_calls(side, &tokens, plan.hello).await?;
            let (sample, pairs) = pairs::work(side, pairs, plan.round, ping_pong).await?;
            pairs::leave(side, pairs).await?;
            // A round trip is two messages.
            Ok(Sample { done: sample.done * 2, ..sample })
        })
        .await?;
        rows.extend(told(pairs, limit, &sides[1], &samples));
    }
    Ok(rows)
}

fn told(pairs: usize, limit: Option<f64>, reference: &Process, samples: &[Vec<Sample>]) -> Vec<Row> {
    let [ours, theirs] = [&samples[0], &samples[1]];
    let what = format!("relay, {pairs} pairs");
    let cpu = |samples: &[Sample]| format!("{:.2} µs", median(samples.iter().map(Sample::each)));
    let rate = |samples: &[Sample]| {
        let rate = median(samples.iter().map(Sample::rate)) / 2000.0;
        let busy = median(samples.iter().map(Sample::busy)) * 100.0;
        format!("{rate:.1}k round trips/s, core {busy:.0} % busy")
    };
    let slow = |samples: &[Sample]| {
        let [half, most, all] = tails(samples, 1.0);
        format!("{half:.0} / {most:.0} / {all:.0} µs")
    };
    vec![
        Row::plain(&what, "CPU per message", cpu(ours))
            .beside(format!("{}, {}", cpu(theirs), reference.name))
            .ratio(&ratios(ours, theirs, Sample::each), limit),
        Row::plain(&what, "rate", rate(ours)).beside(rate(theirs)),
        Row::plain(&what, "round trip p50 / p99 / longest", slow(ours)).beside(slow(theirs)),
    ]
}

/// As fast as it goes.
async fn ping_pong(pair: Pair, round: Round) -> Outcome<(Pair, Vec<u32>)> {
    exchange(pair, round, None).await
}

/// The caller sends, the callee sends back, the caller looks whether it is the same; at a pace, if there is one.
/// How long each took, in microseconds.
pub async fn exchange(mut pair: Pair, round: Round, mut pace: Option<Interval>) -> Outcome<(Pair, Vec<u32>)> {
    let (mut there, mut back) = (messages::candidate(pair.callee_id()), messages::candidate(pair.caller_id()));
    let mut took = Vec::new();
    while round.goes_on() {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let began = Instant::now();
        round_trip(&mut pair, &mut there, &mut back).await?;
        round.count();
        if round.counts() {
            took.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
    Ok((pair, took))
}

/// One candidate there and another back.
async fn round_trip(pair: &mut Pair, there: &mut messages::Marked, back: &mut messages::Marked) -> Outcome<()> {
    pair.mark += 1;
    let mark = pair.mark;
    pair.caller.send(there.with(mark)).await?;
    next_of(&mut pair.callee, "ice_candidate", mark).await?;
    pair.callee.send(back.with(mark)).await?;
    next_of(&mut pair.caller, "ice_candidate", mark).await
}
