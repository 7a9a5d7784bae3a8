//! Identities and roles, as far as credentials say, and what a minted token grants.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::UserId;

/// What somebody may do beyond what concerns themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Nothing.
    User,
    /// See everything, end calls and sockets.
    Admin,
    /// The embedding application's backend: read and act for anybody.
    Service,
}

impl Role {
    /// The role as tokens and headers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }

    /// Reads a role; `None` for one there is not.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Admin, Self::Service].into_iter().find(|role| role.as_str() == text)
    }
}

/// Who somebody is, as far as their credentials say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user, or the one a service acts for.
    pub user: UserId,
    /// The name others are shown.
    pub name: Option<String>,
    /// The name channels pages show instead, as the application of seed 004 names people.
    pub username: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Their other addresses: kind and id.
    pub profiles: Vec<(String, String)>,
    /// The conversations they are in; `None` when the token does not say.
    pub conversations: Option<Vec<String>>,
    /// From when on the token is not taken any more, its expiry and the leeway; `None` where there was no token.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// Somebody without a token, as dev mode believes them.
    pub fn plain(user: UserId, role: Role) -> Self {
        Self { user, name: None, username: None, role, profiles: Vec::new(), conversations: None, expires_at: None }
    }

    /// Whether they may do something in the name of `user`: their own, or anybody's as a service.
    pub fn may_act_for(&self, user: &UserId) -> bool {
        self.user == *user || self.role == Role::Service
    }

    /// Whether they may see what is `user`'s: admins too.
    pub fn may_read_of(&self, user: &UserId) -> bool {
        self.may_act_for(user) || self.role == Role::Admin
    }

    /// Whether the profile is another address of theirs: only where their token claims it, whatever their own id
    /// looks like.
    pub fn has_profile(&self, kind: &str, id: &str) -> bool {
        self.role == Role::Service || self.profiles.iter().any(|(k, i)| k == kind && i == id)
    }

    /// The name that pages of the channels dialect show.
    pub fn channels_name(&self) -> Option<&String> {
        self.username.as_ref().or(self.name.as_ref())
    }

    /// Whether the token lets them into a conversation; `open` is what the settings say of those
    /// whose token is silent.
    pub fn may_join(&self, conversation: &str, open: bool) -> bool {
        open || self.role == Role::Service
            || self.conversations.as_ref().is_some_and(|list| list.iter().any(|id| id == conversation))
    }
}

/// What a token to be minted says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who will bear it.
    pub user: UserId,
    /// Their name.
    pub name: Option<String>,
    /// Their role.
    pub role: Role,
    /// Their profiles.
    pub profiles: Vec<(String, String)>,
    /// Their conversations; `None` says nothing about them.
    pub conversations: Option<Vec<String>>,
    /// How long it holds.
    pub ttl: Duration,
}
