//! The workloads. Each starts its processes, runs its rounds and says what came of them.

pub mod calls;
pub mod fanout;
pub mod growth;
pub mod heartbeats;
pub mod idle;
pub mod latency;
pub mod pairs;
pub mod relay;

use std::net::SocketAddr;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::socket::Socket;
use crate::{Outcome, messages};

/// How many sockets are opened at once.
const AT_ONCE: usize = 64;

/// Opens the sockets of the first users, in their order.
async fn open(address: SocketAddr, tokens: &[String], hello: bool) -> Outcome<Vec<Socket>> {
    let opening = tokens.iter().enumerate().map(|(index, token)| async move {
        let mut socket = Socket::open(address, index + 1, token).await?;
        if hello {
            socket.send(&messages::hello()).await?;
            socket.next(welcomed).await?;
        }
        Ok(socket)
    });
    stream::iter(opening).buffered(AT_ONCE).try_collect().await
}

fn welcomed(text: &[u8]) -> Outcome<()> {
    if messages::is(text, "welcome") { Ok(()) } else { Err("no welcome".into()) }
}

/// Closes sockets, all at once, each checked for messages too many.
async fn close(sockets: Vec<Socket>) -> Outcome<()> {
    try_join_all(sockets.into_iter().map(Socket::close)).await.map(drop)
}
