//! Users who are there: what connecting them costs, how much memory each holds, and what is left when they go.

use std::time::Duration;

use futures_util::{TryStreamExt, stream};

use crate::measure::{Sample, alternate, median, ratios};
use crate::process::Process;
use crate::reference::Kind;
use crate::report::Row;
use crate::socket::{Socket, frame};
use crate::{Outcome, Plan, messages, tokens};

/// How many are there to begin with: what each holds should be the same when there are more.
const FEW: usize = 1000;

/// How many connect in one of the rounds that count the cost of connecting.
const CONNECTING: usize = 5000;

/// How long what users leave behind is given to go: who left is forgotten at the flush after the next, and what that
/// freed goes back to the system within some seconds more.
const AFTER: Duration = Duration::from_secs(20);

/// The same, where nothing is left to be done but to close.
const CLOSED: Duration = Duration::from_secs(2);

/// Files this process needs besides its sockets.
const RESERVE: usize = 256;

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let mut rows = connecting(plan).await?;
    let most = plan.users.min(files().saturating_sub(RESERVE));
    for users in [FEW.min(most), most] {
        // Of few users what the service holds for itself is a large part.
        let limit = (users == most).then_some(4.0);
        rows.extend(being_there(plan, users, limit).await?);
    }
    Ok(rows)
}

/// What so many users hold while they are there, each of them at most so many KiB.
async fn being_there(plan: &Plan, users: usize, limit: Option<f64>) -> Outcome<Vec<Row>> {
    let sides = [Process::service(plan)?, Process::reference(plan, Kind::Relay)?];
    let tokens = tokens::mint(users)?;
    let samples = alternate(1, &sides, async |side, _| resident(side, &tokens, plan.hello).await).await?;
    let [ours, theirs] = [&samples[0][0], &samples[1][0]];
    let what = format!("idle, {users} users");
    let kib = |kib: f64| format!("{kib:.2} KiB");
    let touched = Row::plain(&what, "resident memory per user, after a message each way", kib(ours.touched))
        .beside(format!("{}, {}", kib(theirs.touched), sides[1].name));
    Ok(vec![
        Row::plain(&what, "resident memory per user, connected", kib(ours.idle)).beside(kib(theirs.idle)),
        match limit {
            Some(limit) => touched.wanted(&format!("≤ {limit} KiB"), ours.touched <= limit),
            None => touched,
        },
        Row::plain(
            &what,
            "resident memory of the process",
            format!("{:.1} MiB empty, {:.1} MiB full, {:.1} MiB left after all went", ours.empty, ours.full, ours.left),
        )
        .beside(format!("{:.1} / {:.1} / {:.1} MiB", theirs.empty, theirs.full, theirs.left)),
    ])
}

/// What connecting costs: socket, token, and the user known to be there.
async fn connecting(plan: &Plan) -> Outcome<Vec<Row>> {
    let users = CONNECTING.min(plan.users);
    let tokens = tokens::mint(users)?;
    let sides = [Process::service(plan)?, Process::reference(plan, Kind::Relay)?];
    let samples = alternate(plan.rounds, &sides, async |side, _| {
        let before = side.spent()?;
        let mut sockets = super::open(side.address, &tokens, plan.hello && side.is_service).await?;
        if side.is_service
            && let Some(last) = sockets.last_mut()
        {
            // Users are taken in one after the other, so when the last is, all are.
            touch(last, true).await?;
        }
        let sample = Sample::between(before, side.spent()?, users as u64);
        super::close(sockets).await?;
        Ok(sample)
    })
    .await?;
    let [ours, theirs] = [&samples[0], &samples[1]];
    let what = format!("connecting {users} users");
    let cpu = |samples: &[Sample]| median(samples.iter().map(Sample::each));
    let per_core = |samples: &[Sample]| median(samples.iter().map(Sample::per_core_second));
    Ok(vec![
        Row::plain(&what, "CPU per user", format!("{:.1} µs", cpu(ours)))
            .beside(format!("{:.1} µs, {}", cpu(theirs), sides[1].name))
            .ratio(&ratios(ours, theirs, Sample::each), None)
            .wanted("≤ 45 µs", cpu(ours) <= 45.0),
        Row::plain(&what, "users per second of CPU", format!("{:.0}", per_core(ours)))
            .beside(format!("{:.0}", per_core(theirs)))
            .wanted("≥ 15000", per_core(ours) >= 15_000.0),
        Row::plain(&what, "rate", format!("{:.0}/s", median(ours.iter().map(Sample::rate))))
            .beside(format!("{:.0}/s", median(theirs.iter().map(Sample::rate)))),
    ])
}

/// Memory: per user in KiB, of the process in MiB.
struct Resident {
    idle: f64,
    touched: f64,
    empty: f64,
    full: f64,
    left: f64,
}

async fn resident(side: &Process, tokens: &[String], hello: bool) -> Outcome<Resident> {
    let users = tokens.len() as f64;
    let empty = side.resident()?;
    let sockets = super::open(side.address, tokens, hello && side.is_service).await?;
    let idle = side.resident()?;
    let sockets: Vec<Socket> = stream::iter(sockets.into_iter().map(Ok))
        .map_ok(async |mut socket| {
            touch(&mut socket, side.is_service).await?;
            Outcome::Ok(socket)
        })
        .try_buffer_unordered(64)
        .try_collect()
        .await?;
    let full = side.resident()?;
    super::close(sockets).await?;
    tokio::time::sleep(if side.is_service { AFTER } else { CLOSED }).await;
    let left = side.resident()?;
    Ok(Resident {
        idle: (idle - empty) / users,
        touched: (full - empty) / users,
        empty: empty / 1024.0,
        full: full / 1024.0,
        left: left / 1024.0,
    })
}

/// Says something and hears something. At the bare relay that is a message to oneself.
async fn touch(socket: &mut Socket, service: bool) -> Outcome<()> {
    if service {
        socket.send(&frame(r#"{"type":"ping"}"#)).await?;
        socket.next(|text| if messages::is(text, "pong") { Ok(()) } else { Err("no pong".into()) }).await
    } else {
        let own = socket.user;
        socket.send(messages::candidate(own).with(1)).await?;
        socket.next(|text| messages::expect(text, "ice_candidate", 1)).await
    }
}

/// How many files this process may have open.
fn files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}
