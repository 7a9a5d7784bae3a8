//! The trace of a call: one row per transition, never changed once written.

use sea_orm::entity::prelude::*;

/// A transition.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "call_events")]
pub struct Model {
    /// The call.
    #[sea_orm(primary_key, auto_increment = false)]
    pub call_id: i64,
    /// Its number within the call, from 1 without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i32,
    /// When it happened, by the call's own monotonic time.
    pub at: DateTimeUtc,
    /// What happened.
    #[sea_orm(column_type = "Text")]
    pub what: String,
    /// Whose doing it was.
    #[sea_orm(column_type = "Text", nullable)]
    pub who: Option<String>,
    /// More about it: a reason, a device.
    #[sea_orm(column_type = "Text", nullable)]
    pub detail: Option<String>,
}

/// No relations: rows are joined by hand where a query needs them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
