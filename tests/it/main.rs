//! Everything that is tested from outside: the real binary, real sockets, real databases, a real
//! browser. One test binary, so it links once.
//!
//! Run it with `./test`, which brings PostgreSQL and the browser along.

#[macro_use]
mod harness;

mod architecture;
mod browser;
mod sockets;
mod store_contract;
mod stories;
mod upgrades;
