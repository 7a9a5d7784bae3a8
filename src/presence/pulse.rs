//! A device's last proof of life.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Moment;

/// The last proof of life of one device, stored by its edge without asking anybody.
#[derive(Debug, Default)]
pub struct Pulse(AtomicI64);

impl Pulse {
    /// A pulse felt at `moment`.
    pub fn at(moment: Moment) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(moment.0)))
    }

    /// Notes a proof of life.
    pub fn beat(&self, moment: Moment) {
        self.0.fetch_max(moment.0, Ordering::Relaxed);
    }

    /// The last proof of life.
    pub fn last(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}
