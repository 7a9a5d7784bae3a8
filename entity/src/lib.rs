//! The tables, one file each: columns and keys, no logic.
//!
//! Words (`phase`, `reason`, `state`, …) are kept as text; what they mean is known to the service.

pub mod call_events;
pub mod call_legs;
pub mod calls;
pub mod live_calls;
pub mod profiles;
pub mod user_status;
pub mod users;
