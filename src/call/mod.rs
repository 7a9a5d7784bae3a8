//! The call: who takes part, where it stands, and what happens next.
//!
//! Pure code. An [`Event`] comes in with the time it happened; [`Effect`]s and the next deadline go
//! out. Who may be rung at all is decided in [`admission`]; everything after that by [`Call::apply`].
//! Actors carry the effects out and know none of the rules.

pub mod admission;
mod alerting;
mod answering;
mod devices;
mod ending;
mod event;
mod lapse;
mod leg;
mod machine;
mod record;
mod relay;
mod snapshot;

pub use event::{Effect, Event, Start, Target};
pub use lapse::{KEPT_FOR, outlasts};
pub use leg::{Absence, Leg, LegState, Reach, Standing};
pub use machine::{Call, Rules};
pub use record::{LegRecord, Record, Role, TraceEntry};
pub use snapshot::{CallDetail, MemberDetail};

#[cfg(test)]
mod tests;
