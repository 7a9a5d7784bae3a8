//! People on profile sockets, as the whiteboard's page and the older chat page use them.

use serde_json::{Value, json};

use crate::harness::rest::{call_id, id};
use crate::harness::socket::{candidate, description};
use crate::harness::{PATIENCE, Rest, Service, Socket, Store, eventually};

on_both!(
    the_page_of_the_seed_makes_a_call_between_two_profiles,
    the_page_declines_and_cancels,
    a_page_that_reconnects_stays_in_its_call,
    users_and_profiles_call_each_other,
    the_first_answer_wins_wherever_a_user_with_a_profile_sits,
    a_token_that_does_not_claim_the_profile_is_refused,
    a_profile_nobody_has_is_somebody_of_its_own,
    whose_a_profile_is_survives_a_restart,
    a_rest_caller_brings_its_profiles_along,
    only_configured_roles_have_sockets,
);

/// The chat page of the seed: who it is, and what of the call it keeps.
struct Page {
    socket: Socket,
    profile: (&'static str, u64),
    /// The invitation it shows, or the profile it calls.
    peer: Option<(Value, Value)>,
    /// What its `switch` ran, in order.
    handled: Vec<String>,
}

impl Page {
    async fn open(service: &Service, kind: &'static str, number: u64) -> Self {
        let socket = Socket::dial_profile(service, &number.to_string(), kind).device("page").open().await;
        Self { socket, profile: (kind, number), peer: None, handled: Vec::new() }
    }

    /// `sendCallInvitation`.
    async fn call(&mut self, kind: &str, number: u64) {
        self.peer = Some((json!(number), json!(kind)));
        self.say(json!({
            "type": "call_invitation", "from_profile_type": self.profile.0, "from_name": "User Name",
            "call_type": "voice", "conversation_id": 123, "offer": description("offer"),
        }))
        .await;
    }

    /// A message as the page writes it: from its own profile, to the other side's.
    async fn say(&mut self, mut message: Value) {
        let (to, kind) = self.peer.clone().expect("somebody to talk to");
        message["from_profile_id"] = json!(self.profile.1);
        message["to_profile_id"] = to;
        message["to_profile_type"] = kind;
        self.socket.send(message).await;
    }

    async fn accept(&mut self) {
        self.say(json!({ "type": "call_answer", "answer": description("answer") })).await;
    }

    async fn candidate(&mut self, number: usize) {
        self.say(json!({ "type": "ice_candidate", "candidate": candidate(number) })).await;
    }

    async fn close_call(&mut self, kind: &str) {
        self.say(json!({ "type": kind, "call_type": "voice" })).await;
    }

