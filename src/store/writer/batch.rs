//! What is written together: the newest snapshot per call with all its traces, the newest status per user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Sweep;
use super::known::Known;
use crate::call::Record;
use crate::ids::{CallId, UserId};
use crate::router::messages::StatusRow;
use crate::store::told::Told;

/// A call's snapshot on its way to the database.
#[derive(Clone)]
pub(super) struct Snapshot {
    /// Shared, so that what was written can be told from what came meanwhile.
    pub record: Arc<Record>,
    /// Whether a client reported the call.
    pub reported: bool,
}

/// Things to be written in one transaction. Ordered by key, so that two nodes lock rows in the same order.
#[derive(Clone, Default)]
pub(super) struct Batch {
    /// Calls of which nothing may remain.
    pub discards: BTreeSet<CallId>,
    /// Calls.
    pub calls: BTreeMap<CallId, Snapshot>,
    /// Public statuses.
    pub statuses: BTreeMap<UserId, StatusRow>,
    /// Users to be known, with their names as last seen.
    pub names: BTreeMap<UserId, Option<String>>,
    /// Whose profiles are, by their keys.
    pub profiles: BTreeMap<UserId, UserId>,
    /// What clients said of calls.
    pub told: Vec<Told>,
    /// Missed calls their callees have seen.
    pub seen: Vec<(CallId, UserId)>,
    /// All the missed calls these have seen.
    pub sweeps: Vec<Sweep>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.discards.is_empty()
            && self.calls.is_empty()
            && self.statuses.is_empty()
            && self.names.is_empty()
            && self.profiles.is_empty()
            && self.told.is_empty()
            && self.seen.is_empty()
            && self.sweeps.is_empty()
    }

    /// Takes a later snapshot in. The trace of the earlier one is kept before its own.
    pub fn put_call(&mut self, record: Record, reported: bool, known: &mut Known) {
        let caller = [(&record.caller, record.caller_name.as_deref())];
        for (user, name) in caller.into_iter().chain(record.legs.iter().map(|leg| (&leg.user, None))) {
            self.put_name(user, name, known);
        }
        match self.calls.get_mut(&record.id) {
            Some(earlier) => {
                let mut trace = earlier.record.trace.clone();
                trace.extend(record.trace.iter().cloned());
                earlier.record = Arc::new(Record { trace, ..record });
                earlier.reported |= reported;
            }
            None => {
                self.calls.insert(record.id, Snapshot { record: Arc::new(record), reported });
            }
        }
    }

    /// Takes later statuses in. Their names join the other names, so that the one handed over last wins.
    pub fn put_statuses(&mut self, rows: Vec<StatusRow>, known: &mut Known) {
        for mut row in rows {
            self.put_name(&row.user, row.name.take().as_deref(), known);
            self.statuses.insert(row.user.clone(), row);
        }
    }

    /// Takes in who is to be known. Who comes without a name keeps the one that is there.
    fn put_name(&mut self, user: &UserId, name: Option<&str>, known: &mut Known) {
        match self.names.get_mut(user) {
            Some(earlier) => *earlier = name.map(str::to_owned).or_else(|| earlier.take()),
            None if known.is_news(user, name) => drop(self.names.insert(user.clone(), name.map(str::to_owned))),
            None => {}
        }
    }

    /// The first `limit` of each kind.
    pub fn head(&self, limit: usize) -> Self {
        Self {
            discards: self.discards.iter().take(limit).copied().collect(),
            calls: self.calls.iter().take(limit).map(|(id, call)| (*id, call.clone())).collect(),
            statuses: self.statuses.iter().take(limit).map(|(user, row)| (user.clone(), row.clone())).collect(),
            names: self.names.iter().take(limit).map(|(user, name)| (user.clone(), name.clone())).collect(),
            profiles: self.profiles.iter().take(limit).map(|(key, user)| (key.clone(), user.clone())).collect(),
            told: self.told.iter().take(limit).cloned().collect(),
            seen: self.seen.iter().take(limit).cloned().collect(),
            sweeps: self.sweeps.iter().take(limit).cloned().collect(),
        }
    }

    /// Moves up to `limit` statuses, names and profiles into `other`, where nothing newer is there.
    pub fn pour_presence(&mut self, limit: usize, other: &mut Self) {
        for _ in 0..limit {
            match self.statuses.pop_first() {
                Some((user, row)) => drop(other.statuses.insert(user, row)),
                None => break,
            }
        }
        for _ in 0..limit {
            match self.names.pop_first() {
                Some((user, name)) => {
                    let there = other.names.entry(user).or_default();
                    *there = name.or_else(|| there.take());
                }
                None => break,
            }
        }
        for _ in 0..limit {
            match self.profiles.pop_first() {
                Some((key, user)) => drop(other.profiles.insert(key, user)),
                None => break,
            }
        }
    }

    /// Puts statuses, names and profiles back that were not written, unless newer ones came meanwhile.
    pub fn put_back_presence(&mut self, unwritten: Self) {
        for (user, row) in unwritten.statuses {
            self.statuses.entry(user).or_insert(row);
        }
        for (user, name) in unwritten.names {
            let later = self.names.entry(user).or_default();
            *later = later.take().or(name);
        }
        for (key, user) in unwritten.profiles {
            self.profiles.entry(key).or_insert(user);
        }
    }

    /// Forgets what of `sent` is not among `unwritten`, except where something newer came meanwhile.
    pub fn forget(&mut self, sent: &Self, unwritten: &Self) {
        for id in sent.discards.difference(&unwritten.discards) {
            self.discards.remove(id);
        }
        for (id, call) in sent.calls.iter().filter(|(id, _)| !unwritten.calls.contains_key(id)) {
            if self.calls.get(id).is_some_and(|kept| Arc::ptr_eq(&kept.record, &call.record)) {
                self.calls.remove(id);
            }
        }
        for (user, row) in sent.statuses.iter().filter(|(user, _)| !unwritten.statuses.contains_key(user)) {
            if self.statuses.get(user) == Some(row) {
                self.statuses.remove(user);
            }
        }
        for (user, name) in sent.names.iter().filter(|(user, _)| !unwritten.names.contains_key(user)) {
            if self.names.get(user) == Some(name) {
                self.names.remove(user);
            }
        }
        for (key, user) in sent.profiles.iter().filter(|(key, _)| !unwritten.profiles.contains_key(key)) {
            if self.profiles.get(key) == Some(user) {
                self.profiles.remove(key);
            }
        }
    }

    /// Each thing alone, for finding the one that cannot be written. Discards first, as in one transaction.
    pub fn singly(&self) -> Vec<Self> {
        let mut singles = Vec::new();
        if !self.discards.is_empty() {
            singles.push(Self { discards: self.discards.clone(), ..Self::default() });
        }
        for (id, call) in &self.calls {
            singles.push(Self { calls: BTreeMap::from([(*id, call.clone())]), ..Self::default() });
        }
        for (user, row) in &self.statuses {
            singles.push(Self { statuses: BTreeMap::from([(user.clone(), row.clone())]), ..Self::default() });
        }
        for (user, name) in &self.names {
            singles.push(Self { names: BTreeMap::from([(user.clone(), name.clone())]), ..Self::default() });
        }
        for (key, user) in &self.profiles {
            singles.push(Self { profiles: BTreeMap::from([(key.clone(), user.clone())]), ..Self::default() });
        }
        for told in &self.told {
            singles.push(Self { told: vec![told.clone()], ..Self::default() });
        }
        for seen in &self.seen {
            singles.push(Self { seen: vec![seen.clone()], ..Self::default() });
        }
        for sweep in &self.sweeps {
            singles.push(Self { sweeps: vec![sweep.clone()], ..Self::default() });
        }
        singles
    }

    /// Adds everything of `other`, which has nothing in common with this.
    pub fn absorb(&mut self, other: Self) {
        self.discards.extend(other.discards);
        self.calls.extend(other.calls);
        self.statuses.extend(other.statuses);
        self.names.extend(other.names);
        self.profiles.extend(other.profiles);
        self.told.extend(other.told);
        self.seen.extend(other.seen);
        self.sweeps.extend(other.sweeps);
    }
}
