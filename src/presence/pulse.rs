//! A device's last proof of life.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::clock::Moment;
use crate::ids::UserId;

/// The last proof of life of one device, stored by its edge without asking anybody.
#[derive(Debug, Default)]
pub struct Pulse {
    last: AtomicI64,
    /// Whether it was felt since [`Self::saved`], and its user put on the list.
    listed: AtomicBool,
    /// Whose it is, and where that is noted.
    list: OnceLock<(UserId, Arc<Felt>)>,
    /// The pulse of the device this is a part of.
    whole: OnceLock<Arc<Self>>,
}

/// Users with a pulse that was felt since it was last looked at: a beat is an atomic, and the list takes one entry
/// however many there are.
#[derive(Debug, Default)]
pub(super) struct Felt(Mutex<Vec<UserId>>);

impl Felt {
    pub(super) fn take(&self) -> Vec<UserId> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, user: &UserId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(user.clone());
    }
}

impl Pulse {
    /// A pulse felt at `moment`.
    pub fn at(moment: Moment) -> Arc<Self> {
        Arc::new(Self { last: AtomicI64::new(moment.0), ..Self::default() })
    }

    /// Notes a proof of life.
    pub fn beat(&self, moment: Moment) {
        // In this order, and that of `saved`: a beat is seen there, or puts its user on the list again.
        self.last.fetch_max(moment.0, Ordering::SeqCst);
        if !self.listed.load(Ordering::SeqCst)
            && let Some((user, list)) = self.list.get()
            && !self.listed.swap(true, Ordering::SeqCst)
        {
            list.add(user);
        }
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

    /// From now on a user's beats put them on the list. Only the first time counts.
    pub(super) fn note_on(&self, list: &Arc<Felt>, user: &UserId) {
        // A second one cannot be: a device is one user's.
        let _ = self.list.set((user.clone(), Arc::clone(list)));
    }

    /// The last proof of life, from which on its user is put on the list again.
    pub(super) fn saved(&self) -> Moment {
        self.listed.store(false, Ordering::SeqCst);
        Moment(self.last.load(Ordering::SeqCst))
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
