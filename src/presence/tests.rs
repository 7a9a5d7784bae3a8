use super::*;
use std::time::Duration;

use crate::call::Reach;
use crate::clock::Moment;
use crate::ids::{CallId, DeviceId, SessionId, UserId};
use crate::signal::Capabilities;

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn at(seconds: f64) -> Moment {
    Moment((seconds * 1e6) as i64)
}

fn tracker() -> Tracker {
    Tracker::new(Patience::default())
}

fn open(tracker: &mut Tracker, who: &str, device: &str, now: Moment) -> (SessionId, Connected) {
    let session = SessionId::next();
    let device = DeviceId::parse(device).unwrap();
    let connected = tracker.connect(&user(who), None, reach(device), session, Pulse::at(now), now).unwrap();
    (session, connected)
}

fn reach(device: DeviceId) -> Reach {
    Reach { device, capabilities: Capabilities { offer_in_invitation: true }, profile: None }
}

fn status(tracker: &Tracker, who: &str, now: Moment) -> Status {
    tracker.status(&user(who), now).status
}

#[test]
fn a_device_by_rest_is_fresh_for_thirty_seconds_after_its_last_beat() {
    let mut tracker = tracker();
    let (pulse, new) = tracker.beat(&user("7"), None, at(0.0));
    assert!(new);
    for second in 1..=25 {
        assert!(tracker.sweep(at(second as f64)).is_empty());
    }
    pulse.beat(at(20.0));
    for second in 26..=50 {
        assert!(tracker.sweep(at(second as f64)).is_empty(), "{second}");
        assert_eq!(status(&tracker, "7", at(second as f64)), Status::Online);
    }
    let lost = tracker.sweep(at(51.0));
    assert_eq!(lost, vec![Lost { user: user("7"), device: DeviceId::http(), since: at(20.0) }]);
    assert_eq!(status(&tracker, "7", at(51.0)), Status::Offline);
    assert_eq!(tracker.last_seen(&user("7")), Some(at(20.0)));
}

#[test]
fn after_a_stall_who_was_there_is_there_even_before_the_sweep_notices() {
    let mut tracker = tracker();
    open(&mut tracker, "7", "a", at(0.0));
    open(&mut tracker, "8", "b", at(-20.0));
    for second in 1..=11 {
        tracker.sweep(at(f64::from(second)));
    }
    // Stopped here for a minute; a call to them is read before the sweep runs.
    assert_eq!(tracker.reaches(&user("7"), at(71.0)).len(), 1);
    assert_eq!(status(&tracker, "7", at(71.0)), Status::Online);
    assert_eq!(tracker.reaches(&user("8"), at(71.0)), [], "who was gone before is not back by it");
}

#[test]
fn a_stall_of_the_service_is_not_silence_of_its_users() {
    let mut tracker = tracker();
    tracker.beat(&user("7"), None, at(0.0));
    tracker.sweep(at(1.0));
    assert!(tracker.sweep(at(60.0)).is_empty(), "the process slept, not the user");
    assert_eq!(status(&tracker, "7", at(60.0)), Status::Online);
    for second in 61..=90 {
        assert!(tracker.sweep(at(second as f64)).is_empty(), "{second}");
    }
    assert_eq!(tracker.sweep(at(91.0)).len(), 1);
}

#[test]
fn a_dropped_socket_lingers_in_public_but_not_for_routing() {
    let mut tracker = tracker();
    let (session, _) = open(&mut tracker, "7", "a", at(0.0));
    assert!(tracker.disconnect(&user("7"), &DeviceId::parse("a").unwrap(), session, false, at(5.0)));
    assert!(tracker.reaches(&user("7"), at(5.0)).is_empty());
    assert_eq!(status(&tracker, "7", at(6.9)), Status::Online);
    assert_eq!(status(&tracker, "7", at(7.0)), Status::Offline);
    tracker.take_changes(at(5.0));
    for tenth in 51..=75 {
        tracker.sweep(at(f64::from(tenth) / 10.0));
    }
    assert_eq!(tracker.take_changes(at(7.5)), vec![(user("7"), Published::default())], "told without anybody asking");
}

#[test]
fn a_clean_close_shows_offline_at_once() {
    let mut tracker = tracker();
    let (session, _) = open(&mut tracker, "7", "a", at(0.0));
    tracker.disconnect(&user("7"), &DeviceId::parse("a").unwrap(), session, true, at(5.0));
    assert_eq!(status(&tracker, "7", at(5.0)), Status::Offline);
}

#[test]
fn the_late_end_of_a_replaced_socket_does_not_evict_its_successor() {
    let mut tracker = tracker();
    let (old, _) = open(&mut tracker, "7", "a", at(0.0));
    let (_, connected) = open(&mut tracker, "7", "a", at(1.0));
    assert_eq!(connected.replaced, Some(old));
    assert!(!tracker.disconnect(&user("7"), &DeviceId::parse("a").unwrap(), old, false, at(1.1)));
    assert_eq!(tracker.reaches(&user("7"), at(1.1)).len(), 1);
}

#[test]
fn what_the_user_said_is_back_when_the_call_ends() {
    let mut tracker = tracker();
    let call = CallId::new(1).unwrap();
    open(&mut tracker, "7", "a", at(0.0));
    tracker.say(&user("7"), Saying::Busy, at(0.0));
    tracker.reserve(&user("7"), call, Some(user("8")), at(1.0));
    tracker.in_call(&user("7"), call, at(2.0));
    let shown = tracker.status(&user("7"), at(2.0));
    assert_eq!((shown.status, shown.current_call_with), (Status::InCall, Some(user("8"))));
    tracker.say(&user("7"), Saying::Online, at(2.5));
    assert_eq!(status(&tracker, "7", at(2.5)), Status::InCall, "a client cannot clear it");
    tracker.say(&user("7"), Saying::Busy, at(2.6));
    tracker.release(&user("7"), CallId::new(2).unwrap(), at(3.0));
    assert_eq!(status(&tracker, "7", at(3.0)), Status::InCall, "released by another call");
    tracker.release(&user("7"), call, at(3.0));
    assert_eq!(status(&tracker, "7", at(3.0)), Status::Busy);
}

