//! What one can switch during a call: the screen, the camera, the microphone, the loudness.

use fantoccini::key::Key;
use serde_json::Value;

use super::page::Page;
use super::phone::talk;
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(
    a_screen_is_shared_and_the_camera_comes_back,
    a_screen_shared_in_a_voice_call_is_shown_and_goes_again,
    a_camera_is_switched_on_in_a_voice_call,
    another_microphone_is_chosen_and_the_sound_made_softer,
    the_picture_leaves_the_page_where_that_is_possible,
    twenty_calls_in_a_row_leave_nothing_behind,
);

/// Waits until a page sees somebody, but not what that one's camera shows.
async fn sees_something_else(page: &Page, of: &str) {
    let middle = format!("__look.centre('.tile[data-user=\"{of}\"] video')");
    let other =
        |now: &Value| serde_json::from_value(now.clone()).is_ok_and(|pixel: [i64; 3]| !super::camera::is_of(of, pixel));
    page.until(format_args!("{of} shows something else than the camera"), &middle, other).await;
}

async fn a_screen_is_shared_and_the_camera_comes_back(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "video").await;
    anna.sees_colour("2").await;
    // The browser's pretended screen is green, as is the camera of user 1; so it is the other one who shares.
    ben.click("#share").await;
    ben.until_is("#share", "aria-pressed", "true").await;
    sees_something_else(&anna, "2").await;
    tokio::join!(ben.sees_colour("1"), anna.sees_and_hears());
    ben.click("#share").await;
    ben.until_is("#share", "aria-pressed", "false").await;
    anna.sees_colour("2").await;
    // The browser's own way of ending it, which scripts are told by an event.
    ben.click("#share").await;
    ben.until_is("#share", "aria-pressed", "true").await;
    sees_something_else(&anna, "2").await;
    ben.eval("__look.sent('video')[0].dispatchEvent(new Event('ended'))").await;
    ben.until_is("#share", "aria-pressed", "false").await;
    anna.sees_colour("2").await;
    // Hanging up lets go of a screen, too; the stage looks whether it does.
    ben.click("#share").await;
    ben.until_is("#share", "aria-pressed", "true").await;
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
}

async fn a_screen_shared_in_a_voice_call_is_shown_and_goes_again(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    ben.click("#share").await;
    ben.until_is("#share", "aria-pressed", "true").await;
    anna.until_shown(".tile[data-user=\"2\"][data-picture] video").await;
    anna.sees_and_hears().await;
    ben.click("#share").await;
    ben.until_is("#share", "aria-pressed", "false").await;
    anna.until_gone(".tile[data-user=\"2\"][data-picture]").await;
    tokio::join!(anna.hears(), ben.hears());
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
}

async fn a_camera_is_switched_on_in_a_voice_call(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    assert_eq!(anna.eval("__look.recording('video')").await, 0, "a voice call opens no camera");
    anna.click("#camera").await;
    ben.sees_colour("1").await;
    assert!(!anna.is_shown(".tile[data-user=\"2\"][data-picture]").await, "nobody switched on the other's");
    ben.click("#camera").await;
    anna.sees_colour("2").await;
    // Off again: the light of the camera goes out, and no old picture stays.
    anna.click("#camera").await;
    anna.until("the camera is let go", "__look.recording('video')", |open| open == 0).await;
    ben.until_gone(".tile[data-user=\"1\"][data-picture]").await;
    tokio::join!(anna.sees_and_hears(), ben.hears());
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
}

