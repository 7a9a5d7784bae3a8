//! Administrators: the numbers they read are what is there, and their last word on calls and connections.

use serde_json::{Value, json};

use crate::harness::rest::call_id;
use crate::harness::socket::connect_call;
use crate::harness::{Outage, Rest, Service, Socket, Store, eventually};

on_both!(
    the_numbers_are_what_is_there,
    only_admins_and_services_may,
    a_killed_ring_is_over_for_everybody,
    a_killed_call_is_over_for_everybody,
    a_call_is_killed_while_the_database_is_away,
    a_call_that_two_kill_at_once_ends_once,
    a_closed_session_is_over_for_good,
);

on_sqlite!(the_sockets_of_a_page_are_one_session, what_is_not_there_cannot_be_ended,);

/// Somebody who may everything.
pub(super) fn admin(service: &Service) -> Rest {
    service.rest("1000").role("admin")
}

/// Asks until a part of the overview is that; its period is all of the story, whatever midnight comes.
async fn overview(admin: &Rest, part: &str, wanted: Value) -> Value {
    eventually(&format!("{part} is {wanted}"), async || {
        let now = admin.get("/api/admin/overview?since=2020-01-01T00:00:00Z").await.ok();
        (now[part] == wanted).then_some(now)
    })
    .await
}

async fn sessions_of(admin: &Rest, user: &str) -> Vec<Value> {
    let body = admin.get(&format!("/api/admin/sessions?user={user}")).await.ok();
    body["sessions"].as_array().expect("sessions").clone()
}

async fn live_calls(admin: &Rest) -> Vec<Value> {
    admin.get("/api/admin/calls").await.ok()["calls"].as_array().expect("calls").clone()
}

fn killed(call: i64) -> Value {
    json!({ "success": true, "call_id": call, "status": "ended", "reason": "killed" })
}

async fn the_numbers_are_what_is_there(store: Store) {
    let service = Service::start(&store).await;
    let admin = admin(&service);
    let users = |online, in_call, busy| json!({ "known": online, "online": online, "in_call": in_call, "busy": busy });
    let empty = overview(&admin, "users", users(0, 0, 0)).await;
    assert_eq!(empty["period"]["calls"], 0);
    assert_eq!(empty["period"]["answer_rate"], Value::Null);
    let (mut anna, mut ben) = (service.device("1", "laptop").await, service.socket("2").await);
    let _tablet = service.device("2", "tablet").await;
    let cleo = service.rest("3");
    cleo.heartbeat().await;
    let now = overview(&admin, "users", users(3, 0, 0)).await;
    assert_eq!((&now["sessions"], &now["devices"]), (&json!(3), &json!(4)));
    let calls =
        |initiated, ringing, answered| json!({ "initiated": initiated, "ringing": ringing, "answered": answered });
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    overview(&admin, "calls", calls(0, 1, 0)).await;
    overview(&admin, "users", users(3, 0, 2)).await;
    let live = live_calls(&admin).await;
    assert_eq!(live.len(), 1);
    assert_eq!((&live[0]["id"], &live[0]["status"]), (&json!(call), &json!("ringing")));
    assert_eq!((&live[0]["caller_id"], &live[0]["callee_ids"]), (&json!(1), &json!([2])));
    let caller = &live[0]["participants"][0];
    assert_eq!(
        (&caller["name"], &caller["role"], &caller["device_id"]),
        (&json!("Somebody"), &json!("caller"), &json!("laptop"))
    );
    let callee = &live[0]["participants"][1];
    assert_eq!((&callee["state"], &callee["device_id"]), (&json!("ringing"), &Value::Null));
    ben.answer("1").await;
    anna.expect("call_answer").await;
    overview(&admin, "calls", calls(0, 0, 1)).await;
    let now = overview(&admin, "users", users(3, 2, 0)).await;
    assert_eq!((&now["period"]["answered"], &now["period"]["answer_rate"]), (&json!(1), &json!(1.0)));
    let live = &live_calls(&admin).await[0];
    assert!(live["status"] == "answered" && live["answered_at"].is_string(), "{live}");
    // On two devices, and in the call with one of them.
    let of_ben = sessions_of(&admin, "2").await;
    let calls_of: Vec<&Value> = of_ben.iter().map(|session| &session["call_id"]).collect();
    assert!(of_ben.len() == 2 && calls_of.contains(&&json!(call)) && calls_of.contains(&&Value::Null), "{of_ben:?}");
    let of_anna = &sessions_of(&admin, "1").await[0];
    assert_eq!(
        (&of_anna["kind"], &of_anna["device_id"], &of_anna["address"]),
        (&json!("users"), &json!("laptop"), &json!("127.0.0.1"))
    );
    assert_eq!((&of_anna["status"], &of_anna["call_id"]), (&json!("in_call"), &json!(call)));
    assert_eq!(sessions_of(&admin, "3").await[0]["kind"], "http");
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    overview(&admin, "calls", calls(0, 0, 0)).await;
    // Nobody is there to be called.
    anna.invite("99").await;
    anna.expect("call_declined").await;
    let now = overview(&admin, "unseen_missed", json!(1)).await;
    assert_eq!(
        (&now["period"]["calls"], &now["period"]["missed"], &now["period"]["answer_rate"]),
        (&json!(2), &json!(1), &json!(0.5))
    );
    let later = admin.get("/api/admin/overview?since=2999-01-01T00:00:00Z").await.ok();
    assert_eq!(later["period"]["calls"], 0);
    let nodes = admin.get("/api/admin/nodes").await.ok();
    let node = &nodes["nodes"][0];
    assert_eq!(
        (&node["id"], &node["sessions"], &node["users"], &node["live_calls"]),
        (&json!("local"), &json!(3), &json!(3), &json!(0))
    );
    let about = service.rest("1").get("/api/about").await.ok();
    assert_eq!(
        (&about["auth"], &about["directory"], &about["version"]),
        (&json!("dev"), &json!(true), &node["version"])
    );
}

