//! The life of a database before it is dumped: calls with every end there is, lists and logs, and then calls that are
//! live when the process is killed. Users below 10 are in ended calls, those above in live ones.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::rest::{call_id, id};
use crate::harness::socket::{connect_call, description, invitation};
use crate::harness::{Rest, Service, Socket, Store, eventually};

/// Deadlines that make each end happen soon, and presence written at once.
pub const BRISK: [(&str, &str); 6] = [
    ("CALL__RING_TIMEOUT", "1s"),
    ("CALL__OFFER_TIMEOUT", "1s"),
    ("CALL__RECONNECT_GRACE", "1s"),
    ("PRESENCE__FLUSH_EVERY", "100ms"),
    ("LIMITS__INITIATES_PER_MINUTE", "1000"),
    ("NODE__ID", "fixture"),
];

/// The usual deadlines, so that what is live stays so until the end.
pub const USUAL: [(&str, &str); 2] = [("PRESENCE__FLUSH_EVERY", "100ms"), ("NODE__ID", "fixture")];

/// The retry key of a call that was answered and ended.
pub const KEY: &str = "schlüssel 1";

fn admin(service: &Service) -> Rest {
    service.rest("1000").role("admin")
}

async fn over(service: &Service, call: i64, reason: &str) {
    let record = admin(service).final_record(call).await;
    assert_eq!(record["reason"], reason, "{record}");
}

/// Calls that end, one for each reason and then some, and what else the record keeps.
pub async fn ended(service: &Service, store: &Store) {
    let (mut anna, mut ben) =
        (named(service, "1", "Anna Ångström", "laptop").await, service.device("2", "phone").await);
    let mut cleo = service.device("3", "c").await;

    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.candidate("2", 1).await;
    ben.expect("ice_candidate").await;
    // A third is busy with them.
    cleo.invite("1").await;
    assert_eq!(cleo.expect("call_declined").await["reason"], "busy");
    // A poller calls and sends no offer. The call of the two lasts until that has failed, a second.
    let poller = service.rest("4");
    poller.heartbeat().await;
    let (_, without_offer) = poller.initiate("3").await;
    over(service, without_offer, "failed").await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    over(service, call, "completed").await;
    // The page logs what it saw of the call; that is kept beside the record.
    let told = json!({ "status": "ended", "answered_at": "2026-01-16T13:30:00Z", "duration_seconds": 61 });
    service.rest("1").put(&format!("/api/call-logs/{call}"), told).await.ok();

    let ring = async |anna: &mut Socket, ben: &mut Socket| {
        anna.invite("2").await;
        call_id(&ben.expect("call_invitation").await)
    };
    let call = ring(&mut anna, &mut ben).await;
    ben.decline("1").await;
    anna.expect("call_declined").await;
    over(service, call, "declined").await;
    let call = ring(&mut anna, &mut ben).await;
    anna.cancel("2").await;
    ben.expect("call_cancelled").await;
    over(service, call, "cancelled").await;
    let call = ring(&mut anna, &mut ben).await;
    ben.expect("call_cancelled").await;
    over(service, call, "no_answer").await;
    // The callee has seen this missed call and the one before, and none that follows.
    service.rest("2").post("/api/call/mark-all-seen", json!({})).await.ok();
    let call = ring(&mut anna, &mut ben).await;
    kill(service, call).await;
    ben.expect("call_cancelled").await;
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    kill(service, call).await;
    ben.expect("call_ended").await;
    anna.clear().await;
    cleo.invite("9").await;
    assert_eq!(cleo.expect("call_declined").await["reason"], "offline");
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    ben.vanish();
    anna.expect("call_ended").await;
    over(service, call, "dropped").await;
    let mut ben = service.device("2", "phone").await;
    ben.clear().await;

    let body = json!({ "callee_id": 2, "call_type": "video", "offer": description("offer"), "caller_name": "Polly" });
    let request = poller.request(Method::POST, "/api/call/initiate").header("Idempotency-Key", "once").json(&body);
    let call = call_id(&poller.send(request).await.ok());
    ben.expect("call_invitation").await;
    ben.answer("4").await;
    service.rest("4").mail("call_answered").await;
    poller.hangup(call).await;
    ben.expect("call_ended").await;
    let mut keyed = invitation("2");
    keyed["idempotency_key"] = KEY.into();
    anna.send(keyed).await;
    ben.expect("call_invitation").await;
    ben.answer("1").await;
    anna.expect("call_answer").await;
    ben.hang_up("1").await;
    anna.expect("call_ended").await;

    // Of a group one joins, one declines, one is not there.
    let offer = description("offer");
    anna.send(json!({ "type": "call_invitation", "to_user_ids": [2, 3, 9], "call_type": "video", "offer": offer }))
        .await;
    let call = call_id(&ben.expect("call_invitation").await);
    cleo.expect("call_invitation").await;
    cleo.decline("1").await;
    anna.expect("call_declined").await;
    ben.answer("1").await;
    anna.expect("call_answer").await;
    anna.send(json!({ "type": "call_ended", "call_id": call })).await;
    over(service, call, "completed").await;

    profiles(service).await;
    pages(service).await;
    let reporter = service.rest("8");
    for (conversation, status) in [(json!(12), "ended"), (json!("room-1"), "missed")] {
        let body = json!({ "conversation_id": conversation, "call_type": "video" });
        let made = reporter.post("/api/call-logs", body).await.ok();
        let told = json!({ "status": status, "duration_seconds": 5 });
        reporter.put(&format!("/api/call-logs/{}", made["call_log_id"]), told).await.ok();
    }
    service.rest("3").post("/api/status/update", json!({ "status": "busy" })).await.ok();
    let written = async || store.open().await.count("user_status", "WHERE user_id = '3' AND status = 'busy'").await;
    eventually("3 is written down as busy", async || (written().await == 1).then_some(())).await;
}

