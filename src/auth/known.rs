//! Tokens that held, so that a client's next request costs no signature again.
//!
//! Found by their signature and taken only where all the rest is the same. Maps hash with a key of this process's own,
//! so how long a search takes says nothing of the tokens that are here. What did not hold is not kept.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Identity;

/// Parts that are locked by themselves.
const PARTS: usize = 16;

/// What the tokens of one half of a part may come to, in bytes; all together at most 32 MiB, room for 60,000 users.
const HALF: usize = 1024 * 1024;

/// What a token takes beside its own text, about.
const BESIDE: usize = 256;

/// A token that nobody showed for so long, or for twice that, is forgotten: ten minutes.
const UNSEEN: i64 = 600 * 1_000_000;

/// A token that held. Times are microseconds since 1970 here, as the clock reads them.
pub(super) struct Held {
    /// Whose it is.
    pub identity: Arc<Identity>,
    /// When it holds.
    pub within: Range<i64>,
    /// With which keys that was found out.
    pub edition: u64,
}

/// All of them.
#[derive(Default)]
pub(super) struct Known {
    parts: [Mutex<Part>; PARTS],
}

/// Two halves: what was shown lately, and what was before. When the first is full, or old, it takes the other's place.
#[derive(Default)]
struct Part {
    young: Half,
    old: Half,
    bytes: usize,
    since: i64,
}

/// By signature: what was signed, and what is known of it.
type Half = HashMap<Box<str>, (Box<str>, Held)>;

impl Known {
    /// Whose the token is, where it was kept, still holds, and was checked with the keys of this edition.
    pub(super) fn find(&self, token: &str, edition: u64, now: i64) -> Option<Arc<Identity>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let mut part = self.part(signature);
        part.turn_if_old(now);
        let same = |known: &(Box<str>, Held)| *known.0 == *signed;
        let holds = |held: &Held| held.edition == edition && held.within.contains(&now);
        if let Some((_, held)) = part.young.get(signature).filter(|known| same(known)) {
            return holds(held).then(|| Arc::clone(&held.identity));
        }
        let Entry::Occupied(known) = part.old.entry(signature.into()) else { return None };
        if !same(known.get()) {
            return None;
        }
        let (signature, (signed, held)) = known.remove_entry();
        let identity = holds(&held).then(|| Arc::clone(&held.identity))?;
        part.put(signature, signed, held, now);
        Some(identity)
    }

    /// Keeps a token that holds.
    pub(super) fn keep(&self, token: &str, held: Held, now: i64) {
        if let Some((signed, signature)) = token.rsplit_once('.') {
            self.part(signature).put(signature.into(), signed.into(), held, now);
        }
    }

    fn part(&self, signature: &str) -> MutexGuard<'_, Part> {
        // Any character but the last has six bits of the signature.
        let index = signature.bytes().next().map_or(0, usize::from) % PARTS;
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn put(&mut self, signature: Box<str>, signed: Box<str>, held: Held, now: i64) {
        let bytes = signature.len() + signed.len() + BESIDE;
        if self.bytes + bytes > HALF {
            self.turn(now);
        }
        self.bytes += bytes;
        self.young.insert(signature, (signed, held));
    }

    fn turn_if_old(&mut self, now: i64) {
        if now - self.since > UNSEEN {
            self.turn(now);
        }
    }

    fn turn(&mut self, now: i64) {
        self.old = std::mem::take(&mut self.young);
        (self.bytes, self.since) = (0, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;
    use crate::clock::Clock;
    use crate::ids::UserId;

    fn later(now: i64, seconds: i64) -> i64 {
        now + seconds * 1_000_000
    }

    fn held(now: i64, seconds: i64) -> Held {
        let identity = Arc::new(Identity::plain(UserId::parse("7").unwrap(), Role::User));
        Held { identity, within: now..later(now, seconds), edition: 1 }
    }

    #[test]
    fn a_token_is_known_while_it_holds_by_the_keys_it_was_checked_with_and_as_it_was() {
        let (known, now) = (Known::default(), Clock::new().wall_micros());
        known.keep("a.b.sig", held(now, 60), now);
        assert!(known.find("a.b.sig", 1, later(now, 59)).is_some());
        assert!(known.find("a.b.sig", 1, later(now, 60)).is_none(), "expired");
        assert!(known.find("a.b.sig", 2, now).is_none(), "other keys");
        assert!(known.find("a.c.sig", 1, now).is_none(), "another's signature");
        assert!(known.find("a.b.gis", 1, now).is_none() && known.find("", 1, now).is_none());
        assert!(known.find("a.b.sig", 1, later(now, -1)).is_none(), "not yet: the clock was set back");
    }

    #[test]
    fn what_is_shown_stays_and_what_is_not_goes() {
        let (known, start) = (Known::default(), Clock::new().wall_micros());
        for token in ["a.b.s1", "a.b.s2"] {
            known.keep(token, held(start, 100_000), start);
        }
        for turn in 1..=5 {
            assert!(known.find("a.b.s1", 1, later(start, 601 * turn)).is_some(), "{turn}");
        }
        assert!(known.find("a.b.s2", 1, later(start, 601 * 5)).is_none());
    }

    #[test]
    fn there_is_room_for_so_much_and_no_more() {
        let (known, now) = (Known::default(), Clock::new().wall_micros());
        for n in 0..50_000 {
            // All of one part.
            known.keep(&format!("{}.{}.s{n}", "h".repeat(50), "p".repeat(700)), held(now, 60), now);
        }
        let part = known.part("s");
        assert!((part.young.len() + part.old.len()) * 1000 < 2 * HALF);
        assert!(part.old.len() * 1000 > HALF / 2, "and it is used");
    }
}
