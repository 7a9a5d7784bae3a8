//! Switchboard: a self-hosted presence and call-routing service.
//!
//! A message travels one way and changes its name at each step: **Frame** (text on a socket) →
//! **Command** (what a peer asks) → **Event** (what a call experiences) → **Effect** (what a call wants
//! done) → **Notice** (what a peer is told) → **Frame**. `docs/ARCHITECTURE.md` has the map and
//! the walkthroughs.

pub mod app;
pub mod auth;
pub mod call;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod http;
pub mod ice;
pub mod ids;
pub mod journal;
pub mod limits;
pub mod net;
pub mod outbound;
pub mod presence;
pub mod recovery;
pub mod router;
pub mod server;
pub mod shutdown;
pub mod signal;
pub mod sockets;
pub mod store;
pub mod text;
pub mod ws;