async fn only_admins_and_services_may(store: Store) {
    let service = Service::start(&store).await;
    let anna = service.rest("1");
    for path in ["overview", "calls", "sessions", "nodes"] {
        let path = format!("/api/admin/{path}");
        assert_eq!(anna.get(&path).await.refused(403)["code"], "forbidden");
        service.rest("1").role("service").get(&path).await.ok();
    }
    for path in ["calls/1/kill", "sessions/s1/close"] {
        assert_eq!(anna.post(&format!("/api/admin/{path}"), json!({})).await.refused(403)["code"], "forbidden");
    }
    // A service that acts for somebody is that user.
    let acting = service.rest("1").role("service");
    let request = acting.request(reqwest::Method::GET, "/api/admin/calls").header("X-On-Behalf-Of", "7");
    acting.send(request).await.refused(403);
}

async fn what_is_not_there_cannot_be_ended(store: Store) {
    let service = Service::start(&store).await;
    let admin = admin(&service);
    admin.heartbeat().await;
    for (path, status) in [
        ("calls/99/kill", 404),
        ("calls/x/kill", 400),
        ("calls/0/kill", 400),
        ("sessions/s1/close", 404),
        ("sessions/7/close", 400),
        ("sessions/http:1000/close", 400),
    ] {
        admin.post(&format!("/api/admin/{path}"), json!({})).await.refused(status);
    }
    for path in ["overview?since=yesterday", "overview?x=1", "sessions?user=a%20b"] {
        assert_eq!(admin.get(&format!("/api/admin/{path}")).await.refused(400)["code"], "invalid");
    }
}

async fn a_killed_ring_is_over_for_everybody(store: Store) {
    let service = Service::start(&store).await;
    let admin = admin(&service);
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let mut tablet = service.device("2", "tablet").await;
    anna.invite("2").await;
    let call = call_id(&ben.expect("call_invitation").await);
    tablet.expect("call_invitation").await;
    let kill = format!("/api/admin/calls/{call}/kill");
    assert_eq!(admin.post(&kill, json!({})).await.ok(), killed(call));
    let ended = anna.expect("call_ended").await;
    assert_eq!((call_id(&ended), &ended["reason"]), (call, &json!("killed")));
    for device in [&mut ben, &mut tablet] {
        let stops = device.expect("call_cancelled").await;
        assert_eq!((call_id(&stops), &stops["reason"]), (call, &json!("killed")));
    }
    let record = admin.record(call).await;
    assert_eq!((&record["reason"], &record["answered_at"]), (&json!("killed"), &Value::Null));
    // It rang and he did not come.
    assert_eq!(service.rest("2").missed().await.1, 1);
    assert_eq!(admin.post(&kill, json!({})).await.ok(), killed(call));
    for socket in [&mut anna, &mut ben, &mut tablet] {
        socket.quiet().await;
    }
    assert!(live_calls(&admin).await.is_empty());
    connect_call((&mut anna, "1"), (&mut ben, "2")).await;
}

