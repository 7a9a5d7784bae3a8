//! One person with two pages open.

use super::calls::reasons;
use super::phone::{ANSWER, DECLINE, RING};
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(a_call_answered_on_one_page_stops_ringing_on_the_other, a_call_declined_on_one_page_is_declined_on_all);

async fn a_call_answered_on_one_page_stops_ringing_on_the_other(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [desk, sofa] = stage.pair(&service, ["2", "2"]).await;
    let anna = stage.open(&service, "1").await;
    anna.dial("2", "video").await;
    tokio::join!(desk.rings_for("1"), sofa.rings_for("1"));
    desk.click(ANSWER).await;
    sofa.until_gone(RING).await;
    sofa.learns("answered_elsewhere", "Answered on another device").await;
    tokio::join!(anna.call_is("active"), desk.call_is("active"));
    tokio::join!(anna.sees_and_hears(), desk.sees_and_hears());
    assert_eq!(sofa.eval("__look.open().length").await, 0, "the other page takes no part");
    sofa.until_is("#missed", "data-count", "0").await;
    desk.click("#hang-up").await;
    anna.learns("completed", "").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn a_call_declined_on_one_page_is_declined_on_all(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [desk, sofa] = stage.pair(&service, ["2", "2"]).await;
    let anna = stage.open(&service, "1").await;
    anna.dial("2", "voice").await;
    tokio::join!(desk.rings_for("1"), sofa.rings_for("1"));
    sofa.click(DECLINE).await;
    anna.learns("declined", "2 declined").await;
    desk.until_gone(RING).await;
    desk.learns("declined_elsewhere", "Declined on another device").await;
    assert_eq!(reasons(&stage.store).await, ["declined"]);
}
