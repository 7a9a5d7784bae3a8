//! The machines of live calls, out of the rows that stay.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, text_null};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // In its call's row a machine took a page of SQLite's to itself, which stayed nearly empty when the call was over.
        let mut table = Table::create();
        table.table("live_calls").col(big_integer("call_id").primary_key()).col(text("machine")).foreign_key(
            ForeignKey::create().from("live_calls", "call_id").to("calls", "id").on_delete(ForeignKeyAction::Cascade),
        );
        if manager.get_database_backend() == DbBackend::Sqlite {
            // What does not fit beside others goes to pages of its own, which the next calls use again.
            table.extra("WITHOUT ROWID");
        }
        manager.create_table(table).await?;
        let db = manager.get_connection();
        let moved = "INSERT INTO live_calls (call_id, machine) SELECT id, live FROM calls WHERE live IS NOT NULL";
        db.execute_unprepared(moved).await?;
        manager.alter_table(Table::alter().table("calls").drop_column("live").to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("calls").add_column(text_null("live")).to_owned()).await?;
        let db = manager.get_connection();
        let moved =
            "UPDATE calls SET live = (SELECT machine FROM live_calls WHERE call_id = id) WHERE phase <> 'ended'";
        db.execute_unprepared(moved).await?;
        manager.drop_table(Table::drop().table("live_calls").to_owned()).await
    }
}
