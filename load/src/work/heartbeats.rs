//! Proofs of life by REST over connections that are kept, beside a handler of the same framework that does nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::measure::{Sample, alternate, median, ratios, tails};
use crate::process::Process;
use crate::reference::Kind;
use crate::report::Row;
use crate::{Outcome, Plan, socket, tokens};

const CONNECTIONS: usize = 50;
const WARM_UP: Duration = Duration::from_millis(300);

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let sides = [Process::service(plan)?, Process::reference(plan, Kind::Heartbeats)?];
    let tokens = tokens::mint(CONNECTIONS)?;
    let samples = alternate(plan.rounds, &sides, async |side, _| round(side, &tokens, plan.round).await).await?;
    let [ours, theirs] = [&samples[0], &samples[1]];
    let what = format!("heartbeats, {CONNECTIONS} connections");
    let cpu = |samples: &[Sample]| median(samples.iter().map(Sample::each));
    let rate = |samples: &[Sample]| {
        let busy = median(samples.iter().map(Sample::busy)) * 100.0;
        format!("{:.0}k/s, core {busy:.0} % busy", median(samples.iter().map(Sample::rate)) / 1000.0)
    };
    let took = |samples: &[Sample]| {
        let [half, most, all] = tails(samples, 1.0);
        format!("{half:.0} / {most:.0} / {all:.0} µs")
    };
    Ok(vec![
        Row::plain(&what, "CPU per request", format!("{:.2} µs", cpu(ours)))
            .beside(format!("{:.2} µs, {}", cpu(theirs), sides[1].name))
            .ratio(&ratios(ours, theirs, Sample::each), Some(1.15)),
        Row::plain(&what, "rate", rate(ours)).beside(rate(theirs)),
        Row::plain(&what, "answer p50 / p99 / longest", took(ours)).beside(took(theirs)),
    ])
}

async fn round(side: &Process, tokens: &[String], length: Duration) -> Outcome<Sample> {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let beating = tokens.iter().enumerate().map(|(number, token)| {
        let request = request(side.address, "heartbeat", token, "");
        tokio::spawn(beat(side.address, number, request, Arc::clone(&stop), Arc::clone(&done)))
    });
    let beating: Vec<_> = beating.collect();
    tokio::time::sleep(WARM_UP).await;
    let (before, done_before) = (side.spent()?, done.load(Ordering::Relaxed));
    tokio::time::sleep(length).await;
    let (after, done_after) = (side.spent()?, done.load(Ordering::Relaxed));
    stop.store(true, Ordering::Relaxed);
    let mut sample = Sample::between(before, after, done_after - done_before);
    for took in try_join_all(beating).await? {
        sample.took.extend(took?);
    }
    Ok(sample)
}

async fn beat(
    address: SocketAddr,
    number: usize,
    request: String,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Outcome<Vec<u32>> {
    let mut stream = socket::connect(address, number).await?;
    let (mut answer, mut took) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        ask(&mut stream, &request, &mut answer).await?;
        done.fetch_add(1, Ordering::Relaxed);
        took.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(took)
}

/// A request as it goes over the wire, below `/api/status/`.
pub fn request(address: SocketAddr, path: &str, token: &str, body: &str) -> String {
    format!(
        "POST /api/status/{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends it and reads the answer, which must be one of success.
pub async fn ask(stream: &mut TcpStream, request: &str, answer: &mut Vec<u8>) -> Outcome<()> {
    stream.write_all(request.as_bytes()).await?;
    answer.clear();
    loop {
        answer.reserve(512);
        if stream.read_buf(answer).await? == 0 {
            return Err("the connection ended".into());
        }
        if let Some(whole) = whole(answer)? {
            return if whole == answer.len() { Ok(()) } else { Err("an answer too many".into()) };
        }
    }
}

/// How long the answer is, once its head is there and as much as the head says.
fn whole(answer: &[u8]) -> Outcome<Option<usize>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&answer[..head])?;
    if !text.starts_with("HTTP/1.1 20") {
        return Err(format!("refused: {text}").into());
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = head + 4 + length.unwrap_or(0);
    Ok((answer.len() >= whole).then_some(whole))
}
