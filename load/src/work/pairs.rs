//! Users two by two: connected, in a call with each other, busy, and gone again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::measure::Sample;
use crate::process::Process;
use crate::socket::Socket;
use crate::{Outcome, messages};

/// What runs before the measuring begins.
const WARM_UP: Duration = Duration::from_millis(300);

/// How long a pair may take for what it had begun when the round ended. Whoever takes longer lost something.
const LAST_ONE: Duration = Duration::from_secs(10);

/// Two users with a socket each.
pub struct Pair {
    /// Which, counted from 0.
    pub number: usize,
    /// The one with the odd number, who calls.
    pub caller: Socket,
    /// The other.
    pub callee: Socket,
    /// How many marks were used.
    pub mark: u64,
}

/// What the pairs of a round share.
#[derive(Clone, Default)]
pub struct Round {
    stop: Arc<AtomicBool>,
    measuring: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Round {
    /// Whether to go on.
    pub fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Whether what is done now counts.
    pub fn counts(&self) -> bool {
        self.measuring.load(Ordering::Relaxed)
    }

    /// Once more.
    pub fn count(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pair {
    /// The caller's user id.
    pub fn caller_id(&self) -> usize {
        self.number * 2 + 1
    }

    /// The callee's.
    pub fn callee_id(&self) -> usize {
        self.number * 2 + 2
    }

    /// Sockets as pairs.
    pub fn of(sockets: Vec<Socket>) -> Vec<Self> {
        let mut sockets = sockets.into_iter();
        std::iter::from_fn(|| sockets.next().zip(sockets.next()))
            .enumerate()
            .map(|(number, (caller, callee))| Self { number, caller, callee, mark: 0 })
            .collect()
    }

    /// From invitation to answer.
    pub async fn call(&mut self) -> Outcome<()> {
        self.mark += 1;
        let mark = self.mark;
        self.caller.send(messages::invitation(self.callee_id()).with(mark)).await?;
        self.callee.next(|text| messages::expect(text, "call_invitation", mark)).await?;
        self.callee.send(messages::answer(self.caller_id()).with(mark)).await?;
        next_of(&mut self.caller, "call_answer", mark).await
    }

    /// The caller ends the call and the callee is told.
    pub async fn hang_up(&mut self) -> Outcome<()> {
        let end = messages::end(self.callee_id());
        self.caller.send(&end).await?;
        self.callee.next(ended).await
    }
}

/// That message, after what only sockets with extensions are told about the call.
pub async fn next_of(socket: &mut Socket, kind: &str, mark: u64) -> Outcome<()> {
    loop {
        let about_the_call = |text: &[u8]| messages::is(text, "call_ringing") || messages::is(text, "call_answered");
        let skipped = socket.next(|text| match about_the_call(text) {
            true => Ok(true),
            false => messages::expect(text, kind, mark).map(|()| false),
        });
        if !skipped.await? {
            return Ok(());
        }
    }
}

/// Whether this is the end of the call.
pub fn ended(text: &[u8]) -> Outcome<()> {
    match messages::is(text, "call_ended") {
        true => Ok(()),
        false => Err(format!("expected the end, and this came: {}", String::from_utf8_lossy(text)).into()),
    }
}

/// Lets every pair work until the round is over, and says what that took. The pairs are given back.
pub async fn work<F>(
    process: &Process,
    pairs: Vec<Pair>,
    length: Duration,
    job: impl Fn(Pair, Round) -> F,
) -> Outcome<(Sample, Vec<Pair>)>
where
    F: Future<Output = Outcome<(Pair, Vec<u32>)>> + Send + 'static,
{
    let round = Round::default();
    let working: Vec<_> = pairs.into_iter().map(|pair| tokio::spawn(job(pair, round.clone()))).collect();
    tokio::time::sleep(WARM_UP).await;
    round.measuring.store(true, Ordering::Relaxed);
    let (before, done_before) = (process.spent()?, round.done.load(Ordering::Relaxed));
    tokio::time::sleep(length).await;
    let (after, done_after) = (process.spent()?, round.done.load(Ordering::Relaxed));
    round.measuring.store(false, Ordering::Relaxed);
    round.stop.store(true, Ordering::Relaxed);
    let finished = tokio::time::timeout(LAST_ONE, try_join_all(working));
    let finished = finished.await.map_err(|_| "a pair waits in vain: a message was lost, or a call refused")??;
    let mut sample = Sample::between(before, after, done_after - done_before);
    let mut pairs = Vec::with_capacity(finished.len());
    for one in finished {
        let (pair, took) = one?;
        sample.took.extend(took);
        pairs.push(pair);
    }
    Ok((sample, pairs))
}

/// Opens pairs and, at the service, brings each into an answered call.
pub async fn in_calls(process: &Process, tokens: &[String], hello: bool) -> Outcome<Vec<Pair>> {
    let mut pairs = Pair::of(super::open(process.address, tokens, hello && process.is_service).await?);
    if process.is_service {
        // As many at once as a writer commits together.
        for some in pairs.chunks_mut(64) {
            try_join_all(some.iter_mut().map(Pair::call)).await?;
        }
    }
    Ok(pairs)
}

/// Ends what [`in_calls`] began.
pub async fn leave(process: &Process, mut pairs: Vec<Pair>) -> Outcome<()> {
    if process.is_service {
        for some in pairs.chunks_mut(64) {
            try_join_all(some.iter_mut().map(Pair::hang_up)).await?;
        }
        super::close(pairs.into_iter().flat_map(|pair| [pair.caller, pair.callee]).collect()).await?;
    }
    Ok(())
}
