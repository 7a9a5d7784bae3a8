//! What users live through, told from outside. A story's name is a sentence; each runs on SQLite and
//! on PostgreSQL, and waits for what should happen instead of sleeping.

mod admin;
mod auth;
mod bad_input;
mod cancel_answer_decline;
mod channels;
mod crash;
mod cross;
mod devices;
mod directory;
mod drain;
mod export;
mod following;
mod glare;
mod groups;
mod hello;
mod kills;
mod limits;
mod meeting;
mod origins;
mod outages;
mod pairs;
mod polling;
mod polling_limits;
mod profiles;
mod races;
mod reconnect;
mod records;
mod restart;
mod serving;
mod spoofing;
mod stalls;
mod startup;
mod statistics;
mod watchers;
