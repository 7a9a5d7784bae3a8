//! Who is connected where, and what is shown of them: written by the router, read by everybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;

use crate::call::Reach;
use crate::clock::Moment;
use crate::ids::{DeviceId, SessionId, UserId};
use crate::presence::{Published, Pulse, Status, is_sparse};

use super::admin::Part;
use super::messages::{Origin, Outlet};

/// One connected device.
#[derive(Clone)]
pub(super) struct Handle {
    pub device: DeviceId,
    pub session: Option<SessionId>,
    pub pulse: Arc<Pulse>,
    pub origin: Origin,
    /// Since when it is connected.
    pub since: Moment,
    pub outlet: Arc<dyn Outlet>,
}

#[derive(Default)]
struct Entry {
    devices: Vec<Handle>,
    /// As last seen by this process.
    name: Option<Arc<str>>,
    published: Published,
    /// The last proof of life of devices that are gone.
    last_seen: Option<Moment>,
    /// Rises whenever something else is published.
    version: u64,
}

/// A user as others may see them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Status and, in a 1:1 call, the other side.
    pub published: Published,
    /// Their last proof of life in this process; `None` if there was none.
    pub last_seen: Option<Moment>,
    /// Rises with every change; 0 where nothing was ever published.
    pub version: u64,
}

/// Is told that something else is published of a user. Called from the router; must not block.
pub trait Audience: Send + Sync {
    /// Look again at these, who changed in one turn.
    fn changed(&self, users: Vec<UserId>);

    /// Something of this part of it all is not as it was.
    fn stirred(&self, part: Part);
}

/// A concurrent map from users to their devices' outlets and published presence.
#[derive(Default)]
pub struct Directory {
    users: DashMap<UserId, Entry>,
    /// Whose a profile is, by its key.
    profiles: DashMap<UserId, UserId>,
    versions: AtomicU64,
    audience: OnceLock<Arc<dyn Audience>>,
}

impl Directory {
    /// Versions begin above `base`: with the time of day, they rise over restarts too.
    pub fn starting_at(base: u64) -> Self {
        Self { versions: AtomicU64::new(base), ..Self::default() }
    }

    /// Names who is told of changes. Only the first counts.
    pub fn set_audience(&self, audience: Arc<dyn Audience>) {
        // There is one, set where everything is built.
        let _ = self.audience.set(audience);
    }

    /// Tells those who follow everything that something changed.
    pub fn stir(&self, part: Part) {
        if let Some(audience) = self.audience.get() {
            audience.stirred(part);
        }
    }

    /// Whether anything is known of a user.
    pub fn knows(&self, user: &UserId) -> bool {
        self.users.contains_key(user)
    }

    /// Whose the profile with this key is, if somebody's.
    pub fn owner(&self, profile: &UserId) -> Option<UserId> {
        self.profiles.get(profile).map(|owner| owner.clone())
    }

    /// Who goes by this name: the owner of the profile, else the name's own user.
    pub fn resolve(&self, name: UserId) -> UserId {
        self.owner(&name).unwrap_or(name)
    }

    /// Makes a profile another address of a user; of two who claim it, the later has it. `false` where it was
    /// known.
    pub fn assign(&self, profile: UserId, owner: UserId) -> bool {
        self.profiles.insert(profile, owner.clone()) != Some(owner)
    }

    /// What is shown of a user.
    pub fn shown(&self, user: &UserId) -> Shown {
        let Some(entry) = self.users.get(user) else { return Shown::default() };
        let last = entry.devices.iter().map(|handle| Some(handle.pulse.last())).fold(entry.last_seen, Option::max);
        Shown { published: entry.published.clone(), last_seen: last, version: entry.version }
    }

    /// Takes a proof of life by REST without asking the router; `false` if the router must be asked.
    pub fn beat(&self, user: &UserId, now: Moment) -> bool {
        let Some(entry) = self.users.get(user) else { return false };
        let http = entry.devices.iter().find(|handle| handle.session.is_none());
        http.inspect(|handle| handle.pulse.beat(now)).is_some()
    }

