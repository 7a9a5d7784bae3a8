//! Bare programs that do a workload's work and nothing else: no authentication, no checks, no records. Each is this
//! program run again, so that what it uses can be told from what its client does. They share the client's way
//! of opening a socket, and nobody else should speak to them.

mod heartbeats;
mod proxy;
mod record;
mod relay;
mod tungstenite;

use std::net::SocketAddr;

use clap::ValueEnum;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;

/// The references there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Moves bytes between two connections without reading them.
    Proxy,
    /// Reads each message for its receiver and writes it to their socket; or to everybody's.
    Relay,
    /// The same with a transaction before an invitation, an answer and an end are passed on.
    Recording,
    /// A relay with tokio-tungstenite and a writer task for each user.
    Tungstenite,
    /// Answers every POST with 204.
    Heartbeats,
}

impl Kind {
    /// Its name on the command line.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Relay => "relay",
            Self::Recording => "recording",
            Self::Tungstenite => "tungstenite",
            Self::Heartbeats => "heartbeats",
        }
    }

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proxy => "TCP proxy",
            Self::Relay => "bare relay",
            Self::Recording => "bare relay, a transaction per transition",
            Self::Tungstenite => "tungstenite relay",
            Self::Heartbeats => "bare actix-web",
        }
    }
}

/// Serves until it is ended, with a database where it needs one.
pub fn serve(kind: Kind, database: Option<String>) -> Outcome<()> {
    if kind == Kind::Heartbeats {
        return heartbeats::serve();
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = listen()?;
        announce(listener.local_addr()?);
        match kind {
            Kind::Proxy => proxy::serve(listener).await,
            Kind::Relay => relay::serve(listener, None).await,
            Kind::Recording => relay::serve(listener, Some(record::open(database).await?)).await,
            Kind::Tungstenite => tungstenite::serve(listener).await,
            Kind::Heartbeats => Ok(()),
        }
    })
}

fn listen() -> Outcome<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    Ok(socket.listen(2048)?)
}

fn announce(address: SocketAddr) {
    println!("http://{address}");
}

/// Reads a request for a socket and agrees to it: the user it is of.
async fn accept(stream: &mut TcpStream) -> Outcome<usize> {
    stream.set_nodelay(true)?;
    let mut request = Vec::with_capacity(1024);
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Err("no request".into());
        }
    }
    let path = request.strip_prefix(b"GET /ws/").and_then(|rest| rest.split(|byte| *byte == b' ').next());
    let user = std::str::from_utf8(path.ok_or("not a socket's path")?)?.parse()?;
    let agreed = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    stream.write_all(agreed).await?;
    Ok(user)
}
