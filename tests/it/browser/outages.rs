//! What pages notice when something breaks: the service, a browser, an answer.

use super::calls::reasons;
use super::driver::Browser;
use super::elsewhere::{Elsewhere, response};
use super::page::quoted;
use super::phone::{RING, talk};
use super::stage::Stage;
use crate::harness::Service;

in_browsers_on_both!(a_call_outlives_the_service);

mod alone {
    use super::*;
    in_browsers!(
        a_browser_that_dies_is_told_to_the_other,
        a_page_that_is_reloaded_has_no_ghost_of_a_call,
        an_offer_that_gives_way_takes_neither_sound_nor_picture_with_it,
        a_library_that_was_closed_stays_closed_until_it_is_asked_again,
        half_a_table_is_no_table,
    );
}

async fn a_call_outlives_the_service(stage: Stage) {
    let mut service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "video").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    service.kill9().await;
    tokio::join!(
        anna.until_is("#connection", "data-state", "reconnecting"),
        ben.until_is("#connection", "data-state", "reconnecting")
    );
    // Sound and picture never went through the service.
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    let before = service.address().to_owned();
    service.start_again().await;
    assert_eq!(service.address(), before, "the pages look for it where it was");
    tokio::join!(
        anna.until_is("#connection", "data-state", "connected"),
        ben.until_is("#connection", "data-state", "connected")
    );
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    tokio::join!(anna.sees_colour("2"), ben.sees_colour("1"));
    anna.click("#hang-up").await;
    tokio::join!(anna.learns("completed", ""), ben.learns("completed", ""));
    assert_eq!(reasons(&stage.store).await, ["completed"]);
}

async fn a_browser_that_dies_is_told_to_the_other(stage: Stage) {
    let service = Service::with(&stage.store, &[("CALL__RECONNECT_GRACE", "10s")]).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    anna.hears().await;
    ben.kill();
    anna.call_is("reconnecting").await;
    anna.learns("dropped", "").await;
    assert_eq!(reasons(&stage.store).await, ["dropped"]);
    // Free for the next one.
    assert_eq!(service.rest("9").status_of("1").await, "online");
}

async fn a_page_that_is_reloaded_has_no_ghost_of_a_call(stage: Stage) {
    let service = Service::with(&stage.store, &[("CALL__RECONNECT_GRACE", "5s")]).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    talk(&anna, &ben, "voice").await;
    ben.reload().await;
    ben.until_is("#connection", "data-state", "connected").await;
    // Whatever becomes of the call, both sides agree on it and a new one can be made.
    let over = "['ended', 'idle'].includes(document.body.dataset.call)";
    anna.until("the call is over", over, |now| now == true).await;
    ben.until("the call is over", over, |now| now == true).await;
    assert_eq!(reasons(&stage.store).await.len(), 1);
    assert!(!ben.is_shown(RING).await);
    talk(&ben, &anna, "voice").await;
    tokio::join!(anna.hears(), ben.hears());
    ben.click("#hang-up").await;
    anna.learns("completed", "").await;
}

async fn an_offer_that_gives_way_takes_neither_sound_nor_picture_with_it(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let [anna, ben] = stage.pair(&service, ["1", "2"]).await;
    // Whether an offer of this page was taken back for one of the other side.
    let watch = "(() => { const native = RTCPeerConnection.prototype.setRemoteDescription; window.gaveWay = false;
        RTCPeerConnection.prototype.setRemoteDescription = function (description) {
            if (description.type === 'offer' && this.signalingState === 'have-local-offer') window.gaveWay = true;
            return native.call(this, description);
        }; })()";
    tokio::join!(anna.eval(watch), ben.eval(watch));
    talk(&anna, &ben, "video").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    // Both find another way at once, as when they share a network that changes, until their offers cross.
    for _ in 0..100 {
        let restart = "__look.open().forEach((one) => one.restartIce())";
        tokio::join!(anna.eval(restart), ben.eval(restart));
        let stable = "__look.open().every((one) => one.signalingState === 'stable')";
        tokio::join!(
            anna.until("its offer is settled", stable, |now| now == true),
            ben.until("its offer is settled", stable, |now| now == true)
        );
        if anna.eval("gaveWay").await == true {
            break;
        }
    }
    assert_eq!(anna.eval("gaveWay").await, true, "the offers crossed");
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
}

async fn a_library_that_was_closed_stays_closed_until_it_is_asked_again(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let anna = stage.open(&service, "1").await;
    let outcome = anna
        .eval(
            "(async () => {
                const { Switchboard } = await import('/sdk/switchboard.js');
                let refuse;
                let give = () => new Promise((_, no) => { refuse = no; });
                const phone = new Switchboard({ user: '2', token: () => give() });
                const heard = [];
                phone.on('state', (state) => heard.push(state));
                phone.on('error', (error) => heard.push(error.code));
                const first = phone.connect().catch((error) => error.code);
                phone.close();
                refuse(new Error('too late'));
                heard.push(await first);
                give = () => '';
                await phone.connect();
                phone.close();
                return heard;
            })()",
        )
        .await;
    let expected = ["connecting", "closed", "disconnected", "connecting", "connected", "closed"];
    assert_eq!(outcome, serde_json::json!(expected));
}

async fn half_a_table_is_no_table(stage: Stage) {
    // What stands before the service and breaks off: of its thousand bytes only the first come.
    let elsewhere = Elsewhere::listen().await;
    let origin = elsewhere.origin.clone();
    elsewhere.answer(|path| match path {
        "/api/calls.csv" => response("text/csv", 1000, "id,caller_id\r\n7,"),
        _ => response("text/html", 0, ""),
    });
    let service = Service::with(&stage.store, &[("SERVER__ALLOWED_ORIGINS", origin.as_str())]).await;
    let page = stage.launch(Browser::of("1")).await;
    page.goto(&origin).await;
    let asked = format!(
        "import({}).then(({{ Switchboard }}) => new Switchboard({{ user: 1, url: location.origin }})
            .fetch('api/calls.csv')).then((table) => table, (error) => error.code)",
        quoted(&service.url("/sdk/switchboard.js")),
    );
    assert_eq!(page.eval(&asked).await, "disconnected");
}
