//! Two people call each other: how it is on both screens, and what is kept of it.

use super::page::PATIENCE;
use super::phone::{ANSWER, DECLINE, RING, talk};
use super::stage::Stage;
use crate::harness::{Service, Store, within};

in_browsers_on_both!(a_video_call_is_seen_and_heard_on_both_sides, who_gives_up_leaves_a_missed_call);

mod alone {
    use super::*;
    in_browsers!(
        a_voice_call_is_heard_and_shows_nobody,
        who_declines_is_said_to_have_declined,
        who_is_in_a_call_is_busy,
        who_is_not_there_is_offline_and_finds_the_call_later,
        who_does_not_answer_has_missed_it,
        two_who_call_each_other_at_once_are_in_one_call,
        a_video_call_answered_by_voice_has_one_picture,
        a_call_is_muted_without_picture_and_ends,
    );
}

/// Waits until there were calls and every one has ended, and returns `reason` of each, as the database has it, oldest
/// first.
pub async fn reasons(store: &Store) -> Vec<String> {
    let db = store.open().await;
    within(PATIENCE, "every call has ended in the database", async || {
        let rows = db.rows(&["reason", "ended_at"], "calls", "ORDER BY id").await;
        let ended = !rows.is_empty() && rows.iter().all(|row| !row[1].is_empty());
        ended.then(|| rows.into_iter().map(|mut row| row.remove(0)).collect())
    })
    .await
}

/// Who missed calls, by the database.
async fn missed(store: &Store) -> Vec<String> {
    let rows = store.open().await.rows(&["user_id"], "call_legs", "WHERE missed ORDER BY call_id").await;
    rows.into_iter().flatten().collect()
}

async fn a_video_call_is_seen_and_heard_on_both_sides(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "video").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    tokio::join!(anna.sees_colour("2"), ben.sees_colour("1"));
    ben.click("#hang-up").await;
    tokio::join!(anna.learns("completed", ""), ben.learns("completed", ""));
    assert_eq!(reasons(&stage.store).await, ["completed"]);
    assert_eq!(missed(&stage.store).await, [""; 0]);
}

