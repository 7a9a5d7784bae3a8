//! A record as one writes it first: each transition in a transaction of its own, through the same library as the
//! service and with the same promise (SQLite in WAL mode, `synchronous=FULL`).

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use crate::Outcome;

/// Opens a record of its own.
pub async fn open(database: Option<String>) -> Outcome<DatabaseConnection> {
    let mut options = ConnectOptions::new(database.ok_or("a record needs a database")?);
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await?;
    let table = "CREATE TABLE transitions (id INTEGER PRIMARY KEY, user INTEGER, peer INTEGER, what TEXT, at TEXT)";
    for sql in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", table] {
        db.execute_unprepared(sql).await?;
    }
    Ok(db)
}

/// Whether a message changes how a call stands.
pub fn is_transition(kind: &str) -> bool {
    matches!(kind, "call_invitation" | "call_answer" | "call_ended")
}

/// Writes a transition. It is durable when this returns.
pub async fn note(db: &DatabaseConnection, user: usize, peer: Option<usize>, what: &str) -> Outcome<()> {
    let number = |user: usize| i64::try_from(user).ok();
    let sql = "INSERT INTO transitions (user, peer, what, at) VALUES (?, ?, ?, datetime('now', 'subsec'))";
    let values = [number(user).into(), peer.and_then(number).into(), what.into()];
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    Ok(())
}
