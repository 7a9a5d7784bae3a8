//! A user with several devices: all ring, one takes the call, the others stop ringing, once.

use crate::harness::rest::call_id;
use crate::harness::{Service, Socket, Store};

on_both!(
    the_first_device_to_answer_wins_and_the_others_stop_ringing,
    a_decline_on_one_device_stops_the_others,
    a_cancelled_call_stops_every_device,
    the_same_device_again_takes_the_place_of_its_old_socket,
    a_late_answer_from_another_device_changes_nothing,
);

async fn the_first_device_to_answer_wins_and_the_others_stop_ringing(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let (mut phone, mut laptop) = (service.device("2", "phone").await, service.device("2", "laptop").await);

    anna.invite("2").await;
    let call = call_id(&phone.expect("call_invitation").await);
    assert_eq!(call_id(&laptop.expect("call_invitation").await), call);
    laptop.answer("1").await;
    anna.expect("call_answer").await;
    let closed = phone.expect("call_ended").await;
    assert_eq!((&closed["reason"], call_id(&closed)), (&"answered_elsewhere".into(), call));
    phone.quiet().await;
    // Candidates go to the device that has the call.
    anna.candidate("2", 1).await;
    laptop.expect("ice_candidate").await;
    phone.quiet().await;
    anna.hang_up("2").await;
    laptop.expect("call_ended").await;
    phone.quiet().await;
    laptop.quiet().await;
    assert_eq!(service.rest("2").missed().await.1, 0);
}

async fn a_decline_on_one_device_stops_the_others(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let (mut phone, mut laptop) = (service.device("2", "phone").await, service.device("2", "laptop").await);

    anna.invite("2").await;
    let call = call_id(&phone.expect("call_invitation").await);
    laptop.expect("call_invitation").await;
    phone.decline("1").await;
    anna.expect("call_declined").await;
    let closed = laptop.next_within(crate::harness::PATIENCE).await.expect("a closing message");
    assert_eq!((&closed["reason"], call_id(&closed)), (&"declined_elsewhere".into(), call), "{closed}");
    laptop.quiet().await;
    anna.quiet().await;
    assert_eq!(store.open().await.outcome(call).await, ("declined".to_owned(), "rejected".to_owned()));
}

async fn a_cancelled_call_stops_every_device(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let (mut phone, mut laptop) = (service.device("2", "phone").await, service.device("2", "laptop").await);

    anna.invite("2").await;
    phone.expect("call_invitation").await;
    laptop.expect("call_invitation").await;
    anna.cancel("2").await;
    phone.expect("call_cancelled").await;
    laptop.expect("call_cancelled").await;
    phone.quiet().await;
    laptop.quiet().await;
}

async fn the_same_device_again_takes_the_place_of_its_old_socket(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let mut old = service.device("2", "phone").await;
    let mut new = service.device("2", "phone").await;
    old.expect_close(4409).await;
    // The old socket's end does not take the new one along.
    assert_eq!(service.rest("1").status_of("2").await, "online");
    anna.invite("2").await;
    new.expect("call_invitation").await;
    new.quiet().await;
}

async fn a_late_answer_from_another_device_changes_nothing(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("1").await;
    let (mut phone, mut laptop): (Socket, Socket) =
        (service.device("2", "phone").await, service.device("2", "laptop").await);
    anna.invite("2").await;
    let call = call_id(&phone.expect("call_invitation").await);
    laptop.expect("call_invitation").await;
    phone.answer("1").await;
    laptop.answer("1").await;
    anna.expect("call_answer").await;
    // Which of the two the service saw first is its business; that it was one of them is not.
    let (at_phone, at_laptop) = tokio::join!(
        phone.next_within(std::time::Duration::from_secs(2)),
        laptop.next_within(std::time::Duration::from_secs(2))
    );
    let closed = [at_phone, at_laptop].into_iter().flatten();
    let elsewhere = closed.filter(|message| message["reason"] == "answered_elsewhere").count();
    assert_eq!(elsewhere, 1);
    anna.quiet().await;
    assert_eq!(store.open().await.outcome(call).await.0, "answered");
}
