//! What clients say of a call, beside what the service saw of it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, timestamp_with_time_zone_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column per statement: SQLite takes no more.
        for column in
            [timestamp_with_time_zone_null("client_connected_at"), big_integer_null("client_duration_seconds")]
        {
            manager.alter_table(Table::alter().table("calls").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["client_duration_seconds", "client_connected_at"] {
            manager.alter_table(Table::alter().table("calls").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
