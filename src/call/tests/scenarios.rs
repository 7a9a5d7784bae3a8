//! Calls between two, told as stories.

use super::*;

#[test]
fn an_answered_call_is_completed_by_whoever_hangs_up() {
    let mut stage = answered();
    stage.wait(61.9);
    stage.does(hang_up("b1"));
    assert_eq!(stage.told("a1"), ["closed: ended (completed)"]);
    assert_eq!(stage.told("b1"), [""; 0], "its own act is its closing");
    assert_eq!(stage.ended(), Some(Reason::Completed));
    let record = stage.record();
    assert_eq!((record.duration_seconds, record.ended_by.clone()), (61, Some(user("b"))));
    stage.does(hang_up("b1"));
    assert_eq!(stage.refuses(hang_up("a1")), Refusal::CallEnded(Reason::Completed), "a different request");
    stage.does(accept("b1", "s"));
    assert_eq!(stage.refuses(accept("b2", "s")), Refusal::CallEnded(Reason::Completed));
    assert_eq!(stage.refuses(accept("a1", "s")), Refusal::CallEnded(Reason::Completed));
    stage.effects.retain(|effect| matches!(effect, Effect::Tell { .. }));
    assert!(stage.effects.is_empty(), "{:?}", stage.effects);
}

#[test]
fn an_answer_that_comes_first_beats_the_cancel_which_then_ends_the_call() {
    let mut stage = answered();
    stage.does(hang_up("a1"));
    assert_eq!(stage.told("b1"), ["closed: ended (completed)"]);
    assert_eq!(stage.ended(), Some(Reason::Completed));
}

#[test]
fn a_cancel_that_comes_first_beats_the_answer() {
    let mut stage = ringing();
    stage.does(hang_up("a1"));
    assert_eq!(stage.refuses(accept("b1", "s")), Refusal::CallEnded(Reason::Cancelled));
    for device in ["b1", "b2"] {
        assert_eq!(stage.told(device), ["closed: cancelled (cancelled)"]);
    }
    assert_eq!(stage.told("b"), ["missed cancelled"], "missed, however short the ring");
    assert!(stage.told("a1").is_empty());
    stage.does(hang_up("a1"));
}

#[test]
fn the_first_device_to_answer_wins_and_its_sibling_is_closed_once() {
    let mut stage = answered();
    assert_eq!(stage.refuses(accept("b2", "t")), Refusal::AnsweredElsewhere);
    stage.does(accept("b1", ""));
    stage.does(hang_up("a1"));
    assert!(stage.told("b2").is_empty());
}

#[test]
fn declining_on_one_device_stops_the_others() {
    let mut stage = ringing();
    stage.does(decline("b1"));
    assert_eq!(stage.told("b2"), ["closed: declined elsewhere (declined)"]);
    assert_eq!(stage.told("a1"), ["closed: declined (declined)"]);
    assert!(stage.told("b1").is_empty() && stage.told("b").is_empty());
    stage.does(decline("b1"));
    stage.does(hang_up("b1"));
    assert_eq!(stage.ended(), Some(Reason::Declined));
    assert!(!stage.record().legs[1].missed);
}

#[test]
fn busy_and_offline_end_at_once_and_are_missed() {
    for (callee, reason) in [("b!", Reason::Busy), ("b?", Reason::Offline)] {
        let mut stage = dial("a1", callee, "o");
        assert_eq!(stage.ended(), Some(reason));
        assert_eq!(stage.told("a1"), [format!("closed: declined ({})", reason.as_str())]);
        assert_eq!(stage.told("b"), [format!("missed {}", reason.as_str())]);
        assert!(stage.record().legs[1].missed && stage.record().live.is_none());
    }
}

#[test]
fn a_ring_runs_out_after_thirty_seconds_and_both_sides_are_told() {
    let mut stage = ringing();
    stage.wait(29.9);
    assert!(stage.effects.iter().all(|effect| !matches!(effect, Effect::Tell { .. })));
    stage.wait(0.2);
    assert_eq!(stage.told("a1"), ["closed: ended (no_answer)"]);
    assert_eq!(stage.told("b1"), ["closed: cancelled (no_answer)"]);
    assert_eq!(stage.told("b"), ["missed no_answer"]);
    assert_eq!((stage.ended(), stage.lasted()), (Some(Reason::NoAnswer), 30.0));
}

