//! Participants as messages show them, and what every message about a call may say of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, ConversationId, InvalidId, UserId};
use crate::signal::CallType;

/// Another address of a user: a role they play, such as `tutor` number `1`.
///
/// A profile nobody has mapped to a user is a principal of its own, whose user id is [`Profile::key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// Its kind: `tutor`, `student`.
    pub kind: String,
    /// Its number or name within the kind.
    pub id: String,
}

impl Profile {
    /// The user id an unmapped profile goes by, and by which a mapped one is looked up: `tutor_1`.
    pub fn key(&self) -> Result<UserId, InvalidId> {
        UserId::parse(&format!("{}_{}", self.kind, self.id))
    }
}

/// A participant, and the profile they use in this call if they do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Party {
    /// Who.
    pub user: UserId,
    /// As what.
    pub profile: Option<Profile>,
}

impl From<UserId> for Party {
    fn from(user: UserId) -> Self {
        Self { user, profile: None }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)
    }
}

/// What a message about a call may say of the call itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The call.
    pub call: CallId,
    /// Who made it.
    pub caller: Party,
    /// The caller's name, if known.
    pub caller_name: Option<String>,
    /// Voice or video.
    pub call_type: CallType,
    /// The conversation it belongs to.
    pub conversation: Option<ConversationId>,
}
