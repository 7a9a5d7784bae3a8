//! Whose profiles are, as tokens said last.

use sea_orm::entity::prelude::*;

/// A profile that is another address of a user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "profiles")]
pub struct Model {
    /// The profile's key: its type and its id, `tutor_1`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub profile: String,
    /// The user whose it is.
    #[sea_orm(column_type = "Text")]
    pub user_id: String,
}

/// No relations: rows are joined by hand where a query needs them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
