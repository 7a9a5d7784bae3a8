//! One user's presence told to everybody who watches, beside a loop that writes the same bytes to as many sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::heartbeats;
use crate::measure::{Sample, alternate, median, percentile, ratios};
use crate::process::Process;
use crate::reference::Kind;
use crate::report::Row;
use crate::socket::{self, Socket, frame};
use crate::{Outcome, Plan, messages, tokens};

/// Who watches.
const WATCHERS: usize = 1000;

/// How often the user comes or goes in a round.
const CHANGES: usize = 40;

/// How long it is from one change to the next: a watcher who was told something is told more after a rest, which
/// is not what is measured here.
const EVERY: Duration = Duration::from_millis(100);

/// How long one change may take to be told everywhere.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// What came of a round: what it cost, and how long the first and the last watcher waited.
struct Told {
    sample: Sample,
    first: Vec<u32>,
}

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let sides = [Process::service(plan)?, Process::reference(plan, Kind::Relay)?];
    let watchers = WATCHERS.min(plan.users);
    // And who is watched, another user in each round: the sessions of the last one wait for their clients still.
    let tokens = tokens::mint(watchers + plan.rounds)?;
    let (watching, watched) = tokens.split_at(watchers);
    let play = async |side: &Process, at: usize| round(side, watching, (watchers + 1 + at, &watched[at])).await;
    let rounds = alternate(plan.rounds, &sides, play).await?;
    let samples = |side: usize| rounds[side].iter().map(|told| told.sample.clone()).collect::<Vec<_>>();
    let (ours, theirs) = (samples(0), samples(1));
    let what = format!("presence to {watchers} watchers");
    let cpu = |samples: &[Sample]| median(samples.iter().map(Sample::each));
    let waited = |side: usize, samples: &[Sample]| {
        let first = median(rounds[side].iter().flat_map(|told| &told.first).map(|us| f64::from(*us) / 1000.0));
        let last = percentile(samples, 50.0) / 1000.0;
        (first, last, percentile(samples, 99.0) / 1000.0)
    };
    let (we, they) = (waited(0, &ours), waited(1, &theirs));
    let write =
        |(first, last, most): (f64, f64, f64)| format!("{last:.1} ms (p99 {most:.1}; the first after {first:.1})");
    Ok(vec![
        Row::plain(&what, "CPU per watcher told", format!("{:.2} µs", cpu(&ours)))
            .beside(format!("{:.2} µs, loop of the {}", cpu(&theirs), sides[1].name))
            .ratio(&ratios(&ours, &theirs, Sample::each), Some(1.10)),
        Row::plain(&what, "change until all are told", write(we)).beside(write(they)).wanted("< 10 ms", we.1 < 10.0),
        Row::plain(&what, "first until last is told", format!("{:.1} ms", we.1 - we.0))
            .beside(format!("{:.1} ms", they.1 - they.0)),
    ])
}

async fn round(side: &Process, watching: &[String], (watched, token): (usize, &str)) -> Outcome<Told> {
    let mut sockets = super::open(side.address, watching, side.is_service).await?;
    let mut user = User::new(side, watched, token).await?;
    if side.is_service {
        let watch = frame(&format!(r#"{{"type":"presence_subscribe","user_ids":[{watched}]}}"#));
        for socket in &mut sockets {
            socket.send(&watch).await?;
            socket
                .next(|text| if messages::is(text, "presence_snapshot") { Ok(()) } else { Err("no snapshot".into()) })
                .await?;
        }
    }
    let heard = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = unbounded_channel();
    let listening: Vec<_> =
        sockets.into_iter().map(|socket| tokio::spawn(listen(socket, Arc::clone(&heard), tell.clone()))).collect();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let before = side.spent()?;
    for change in 0..CHANGES {
        due.tick().await;
        let began = Instant::now();
        user.change(change % 2 == 0).await?;
        for number in 1..=watching.len() {
            let at = next(&mut told, &listening).await?;
            let waited = u32::try_from((at - began).as_micros())?;
            if number == 1 {
                first.push(waited);
            }
            if number == watching.len() {
                last.push(waited);
            }
        }
    }
    let mut sample = Sample::between(before, side.spent()?, (CHANGES * watching.len()) as u64);
    if heard.load(Ordering::Relaxed) != CHANGES * watching.len() {
        return Err("somebody was told twice".into());
    }
    sample.took = last;
    listening.iter().for_each(JoinHandle::abort);
    Ok(Told { sample, first })
}

async fn next(told: &mut UnboundedReceiver<Instant>, listening: &[JoinHandle<Outcome<()>>]) -> Outcome<Instant> {
    match tokio::time::timeout(TOLD_WITHIN, told.recv()).await {
        Ok(Some(at)) => Ok(at),
        _ => {
            let gave_up = listening.iter().filter(|one| one.is_finished()).count();
            Err(format!("not everybody was told; {gave_up} watchers heard something else or were cut off").into())
        }
    }
}

/// A watcher: what it is told must change each time.
async fn listen(mut socket: Socket, heard: Arc<AtomicUsize>, tell: UnboundedSender<Instant>) -> Outcome<()> {
    let mut online = true;
    loop {
        let expected: &[u8] = if online { br#""status":"online""# } else { br#""status":"offline""# };
        let is_news = |text: &[u8]| {
            let right =
                messages::is(text, "presence_changed") && text.windows(expected.len()).any(|part| part == expected);
            if right { Ok(()) } else { Err("something else".into()) }
        };
        socket.next(is_news).await?;
        online = !online;
        heard.fetch_add(1, Ordering::Relaxed);
        if tell.send(Instant::now()).is_err() {
            return Ok(());
        }
    }
}

/// Who comes and goes: by REST at the service, by a message to all at the reference.
enum User {
    Rest { stream: tokio::net::TcpStream, requests: [String; 2], answer: Vec<u8> },
    Loop { socket: Socket, frames: [Vec<u8>; 2] },
}

impl User {
    async fn new(side: &Process, id: usize, token: &str) -> Outcome<Self> {
        let both = ["offline", "online"];
        if side.is_service {
            let stream = socket::connect(side.address, id).await?;
            let requests = both.map(|status| {
                heartbeats::request(side.address, "update", token, &format!(r#"{{"status":"{status}"}}"#))
            });
            return Ok(Self::Rest { stream, requests, answer: Vec::new() });
        }
        // As long as what the service writes, number and version included.
        let frames = both.map(|status| {
            frame(&format!(
                r#"{{"type":"presence_changed","users":[{{"user_id":{id},"status":"{status}","last_seen":"2026-01-01T00:00:00.000000Z","version":1000000000000000}}],"seq":10,"to_all":true}}"#
            ))
        });
        Ok(Self::Loop { socket: Socket::open(side.address, id, token).await?, frames })
    }

    async fn change(&mut self, online: bool) -> Outcome<()> {
        match self {
            Self::Rest { stream, requests, answer } => {
                heartbeats::ask(stream, &requests[usize::from(online)], answer).await
            }
            Self::Loop { socket, frames } => socket.send(&frames[usize::from(online)]).await,
        }
    }
}
