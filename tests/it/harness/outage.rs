//! A database that goes away and comes back, for one story alone: SQLite's file is locked by somebody
//! else, PostgreSQL is reached through a cable that can be pulled or jammed.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Store;
use super::db::Db;

/// What the way to the database is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing arrives, and nobody says so: a stopped server, a lost network.
    Jammed,
    /// Connections break and new ones are refused: a killed server.
    Cut,
}

/// The way from the service to its database.
pub struct Outage {
    store: Store,
    way: watch::Sender<Way>,
    /// Holds SQLite's write lock.
    lock: Option<Db>,
    cable: Option<JoinHandle<()>>,
}

impl Outage {
    /// Lays the way. The service is to be started with [`Outage::store`].
    pub async fn prepare(store: &Store) -> Self {
        let way = watch::Sender::new(Way::Open);
        let Some((scheme, rest)) = store.own_url().split_once("://").filter(|(scheme, _)| *scheme == "postgres") else {
            return Self { store: store.clone(), way, lock: None, cable: None };
        };
        let (login, rest) = rest.split_once('@').expect("a user in the address of PostgreSQL");
        let (server, name) = rest.split_once('/').expect("a database in the address of PostgreSQL");
        let server: SocketAddr = server.parse().expect("the address of PostgreSQL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let here = listener.local_addr().expect("an address");
        let cable = tokio::spawn(carry_all(listener, server, way.clone()));
        Self {
            store: store.by_way_of(format!("{scheme}://{login}@{here}/{name}")),
            way,
            lock: None,
            cable: Some(cable),
        }
    }

    /// The database as the service is to reach it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The database does not answer any more: stopped, or locked by somebody else.
    pub async fn jam(&mut self) {
        self.begin(Way::Jammed).await;
    }

    /// The database is gone: killed. (SQLite cannot be; its file is locked.)
    pub async fn cut(&mut self) {
        self.begin(Way::Cut).await;
    }

    async fn begin(&mut self, way: Way) {
        if self.cable.is_some() {
            self.way.send_replace(way);
        } else {
            let db = self.store.open().await;
            db.execute("BEGIN IMMEDIATE").await;
            self.lock = Some(db);
        }
    }

    /// It is back.
    pub async fn end(&mut self) {
        self.way.send_replace(Way::Open);
        if let Some(db) = self.lock.take() {
            db.execute("ROLLBACK").await;
        }
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        if let Some(cable) = &self.cable {
            cable.abort();
        }
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
