//! Calls by who takes part in them: a leg each, which one finds by its user from the newest call on, and by its call.

use entity::call_legs::Column as L;
use entity::{call_legs, calls};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, Order};

use super::span::Span;
use crate::ids::UserId;

/// The name legs have where they are looked up by their call.
const LEG: &str = "leg";

/// Which legs calls are found by.
#[derive(Debug, Clone)]
pub(super) struct Legs {
    /// This user's; anybody's, where it is nobody.
    pub of: Option<UserId>,
    /// Only those who missed the call, or did not.
    pub missed: Option<bool>,
}

impl Legs {
    /// The newest calls of a span that have such a leg, whose other legs and which themselves are as said, at most so
    /// many: the legs are read from the newest on until the calls are found, however many older ones there are.
    pub(super) fn newest(&self, span: Span, others: Condition, calls: Condition, limit: u64) -> SelectStatement {
        let mut newest = self.calls(span);
        newest.cond_where(others).order_by((call_legs::Entity, L::CallId), Order::Desc).limit(limit);
        if self.of.is_none() {
            // A group call may have several.
            newest.distinct();
        }
        if !calls.is_empty() {
            newest.and_where(is(of_leg(), calls));
        }
        newest
    }

    /// The calls of a span that have such a leg.
    pub(super) fn calls(&self, span: Span) -> SelectStatement {
        let mut calls = Query::select();
        calls.column((call_legs::Entity, L::CallId)).from(call_legs::Entity);
        if let Some(who) = &self.of {
            calls.and_where(L::UserId.eq(who.as_str()));
        }
        if let Some(missed) = self.missed {
            // Literally the condition of the index.
            calls.and_where(Expr::cust(if missed { "missed" } else { "NOT missed" }));
        }
        calls.and_where(L::CallId.between(span.lowest, span.highest));
        calls
    }
}

/// The call of one of [`Legs`].
pub(super) fn of_leg() -> SimpleExpr {
    Expr::col((call_legs::Entity, L::CallId))
}

/// That all of these take part in a call.
pub(super) fn take_part(call: SimpleExpr, members: &[&UserId]) -> Condition {
    members.iter().fold(Condition::all(), |all, who| all.add(Expr::exists(leg(call.clone(), Some(who), false))))
}

/// That a call was missed, or not, by this user, or by any callee.
pub(super) fn missed_it(call: SimpleExpr, by: Option<&UserId>, missed: Option<bool>) -> Condition {
    let any = missed_by(call, by);
    Condition::all().add_option(missed.map(|missed| if missed { any } else { any.not() }))
}

/// Whether a call was missed by this user, or by any callee.
pub(super) fn missed_by(call: SimpleExpr, by: Option<&UserId>) -> SimpleExpr {
    Expr::exists(leg(call, by, true))
}

/// The legs of a call: a user's, and only where the call was missed.
fn leg(call: SimpleExpr, who: Option<&UserId>, missed: bool) -> SelectStatement {
    let mut leg = Query::select();
    leg.expr(Expr::cust("1")).from_as(call_legs::Entity, LEG).and_where(Expr::col((LEG, L::CallId)).eq(call));
    if let Some(who) = who {
        leg.and_where(Expr::col((LEG, L::UserId)).eq(who.as_str()));
    }
    if missed {
        leg.and_where(Expr::col((LEG, L::Missed)).eq(true));
    }
    leg
}

/// That the call itself is such a one. By a sum, so that SQLite does not turn this round and go through the calls.
fn is(call: SimpleExpr, such: Condition) -> SimpleExpr {
    let mut one = Query::select();
    one.expr(Expr::cust("1"))
        .from(calls::Entity)
        .and_where(Expr::col((calls::Entity, calls::Column::Id)).eq(call.add(0)))
        .cond_where(such);
    Expr::exists(one)
}
