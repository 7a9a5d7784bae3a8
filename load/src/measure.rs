//! Rounds, and what they come to.

use crate::Outcome;
use crate::process::{Process, Spent};

/// What one round of one side came to.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Processor seconds used.
    pub cpu: f64,
    /// Seconds passed.
    pub wall: f64,
    /// How often the thing was done.
    pub done: u64,
    /// How long each took, in microseconds; empty where nobody asked.
    pub took: Vec<u32>,
}

impl Sample {
    /// From what a process had used before and has used now.
    pub fn between(before: Spent, after: Spent, done: u64) -> Self {
        let wall = (after.at - before.at).as_secs_f64();
        Self { cpu: after.cpu - before.cpu, wall, done, took: Vec::new() }
    }

    /// Processor microseconds for one.
    pub fn each(&self) -> f64 {
        self.cpu * 1e6 / self.done.max(1) as f64
    }

    /// How many a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.wall
    }

    /// How many a second there would be if the process had its core to itself and never waited.
    pub fn per_core_second(&self) -> f64 {
        self.done as f64 / self.cpu.max(1e-6)
    }

    /// The share of a core the process had.
    pub fn busy(&self) -> f64 {
        self.cpu / self.wall
    }
}

/// Runs rounds of each side in turns, and begins each turn with the other one: what else goes on on the machine
/// meets all of them.
pub async fn alternate<T>(
    rounds: usize,
    sides: &[Process],
    run: impl AsyncFn(&Process, usize) -> Outcome<T>,
) -> Outcome<Vec<Vec<T>>> {
    let mut done: Vec<Vec<T>> = sides.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..sides.len() {
            let side = (turn + round) % sides.len();
            done[side].push(run(&sides[side], round).await.map_err(|why| format!("{}: {why}", sides[side].name))?);
        }
    }
    Ok(done)
}

/// The middle of some figures; of an even number, the mean of the two.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (figures[middle - 1] + figures[middle]) / 2.0,
        _ => figures[middle],
    }
}

/// The figure below which so many percent of the rounds' figures lie, taken over all of them.
pub fn percentile(samples: &[Sample], percent: f64) -> f64 {
    let mut all: Vec<u32> = samples.iter().flat_map(|sample| &sample.took).copied().collect();
    all.sort_unstable();
    let at = ((all.len() as f64 * percent / 100.0) as usize).min(all.len().saturating_sub(1));
    all.get(at).copied().map_or(f64::NAN, f64::from)
}

/// Half took at most the first, 99 of 100 the second, and none longer than the third; in microseconds over this.
pub fn tails(samples: &[Sample], over: f64) -> [f64; 3] {
    [50.0, 99.0, 100.0].map(|percent| percentile(samples, percent) / over)
}

/// The ratios of rounds that were run beside each other, smallest first.
pub fn ratios(ours: &[Sample], theirs: &[Sample], of: impl Fn(&Sample) -> f64) -> Vec<f64> {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(our, their)| of(our) / of(their)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}
