//! The database: opened and migrated here, written by one task, read by plain queries.
//!
//! SQLite and PostgreSQL are chosen by the URL at run time. Writing and reading have pools of their own, so
//! that a slow report never makes a call wait. No operation takes longer than
//! [`DEADLINE`], but for statistics.

mod error;
pub mod migrate;
pub mod queries;
pub mod statistics;
pub mod told;
mod unseen;
pub mod vocabulary;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use log::LevelFilter;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub use error::StoreError;
pub use unseen::Unseen;
pub use writer::Writer;

/// How long one database operation may take.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// How long statistics may take: of a year with many calls they are worth waiting for, and they read beside what
/// calls need.
const PATIENCE: Duration = Duration::from_secs(15);

/// How many of them may run at once, so that most readers stay with what cannot wait.
const STATISTICS: usize = 2;

/// How long SQLite waits for a lock by itself; less than [`DEADLINE`], so that the wait ends in the database
/// and not by abandoning it.
const BUSY_TIMEOUT: Duration = Duration::from_millis(1500);

/// How many queries may run at once.
const READERS: u32 = 8;

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    backend: DbBackend,
    /// One connection: SQLite takes one writer, and on PostgreSQL there is one writer task.
    writer: ArcSwap<DatabaseConnection>,
    readers: ArcSwap<DatabaseConnection>,
    statistics: Arc<Semaphore>,
}

impl Store {
    /// Opens the database and migrates it; with `no_migrate`, refuses a database whose migrations are pending.
    pub async fn open(url: &str, no_migrate: bool) -> Result<Self, StoreError> {
        let store = Self::connect(url).await?;
        if no_migrate {
            let pending = migrate::pending(&store).await?;
            if !pending.is_empty() {
                return Err(StoreError::Pending(pending));
            }
        } else {
            migrate::up(&store, None).await?;
        }
        Ok(store)
    }

    /// Opens the database as it is, for the command line's `migrate`.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let backend = if url.starts_with("sqlite:") {
            DbBackend::Sqlite
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            DbBackend::Postgres
        } else {
            return Err(StoreError::UnknownUrl);
        };
        // sea-orm knows one spelling of the scheme.
        let url = url.replacen("postgresql://", "postgres://", 1);
        let failed = |error: DbErr| StoreError::Open(error.to_string());
        let writer = Database::connect(options(&url, 1)).await.map_err(failed)?;
        // An in-memory database lives and dies with its one connection.
        let readers = if url.contains(":memory:") || url.contains("mode=memory") {
            writer.clone()
        } else {
            Database::connect(options(&url, READERS)).await.map_err(failed)?
        };
        let (writer, readers) = (ArcSwap::from_pointee(writer), ArcSwap::from_pointee(readers));
        let statistics = Arc::new(Semaphore::new(STATISTICS));
        Ok(Self { inner: Arc::new(Inner { url, backend, writer, readers, statistics }) })
    }

    /// Starts the writer task on the caller's runtime.
    pub fn writer(&self) -> Writer {
        Writer::spawn(self.clone())
    }

    /// Whether the database answers, for `/readyz`.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let readers = self.readers();
        let answer = within(async { readers.execute_unprepared("SELECT 1").await }).await;
        if answer.is_err() {
            // Also where nothing is being written, so that nobody else would notice.
            self.renew().await;
        }
        answer.map(drop)
    }

    /// Closes all connections; for SQLite this folds the write-ahead log back into the file.
    pub async fn close(&self) {
        for pool in [&self.inner.readers, &self.inner.writer] {
            let closed = DatabaseConnection::clone(&pool.load()).close();
            if tokio::time::timeout(DEADLINE, closed).await.is_err() {
                log::warn!("the database did not let go of its connections in time");
            }
        }
    }

    fn readers(&self) -> Arc<DatabaseConnection> {
        self.inner.readers.load_full()
    }

    /// Runs a query of statistics when it is its turn. Whoever asked may leave or lose patience; the query goes on until
    /// the database is done with it, and so long the next one waits: an abandoned one keeps its connection as well.
    async fn in_turn<T: Send + 'static>(
        &self,
        query: impl Future<Output = Result<T, DbErr>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let late = || StoreError::Away(format!("no answer within {} s", PATIENCE.as_secs()));
        let until = Instant::now() + PATIENCE;
        let turn = timeout_at(until, Arc::clone(&self.inner.statistics).acquire_owned()).await.map_err(|_| late())?;
        let run = tokio::spawn(async move {
            let _turn = turn;
            tokio::time::timeout(2 * PATIENCE, query).await
        });
        match timeout_at(until, run).await {
            Ok(Ok(Ok(answer))) => answer.map_err(StoreError::from),
            Ok(Ok(Err(_))) | Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    /// Begins a transaction that writes. On SQLite it takes the write lock at once: a transaction that reads
    /// first and writes later fails without waiting when somebody wrote in between.
    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let writer = self.inner.writer.load_full();
        writer
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: (self.inner.backend == DbBackend::Sqlite)
                    .then_some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
    }

    /// Replaces the connections to a PostgreSQL that stopped answering. A connection whose statement was
    /// abandoned is only returned when the server answers it; on a dead network path that may take a quarter of an
    /// hour. SQLite's connection is never replaced: its thread finishes what it began.
    async fn renew(&self) {
        if self.inner.backend != DbBackend::Postgres {
            return;
        }
        for (pool, size) in [(&self.inner.writer, 1), (&self.inner.readers, READERS)] {
            let mut options = options(&self.inner.url, size);
            options.connect_lazy(true);
            match Database::connect(options).await {
                Ok(fresh) => pool.store(Arc::new(fresh)),
                Err(error) => log::warn!("no fresh connections to the database: {error}"),
            }
        }
    }
}

