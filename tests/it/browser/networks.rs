//! A line that breaks: what both sides read meanwhile, and that the call goes on.

use super::calls::reasons;
use super::driver::Browser;
use super::page::Page;
use super::phone::{ANSWER, talk};
use super::stage::Stage;
use crate::harness::{Cable, Service};

in_browsers!(
    a_page_whose_line_breaks_says_mine_and_the_other_theirs,
    a_call_says_how_good_its_connection_is,
    three_in_a_call_outlive_the_service,
);

/// A user whose way to the service is a cable.
async fn by_cable(stage: &Stage, service: &Service, user: &str) -> (Page, Cable) {
    let cable = Cable::to(service.address()).await;
    let page = stage.launch(Browser::of(user)).await;
    page.goto(&format!("http://{}/?user={user}", cable.address())).await;
    page.until_is("#connection", "data-state", "connected").await;
    (page, cable)
}

async fn a_page_whose_line_breaks_says_mine_and_the_other_theirs(stage: Stage) {
    let service = Service::with(&stage.store, &[("CALL__RECONNECT_GRACE", "60s")]).await;
    let ((anna, cable), ben) = tokio::join!(by_cable(&stage, &service, "1"), stage.open(&service, "2"));
    talk(&anna, &ben, "voice").await;
    for _ in 0..2 {
        cable.cut();
        tokio::join!(anna.call_is("reconnecting"), ben.call_is("reconnecting"));
        tokio::join!(
            anna.until_says("#call-state", "Your network is away"),
            ben.until_says("#call-state", "The connection of 1 is away")
        );
        anna.until_is("#connection", "data-state", "reconnecting").await;
        assert_eq!(ben.attribute("#connection", "data-state").await.as_deref(), Some("connected"));
        // Sound does not go by that line.
        tokio::join!(anna.hears(), ben.hears());
        cable.mend();
        tokio::join!(anna.call_is("active"), ben.call_is("active"));
        anna.until_is("#connection", "data-state", "connected").await;
        for (page, other) in [(&anna, "2"), (&ben, "1")] {
            page.until_says("#call-state", other).await;
            assert!(!page.text("#call-state").await.contains("away"));
        }
    }
    // Hung up with the line away: it is told once there is one again.
    cable.cut();
    anna.call_is("reconnecting").await;
    anna.click("#hang-up").await;
    anna.learns("completed", "").await;
    cable.mend();
    ben.learns("completed", "").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn a_call_says_how_good_its_connection_is(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    for page in [&anna, &ben] {
        // A busy machine may lose a packet; which word it is, is the library's to say, and it is said in words.
        let said = "[document.querySelector('#quality').dataset.word, document.querySelector('#quality').textContent]";
        let words = [["good", "Good connection"], ["fair", "Fair connection"], ["poor", "Poor connection"]];
        page.until("the connection is judged", said, |now| words.iter().any(|word| *now == serde_json::json!(word)))
            .await;
    }
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
    // The next call is not judged by this one.
    anna.dial("2", "voice").await;
    ben.rings_for("1").await;
    assert_eq!(anna.attribute("#quality", "data-word").await.as_deref(), Some(""));
    anna.click("#hang-up").await;
    ben.until_is("#missed", "data-count", "1").await;
}

async fn three_in_a_call_outlive_the_service(stage: Stage) {
    let mut service = Service::start(&stage.store).await;
    let ([anna, ben], cleo) = tokio::join!(stage.pair(&service, ["1", "2"]), stage.open(&service, "3"));
    anna.dial("2,3", "video").await;
    tokio::join!(ben.rings_for("1"), cleo.rings_for("1"));
    tokio::join!(ben.click(ANSWER), cleo.click(ANSWER));
    let all = [(&anna, ["2", "3"]), (&ben, ["1", "3"]), (&cleo, ["1", "2"])];
    for (page, others) in all {
        for other in others {
            page.sees_colour(other).await;
        }
    }
    service.kill9().await;
    for (page, _) in all {
        page.until_is("#connection", "data-state", "reconnecting").await;
    }
    service.start_again().await;
    for (page, others) in all {
        page.until_is("#connection", "data-state", "connected").await;
        page.call_is("active").await;
        for other in others {
            page.until_is(&format!(".tile[data-user=\"{other}\"]"), "data-state", "connected").await;
            page.sees_colour(other).await;
        }
        page.sees_and_hears().await;
    }
    // The same call: one leaves it, and the two others end it.
    cleo.click("#hang-up").await;
    tokio::join!(anna.until_gone(".tile[data-user=\"3\"]"), ben.until_gone(".tile[data-user=\"3\"]"));
    anna.click("#hang-up").await;
    tokio::join!(ben.learns("completed", ""), cleo.learns("completed", ""));
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}
