//! When the browser says no, or has nothing to give: words, and a way out of it.

use serde_json::json;

use super::calls::reasons;
use super::driver::{ALLOWING, Browser, DEVICES};
use super::page::Page;
use super::phone::{ANSWER, RING, WHO, talk};
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(
    a_caller_who_may_not_use_the_microphone_is_told_and_tries_again,
    a_callee_who_may_not_use_the_microphone_answers_once_allowed,
    a_machine_without_devices_says_so,
    a_ring_that_cannot_be_heard_offers_sound,
);

/// Answers the browser's question for camera and microphone once and for all.
async fn set_permissions(page: &Page, setting: &str) {
    for name in ["microphone", "camera"] {
        let params = json!({ "permission": { "name": name }, "setting": setting });
        page.cdp("Browser.setPermission", params).await.expect("a permission");
    }
}

async fn a_caller_who_may_not_use_the_microphone_is_told_and_tries_again(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (anna, ben) =
        tokio::join!(stage.enter(&service, Browser::of("1").without(ALLOWING)), stage.open(&service, "2"));
    set_permissions(&anna, "denied").await;
    anna.dial("2", "video").await;
    anna.until_is("#problem", "data-code", "permission_denied").await;
    anna.until_shown("#problem").await;
    assert!(!anna.text("#problem").await.is_empty());
    // Nobody was disturbed, and nothing is on record.
    assert!(!ben.is_shown(RING).await);
    assert_eq!(stage.store.open().await.count("calls", "").await, 0);
    set_permissions(&anna, "granted").await;
    anna.click("#problem .retry").await;
    ben.rings_for("1").await;
    anna.until_gone("#problem").await;
    ben.click(ANSWER).await;
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn a_callee_who_may_not_use_the_microphone_answers_once_allowed(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (anna, ben) =
        tokio::join!(stage.open(&service, "1"), stage.enter(&service, Browser::of("2").without(ALLOWING)));
    set_permissions(&ben, "denied").await;
    anna.dial("2", "voice").await;
    ben.rings_for("1").await;
    ben.click(ANSWER).await;
    // It rings on, and says why it was not answered.
    let trouble = "__look.find('switchboard-ring >>> dialog').querySelector('[role=alert]').textContent.trim().length";
    ben.until("the ring says what is in the way", trouble, |now| now.as_u64() > Some(0)).await;
    ben.until_shown(WHO).await;
    set_permissions(&ben, "granted").await;
    ben.click(ANSWER).await;
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.hears(), ben.hears());
    ben.click("#hang-up").await;
    anna.learns("completed", "").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn a_machine_without_devices_says_so(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (anna, _ben) =
        tokio::join!(stage.enter(&service, Browser::of("1").without(DEVICES)), stage.open(&service, "2"));
    anna.dial("2", "voice").await;
    anna.until_is("#problem", "data-code", "device_not_found").await;
    anna.until_shown("#problem .retry").await;
    assert_eq!(stage.store.open().await.count("calls", "").await, 0);
}

async fn a_ring_that_cannot_be_heard_offers_sound(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let silent = Browser::of("2").with("--autoplay-policy=document-user-activation-required");
    let (anna, ben) = tokio::join!(stage.open(&service, "1"), stage.enter(&service, silent));
    // Nobody has touched this page, so it may not make a sound.
    assert_eq!(ben.eval("navigator.userActivation.hasBeenActive").await, false);
    anna.dial("2", "voice").await;
    ben.rings_for("1").await;
    ben.until_shown("switchboard-ring >>> #enable-sound").await;
    ben.click("switchboard-ring >>> #enable-sound").await;
    ben.until_gone("switchboard-ring >>> #enable-sound").await;
    ben.until_shown(ANSWER).await;
    ben.click(ANSWER).await;
    tokio::join!(anna.hears(), ben.hears());
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
    // Once allowed it stays so.
    talk(&anna, &ben, "voice").await;
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
}
