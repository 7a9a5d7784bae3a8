//! One row per call. The id is the call's own, so writing a row twice changes nothing.

use sea_orm::entity::prelude::*;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "calls")]
pub struct Model {
    /// The call's number, given by the service and not by the database.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Who made the call.
    #[sea_orm(column_type = "Text")]
    pub caller_id: String,
    /// The caller's name as the callee saw it.
    #[sea_orm(column_type = "Text", nullable)]
    pub caller_name: Option<String>,
    /// `voice` or `video`.
    #[sea_orm(column_type = "Text")]
    pub call_type: String,
    /// The conversation in the embedding application.
    #[sea_orm(column_type = "Text", nullable)]
    pub conversation_id: Option<String>,
    /// `initiated`, `ringing`, `answered` or `ended`.
    #[sea_orm(column_type = "Text")]
    pub phase: String,
    /// Why it ended; set exactly when `phase` is `ended`.
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    /// Who ended it, where somebody did.
    #[sea_orm(column_type = "Text", nullable)]
    pub ended_by: Option<String>,
    /// When the service took the call on.
    pub started_at: DateTimeUtc,
    /// When the first callee joined.
    pub answered_at: Option<DateTimeUtc>,
    /// When it ended; for a dropped call the moment of loss.
    pub ended_at: Option<DateTimeUtc>,
    /// Whole seconds between answer and end; 0 unless answered.
    pub duration_seconds: i64,
    /// The caller's retry key.
    #[sea_orm(column_type = "Text", nullable)]
    pub idempotency_key: Option<String>,
    /// Whether a client reported the call, instead of the service having routed it.
    pub reported: bool,
    /// When a client first said that it was connected; information, beside what the service saw.
    pub client_connected_at: Option<DateTimeUtc>,
    /// How long a client counted; information as well.
    pub client_duration_seconds: Option<i64>,
}

/// No relations: rows are joined by hand where a query needs them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
