//! Two who find no direct way: everything goes through a TURN server, with credentials the service made.

use serde_json::Value;

use super::page::Page;
use super::phone::{ANSWER, talk};
use super::stage::Stage;
use crate::harness::{Service, Turn};

in_browsers!(a_call_goes_through_the_relay, a_call_for_which_there_is_no_way_ends_and_says_so);

const SECRET: &str = "what coturn and the service know";

/// As where nothing but the relay can be reached: the page's connections use no other way.
const RELAY_ONLY: &str = "(() => {
    const Native = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Native {
        constructor(given) { super({ ...given, iceTransportPolicy: 'relay' }); }
    };
})()";

async fn behind_walls(stage: &Stage, service: &Service) -> [Page; 2] {
    let pair = stage.pair(service, ["1", "2"]).await;
    for page in &pair {
        page.eval(RELAY_ONLY).await;
    }
    pair
}

async fn a_call_goes_through_the_relay(stage: Stage) {
    let turn = Turn::start(&stage.store, SECRET).await;
    let settings = [("ICE__TURN_URLS", turn.url()), ("ICE__TURN_SECRET", SECRET.to_owned())];
    let service = Service::with(&stage.store, &settings.each_ref().map(|(key, value)| (*key, value.as_str()))).await;
    let [anna, ben] = behind_walls(&stage, &service).await;
    talk(&anna, &ben, "video").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    for page in [&anna, &ben] {
        let relayed = |kinds: &Value| {
            kinds.as_array().is_some_and(|kinds| !kinds.is_empty() && kinds.iter().all(|kind| kind == "relay"))
        };
        page.until("the way is the relay", "__look.ways()", relayed).await;
    }
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
}

async fn a_call_for_which_there_is_no_way_ends_and_says_so(stage: Stage) {
    let turn = Turn::start(&stage.store, "another secret").await;
    let settings = [("ICE__TURN_URLS", turn.url()), ("ICE__TURN_SECRET", SECRET.to_owned())];
    let service = Service::with(&stage.store, &settings.each_ref().map(|(key, value)| (*key, value.as_str()))).await;
    let [anna, ben] = behind_walls(&stage, &service).await;
    anna.dial("2", "voice").await;
    ben.rings_for("1").await;
    ben.click(ANSWER).await;
    // The browser itself never gives up: this is the library's own timer, on one of the two sides first.
    let over = |now: &Value| now == "ended";
    let patience = super::page::PATIENCE * 2;
    tokio::join!(
        anna.until_within(patience, "the call has ended", "document.body.dataset.call", over),
        ben.until_within(patience, "the call has ended", "document.body.dataset.call", over)
    );
    let mut told = Vec::new();
    for page in [&anna, &ben] {
        told.push(page.attribute("#outcome", "data-reason").await.unwrap_or_default());
    }
    assert!(told.iter().any(|reason| reason == "ice_failed"), "{told:?}");
}
