//! The tracker: devices, what users said, and what they are engaged in.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::call::Reach;
use crate::clock::Moment;
use crate::ids::{CallId, DeviceId, SessionId, UserId};
use crate::signal::{Capabilities, Refusal};

use super::agenda::Agenda;
use super::pulse::{Felt, Pulse};
use super::status::{Published, Saying, Status};

/// Whether a map has so many times the room it needs that it is to be made smaller: what a crowd needed is given back
/// when it has gone.
pub fn is_sparse(room: usize, needed: usize) -> bool {
    room / 8 > needed
}

/// How long silence is borne.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A device is fresh for this long after its last proof of life.
    pub offline_after: Duration,
    /// How long a user whose socket dropped is still shown online.
    pub linger: Duration,
    /// How many devices a user may have connected.
    pub devices: usize,
    /// How often [`Tracker::sweep`] is meant to be called. One that comes much later means that this
    /// process was stopped, not that everybody fell silent.
    pub sweep_every: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            offline_after: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            devices: 10,
            sweep_every: Duration::from_secs(1),
        }
    }
}

/// The call a user is engaged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engaged {
    /// Which.
    pub call: CallId,
    /// The other side of a 1:1 call.
    pub with: Option<UserId>,
    /// Whether it was answered and the user takes part.
    pub in_call: bool,
}

/// What connecting a socket led to.
#[derive(Debug, PartialEq, Eq)]
pub struct Connected {
    /// The socket of the same device that it replaces.
    pub replaced: Option<SessionId>,
}

/// A device that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// Its last proof of life.
    pub since: Moment,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) reach: Reach,
    pub(super) session: Option<SessionId>,
    pub(super) pulse: Arc<Pulse>,
}

#[derive(Debug, Default)]
pub(super) struct User {
    name: Option<String>,
    pub(super) devices: Vec<Device>,
    said_busy: bool,
    engaged: Option<Engaged>,
    /// Until when a user without devices is still shown, after a socket dropped.
    pub(super) linger_until: Option<Moment>,
    /// The latest proof of life of devices that are gone.
    last_seen: Option<Moment>,
    published: Published,
    /// What was last handed out by [`Tracker::unsaved`].
    saved: Option<(Published, Option<Moment>)>,
    /// Whether the user is among those who may look different.
    pub(super) changed: bool,
    /// Whether the user is among those it looks at next.
    doubtful: bool,
    /// The earliest time to look at this user again; later entries on the agenda are stale.
    pub(super) scheduled: Option<Moment>,
}

/// Everybody who is, or lately was, here. One writer: the router.
#[derive(Debug, Default)]
pub struct Tracker {
    pub(super) patience: Patience,
    /// Boxed, as a map has room for up to twice as many.
    pub(super) users: HashMap<UserId, Box<User>>,
    /// When to look at a user again, earliest first.
    pub(super) agenda: Agenda,
    /// Who may look different.
    pub(super) changed: Vec<UserId>,
    /// Whose row may be behind, or who may be forgotten: nobody else is looked at for that.
    doubtful: Vec<UserId>,
    /// The same, noted by the pulses themselves.
    felt: Arc<Felt>,
    /// Who was forgotten, until somebody asks.
    forgotten: Vec<UserId>,
    pub(super) last_sweep: Option<Moment>,
    /// Silence before this moment was ours, not theirs.
    pub(super) forgiven: Moment,
}

impl Tracker {
    /// An empty tracker.
    pub fn new(patience: Patience) -> Self {
        Self { patience, forgiven: Moment(i64::MIN), ..Self::default() }
    }

    /// A socket is open.
    pub fn connect(
        &mut self,
        user: &UserId,
        name: Option<String>,
        reach: Reach,
        session: SessionId,
        pulse: Arc<Pulse>,
        now: Moment,
    ) -> Result<Connected, Refusal> {
        let cap = self.patience.devices;
        pulse.note_on(&self.felt, user);
        let entry = self.entry(user, name);
        let known = entry.devices.iter().position(|known| known.reach.device == reach.device);
        let connected = entry.devices.iter().filter(|device| device.session.is_some()).count();
        if known.is_none() && connected >= cap {
            return Err(Refusal::Forbidden(format!("a user may have at most {cap} devices connected")));
        }
        let fresh = Device { reach, session: Some(session), pulse };
        let replaced = match known {
            Some(index) => std::mem::replace(&mut entry.devices[index], fresh).session,
            None => {
                entry.add_device(fresh);
                None
            }
        };
        self.touched(user, now);
        Ok(Connected { replaced })
    }

