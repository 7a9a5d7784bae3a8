//! Losses, returns, restarts and clocks.

use super::*;

#[test]
fn a_lost_participant_resumes_and_finds_what_was_sent_meanwhile_in_order() {
    let mut stage = answered();
    stage.loses("b1");
    assert_eq!(stage.told("a1"), ["reconnecting b 30"]);
    for event in [candidate("a1", "", "c1"), offer("a1", "", "o2"), candidate("a1", "", "c2")] {
        stage.does(event);
    }
    stage.wait(29.0);
    stage.does(back("b1"));
    assert_eq!(stage.told("a1"), ["resumed b"]);
    assert_eq!(stage.told("b1"), ["candidate c1 a", "offer o2 a", "candidate c2 a"]);
    stage.wait(100.0);
    assert_eq!(stage.ended(), None);
}

#[test]
fn a_participant_that_stays_away_drops_the_call_at_the_moment_of_loss() {
    let mut stage = answered();
    stage.wait(10.5);
    stage.loses("a1");
    stage.wait(30.0);
    assert_eq!((stage.ended(), stage.lasted()), (Some(Reason::Dropped), 11.5));
    assert_eq!(stage.record().duration_seconds, 10);
    assert_eq!(stage.told("b1"), ["reconnecting a 30", "closed: ended (dropped)"]);
    stage.does(back("a1"));
    assert_eq!(stage.told("a1"), ["closed: ended (dropped)"]);
}

#[test]
fn a_reloaded_page_drops_the_old_call() {
    let mut stage = answered();
    stage.wait(5.0);
    stage.does(reload("a1"));
    assert_eq!(stage.ended(), Some(Reason::Dropped));
    assert_eq!((stage.told("a1").len(), stage.told("b1")), (0, vec!["closed: ended (dropped)".into()]));
}

#[test]
fn a_killed_call_closes_everybody() {
    let mut stage = answered();
    stage.does(kill());
    stage.does(kill());
    for device in ["a1", "b1"] {
        assert_eq!(stage.told(device), ["closed: ended (killed)"]);
    }
    assert_eq!(stage.record().ended_by, Some(user("x")));
    let mut stage = ringing();
    stage.does(kill());
    assert_eq!(stage.told("b2"), ["closed: cancelled (killed)"]);
    assert!(stage.record().legs[1].missed);
}

#[test]
fn a_generated_device_takes_the_place_of_the_one_that_is_gone() {
    let mut stage = dial("ag1", "bg1 b2", "o");
    stage.does(accept("bg1", "s"));
    stage.loses("bg1");
    stage.does(offer("ag1", "", "o2"));
    stage.forget();
    stage.does(back("b3"));
    assert_eq!(stage.leg("b"), LegState::Lost, "a named device is another one");
    stage.does(back("bg2"));
    assert_eq!(stage.told("bg2"), ["offer o2 a"]);
    assert_eq!(stage.told("ag1"), ["resumed b"]);
    stage.does(hang_up("bg2"));
    assert_eq!(stage.told("ag1"), ["closed: ended (completed)"]);
}

#[test]
fn a_closing_that_did_not_arrive_is_owed_once() {
    let mut stage = answered();
    stage.does(undelivered("b2"));
    assert!(stage.call.owes_a_closing());
    stage.does(back("b2"));
    assert_eq!(stage.told("b2"), ["closed: answered elsewhere (completed)"]);
    assert!(!stage.call.owes_a_closing());
    stage.does(undelivered("b1"));
    stage.loses("b1");
    assert_eq!(stage.leg("b"), LegState::Lost, "nothing was owed to it, and its loss is noticed");
}

#[test]
fn a_ringing_call_rings_on_after_a_restart_with_the_time_that_is_left() {
    let mut stage = ringing();
    stage.wait(10.0);
    stage.wall_jumps(8);
    stage.restart(&[]);
    stage.does(back("a1"));
    stage.does(back("b1"));
    assert_eq!(stage.told("b1"), ["incoming 12 o"]);
    stage.does(accept("b1", "s"));
    assert_eq!(stage.told("a1"), ["answered b", "answer s b"]);
    stage.does(back("b2"));
    assert_eq!(stage.told("b2"), ["closed: answered elsewhere (completed)"]);
}

#[test]
fn a_ring_that_ran_out_while_nobody_ran_was_not_answered() {
    let mut stage = ringing();
    stage.wall_jumps(100);
    stage.restart(&[]);
    assert_eq!(stage.ended(), Some(Reason::NoAnswer));
    assert_eq!(stage.told("b"), ["missed no_answer"]);
}

#[test]
fn an_answered_call_waits_a_minute_for_its_participants_after_a_restart() {
    let mut stage = answered();
    stage.wall_jumps(100);
    stage.restart(&[("a", 40), ("b", 40)]);
    stage.does(back("b1"));
    stage.wait(59.0);
    stage.does(back("a1"));
    assert_eq!(stage.told("b1"), ["resumed a"]);
    stage.wait(1000.0);
    stage.does(hang_up("a1"));
    assert_eq!((stage.ended(), stage.record().duration_seconds), (Some(Reason::Completed), 1159));
}

