//! The write side: one task that takes what is queued, commits it in one transaction, then answers all of it.
//!
//! What is handed over first is written first. While the database is away new calls are refused at once,
//! updates of calls already live are kept (the newest per call), and everything goes on by itself when it is back.

mod attempt;
mod batch;
mod known;
mod pace;
mod rows;
mod sql;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::told::Told;
use super::{Store, StoreError};
use crate::call::Record;
use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::router::messages::{Ledger, Receipt, StatusRow, Unwritten};
use task::Task;

/// How many jobs may wait before new calls are refused.
const QUEUE: usize = 4096;

/// How many jobs, and how many rows of presence, are committed together.
const TOGETHER: usize = 500;

/// How many status rows travel in one job, so that a call behind them waits for few.
const STATUSES_PER_JOB: usize = 200;

/// How many missed calls are marked as seen in one transaction.
const SWEPT: u64 = 1000;

/// How long [`Writer::flush`] waits at most.
const FLUSH: Duration = Duration::from_secs(5);

/// What the task is asked to do.
enum Job {
    /// Write a new call, or see to it that nothing of it remains.
    Open { record: Box<Record>, reported: bool, receipt: oneshot::Sender<Result<(), Unwritten>>, since: Instant },
    /// Write the next state of a call, sooner or later.
    Update { record: Box<Record>, receipt: oneshot::Sender<Result<(), Unwritten>>, since: Instant },
    /// A call was refused without ever being queued.
    Refused(CallId),
    /// Write these statuses when there is room.
    Statuses(Vec<StatusRow>),
    /// Write whose these profiles are when there is room.
    Profiles(Vec<(UserId, UserId)>),
    /// Take in what a client says of a call.
    Told { told: Box<Told>, answer: oneshot::Sender<Result<bool, StoreError>>, since: Instant },
    /// Mark a missed call as seen.
    Seen { call: CallId, callee: UserId, answer: oneshot::Sender<Result<bool, StoreError>>, since: Instant },
    /// Mark some of the missed calls as seen that were missed by then: a user's, or everybody's.
    AllSeen { sweep: Sweep, answer: oneshot::Sender<Result<u64, StoreError>>, since: Instant },
    /// Say when everything before this is written.
    Flush(oneshot::Sender<()>),
}

/// Whose missed calls are marked as seen, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sweep {
    /// Everybody's, where nobody is named.
    callee: Option<UserId>,
    /// Those missed until then: a call that is missed while this goes on was seen by nobody.
    until: Timestamp,
}

/// What the task and its handles both see.
#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    away: AtomicBool,
    /// While the task gathers, how many waiting jobs are enough; else 0.
    wanted: AtomicUsize,
    /// Wakes the task when there are.
    enough: Notify,
}

/// The handle of the writer task. Cheap to clone; the task ends when the last handle is gone.
#[derive(Clone)]
pub struct Writer {
    /// Unbounded, because an update may not be refused; what may be refused is, above [`QUEUE`].
    queue: mpsc::UnboundedSender<Job>,
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the task on the caller's runtime.
    pub(super) fn spawn(store: Store) -> Self {
        let (queue, jobs) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(Task::new(store, jobs, Arc::clone(&shared)).run());
        Self { queue, shared }
    }

    /// Whether writes are going through, for `/readyz`.
    pub fn healthy(&self) -> bool {
        !self.shared.away.load(Ordering::Acquire) && !self.queue.is_closed()
    }

    /// How many jobs wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Opens the record of a call that a client reported instead of making it here. Like [`Ledger::open`].
    pub fn open_reported(&self, record: Record) -> Receipt {
        self.hand_over(record, true)
    }

    /// Takes in what a client says of a call, as far as it counts. `false` when there is no such call.
    pub async fn told(&self, told: Told) -> Result<bool, StoreError> {
        if !self.has_room() {
            return Err(StoreError::Full);
        }
        let (answer, answered) = oneshot::channel();
        self.send(Job::Told { told: Box::new(told), answer, since: Instant::now() });
        answered.await.unwrap_or_else(|_| Err(StoreError::Away("the writer has stopped".into())))
    }

    /// Marks a missed call as seen by its callee. `false` when the callee has no such missed call; twice is fine.
    pub async fn mark_seen(&self, call: CallId, callee: &UserId) -> Result<bool, StoreError> {
        if !self.has_room() {
            return Err(StoreError::Full);
        }
        let (answer, answered) = oneshot::channel();
        self.send(Job::Seen { call, callee: callee.clone(), answer, since: Instant::now() });
        answered.await.unwrap_or_else(|_| Err(StoreError::Away("the writer has stopped".into())))
    }

    /// Marks what a user, or everybody, missed until now as seen. How many were not yet.
    ///
    /// Some at a time, so that calls need not wait behind thousands.
    pub async fn mark_all_seen(&self, callee: Option<&UserId>, now: Timestamp) -> Result<u64, StoreError> {
        let sweep = Sweep { callee: callee.cloned(), until: now };
        let mut marked = 0;
        loop {
            if !self.has_room() {
                return Err(StoreError::Full);
            }
            let (answer, answered) = oneshot::channel();
            self.send(Job::AllSeen { sweep: sweep.clone(), answer, since: Instant::now() });
            let some = answered.await.unwrap_or_else(|_| Err(StoreError::Away("the writer has stopped".into())))?;
            marked += some;
            if some < SWEPT {
                return Ok(marked);
            }
        }
    }

    /// Waits until everything handed over so far is written, for a few seconds at most. Whether it was.
    pub async fn flush(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Flush(answer));
        matches!(tokio::time::timeout(FLUSH, answered).await, Ok(Ok(())))
    }

    fn has_room(&self) -> bool {
        self.waiting() < QUEUE
    }

    fn send(&self, job: Job) {
        // Counted first, because the task may have taken it before this returns.
        let waiting = self.shared.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        // If the task is gone the job is dropped, and with it its receipt, which tells whoever waits.
        if self.queue.send(job).is_err() {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        } else if waiting == self.shared.wanted.load(Ordering::SeqCst) {
            self.shared.enough.notify_one();
        }
    }

    fn hand_over(&self, record: Record, reported: bool) -> Receipt {
        let (receipt, answer) = oneshot::channel();
        if self.has_room() {
            self.send(Job::Open { record: Box::new(record), reported, receipt, since: Instant::now() });
        } else {
            // Told so that a later update of this call does not bring it to life.
            self.send(Job::Refused(record.id));
            let _ = receipt.send(Err(Unwritten));
        }
        answer
    }
}

impl Ledger for Writer {
    fn open(&self, record: Record) -> Receipt {
        self.hand_over(record, false)
    }

    fn update(&self, record: Record) -> Receipt {
        let (receipt, answer) = oneshot::channel();
        self.send(Job::Update { record: Box::new(record), receipt, since: Instant::now() });
        answer
    }

    fn profiles(&self, owners: Vec<(UserId, UserId)>) {
        // Few, and not said again while the process lives: taken even where there is little room.
        self.send(Job::Profiles(owners));
    }

    fn statuses(&self, rows: Vec<StatusRow>) {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() && self.has_room() {
            self.send(Job::Statuses(rows.by_ref().take(STATUSES_PER_JOB).collect()));
        }
    }
}
