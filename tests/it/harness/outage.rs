//! A database that goes away and comes back, for one story alone: SQLite's file is locked by somebody
//! else, PostgreSQL is reached through a [`Cable`].

use super::Store;
use super::cable::Cable;
use super::db::Db;

/// The way from the service to its database.
pub struct Outage {
    store: Store,
    /// Holds SQLite's write lock.
    lock: Option<Db>,
    cable: Option<Cable>,
}

impl Outage {
    /// Lays the way. The service is to be started with [`Outage::store`].
    pub async fn prepare(store: &Store) -> Self {
        let Some((scheme, rest)) = store.own_url().split_once("://").filter(|(scheme, _)| *scheme == "postgres") else {
            return Self { store: store.clone(), lock: None, cable: None };
        };
        let (login, rest) = rest.split_once('@').expect("a user in the address of PostgreSQL");
        let (server, name) = rest.split_once('/').expect("a database in the address of PostgreSQL");
        let cable = Cable::to(server).await;
        Self {
            store: store.by_way_of(format!("{scheme}://{login}@{}/{name}", cable.address())),
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
        match &self.cable {
            Some(cable) => cable.jam(),
            None => self.lock().await,
        }
    }

    /// The database is gone: killed. (SQLite cannot be; its file is locked.)
    pub async fn cut(&mut self) {
        match &self.cable {
            Some(cable) => cable.cut(),
            None => self.lock().await,
        }
    }

    async fn lock(&mut self) {
        let db = self.store.open().await;
        db.execute("BEGIN IMMEDIATE").await;
        self.lock = Some(db);
    }

    /// It is back.
    pub async fn end(&mut self) {
        if let Some(cable) = &self.cable {
            cable.mend();
        }
        if let Some(db) = self.lock.take() {
            db.execute("ROLLBACK").await;
        }
    }
}
