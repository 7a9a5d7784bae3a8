//! Calls of several.

use super::*;

#[test]
fn several_ring_one_is_busy_and_the_first_to_answer_silences_only_its_own_devices() {
    let mut stage = dial("a1", "b1 b2 c1 d!", "");
    assert_eq!(stage.told("a1"), ["ringing b 2", "ringing c 1", "not joining d busy"]);
    assert_eq!(stage.told("d"), ["missed busy"]);
    stage.does(accept("b1", ""));
    assert_eq!(stage.told("b2").last().unwrap(), "closed: answered elsewhere (completed)");
    assert_eq!(stage.told("c1"), ["incoming 30"], "it rings on");
    stage.does(accept("c1", ""));
    assert_eq!(stage.told("b1"), ["incoming 30", "joined c"]);
    assert_eq!(stage.told("a1"), ["answered b", "answered c"]);
}

#[test]
fn everybody_saying_no_ends_the_call_with_what_says_most() {
    let mut stage = dial("a1", "b1 c1 d?", "");
    stage.does(decline("b1"));
    assert_eq!(stage.ended(), None);
    assert_eq!(stage.told("a1"), ["ringing b 1", "ringing c 1", "not joining d offline", "not joining b declined"]);
    stage.wait(30.0);
    assert_eq!(stage.ended(), Some(Reason::Declined));
    assert_eq!(stage.leg("c"), LegState::Missed(Absence::NoAnswer));
    assert_eq!(stage.told("c"), ["missed no_answer"]);
    assert_eq!(stage.told("a1"), ["not joining c no_answer", "closed: ended (declined)"]);
    assert_eq!(dial("a1", "b! c?", "").ended(), Some(Reason::Busy));
}

#[test]
fn members_leave_one_by_one_and_the_call_ends_with_the_last_pair() {
    let mut stage = group(false);
    stage.wait(5.0);
    stage.does(hang_up("a1"));
    assert_eq!(stage.told("b1"), ["left a completed"]);
    assert_eq!(stage.ended(), None);
    stage.does(hang_up("a1"));
    assert_eq!(stage.refuses(offer("b1", "a", "o")), Refusal::CallEnded(Reason::Completed), "a has left");
    stage.does(back("a2"));
    stage.wait(5.0);
    stage.does(hang_up("b1"));
    assert_eq!(stage.ended(), Some(Reason::Completed));
    assert_eq!(stage.told("c1"), ["left a completed", "closed: ended (completed)"]);
    assert_eq!((stage.told("a1").len(), stage.told("a2").len()), (0, 0), "a was done with it");
    assert_eq!(stage.record().duration_seconds, 10);
    stage.does(hang_up("a1"));
    stage.does(hang_up("b1"));
}

#[test]
fn one_member_waits_while_somebody_rings_and_the_call_was_answered_all_the_same() {
    let mut stage = group(true);
    stage.does(hang_up("a1"));
    stage.does(hang_up("b1"));
    assert_eq!(stage.ended(), None, "d still rings");
    stage.does(decline("d1"));
    assert_eq!(stage.ended(), Some(Reason::Completed));
    assert_eq!(stage.leg("d"), LegState::Declined);
}

#[test]
fn a_member_brings_somebody_in_who_gets_no_offer_of_others() {
    let mut stage = answered();
    stage.does(bring("b1", "c1 c2"));
    assert_eq!(stage.told("c1"), ["incoming 30"]);
    stage.does(offer("a1", "c", "for c"));
    stage.does(candidate("b1", "c", "early"));
    assert!(stage.told("c1").is_empty(), "held until c joins");
    stage.does(accept("c1", ""));
    assert_eq!(stage.told("c1"), ["offer for c a"]);
    assert_eq!(stage.told("a1"), ["ringing c 2", "answered c"]);
    assert_eq!(stage.told("b1"), ["ringing c 2", "joined c"]);
    stage.does(offer("b1", "c", "b to c"));
    assert_eq!(stage.told("c1"), ["offer b to c b", "candidate early b"]);
    assert_eq!(stage.refuses(offer("b1", "", "x")), Refusal::NoRecipient);
    stage.does(bring("a1", "d!"));
    assert_eq!(stage.told("d"), ["missed busy"]);
    assert_eq!(stage.leg("d"), LegState::Missed(Absence::Busy));
}

