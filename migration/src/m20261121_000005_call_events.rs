//! The trace of calls.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, text, text_null, timestamp_with_time_zone};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("call_events")
                    .col(big_integer("call_id"))
                    .col(integer("seq"))
                    .col(timestamp_with_time_zone("at"))
                    .col(text("what"))
                    .col(text_null("who"))
                    .col(text_null("detail"))
                    .primary_key(Index::create().col("call_id").col("seq"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("call_events", "call_id")
                            .to("calls", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("call_events").to_owned()).await
    }
}
