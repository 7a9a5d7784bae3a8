//! The call-log seed's `call_logs`: one row per call.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A user id as the seeds write it: a JSON number where it is a canonical integer up to 2^53-1.
/// Caller first, then in the order they were invited.
fn participants(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres {
        "(SELECT json_agg(CASE WHEN l.user_id ~ '^(0|[1-9][0-9]{0,15})$' AND \
         CASE WHEN l.user_id ~ '^[0-9]{1,16}$' THEN l.user_id::bigint <= 9007199254740991 ELSE false END \
         THEN to_json(l.user_id::bigint) ELSE to_json(l.user_id) END ORDER BY l.position) \
         FROM call_legs l WHERE l.call_id = c.id)"
    } else {
        "(SELECT json_group_array(CASE WHEN CAST(CAST(l.user_id AS INTEGER) AS TEXT) = l.user_id \
         AND CAST(l.user_id AS INTEGER) BETWEEN 0 AND 9007199254740991 \
         THEN CAST(l.user_id AS INTEGER) ELSE l.user_id END) \
         FROM (SELECT user_id FROM call_legs WHERE call_id = c.id ORDER BY position) AS l)"
    }
}

/// `switchboard::store::vocabulary` says the same in Rust, and a test compares the two.
fn view(backend: DbBackend) -> String {
    // The type tells SQLite nothing, PostgreSQL what an absent profile would have been.
    format!(
        "CREATE VIEW call_logs AS
SELECT c.id, c.conversation_id, CAST(NULL AS INTEGER) AS caller_profile_id,
       CAST(NULL AS TEXT) AS caller_profile_type, c.caller_id AS caller_user_id, c.call_type,
       CASE WHEN c.phase <> 'ended' THEN c.phase
            WHEN c.reason IN ('completed', 'dropped') THEN 'ended'
            WHEN c.reason = 'killed' THEN CASE WHEN c.answered_at IS NULL THEN 'cancelled' ELSE 'ended' END
            WHEN c.reason IN ('declined', 'cancelled') THEN c.reason
            WHEN c.reason IN ('no_answer', 'busy', 'offline') THEN 'missed'
            ELSE 'failed' END AS status,
       c.started_at, c.answered_at, c.ended_at, c.duration_seconds,
       {} AS participants, c.started_at AS created_at
FROM calls c",
        participants(backend)
    )
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let view = view(manager.get_database_backend());
        manager.get_connection().execute_unprepared(&view).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP VIEW call_logs").await.map(drop)
    }
}
