//! How many there are of something that takes room, in all and by address: sockets, other connections, requests.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use serde_json::{Value, json};

use super::network_of;

/// How long who finds no room should wait, in seconds.
pub const RETRY_AFTER: u64 = 10;

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// There are too many in all.
    #[error("too many connections; try again later")]
    Service,
    /// That address has too many. Behind a proxy that is not trusted it is the proxy's, so it is told.
    #[error("too many connections from {0}; try again later")]
    Address(IpAddr),
}

impl Full {
    /// The body of the refusal.
    pub fn to_json(self) -> Value {
        json!({ "success": false, "error": self.to_string(), "code": "unavailable" })
    }
}

impl ResponseError for Full {
    fn status_code(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).insert_header((header::RETRY_AFTER, RETRY_AFTER)).json(self.to_json())
    }
}

/// Counts places, in all and by address. What is kept is no more than there are places taken.
#[derive(Debug)]
pub struct Connections {
    per_address: usize,
    most: usize,
    total: AtomicUsize,
    by_network: DashMap<IpAddr, usize>,
}

impl Connections {
    /// So many for an address, and so many in all.
    pub fn new(per_address: usize, most: usize) -> Self {
        Self { per_address, most, total: AtomicUsize::default(), by_network: DashMap::default() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes a place, if there is one; it is free again when the lease is dropped. Without an address it counts among
    /// all only.
    pub fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Lease, Full> {
        // From here on the lease gives back what was taken, also where there is no room.
        let mut lease = Lease { connections: Arc::clone(self), network: None };
        if self.total.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(Full::Service);
        }
        if let Some(address) = address {
            let network = network_of(address);
            let mut here = self.by_network.entry(network).or_insert(0);
            if *here >= self.per_address {
                return Err(Full::Address(address));
            }
            *here += 1;
            lease.network = Some(network);
        }
        Ok(lease)
    }
}

/// A place that is taken.
#[derive(Debug)]
pub struct Lease {
    connections: Arc<Connections>,
    network: Option<IpAddr>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connections.total.fetch_sub(1, Ordering::Relaxed);
        let Some(network) = self.network else { return };
        if let Entry::Occupied(mut here) = self.connections.by_network.entry(network) {
            if *here.get() > 1 {
                *here.get_mut() -= 1;
            } else {
                here.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back_and_nothing_is_kept_of_who_left() {
        let connections = Arc::new(Connections::new(2, 4));
        let address = |text: &str| text.parse().unwrap();
        let take = |text: &str| connections.take(Some(address(text)));
        let first = take("2001:db8::1").unwrap();
        let second = take("2001:db8::2").unwrap();
        assert_eq!(take("2001:db8::3").unwrap_err(), Full::Address(address("2001:db8::3")));
        let third = take("2001:db8:0:1::1").unwrap();
        let anybody = connections.take(None).unwrap();
        assert_eq!(take("192.0.2.1").unwrap_err(), Full::Service);
        assert_eq!(connections.count(), 4);
        drop(first);
        let again = take("2001:db8::3").unwrap();
        for lease in [second, third, anybody, again] {
            drop(lease);
        }
        assert_eq!((connections.count(), connections.by_network.len()), (0, 0));
    }
}
