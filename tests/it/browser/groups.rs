//! Three people in one call: a mesh, everybody connected with everybody.

use super::calls::reasons;
use super::phone::{ANSWER, talk};
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(three_see_each_other_and_two_go_on, somebody_is_brought_into_a_call);

async fn three_see_each_other_and_two_go_on(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let ([anna, ben], cleo) = tokio::join!(stage.pair(&service, ["1", "2"]), stage.open(&service, "3"));
    anna.dial("2,3", "video").await;
    tokio::join!(ben.rings_for("1"), cleo.rings_for("1"));
    ben.click(ANSWER).await;
    cleo.click(ANSWER).await;
    tokio::join!(anna.call_is("active"), ben.call_is("active"), cleo.call_is("active"));
    for (page, others) in [(&anna, ["2", "3"]), (&ben, ["1", "3"]), (&cleo, ["1", "2"])] {
        for other in others {
            page.sees_colour(other).await;
        }
    }
    // One leaves; the others stay together.
    ben.click("#hang-up").await;
    ben.learns("completed", "").await;
    tokio::join!(anna.until_gone(".tile[data-user=\"2\"]"), cleo.until_gone(".tile[data-user=\"2\"]"));
    tokio::join!(anna.sees_and_hears(), cleo.sees_and_hears());
    cleo.click("#hang-up").await;
    anna.learns("completed", "").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn somebody_is_brought_into_a_call(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let ([anna, ben], cleo) = tokio::join!(stage.pair(&service, ["1", "2"]), stage.open(&service, "3"));
    talk(&anna, &ben, "video").await;
    anna.click("#add-person").await;
    anna.fill("#adding-user", "3").await;
    anna.click("#adding button[value=add]").await;
    cleo.rings_for("1").await;
    cleo.click(ANSWER).await;
    cleo.call_is("active").await;
    for (page, others) in [(&anna, ["2", "3"]), (&ben, ["1", "3"]), (&cleo, ["1", "2"])] {
        for other in others {
            page.sees_colour(other).await;
        }
    }
    anna.click("#hang-up").await;
    tokio::join!(ben.sees_and_hears(), cleo.sees_and_hears());
    ben.click("#hang-up").await;
    cleo.learns("completed", "").await;
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}
