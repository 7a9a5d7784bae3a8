//! A cable that can be pulled or jammed: whoever is at its other end is reached through it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the way is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing arrives, and nobody says so: a stopped server, a lost network.
    Jammed,
    /// Connections break and new ones are refused: a killed server.
    Cut,
}

/// A way to a server, for as long as this is held.
pub struct Cable {
    address: SocketAddr,
    way: watch::Sender<Way>,
    carrier: JoinHandle<()>,
}

impl Cable {
    /// Lays it to `127.0.0.1:PORT`.
    pub async fn to(server: &str) -> Self {
        let server: SocketAddr = server.parse().expect("the address of a server");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let way = watch::Sender::new(Way::Open);
        let carrier = tokio::spawn(carry_all(listener, server, way.clone()));
        Self { address, way, carrier }
    }

    /// Where the server is reached through it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing arrives any more, and nobody says so.
    pub fn jam(&self) {
        self.way.send_replace(Way::Jammed);
    }

    /// Connections break, and new ones are refused.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// It is as before.
    pub fn mend(&self) {
        self.way.send_replace(Way::Open);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

async fn carry_all(listener: TcpListener, server: SocketAddr, way: watch::Sender<Way>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let mut way = way.subscribe();
        tokio::spawn(async move {
            // A jammed way takes connections and leaves them hanging.
            let Ok(now) = way.wait_for(|way| *way != Way::Jammed).await.map(|way| *way) else { return };
            if now == Way::Cut {
                return;
            }
            let Ok(server) = TcpStream::connect(server).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let (up, down) = (way.clone(), way.clone());
            let pulled = async {
                // Ends also when the story does.
                drop(way.wait_for(|way| *way == Way::Cut).await);
            };
            tokio::select! {
                () = carry(from_client, to_server, up) => {}
                () = carry(from_server, to_client, down) => {}
                () = pulled => {}
            }
        });
    }
}

async fn carry(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        if way.wait_for(|way| *way != Way::Jammed).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