fn options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(DEADLINE)
        // A server may have gone since; a file has not, and the question costs two changes of threads.
        .test_before_acquire(!url.starts_with("sqlite:"))
        .connect_timeout(DEADLINE)
        .sqlx_logging_level(LevelFilter::Debug)
        .sqlx_slow_statements_logging_settings(LevelFilter::Debug, Duration::from_secs(1))
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
                .foreign_keys(true)
                // 16 MiB of log before it is folded back: pages that one call after another changes go back once.
                .pragma("wal_autocheckpoint", "4000")
                // 8 MiB, where 2 are usual: in step with the log.
                .pragma("cache_size", "-8000")
        })
        // A full disk makes SQLite roll back by itself; sqlx then fails to, and believes the connection in a
        // transaction for ever: what is "committed" on it later would be lost. Such a connection is closed.
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_release(|connection, _| {
                Box::pin(async move {
                    // The answer comes after a rollback that is still on its way.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        })
        .map_sqlx_postgres_opts(|postgres| postgres.application_name("switchboard"));
    if url.starts_with("sqlite:") {
        // A file needs no fresh connections, and an in-memory database would be lost with its last one.
        options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
    }
    options
}

/// Runs one database operation within the deadline.
async fn within<T>(operation: impl Future<Output = Result<T, DbErr>>) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, operation).await {
        Ok(answer) => answer.map_err(StoreError::from),
        Err(_) => Err(StoreError::Away(format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[actix_web::test]
    async fn an_abandoned_statistic_keeps_its_turn_until_the_database_is_done_with_it() {
        let store = Store::open("sqlite::memory:", false).await.unwrap();
        let endings: Vec<oneshot::Sender<()>> = (0..STATISTICS)
            .map(|_| {
                let (end, ended) = oneshot::channel();
                let query = store.in_turn(ended.map(|_| Ok(())));
                assert!(query.now_or_never().is_none());
                end
            })
            .collect();
        let mut next = Box::pin(store.in_turn(async { Ok(3) }));
        assert!(next.as_mut().now_or_never().is_none(), "it waits");
        endings.into_iter().for_each(|end| end.send(()).expect("it goes on though nobody waits"));
        assert_eq!(next.await.unwrap(), 3);
    }
}
