//! The call page and those who speak otherwise: by polling, or as browsers did before there was a library.

use super::calls::reasons;
use super::driver::Browser;
use super::page::{PATIENCE, Page, quoted};
use super::phone::{ANSWER, DECLINE, RING};
use super::stage::Stage;
use crate::harness::Service;
use crate::harness::rest::call_id;
use crate::harness::socket::description;

in_browsers!(
    a_page_and_one_who_polls_ring_each_other,
    a_page_and_an_old_socket_ring_each_other,
    a_page_and_an_old_page_see_and_hear_each_other,
);

async fn a_page_and_one_who_polls_ring_each_other(stage: Stage) {
    // Who polls says only once that they are there, and a page takes its time.
    let service = Service::with(&stage.store, &[("PRESENCE__OFFLINE_AFTER", "5m")]).await;
    let mut anna = service.rest("1");
    anna.heartbeat().await;
    let ben = stage.open(&service, "2").await;

    // It rings on a page once there is an offer that the page could answer.
    let (_, call) = anna.initiate("2").await;
    anna.signal("2", description("offer")).await;
    ben.rings_for("1").await;
    ben.click(DECLINE).await;
    assert_eq!(anna.mail_within(PATIENCE, "call_declined").await["call_id"], call);
    ben.until_gone(RING).await;

    let (_, call) = anna.initiate("2").await;
    anna.signal("2", description("offer")).await;
    ben.rings_for("1").await;
    anna.hangup(call).await;
    ben.learns("cancelled", "Missed call from 1").await;
    ben.until_is("#missed", "data-count", "1").await;

    ben.dial("1", "voice").await;
    let call = call_id(&anna.mail_within(PATIENCE, "incoming_call").await);
    ben.call_is("ringing").await;
    anna.reject(call).await;
    ben.learns("declined", "1 declined").await;

    ben.dial("1", "voice").await;
    let call = call_id(&anna.mail_within(PATIENCE, "incoming_call").await);
    ben.click("#hang-up").await;
    assert_eq!(anna.mail_within(PATIENCE, "call_cancelled").await["call_id"], call);

    // In a call with somebody else who polls.
    let mut cleo = service.rest("3");
    cleo.heartbeat().await;
    let (_, call) = anna.initiate("3").await;
    cleo.mail("incoming_call").await;
    cleo.answer(call).await;
    ben.dial("1", "voice").await;
    ben.learns("busy", "1 is busy").await;
    cleo.hangup(call).await;
    assert_eq!(reasons(&stage.store).await, ["declined", "cancelled", "declined", "cancelled", "completed", "busy"]);
}

async fn a_page_and_an_old_socket_ring_each_other(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let mut anna = service.socket("1").await;
    let ben = stage.open(&service, "2").await;

    anna.invite("2").await;
    ben.rings_for("Somebody").await;
    ben.click(DECLINE).await;
    anna.expect_within(PATIENCE, "call_declined").await;
    ben.until_gone(RING).await;

    anna.invite("2").await;
    ben.rings_for("Somebody").await;
    anna.cancel("2").await;
    ben.learns("cancelled", "Missed call from Somebody").await;

    ben.dial("1", "video").await;
    let invitation = anna.expect_within(PATIENCE, "call_invitation").await;
    let offer = invitation["offer"]["sdp"].as_str().expect("an offer");
    assert!(offer.starts_with("v=0") && offer.contains("m=audio") && offer.contains("m=video"), "{offer}");
    assert_eq!(invitation["call_type"], "video");
    ben.call_is("ringing").await;
    anna.decline("2").await;
    // By the name that came with the invitation.
    ben.learns("declined", "Somebody declined").await;

    ben.dial("1", "voice").await;
    anna.expect_within(PATIENCE, "call_invitation").await;
    ben.click("#hang-up").await;
    anna.expect_within(PATIENCE, "call_cancelled").await;
    assert_eq!(reasons(&stage.store).await, ["declined", "cancelled", "declined", "cancelled"]);
}

/// A page as they were: a socket, a connection, whole descriptions without hello, rounds or restarts.
const OLD_PAGE: &str = "(async (user, peer) => {
    const socket = new WebSocket(`ws://${location.host}/ws/${user}`);
    const opened = new Promise((done) => { socket.onopen = done; });
    const pc = new RTCPeerConnection();
    const say = (type, fields) => socket.send(JSON.stringify({ type, to_user_id: peer, call_type: 'video', ...fields }));
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    for (const track of stream.getTracks()) pc.addTrack(track, stream);
    const figure = document.createElement('div');
    figure.className = 'tile';
    figure.dataset.user = peer;
    const video = Object.assign(document.createElement('video'), { autoplay: true, muted: true });
    figure.append(video);
    document.body.append(figure);
    pc.ontrack = ({ streams }) => { video.srcObject = streams[0]; };
    pc.onicecandidate = ({ candidate }) => candidate && say('ice_candidate', { candidate });
    const early = [];
    const settle = async (description) => {
        await pc.setRemoteDescription(description);
        for (const one of early.splice(0)) await pc.addIceCandidate(one);
    };
    const over = () => {
        pc.close();
        for (const track of stream.getTracks()) track.stop();
        document.title = 'over';
    };
    socket.onmessage = async ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === 'call_answer') await settle(message.answer);
        if (message.type === 'call_ended') over();
        if (message.type === 'ice_candidate' && message.candidate) {
            if (pc.remoteDescription) await pc.addIceCandidate(message.candidate);
            else early.push(message.candidate);
        }
        if (message.type === 'call_invitation') {
            await settle(message.offer);
            await pc.setLocalDescription();
            say('call_answer', { answer: pc.localDescription });
        }
    };
    await opened;
    window.old = {
        call: async () => {
            await pc.setLocalDescription();
            say('call_invitation', { from_name: 'An old page', offer: pc.localDescription });
        },
        hangUp: () => { say('call_ended', {}); over(); },
    };
    return true;
})";

async fn old_page(stage: &Stage, service: &Service, user: &str, peer: u32) -> Page {
    let page = stage.launch(Browser::of(user)).await;
    page.goto(&service.url("/healthz")).await;
    page.eval(&format!("{OLD_PAGE}({}, {peer})", quoted(user))).await;
    page
}

async fn a_page_and_an_old_page_see_and_hear_each_other(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (old, ben) = tokio::join!(old_page(&stage, &service, "1", 2), stage.open(&service, "2"));
    old.eval("old.call()").await;
    ben.rings_for("An old page").await;
    ben.click(ANSWER).await;
    ben.call_is("active").await;
    tokio::join!(old.sees_and_hears(), ben.sees_and_hears());
    tokio::join!(old.sees_colour("2"), ben.sees_colour("1"));
    old.eval("old.hangUp()").await;
    ben.learns("completed", "").await;

    // The other way round; the old page answers by itself.
    old.goto(&service.url("/healthz")).await;
    old.eval(&format!("{OLD_PAGE}('1', 2)")).await;
    ben.dial("1", "video").await;
    ben.call_is("active").await;
    tokio::join!(old.sees_and_hears(), ben.sees_and_hears());
    tokio::join!(old.sees_colour("2"), ben.sees_colour("1"));
    ben.click("#hang-up").await;
    old.until("the old page was told", "document.title", |now| now == "over").await;
    assert_eq!(reasons(&stage.store).await, ["completed", "completed"]);
}