    /// The user's only connected device of a kind, if there is exactly one.
    pub fn only(&self, user: &UserId, of_kind: impl Fn(&DeviceId) -> bool) -> Option<DeviceId> {
        let entry = self.users.get(user)?;
        let mut devices = entry.devices.iter().filter(|handle| of_kind(&handle.device));
        match (devices.next(), devices.next()) {
            (Some(only), None) => Some(only.device.clone()),
            _ => None,
        }
    }

    /// Everybody of whom something is known and whom `wanted`, by id and name, names; in no order.
    pub fn people(&self, wanted: impl Fn(&UserId, Option<&str>) -> bool) -> Vec<UserId> {
        let is = |entry: &Entry| !entry.devices.is_empty() || entry.last_seen.is_some();
        self.users
            .iter()
            .filter(|entry| is(entry) && wanted(entry.key(), entry.name.as_deref()))
            .map(|entry| entry.key().clone())
            .collect()
    }

    /// A user's name as last seen by this process.
    pub fn name_of(&self, user: &UserId) -> Option<Arc<str>> {
        self.users.get(user)?.name.clone()
    }

    /// How many devices a user has.
    pub fn devices(&self, user: &UserId) -> usize {
        self.users.get(user).map_or(0, |entry| entry.devices.len())
    }

    /// Whether this user was here since the start, or is.
    pub fn has_seen(&self, user: &UserId) -> bool {
        self.users.get(user).is_some_and(|entry| !entry.devices.is_empty() || entry.last_seen.is_some())
    }

    /// Whether a user is here and certainly in no call: who is in one is shown busy, from the turn that lets them in.
    pub fn is_free(&self, user: &UserId) -> bool {
        self.users.get(user).is_some_and(|entry| entry.published.status == Status::Online)
    }

    /// Where notices for a device go.
    pub(super) fn outlet(&self, user: &UserId, device: &DeviceId) -> Option<Arc<dyn Outlet>> {
        let entry = self.users.get(user)?;
        entry.devices.iter().find(|handle| handle.device == *device).map(|handle| Arc::clone(&handle.outlet))
    }

    /// Keeps, of a user's devices, those on which a new call may be shown.
    pub(super) fn keep_open(&self, user: &UserId, reaches: &mut Vec<Reach>) {
        let Some(entry) = self.users.get(user) else { return };
        let closed = |reach: &Reach| {
            entry.devices.iter().any(|handle| handle.device == reach.device && !handle.outlet.takes_calls())
        };
        reaches.retain(|reach| !closed(reach));
    }

    /// Since when a device is connected.
    pub(super) fn since(&self, user: &UserId, device: &DeviceId) -> Option<Moment> {
        let entry = self.users.get(user)?;
        entry.devices.iter().find(|handle| handle.device == *device).map(|handle| handle.since)
    }

    /// Where notices for all of a user's devices go.
    pub(super) fn outlets(&self, user: &UserId) -> Vec<Arc<dyn Outlet>> {
        let Some(entry) = self.users.get(user) else { return Vec::new() };
        entry.devices.iter().map(|handle| Arc::clone(&handle.outlet)).collect()
    }

    /// Every connected socket.
    pub(super) fn all_sockets(&self) -> Vec<Arc<dyn Outlet>> {
        let mut all = Vec::new();
        for entry in &self.users {
            all.extend(entry.devices.iter().filter(|h| h.session.is_some()).map(|h| Arc::clone(&h.outlet)));
        }
        all
    }

    /// Where notices for a connection go.
    pub(super) fn outlet_of(&self, session: SessionId) -> Option<Arc<dyn Outlet>> {
        self.users.iter().find_map(|entry| {
            let handle = entry.devices.iter().find(|handle| handle.session == Some(session))?;
            Some(Arc::clone(&handle.outlet))
        })
    }

