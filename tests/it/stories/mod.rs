//! What users live through, told from outside. A story's name is a sentence; each runs on SQLite and
//! on PostgreSQL, and waits for what should happen instead of sleeping.

mod bad_input;
mod cancel_answer_decline;
mod channels;
mod crash;
mod cross;
mod devices;
mod glare;
mod polling;
mod reconnect;
mod records;
mod restart;
