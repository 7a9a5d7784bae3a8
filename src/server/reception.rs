//! Who may connect. A connection that is no socket yet takes a place of its address, so that nobody takes all there
//! are: with one request at a time on each, this bounds an address's requests as well. Trusted proxies stand for many
//! addresses, whose requests are counted where they are read (`http/under_way.rs`).

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::rt::net::TcpStream;
use actix_web::web;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::net::{Connections, Full, Lease, Proxies, RETRY_AFTER};
use crate::ws::wire::closed_by_client;

/// How many are told at a time why they are sent away. More are not told: to wait for them takes what there is too
/// little of.
const TOLD_AT_ONCE: usize = 16;

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
    /// Lets in `per_address` connections of an address that are no sockets, and with `sockets` not more than `room`.
    pub fn new(proxies: web::Data<Proxies>, sockets: Arc<Connections>, per_address: usize, room: usize) -> Self {
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
        let body = json!({ "success": false, "error": why.to_string(), "code": "unavailable" }).to_string();
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
