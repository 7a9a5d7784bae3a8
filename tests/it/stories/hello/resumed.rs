//! Sockets that are lost, and what their sessions keep.

use serde_json::{Value, json};

use super::{numbers, seq};
use crate::harness::rest::call_id;
use crate::harness::socket::{Socket, candidate, connect_call};
use crate::harness::{PATIENCE, Service, Store, eventually};

on_sqlite!(
    nothing_is_lost_or_doubled_when_the_socket_drops_in_a_burst,
    a_session_that_cannot_be_filled_is_begun_anew,
    a_session_is_its_own_users,
    a_device_that_is_back_is_rung_once,
    a_closing_that_came_while_away_is_told_once_after_what_was_missed,
    whoever_comes_back_without_a_word_is_told_all_the_same,
    the_same_device_takes_over_without_disturbing_the_call,
    the_other_side_is_told_of_a_loss_and_a_return,
);

async fn nothing_is_lost_or_doubled_when_the_socket_drops_in_a_burst(store: Store) {
    let service = Service::with(&store, &[("LIMITS__MESSAGE_BURST", "1000")]).await;
    for round in 0..5 {
        let mut anna = service.device("1", "laptop").await;
        let mut ben = service.device("2", "phone").await;
        let session = ben.hello().await["session_id"].clone();
        connect_call((&mut anna, "1"), (&mut ben, "2")).await;
        // So that the direct way is open in some rounds and the long way is taken in others.
        if round % 2 == 0 {
            ben.candidate("1", 0).await;
            anna.expect("ice_candidate").await;
        }
        ben.round_trip().await;
        let mut got = ben.all().await;
        let before = got.len();
        let burst = async {
            for number in 1..=50 {
                anna.candidate("2", number).await;
            }
            anna.round_trip().await;
        };
        let listening = async {
            while got.len() < before + 20 {
                got.extend(ben.next_within(PATIENCE).await);
            }
            ben.vanish();
        };
        tokio::join!(burst, listening);
        let last = got.iter().map(seq).max().unwrap_or(0);
        let mut ben = Socket::dial(&service, "2").device("phone").open_silently().await;
        // She goes on while he asks for what he missed.
        let more = async {
            for number in 51..=100 {
                anna.candidate("2", number).await;
            }
        };
        let (welcome, ()) = tokio::join!(ben.resume(&session, last), more);
        assert_eq!((&welcome["recovered"], &welcome["seq"]), (&json!(true), &json!(last)), "round {round}");
        while got.iter().filter(|message| message["type"] == "ice_candidate").count() < 100 {
            let next = ben.next_within(PATIENCE).await;
            got.push(next.unwrap_or_else(|| panic!("round {round}: only {} came", got.len())));
        }
        got.extend(ben.all().await);
        let all = numbers(&got);
        assert_eq!(all, (all[0]..all[0] + all.len() as u64).collect::<Vec<_>>(), "round {round}: {got:?}");
        let candidates: Vec<_> = got.iter().filter(|message| message["type"] == "ice_candidate").collect();
        let wanted: Vec<Value> = (1..=100).map(candidate).collect();
        assert_eq!(candidates.iter().map(|c| c["candidate"].clone()).collect::<Vec<_>>(), wanted, "round {round}");
        ben.hang_up("1").await;
        anna.expect("call_ended").await;
        ben.close().await;
        anna.close().await;
        eventually("both are gone", async || (service.rest("9").status_of("2").await == "offline").then_some(())).await;
    }
}

async fn a_session_that_cannot_be_filled_is_begun_anew(store: Store) {
    let service =
        Service::with(&store, &[("LIMITS__MESSAGES_PER_SECOND", "1000"), ("LIMITS__MESSAGE_BURST", "1000")]).await;
    let mut anna = service.device("1", "laptop").await;
    let session = anna.hello().await["session_id"].clone();
    for _ in 0..3 {
        for _ in 0..100 {
            anna.send(json!({ "type": "ping" })).await;
        }
        for _ in 0..100 {
            anna.expect("pong").await;
        }
    }
    anna.vanish();
    // The first 44 of 300 are gone.
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    let welcome = anna.resume(&session, 10).await;
    assert_eq!((&welcome["recovered"], &welcome["seq"]), (&json!(false), &json!(0)));
    assert_ne!(welcome["session_id"], session);
    anna.quiet().await;
    // Unknown, from the future, and told something already.
    let session = welcome["session_id"].clone();
    let mut other = service.device("1", "other").await;
    assert_eq!(other.resume(&json!("nonsense"), 0).await["recovered"], json!(false));
    anna.vanish();
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    assert_eq!(anna.resume(&session, 7).await["recovered"], json!(false));
    let session = anna.hello().await["session_id"].clone();
    anna.vanish();
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    anna.send(json!({ "type": "ping" })).await;
    assert!(anna.expect("pong").await.get("seq").is_none());
    assert_eq!(anna.resume(&session, 0).await["recovered"], json!(false));
}