#[test]
fn explicit_offline_ends_with_the_next_beat() {
    let mut tracker = tracker();
    tracker.beat(&user("7"), None, at(0.0));
    assert!(tracker.say(&user("7"), Saying::Offline, at(1.0)).is_some());
    assert_eq!(status(&tracker, "7", at(1.0)), Status::Offline);
    tracker.beat(&user("7"), None, at(2.0));
    assert_eq!(status(&tracker, "7", at(2.0)), Status::Online);
}

#[test]
fn a_user_may_have_ten_devices() {
    let mut tracker = tracker();
    for n in 0..10 {
        open(&mut tracker, "7", &format!("d{n}"), at(0.0));
    }
    let eleventh = DeviceId::parse("d10").unwrap();
    let refused = tracker.connect(&user("7"), None, reach(eleventh), SessionId::next(), Pulse::at(at(0.0)), at(0.0));
    assert!(refused.is_err());
    open(&mut tracker, "7", "d3", at(1.0));
}

#[test]
fn only_changed_rows_are_saved_and_the_forgotten_are_forgotten() {
    let mut tracker = tracker();
    let (pulse, _) = tracker.beat(&user("7"), Some("Ann".into()), at(0.0));
    assert_eq!(tracker.unsaved(at(1.0)).len(), 1);
    assert!(tracker.unsaved(at(2.0)).is_empty());
    pulse.beat(at(3.0));
    pulse.beat(at(4.0));
    assert_eq!(tracker.unsaved(at(5.0)).len(), 1, "one row however many beats");
    for second in 6..=40 {
        tracker.sweep(at(f64::from(second)));
    }
    assert_eq!(tracker.unsaved(at(41.0)).len(), 1);
    assert!(tracker.unsaved(at(42.0)).is_empty());
    assert_eq!((tracker.len(), tracker.forgotten()), (0, vec![user("7")]));
    assert!(tracker.forgotten().is_empty(), "once");
}

#[test]
fn who_left_is_forgotten_once_that_is_saved_and_shown_however_much_later_a_look_was_planned() {
    let mut tracker = Tracker::new(Patience { linger: Duration::from_secs(2), ..Patience::default() });
    let leave = |tracker: &mut Tracker, name, clean, then| {
        let (session, _) = open(tracker, name, "a", at(0.0));
        tracker.take_changes(at(0.0));
        tracker.disconnect(&user(name), &DeviceId::parse("a").unwrap(), session, clean, at(then));
    };
    leave(&mut tracker, "7", true, 1.0);
    leave(&mut tracker, "8", false, 1.0);
    tracker.take_changes(at(1.0));
    assert_eq!(tracker.unsaved(at(1.0)).len(), 2);
    assert!(tracker.unsaved(at(2.0)).is_empty());
    assert_eq!(tracker.forgotten(), [user("7")], "the other one may be back in a moment");
    tracker.sweep(at(4.0));
    tracker.take_changes(at(4.0));
    assert_eq!(tracker.unsaved(at(5.0)).len(), 1);
    tracker.unsaved(at(6.0));
    assert_eq!((tracker.forgotten(), tracker.len()), (vec![user("8")], 0));
    open(&mut tracker, "7", "a", at(7.0));
    tracker.sweep(at(31.0));
    assert_eq!(status(&tracker, "7", at(31.0)), Status::Online, "what was planned before means nothing any more");
}

#[test]
fn of_many_users_only_those_who_gave_a_proof_of_life_are_saved_once_each() {
    let mut tracker = tracker();
    let pulses: Vec<_> = (0..1000).map(|n| tracker.beat(&user(&n.to_string()), None, at(0.0)).0).collect();
    assert_eq!(tracker.unsaved(at(1.0)).len(), 1000);
    for tenth in 20..60 {
        pulses[7].beat(at(f64::from(tenth) / 10.0));
        pulses[8].beat(at(2.0));
    }
    let saved = |tracker: &mut Tracker, now| -> Vec<(String, Option<Moment>)> {
        let mut rows: Vec<_> =
            tracker.unsaved(at(now)).into_iter().map(|(user, _, _, seen)| (user.to_string(), seen)).collect();
        rows.sort();
        rows
    };
    assert_eq!(saved(&mut tracker, 6.0), [("7".to_owned(), Some(at(5.9))), ("8".to_owned(), Some(at(2.0)))]);
    assert_eq!(saved(&mut tracker, 11.0), []);
    pulses[7].beat(at(12.0));
    assert_eq!(saved(&mut tracker, 16.0), [("7".to_owned(), Some(at(12.0)))]);
}

#[test]
fn a_linger_is_over_in_time_even_when_a_later_look_was_planned() {
    let mut tracker = Tracker::new(Patience { linger: Duration::from_secs(2), ..Patience::default() });
    let (session, _) = open(&mut tracker, "7", "a", at(0.0));
    tracker.sweep(at(1.0));
    tracker.disconnect(&user("7"), &DeviceId::parse("a").unwrap(), session, false, at(2.0));
    tracker.take_changes(at(2.0));
    for second in 2..=6 {
        tracker.sweep(at(f64::from(second)));
    }
    assert_eq!(tracker.take_changes(at(6.0)).len(), 1);
}
