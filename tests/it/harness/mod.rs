//! What stories are told with: a service of their own ([`Service`]) on a database of their own
//! ([`Store`]), people on sockets ([`Socket`]) and people who poll ([`Rest`]).

pub mod cable;
pub mod db;
mod on_port;
pub mod outage;
pub mod phone;
pub mod proxies;
pub mod proxy;
pub mod raw;
pub mod rest;
pub mod service;
pub mod socket;
pub mod turn;

pub use cable::Cable;
pub use db::Store;
pub use outage::Outage;
pub use proxy::Proxy;
pub use rest::Rest;
pub use service::{Service, run};
pub use socket::Socket;
pub use turn::Turn;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// How long anything may take that should happen at once. Long, because it is waited for only when
/// something is wrong, and a loaded machine is not wrong.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The databases every story runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// Makes a test of each story on each database: `on_both!(a_story, another)` for plain functions
/// `async fn a_story(store: Store)`.
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    $crate::harness::tell($crate::harness::Kind::Sqlite, super::$story).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    $crate::harness::tell($crate::harness::Kind::Postgres, super::$story).await;
                }
            )+
        }
    };
}

/// As `on_both!`, on SQLite only: for stories in which the database plays no part.
macro_rules! on_sqlite {
    ($($story:ident),+ $(,)?) => {
        mod only_on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    $crate::harness::tell($crate::harness::Kind::Sqlite, super::$story).await;
                }
            )+
        }
    };
}

/// Runs a story with a fresh database, which is removed afterwards even if the story fails.
pub async fn tell<Story: Future<Output = ()>>(kind: Kind, story: impl FnOnce(Store) -> Story) {
    let Some(store) = Store::create(kind).await else { return };
    let outcome = AssertUnwindSafe(story(store.clone())).catch_unwind().await;
    store.remove().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// An id as it stands in a path or a header.
pub fn encoded(id: &str) -> String {
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@').remove(b':');
    utf8_percent_encode(id, KEPT).to_string()
}

/// Asks again until the answer is `Some`, for what can only be found out by asking. Fails with `what`.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask).await
}

/// As [`eventually`], with a patience of the story's own.
pub async fn within<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "still not true after {patience:?}: {what}");
        // The pace of asking, not a guess about how long it takes.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
