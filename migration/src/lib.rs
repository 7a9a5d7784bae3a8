//! The changes of the schema, in order: one file each, up and down.
//!
//! They run on SQLite and on PostgreSQL. Run them through `switchboard::store`, which takes the lock
//! that keeps several starting nodes from migrating at once.

pub use sea_orm_migration::MigrationStatus;
use sea_orm_migration::prelude::*;
pub use sea_orm_migration::prelude::{MigratorTrait, SchemaManager};

mod m20261121_000001_users;
mod m20261121_000002_user_status;
mod m20261121_000003_calls;
mod m20261121_000004_call_legs;
mod m20261121_000005_call_events;
mod m20261121_000006_call_history_view;
mod m20261121_000007_call_logs_view;
mod m20261121_000008_profiles;
mod m20261121_000009_call_reports;
mod m20261121_000010_by_time;
mod m20261121_000011_calls_by_outcome;
mod m20261121_000012_live_calls;
mod m20261121_000013_live_rows;

pub use m20261121_000011_calls_by_outcome::ENDED_AS;

/// Knows all changes.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_users::Migration),
            Box::new(m20261121_000002_user_status::Migration),
            Box::new(m20261121_000003_calls::Migration),
            Box::new(m20261121_000004_call_legs::Migration),
            Box::new(m20261121_000005_call_events::Migration),
            Box::new(m20261121_000006_call_history_view::Migration),
            Box::new(m20261121_000007_call_logs_view::Migration),
            Box::new(m20261121_000008_profiles::Migration),
            Box::new(m20261121_000009_call_reports::Migration),
            Box::new(m20261121_000010_by_time::Migration),
            Box::new(m20261121_000011_calls_by_outcome::Migration),
            Box::new(m20261121_000012_live_calls::Migration),
            Box::new(m20261121_000013_live_rows::Migration),
        ]
    }
}
