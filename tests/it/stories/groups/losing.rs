//! Members, or the service itself, are lost and come back.

use super::{answer_to, bring, hears, leave, offer_to, part, shows, three};
use crate::harness::rest::call_id;
use crate::harness::{Service, Store, eventually};

on_both!(
    a_lost_member_comes_back_to_its_group,
    a_dropped_member_leaves_a_group_that_goes_on,
    a_group_call_survives_a_crash,
);

async fn a_lost_member_comes_back_to_its_group(store: Store) {
    let service = Service::start(&store).await;
    let ([mut anna, mut ben, cleo], call) = three(&service).await;
    cleo.vanish();
    eventually("3 is waited for", async || {
        (part(&service.rest("1").record(call).await, "3").0 == "lost").then_some(())
    })
    .await;
    offer_to(&mut ben, call, "3", "while you were out").await;
    ben.round_trip().await;
    let mut cleo = service.device("3", "c").await;
    assert_eq!(hears(&mut cleo, "call_offer").await, (2.into(), "while you were out".into()));
    answer_to(&mut cleo, call, "2", "here").await;
    assert_eq!(hears(&mut ben, "call_answer").await, (3.into(), "here".into()));
    for socket in [&mut anna, &mut ben, &mut cleo] {
        socket.quiet().await;
    }
    leave(&mut anna, call).await;
    leave(&mut ben, call).await;
    cleo.expect("call_ended").await;
    cleo.quiet().await;
}

async fn a_dropped_member_leaves_a_group_that_goes_on(store: Store) {
    let service = Service::with(&store, &[("CALL__RECONNECT_GRACE", "1s")]).await;
    let ([mut anna, mut ben, cleo], call) = three(&service).await;
    cleo.vanish();
    eventually("3 is dropped", async || {
        (part(&service.rest("1").record(call).await, "3") == ("left".to_owned(), "dropped".into())).then_some(())
    })
    .await;
    offer_to(&mut ben, call, "1", "we talk on").await;
    assert_eq!(hears(&mut anna, "call_offer").await.0, 2);
    // What it missed is told when it is back, though the call lives.
    let mut cleo = service.device("3", "c").await;
    let told = cleo.expect("call_ended").await;
    assert_eq!((&told["reason"], call_id(&told)), (&"dropped".into(), call));
    shows(&service, "3", "online").await;
    bring(&mut anna, call, "3", "again").await;
    cleo.expect("call_invitation").await;
    answer_to(&mut cleo, call, "1", "yes").await;
    anna.expect("call_answer").await;
    leave(&mut anna, call).await;
    leave(&mut ben, call).await;
    cleo.expect("call_ended").await;
    for socket in [&mut anna, &mut ben, &mut cleo] {
        socket.quiet().await;
    }
}

async fn a_group_call_survives_a_crash(store: Store) {
    let mut service = Service::with(&store, &[("CALL__RESTART_GRACE", "6s")]).await;
    let ([mut anna, ben, cleo], call) = three(&service).await;
    let mut dora = service.device("4", "d").await;
    bring(&mut anna, call, "4", "a to d").await;
    dora.expect("call_invitation").await;
    service.kill9().await;
    drop((anna, ben, cleo, dora));
    service.start_again().await;
    let mut anna = service.device("1", "a").await;
    let mut ben = service.device("2", "b").await;
    let mut dora = service.device("4", "d").await;
    let rung = dora.expect("call_invitation").await;
    assert_eq!((&rung["from_user_id"], &rung["offer"]["sdp"]), (&1.into(), &"a to d".into()), "{rung}");
    answer_to(&mut dora, call, "1", "d to a").await;
    assert_eq!(hears(&mut anna, "call_answer").await, (4.into(), "d to a".into()));
    offer_to(&mut ben, call, "4", "b to d").await;
    assert_eq!(hears(&mut dora, "call_offer").await, (2.into(), "b to d".into()));
    // 3 does not come back; the others talk on.
    eventually("3 is dropped", async || {
        (part(&service.rest("1").record(call).await, "3") == ("left".to_owned(), "dropped".into())).then_some(())
    })
    .await;
    leave(&mut anna, call).await;
    leave(&mut ben, call).await;
    assert_eq!(dora.expect("call_ended").await["reason"], "completed");
    for socket in [&mut anna, &mut ben, &mut dora] {
        socket.quiet().await;
    }
    assert_eq!(service.rest("4").final_record(call).await["reason"], "completed");
}