async fn a_killed_call_is_over_for_everybody(store: Store) {
    let service = Service::start(&store).await;
    let admin = admin(&service);
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let kill = format!("/api/admin/calls/{call}/kill");
    assert_eq!(admin.post(&kill, json!({})).await.ok(), killed(call));
    for socket in [&mut anna, &mut ben] {
        let ended = socket.expect("call_ended").await;
        assert_eq!((call_id(&ended), &ended["reason"]), (call, &json!("killed")));
        socket.quiet().await;
    }
    let record = admin.record(call).await;
    assert_eq!((&record["status"], &record["reason"]), (&json!("ended"), &json!("killed")));
    let events = admin.get(&format!("/api/calls/{call}/events")).await.ok();
    let last = events["events"].as_array().and_then(|events| events.last()).expect("a trace").clone();
    assert_eq!((&last["what"], &last["who"], &last["detail"]), (&json!("ended"), &json!(1000), &json!("killed")));
    for user in ["1", "2"] {
        assert_eq!(admin.status_of(user).await, "online");
    }
    assert_eq!(admin.post(&kill, json!({})).await.ok(), killed(call));
    // One that ended by itself stays as it ended, also after a restart.
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    let mut service = service;
    let done = json!({ "success": true, "call_id": call, "status": "ended", "reason": "completed" });
    let kill = format!("/api/admin/calls/{call}/kill");
    assert_eq!(admin.post(&kill, json!({})).await.ok(), done);
    service.restart().await;
    assert_eq!(self::admin(&service).post(&kill, json!({})).await.ok(), done);
}

async fn a_call_is_killed_while_the_database_is_away(store: Store) {
    let mut outage = Outage::prepare(&store).await;
    let service = Service::start(outage.store()).await;
    let admin = admin(&service);
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    outage.jam().await;
    assert_eq!(admin.post(&format!("/api/admin/calls/{call}/kill"), json!({})).await.ok(), killed(call));
    for socket in [&mut anna, &mut ben] {
        assert_eq!(socket.expect("call_ended").await["reason"], "killed");
    }
    assert_eq!(live_calls(&admin).await, [Value::Null; 0]);
    outage.end().await;
    service.until_ready().await;
    assert_eq!(admin.final_record(call).await["reason"], "killed");
}

async fn a_call_that_two_kill_at_once_ends_once(store: Store) {
    let service = Service::start(&store).await;
    let admin = admin(&service);
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let kill = format!("/api/admin/calls/{call}/kill");
    let (one, other) = tokio::join!(admin.post(&kill, json!({})), admin.post(&kill, json!({})));
    assert_eq!((one.ok(), other.ok()), (killed(call), killed(call)));
    for socket in [&mut anna, &mut ben] {
        assert_eq!(socket.expect("call_ended").await["reason"], "killed");
        socket.quiet().await;
    }
}

async fn a_closed_session_is_over_for_good(store: Store) {
    let service = Service::start(&store).await;
    let admin = admin(&service);
    let mut laptop = service.device("1", "laptop").await;
    let mut tablet = service.device("1", "tablet").await;
    let welcome = laptop.hello().await;
    let sessions = sessions_of(&admin, "1").await;
    let on = |device: &str| sessions.iter().find(|session| session["device_id"] == device).expect("a session").clone();
    let close = format!("/api/admin/sessions/{}/close", on("laptop")["id"].as_str().expect("an id"));
    admin.post(&close, json!({})).await.ok();
    laptop.expect_close(4403).await;
    assert_eq!(laptop.reason(), "closed by administrator");
    tablet.quiet().await;
    eventually("it is gone", async || (sessions_of(&admin, "1").await.len() == 1).then_some(())).await;
    admin.post(&close, json!({})).await.refused(404);
    // A new socket of the device begins anew.
    let mut again = service.device("1", "laptop").await;
    assert_eq!(again.resume(&welcome["session_id"], 0).await["recovered"], false);
}

async fn the_sockets_of_a_page_are_one_session(store: Store) {
    let service = Service::start(&store).await;
    let admin = admin(&service);
    let mut bell = Socket::dial_path(&service, "/ws/notifications/", "1").user("1").open().await;
    let mut chat = Socket::dial_path(&service, "/ws/chat/12/", "1").user("1").open().await;
    let sessions = sessions_of(&admin, "1").await;
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!((&sessions[0]["kind"], &sessions[0]["device_id"]), (&json!("channels"), &json!("channels")));
    let close = format!("/api/admin/sessions/{}/close", sessions[0]["id"].as_str().expect("an id"));
    admin.post(&close, json!({})).await.ok();
    bell.expect_close(4403).await;
    chat.expect_close(4403).await;
    let mut profile = Socket::dial_profile(&service, "1", "tutor").open().await;
    assert_eq!(sessions_of(&admin, "tutor_1").await[0]["kind"], "profiles");
    profile.quiet().await;
}
