//! The task: healthy, it commits what is queued; in an outage it answers at once and tries again in between.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::DbBackend;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::attempt::{Outcome, attempt};
use super::batch::Batch;
use super::known::Known;
use super::pace::{Gather, Pace};
use super::{Job, Shared, TOGETHER};
use crate::call::Record;
use crate::ids::CallId;
use crate::router::messages::Unwritten;
use crate::store::{DEADLINE, Store, StoreError};

/// How long anybody waits for a receipt, with room for its answer to travel. A batch gets what its
/// oldest job has left, but at least [`LEAST`].
const PATIENCE: Duration = Duration::from_millis(2600);
const LEAST: Duration = Duration::from_millis(300);

/// The waits between tries in an outage.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How many refused calls are remembered. Updates of a refused call come at once or never.
const REFUSED: usize = 65_536;

/// Who waits for whether there was such a call.
type Asker = oneshot::Sender<Result<bool, StoreError>>;

/// Who waits for something about calls that are there already.
#[derive(Default)]
struct Askers {
    tellers: Vec<Asker>,
    seers: Vec<Asker>,
    sweepers: Vec<oneshot::Sender<Result<u64, StoreError>>>,
}

/// Who waits for a call of the batch.
#[derive(Default)]
struct Waiting {
    opens: bool,
    receipts: Vec<oneshot::Sender<Result<(), Unwritten>>>,
}

/// Calls whose opening was refused: nothing of them may be written any more.
#[derive(Default)]
struct Refused {
    ids: HashSet<CallId>,
    order: VecDeque<CallId>,
}