/// Somebody whose token has a name.
async fn named(service: &Service, user: &str, name: &str, device: &str) -> Socket {
    let body = json!({ "user": id(user), "name": name });
    let answer = service.rest(user).post("/api/dev/token", body).await.ok();
    Socket::dial(service, user).device(device).token(answer["token"].as_str().expect("a token")).open().await
}

async fn kill(service: &Service, call: i64) {
    admin(service).post(&format!("/api/admin/calls/{call}/kill"), json!({})).await.ok();
    over(service, call, "killed").await;
}

/// A tutor whose profile a token maps calls a student that is nobody's.
async fn profiles(service: &Service) {
    let body = json!({ "user": 5, "name": "ليلى", "profiles": [{ "type": "tutor", "id": 1 }] });
    let answer = service.rest("5").post("/api/dev/token", body).await.ok();
    let token = answer["token"].as_str().expect("a token");
    let mut tutor = Socket::dial_profile(service, "1", "tutor").device("page").token(token).open().await;
    let mut student = Socket::dial_profile(service, "2", "student").device("page").open().await;
    let offer = description("offer");
    let to = json!({ "type": "call_invitation", "to_profile_id": 2, "to_profile_type": "student", "offer": offer });
    tutor.send(to).await;
    let call = call_id(&student.expect("call_invitation").await);
    let answer = description("answer");
    student
        .send(json!({ "type": "call_answer", "to_profile_id": 1, "to_profile_type": "tutor", "answer": answer }))
        .await;
    tutor.expect("call_answer").await;
    tutor.send(json!({ "type": "call_ended", "call_id": call })).await;
    student.expect("call_ended").await;
}

