//! What a start finds: the calls another process left live, taken up or settled before anybody connects.

use crate::call::Call;
use crate::clock::{Clock, Timestamp};
use crate::ids::UserId;
use crate::store::queries::{self, LiveCall};
use crate::store::{Store, StoreError};

/// What the database says at start.
pub struct Recovered {
    /// The highest call id given so far.
    pub highest_call_id: i64,
    /// Live calls, each with when its participants were last seen.
    pub calls: Vec<(Call, Vec<(UserId, Timestamp)>)>,
    /// Whose profiles are, by their keys.
    pub profiles: Vec<(UserId, UserId)>,
}

/// Reads what was left, and ends what cannot be gone on with: a call whose machine cannot be read would
/// else stay live for ever.
pub async fn recover(store: &Store, clock: Clock) -> Result<Recovered, StoreError> {
    let now = clock.now();
    let mut calls = Vec::new();
    for LiveCall { id, live, .. } in queries::live_calls(store).await? {
        match live.as_deref().map(|text| Call::load(text, now)) {
            Some(Ok(call)) => {
                let users: Vec<UserId> = call.legs().iter().map(|leg| leg.user().clone()).collect();
                let seen = queries::last_seen(store, &users).await?.into_iter().collect();
                calls.push((call, seen));
            }
            Some(Err(_)) | None => {
                log::error!("call {id} was left live and cannot be read; it is ended");
                queries::fail_orphan(store, id, now.wall).await?;
            }
        }
    }
    if !calls.is_empty() {
        log::info!("{} live calls are taken up", calls.len());
    }
    queries::settle_reported(store, now.wall).await?;
    queries::settle_statuses(store).await?;
    let profiles = queries::profiles(store).await?;
    Ok(Recovered { highest_call_id: queries::highest_call_id(store).await?, calls, profiles })
}
