//! Tokens that expire during a call: who stays for it all the same, and for how long.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::{DeviceId, UserId};

use super::machine::Call;

/// How long a call keeps somebody whose token has expired. From the specification, 2.10.
pub const KEPT_FOR: Duration = Duration::from_secs(4 * 3600);

/// Whether a token that expired then is still good for a call its bearer came into at `began`: it held at that time, and
/// has not expired too long ago.
pub fn outlasts(began: Timestamp, expired_at: Timestamp, now: Timestamp) -> bool {
    began <= expired_at && now < expired_at + KEPT_FOR
}

impl Call {
    /// Whether the user is, or was, in this call since before their token expired then, so that the call outlasts it.
    pub fn outlasts(&self, user: &UserId, expired_at: Timestamp, now: Timestamp) -> bool {
        self.leg_of(user).is_ok_and(|leg| outlasts(self.started_at + self.legs[leg].invited_at, expired_at, now))
    }

    /// Whether the user has a part in this call with that device: takes part or rings there, or is owed its end. Without
    /// a device: at all.
    pub fn has_part(&self, user: &UserId, device: Option<&DeviceId>) -> bool {
        let Ok(leg) = self.leg_of(user) else { return false };
        let leg = &self.legs[leg];
        let live = !leg.state.is_over();
        let Some(device) = device else { return live };
        let known = leg.known_as(device).map(|index| &leg.devices[index]);
        known.is_some_and(|known| known.owed || (live && leg.is_told_on(known)))
    }
}
