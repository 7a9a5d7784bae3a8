//! The same candidates, few and evenly spaced: how long one takes where none waits for another.

use std::time::Duration;

use tokio::time::{Instant, interval_at};

use super::pairs::{self, Pair, Round};
use super::relay::exchange;
use crate::measure::{alternate, tails};
use crate::process::Process;
use crate::reference::Kind;
use crate::report::Row;
use crate::{Outcome, Plan, tokens};

const PAIRS: usize = 50;

/// Round trips of all pairs together, a second.
const RATE: usize = 2000;

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let sides =
        [Process::service(plan)?, Process::reference(plan, Kind::Proxy)?, Process::reference(plan, Kind::Tungstenite)?];
    let tokens = tokens::mint(PAIRS * 2)?;
    let samples = alternate(plan.rounds, &sides, async |side, _| {
        let pairs = pairs::in_calls(side, &tokens, plan.hello).await?;
        let (sample, pairs) = pairs::work(side, pairs, plan.round, at_intervals).await?;
        pairs::leave(side, pairs).await?;
        Ok(sample)
    })
    .await?;
    let what = format!("relay at {RATE} round trips/s, {PAIRS} pairs");
    let [ours, proxy, tungstenite] = [0, 1, 2].map(|side| tails(&samples[side], 1.0));
    let write = |value: f64, name: &str| format!("{value:.0} µs, {name}");
    Ok(vec![
        Row::plain(&what, "round trip p50", format!("{:.0} µs", ours[0]))
            .beside(write(proxy[0], sides[1].name))
            .ratio(&[ours[0] / proxy[0]], Some(1.15)),
        Row::plain(&what, "round trip p99", format!("{:.0} µs", ours[1]))
            .beside(format!("{}; {}", write(tungstenite[1], sides[2].name), write(proxy[1], sides[1].name)))
            .ratio(&[ours[1] / tungstenite[1]], Some(1.0)),
        Row::plain(&what, "longest", format!("{:.0} µs", ours[2])).beside(format!(
            "{}; {}",
            write(tungstenite[2], sides[2].name),
            write(proxy[2], sides[1].name)
        )),
    ])
}

/// Each pair has its own turn within the interval.
async fn at_intervals(pair: Pair, round: Round) -> Outcome<(Pair, Vec<u32>)> {
    let interval = Duration::from_secs(1) * PAIRS as u32 / RATE as u32;
    let first = Instant::now() + interval * pair.number as u32 / PAIRS as u32;
    exchange(pair, round, Some(interval_at(first, interval))).await
}
