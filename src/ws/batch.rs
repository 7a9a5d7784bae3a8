//! Telling many sessions something: some are decided on first, and then written to.
//!
//! What telling a session takes has left the processor's caches since the last time. Looked at one after the other,
//! without the kernel's work between, several are fetched at once; and writes that follow one another keep who reads
//! at the other end awake.

use std::sync::{Arc, MutexGuard};

use super::resumable::{Session, State};
use crate::clock::Moment;

/// How many sessions are held at most, which is how long somebody else may wait for one of them.
const TOGETHER: usize = 32;

/// Sessions that are told something, held until it is written.
pub(super) struct Batch<'a> {
    /// When they are told it.
    pub now: Moment,
    told: Vec<(MutexGuard<'a, State>, Arc<str>)>,
}

impl<'a> Batch<'a> {
    /// One of nobody.
    pub fn new(now: Moment) -> Self {
        Self { now, told: Vec::new() }
    }

    /// What changes of a session, held. Where that takes waiting, nobody else is made to wait meanwhile.
    pub fn state(&mut self, session: &'a Session) -> MutexGuard<'a, State> {
        session.try_state().unwrap_or_else(|| {
            self.write();
            session.state()
        })
    }

    /// Tells a session's client a text of the extensions, with the others.
    pub fn say(&mut self, mut state: MutexGuard<'a, State>, text: Arc<str>) {
        state.log.keep(Arc::clone(&text), self.now);
        self.told.push((state, text));
        if self.told.len() == TOGETHER {
            self.write();
        }
    }

    /// Writes to all, and holds nobody any more.
    pub fn write(&mut self) {
        let write = |(state, text): (MutexGuard<'_, State>, Arc<str>)| state.log.write(&text);
        let slow: Vec<_> = self.told.drain(..).filter_map(write).collect();
        // Closing a socket takes other locks, sessions' among them.
        for slow in slow {
            slow.too_slow();
        }
    }
}