    /// Shows everybody who is, or lately was, here: what is published of them, and their devices.
    pub(super) fn each(&self, mut show: impl FnMut(&UserId, &Published, &[Handle])) {
        for entry in &self.users {
            show(entry.key(), &entry.published, &entry.devices);
        }
    }

    /// Notes a user's name.
    pub(super) fn name(&self, user: &UserId, name: &str) {
        let mut entry = self.users.entry(user.clone()).or_default();
        if entry.name.as_deref() != Some(name) {
            entry.name = Some(name.into());
        }
    }

    /// Adds a device, or takes the place of one with the same id, which is returned.
    pub(super) fn insert(&self, user: &UserId, mut handle: Handle) -> Option<Handle> {
        let mut entry = self.users.entry(user.clone()).or_default();
        match entry.devices.iter_mut().find(|known| known.device == handle.device) {
            Some(known) => {
                // The same connection once more has been there all the while.
                if handle.session.is_some() && known.session == handle.session {
                    handle.since = known.since;
                }
                Some(std::mem::replace(known, handle))
            }
            None => {
                // Most users have one, and room for more would be most of what they cost here.
                entry.devices.reserve_exact(1);
                entry.devices.push(handle);
                None
            }
        }
    }

    /// Removes a device.
    pub(super) fn remove(&self, user: &UserId, device: &DeviceId) {
        if let Some(mut entry) = self.users.get_mut(user)
            && let Some(index) = entry.devices.iter().position(|known| known.device == *device)
        {
            let gone = entry.devices.remove(index);
            entry.last_seen = entry.last_seen.max(Some(gone.pulse.last()));
        }
    }

    /// Publishes what is shown of users, and names them to the audience together.
    pub(super) fn publish(&self, changes: Vec<(UserId, Published)>) {
        let publish = |(user, published): (UserId, Published)| {
            let mut entry = self.users.entry(user.clone()).or_default();
            entry.published = published;
            entry.version = self.versions.fetch_add(1, Ordering::Relaxed) + 1;
            user
        };
        let users = changes.into_iter().map(publish).collect();
        if let Some(audience) = self.audience.get() {
            audience.changed(users);
        }
    }

    /// Forgets users of whom nothing is left to show.
    pub(super) fn forget(&self, users: &[UserId]) {
        for user in users {
            self.users.remove(user);
        }
        if is_sparse(self.users.capacity(), self.users.len()) {
            self.users.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::messages::{Eviction, Route};
    use crate::signal::{Capabilities, Notice};

    /// A device that takes calls, or none but the one it is in.
    struct Device(bool);

    impl Outlet for Device {
        fn deliver(&self, _: &Notice) -> bool {
            true
        }

        fn takes_calls(&self) -> bool {
            self.0
        }

        fn set_route(&self, _: Option<Arc<Route>>) {}

        fn evict(&self, _: Eviction) {}
    }

    #[test]
    fn a_new_call_is_shown_on_the_devices_that_take_one() {
        let (directory, user) = (Directory::default(), UserId::parse("1").unwrap());
        let mut reaches = Vec::new();
        for (name, takes_calls) in [("lapsed", false), ("desk", true)] {
            let device = DeviceId::parse(name).unwrap();
            let origin = Origin { kind: "users", address: None };
            let (pulse, since, outlet) = (Pulse::at(Moment(0)), Moment(0), Arc::new(Device(takes_calls)));
            let handle = Handle { device: device.clone(), session: None, pulse, origin, since, outlet };
            directory.insert(&user, handle);
            reaches.push(Reach { device, capabilities: Capabilities::default(), profile: None });
        }
        directory.keep_open(&user, &mut reaches);
        let left: Vec<&str> = reaches.iter().map(|reach| reach.device.as_str()).collect();
        assert_eq!(left, ["desk"]);
        directory.keep_open(&UserId::parse("2").unwrap(), &mut reaches);
        assert_eq!(reaches.len(), 1, "nothing is known of them");
    }
}
