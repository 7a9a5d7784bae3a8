//! What is relayed, and by which way.

use std::sync::Arc;

use serde_json::json;
use switchboard::ids::{CallId, UserId};
use switchboard::router::messages::{Reply, Route};

use super::{Setup, frame, say, serve};
use crate::harness::eventually;

#[actix_web::test]
async fn a_candidate_is_relayed_with_its_senders_own_name() {
    let server = serve(Setup::default());
    let (mut seven, mut eight) = (server.connect("7").await, server.connect("8/?device_id=tab").await);
    server.until("both", |heard| heard.outlets.len() == 2).await;
    say(&mut seven, json!({"type": "ice.candidate", "to_user_id": 8, "from_user_id": 99, "candidate": "c", "x": 1}))
        .await;
    let got = frame(&mut eight).await;
    assert_eq!(got, json!({"type": "ice_candidate", "from_user_id": 7, "candidate": "c", "call_id": 1, "x": 1}));
    say(&mut seven, json!({"type": "ping"})).await;
    assert_eq!(frame(&mut seven).await, json!({"type": "pong"}));
    say(&mut seven, json!({"type": "nonsense", "ref": "r1"})).await;
    let error = frame(&mut seven).await;
    assert_eq!((&error["code"], &error["ref"]), (&json!("unknown_type"), &json!("r1")));
    seven.close(None).await.unwrap();
    server.gone_once("7", true).await;
}

#[actix_web::test]
async fn hanging_up_too_late_is_silent_unless_the_message_has_a_ref() {
    let server = serve(Setup::default());
    let mut seven = server.connect("7").await;
    say(&mut seven, json!({"type": "call_ended", "to_user_id": 8})).await;
    say(&mut seven, json!({"type": "call_ended", "to_user_id": 8, "ref": 5})).await;
    let error = frame(&mut seven).await;
    assert_eq!((&error["code"], &error["ref"]), (&json!("call_ended"), &json!(5)));
    drop(seven);
    server.gone_once("7", false).await;
}

#[actix_web::test]
async fn candidates_take_the_route_only_when_nothing_is_on_the_long_way() {
    let server = serve(Setup { hold: true, ..Setup::default() });
    let (mut seven, mut eight) = (server.connect("7").await, server.connect("8").await);
    server.until("both", |heard| heard.outlets.len() == 2).await;
    let route = Route { call: CallId::new(3).unwrap(), peer: UserId::parse("8").unwrap(), outlet: server.outlet("8") };
    server.outlet("7").set_route(Some(Arc::new(route)));
    say(&mut seven, json!({"type": "ice_candidate", "call_id": 3, "candidate": 1})).await;
    assert_eq!(frame(&mut eight).await["candidate"], 1);
    say(&mut seven, json!({"type": "call_offer", "call_id": 3, "offer": "o"})).await;
    say(&mut seven, json!({"type": "ice_candidate", "call_id": 3, "candidate": 2})).await;
    server.until("the offer and the candidate", |heard| heard.commands.len() == 2).await;
    server.heard.lock().unwrap().held.drain(..).for_each(|reply| reply.answer(Ok(Reply::Relayed)));
    say(&mut seven, json!({"type": "ice_candidate", "to_user_id": 8, "candidate": 3})).await;
    assert_eq!(frame(&mut eight).await["candidate"], 3);
    say(&mut seven, json!({"type": "ice_candidate", "call_id": 4, "candidate": 4})).await;
    say(&mut seven, json!({"type": "ice_candidate", "to_user_id": 9, "candidate": 5})).await;
    server.until("what does not fit the route", |heard| heard.commands.len() == 4).await;
}

#[actix_web::test]
async fn outlets_with_a_route_to_each_other_are_freed_whether_it_was_opened_before_or_after_their_end() {
    for late in [false, true] {
        let server = serve(Setup::default());
        let clients = (server.connect("7").await, server.connect("8").await);
        server.until("both", |heard| heard.outlets.len() == 2).await;
        let (seven, eight) = (server.outlet("7"), server.outlet("8"));
        let open = || {
            for (outlet, other, user) in [(&seven, &eight, "8"), (&eight, &seven, "7")] {
                let (call, peer) = (CallId::new(3).unwrap(), UserId::parse(user).unwrap());
                outlet.set_route(Some(Arc::new(Route { call, peer, outlet: other.clone() })));
            }
        };
        if !late {
            open();
        }
        drop(clients);
        server.until("both gone", |heard| heard.gone.len() == 2).await;
        if late {
            open();
        }
        let weak = [Arc::downgrade(&seven), Arc::downgrade(&eight)];
        drop((seven, eight));
        server.heard.lock().unwrap().outlets.clear();
        let freed = async || weak.iter().all(|outlet| outlet.upgrade().is_none()).then_some(());
        eventually(&format!("both are freed, late: {late}"), freed).await;
    }
}
