//! Which users' rows the database is known to have, so that most calls write none.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::ids::UserId;

/// How many users are remembered: about two megabytes.
const MOST: usize = 65_536;

/// What was committed last of each user. Only hashes, by a key of this process.
#[derive(Default)]
pub(super) struct Known {
    names: HashMap<u64, Option<u64>>,
    hasher: RandomState,
}

impl Known {
    /// Whether a user, with this name where one is known, has still to be written. If so the user counts as unknown until
    /// that is committed.
    pub fn is_news(&mut self, user: &UserId, name: Option<&str>) -> bool {
        let user = self.hasher.hash_one(user);
        let news = match (self.names.get(&user), name) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(known), Some(name)) => *known != Some(self.hasher.hash_one(name)),
        };
        if news {
            self.names.remove(&user);
        }
        news
    }

    /// This was committed.
    pub fn learn(&mut self, user: &UserId, name: Option<&str>) {
        if self.names.len() >= MOST {
            self.forget();
        }
        let known = self.names.entry(self.hasher.hash_one(user)).or_default();
        *known = name.map(|name| self.hasher.hash_one(name)).or(*known);
    }

    /// Nothing is certain any more: everybody is written once again.
    pub fn forget(&mut self) {
        self.names.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_is_written_again_only_under_another_name() {
        let mut known = Known::default();
        let (seven, eight) = (UserId::parse("7").unwrap(), UserId::parse("8").unwrap());
        assert!(known.is_news(&seven, None) && known.is_news(&seven, Some("Seven")));
        known.learn(&seven, Some("Seven"));
        known.learn(&eight, None);
        assert!(!known.is_news(&seven, Some("Seven")) && !known.is_news(&seven, None) && !known.is_news(&eight, None));
        known.learn(&seven, None);
        assert!(!known.is_news(&seven, Some("Seven")), "who comes without a name keeps it");
        assert!(known.is_news(&seven, Some("Sept")) && known.is_news(&eight, Some("Eight")));
        assert!(known.is_news(&seven, Some("Seven")), "another name is on its way");
        known.learn(&seven, Some("Sept"));
        assert!(!known.is_news(&seven, Some("Sept")));
        known.forget();
        assert!(known.is_news(&seven, None));
    }
}
