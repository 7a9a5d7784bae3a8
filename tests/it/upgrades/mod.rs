//! Databases of earlier releases, as their killed processes left them, in `tests/fixtures/databases`. `recording` makes one
//! out of a `life`, `look` reads one, and `taken_up` starts this service on each.

mod life;
mod look;
mod recording;
mod taken_up;

use std::path::{Path, PathBuf};

use serde_json::Value;
use switchboard::clock::Timestamp;

use crate::harness::Kind;

/// A release's database, with the answers of that release.
struct Fixture {
    release: String,
    /// SQL for an empty database.
    sql: String,
    /// See `recording`.
    said: Value,
}

impl Fixture {
    /// Those of every release, the oldest first as far as names say.
    fn all(kind: Kind) -> Vec<Self> {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(databases())
            .expect("tests/fixtures/databases")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        assert!(!folders.is_empty(), "there is no release before this one");
        folders.iter().map(|folder| Self::read(folder, kind)).collect()
    }

    fn read(folder: &Path, kind: Kind) -> Self {
        let text = |ending: &str| {
            let path = folder.join(format!("{}.{ending}", name(kind)));
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let release = folder.file_name().expect("a name").to_string_lossy().into_owned();
        Self { release, sql: text("sql"), said: serde_json::from_str(&text("json")).expect("JSON") }
    }

    /// When its process was killed.
    fn killed_at(&self) -> Timestamp {
        serde_json::from_value(self.said["killed_at"].clone()).expect("a time")
    }

    /// The number of a call that was live.
    fn live(&self, name: &str) -> i64 {
        self.said["live"][name].as_i64().unwrap_or_else(|| panic!("no live call {name}: {}", self.said["live"]))
    }

    /// The numbers of all that were.
    fn all_live(&self) -> Vec<i64> {
        let live = self.said["live"].as_object().expect("live calls");
        live.values().map(|id| id.as_i64().expect("a number")).collect()
    }
}

fn databases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/databases")
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
    }
}
