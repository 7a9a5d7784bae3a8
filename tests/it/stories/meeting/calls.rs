//! Calls whose members speak different dialects.

use serde_json::{Value, json};

use super::{act, answer_on_page, chat, ice_on_page, page, profile, shows, token_of_7};
use crate::harness::rest::{call_id, id};
use crate::harness::socket::{candidate, description};
use crate::harness::{Service, Socket, Store, eventually};

on_both!(a_group_of_every_dialect, every_device_of_one_user_rings_and_one_answers, pages_log_their_channels_call,);

on_sqlite!(a_page_calls_a_profile_that_is_somebodys, nobody_hears_what_they_do_not_know,);

fn sdp(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "sdp": text })
}

/// What a record says of one participant.
fn part(record: &Value, user: &str) -> (String, Value) {
    let legs = record["participants"].as_array().unwrap_or_else(|| panic!("no participants: {record}"));
    let leg = legs.iter().find(|leg| leg["user_id"] == id(user)).unwrap_or_else(|| panic!("no {user}: {record}"));
    (leg["state"].as_str().unwrap_or_default().to_owned(), leg["reason"].clone())
}

async fn a_page_calls_a_profile_that_is_somebodys(store: Store) {
    let service = Service::start(&store).await;
    let token = token_of_7(&service).await;
    let mut tia = Socket::dial_profile(&service, "1", "tutor").token(&token).device("board").open().await;
    let mut ben = page(&service, "2").await;
    let body = json!({ "receiver_id": "tutor_1", "call_type": "video", "conversation_id": 123 });
    let made = service.rest("2").post("/api/calls/initiate/", body).await.ok();
    assert_eq!(made["receiver"], 7, "{made}");
    let call = made["id"].as_i64().expect("an id");
    ben.send(json!({ "type": "call.offer", "call_id": call.to_string(), "call_type": "video", "offer": description("offer") })).await;
    let rung = tia.expect("call_invitation").await;
    assert_eq!((&rung["from_profile_id"], &rung["from_profile_type"]), (&json!(2), &json!("user")), "{rung}");
    let answer = json!({ "type": "call_answer", "to_profile_id": 2, "to_profile_type": "user", "answer": description("answer") });
    tia.send(answer).await;
    assert_eq!(ben.expect("call.answer").await["receiver_id"], "7");
    ice_on_page(&mut ben, call, 1).await;
    assert_eq!(tia.expect("ice_candidate").await["candidate"], candidate(1));
    // Its own page ends it by REST, though it speaks otherwise.
    tia.send(json!({ "type": "call_ended", "to_profile_id": 2, "to_profile_type": "user" })).await;
    assert_eq!(ben.expect("call.end").await["reason"], "completed");
    let again = json!({ "receiver_id": "tutor_9", "call_type": "video" });
    service.rest("2").post("/api/calls/initiate/", again).await.refused(404);
    ben.quiet().await;
    tia.quiet().await;
}

