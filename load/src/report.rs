//! The table, and what it was measured on.

use crate::Plan;
use crate::measure::median;

/// One line of the table.
pub struct Row {
    /// The workload.
    pub what: String,
    /// What is counted.
    pub figure: &'static str,
    /// The service's figure.
    pub ours: String,
    /// The reference's, and which it is.
    pub theirs: String,
    /// The ratio of the two.
    pub ratio: String,
    /// What it should be.
    pub goal: String,
    /// Whether it is.
    pub met: Option<bool>,
}

impl Row {
    /// A line that only tells a figure.
    pub fn plain(what: &str, figure: &'static str, ours: String) -> Self {
        let (theirs, ratio, goal) = Default::default();
        Self { what: what.to_owned(), figure, ours, theirs, ratio, goal, met: None }
    }

    /// What the reference came to.
    pub fn beside(mut self, theirs: String) -> Self {
        self.theirs = theirs;
        self
    }

    /// A limit to the service's own figure.
    pub fn wanted(mut self, goal: &str, met: bool) -> Self {
        self.goal = goal.to_owned();
        self.met = Some(met);
        self
    }

    /// The ratio of rounds, smallest first, with the limit their median should keep.
    pub fn ratio(mut self, ratios: &[f64], limit: Option<f64>) -> Self {
        let middle = median(ratios.iter().copied());
        self.ratio = match (ratios.first(), ratios.last()) {
            (Some(least), Some(most)) if ratios.len() > 1 => format!("{middle:.2} ({least:.2}–{most:.2})"),
            _ => format!("{middle:.2}"),
        };
        match limit {
            Some(limit) => self.wanted(&format!("≤ {limit:.2}×"), middle <= limit),
            None => self,
        }
    }
}

/// The lines as a Markdown table.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| workload | figure | Switchboard | reference | ratio (of rounds) | goal | met |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let met = row.met.map_or("", |met| if met { "yes" } else { "**no**" });
        let Row { what, figure, ours, theirs, ratio, goal, .. } = row;
        text.push_str(&format!("| {what} | {figure} | {ours} | {theirs} | {ratio} | {goal} | {met} |\n"));
    }
    text
}

/// What this ran on.
pub fn machine(plan: &Plan) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(2).collect();
    format!(
        "{} × {}, Linux {}, loopback; {} rounds of {:?} a side{}; load average at the end: {}.",
        cores,
        model.unwrap_or("unknown processor"),
        kernel.trim(),
        plan.rounds,
        plan.round,
        if plan.pinned { ", server and client pinned to a core each" } else { ", nothing pinned" },
        load.join(" "),
    )
}
