//! Makes the fixtures of a release. See `tests/fixtures/README.md`.

use std::process::Command;

use serde_json::json;
use switchboard::clock::Clock;

use super::{databases, life, look, name};
use crate::harness::{Kind, Service, Store, tell};

#[tokio::test]
#[ignore = "makes a fixture: see tests/fixtures/README.md"]
async fn a_fixture_on_sqlite() {
    tell(Kind::Sqlite, |store| record(store, Kind::Sqlite)).await;
}

#[tokio::test]
#[ignore = "makes a fixture: see tests/fixtures/README.md"]
async fn a_fixture_on_postgres() {
    tell(Kind::Postgres, |store| record(store, Kind::Postgres)).await;
}

async fn record(store: Store, kind: Kind) {
    let release = std::env::var("SWITCHBOARD_FIXTURE").expect("SWITCHBOARD_FIXTURE is the name of the release");
    let mut service = Service::with(&store, &life::BRISK).await;
    life::ended(&service, &store).await;
    service.terminate().await;
    assert!(service.exited().await.success());
    let mut service = Service::with(&store, &life::USUAL).await;
    let (live, connected) = life::live(&service, &store).await;
    let ids: Vec<i64> =
        live.as_object().expect("an object").values().map(|id| id.as_i64().expect("a number")).collect();
    let served = look::served(&service, &ids).await;
    service.kill9().await;
    let killed_at = Clock::new().now().wall;
    drop(connected);
    let stored = look::stored(&store, &ids).await;
    let said = json!({ "killed_at": killed_at, "live": live, "served": served, "stored": stored });

    let folder = databases().join(release);
    std::fs::create_dir_all(&folder).expect("the folder");
    let write = |ending: &str, text: String| {
        std::fs::write(folder.join(format!("{}.{ending}", name(kind))), text).expect("the file");
    };
    write("sql", dump(&store, kind));
    write("json", serde_json::to_string_pretty(&said).expect("JSON") + "\n");
}

/// The database as SQL, what its log still held included.
fn dump(store: &Store, kind: Kind) -> String {
    let mut command = match kind {
        Kind::Sqlite => {
            let mut command = Command::new("sqlite3");
            command.arg(store.file("story.db")).arg(".dump");
            command
        }
        Kind::Postgres => {
            let mut command = Command::new("pg_dump");
            command.args(["--no-owner", "--no-privileges", "--inserts", "--dbname", store.url()]);
            command
        }
    };
    let output = command.output().expect("sqlite3 and pg_dump");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    // Commands of psql, comments and blank lines are nothing to a database.
    let keep = |line: &&str| !line.is_empty() && !line.starts_with('\\') && !line.starts_with("--");
    text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
}
