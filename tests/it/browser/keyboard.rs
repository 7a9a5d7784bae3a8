//! A call without a mouse.

use fantoccini::key::Key;

use super::calls::reasons;
use super::page::Page;
use super::phone::{ANSWER, RING};
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(a_call_is_made_answered_and_ended_by_keyboard, the_escape_key_declines);

async fn calls(caller: &Page, callee: &str) {
    caller.tab_to("#callee").await;
    caller.type_in(callee).await;
    caller.tab_to("#call-voice").await;
    caller.press(Key::Enter).await;
}

async fn a_call_is_made_answered_and_ended_by_keyboard(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    calls(&anna, "2").await;
    ben.rings_for("1").await;
    ben.tab_to(ANSWER).await;
    ben.press(Key::Enter).await;
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.hears(), ben.hears());
    // A switch is one for the keyboard, too.
    ben.tab_to("#mute").await;
    ben.press_space().await;
    ben.until_is("#mute", "aria-pressed", "true").await;
    ben.tab_to("#hang-up").await;
    ben.press(Key::Enter).await;
    tokio::join!(anna.learns("completed", ""), ben.learns("completed", ""));
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn the_escape_key_declines(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    calls(&anna, "2").await;
    ben.rings_for("1").await;
    ben.press(Key::Escape).await;
    ben.until_gone(RING).await;
    anna.learns("declined", "2 declined").await;
    assert_eq!(reasons(&stage.store).await, ["declined"]);
}