/// A call between two pages of the channels dialect.
async fn pages(service: &Service) {
    let page = async |user: &str| Socket::dial_path(service, "/ws/notifications/", user).user(user).open().await;
    let (mut anna, mut ben) = (page("6").await, page("7").await);
    let body = json!({ "receiver_id": 7, "call_type": "video", "conversation_id": 12 });
    let made = service.rest("6").post("/api/calls/initiate/", body).await.ok();
    let call = made["id"].as_i64().expect("a call").to_string();
    anna.send(json!({ "type": "call.offer", "call_id": call, "offer": description("offer") })).await;
    ben.expect("call.offer").await;
    ben.send(json!({ "type": "call.answer", "call_id": call, "answer": description("answer") })).await;
    anna.expect("call.answer").await;
    service.rest("7").post(&format!("/api/calls/{call}/end/"), json!({})).await.ok();
    anna.expect("call.end").await;
}

/// Calls that stay live, by name, and the sockets that must stay open for that.
pub async fn live(service: &Service, store: &Store) -> (Value, Vec<Socket>) {
    let person = async |user: &str| service.device(user, "d").await;

    let poller = service.rest("11");
    let nobody_rung = person("12").await;
    poller.heartbeat().await;
    let (_, initiated) = poller.initiate("12").await;

    let (mut p13, mut p14) = (person("13").await, person("14").await);
    p13.invite("14").await;
    let ringing = call_id(&p14.expect("call_invitation").await);

    let (mut p15, mut p16) = (person("15").await, person("16").await);
    let answered = connect_call((&mut p15, "15"), (&mut p16, "16")).await;
    p15.candidate("16", 1).await;
    p16.expect("ice_candidate").await;

    // One of two is lost.
    let (mut p17, mut p18) = (person("17").await, person("18").await);
    let lost = connect_call((&mut p17, "17"), (&mut p18, "18")).await;
    p18.vanish();
    until_lost(store, lost).await;

    // Of a group three have joined, one of them is lost and has something waiting, one rings, one has declined.
    let (mut p21, mut p22, mut p23) = (person("21").await, person("22").await, person("23").await);
    let (mut p24, mut p25) = (person("24").await, person("25").await);
    let offer = json!({ "type": "offer", "sdp": "to all" });
    p21.send(json!({ "type": "call_invitation", "to_user_ids": [22, 23, 24, 25], "offer": offer })).await;
    let group = call_id(&p22.expect("call_invitation").await);
    for rung in [&mut p23, &mut p24, &mut p25] {
        rung.expect("call_invitation").await;
    }
    for member in [&mut p22, &mut p23] {
        member.answer("21").await;
        p21.expect("call_answer").await;
    }
    p23.vanish();
    until_lost(store, group).await;
    let held = json!({ "type": "offer", "sdp": HELD });
    p21.send(json!({ "type": "call_offer", "to_user_id": 23, "call_id": group, "offer": held })).await;
    p21.round_trip().await;
    // With what changes next the offer that waits is written.
    p25.decline("21").await;
    p21.expect("call_declined").await;

    let live = json!({
        "initiated": initiated, "ringing": ringing, "answered": answered, "lost": lost, "group": group,
    });
    let phases = store.open().await.rows(&["phase"], "calls", "WHERE phase <> 'ended' ORDER BY id").await;
    assert_eq!(phases.concat(), ["initiated", "ringing", "answered", "answered", "answered"]);
    let waiting = format!("WHERE call_id = {group} AND machine LIKE '%{HELD}%'");
    assert_eq!(store.open().await.count("live_calls", &waiting).await, 1);
    let shown = async || store.open().await.count("user_status", "WHERE status = 'in_call'").await;
    eventually("those who are in a call are written down so", async || (shown().await == 7).then_some(())).await;
    (live, vec![nobody_rung, p13, p14, p15, p16, p17, p21, p22, p24, p25])
}

/// The offer that waits for the lost member of the group.
pub const HELD: &str = "waits for whom is lost";

async fn until_lost(store: &Store, call: i64) {
    let lost = format!("WHERE call_id = {call} AND what = 'lost'");
    let count = async || store.open().await.count("call_events", &lost).await;
    eventually("somebody is lost", async || (count().await == 1).then_some(())).await;
}
