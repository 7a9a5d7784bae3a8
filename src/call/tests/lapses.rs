//! Who stays for a call when their token has expired, and for how long.

use super::*;

/// Those of the devices (or, by one letter, users) that have a part in the call.
fn parts<'a>(stage: &Stage, words: &'a str) -> Vec<&'a str> {
    let has_part = |word: &&str| stage.call.has_part(&user(word), device(word).as_ref());
    words.split_whitespace().filter(has_part).collect()
}

#[test]
fn while_it_rings_the_callers_device_and_all_that_ring_have_a_part() {
    assert_eq!(parts(&ringing(), "a a1 a2 b b1 b2 b3 c c1"), ["a", "a1", "b", "b1", "b2"]);
    // Nobody is shown a call whose offer is yet to come.
    assert_eq!(parts(&dial("a1", "b1", ""), "a1 b1"), ["a1"]);
    // The one it is made from is not known: it may be either.
    assert_eq!(parts(&dial("a", "b1", "o"), "a1 a2 b1"), ["a1", "a2", "b1"]);
}

#[test]
fn once_it_is_answered_the_devices_have_a_part_that_take_part() {
    let mut stage = answered();
    assert_eq!(parts(&stage, "a a1 a2 b b1 b2"), ["a", "a1", "b", "b1"]);
    stage.loses("b1");
    assert_eq!(parts(&stage, "b b1 b2"), ["b", "b1"], "it is waited for");
    stage.does(back("b1"));
    stage.does(hang_up("a1"));
    assert_eq!(parts(&stage, "a a1 b b1 b2"), [""; 0]);
}

#[test]
fn a_member_that_left_a_group_has_no_part_in_it_any_more() {
    let mut stage = group(true);
    stage.does(hang_up("b1"));
    assert_eq!(parts(&stage, "a1 b b1 c1 d1"), ["a1", "c1", "d1"]);
}

#[test]
fn a_device_without_a_name_takes_the_place_of_one_that_is_gone() {
    let mut stage = dial("a1", "bg0 b2", "o");
    stage.does(accept("bg0", "s"));
    assert_eq!(parts(&stage, "bg0 bg9 b2"), ["bg0"]);
    stage.loses("bg0");
    assert_eq!(parts(&stage, "bg0 bg9 b2"), ["bg0", "bg9"]);
    stage.does(back("bg9"));
    assert_eq!(parts(&stage, "bg0 bg9 b2"), ["bg9"]);
}

#[test]
fn a_device_that_is_owed_the_end_has_a_part_until_it_is_told() {
    let mut stage = answered();
    stage.loses("b1");
    stage.does(hang_up("a1"));
    assert_eq!(parts(&stage, "a1 b b1 b2"), ["b1"]);
    stage.does(back("b1"));
    assert_eq!(stage.told("b1"), ["closed: ended (completed)"]);
    assert_eq!(parts(&stage, "b1"), [""; 0]);
}

#[test]
fn a_call_outlasts_tokens_that_expired_during_it_for_four_hours() {
    let stage = answered();
    let began = stage.record().started_at;
    let at = |seconds: i64| began + chrono::Duration::seconds(seconds);
    let four_hours = 4 * 3600;
    assert!(outlasts(began, at(0), at(1)) && !outlasts(began, at(-1), at(1)));
    assert!(outlasts(began, at(10), at(9 + four_hours)) && !outlasts(began, at(10), at(10 + four_hours)));
    assert!(stage.call.outlasts(&user("b"), at(0), at(1)));
    assert!(!stage.call.outlasts(&user("c"), at(0), at(1)), "a call of others");
}
