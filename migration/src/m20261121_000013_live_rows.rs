//! SQLite's machines of live calls, in rows that may fill a page.
//!
//! Without a rowid a row of more than a thousand bytes is split: its beginning with the others, the rest on pages of its own.
//! So each machine was written to two places, and the second was given back and taken again for every call.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

async fn rebuild(manager: &SchemaManager<'_>, options: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let db = manager.get_connection();
    db.execute_unprepared("ALTER TABLE live_calls RENAME TO live_calls_before").await?;
    let mut table = Table::create();
    table.table("live_calls").col(big_integer("call_id").primary_key()).col(text("machine")).foreign_key(
        ForeignKey::create().from("live_calls", "call_id").to("calls", "id").on_delete(ForeignKeyAction::Cascade),
    );
    if !options.is_empty() {
        table.extra(options);
    }
    manager.create_table(table).await?;
    db.execute_unprepared("INSERT INTO live_calls SELECT call_id, machine FROM live_calls_before").await?;
    manager.drop_table(Table::drop().table("live_calls_before").to_owned()).await
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        rebuild(manager, "").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        rebuild(manager, "WITHOUT ROWID").await
    }
}
