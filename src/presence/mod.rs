//! Presence: who can be reached right now, and what the others are shown of it.
//!
//! Pure code: time is an argument. Three inputs are kept apart: the devices' proofs of life, what the
//! user said, and the call the user is engaged in. The public status is computed from them.

mod agenda;
mod pulse;
mod status;
mod tracker;

pub use pulse::Pulse;
pub use status::{Published, Saying, Status};
pub use tracker::{Connected, Engaged, Lost, Patience, Tracker, is_sparse};

#[cfg(test)]
mod tests;
