//! The public status of each user, as the seeds' own queries read it.

use sea_orm::entity::prelude::*;

/// A user's status.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_status")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub user_id: String,
    /// `online`, `offline`, `in_call` or `busy`.
    #[sea_orm(column_type = "Text")]
    pub status: String,
    /// The last proof of life over all devices.
    pub last_seen: DateTimeUtc,
    /// Who the user is in a call with.
    #[sea_orm(column_type = "Text", nullable)]
    pub current_call_with: Option<String>,
}

/// No relations: rows are joined by hand where a query needs them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
