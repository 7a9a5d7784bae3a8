//! How a user stands: what is shown of them, and what they say themselves.

use crate::ids::UserId;

/// What others are shown of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// No device is fresh.
    #[default]
    Offline,
    /// Can be called.
    Online,
    /// Rings, is calling somebody, or said so.
    Busy,
    /// Takes part in an answered call.
    InCall,
}

impl Status {
    /// The name on every wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Online => "online",
            Self::Busy => "busy",
            Self::InCall => "in_call",
        }
    }

    /// The status with that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Offline, Self::Online, Self::Busy, Self::InCall].into_iter().find(|status| status.as_str() == text)
    }
}

/// What a user says about themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Saying {
    /// I can be called.
    Online,
    /// I do not want to be called.
    Busy,
    /// This device is going away, until its next proof of life.
    Offline,
}

/// What is shown of a user, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// The public status.
    pub status: Status,
    /// With whom, while in a 1:1 call.
    pub current_call_with: Option<UserId>,
}
