//! How calls are found by how they ended, among many.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// How an ended call reads, as the view `call_logs` has it. An index is only used for the very same expression,
/// so the queries take it from here.
pub const ENDED_AS: &str = "CASE WHEN reason IN ('completed', 'dropped') THEN 'ended' \
     WHEN reason = 'killed' THEN CASE WHEN answered_at IS NULL THEN 'cancelled' ELSE 'ended' END \
     WHEN reason IN ('declined', 'cancelled') THEN reason \
     WHEN reason IN ('no_answer', 'busy', 'offline') THEN 'missed' ELSE 'failed' END";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // Both only of calls that are over: a call enters them once, when it ends.
        db.execute_unprepared("CREATE INDEX calls_reason ON calls (reason, id) WHERE reason IS NOT NULL").await?;
        let by_status = format!("CREATE INDEX calls_ended_as ON calls (({ENDED_AS}), id) WHERE phase = 'ended'");
        db.execute_unprepared(&by_status).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in ["calls_reason", "calls_ended_as"] {
            manager.get_connection().execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        Ok(())
    }
}
