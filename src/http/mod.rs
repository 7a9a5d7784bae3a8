//! The REST edge: who asks, from where, how much, and how a "no" looks.

pub mod auth;
pub mod body;
pub mod gate;
pub mod limits;
pub mod log;
pub mod refusal;
