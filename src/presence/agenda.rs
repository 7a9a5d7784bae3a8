//! When silence becomes absence: who is fresh, when to look at a user again, and the looking.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::clock::Moment;
use crate::ids::UserId;

use super::tracker::{Device, Lost, Tracker};

/// When to look at a user again, earliest first.
pub(super) type Agenda = BinaryHeap<Reverse<(Moment, UserId)>>;

impl Tracker {
    /// Looks at everybody whose time has come. Returns the devices by REST that fell silent; sockets
    /// report their own end.
    pub fn sweep(&mut self, now: Moment) -> Vec<Lost> {
        if self.stood_still(now).is_some() {
            self.forgiven = now;
        }
        self.last_sweep = Some(now);
        let mut lost = Vec::new();
        while let Some(Reverse((at, _))) = self.agenda.peek() {
            if *at > now {
                break;
            }
            let Some(Reverse((at, user))) = self.agenda.pop() else { break };
            if self.users.get(&user).is_some_and(|entry| entry.scheduled == Some(at)) {
                self.look_at(&user, now, &mut lost);
            }
        }
        lost
    }

    fn look_at(&mut self, user: &UserId, now: Moment, lost: &mut Vec<Lost>) {
        let (after, forgiven) = (self.patience.offline_after, self.forgiven);
        let Some(entry) = self.users.get_mut(user) else { return };
        entry.scheduled = None;
        let silent = |device: &Device| device.session.is_none() && now - device.pulse.last().max(forgiven) > after;
        while let Some(index) = entry.devices.iter().position(silent) {
            let device = entry.drop_device(index);
            lost.push(Lost { user: user.clone(), device: device.reach.device, since: device.pulse.last() });
        }
        self.touched(user, now);
    }

    /// Whether this process stood still until just now: then the moment it was last known to run.
    fn stood_still(&self, now: Moment) -> Option<Moment> {
        self.last_sweep.filter(|last| now - *last > self.patience.sweep_every * 4)
    }

    pub(super) fn is_fresh(&self, device: &Device, now: Moment) -> bool {
        // After a stop others may be served before the sweep notices it: who was fresh then still is.
        let now = self.stood_still(now).unwrap_or(now);
        now - device.pulse.last().max(self.forgiven) <= self.patience.offline_after
    }

    /// Notes that something about a user may look different, and when to look at them again.
    pub(super) fn touched(&mut self, user: &UserId, now: Moment) {
        self.doubt(user);
        let (after, forgiven) = (self.patience.offline_after, self.forgiven);
        let Some(entry) = self.users.get_mut(user) else { return };
        if !std::mem::replace(&mut entry.changed, true) {
            self.changed.push(user.clone());
        }
        if !entry.devices.is_empty() {
            entry.linger_until = None;
        }
        // A microsecond past the deadline, so that looking then finds it passed.
        let silence = entry.devices.iter().map(|device| {
            let end = device.pulse.last().max(forgiven) + after;
            // A socket that is silent but open is asked for again and again: it may yet speak.
            if end <= now { now + Duration::from_secs(1) } else { end + Duration::from_micros(1) }
        });
        let next = silence.chain(entry.linger_until.filter(|until| *until > now)).min();
        if let Some(at) = next.filter(|at| entry.scheduled.is_none_or(|planned| *at < planned)) {
            entry.scheduled = Some(at);
            self.agenda.push(Reverse((at, user.clone())));
        }
    }
}