    /// A socket is gone. `false` if it was not its device's current one.
    pub fn disconnect(
        &mut self,
        user: &UserId,
        device: &DeviceId,
        session: SessionId,
        clean: bool,
        now: Moment,
    ) -> bool {
        let linger = self.patience.linger;
        let Some(entry) = self.users.get_mut(user) else { return false };
        let current = |known: &Device| known.reach.device == *device && known.session == Some(session);
        let Some(index) = entry.devices.iter().position(current) else { return false };
        entry.drop_device(index);
        if !clean && entry.devices.is_empty() {
            entry.linger_until = Some(now + linger);
        }
        self.touched(user, now);
        true
    }

    /// A proof of life by REST. Returns the pulse to beat from now on, and whether the device is new.
    pub fn beat(&mut self, user: &UserId, name: Option<String>, now: Moment) -> (Arc<Pulse>, bool) {
        let felt = Arc::clone(&self.felt);
        let entry = self.entry(user, name);
        let http = DeviceId::http();
        if let Some(device) = entry.devices.iter().find(|device| device.reach.device == http) {
            device.pulse.beat(now);
            return (Arc::clone(&device.pulse), false);
        }
        let pulse = Pulse::at(now);
        pulse.note_on(&felt, user);
        let reach = Reach { device: http, capabilities: Capabilities::default(), profile: None };
        entry.add_device(Device { reach, session: None, pulse: Arc::clone(&pulse) });
        self.touched(user, now);
        (pulse, true)
    }

    /// What a user says. An explicit offline takes the device by REST away until its next beat; then
    /// that device is returned.
    pub fn say(&mut self, user: &UserId, saying: Saying, now: Moment) -> Option<Lost> {
        let entry = self.entry(user, None);
        let mut lost = None;
        match saying {
            Saying::Online => entry.said_busy = false,
            Saying::Busy => entry.said_busy = true,
            Saying::Offline => {
                let http = DeviceId::http();
                if let Some(index) = entry.devices.iter().position(|device| device.reach.device == http) {
                    entry.drop_device(index);
                    lost = Some(Lost { user: user.clone(), device: http, since: now });
                }
                entry.linger_until = None;
            }
        }
        self.touched(user, now);
        lost
    }

    /// The user is engaged in a call from now on.
    pub fn reserve(&mut self, user: &UserId, call: CallId, with: Option<UserId>, now: Moment) {
        self.entry(user, None).engaged = Some(Engaged { call, with, in_call: false });
        self.touched(user, now);
    }

    /// The user's call was answered and the user takes part.
    pub fn in_call(&mut self, user: &UserId, call: CallId, now: Moment) {
        if let Some(engaged) = self.users.get_mut(user).and_then(|entry| entry.engaged.as_mut())
            && engaged.call == call
        {
            engaged.in_call = true;
            self.touched(user, now);
        }
    }

    /// The user's call is one of several from now on: they are shown with nobody in particular.
    pub fn in_group(&mut self, user: &UserId, call: CallId, now: Moment) {
        if let Some(engaged) = self.users.get_mut(user).and_then(|entry| entry.engaged.as_mut())
            && engaged.call == call
        {
            engaged.with = None;
            self.touched(user, now);
        }
    }

    /// The user is free, if that call is what they were engaged in. Whether it was.
    pub fn release(&mut self, user: &UserId, call: CallId, now: Moment) -> bool {
        let Some(entry) = self.users.get_mut(user) else { return false };
        let was_in_it = entry.engaged.as_ref().is_some_and(|engaged| engaged.call == call);
        if was_in_it {
            entry.engaged = None;
            self.touched(user, now);
        }
        was_in_it
    }

    /// What the user is engaged in.
    pub fn engaged(&self, user: &UserId) -> Option<&Engaged> {
        self.users.get(user).and_then(|entry| entry.engaged.as_ref())
    }

    /// Whether the user said they do not want to be called.
    pub fn said_busy(&self, user: &UserId) -> bool {
        self.users.get(user).is_some_and(|entry| entry.said_busy)
    }

    /// The user's name as last seen.
    pub fn name(&self, user: &UserId) -> Option<&str> {
        self.users.get(user).and_then(|entry| entry.name.as_deref())
    }

    /// The devices a call could reach at this instant, by their proofs of life alone: no linger.
    pub fn reaches(&self, user: &UserId, now: Moment) -> Vec<Reach> {
        let Some(entry) = self.users.get(user) else { return Vec::new() };
        entry.devices.iter().filter(|device| self.is_fresh(device, now)).map(|device| device.reach.clone()).collect()
    }

