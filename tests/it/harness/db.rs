//! A database per story, and a look into it that does not go through the service.

use std::path::PathBuf;
use std::sync::Arc;

use entity::calls;
use sea_orm::{
    ActiveModelTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait,
    IntoActiveModel, Set, Statement,
};

use super::{Kind, eventually};

/// A story's own database: a SQLite file in a folder of its own, or a database in the PostgreSQL that
/// `./test` started.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// What the service is told instead of the database's own address.
    detour: Option<String>,
}

struct Inner {
    url: String,
    /// The PostgreSQL server and the database's name in it, to remove it.
    postgres: Option<(String, String)>,
    /// The story's folder: the SQLite file and the service's logs. Removed when dropped.
    folder: tempfile::TempDir,
}

impl Store {
    /// A fresh database. `None` where PostgreSQL is deliberately left out.
    pub async fn create(kind: Kind) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (url, postgres) = match kind {
            Kind::Sqlite => (format!("sqlite://{}?mode=rwc", folder.path().join("story.db").display()), None),
            Kind::Postgres => {
                let Ok(server) = std::env::var("SWITCHBOARD_TEST_POSTGRES") else {
                    // Leaving half of the stories out must be somebody's decision, not an oversight.
                    assert!(
                        std::env::var("SWITCHBOARD_TEST_SQLITE_ONLY").is_ok_and(|value| value == "1"),
                        "no PostgreSQL: run ./test, which starts PostgreSQL"
                    );
                    println!("left out: SWITCHBOARD_TEST_SQLITE_ONLY=1");
                    return None;
                };
                let name = format!("story_{}", uuid::Uuid::new_v4().simple());
                let admin = connect(&server).await;
                admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("CREATE DATABASE");
                admin.close().await.expect("closing the connection to PostgreSQL");
                let (base, _) = server.rsplit_once('/').expect("SWITCHBOARD_TEST_POSTGRES names a database");
                (format!("{base}/{name}"), Some((server, name)))
            }
        };
        Some(Self { inner: Arc::new(Inner { url, postgres, folder }), detour: None })
    }

    /// What the service is told to use.
    pub fn url(&self) -> &str {
        self.detour.as_deref().unwrap_or(&self.inner.url)
    }

    /// The database's own address.
    pub fn own_url(&self) -> &str {
        &self.inner.url
    }

    /// The same database, which the service reaches by another address.
    pub fn by_way_of(&self, url: String) -> Self {
        Self { inner: Arc::clone(&self.inner), detour: Some(url) }
    }

    /// Where the story's files go.
    pub fn file(&self, name: &str) -> PathBuf {
        self.inner.folder.path().join(name)
    }

    /// Opens the database beside the service.
    pub async fn open(&self) -> Db {
        Db(connect(self.own_url()).await)
    }

    /// Runs SQL that makes a database out of this empty one.
    pub async fn load(&self, sql: &str) {
        let db = connect(self.own_url()).await;
        db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("the SQL cannot be run: {error}"));
        db.close().await.expect("closing");
    }

    /// Removes the database; whoever is still connected is thrown out.
    pub async fn remove(self) {
        if let Some((server, name)) = &self.inner.postgres {
            let admin = connect(server).await;
            admin
                .execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                .await
                .expect("DROP DATABASE");
            admin.close().await.expect("closing the connection to PostgreSQL");
        }
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap_or_else(|error| panic!("cannot open {url}: {error}"))
}

/// The story's database, for SQL as the seeds write it.
pub struct Db(DatabaseConnection);

impl Db {
    /// Runs a statement.
    pub async fn execute(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// From now on times are written in UTC, as SQLite's are.
    pub async fn in_utc(&self) {
        if self.0.get_database_backend() == DbBackend::Postgres {
            self.execute("SET TIME ZONE 'UTC'").await;
        }
    }

    /// The columns of a table or view as text, NULL as an empty text: databases differ in types, and
    /// stories care for values. `rest` is what follows the name, for example `WHERE id = 7`.
    pub async fn rows(&self, columns: &[&str], from: &str, rest: &str) -> Vec<Vec<String>> {
        let list: Vec<String> =
            columns.iter().enumerate().map(|(n, column)| format!("CAST({column} AS TEXT) AS c{n}")).collect();
        let sql = format!("SELECT {} FROM {from} {rest}", list.join(", "));
        let statement = Statement::from_string(self.0.get_database_backend(), sql.clone());
        let rows = self.0.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter()
            .map(|row| {
                (0..columns.len())
                    .map(|n| row.try_get::<Option<String>>("", &format!("c{n}")).expect("text").unwrap_or_default())
                    .collect()
            })
            .collect()
    }

    /// The one row there must be.
    pub async fn row(&self, columns: &[&str], from: &str, rest: &str) -> Vec<String> {
        let mut rows = self.rows(columns, from, rest).await;
        assert_eq!(rows.len(), 1, "rows of {from} {rest}: {rows:?}");
        rows.remove(0)
    }

    /// How many rows there are.
    pub async fn count(&self, from: &str, rest: &str) -> usize {
        self.row(&["count(*)"], from, rest).await[0].parse().expect("a count")
    }

    /// Waits until the service has noticed so many times that a device in a call was lost: it cannot know before the
    /// connection tells it.
    pub async fn until_lost(&self, times: usize) {
        eventually("a device is lost", async || {
            (self.count("call_events", "WHERE what = 'lost'").await == times).then_some(())
        })
        .await;
    }

    /// Makes calls two days older, as the service writes times.
    pub async fn two_days_older(&self, calls: &[i64]) {
        for call in calls {
            let row = calls::Entity::find_by_id(*call).one(&self.0).await.expect("a query").expect("the call");
            let earlier = |at| at - chrono::Duration::days(2);
            let (started_at, answered_at) = (earlier(row.started_at), row.answered_at.map(earlier));
            let mut row = row.into_active_model();
            row.started_at = Set(started_at);
            row.answered_at = Set(answered_at);
            row.update(&self.0).await.expect("an update");
        }
    }

    /// How a call reads in both record vocabularies: `call_logs.status`, `call_history.call_status`.
    pub async fn outcome(&self, call: i64) -> (String, String) {
        let by_id = format!("WHERE id = {call}");
        let log = self.row(&["status"], "call_logs", &by_id).await.remove(0);
        let history = self.row(&["call_status"], "call_history", &by_id).await.remove(0);
        (log, history)
    }
}
