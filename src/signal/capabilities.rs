//! What a device can do.

use serde::{Deserialize, Serialize};

/// What a device's dialect can do, as far as calls care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// The invitation must carry the caller's offer, so the device is rung only when it is there.
    pub offer_in_invitation: bool,
}