async fn a_voice_call_is_heard_and_shows_nobody(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    tokio::join!(anna.hears(), ben.hears());
    for page in [&anna, &ben] {
        let cameras = page.eval("__look.recording('video')").await;
        assert_eq!(cameras, 0, "nobody asked for a camera");
    }
    anna.click("#hang-up").await;
    tokio::join!(anna.learns("completed", ""), ben.learns("completed", ""));
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn who_declines_is_said_to_have_declined(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    anna.dial("2", "voice").await;
    ben.rings_for("1").await;
    ben.click(DECLINE).await;
    anna.learns("declined", "2 declined").await;
    ben.until_gone(RING).await;
    assert_eq!(reasons(&stage.store).await, ["declined"]);
    assert_eq!(missed(&stage.store).await, [""; 0]);
}

async fn who_gives_up_leaves_a_missed_call(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    anna.dial("2", "video").await;
    ben.rings_for("1").await;
    anna.click("#hang-up").await;
    ben.learns("cancelled", "Missed call from 1").await;
    ben.until_gone(RING).await;
    ben.until_is("#missed", "data-count", "1").await;
    anna.learns("cancelled", "").await;
    assert_eq!(reasons(&stage.store).await, ["cancelled"]);
    assert_eq!(missed(&stage.store).await, ["2"]);
    // Looking at the list is what marks it seen, here and in the database.
    ben.click("#missed").await;
    ben.until_is("#missed", "data-count", "0").await;
    let db = stage.store.open().await;
    within(PATIENCE, "the missed call is seen", async || {
        (db.count("call_legs", "WHERE missed AND NOT seen").await == 0).then_some(())
    })
    .await;
}

async fn who_is_in_a_call_is_busy(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    let cleo = stage.open(&service, "3").await;
    cleo.dial("2", "voice").await;
    cleo.learns("busy", "2 is busy").await;
    cleo.lets_go().await;
    // The two notice nothing.
    assert!(!ben.is_shown(RING).await);
    tokio::join!(anna.hears(), ben.hears());
    ben.until_is("#missed", "data-count", "1").await;
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
    assert_eq!(reasons(&stage.store).await, ["completed", "busy"]);
    assert_eq!(missed(&stage.store).await, ["2"]);
}

async fn who_is_not_there_is_offline_and_finds_the_call_later(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let anna = stage.open(&service, "1").await;
    anna.dial("2", "voice").await;
    anna.learns("offline", "2 is offline").await;
    assert_eq!(reasons(&stage.store).await, ["offline"]);
    let ben = stage.open(&service, "2").await;
    ben.until_is("#missed", "data-count", "1").await;
    assert_eq!(missed(&stage.store).await, ["2"]);
}

async fn who_does_not_answer_has_missed_it(stage: Stage) {
    let service = Service::with(&stage.store, &[("CALL__RING_TIMEOUT", "8s")]).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    anna.dial("2", "voice").await;
    ben.rings_for("1").await;
    anna.learns("no_answer", "No answer").await;
    ben.learns("no_answer", "Missed call from 1").await;
    ben.until_gone(RING).await;
    ben.until_is("#missed", "data-count", "1").await;
    assert_eq!(reasons(&stage.store).await, ["no_answer"]);
    assert_eq!(missed(&stage.store).await, ["2"]);
}

async fn two_who_call_each_other_at_once_are_in_one_call(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    tokio::join!(anna.fill("#callee", "2"), ben.fill("#callee", "1"));
    // Who is slower may be rung already, and the ring is in front of everything.
    tokio::join!(anna.click_unless(RING, "#call-video"), ben.click_unless(RING, "#call-video"));
    // Both want the same call: it may connect by itself, or one of the two is asked, as whoever came later is called.
    for page in [&anna, &ben] {
        let settled = format!("__look.shown({}) ? 'rings' : document.body.dataset.call", super::page::quoted(ANSWER));
        let way_on = |now: &serde_json::Value| ["rings", "active", "connecting"].iter().any(|one| now == one);
        let rings = page.until("rings or talks", &settled, |now| way_on(now) || now == "ringing").await;
        if rings == "rings" {
            page.click(ANSWER).await;
        }
    }
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    tokio::join!(anna.sees_colour("2"), ben.sees_colour("1"));
    ben.click("#hang-up").await;
    tokio::join!(anna.learns("completed", ""), ben.learns("completed", ""));
    let reasons = reasons(&stage.store).await;
    assert_eq!(reasons.iter().filter(|reason| *reason == "completed").count(), 1, "{reasons:?}");
    assert_eq!(missed(&stage.store).await, [""; 0], "nobody missed anything: {reasons:?}");
}

async fn a_video_call_answered_by_voice_has_one_picture(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    anna.dial("2", "video").await;
    ben.rings_for("1").await;
    ben.click("switchboard-ring >>> #answer-voice").await;
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.hears(), ben.sees_and_hears());
    ben.sees_colour("1").await;
    assert_eq!(ben.eval("__look.recording('video')").await, 0, "the camera stayed off");
    // Later the camera is wanted after all.
    ben.click("#camera").await;
    anna.sees_colour("2").await;
    anna.click("#hang-up").await;
}

async fn a_call_is_muted_without_picture_and_ends(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "video").await;
    ben.sees_colour("1").await;
    anna.click("#mute").await;
    anna.until_is("#mute", "aria-pressed", "true").await;
    let silent = "__look.sent('audio').every((track) => !track || !track.enabled)";
    anna.until("no sound is sent", silent, |now| now == true).await;
    anna.click("#mute").await;
    anna.until_is("#mute", "aria-pressed", "false").await;
    anna.until("sound is sent again", "__look.sent('audio').some((track) => track?.enabled)", |now| now == true).await;
    anna.click("#camera").await;
    let dark = "__look.sent('video').every((track) => !track || !track.enabled)";
    anna.until("no picture is sent", dark, |now| now == true).await;
    anna.click("#camera").await;
    anna.until("a picture is sent again", "__look.sent('video').some((track) => track?.enabled)", |now| now == true)
        .await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    ben.sees_colour("1").await;
    ben.click("#hang-up").await;
}
