//! What the service costs, beside the least that the same work can cost.
//!
//! Starts the real program, speaks to it over real sockets and REST, and in the same run, in alternating
//! rounds and with the same client code, to a *reference*: a bare program that moves the same bytes without
//! authentication, checks or records. Only the ratio of the two says something on another machine. Every
//! answer is checked; whatever is lost, doubled or out of order ends the run with an error.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod measure;
mod messages;
mod process;
mod reference;
mod report;
mod socket;
mod tokens;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// What goes wrong is told in a sentence and ends the run.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures the service beside bare references and prints a table.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Cli {
    /// Only these workloads, with commas between them
    #[arg(long, value_delimiter = ',')]
    only: Vec<Workload>,
    /// The program to measure
    #[arg(long, default_value = "target/release/switchboard")]
    server: PathBuf,
    /// An empty database for the service instead of a SQLite file of its own
    #[arg(long)]
    database_url: Option<String>,
    /// The service's RUST_LOG instead of its default
    #[arg(long)]
    log: Option<String>,
    /// Pairs of the relay (instead of 50, 500 and 5,000) and of the calls (50)
    #[arg(long)]
    pairs: Option<usize>,
    /// Idle users, and watchers of the fan-out at most 1,000 of them
    #[arg(long, default_value_t = 19_500)]
    users: usize,
    /// Rounds of each workload and side
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// How long one round is measured
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Sockets say `hello`, as the call page does: what they are told is numbered and kept
    #[arg(long)]
    hello: bool,
    /// Internal: be a reference instead
    #[arg(long, hide = true)]
    reference: Option<reference::Kind>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// Candidates in live calls, as fast as they go.
    Relay,
    /// The same at 2,000 round trips a second.
    Latency,
    /// Users who are there and do nothing.
    Idle,
    /// Calls from invitation to end.
    Calls,
    /// Proofs of life by REST.
    Heartbeats,
    /// One user's presence told to a thousand.
    Fanout,
    /// The record with ten thousand calls, and with a million.
    Growth,
}

/// How a workload is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    server: PathBuf,
    database_url: Option<String>,
    log: Option<String>,
    pairs: Option<usize>,
    users: usize,
    rounds: usize,
    round: Duration,
    hello: bool,
    pinned: bool,
    slow_disk: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let answer = match cli.reference {
        Some(kind) => reference::serve(kind, cli.database_url),
        None => measure(cli),
    };
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: Cli) -> Outcome<()> {
    if !cli.server.exists() {
        return Err(format!("there is no {}; build it with: cargo build --release", cli.server.display()).into());
    }
    let plan = Plan {
        server: cli.server,
        database_url: cli.database_url,
        log: cli.log,
        pairs: cli.pairs,
        users: cli.users,
        rounds: cli.rounds.max(1),
        round: Duration::from_secs_f64(cli.seconds),
        hello: cli.hello,
        pinned: process::pin_client(),
        slow_disk: None,
    };
    let chosen = if cli.only.is_empty() { Workload::value_variants().to_vec() } else { cli.only };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    let mut went = Ok(());
    for workload in chosen {
        eprintln!("{workload:?} …");
        let done = runtime.block_on(async {
            match workload {
                Workload::Relay => work::relay::run(&plan).await,
                Workload::Latency => work::latency::run(&plan).await,
                Workload::Idle => work::idle::run(&plan).await,
                Workload::Calls => work::calls::run(&plan).await,
                Workload::Heartbeats => work::heartbeats::run(&plan).await,
                Workload::Fanout => work::fanout::run(&plan).await,
                Workload::Growth => work::growth::run(&plan).await,
            }
        });
        match done {
            Ok(done) => rows.extend(done),
            Err(problem) => {
                went = Err(format!("{workload:?}: {problem}").into());
                break;
            }
        }
    }
    // What was measured before something went wrong was measured.
    print!("{}", report::table(&rows));
    println!("\n{}", report::machine(&plan));
    went
}
