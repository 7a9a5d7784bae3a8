//! Who may connect. A connection that is no socket yet takes a place of its address, so that nobody takes all there
//! are. Trusted proxies stand for many addresses, whose requests are counted where they are read (`http/under_way.rs`).

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::rt::net::TcpStream;
use actix_web::web;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::net::{Connections, Full, Lease, Proxies, RETRY_AFTER};
use crate::ws::wire::closed_by_client;

/// How many are told at a time why they are sent away. More are not told: to wait for them takes what there is too
/// little of.
const TOLD_AT_ONCE: usize = 16;

/// How many connections of an address there may be for each socket it may have: as many as a browser keeps to a host.
const CONNECTIONS_PER_SOCKET: usize = 6;

/// Lets connections in, or sends them away.
#[derive(Clone)]
pub struct Reception {
    proxies: web::Data<Proxies>,
    /// Connections that are no sockets.
    connections: Arc<Connections>,
    sockets: Arc<Connections>,
    /// How many connections there may be, sockets among them.
    room: usize,
    told: Arc<Semaphore>,
}

impl Reception {
    /// Lets in connections of addresses that may have so many `sockets_per_address`, but to none half of the `room`, and
    /// with `sockets` not more than there is room for.
    pub fn new(
        proxies: web::Data<Proxies>,
        sockets: Arc<Connections>,
        sockets_per_address: usize,
        room: usize,
    ) -> Self {
        let per_address = sockets_per_address.saturating_mul(CONNECTIONS_PER_SOCKET).min(room / 2).max(1);
        let connections = Arc::new(Connections::new(per_address, room));
        Self { proxies, connections, sockets, room, told: Arc::new(Semaphore::new(TOLD_AT_ONCE)) }
    }

    /// A place for a connection, while it is served.
    pub fn admit(&self, peer: Option<IpAddr>) -> Result<Lease, Full> {
        if self.sockets.count() + self.connections.count() >= self.room {
            return Err(Full::Service);
        }
        self.connections.take(peer.map(|peer| peer.to_canonical()).filter(|peer| !self.proxies.trusts(*peer)))
    }

    /// Says why there is none, without a look at what the client sends.
    pub async fn send_away(&self, mut connection: TcpStream, why: Full) {
        log::debug!("a connection is sent away: {why}");
        let Ok(_told) = self.told.try_acquire() else { return };
        let body = why.to_json().to_string();
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: {RETRY_AFTER}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // A new connection takes this at once.
        if connection.write_all(answer.as_bytes()).await.is_ok() && connection.shutdown().await.is_ok() {
            closed_by_client(&connection).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn admitted(sockets_per_address: usize, room: usize, from: &[&str]) -> Vec<bool> {
        let mut settings = Settings::defaults().unwrap();
        settings.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let proxies = web::Data::new(Proxies::new(&settings).unwrap());
        let sockets = Arc::new(Connections::new(usize::MAX, usize::MAX));
        let _socket = sockets.take(None).unwrap();
        let reception = Reception::new(proxies, sockets, sockets_per_address, room);
        let leases: Vec<_> = from.iter().map(|address| reception.admit(Some(address.parse().unwrap()))).collect();
        leases.iter().map(Result::is_ok).collect()
    }

    #[test]
    fn an_address_has_six_connections_for_each_socket_and_never_half_of_the_room() {
        let mut from = vec!["::ffff:192.0.2.1"; 7];
        from.push("192.0.2.2");
        assert_eq!(admitted(1, 100, &from), [true, true, true, true, true, true, false, true]);
        assert_eq!(admitted(200, 8, &from), [true, true, true, true, false, false, false, true]);
    }

    #[test]
    fn a_trusted_proxy_has_what_room_there_is() {
        // One of the places is the socket's.
        assert_eq!(admitted(1, 10, &["10.0.0.1"; 10]).iter().filter(|admitted| **admitted).count(), 9);
    }
}