#[test]
fn a_refused_description_leaves_no_trace() {
    let mut stage = dial("a1", "b1 b2 c1", "");
    stage.does(accept("b", ""));
    stage.forget();
    assert_eq!(stage.refuses(offer("b1", "", "x")), Refusal::NoRecipient);
    stage.does(offer("b1", "a", "x"));
    assert_eq!(stage.told("b2"), ["closed: answered elsewhere (completed)"]);
}

#[test]
fn an_offer_to_one_callee_is_not_everybodys() {
    let mut stage = dial("a1", "b1 c1", "");
    stage.does(offer("a1", "b", "for b"));
    stage.does(offer("a1", "c", "for c"));
    stage.does(accept("b1", ""));
    assert_eq!(stage.told("b1"), ["incoming 30", "offer for b a"]);
    stage.does(answer("c1", "a", "s"));
    assert_eq!(stage.told("c1"), ["incoming 30", "offer for c a"]);
    assert_eq!(stage.told("a1").last().unwrap(), "answer s c");
}

#[test]
fn a_lost_member_learns_who_came_and_went() {
    let mut stage = group(true);
    stage.loses("b1");
    stage.does(accept("d1", ""));
    stage.does(hang_up("c1"));
    stage.does(back("b1"));
    assert_eq!(stage.told("b1"), ["joined d", "left c completed"]);
}

#[test]
fn a_dropped_member_leaves_and_never_ends_the_call_before_others_came() {
    let mut stage = group(true);
    stage.wait(5.0);
    stage.loses("a1");
    stage.wait(10.0);
    stage.does(accept("d1", ""));
    stage.wait(5.0);
    stage.does(hang_up("c1"));
    stage.does(hang_up("b1"));
    stage.wait(15.0);
    assert_eq!((stage.ended(), stage.lasted()), (Some(Reason::Dropped), 20.0), "b and d talked until then");
}

#[test]
fn a_waiting_callee_is_rung_when_the_call_becomes_a_group() {
    let mut stage = dial("a1", "b1", "");
    stage.does(bring("a1", "c1"));
    assert_eq!(stage.told("b1"), ["incoming 30"]);
    assert_eq!(stage.told("c1"), ["incoming 30"]);
}

#[test]
fn who_left_may_be_invited_again_and_starts_afresh() {
    let mut stage = group(false);
    stage.does(bring("a1", "d1"));
    stage.does(offer("b1", "c", "old"));
    stage.does(hang_up("c1"));
    stage.forget();
    stage.does(bring("a1", "c1"));
    assert_eq!(stage.told("c1"), ["incoming 30"]);
    stage.does(candidate("b1", "c", "new"));
    stage.does(accept("c1", ""));
    assert!(stage.told("c1").is_empty(), "b has not described itself to this c yet");
    stage.does(hang_up("a1"));
}

#[test]
fn a_call_has_room_for_so_many() {
    let mut stage = group(false);
    stage.rules.max_participants = 3;
    assert_eq!(stage.refuses(bring("a1", "d1")), Refusal::TooManyParticipants(3));
    stage.does(bring("a1", "b!"));
    stage.does(hang_up("b1"));
    stage.does(bring("a1", "d1"));
}

#[test]
fn a_callee_named_twice_is_invited_once() {
    let mut stage = dial("a1", "b! b!", "");
    assert_eq!((stage.call.legs().len(), stage.call.is_group()), (2, false));
    assert_eq!(stage.told("b"), ["missed busy"]);
}

#[test]
fn a_page_reloaded_in_a_group_leaves_it() {
    let mut stage = group(false);
    stage.does(reload("c1"));
    stage.does(hang_up("b1"));
    assert!(stage.told("c1").is_empty(), "it knows nothing of this call any more");
    assert_eq!(stage.told("a1"), ["left c dropped", "closed: ended (completed)"]);
}

