//! Whose profiles are, for the start of the service.

use entity::profiles as table;
use sea_orm::EntityTrait;

use super::rows::user;
use crate::ids::UserId;
use crate::store::{Store, StoreError, within};

/// Every profile somebody has, by its key, and whose it is.
pub async fn profiles(store: &Store) -> Result<Vec<(UserId, UserId)>, StoreError> {
    let db = store.readers();
    let rows = within(table::Entity::find().all(db.as_ref())).await?;
    rows.iter().map(|row| Ok((user(&row.profile)?, user(&row.user_id)?))).collect()
}
