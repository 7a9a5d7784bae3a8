//! Who may see how somebody stands. To everybody else that user looks like one nobody knows.

use std::collections::HashSet;
use std::sync::Arc;

use dashmap::DashMap;

use crate::ids::UserId;

/// Whom users are visible to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VisibleTo {
    /// Anyone.
    #[default]
    Everyone,
    /// Those who share a conversation with them, as far as both tokens say so.
    Conversations,
    /// Nobody but themselves.
    Nobody,
}

/// Who looks.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Their own status they always see.
    pub user: UserId,
    /// An admin or a service.
    pub sees_all: bool,
}

/// The rule, and what tokens said about conversations.
#[derive(Debug, Default)]
pub struct Visibility {
    to: VisibleTo,
    conversations: DashMap<UserId, Known>,
}

#[derive(Debug)]
struct Known {
    ids: Arc<HashSet<String>>,
    /// Looked at once already when nothing else was known of the user: who just comes is learned of first.
    doubted: bool,
}

impl Visibility {
    /// The rule as it is set.
    pub fn new(to: VisibleTo) -> Self {
        Self { to, conversations: DashMap::new() }
    }

    /// Notes what a user's token says; nothing where it does not say.
    pub fn learn(&self, user: &UserId, conversations: Option<&[String]>) {
        let (VisibleTo::Conversations, Some(list)) = (self.to, conversations) else { return };
        let same = |known: &HashSet<String>| known.len() == list.len() && list.iter().all(|id| known.contains(id));
        if let Some(mut known) = self.conversations.get_mut(user).filter(|known| same(&known.ids)) {
            known.doubted = false;
            return;
        }
        let ids = Arc::new(list.iter().cloned().collect());
        self.conversations.insert(user.clone(), Known { ids, doubted: false });
    }

    /// Whether `viewer` may see how `user` stands.
    pub fn shows(&self, user: &UserId, viewer: &Viewer) -> bool {
        match self.to {
            VisibleTo::Everyone => true,
            _ if viewer.sees_all || viewer.user == *user => true,
            VisibleTo::Nobody => false,
            VisibleTo::Conversations => {
                let of = |user: &UserId| self.conversations.get(user).map(|known| Arc::clone(&known.ids));
                matches!((of(user), of(&viewer.user)), (Some(one), Some(other)) if !one.is_disjoint(&other))
            }
        }
    }

    /// Forgets users of whom nothing is known any more.
    pub fn forget(&self, keep: impl Fn(&UserId) -> bool) {
        self.conversations.retain(|user, known| {
            let unknown = !keep(user);
            let stays = !(unknown && known.doubted);
            known.doubted = unknown;
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn viewer(id: &str) -> Viewer {
        Viewer { user: user(id), sees_all: false }
    }

    #[test]
    fn whoever_shares_a_conversation_sees_and_what_is_not_known_is_hidden() {
        let rule = Visibility::new(VisibleTo::Conversations);
        rule.learn(&user("1"), Some(&["a".to_owned(), "b".to_owned()]));
        rule.learn(&user("2"), Some(&["b".to_owned()]));
        rule.learn(&user("3"), Some(&["c".to_owned()]));
        rule.learn(&user("4"), None);
        assert!(rule.shows(&user("1"), &viewer("2")));
        assert!(!rule.shows(&user("1"), &viewer("3")));
        assert!(!rule.shows(&user("1"), &viewer("4")));
        assert!(!rule.shows(&user("4"), &viewer("1")));
        assert!(rule.shows(&user("4"), &viewer("4")));
        assert!(rule.shows(&user("1"), &Viewer { user: user("9"), sees_all: true }));
        rule.learn(&user("3"), Some(&["a".to_owned()]));
        assert!(rule.shows(&user("1"), &viewer("3")));
        assert!(!Visibility::new(VisibleTo::Nobody).shows(&user("1"), &viewer("2")));
        assert!(Visibility::default().shows(&user("1"), &viewer("2")));
    }
}