/// The call's id, who it says is calling and with which name, and who else is in it.
fn invitation(stage: &Stage, word: &str) -> (String, Option<String>, Vec<String>) {
    let told = stage.effects.iter().rev().find_map(|effect| match effect {
        Effect::Tell { user: to, notice, .. } if *to == user(word) => match &**notice {
            Notice::Incoming(incoming) => Some(incoming),
            _ => None,
        },
        _ => None,
    });
    let incoming = told.expect("an invitation");
    let participants = incoming.participants.iter().map(ToString::to_string).collect();
    (incoming.about.caller.to_string(), incoming.about.caller_name.clone(), participants)
}

#[test]
fn an_invitation_into_a_call_is_the_inviters_with_its_offer_and_its_candidates() {
    let mut stage = answered();
    stage.does(bring_with("b1", "c1 c2 d!", "from b"));
    let participants = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(invitation(&stage, "c1"), ("b".into(), Some("b1's name".into()), participants));
    assert_eq!(stage.told("c1"), ["incoming 30 from b"]);
    assert_eq!(stage.told("b1"), ["not joining d busy", "ringing c 2"]);
    assert_eq!(stage.told("a1"), ["not joining d busy", "ringing c 2"]);
    stage.does(candidate("b1", "c", "b to c"));
    stage.does(candidate("a1", "c", "a to c"));
    assert_eq!(stage.told("c1"), ["candidate b to c b"], "a has not described itself to c");
    stage.does(offer("b1", "c", "from b"));
    assert!(stage.told("c1").is_empty(), "the invitation said it");
    stage.does(accept("c1", "s"));
    assert_eq!(stage.told("b1"), ["joined c", "answer s c"]);
    assert_eq!(stage.told("a1"), ["answered c"]);
    stage.does(candidate("b1", "c", "later"));
    assert_eq!(stage.told("c1"), ["candidate later b"]);
    assert_eq!(stage.told("c2").last().unwrap(), "closed: answered elsewhere (completed)");
}

#[test]
fn an_answer_goes_to_whom_it_names() {
    let mut stage = dial("a1", "b1 c1", "o");
    stage.does(accept("b1", "b to a"));
    stage.does(offer("b1", "c", "b to c"));
    stage.does(accept("c1", "c to a"));
    stage.forget();
    let to_b = Event::Accept {
        user: user("c"),
        device: device("c1"),
        to: Some(user("b")),
        answer: Some((payload("c to b"), Extra::new())),
    };
    stage.does(to_b.clone());
    assert_eq!(stage.told("b1"), ["answer c to b c"]);
    assert!(stage.told("a1").is_empty());
    assert_eq!(stage.refuses(accept("c1", "to whom?")), Refusal::NoRecipient);
    stage.does(hang_up("b1"));
    assert_eq!(stage.refuses(to_b), Refusal::CallEnded(Reason::Completed));
}

#[test]
fn who_rings_may_join_after_its_inviter_left_and_gets_none_of_its_offers() {
    let mut stage = answered();
    stage.does(bring("a1", "d1"));
    stage.does(accept("d1", ""));
    stage.does(bring_with("b1", "c1", "from b"));
    stage.does(candidate("b1", "c", "early"));
    stage.does(hang_up("b1"));
    stage.does(back("c2"));
    assert_eq!(stage.told("c2"), ["incoming 30"]);
    stage.forget();
    stage.does(accept("c1", "s"));
    assert!(stage.told("b1").is_empty());
    assert_eq!(stage.told("a1"), ["answered c"]);
}

#[test]
fn several_are_brought_in_or_none() {
    let mut stage = answered();
    stage.rules.max_participants = 4;
    assert_eq!(stage.refuses(bring("a1", "c1 d1 e1")), Refusal::TooManyParticipants(4));
    stage.does(bring("a1", "c1 b1 d? d?"));
    assert_eq!(stage.call.legs().len(), 4);
    assert_eq!(stage.leg("d"), LegState::Missed(Absence::Offline));
    assert_eq!(stage.told("d"), ["missed offline"]);
}

