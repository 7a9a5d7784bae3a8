//! Pages and profiles are lost in a call.

use serde_json::json;

use super::{act, call_page, chat, ice_on_page, page, shows, token_of_7};
use crate::harness::socket::candidate;
use crate::harness::{Service, Socket, Store, eventually};

on_sqlite!(
    a_page_and_a_profile_survive_a_crash,
    another_device_does_not_take_a_lost_pages_call,
    a_chat_socket_goes_during_a_call,
);

async fn a_page_and_a_profile_survive_a_crash(store: Store) {
    let mut service = Service::start(&store).await;
    let token = token_of_7(&service).await;
    let dial = |service: &Service| Socket::dial_profile(service, "1", "tutor").token(&token).device("board");
    let mut tia = dial(&service).open().await;
    tia.hello().await;
    let mut ben = page(&service, "2").await;
    let call = call_page((&mut tia, "7"), (&mut ben, "2"), &service).await;
    service.kill9().await;
    drop((tia, ben));
    service.start_again().await;
    let mut ben = page(&service, "2").await;
    let mut more = chat(&service, "2").await;
    ice_on_page(&mut ben, call, 1).await;
    let mut tia = dial(&service).open().await;
    let welcome = tia.hello().await;
    assert_eq!(welcome["calls"][0]["call_id"], call, "{welcome}");
    assert_eq!(tia.expect("ice_candidate").await["candidate"], candidate(1));
    tia.candidate("2", 2).await;
    assert_eq!(ben.expect("call.ice").await["candidate"], candidate(2));
    more.round_trip().await;
    shows(&service, "tutor_1", "in_call").await;
    act(&service, "2", call, "end").await;
    assert_eq!(tia.expect("call_ended").await["reason"], "completed");
    for socket in [&mut tia, &mut ben, &mut more] {
        socket.without("call.end").await;
        socket.without("call_ended").await;
    }
    assert_eq!(service.rest("2").final_record(call).await["callee_ids"], json!([2]));
}

async fn another_device_does_not_take_a_lost_pages_call(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let mut ben = page(&service, "2").await;
    let call = call_page((&mut anna, "1"), (&mut ben, "2"), &service).await;
    let mut phone = service.device("2", "phone").await;
    ben.vanish();
    anna.expect("peer_reconnecting").await;
    let mut tablet = service.device("2", "tablet").await;
    anna.candidate("2", 1).await;
    anna.round_trip().await;
    phone.quiet().await;
    tablet.quiet().await;
    anna.without("peer_resumed").await;
    let mut ben = page(&service, "2").await;
    ice_on_page(&mut ben, call, 2).await;
    anna.expect("peer_resumed").await;
    assert_eq!(ben.expect("call.ice").await["candidate"], candidate(1));
    act(&service, "2", call, "end").await;
    anna.expect("call_ended").await;
}

async fn a_chat_socket_goes_during_a_call(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let mut bell = page(&service, "2").await;
    let mut open = chat(&service, "2").await;
    let call = call_page((&mut anna, "1"), (&mut bell, "2"), &service).await;
    open.expect("call.offer").await;
    // To the direct way and back.
    for round in 0..5 {
        anna.candidate("2", round).await;
        ice_on_page(&mut open, call, 100 + round).await;
        assert_eq!(bell.expect("call.ice").await["candidate"], candidate(round));
        assert_eq!(open.expect("call.ice").await["candidate"], candidate(round));
        assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(100 + round));
        if round % 2 == 0 {
            open.vanish();
        } else {
            open.close().await;
        }
        open = chat(&service, "2").await;
    }
    // The bell goes, and the page is only its chat.
    bell.vanish();
    eventually("only the chat is left", async || {
        anna.candidate("2", 50).await;
        anna.round_trip().await;
        open.has("call.ice").await.then_some(())
    })
    .await;
    anna.without("peer_reconnecting").await;
    anna.hang_up("2").await;
    assert_eq!(open.expect("call.end").await["reason"], "completed");
}
