//! Everybody who ever was here or took part, by user id.

use std::collections::HashMap;

use entity::{user_status, users};
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{ColumnTrait, Condition, DbBackend, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};

use super::KEYS;
use super::rows::user;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::store::{Store, StoreError, within};

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// Their name as last seen.
    pub name: Option<String>,
    /// When they were last seen; `None` for those who never were here.
    pub last_seen: Option<Timestamp>,
}

/// The people after `after` in the order of user ids, byte by byte; with `sought`, a text in lower case, only
/// those whose id or name may have it in it: databases know small and capital letters of ASCII alone for sure, so
/// whatever stands for another letter there is for the reader to compare.
pub async fn people(
    store: &Store,
    sought: Option<&str>,
    after: Option<&UserId>,
    limit: u64,
) -> Result<Vec<Person>, StoreError> {
    use user_status::Column as S;
    use users::Column as U;
    // PostgreSQL's own order is that of some language; SQLite's is by bytes.
    let id = || match store.inner.backend {
        DbBackend::Postgres => Expr::cust(r#""users"."id" COLLATE "C""#),
        _ => Expr::col((users::Entity, U::Id)),
    };
    let has = |column: U, text: &str| {
        Expr::expr(Func::lower(Expr::col((users::Entity, column)))).like(LikeExpr::new(pattern(text)).escape('\\'))
    };
    let db = store.readers();
    let rows: Vec<(String, Option<String>, Option<Timestamp>)> = within(
        users::Entity::find()
            .select_only()
            .columns([U::Id, U::Name])
            .column(S::LastSeen)
            .join(JoinType::LeftJoin, users::Entity::belongs_to(user_status::Entity).from(U::Id).to(S::UserId).into())
            .filter(
                Condition::all()
                    .add_option(after.map(|after| id().gt(after.as_str())))
                    .add_option(sought.map(|text| has(U::Id, text).or(has(U::Name, text)))),
            )
            .order_by_asc(id())
            .limit(limit)
            .into_tuple()
            .all(db.as_ref()),
    )
    .await?;
    rows.into_iter().map(|(id, name, last_seen)| Ok(Person { user: user(&id)?, name, last_seen })).collect()
}

/// The names these users were last seen with, where they had one.
pub async fn names(store: &Store, whom: &[UserId]) -> Result<HashMap<UserId, String>, StoreError> {
    use users::Column as U;
    let db = store.readers();
    let mut names = HashMap::with_capacity(whom.len());
    for whom in whom.chunks(KEYS) {
        let rows = within(
            users::Entity::find()
                .filter(U::Id.is_in(whom.iter().map(UserId::as_str)))
                .filter(U::Name.is_not_null())
                .all(db.as_ref()),
        )
        .await?;
        for row in rows {
            names.extend(row.name.map(|name| user(&row.id).map(|user| (user, name))).transpose()?);
        }
    }
    Ok(names)
}

/// A text as part of a `LIKE`: what is special there stands for itself, and anything for letters beyond ASCII.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for letter in text.chars() {
        if !letter.is_ascii() {
            pattern.push('%');
            continue;
        }
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_stands_for_itself() {
        assert_eq!(pattern("ann"), "%ann%");
        assert_eq!(pattern("50%_\\"), "%50\\%\\_\\\\%");
        assert_eq!(pattern("jürg"), "%j%rg%");
    }
}
