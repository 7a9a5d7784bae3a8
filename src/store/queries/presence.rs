//! What is known of users from before: when they were last seen.

use std::collections::HashMap;

use entity::{user_status, users};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::KEYS;
use super::rows::user;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::store::{Store, StoreError, within};

/// When each of these users was last seen; users never seen are absent.
pub async fn last_seen(store: &Store, whom: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError> {
    let db = store.readers();
    let mut seen = HashMap::with_capacity(whom.len());
    for whom in whom.chunks(KEYS) {
        let rows = within(
            select()
                .filter(user_status::Column::UserId.is_in(whom.iter().map(UserId::as_str)))
                .into_tuple()
                .all(db.as_ref()),
        )
        .await?;
        for row in rows {
            let (who, at) = known(row)?;
            seen.insert(who, at);
        }
    }
    Ok(seen)
}

/// Whether this user ever was here, took part in a call or was called.
pub async fn is_known(store: &Store, who: &UserId) -> Result<bool, StoreError> {
    let db = store.readers();
    let found = within(async {
        let user = users::Entity::find_by_id(who.as_str()).one(db.as_ref()).await?.is_some();
        Ok(user || user_status::Entity::find_by_id(who.as_str()).one(db.as_ref()).await?.is_some())
    });
    found.await
}

/// At the start nobody is here yet: everybody is offline and in no call. When they were last seen stays.
pub async fn settle_statuses(store: &Store) -> Result<(), StoreError> {
    use user_status::Column as S;
    within(async {
        let transaction = store.begin().await?;
        user_status::Entity::update_many()
            .col_expr(S::Status, Expr::value("offline"))
            .col_expr(S::CurrentCallWith, Expr::value(None::<String>))
            .filter(Condition::any().add(S::Status.ne("offline")).add(S::CurrentCallWith.is_not_null()))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    })
    .await
}

fn select() -> sea_orm::Select<user_status::Entity> {
    use user_status::Column as S;
    user_status::Entity::find().select_only().columns([S::UserId, S::LastSeen])
}

fn known((who, at): (String, Timestamp)) -> Result<(UserId, Timestamp), StoreError> {
    Ok((user(&who)?, at))
}
