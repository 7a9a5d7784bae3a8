//! A device's last proof of life.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::clock::Moment;

/// The last proof of life of one device, stored by its edge without asking anybody.
#[derive(Debug, Default)]
pub struct Pulse {
    last: AtomicI64,
    /// The pulse of the device this is a part of.
    whole: OnceLock<Arc<Self>>,
}

impl Pulse {
    /// A pulse felt at `moment`.
    pub fn at(moment: Moment) -> Arc<Self> {
        Arc::new(Self { last: AtomicI64::new(moment.0), whole: OnceLock::new() })
    }

    /// Notes a proof of life.
    pub fn beat(&self, moment: Moment) {
        self.last.fetch_max(moment.0, Ordering::Relaxed);
        if let Some(whole) = self.whole.get() {
            whole.beat(moment);
        }
    }

    /// From now on every beat is also one of `whole`: a device of several connections is alive while one of
    /// them is. Only the first time counts; `whole` is itself no part.
    pub fn feed(&self, whole: Arc<Self>) {
        whole.beat(self.last());
        // A second one cannot be: a connection belongs to one device.
        let _ = self.whole.set(whole);
    }

    /// The last proof of life.
    pub fn last(&self) -> Moment {
        Moment(self.last.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_several_connections_is_as_alive_as_the_freshest() {
        let (whole, one, two) = (Pulse::at(Moment(1)), Pulse::at(Moment(5)), Pulse::at(Moment(2)));
        one.feed(Arc::clone(&whole));
        two.feed(Arc::clone(&whole));
        assert_eq!(whole.last(), Moment(5));
        two.beat(Moment(7));
        one.beat(Moment(6));
        assert_eq!((whole.last(), one.last(), two.last()), (Moment(7), Moment(6), Moment(7)));
    }
}
