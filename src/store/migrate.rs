//! Migrating, at start and from the command line.

use migration::{MigrationStatus, Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::{Store, StoreError};

/// The lock that nodes starting together queue for. Any number will do, as long as it stays the same.
const LOCK: &str = "SELECT pg_advisory_xact_lock(5207319)";

fn failed(error: DbErr) -> StoreError {
    StoreError::Migration(error.to_string())
}

/// Applies the pending migrations, or the first `steps` of them, all or none.
pub async fn up(store: &Store, steps: Option<u32>) -> Result<(), StoreError> {
    // Most starts find nothing to do, and then need no right to change the schema.
    if pending(store).await?.is_empty() {
        return Ok(());
    }
    let transaction = locked(store).await?;
    Migrator::up(&transaction, steps).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Takes back the last `steps` migrations, all or none. What they held is lost.
pub async fn down(store: &Store, steps: u32) -> Result<(), StoreError> {
    let transaction = locked(store).await?;
    Migrator::down(&transaction, Some(steps)).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Every migration by name, and whether it was applied.
pub async fn status(store: &Store) -> Result<Vec<(String, bool)>, StoreError> {
    let migrations = Migrator::get_migration_with_status_read_only(store.readers().as_ref()).await.map_err(failed)?;
    Ok(migrations.iter().map(|m| (m.name().to_owned(), m.status() == MigrationStatus::Applied)).collect())
}

/// The migrations not applied yet.
pub async fn pending(store: &Store) -> Result<Vec<String>, StoreError> {
    Ok(status(store).await?.into_iter().filter(|(_, applied)| !applied).map(|(name, _)| name).collect())
}

/// A transaction that no other node migrates beside. On SQLite the write lock is that lock.
async fn locked(store: &Store) -> Result<sea_orm::DatabaseTransaction, StoreError> {
    let transaction = store.begin().await.map_err(failed)?;
    if store.inner.backend == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK).await.map_err(failed)?;
    }
    Ok(transaction)
}
