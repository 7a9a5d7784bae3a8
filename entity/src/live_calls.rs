//! What a restarted service goes on from: a row for each call that is live.

use sea_orm::entity::prelude::*;

/// A live call's machine.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "live_calls")]
pub struct Model {
    /// The call.
    #[sea_orm(primary_key, auto_increment = false)]
    pub call_id: i64,
    /// The machine as JSON.
    #[sea_orm(column_type = "Text")]
    pub machine: String,
}

/// No relations: rows are joined by hand where a query needs them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
