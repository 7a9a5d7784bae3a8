//! A database of a test's own, and ways to take it away.

#![allow(clippy::disallowed_methods, reason = "a test may look at the clock")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, QueryResult, TransactionTrait};
use switchboard::store::Store;

/// A database that nobody else uses.
pub struct Db {
    pub url: String,
    kind: Kind,
}

enum Kind {
    Sqlite { _dir: tempfile::TempDir },
    Postgres { admin: String, name: String },
}

impl Db {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", dir.path().join("test.db").display());
        Self { url, kind: Kind::Sqlite { _dir: dir } }
    }

    /// `None` where no server is named.
    pub async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let admin = std::env::var("SWITCHBOARD_TEST_POSTGRES").ok()?;
        let name = format!("switchboard_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let server = Database::connect(&admin).await.unwrap();
        server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (base, _) = admin.rsplit_once('/').unwrap();
        let url = format!("{base}/{name}");
        Some(Self { url, kind: Kind::Postgres { admin, name } })
    }

    pub async fn remove(&self) {
        if let Kind::Postgres { admin, name } = &self.kind {
            let server = Database::connect(admin).await.unwrap();
            server.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.kind, Kind::Postgres { .. })
    }

    /// The store, migrated.
    pub async fn open(&self) -> Store {
        Store::open(&self.url, false).await.unwrap()
    }

    /// A connection beside the store's.
    pub async fn connect(&self) -> DatabaseConnection {
        Database::connect(&self.url).await.unwrap()
    }

    /// The rows of a query.
    pub async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let db = self.connect().await;
        let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
        db.query_all_raw(statement).await.unwrap()
    }

    /// The one number a query answers.
    pub async fn number(&self, sql: &str) -> i64 {
        self.rows(sql).await[0].try_get_by_index(0).unwrap()
    }

    /// Takes a lock that no write gets past until it is rolled back: to the store the database hangs.
    pub async fn hang(&self) -> DatabaseTransaction {
        let db = self.connect().await;
        if self.is_postgres() {
            let hold = db.begin().await.unwrap();
            hold.execute_unprepared("LOCK TABLE calls, user_status IN ACCESS EXCLUSIVE MODE").await.unwrap();
            hold
        } else {
            db.begin_with_options(sea_orm::TransactionOptions {
                sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Exclusive),
                ..Default::default()
            })
            .await
            .unwrap()
        }
    }

    /// Cuts all connections and lets no new ones in, or lets them in again. Only on PostgreSQL.
    pub async fn admit(&self, connections: bool) {
        if let Kind::Postgres { admin, name } = &self.kind {
            let server = Database::connect(admin).await.unwrap();
            let allow = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {connections}");
            server.execute_unprepared(&allow).await.unwrap();
            if !connections {
                self.cut().await;
            }
        }
    }

    /// Cuts all connections. Only on PostgreSQL.
    pub async fn cut(&self) {
        if let Kind::Postgres { admin, name } = &self.kind {
            let server = Database::connect(admin).await.unwrap();
            let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
            server.execute_unprepared(&cut).await.unwrap();
        }
    }
}

/// Waits until something holds, and says what did not.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