impl Refused {
    fn insert(&mut self, id: CallId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > REFUSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// The writer's state.
pub(super) struct Task {
    store: Store,
    jobs: mpsc::UnboundedReceiver<Job>,
    shared: Arc<Shared>,
    /// Presence waiting for room; in an outage also updates of calls, and calls to be discarded.
    kept: Batch,
    refused: Refused,
    known: Known,
    pace: Pace,
    flushes: Vec<oneshot::Sender<()>>,
    lock: i32,
}

impl Task {
    pub fn new(store: Store, jobs: mpsc::UnboundedReceiver<Job>, shared: Arc<Shared>) -> Self {
        let (kept, refused, known, pace, flushes) = Default::default();
        Self { store, jobs, shared, kept, refused, known, pace, flushes, lock: rand::random() }
    }

    pub async fn run(mut self) {
        let mut jobs = Vec::with_capacity(TOGETHER);
        let mut done = Instant::now();
        loop {
            if self.kept.is_empty() {
                for flush in self.flushes.drain(..) {
                    let _ = flush.send(());
                }
                if self.jobs.recv_many(&mut jobs, TOGETHER).await == 0 {
                    return;
                }
                // PostgreSQL works elsewhere while more come: waiting would leave both sides idle in turn.
                let there = self.shared.waiting.load(Ordering::Relaxed);
                if self.store.inner.backend == DbBackend::Sqlite
                    && let Some(gather) = self.pace.gather(there, done.elapsed())
                {
                    self.wait_for(gather).await;
                }
            }
            // What else is queued; where presence is left over, nothing is waited for.
            while jobs.len() < TOGETHER
                && let Ok(job) = self.jobs.try_recv()
            {
                jobs.push(job);
            }
            self.shared.waiting.fetch_sub(jobs.len(), Ordering::Relaxed);
            if self.commit(&mut jobs).await {
                done = Instant::now();
            } else if !self.outage().await {
                return;
            }
        }
    }

    /// Leaves what is queued where it is until there are enough, without being woken for each.
    async fn wait_for(&self, Gather { jobs, at_most }: Gather) {
        // Said before it looks, as whoever sends counts before it looks: one of the two sees the other.
        self.shared.wanted.store(jobs, Ordering::SeqCst);
        let enough = async {
            while self.shared.waiting.load(Ordering::SeqCst) < jobs {
                self.shared.enough.notified().await;
            }
        };
        let _ = timeout(at_most, enough).await;
        self.shared.wanted.store(0, Ordering::SeqCst);
    }

    /// Commits jobs and answers them. `false` when the database is away.
    async fn commit(&mut self, jobs: &mut Vec<Job>) -> bool {
        let mut batch = Batch::default();
        let mut waiting: HashMap<CallId, Waiting> = HashMap::new();
        let mut askers = Askers::default();
        let (count, began) = (jobs.len(), Instant::now());
        let mut oldest = began;
        for job in jobs.drain(..) {
            match job {
                Job::Open { record, reported, receipt, since } => {
                    oldest = oldest.min(since);
                    let entry = waiting.entry(record.id).or_default();
                    entry.opens = true;
                    entry.receipts.push(receipt);
                    batch.put_call(*record, reported, &mut self.known);
                }
                Job::Update { record, receipt, since } => {
                    if self.refused.ids.contains(&record.id) {
                        let _ = receipt.send(Err(Unwritten));
                        continue;
                    }
                    oldest = oldest.min(since);
                    waiting.entry(record.id).or_default().receipts.push(receipt);
                    batch.put_call(*record, false, &mut self.known);
                }
                Job::Told { told, answer, since } => {
                    oldest = oldest.min(since);
                    batch.told.push(*told);
                    askers.tellers.push(answer);
                }
                Job::Seen { call, callee, answer, since } => {
                    oldest = oldest.min(since);
                    batch.seen.push((call, callee));
                    askers.seers.push(answer);
                }
                Job::AllSeen { sweep, answer, since } => {
                    oldest = oldest.min(since);
                    batch.sweeps.push(sweep);
                    askers.sweepers.push(answer);
                }
                Job::Refused(id) => self.refused.insert(id),
                Job::Statuses(rows) => self.kept.put_statuses(rows, &mut self.known),
                Job::Profiles(owners) => self.kept.profiles.extend(owners),
                Job::Flush(answer) => self.flushes.push(answer),
            }
        }
        self.kept.pour_presence(TOGETHER, &mut batch);
        if batch.is_empty() {
            return true;
        }
        let limit = PATIENCE.saturating_sub(oldest.elapsed()).clamp(LEAST, DEADLINE);
        let names = batch.names.clone();
        let outcome = attempt(self.store.clone(), batch, limit, self.lock).await;
        if outcome.whole {
            names.iter().for_each(|(user, name)| self.known.learn(user, name.as_deref()));
        } else {
            self.known.forget();
        }
        let there = self.answer(outcome, waiting, askers);
        if there {
            self.pace.committed(count, self.shared.waiting.load(Ordering::Relaxed), began.elapsed());
        }
        there
    }

    /// Answers the jobs of a batch, and keeps what has to be written later.
    fn answer(&mut self, mut outcome: Outcome, waiting: HashMap<CallId, Waiting>, askers: Askers) -> bool {
        for (id, waiting) in waiting {
            let unwritten = outcome.unwritten.calls.remove(&id);
            let bad = outcome.bad.contains(&id);
            if waiting.opens && (bad || unwritten.is_some()) {
                self.refused.insert(id);
                // An unclear commit may have left it. A bad row left nothing.
                if !bad {
                    self.kept.discards.insert(id);
                }
            } else if let Some(call) = &unwritten {
                self.kept.calls.insert(id, call.clone());
            }
            let answer = if bad || unwritten.is_some() { Err(Unwritten) } else { Ok(()) };
            for receipt in waiting.receipts {
                let _ = receipt.send(answer);
            }
        }
        let away = outcome.away.clone().unwrap_or(StoreError::Full);
        hand_out(askers.tellers, outcome.told, &away);
        hand_out(askers.seers, outcome.seen, &away);
        hand_out(askers.sweepers, outcome.swept, &away);
        self.kept.put_back_presence(outcome.unwritten);
        match outcome.away {
            Some(error) => {
                self.shared.away.store(true, Ordering::Release);
                log::error!("{error}; new calls are refused until it is back");
                false
            }
            None => true,
        }
    }

    /// Answers at once, and tries to write what is kept until all of it is. `false` when nobody is left.
    async fn outage(&mut self) -> bool {
        let mut wait = FIRST_WAIT;
        loop {
            if !self.while_answering(sleep(wait)).await.1 {
                return false;
            }
            let sent = self.kept.head(TOGETHER);
            let trial = attempt(self.store.clone(), sent.clone(), DEADLINE, self.lock);
            let (outcome, more) = self.while_answering(trial).await;
            self.kept.forget(&sent, &outcome.unwritten);
            if outcome.away.is_some() {
                wait = (wait * 2).min(LONGEST_WAIT);
            } else if self.kept.is_empty() {
                self.shared.away.store(false, Ordering::Release);
                log::info!("the database is back, and everything kept is written");
                return true;
            } else {
                wait = Duration::ZERO;
            }
            if !more {
                return false;
            }
        }
    }

    /// Lets `work` run while jobs are answered without the database. Its result, and whether anybody is left to
    /// ask: when nobody is, jobs end, but `work` is still finished.
    async fn while_answering<T>(&mut self, work: impl Future<Output = T>) -> (T, bool) {
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return (result, !self.jobs.is_closed()),
                job = self.jobs.recv() => match job {
                    Some(job) => self.put_off(job),
                    None => return (work.await, false),
                },
            }
        }
    }

    /// Answers a job in an outage.
    fn put_off(&mut self, job: Job) {
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        match job {
            Job::Open { record, receipt, .. } => {
                self.refused.insert(record.id);
                let _ = receipt.send(Err(Unwritten));
            }
            Job::Update { record, receipt, .. } => {
                self.keep(*record);
                let _ = receipt.send(Err(Unwritten));
            }
            Job::Told { answer, .. } | Job::Seen { answer, .. } => {
                let _ = answer.send(Err(StoreError::Away("it was away a moment ago".into())));
            }
            Job::AllSeen { answer, .. } => {
                let _ = answer.send(Err(StoreError::Away("it was away a moment ago".into())));
            }
            Job::Refused(id) => self.refused.insert(id),
            Job::Statuses(rows) => self.kept.put_statuses(rows, &mut self.known),
            Job::Profiles(owners) => self.kept.profiles.extend(owners),
            Job::Flush(answer) => self.flushes.push(answer),
        }
    }

    fn keep(&mut self, record: Record) {
        if !self.refused.ids.contains(&record.id) {
            self.kept.put_call(record, false, &mut self.known);
        }
    }
}

/// Gives each who asked its answer; who is left without one is told why.
fn hand_out<T>(
    askers: Vec<oneshot::Sender<Result<T, StoreError>>>,
    found: Vec<Result<T, StoreError>>,
    otherwise: &StoreError,
) {
    let mut found = found.into_iter();
    for asker in askers {
        let _ = asker.send(found.next().unwrap_or_else(|| Err(otherwise.clone())));
    }
}
