//! One row per participant of a call.

use sea_orm::entity::prelude::*;

/// A participant's part in a call.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "call_legs")]
pub struct Model {
    /// The call.
    #[sea_orm(primary_key, auto_increment = false)]
    pub call_id: i64,
    /// The participant.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub user_id: String,
    /// 0 for the caller, then in the order they were invited.
    pub position: i32,
    /// `caller` or `callee`.
    #[sea_orm(column_type = "Text")]
    pub role: String,
    /// `invited`, `ringing`, `joined`, `lost`, `left`, `declined`, `missed` or `failed`.
    #[sea_orm(column_type = "Text")]
    pub state: String,
    /// How it ended for this participant; absent while it lasts.
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    /// The device it takes, or took, part with.
    #[sea_orm(column_type = "Text", nullable)]
    pub device: Option<String>,
    /// When it joined.
    pub joined_at: Option<DateTimeUtc>,
    /// When its part ended.
    pub left_at: Option<DateTimeUtc>,
    /// Whether this participant has a missed call to see.
    pub missed: bool,
    /// Whether the participant has seen it. Never written by a record, only by its reader.
    pub seen: bool,
}

/// No relations: rows are joined by hand where a query needs them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