    /// The public status at this instant.
    pub fn status(&self, user: &UserId, now: Moment) -> Published {
        let Some(entry) = self.users.get(user) else { return Published::default() };
        let here = entry.devices.iter().any(|device| self.is_fresh(device, now))
            || entry.linger_until.is_some_and(|until| now < until);
        let engaged = entry.engaged.as_ref();
        let status = match (here, engaged) {
            (false, _) => Status::Offline,
            (true, Some(engaged)) if engaged.in_call => Status::InCall,
            (true, Some(_)) => Status::Busy,
            (true, None) if entry.said_busy => Status::Busy,
            (true, None) => Status::Online,
        };
        let with = engaged.filter(|engaged| engaged.in_call).and_then(|engaged| engaged.with.clone());
        Published { status, current_call_with: with }
    }

    /// The user's last proof of life over all devices, as far as this process knows.
    pub fn last_seen(&self, user: &UserId) -> Option<Moment> {
        self.users.get(user).and_then(|entry| entry.last_proof())
    }

    /// Users whose public face changed since the last call, as they are shown now.
    pub fn take_changes(&mut self, now: Moment) -> Vec<(UserId, Published)> {
        let mut changes = Vec::new();
        for user in std::mem::take(&mut self.changed) {
            let published = self.status(&user, now);
            let Some(entry) = self.users.get_mut(&user) else { continue };
            entry.changed = false;
            if entry.published != published {
                entry.published = published.clone();
                changes.push((user, published));
            }
        }
        changes
    }

    /// Users whose row in the database is behind: status or last proof of life. Forgets those about
    /// whom there is nothing left to know.
    pub fn unsaved(&mut self, now: Moment) -> Vec<(UserId, Option<String>, Published, Option<Moment>)> {
        let mut rows = Vec::new();
        for user in self.felt.take() {
            self.doubt(&user);
        }
        for user in std::mem::take(&mut self.doubtful) {
            let published = self.status(&user, now);
            let Some(entry) = self.users.get_mut(&user) else { continue };
            entry.doubtful = false;
            let felt = entry.devices.iter().map(|device| Some(device.pulse.saved()));
            let state = (published, felt.fold(entry.last_seen, Option::max));
            if entry.saved.as_ref() != Some(&state) {
                rows.push((user.clone(), entry.name.clone(), state.0.clone(), state.1));
                entry.saved = Some(state);
                if entry.devices.is_empty() {
                    // Looked at once more, to be forgotten.
                    self.doubt(&user);
                }
            } else if entry.devices.is_empty()
                && entry.engaged.is_none()
                && !entry.said_busy
                // Nor do they linger, and everybody was shown that.
                && [&state.0, &entry.published] == [&Published::default(); 2]
            {
                self.users.remove(&user);
                self.forgotten.push(user);
            }
        }
        self.give_back();
        rows
    }

    /// Whom [`Tracker::unsaved`] forgot since this was asked last.
    pub fn forgotten(&mut self) -> Vec<UserId> {
        std::mem::take(&mut self.forgotten)
    }

    /// Gives back what a crowd needed that has gone.
    fn give_back(&mut self) {
        if is_sparse(self.agenda.len(), self.users.len()) {
            let users = &self.users;
            self.agenda.retain(|Reverse((at, user))| users.get(user).is_some_and(|entry| entry.scheduled == Some(*at)));
        }
        if is_sparse(self.agenda.capacity(), self.agenda.len()) {
            self.agenda.shrink_to_fit();
        }
        if is_sparse(self.users.capacity(), self.users.len()) {
            self.users.shrink_to_fit();
        }
    }

    /// Notes that a user's row may be behind, or the user to be forgotten.
    pub(super) fn doubt(&mut self, user: &UserId) {
        if let Some(entry) = self.users.get_mut(user)
            && !std::mem::replace(&mut entry.doubtful, true)
        {
            self.doubtful.push(user.clone());
        }
    }

    /// How many users are known at the moment.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    fn entry(&mut self, user: &UserId, name: Option<String>) -> &mut User {
        if !self.users.contains_key(user) {
            self.users.insert(user.clone(), Box::default());
        }
        let entry = self.users.entry(user.clone()).or_default();
        if name.is_some() {
            entry.name = name;
        }
        entry
    }
}

impl User {
    fn add_device(&mut self, device: Device) {
        // Most users have one, and room for more would be most of what they cost here.
        self.devices.reserve_exact(1);
        self.devices.push(device);
    }

    pub(super) fn drop_device(&mut self, index: usize) -> Device {
        let device = self.devices.remove(index);
        self.last_seen = self.last_seen.max(Some(device.pulse.last()));
        device
    }

    fn last_proof(&self) -> Option<Moment> {
        self.devices.iter().map(|device| Some(device.pulse.last())).fold(self.last_seen, Option::max)
    }
}