#[test]
fn glare_answers_only_with_the_capability() {
    let mut stage = ringing();
    stage.does(glare("b1", true));
    assert_eq!(stage.told("a1"), ["answered b"]);
    assert_eq!(stage.told("b2"), ["closed: answered elsewhere (completed)"]);
    let mut stage = ringing();
    stage.does(glare("b1", false));
    assert_eq!(stage.told("b1"), ["closed: declined (busy)", "incoming 30 o"]);
    assert_eq!(stage.call.phase(), Phase::Ringing);
}

#[test]
fn a_redial_with_a_new_offer_replaces_the_first_and_its_candidates() {
    let mut stage = dial("a1", "b1 bh", "o");
    stage.does(candidate("a1", "", "c1"));
    stage.loses("b1");
    stage.loses("bh");
    stage.forget();
    stage.does(redial("a1", "o"));
    assert!(stage.effects.is_empty(), "the same request again: {:?}", stage.effects);
    stage.does(redial("a1", "o2"));
    stage.does(candidate("a1", "", "c2"));
    stage.does(back("b1"));
    assert_eq!(stage.told("b1"), ["incoming 30 o2", "candidate c2 a"]);
    stage.does(back("bh"));
    assert_eq!(stage.told("bh"), ["incoming 30", "offer o2 a", "candidate c2 a"]);
}

#[test]
fn a_new_offer_after_one_that_reached_nobody_leaves_the_old_candidates_behind() {
    let mut stage = dial("a1", "b1", "");
    stage.loses("b1");
    for event in [offer("a1", "", "o"), candidate("a1", "", "c1"), redial("a1", "o2"), back("b1")] {
        stage.does(event);
    }
    assert_eq!(stage.told("b1"), ["incoming 30 o2"]);
}

#[test]
fn a_redial_from_another_device_moves_the_call_there() {
    let mut stage = ringing();
    stage.does(back("a2"));
    stage.does(redial("a2", "o2"));
    stage.does(accept("b1", "s"));
    assert_eq!(stage.told("a1"), ["closed: answered elsewhere (completed)"]);
    assert_eq!(stage.told("a2"), ["answered b", "answer s b"]);
    stage.does(hang_up("b1"));
    assert_eq!((stage.told("a1").len(), stage.told("a2").len()), (0, 1));
}

#[test]
fn a_callee_that_needs_the_offer_is_rung_when_it_is_there() {
    let mut stage = dial("a1", "b1", "");
    assert_eq!(stage.call.phase(), Phase::Initiated);
    stage.does(candidate("a1", "", "c1"));
    stage.wait(14.0);
    assert!(stage.told("b1").is_empty());
    stage.does(offer("a1", "b", "o"));
    stage.does(candidate("a1", "b", "c2"));
    assert_eq!(stage.told("b1"), ["incoming 16 o", "candidate c1 a", "candidate c2 a"]);
    stage.wait(2.0);
    assert_eq!(stage.call.phase(), Phase::Ringing);
}

#[test]
fn without_an_offer_the_call_fails_after_fifteen_seconds() {
    let mut stage = dial("a1", "b1", "");
    stage.wait(15.0);
    assert_eq!((stage.ended(), stage.lasted()), (Some(Reason::Failed), 15.0));
    assert_eq!(stage.told("a1"), ["closed: ended (failed)"]);
    assert!(stage.told("b1").is_empty(), "it never rang");
    assert_eq!(stage.told("b"), ["missed failed"]);
}

#[test]
fn a_polling_callee_rings_without_an_offer_and_may_even_answer_before_it() {
    let mut stage = dial("a1", "bh b1", "");
    assert_eq!(stage.told("a1"), ["ringing b 1"], "b1 does not ring yet");
    assert_eq!(stage.told("bh"), ["incoming 30"]);
    stage.does(candidate("a1", "", "c1"));
    stage.wait(20.0);
    stage.does(accept("bh", ""));
    assert!(stage.told("bh").is_empty());
    stage.does(offer("a1", "", "o"));
    assert_eq!(stage.told("bh"), ["offer o a", "candidate c1 a"]);
    assert!(stage.told("b1").is_empty(), "it never rang");
}

