//! How many sockets there are, in all and by address. A place is held by the connection itself, not by its
//! session: a client that is cut off but not yet gone still costs one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::Limits;

/// Counts sockets, in all and by address.
#[derive(Debug, Default)]
pub struct Connections {
    total: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
}

impl Connections {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes a place, if there is one; it is free again when the lease is dropped.
    pub fn take(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Option<Lease> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= limits.total {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut here = self.by_address.entry(address).or_insert(0);
        if *here >= limits.per_address {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *here += 1;
        drop(here);
        Some(Lease { connections: self.clone(), address })
    }
}

/// A place among the connections.
#[derive(Debug)]
pub struct Lease {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connections.total.fetch_sub(1, Ordering::Relaxed);
        if let Entry::Occupied(mut here) = self.connections.by_address.entry(self.address) {
            if *here.get() > 1 {
                *here.get_mut() -= 1;
            } else {
                here.remove();
            }
        }
    }
}
