//! Ways to the calls of a period and to what nobody has seen, whatever else there is.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            // With the id, so that which calls a period has is read from the index alone.
            "CREATE INDEX calls_started_id ON calls (started_at, id)",
            "DROP INDEX calls_started",
            "CREATE INDEX call_legs_all_unseen ON call_legs (call_id DESC, user_id) WHERE missed AND NOT seen",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            "DROP INDEX call_legs_all_unseen",
            "CREATE INDEX calls_started ON calls (started_at)",
            "DROP INDEX calls_started_id",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