async fn another_microphone_is_chosen_and_the_sound_made_softer(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    anna.click("#settings").await;
    anna.until_shown("#choosing").await;
    let choices = anna.eval("[...document.querySelector('#microphone').options].map(({ value }) => value)").await;
    let choices: Vec<String> = serde_json::from_value(choices).expect("a list");
    let used = anna.eval("__look.sent('audio')[0].getSettings().deviceId").await;
    assert_eq!(anna.eval("document.querySelector('#microphone').value").await, used, "the one in use is shown");
    let other = choices.iter().rfind(|one| used != one.as_str()).expect("a second microphone");
    anna.tab_to("#microphone").await;
    let presses = choices.iter().position(|one| one == other).expect("its place");
    for _ in 0..presses {
        anna.press(Key::Down).await;
    }
    anna.until("the other one is sent", "__look.sent('audio')[0].getSettings().deviceId", |now| now == other.as_str())
        .await;
    anna.until("the first one is let go", "__look.recording('audio')", |open| open == 1).await;
    anna.tab_to("#volume").await;
    anna.press(Key::Home).await;
    let loudness = "document.querySelector('.tile[data-user=\"2\"] video').volume";
    anna.until("the other is not heard", loudness, |now| now.as_f64() == Some(0.0)).await;
    anna.press(Key::Right).await;
    anna.until("the other is heard softly", loudness, |now| now.as_f64().is_some_and(|now| 0.0 < now && now < 0.2))
        .await;
    anna.click("#choosing button").await;
    tokio::join!(anna.hears(), ben.hears());
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
    // The next call begins with what was chosen.
    talk(&anna, &ben, "voice").await;
    assert_eq!(anna.eval("__look.sent('audio')[0].getSettings().deviceId").await, other.as_str());
    ben.hears().await;
    ben.click("#hang-up").await;
    anna.learns("completed", "").await;
}

async fn the_picture_leaves_the_page_where_that_is_possible(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    let disabled = "document.querySelector('#pip').disabled";
    assert_eq!(anna.eval(disabled).await, true, "there is no picture yet");
    ben.click("#camera").await;
    anna.sees_colour("2").await;
    anna.until("there is a picture", disabled, |now| now == false).await;
    if anna.eval("document.pictureInPictureEnabled").await == true {
        anna.click("#pip").await;
        anna.until_is("#pip", "aria-pressed", "true").await;
        assert_eq!(anna.eval("document.pictureInPictureElement.closest('.tile').dataset.user").await, "2");
    } else {
        assert!(!anna.is_shown("#pip").await, "what is not possible is not offered");
    }
    ben.click("#hang-up").await;
    anna.learns("completed", "").await;
    anna.until("nothing floats", "!document.pictureInPictureElement", |now| now == true).await;
}

/// Listeners that are left once everything is collected that can be.
async fn listeners(page: &Page) -> u64 {
    page.cdp("HeapProfiler.collectGarbage", serde_json::json!({})).await.expect("a collection");
    let counters = page.cdp("Memory.getDOMCounters", serde_json::json!({})).await.expect("counters");
    counters["jsEventListeners"].as_u64().expect("a count")
}

async fn twenty_calls_in_a_row_leave_nothing_behind(stage: Stage) {
    let service = Service::with(&stage.store, &[("LIMITS__INITIATES_PER_MINUTE", "100")]).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    let mut before = [0; 2];
    for call in 1..=20 {
        // By turns, so that both have called and been called.
        let (caller, callee) = if call % 2 == 0 { (&anna, &ben) } else { (&ben, &anna) };
        talk(caller, callee, "voice").await;
        caller.click("#hang-up").await;
        tokio::join!(caller.learns("completed", ""), callee.learns("completed", ""));
        tokio::join!(caller.lets_go(), callee.lets_go());
        if call == 6 {
            before = [listeners(&anna).await, listeners(&ben).await];
        }
    }
    let after = [listeners(&anna).await, listeners(&ben).await];
    // The list of calls grows by a button each; a call that kept its own would add many times that.
    for (before, after) in before.into_iter().zip(after) {
        assert!(after < before + 14 * 4, "listeners after six calls: {before}, after twenty: {after}");
    }
    assert_eq!(super::calls::reasons(&stage.store).await, ["completed"; 20]);
}
