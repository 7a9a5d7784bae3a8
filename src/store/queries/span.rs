//! Where the calls of a period stand among all, so that a list of them is read in its own order from the first
//! row on, and neither sorts the period for each page nor walks over what is newer.

use entity::calls;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Select};

use crate::clock::Timestamp;

/// The lowest and the highest id of the calls of a period. Ids grow with the start of calls, or nearly so: a clock
/// may have been set back. So between the two there may be others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// That of the first call.
    pub lowest: i64,
    /// That of the last one.
    pub highest: i64,
}

impl Span {
    /// That of all time.
    pub const ALL: Self = Self { lowest: 0, highest: i64::MAX };
}

/// Started from `since` to before `until`, as far as they are given.
pub(super) fn started(since: Option<Timestamp>, until: Option<Timestamp>) -> Condition {
    use calls::Column as C;
    Condition::all()
        .add_option(since.map(|since| C::StartedAt.gte(since)))
        .add_option(until.map(|until| C::StartedAt.lt(until)))
}

/// The span of a period; `None` when it has no calls.
pub async fn span<C: ConnectionTrait>(
    db: &C,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Option<Span>, DbErr> {
    if since.is_none() && until.is_none() {
        return Ok(Some(Span::ALL));
    }
    let found: Option<(Option<i64>, Option<i64>)> = ends_of(since, until).into_tuple().one(db).await?;
    let Some((Some(lowest), Some(highest))) = found else { return Ok(None) };
    Ok(Some(Span { lowest, highest }))
}

/// The query behind [`span`], for whoever wants to know how it is carried out.
pub fn ends_of(since: Option<Timestamp>, until: Option<Timestamp>) -> Select<calls::Entity> {
    calls::Entity::find()
        .select_only()
        // A sum, because of a bare id PostgreSQL would look for the lowest by going through all of them in order.
        .expr_as(Expr::cust("MIN(id + 0)"), "lowest")
        .expr_as(Expr::cust("MAX(id + 0)"), "highest")
        .filter(started(since, until))
}
