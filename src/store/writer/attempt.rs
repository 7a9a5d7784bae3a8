//! One try at writing a batch, and what came of it.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::batch::Batch;
use super::sql;
use crate::ids::CallId;
use crate::store::error::is_bad_row;
use crate::store::{Store, StoreError};

/// How much time must be left for a second try.
const WORTH_REPEATING: Duration = Duration::from_secs(1);

/// What came of writing a batch.
#[derive(Default)]
pub(super) struct Outcome {
    /// What was not written because the database is away; its last part may have been, unclearly.
    pub unwritten: Batch,
    /// Why, where `unwritten` holds anything.
    pub away: Option<StoreError>,
    /// Calls the database will never take.
    pub bad: HashSet<CallId>,
    /// Whether all was written, by one transaction and without a doubt.
    pub whole: bool,
    /// For each `told` of the batch, in order, whether there was such a call.
    pub told: Vec<Result<bool, StoreError>>,
    /// For each `seen` of the batch, in order, whether there was such a missed call.
    pub seen: Vec<Result<bool, StoreError>>,
    /// For each sweep of the batch, in order, how many missed calls it marked.
    pub swept: Vec<Result<u64, StoreError>>,
}

/// Writes a batch within `limit`. One bad row fails a transaction as a whole; then the things of the batch are
/// written one by one, and only what is bad itself is left out.
pub(super) async fn attempt(store: Store, batch: Batch, limit: Duration, lock: i32) -> Outcome {
    let deadline = Instant::now() + limit;
    match timeout_at(deadline, sql::write(&store, &batch, lock)).await {
        Ok(Ok(found)) => written(found),
        Ok(Err(error)) if is_bad_row(&error) => {
            log::warn!("a batch has a row the database does not take, writing one by one: {error}");
            one_by_one(&store, &batch, deadline, lock).await
        }
        Ok(Err(error)) => {
            // A cut connection or a deadlock with another node passes at once, and repeating is harmless.
            let again = deadline.saturating_duration_since(Instant::now()) > WORTH_REPEATING;
            if again && let Ok(Ok(found)) = timeout_at(deadline, sql::write(&store, &batch, lock)).await {
                return written(found);
            }
            Outcome { unwritten: batch, away: Some(error.into()), ..Outcome::default() }
        }
        Err(_) => {
            store.renew().await;
            Outcome { unwritten: batch, away: Some(too_late(limit)), ..Outcome::default() }
        }
    }
}

fn written(found: sql::Found) -> Outcome {
    Outcome {
        whole: true,
        told: found.told.into_iter().map(Ok).collect(),
        seen: found.seen.into_iter().map(Ok).collect(),
        swept: found.swept.into_iter().map(Ok).collect(),
        ..Outcome::default()
    }
}

async fn one_by_one(store: &Store, batch: &Batch, deadline: Instant, lock: i32) -> Outcome {
    let mut outcome = Outcome::default();
    for single in batch.singly() {
        if outcome.away.is_some() {
            outcome.unwritten.absorb(single);
            continue;
        }
        match timeout_at(deadline, sql::write(store, &single, lock)).await {
            Ok(Ok(found)) => {
                outcome.told.extend(found.told.into_iter().map(Ok));
                outcome.seen.extend(found.seen.into_iter().map(Ok));
                outcome.swept.extend(found.swept.into_iter().map(Ok));
            }
            Ok(Err(error)) if is_bad_row(&error) => {
                for id in single.calls.keys() {
                    log::error!("call {id} cannot be written: {error}");
                    outcome.bad.insert(*id);
                }
                for user in single.statuses.keys().chain(single.names.keys()) {
                    log::error!("the status of user {user:?} cannot be written: {error}");
                }
                for key in single.profiles.keys() {
                    log::error!("whose the profile {key:?} is cannot be written: {error}");
                }
                outcome.told.extend(single.told.iter().map(|_| Err(StoreError::from(error.clone()))));
                outcome.seen.extend(single.seen.iter().map(|_| Err(StoreError::from(error.clone()))));
                outcome.swept.extend(single.sweeps.iter().map(|_| Err(StoreError::from(error.clone()))));
            }
            Ok(Err(error)) => {
                outcome.away = Some(error.into());
                outcome.unwritten.absorb(single);
            }
            Err(_) => {
                store.renew().await;
                outcome.away = Some(too_late(crate::store::DEADLINE));
                outcome.unwritten.absorb(single);
            }
        }
    }
    outcome
}

fn too_late(limit: Duration) -> StoreError {
    StoreError::Away(format!("no answer within {} ms", limit.as_millis()))
}