#[test]
fn nobody_back_after_a_restart_is_a_drop_when_they_were_last_seen() {
    let mut stage = answered();
    stage.wall_jumps(100);
    stage.restart(&[("a", 40), ("b", 40)]);
    stage.wait(60.0);
    assert_eq!((stage.ended(), stage.lasted()), (Some(Reason::Dropped), 61.0));
}

#[test]
fn a_wall_clock_set_back_over_a_restart_never_makes_time_run_backwards() {
    let mut stage = answered();
    stage.wait(50.0);
    stage.loses("b1");
    stage.wall_jumps(-5000);
    stage.restart(&[("a", 40), ("b", 40)]);
    stage.wait(60.0);
    let record = stage.record();
    assert!(record.answered_at <= record.ended_at && record.duration_seconds >= 0, "{record:?}");
    assert_eq!(stage.lasted(), 51.0, "the loss that was known stands");
}

#[test]
fn wall_clock_jumps_leave_the_duration_alone() {
    for jump in [-7200, 7200] {
        let mut stage = answered();
        stage.wait(10.0);
        stage.wall_jumps(jump);
        stage.wait(10.9);
        stage.does(hang_up("a1"));
        assert_eq!((stage.record().duration_seconds, stage.lasted()), (20, 21.9));
    }
}

#[test]
fn a_device_found_out_later_closes_its_siblings() {
    let mut stage = ringing();
    stage.does(accept("b", ""));
    assert!(stage.told("b1").is_empty() && stage.told("b2").is_empty());
    stage.does(answer("b2", "", "s"));
    assert_eq!(stage.told("b1"), ["closed: answered elsewhere (completed)"]);
    assert_eq!(stage.told("a1"), ["answered b", "answer s b"]);
    assert_eq!(stage.refuses(answer("b1", "", "t")), Refusal::AnsweredElsewhere);
    assert_eq!(stage.record().legs[1].device, device("b2"), "it is written, too");
}

#[test]
fn who_answers_from_a_device_that_is_not_there_is_waited_for() {
    let mut stage = ringing();
    stage.does(candidate("a1", "", "c1"));
    stage.does(accept("b3", ""));
    assert_eq!(stage.told("a1"), ["answered b", "reconnecting b 30"]);
    stage.does(back("b3"));
    assert_eq!(stage.told("b3"), ["offer o a", "candidate c1 a"]);
    assert_eq!(stage.leg("b"), LegState::Joined);
}

#[test]
fn a_caller_whose_device_is_unknown_is_there_with_any() {
    let mut stage = dial("a", "b1", "o");
    stage.loses("a1");
    stage.wait(20.0);
    stage.does(accept("b1", "s"));
    assert_eq!(stage.told("a2"), ["ringing b 1", "answered b", "answer s b"]);
}

#[test]
fn a_record_holds_the_offer_only_while_somebody_may_have_to_be_sent_it() {
    let held = |stage: &Stage| stage.record().live.as_ref().unwrap().contains(r#""offer":"o""#);
    let mut stage = dial("a1", "b1 b2", "o");
    assert!(held(&stage), "it rings on after a restart");
    stage.does(accept("b1", "s"));
    assert!(!held(&stage));
    let mut stage = dial("a1", "b1 b2", "o");
    stage.does(accept("b", "s"));
    assert!(held(&stage), "it is not known yet with which device");
    let mut stage = dial("a1", "b1 c1", "o");
    stage.does(accept("b1", "s"));
    assert!(held(&stage), "another one rings");
    stage.does(accept("c1", "s"));
    assert!(!held(&stage));
}

#[test]
fn records_show_the_call_as_it_stands_and_number_its_trace() {
    let mut stage = answered();
    stage.loses("b1");
    stage.does(back("b1"));
    stage.wait(1.0);
    stage.does(hang_up("a1"));
    let trace: Vec<_> = stage.records.iter().flat_map(|record| record.trace.clone()).collect();
    let what: Vec<&str> = trace.iter().map(|entry| &*entry.what).collect();
    assert_eq!(what, ["initiated", "ringing", "answered", "lost", "resumed", "ended"]);
    assert!(trace.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
    for record in &stage.records {
        assert_eq!(record.live.is_none(), record.phase == Phase::Ended);
        assert_eq!((record.caller_name.as_deref(), record.idempotency_key.as_deref()), (Some("Ann"), Some("key")));
    }
    let record = stage.record();
    let legs: Vec<_> = record.legs.iter().map(|leg| (leg.position, leg.role.as_str(), leg.state, leg.missed)).collect();
    assert_eq!(legs, [(0, "caller", "left", false), (1, "callee", "left", false)]);
    assert_eq!(record.legs[1].device, device("b1"));
    assert_eq!(stage.call.view().duration_seconds, 1);
}