#[test]
fn candidates_are_held_for_their_description_both_ways_and_sixty_four_of_them() {
    let mut stage = dial("a1", "b1", "");
    for nth in 0..64 {
        stage.does(candidate("a1", "", &format!("a{nth}")));
        stage.does(candidate("b1", "", &format!("b{nth}")));
    }
    assert_eq!(stage.refuses(candidate("a1", "", "x")), Refusal::TooManyCandidates);
    assert_eq!(stage.refuses(candidate("b1", "", "x")), Refusal::TooManyCandidates);
    stage.does(offer("a1", "", "o"));
    let told = stage.told("b1");
    assert_eq!(
        (told.len(), &*told[0], &*told[1], &*told[64]),
        (65, "incoming 30 o", "candidate a0 a", "candidate a63 a")
    );
    stage.does(candidate("a1", "", "a64"));
    assert_eq!(stage.told("b1"), ["candidate a64 a"], "its description was delivered: nothing to hold");
    stage.forget();
    stage.does(accept("b1", ""));
    assert_eq!(stage.told("a1"), ["answered b"]);
    stage.does(answer("b1", "", "s"));
    let told = stage.told("a1");
    assert_eq!((told.len(), &*told[0], &*told[1], &*told[64]), (65, "answer s b", "candidate b0 b", "candidate b63 b"));
    assert!(stage.call.direct().is_some());
}

#[test]
fn a_caller_gone_for_ten_seconds_has_cancelled() {
    let mut stage = ringing();
    stage.wait(3.0);
    stage.loses("a1");
    stage.wait(9.9);
    assert_eq!(stage.ended(), None);
    stage.wait(0.1);
    assert_eq!((stage.ended(), stage.lasted()), (Some(Reason::Cancelled), 13.0));
    assert_eq!(stage.told("b1"), ["closed: cancelled (cancelled)"]);
    stage.does(back("a1"));
    assert_eq!(stage.told("a1"), ["closed: ended (cancelled)"], "owed, and told on return");
}

#[test]
fn a_caller_back_within_ten_seconds_goes_on() {
    let mut stage = ringing();
    stage.loses("a1");
    stage.wait(9.0);
    stage.does(back("a1"));
    stage.wait(20.0);
    stage.does(accept("b1", "s"));
    assert_eq!(stage.told("a1"), ["answered b", "answer s b"]);
}

#[test]
fn a_caller_with_any_device_there_goes_on_and_is_lost_when_answered() {
    let mut stage = ringing();
    stage.does(back("a2"));
    stage.loses("a1");
    stage.wait(20.0);
    stage.does(accept("b1", "s"));
    assert_eq!(stage.leg("a"), LegState::Lost);
    assert_eq!(stage.told("b1"), ["reconnecting a 30"]);
    stage.wait(5.0);
    stage.does(back("a1"));
    assert_eq!(stage.told("a1"), ["answered b", "answer s b"]);
    assert_eq!(stage.told("b1"), ["resumed a"]);
}

#[test]
fn a_caller_lost_when_answered_that_stays_away_drops_the_call_with_no_duration() {
    let mut stage = ringing();
    stage.loses("a1");
    stage.wait(5.0);
    stage.does(accept("b1", "s"));
    stage.wait(31.0);
    assert_eq!((stage.ended(), stage.lasted()), (Some(Reason::Dropped), 5.0));
    assert_eq!(stage.record().duration_seconds, 0);
}

#[test]
fn a_callee_without_devices_keeps_ringing_and_is_invited_again_with_what_is_left() {
    let mut stage = ringing();
    stage.does(candidate("a1", "", "c1"));
    stage.loses("b1");
    stage.loses("b2");
    stage.does(candidate("a1", "", "c2"));
    stage.forget();
    stage.wait(12.0);
    stage.does(back("b1"));
    assert_eq!(stage.told("b1"), ["incoming 18 o", "candidate c1 a", "candidate c2 a"]);
    stage.does(hang_up("a1"));
    assert_eq!(stage.told("b1"), ["closed: cancelled (cancelled)"]);
    assert!(stage.told("b2").is_empty());
    stage.does(back("b2"));
    assert_eq!(stage.told("b2"), ["closed: cancelled (cancelled)"]);
    stage.loses("b2");
    stage.does(back("b2"));
    assert!(stage.told("b2").is_empty(), "exactly once");
}