    /// The page's `switch` over the next message.
    async fn handle_next(&mut self) -> Value {
        let message = self.socket.next_within(PATIENCE).await.expect("a message");
        let kind = message["type"].as_str().expect("a type").to_owned();
        match kind.as_str() {
            "call_invitation" => {
                assert!(message["from_name"].is_string() && message["offer"]["sdp"].is_string(), "{message}");
                self.peer = Some((message["from_profile_id"].clone(), message["from_profile_type"].clone()));
            }
            "call_answer" => assert_eq!(message["answer"], description("answer"), "{message}"),
            "ice_candidate" => assert!(message["candidate"]["candidate"].is_string(), "{message}"),
            "call_declined" | "call_ended" => self.peer = None,
            // The page knows no `call_cancelled` and logs it as unhandled; its peer does not.
            "call_cancelled" => {}
            other => panic!("unhandled message type: {other}"),
        }
        self.handled.push(kind);
        message
    }
}

async fn the_page_of_the_seed_makes_a_call_between_two_profiles(store: Store) {
    let service = Service::start(&store).await;
    let mut student = Page::open(&service, "student", 2).await;
    let mut tutor = Page::open(&service, "tutor", 1).await;
    student.call("tutor", 1).await;
    student.candidate(1).await;

    let invitation = tutor.handle_next().await;
    assert_eq!((&invitation["from_profile_id"], &invitation["from_profile_type"]), (&json!(2), &json!("student")));
    assert_eq!((&invitation["from_user_id"], &invitation["conversation_id"]), (&json!("student_2"), &json!(123)));
    let call = call_id(&invitation);
    let early = tutor.handle_next().await;
    assert_eq!((&early["from_student_profile_id"], &early["from_tutor_profile_id"]), (&json!(2), &Value::Null));
    tutor.accept().await;
    tutor.candidate(2).await;
    let answer = student.handle_next().await;
    assert_eq!((&answer["from_profile_id"], &answer["from_profile_type"]), (&json!(1), &json!("tutor")));
    let late = student.handle_next().await;
    assert_eq!((&late["from_student_profile_id"], &late["from_tutor_profile_id"]), (&Value::Null, &json!(1)));
    // Later ones too, by whatever way they go.
    student.candidate(3).await;
    let direct = tutor.handle_next().await;
    assert_eq!((&direct["from_profile_id"], &direct["candidate"]), (&json!(2), &candidate(3)));
    student.close_call("call_ended").await;
    tutor.handle_next().await;
    assert_eq!(tutor.handled, ["call_invitation", "ice_candidate", "ice_candidate", "call_ended"]);
    assert_eq!(student.handled, ["call_answer", "ice_candidate"]);
    student.socket.quiet().await;
    tutor.socket.quiet().await;
    let record = service.rest("student_2").final_record(call).await;
    assert_eq!((&record["caller_id"], &record["callee_ids"]), (&json!("student_2"), &json!(["tutor_1"])));
    assert_eq!((&record["status"], &record["reason"]), (&json!("ended"), &json!("completed")));
}

async fn the_page_declines_and_cancels(store: Store) {
    let service = Service::start(&store).await;
    let mut student = Page::open(&service, "student", 2).await;
    let mut tutor = Page::open(&service, "tutor", 1).await;
    student.call("tutor", 1).await;
    tutor.handle_next().await;
    tutor.close_call("call_declined").await;
    let declined = student.handle_next().await;
    assert_eq!((&declined["from_profile_id"], &declined["reason"]), (&json!(1), &json!("declined")));
    student.call("tutor", 1).await;
    tutor.handle_next().await;
    student.close_call("call_cancelled").await;
    tutor.handle_next().await;
    assert_eq!(tutor.handled, ["call_invitation", "call_invitation", "call_cancelled"]);
    // Nobody is there.
    student.call("tutor", 9).await;
    assert_eq!(student.handle_next().await["reason"], "offline");
}

async fn a_page_that_reconnects_stays_in_its_call(store: Store) {
    let service = Service::start(&store).await;
    let mut student = Page::open(&service, "student", 2).await;
    let mut tutor = Page::open(&service, "tutor", 1).await;
    student.call("tutor", 1).await;
    let call = call_id(&tutor.handle_next().await);
    tutor.accept().await;
    student.handle_next().await;

    // `onclose`: the page opens its socket again; what it keeps of the call stays.
    let Page { socket, peer, .. } = tutor;
    socket.vanish();
    let mut tutor = Page { peer, ..Page::open(&service, "tutor", 1).await };
    tutor.candidate(5).await;
    student.handle_next().await;
    student.candidate(6).await;
    tutor.handle_next().await;
    tutor.close_call("call_ended").await;
    assert_eq!(student.handle_next().await["from_profile_id"], 1);
    assert_eq!(store.open().await.outcome(call).await.0, "ended");
}

async fn users_and_profiles_call_each_other(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.socket("7").await;
    let mut tutor = Page::open(&service, "tutor", 1).await;
    // A user calls a profile, the old way; the page answers to `from_profile_*`.
    let offer = description("offer");
    let legacy = json!({ "type": "call_invitation", "to_profile_id": 1, "to_profile_type": "tutor", "offer": offer });
    anna.send(legacy).await;
    let invitation = tutor.socket.expect("call_invitation").await;
    assert_eq!((&invitation["from_profile_id"], &invitation["from_profile_type"]), (&json!(7), &json!("user")));
    tutor.peer = Some((json!(7), json!("user")));
    tutor.accept().await;
    let answer = anna.expect("call_answer").await;
    assert_eq!((&answer["from_profile_id"], &answer["from_profile_type"]), (&json!(1), &json!("tutor")));
    tutor.candidate(1).await;
    let got = anna.expect("ice_candidate").await;
    assert_eq!((&got["from_tutor_profile_id"], &got["from_student_profile_id"]), (&json!(1), &Value::Null));
    anna.send(json!({
        "type": "ice_candidate", "to_profile_id": 1, "to_profile_type": "tutor", "candidate": candidate(2),
    }))
    .await;
    let got = tutor.socket.expect("ice_candidate").await;
    assert_eq!((&got["from_user_id"], &got["from_tutor_profile_id"]), (&json!(7), &Value::Null));
    tutor.close_call("call_ended").await;
    anna.expect("call_ended").await;

    // A profile calls a user; the user answers the new way.
    tutor.call("user", 7).await;
    let invitation = anna.expect("call_invitation").await;
    assert_eq!((&invitation["from_user_id"], &invitation["from_profile_id"]), (&json!("tutor_1"), &json!(1)));
    anna.answer("tutor_1").await;
    let answer = tutor.socket.expect("call_answer").await;
    assert_eq!((&answer["from_profile_id"], &answer["from_profile_type"]), (&json!(7), &json!("user")));
    anna.hang_up("tutor_1").await;
    tutor.socket.expect("call_ended").await;
    anna.quiet().await;
    tutor.socket.quiet().await;
}

/// A token for a user with profiles.
async fn token(service: &Service, user: &str, profiles: Value) -> String {
    let wanted = json!({ "user": id(user), "name": "Tutor Tia", "profiles": profiles });
    let body = service.rest("1").post("/api/dev/token", wanted).await.ok();
    body["token"].as_str().expect("a token").to_owned()
}

fn tutor_1() -> Value {
    json!([{ "type": "tutor", "id": 1 }])
}

async fn the_first_answer_wins_wherever_a_user_with_a_profile_sits(store: Store) {
    let service = Service::start(&store).await;
    let token = token(&service, "7", tutor_1()).await;
    let mut anna = service.socket("2").await;
    let mut phone = Socket::dial(&service, "7").token(&token).device("phone").open().await;
    let mut page = Socket::dial_profile(&service, "1", "tutor").token(&token).device("page").open().await;
    for callee in ["tutor_1", "7"] {
        anna.invite(callee).await;
        let call = call_id(&phone.expect("call_invitation").await);
        assert_eq!(call_id(&page.expect("call_invitation").await), call);
        page.send(json!({
            "type": "call_answer", "to_profile_id": 2, "to_profile_type": "user", "answer": description("answer"),
        }))
        .await;
        let answer = anna.expect("call_answer").await;
        assert_eq!((&answer["from_user_id"], &answer["from_profile_id"]), (&json!(7), &json!(1)));
        assert_eq!(phone.expect("call_ended").await["reason"], "answered_elsewhere");
        // By either of its names.
        for name in ["7", "tutor_1"] {
            anna.candidate(name, 1).await;
            page.expect("ice_candidate").await;
        }
        anna.hang_up(callee).await;
        page.expect("call_ended").await;
        let record = service.rest("2").final_record(call).await;
        assert_eq!((&record["callee_ids"], &record["status"]), (&json!([7]), &json!("ended")));
    }
    // It is one user: shown as such, busy as such, and cannot call itself.
    page.send(json!({ "type": "call_invitation", "to_user_id": 7, "offer": description("offer") })).await;
    assert_eq!(page.expect("error").await["code"], "self_call");
    anna.invite("tutor_1").await;
    phone.expect("call_invitation").await;
    let eve = service.rest("3");
    eve.heartbeat().await;
    assert_eq!(eve.initiate("7").await.0, "busy");
    assert_eq!(eve.initiate("tutor_1").await.0, "busy");
    phone.send(json!({ "type": "call_declined", "to_user_id": 2 })).await;
    anna.expect("call_declined").await;
    assert_eq!(page.expect("call_invitation").await["from_user_id"], 2);
    page.expect("call_ended").await;
    eventually("online by every name", async || {
        (eve.status_of("tutor_1").await == "online" && eve.status_of("7").await == "online").then_some(())
    })
    .await;
}

async fn a_token_that_does_not_claim_the_profile_is_refused(store: Store) {
    let service = Service::start(&store).await;
    let other = token(&service, "8", json!([{ "type": "student", "id": 1 }])).await;
    for path in [("1", "tutor"), ("2", "student")] {
        let dial = Socket::dial_profile(&service, path.0, path.1).token(&other);
        dial.try_open().await.expect("an upgrade").expect_close(4403).await;
    }
    let mut own = Socket::dial_profile(&service, "1", "student").token(&other).open().await;
    // A fresh token must claim it too.
    own.send(json!({ "type": "token", "token": token(&service, "8", json!([])).await })).await;
    assert_eq!(own.expect("error").await["code"], "forbidden");
    own.send(json!({ "type": "token", "token": other })).await;
    own.quiet().await;
}

async fn a_profile_nobody_has_is_somebody_of_its_own(store: Store) {
    let service = Service::start(&store).await;
    let mut tutor = Socket::dial_profile(&service, "1", "tutor").slash().open().await;
    let anna = service.rest("2");
    anna.heartbeat().await;
    assert_eq!(anna.status_of("tutor_1").await, "online");
    assert_eq!(anna.initiate("tutor_1").await.0, "ringing");
    // A poller's offer comes later; until then this kind of device is not rung.
    anna.signal("tutor_1", description("offer")).await;
    let invitation = tutor.expect("call_invitation").await;
    assert_eq!((&invitation["from_profile_type"], &invitation["from_profile_id"]), (&json!("user"), &json!(2)));
    // Somebody whose it is appears during the call: the call goes on under the name it has.
    let token = token(&service, "7", tutor_1()).await;
    let mut tia = Socket::dial(&service, "7").token(&token).open().await;
    tutor
        .send(json!({
            "type": "call_answer", "to_profile_id": 2, "to_profile_type": "user", "answer": description("answer"),
        }))
        .await;
    let mut anna = anna;
    anna.mail("answer").await;
    anna.signal("tutor_1", json!({ "type": "ice_candidate", "candidate": candidate(1) })).await;
    tutor.expect("ice_candidate").await;
    tutor.hang_up("2").await;
    anna.mail("call_ended").await;
    tia.quiet().await;
    // From then on it is hers, and so is a page that comes without a token.
    let mut page = Socket::dial_profile(&service, "1", "tutor").device("page").open().await;
    anna.initiate("tutor_1").await;
    anna.signal("tutor_1", description("offer")).await;
    let call = call_id(&tia.expect("call_invitation").await);
    page.expect("call_invitation").await;
    assert_eq!(anna.record(call).await["callee_ids"], json!([7]));
}

async fn whose_a_profile_is_survives_a_restart(store: Store) {
    let mut service = Service::start(&store).await;
    let token = token(&service, "7", tutor_1()).await;
    let tia = Socket::dial_profile(&service, "1", "tutor").token(&token).open().await;
    let db = store.open().await;
    let written =
        async || (db.count("profiles", "WHERE profile = 'tutor_1' AND user_id = '7'").await == 1).then_some(());
    eventually("it is written", written).await;
    tia.close().await;
    service.restart().await;

    let anna = service.rest("2");
    anna.heartbeat().await;
    let (status, call) = anna.initiate("tutor_1").await;
    assert_eq!(status, "offline");
    let (missed, unseen) = service.rest("7").missed().await;
    assert_eq!((missed.len(), unseen, &missed[0]["id"]), (1, 1, &json!(call)));
    assert_eq!(service.rest("tutor_1").missed().await.1, 0);
    let history = anna.get("/api/call/history/tutor_1").await.ok();
    assert_eq!(history, anna.get("/api/call/history/7").await.ok());
}

async fn a_rest_caller_brings_its_profiles_along(store: Store) {
    let service = Service::start(&store).await;
    let token = token(&service, "7", tutor_1()).await;
    let mut tia = service.rest("7").bearer(&token);
    tia.heartbeat().await;
    let anna = service.rest("2");
    anna.heartbeat().await;
    assert_eq!(anna.initiate("tutor_1").await.0, "ringing");
    let call = call_id(&tia.mail("incoming_call").await);
    assert_eq!(tia.answer(call).await["status"], "answered");
    // A service that acts for somebody lends them no profiles.
    let wanted = json!({ "user": "app", "role": "service", "profiles": [{ "type": "tutor", "id": 5 }] });
    let token = service.rest("1").post("/api/dev/token", wanted).await.ok()["token"].as_str().expect("one").to_owned();
    let app: Rest = service.rest("app").bearer(&token);
    let request = app.request(reqwest::Method::POST, "/api/status/heartbeat").header("X-On-Behalf-Of", "9");
    app.send(request).await.ok();
    assert_eq!(anna.status_of("tutor_5").await, "offline");
}

async fn only_configured_roles_have_sockets(store: Store) {
    let service = Service::with(&store, &[("AUTH__PROFILE_TYPES", "tutor,parent")]).await;
    for (id, role) in
        [("1", "student"), ("1", "user"), ("1", "Tutor"), ("1", ""), ("notifications", "tutor"), ("a%20b", "tutor")]
    {
        let refused = Socket::dial_profile(&service, id, role).slash().try_open().await.err();
        assert_eq!(refused, Some(404), "{id}/{role}");
    }
    Socket::dial_profile(&service, "1", "parent").open().await;
    // A literal path wins: that is the conversation "tutor", whose sockets say so.
    Socket::dial_profile(&service, "chat", "tutor").user("1").open().await.expect("connection.ack").await;
}