async fn a_session_is_its_own_users(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let session = anna.hello().await["session_id"].clone();
    anna.send(json!({ "type": "ping" })).await;
    anna.expect("pong").await;
    let mut eve = service.device("6", "laptop").await;
    let welcome = eve.resume(&session, 0).await;
    assert_eq!(welcome["recovered"], json!(false));
    assert_ne!(welcome["session_id"], session);
    eve.quiet().await;
    // Nor another device's, while its socket is open.
    let mut phone = service.device("1", "phone").await;
    assert_eq!(phone.resume(&session, 0).await["recovered"], json!(false));
    phone.quiet().await;
    anna.vanish();
    let mut anna = Socket::dial(&service, "1").device("laptop").open_silently().await;
    assert_eq!(anna.resume(&session, 0).await["recovered"], json!(true));
    assert_eq!(anna.expect("pong").await["seq"], json!(1));
}

async fn a_device_that_is_back_is_rung_once(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let session = ben.hello().await["session_id"].clone();
    anna.invite("2").await;
    let rung = ben.expect("call_invitation").await;
    // Once it was read, once it was not.
    for seq in [seq(&rung), 0] {
        ben.vanish();
        ben = Socket::dial(&service, "2").device("phone").open_silently().await;
        let welcome = ben.resume(&session, seq).await;
        assert_eq!(welcome["recovered"], json!(seq > 0), "trimmed once it was acknowledged");
        assert_eq!(welcome["calls"][0]["ringing_here"], json!(true));
        if seq > 0 {
            ben.quiet().await;
        } else {
            assert_eq!(call_id(&ben.expect("call_invitation").await), call_id(&rung));
            ben.quiet().await;
        }
    }
    ben.answer("1").await;
    anna.expect("call_answer").await;
}

async fn a_closing_that_came_while_away_is_told_once_after_what_was_missed(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    let session = ben.hello().await["session_id"].clone();
    anna.invite("2").await;
    let rung = ben.expect("call_invitation").await;
    ben.vanish();
    let rest = service.rest("9");
    eventually("ben is seen gone", async || (rest.status_of("2").await == "offline").then_some(())).await;
    anna.cancel("2").await;
    anna.round_trip().await;
    let record = service.rest("1").final_record(call_id(&rung)).await;
    assert_eq!(record["reason"], json!("cancelled"));
    let mut ben = Socket::dial(&service, "2").device("phone").open_silently().await;
    let welcome = ben.resume(&session, 0).await;
    assert_eq!((&welcome["recovered"], &welcome["calls"]), (&json!(true), &json!([])));
    let all = ben.all().await;
    let kinds: Vec<_> = all.iter().map(|message| message["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["call_invitation", "call_cancelled"], "{all:?}");
    assert_eq!(numbers(&all), [1, 2]);
}

async fn whoever_comes_back_without_a_word_is_told_all_the_same(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    ben.hello().await;
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    ben.vanish();
    let mut ben = Socket::dial(&service, "2").device("phone").open_silently().await;
    let again = ben.expect("call_invitation").await;
    assert!(again.get("seq").is_none(), "{again}");
    anna.cancel("2").await;
    assert!(ben.expect("call_cancelled").await.get("seq").is_none());
    ben.quiet().await;
}

async fn the_same_device_takes_over_without_disturbing_the_call(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.hello().await;
    let session = ben.hello().await["session_id"].clone();
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let last = ben.all().await.last().map_or(1, seq);
    // The old socket seems open: the network changed under it.
    let mut again = Socket::dial(&service, "2").device("phone").open_silently().await;
    let welcome = again.resume(&session, last).await;
    assert_eq!(welcome["recovered"], json!(true));
    assert_eq!(welcome["calls"][0]["call_id"], json!(call));
    ben.expect_close(4409).await;
    anna.candidate("2", 1).await;
    assert_eq!(seq(&again.expect("ice_candidate").await), last + 1);
    anna.without("peer_reconnecting").await;
    anna.without("call_ended").await;
    again.hang_up("1").await;
    assert_eq!(anna.expect("call_ended").await["reason"], json!("completed"));
}

async fn the_other_side_is_told_of_a_loss_and_a_return(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = service.device("2", "phone").await;
    anna.hello().await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    ben.vanish();
    let lost = anna.expect("peer_reconnecting").await;
    assert_eq!((call_id(&lost), &lost["user_id"]), (call, &json!(2)));
    assert!(lost["grace_ms"].as_u64().is_some_and(|ms| (20_000..=30_000).contains(&ms)), "{lost}");
    let mut ben = service.device("2", "phone").await;
    let back = anna.expect("peer_resumed").await;
    assert_eq!((call_id(&back), &back["user_id"]), (call, &json!(2)));
    ben.quiet().await;
}