/// 1 on a socket with `hello`, 2 on a page, `tutor_3` on a profile socket and 4 by polling.
async fn a_group_of_every_dialect(store: Store) {
    let service = Service::start(&store).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let mut ben = page(&service, "2").await;
    let mut tia = profile(&service, "3", "board").await;
    let mut dora = service.rest("4");
    dora.heartbeat().await;
    let everybody = json!([2, "tutor_3", 4]);
    anna.send(
        json!({ "type": "call_invitation", "to_user_ids": everybody, "call_type": "video", "conversation_id": 123,
                      "offer": sdp("offer", "to all") }),
    )
    .await;
    let rung = tia.expect("call_invitation").await;
    let call = call_id(&rung);
    assert_eq!(rung["participants"], json!([1, 2, "tutor_3", 4]), "{rung}");
    let created = ben.expect("notification.created").await;
    assert_eq!(created["payload"]["id"], call, "{created}");
    assert_eq!(ben.expect("call.offer").await["offer"], sdp("offer", "to all"));
    dora.mail("incoming_call").await;
    dora.mail("offer").await;

    let answer = json!({ "type": "call_answer", "to_user_id": 1, "call_id": call, "answer": sdp("answer", "t to a") });
    tia.send(answer).await;
    assert_eq!(anna.expect("call_answer").await["from_user_id"], "tutor_3");
    act(&service, "2", call, "accept").await;
    answer_on_page(&mut ben, call).await;
    assert_eq!(anna.expect("call_answer").await["from_user_id"], 2);
    ice_on_page(&mut ben, call, 0).await;
    assert_eq!(anna.expect("ice_candidate").await["candidate"], candidate(0));
    dora.answer(call).await;
    dora.signal("1", sdp("answer", "d to a")).await;
    assert_eq!(anna.expect("call_answer").await["from_user_id"], 4);
    for _ in 0..3 {
        anna.expect("call_ringing").await;
        anna.expect("call_answered").await;
    }
    anna.candidate("2", 1).await;
    assert_eq!(ben.expect("call.ice").await["from_user_id"], "1");
    dora.signal("tutor_3", sdp("offer", "d to t")).await;
    let offer = tia.expect("call_offer").await;
    assert_eq!((&offer["from_user_id"], &offer["offer"]["sdp"]), (&json!(4), &json!("d to t")), "{offer}");
    tia.send(json!({ "type": "call_answer", "to_profile_id": 4, "to_profile_type": "user", "call_id": call,
                     "answer": sdp("answer", "t to d") }))
        .await;
    assert_eq!(dora.mail("answer").await["from_user_id"], "tutor_3");
    tia.send(json!({ "type": "call_offer", "to_user_id": 2, "call_id": call, "offer": sdp("offer", "t to b") })).await;
    let offer = ben.expect("call.offer").await;
    assert_eq!((&offer["caller_id"], &offer["offer"]["sdp"]), (&json!("tutor_3"), &json!("t to b")), "{offer}");
    // A page names nobody in what it sends: it is for whoever it negotiates with.
    answer_on_page(&mut ben, call).await;
    assert_eq!(tia.expect("call_answer").await["from_user_id"], 2);
    ice_on_page(&mut ben, call, 2).await;
    assert_eq!(tia.expect("ice_candidate").await["candidate"], candidate(2));
    // Losses and returns.
    tia.vanish();
    assert_eq!(anna.expect("peer_reconnecting").await["user_id"], "tutor_3");
    ben.quiet().await;
    dora.no_more_mail().await;
    let mut tia = profile(&service, "3", "board").await;
    assert_eq!(anna.expect("peer_resumed").await["user_id"], "tutor_3");
    tia.quiet().await;

    act(&service, "2", call, "end").await;
    let left = anna.expect("peer_left").await;
    assert_eq!((&left["user_id"], &left["reason"]), (&json!(2), &json!("completed")), "{left}");
    tia.send(json!({ "type": "call_ended", "call_id": call })).await;
    assert_eq!(anna.expect("peer_left").await["user_id"], "tutor_3");
    dora.hangup(call).await;
    assert_eq!(anna.expect("call_ended").await["reason"], "completed");
    anna.quiet().await;
    ben.quiet().await;
    tia.quiet().await;
    dora.no_more_mail().await;
    let record = service.rest("1").final_record(call).await;
    for user in ["1", "2", "tutor_3", "4"] {
        assert_eq!(part(&record, user), ("left".to_owned(), json!("completed")));
    }
    assert_eq!(store.open().await.count("call_history", &format!("WHERE id = {call}")).await, 3);
}

/// A group with losses among those who never said hello.
async fn nobody_hears_what_they_do_not_know(store: Store) {
    let service = Service::with(&store, &[("CALL__RECONNECT_GRACE", "1s"), ("CALL__RING_TIMEOUT", "5s")]).await;
    let mut anna = service.device("1", "laptop").await;
    let mut ben = page(&service, "2").await;
    let mut chat_of_ben = chat(&service, "2").await;
    let mut tia = profile(&service, "3", "board").await;
    let dora = service.rest("4");
    dora.heartbeat().await;
    let emil = service.device("5", "e").await;
    let mut finn = page(&service, "6").await;
    anna.send(json!({ "type": "call_invitation", "to_user_ids": [2, "tutor_3", 4, 5, 6, 8], "conversation_id": 123,
                      "offer": sdp("offer", "x") }))
        .await;
    let call = call_id(&tia.expect("call_invitation").await);
    tia.send(json!({ "type": "call_answer", "to_user_id": 1, "call_id": call, "answer": sdp("answer", "t") })).await;
    act(&service, "2", call, "accept").await;
    answer_on_page(&mut ben, call).await;
    dora.answer(call).await;
    dora.signal("1", sdp("answer", "d")).await;
    for _ in 0..3 {
        anna.expect("call_answer").await;
    }
    emil.vanish();
    tia.vanish();
    let record = eventually("5 and 6 are missed and tutor_3 is gone", async || {
        let record = service.rest("1").record(call).await;
        let done = part(&record, "5").0 == "missed"
            && part(&record, "6").0 == "missed"
            && part(&record, "tutor_3").0 == "left";
        done.then_some(record)
    })
    .await;
    assert_eq!(part(&record, "tutor_3").1, "dropped");
    act(&service, "2", call, "end").await;
    dora.hangup(call).await;
    anna.expect("call_ended").await;
    let mut tia = profile(&service, "3", "board").await;
    let known_to_users = [
        "call_invitation",
        "call_answer",
        "call_offer",
        "ice_candidate",
        "call_declined",
        "call_cancelled",
        "call_ended",
        "error",
    ];
    for socket in [&mut anna, &mut tia] {
        for message in socket.all().await {
            assert!(known_to_users.contains(&message["type"].as_str().expect("a type")), "{message}");
            assert!(message.get("seq").is_none(), "{message}");
        }
    }
    let known_to_pages = ["notification.created", "call.offer", "call.answer", "call.ice", "call.end"];
    for socket in [&mut ben, &mut chat_of_ben, &mut finn] {
        for message in socket.all().await {
            assert!(known_to_pages.contains(&message["type"].as_str().expect("a type")), "{message}");
            assert!(message.get("seq").is_none(), "{message}");
        }
    }
}

