//! Rows on their way into a table, as statements of few lengths.
//!
//! A statement is prepared once for each of its texts, so a text may not change with each number of rows: it has room for
//! some more, which is filled with rows of nothing but NULL, and those are passed over. SQLite takes the statements
//! of several tables as one text, so that its thread is woken once for all of them.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement, Value};

/// The lengths there are, in units: rows of a table that has one for each call. Steps of a sixth to a half where there
/// are many, so that little is bound for nothing.
const UNITS: [usize; 12] = [1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, MOST];

/// How many calls are written by one text: well under the variables that either database takes.
pub(super) const MOST: usize = 64;

/// What is done with rows, which stand between `before` and `after` as `VALUES`. A row without its first column is
/// none.
pub(super) struct Shape {
    pub before: &'static str,
    pub after: &'static str,
    /// How many columns a row has.
    pub columns: usize,
    /// How many rows there usually are for a call.
    pub for_a_call: usize,
}

/// Rows for one statement, or more where there are many.
pub(super) struct Rows {
    shape: &'static Shape,
    values: Vec<Value>,
}

impl Rows {
    pub fn new(shape: &'static Shape) -> Self {
        Self { shape, values: Vec::new() }
    }

    /// Adds a row, in the order of its columns.
    pub fn push<const COLUMNS: usize>(&mut self, row: [Value; COLUMNS]) {
        debug_assert_eq!(COLUMNS, self.shape.columns);
        self.values.extend(row);
    }

    /// For how many calls there must be room.
    fn units(&self) -> usize {
        (self.values.len() / self.shape.columns).div_ceil(self.shape.for_a_call)
    }

    /// The first rows, as many as one statement takes; the others stay.
    fn split(&mut self) -> Self {
        let most = MOST * self.shape.for_a_call * self.shape.columns;
        let rest = if self.values.len() > most { self.values.split_off(most) } else { Vec::new() };
        Self { shape: self.shape, values: std::mem::replace(&mut self.values, rest) }
    }

    /// Adds the statement with room for so many calls, and its values.
    fn write_to(self, units: usize, backend: DbBackend, sql: &mut String, values: &mut Vec<Value>) {
        let Shape { before, after, columns, for_a_call } = *self.shape;
        let rows = units * for_a_call;
        sql.push_str(before);
        let mut number = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { "VALUES (" } else { ", (" });
            for column in 0..columns {
                number += 1;
                sql.push_str(if column == 0 { "" } else { ", " });
                match backend {
                    DbBackend::Postgres => drop(write!(sql, "${number}")),
                    _ => sql.push('?'),
                }
            }
            sql.push(')');
        }
        sql.push_str(after);
        // Of the type of their column, which PostgreSQL goes by.
        let nothing: Vec<Value> = self.values.iter().take(columns).map(Value::as_null).collect();
        let missing = rows - self.values.len() / columns;
        values.extend(self.values);
        values.extend(std::iter::repeat_n(nothing, missing).flatten());
    }
}

/// Writes rows of several tables, in this order.
pub(super) async fn write(db: &DatabaseTransaction, mut tables: Vec<Rows>) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    tables.retain(|rows| !rows.values.is_empty());
    let most = tables.iter().map(Rows::units).max().unwrap_or_default();
    if backend == DbBackend::Sqlite && most <= MOST {
        return execute(db, backend, tables).await;
    }
    for mut rows in tables {
        while !rows.values.is_empty() {
            execute(db, backend, vec![rows.split()]).await?;
        }
    }
    Ok(())
}

async fn execute(db: &DatabaseTransaction, backend: DbBackend, tables: Vec<Rows>) -> Result<(), DbErr> {
    let Some(units) = length(tables.iter().map(Rows::units).max().unwrap_or_default()) else { return Ok(()) };
    let (mut sql, mut values) = (String::new(), Vec::new());
    for rows in tables {
        rows.write_to(units, backend, &mut sql, &mut values);
        sql.push(';');
    }
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(drop)
}

/// The least length with room for so many; `None` for nothing, and for what must be split.
fn length(units: usize) -> Option<usize> {
    UNITS.into_iter().find(|length| units > 0 && *length >= units)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        before: "INSERT INTO t (a, b) SELECT * FROM (",
        after: ") AS v WHERE column1 IS NOT NULL",
        columns: 2,
        for_a_call: 2,
    };

    fn rows(count: i64) -> Rows {
        let mut rows = Rows::new(&SHAPE);
        (0..count).for_each(|n| rows.push([Value::from(n), Value::from("b")]));
        rows
    }

    #[test]
    fn texts_are_few_and_what_is_free_is_null_of_the_columns_type() {
        let written = |count: i64, backend| {
            let (mut sql, mut values) = (String::new(), Vec::new());
            let rows = rows(count);
            let units = length(rows.units()).unwrap();
            rows.write_to(units, backend, &mut sql, &mut values);
            (sql, values)
        };
        let (sql, values) = written(1, DbBackend::Postgres);
        assert_eq!(
            sql,
            "INSERT INTO t (a, b) SELECT * FROM (VALUES ($1, $2), ($3, $4)) AS v WHERE column1 IS NOT NULL"
        );
        assert_eq!(values, [0_i64.into(), "b".into(), Value::BigInt(None), Value::String(None)]);
        let texts: std::collections::BTreeSet<String> =
            (1..=128).map(|count| written(count, DbBackend::Sqlite).0).collect();
        assert_eq!(texts.len(), UNITS.len());
    }

    #[test]
    fn what_does_not_fit_one_statement_goes_by_several() {
        let mut rows = rows(300);
        let mut taken = Vec::new();
        while !rows.values.is_empty() {
            taken.push(rows.split().values.len() / 2);
        }
        assert_eq!(taken, [128, 128, 44]);
        assert_eq!((length(0), length(65)), (None, None));
    }
}