#[test]
fn a_call_of_two_stays_one_if_whom_they_invited_cannot_come() {
    let mut stage = answered();
    stage.does(offer("b1", "", "x"));
    stage.does(answer("a1", "", "y"));
    assert!(stage.call.direct().is_some());
    stage.does(bring("b1", "c!"));
    assert!(!stage.call.is_group());
    assert_eq!(stage.told("b1").last().unwrap(), "not joining c busy");
    assert!(stage.call.direct().is_some());
    stage.does(offer("b1", "", "x"));
    assert_eq!(stage.told("a1").last().unwrap(), "offer x b");
    stage.effects.clear();
    stage.does(bring("b1", "c1"));
    assert!(stage.effects.contains(&Effect::InGroup { user: user("a") }));
    assert_eq!(stage.refuses(offer("b1", "", "x")), Refusal::NoRecipient);
    stage.does(hang_up("a1"));
    assert_eq!(stage.ended(), None, "c rings");
}

#[test]
fn candidates_of_one_member_leave_room_for_those_of_another() {
    let mut stage = group(false);
    stage.rules.held = 2;
    for text in ["1", "2"] {
        stage.does(candidate("b1", "c", text));
        stage.does(candidate("a1", "c", text));
    }
    assert_eq!(stage.refuses(candidate("a1", "c", "3")), Refusal::TooManyCandidates);
    stage.does(offer("a1", "c", "o"));
    assert_eq!(stage.told("c1"), ["offer o a", "candidate 1 a", "candidate 2 a"]);
}

#[test]
fn candidates_sent_to_one_who_rings_wait_for_the_offer_that_comes_after_them() {
    let mut stage = dial("a1", "b1 c1", "");
    stage.does(accept("b1", ""));
    stage.does(candidate("b1", "c", "1"));
    stage.does(offer("b1", "c", "first"));
    stage.does(candidate("b1", "c", "2"));
    stage.does(offer("b1", "c", "second"));
    stage.forget();
    stage.does(accept("c1", ""));
    assert_eq!(stage.told("c1"), ["offer second b", "candidate 1 b", "candidate 2 b"]);
}

#[test]
fn a_lost_inviter_learns_later_who_does_not_join() {
    let mut stage = group(true);
    stage.loses("a1");
    stage.does(decline("d1"));
    stage.does(back("a1"));
    assert_eq!(stage.told("a1"), ["not joining d declined"]);
    assert!(!stage.told("b1").iter().any(|told| told.contains("not joining")));
}

#[test]
fn a_member_that_was_dropped_is_owed_its_closing_while_the_others_talk_on() {
    let mut stage = group(false);
    stage.loses("c1");
    stage.wait(30.0);
    assert_eq!(stage.ended(), None);
    assert_eq!(stage.call.owed_users().collect::<Vec<_>>(), [&user("c")]);
    stage.does(back("c1"));
    assert_eq!(stage.told("c1"), ["closed: ended (dropped)"]);
}

#[test]
fn who_made_the_call_and_left_is_invited_back_like_anybody_else() {
    let mut stage = group(false);
    stage.wait(1.0);
    stage.does(hang_up("a1"));
    stage.forget();
    stage.does(bring_with("b1", "a1 a2", "from b"));
    let participants = ["b", "c", "a"].map(str::to_owned).to_vec();
    assert_eq!(invitation(&stage, "a1"), ("b".into(), Some("b1's name".into()), participants));
    stage.does(accept("a2", "s"));
    assert_eq!(stage.told("b1"), ["ringing a 2", "joined a", "answer s a"]);
    assert_eq!(stage.told("a1"), ["incoming 30 from b", "closed: answered elsewhere (completed)"]);
    assert_eq!(stage.told("c1"), ["joined a"]);
    assert_eq!((stage.record().legs[0].user.clone(), stage.record().legs[0].role), (user("a"), Role::Caller));
    stage.does(hang_up("a2"));
    stage.does(bring("b1", "a1"));
    stage.forget();
    stage.does(hang_up("b1"));
    stage.does(hang_up("c1"));
    assert_eq!(stage.told("a1"), ["closed: cancelled (completed)"]);
    assert!(stage.record().legs.iter().all(|leg| !leg.missed), "nobody missed a call");
}
