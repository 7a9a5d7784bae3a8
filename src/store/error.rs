//! What can go wrong with the database, each with one sentence.

use sea_orm::{DbErr, RuntimeErr};

/// Why the store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database this service speaks to. The URL itself may hold a password and is not repeated.
    #[error("the database URL must start with sqlite:// or postgres:// (for example sqlite://switchboard.db?mode=rwc)")]
    UnknownUrl,
    /// The database could not be opened.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// The schema is behind and may not be changed.
    #[error("the database lacks {} migration(s), first \"{}\"; run `switchboard migrate up`, or start without --no-migrate", .0.len(), .0.first().map_or("", String::as_str))]
    Pending(Vec<String>),
    /// A migration failed.
    #[error("the database could not be migrated: {0}")]
    Migration(String),
    /// The database is away, or did not answer in time.
    #[error("the database is away: {0}")]
    Away(String),
    /// The database refused a statement.
    #[error("the database refused a statement: {0}")]
    Refused(String),
    /// A row holds something the service never wrote.
    #[error("a row cannot be read: {0}")]
    Unreadable(String),
    /// More writes are waiting than are let in.
    #[error("too many writes are waiting for the database")]
    Full,
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if is_bad_row(&error) { Self::Refused(error.to_string()) } else { Self::Away(error.to_string()) }
    }
}

/// Whether the row is to blame, so that writing it again cannot help. Everything else (a lock, a full disk, a
/// lost connection, a missing table) is the database's state and may pass.
pub(super) fn is_bad_row(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    let sqlx::Error::Database(cause) = cause.as_ref() else {
        return matches!(cause.as_ref(), sqlx::Error::Encode(_));
    };
    let Some(code) = cause.code() else { return false };
    match code.parse::<u32>() {
        // SQLite: the low byte of an extended code is its kind: too big, constraint, mismatch, range.
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 18 | 19 | 20 | 25),
        // PostgreSQL: classes of SQLSTATE: cardinality, data, integrity.
        _ => ["21", "22", "23"].iter().any(|class| code.starts_with(class)),
    }
}
