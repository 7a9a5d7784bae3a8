//! Calls, and the ways they are looked up.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The conditions are literal so that the planner of either database sees that a query implies them.
const INDEXES: [&str; 4] = [
    // A retry with the same key cannot make a second row, whatever else goes wrong.
    "CREATE UNIQUE INDEX calls_idempotency ON calls (caller_id, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX calls_conversation ON calls (conversation_id, id) WHERE conversation_id IS NOT NULL",
    "CREATE INDEX calls_started ON calls (started_at)",
    // What a restart looks for: a handful of rows among all.
    "CREATE INDEX calls_live ON calls (id) WHERE phase <> 'ended'",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("calls")
                    .col(big_integer("id").primary_key())
                    .col(text("caller_id"))
                    .col(text_null("caller_name"))
                    .col(text("call_type"))
                    .col(text_null("conversation_id"))
                    .col(text("phase"))
                    .col(text_null("reason"))
                    .col(text_null("ended_by"))
                    .col(timestamp_with_time_zone("started_at"))
                    .col(timestamp_with_time_zone_null("answered_at"))
                    .col(timestamp_with_time_zone_null("ended_at"))
                    .col(big_integer("duration_seconds"))
                    .col(text_null("idempotency_key"))
                    .col(boolean("reported").default(false))
                    .col(text_null("live"))
                    .to_owned(),
            )
            .await?;
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("calls").to_owned()).await
    }
}
