//! The profiles dialect: browsers on `/ws/{profile_id}/{role}`, which know others by their profiles.
//!
//! The messages are those of [`Users`]; only how a message says who sent it differs, and is decided here for
//! both.

use serde_json::Value;

use super::Caps;
use super::users::Users;
use super::writer::ObjectWriter;
use crate::ids::UserId;
use crate::signal::{Party, Profile};

/// The type of profile that users without one are shown with, so that whoever answers to `from_profile_*`
/// reaches them.
pub const NO_PROFILE: &str = "user";

/// Parse and render for profile sockets.
pub fn profiles(caps: Caps) -> Users {
    Users::naming(caps, Naming::Profiles)
}

/// How a message says who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// By the user, and the profile if one is used.
    Users,
    /// By a profile in any case.
    Profiles,
}

impl Naming {
    /// Adds who sent it.
    pub fn sender(self, frame: ObjectWriter, from: &Party) -> ObjectWriter {
        let frame = frame.user("from_user_id", &from.user);
        match (&from.profile, self) {
            (Some(profile), _) => {
                frame.value("from_profile_id", number(profile)).text("from_profile_type", &profile.kind)
            }
            (None, Self::Profiles) => frame.user("from_profile_id", &from.user).text("from_profile_type", NO_PROFILE),
            (None, Self::Users) => frame,
        }
    }

    /// Adds who sent a candidate: as above, and as whiteboards read it.
    pub fn candidate_sender(self, frame: ObjectWriter, from: &Party) -> ObjectWriter {
        let frame = self.sender(frame, from);
        if from.profile.is_none() && self == Self::Users {
            return frame;
        }
        let as_kind = |kind: &str| from.profile.as_ref().filter(|profile| profile.kind == kind).map(number);
        frame.value("from_student_profile_id", as_kind("student")).value("from_tutor_profile_id", as_kind("tutor"))
    }
}

/// A profile's id as the dialects write ids: a number where it is one.
fn number(profile: &Profile) -> Value {
    UserId::parse(&profile.id).map_or_else(|_| Value::from(profile.id.as_str()), |id| id.to_json())
}
