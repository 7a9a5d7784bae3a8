//! The participants of calls, and the lists of missed calls.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, integer, text, text_null, timestamp_with_time_zone_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Call ids grow with the start of calls, so an index by call id is one by time.
const INDEXES: [&str; 4] = [
    "CREATE INDEX call_legs_user ON call_legs (user_id, call_id)",
    "CREATE INDEX call_legs_missed_by ON call_legs (user_id, call_id) WHERE missed",
    "CREATE INDEX call_legs_missed ON call_legs (call_id DESC, user_id) WHERE missed",
    "CREATE INDEX call_legs_unseen ON call_legs (user_id) WHERE missed AND NOT seen",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("call_legs")
                    .col(big_integer("call_id"))
                    .col(text("user_id"))
                    .col(integer("position"))
                    .col(text("role"))
                    .col(text("state"))
                    .col(text_null("reason"))
                    .col(text_null("device"))
                    .col(timestamp_with_time_zone_null("joined_at"))
                    .col(timestamp_with_time_zone_null("left_at"))
                    .col(boolean("missed"))
                    .col(boolean("seen").default(false))
                    .primary_key(Index::create().col("call_id").col("user_id"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("call_legs", "call_id")
                            .to("calls", "id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("call_legs").to_owned()).await
    }
}