async fn every_device_of_one_user_rings_and_one_answers(store: Store) {
    let service = Service::with(&store, &[("LIMITS__INITIATES_PER_MINUTE", "100")]).await;
    let token = token_of_7(&service).await;
    let mut anna = service.device("1", "laptop").await;
    anna.hello().await;
    let mut phone = Socket::dial(&service, "7").token(&token).device("phone").open().await;
    let mut board = Socket::dial_profile(&service, "1", "tutor").token(&token).device("board").open().await;
    let mut bell = page(&service, "7").await;
    let mut open = chat(&service, "7").await;
    let mut mail = service.rest("7");
    mail.heartbeat().await;
    for winner in ["phone", "board", "page", "mail"] {
        eprintln!("{winner} answers");
        anna.invite("tutor_1").await;
        assert_eq!(anna.expect("call_ringing").await["devices"], 4);
        let call = call_id(&phone.expect("call_invitation").await);
        board.expect("call_invitation").await;
        bell.expect("notification.created").await;
        bell.expect("call.offer").await;
        open.expect("call.offer").await;
        mail.mail("incoming_call").await;
        mail.mail("offer").await;
        match winner {
            "phone" => phone.answer("1").await,
            "board" => board.answer("1").await,
            "page" => {
                act(&service, "7", call, "accept").await;
                answer_on_page(&mut open, call).await;
            }
            _ => {
                mail.answer(call).await;
                mail.signal("1", description("answer")).await;
            }
        }
        anna.expect("call_answer").await;
        anna.expect("call_answered").await;
        if winner != "phone" {
            assert_eq!(phone.expect("call_ended").await["reason"], "answered_elsewhere");
        }
        if winner != "board" {
            assert_eq!(board.expect("call_ended").await["reason"], "answered_elsewhere");
        }
        if winner != "page" {
            assert_eq!(bell.expect("call.end").await["reason"], "answered_elsewhere");
        } else {
            let copy = async { bell.all().await };
            // A page's other sockets may see its own answer; nothing else.
            for message in copy.await {
                assert_eq!(message["type"], "call.answer", "{message}");
            }
        }
        if winner != "mail" {
            assert_eq!(mail.mail("call_ended").await["reason"], "answered_elsewhere");
        }
        anna.hang_up("7").await;
        match winner {
            "phone" => drop(phone.expect("call_ended").await),
            "board" => drop(board.expect("call_ended").await),
            "page" => drop(bell.expect("call.end").await),
            _ => drop(mail.mail("call_ended").await),
        }
        for socket in [&mut anna, &mut phone, &mut board, &mut bell, &mut open] {
            socket.quiet().await;
        }
        mail.no_more_mail().await;
        let record = service.rest("1").final_record(call).await;
        assert_eq!((&record["callee_ids"], &record["reason"]), (&json!([7]), &json!("completed")));
    }
}

async fn pages_log_their_channels_call(store: Store) {
    let service = Service::start(&store).await;
    let (mut ben, mut cleo) = (page(&service, "2").await, page(&service, "3").await);
    let body = json!({ "receiver_id": 3, "call_type": "voice", "conversation_id": 123 });
    let call = service.rest("2").post("/api/calls/initiate/", body).await.ok()["id"].as_i64().expect("an id");
    ben.send(json!({ "type": "call.offer", "call_id": call.to_string(), "call_type": "voice", "offer": description("offer") })).await;
    let log = json!({ "conversation_id": 123, "call_type": "voice", "status": "initiated", "participants": [2, 3] });
    let logged = service.rest("2").post("/api/call-logs", log).await.ok();
    assert_eq!(logged["call_log_id"], call, "{logged}");
    cleo.expect("call.offer").await;
    act(&service, "3", call, "accept").await;
    answer_on_page(&mut cleo, call).await;
    ben.expect("call.answer").await;
    let path = format!("/api/call-logs/{call}");
    service.rest("2").put(&path, json!({ "status": "ended", "duration": 4000 })).await.ok();
    shows(&service, "2", "in_call").await;
    act(&service, "3", call, "end").await;
    assert_eq!(ben.expect("call.end").await["reason"], "completed");
    service.rest("3").put(&path, json!({ "status": "missed" })).await.ok();
    let record = service.rest("2").final_record(call).await;
    assert_eq!((&record["reason"], part(&record, "3").0.as_str()), (&json!("completed"), "left"));
    assert!(record["duration_seconds"].as_i64().is_some_and(|seconds| seconds < 60), "{record}");
    assert_eq!(store.open().await.count("call_logs", "").await, 1);
    service.rest("9").put(&path, json!({ "status": "ended" })).await.refused(404);
}
