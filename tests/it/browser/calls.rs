//! Two people call each other.

use super::phone::{ANSWER, DECLINE, RING, talk};
use super::stage::Stage;
use crate::harness::{PATIENCE, Service, Store, within};

in_browsers_on_both!(a_video_call_is_seen_and_heard_on_both_sides);

/// Waits until every call has ended and returns `reason` of each, as the database has it, oldest first.
pub async fn reasons(store: &Store) -> Vec<String> {
    let db = store.open().await;
    within(PATIENCE, "every call has ended in the database", async || {
        let rows = db.rows(&["reason", "ended_at"], "calls", "ORDER BY id").await;
        rows.iter().all(|row| !row[1].is_empty()).then(|| rows.iter().map(|row| row[0].clone()).collect())
    })
    .await
}

async fn a_video_call_is_seen_and_heard_on_both_sides(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "video").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    tokio::join!(anna.sees_colour("2"), ben.sees_colour("1"));
    ben.click("#hang-up").await;
    tokio::join!(anna.learns("completed", ""), ben.learns("completed", ""));
    // Camera and microphone are given back, and nothing keeps a connection.
    for page in [&anna, &ben] {
        page.until("no connection is left open", "__look.open().length", |open| open == 0).await;
    }
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}
