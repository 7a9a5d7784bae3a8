//! The polling seed's `call_history`: one row per callee of a call.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `switchboard::store::vocabulary` says the same in Rust, and a test compares the two.
///
/// In a 1:1 call the call's reason speaks for the callee. In a group call a callee who never joined has
/// an outcome of their own. The inner query works out what holds for the callee, the outer one names it.
const VIEW: &str = "\
CREATE VIEW call_history AS
SELECT id, caller_id, callee_id, call_time,
       CASE WHEN reason IS NULL AND phase <> 'ended' THEN 'ongoing'
            WHEN reason = 'completed' THEN 'answered'
            WHEN reason = 'killed' THEN CASE WHEN answered_at IS NULL THEN 'missed' ELSE 'answered' END
            WHEN reason = 'declined' THEN 'rejected'
            WHEN reason IN ('cancelled', 'no_answer', 'busy', 'offline') THEN 'missed'
            ELSE 'dropped' END AS call_status,
       CASE WHEN answered_at IS NULL THEN 0 ELSE duration_seconds END AS call_duration,
       answered_at, ended_at, seen_by_callee
FROM (SELECT c.id, c.caller_id, l.user_id AS callee_id, c.started_at AS call_time, c.phase,
             CASE WHEN l.joined_at IS NULL AND l.reason IS NOT NULL THEN l.reason
                  ELSE COALESCE(c.reason, l.reason) END AS reason,
             CASE WHEN l.joined_at IS NULL AND l.reason IS NOT NULL THEN NULL
                  ELSE COALESCE(l.joined_at, c.answered_at) END AS answered_at,
             COALESCE(c.ended_at, l.left_at) AS ended_at,
             c.duration_seconds, l.seen AS seen_by_callee
      FROM calls c JOIN call_legs l ON l.call_id = c.id AND l.role = 'callee') AS leg";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(VIEW).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP VIEW call_history").await.map(drop)
    }
}
