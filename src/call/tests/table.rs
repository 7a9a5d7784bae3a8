//! Every state a leg can be in, in every phase its call can be in then, against every event.
//!
//! The cells say what becomes of the leg and of the call, or how the event is refused; `table.txt` is
//! the table, without the events that change neither. A new state or event does not compile until it
//! is added here. That a refused event changes nothing is checked by the stage.

use super::*;

/// What happens to one participant. `Leg`'s user is `a` for the caller's rows and `b` for a callee's.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Happens {
    Accepts,
    Declines,
    HangsUp,
    Offers,
    Answers,
    Candidate,
    Redials,
    Glares,
    Reloads,
    Invites,
    IsBack,
    IsGone,
    Undelivered,
    Restart,
    Kill,
    Time,
}

const ALL: [Happens; 16] = [
    Happens::Accepts,
    Happens::Declines,
    Happens::HangsUp,
    Happens::Offers,
    Happens::Answers,
    Happens::Candidate,
    Happens::Redials,
    Happens::Glares,
    Happens::Reloads,
    Happens::Invites,
    Happens::IsBack,
    Happens::IsGone,
    Happens::Undelivered,
    Happens::Restart,
    Happens::Kill,
    Happens::Time,
];

/// Which of them an event is. Matched in full, so that a new event asks for a new column.
fn column(event: &Event) -> Happens {
    match event {
        Event::Accept { .. } => Happens::Accepts,
        Event::Decline { .. } => Happens::Declines,
        Event::HangUp { .. } => Happens::HangsUp,
        Event::Describe { kind: DescriptionKind::Offer, .. } => Happens::Offers,
        Event::Describe { kind: DescriptionKind::Answer, .. } => Happens::Answers,
        Event::Candidate { .. } => Happens::Candidate,
        Event::Redial { .. } => Happens::Redials,
        Event::Glare { .. } => Happens::Glares,
        Event::Reload { .. } => Happens::Reloads,
        Event::Invite { .. } => Happens::Invites,
        Event::DeviceBack { .. } => Happens::IsBack,
        Event::DeviceLost { .. } => Happens::IsGone,
        Event::Undelivered { .. } => Happens::Undelivered,
        Event::Restarted { .. } => Happens::Restart,
        Event::Kill { .. } => Happens::Kill,
        Event::Deadline => Happens::Time,
    }
}

fn event(happens: Happens, who: &str, now: Now) -> Event {
    let word = format!("{who}1");
    match happens {
        Happens::Accepts => accept(&word, ""),
        Happens::Declines => decline(&word),
        Happens::HangsUp => hang_up(&word),
        Happens::Offers => offer(&word, if who == "a" { "b" } else { "a" }, "new"),
        Happens::Answers => answer(&word, if who == "a" { "b" } else { "a" }, "s"),
        Happens::Candidate => candidate(&word, if who == "a" { "b" } else { "a" }, "c"),
        Happens::Redials => redial("a1", "o2"),
        Happens::Glares => glare(&word, true),
        Happens::Reloads => reload(&word),
        Happens::Invites => bring(who, "z1"),
        Happens::IsBack => back(&word),
        Happens::IsGone => Event::DeviceLost { user: user(who), device: device(&word).unwrap(), since: now.tick },
        Happens::Undelivered => undelivered(&word),
        Happens::Restart => Event::Restarted { seen: Vec::new() },
        Happens::Kill => kill(),
        Happens::Time => Event::Deadline,
    }
}

/// The cell: the leg's next state and the call's phase, or the refusal.
fn cell(mut stage: Stage, who: &str, happens: Happens) -> String {
    let event = event(happens, who, stage.now);
    assert_eq!(column(&event), happens);
    match stage.apply(event) {
        Ok(()) => {
            let state = stage.leg(who);
            let reason = state.reason().map(|reason| format!(":{}", reason.as_str())).unwrap_or_default();
            format!("{}{reason}/{}", state.as_str(), stage.call.phase().as_str())
        }
        Err(Refusal::CallEnded(reason)) => format!("no: {}", reason.as_str()),
        Err(refusal) => format!("no: {}", refusal.code()),
    }
}

fn staged(mut stage: Stage, events: &[Event]) -> Stage {
    events.iter().for_each(|event| stage.does(event.clone()));
    stage
}

fn waited(mut stage: Stage, seconds: f64) -> Stage {
    stage.wait(seconds);
    stage
}

fn lost(mut stage: Stage, word: &str) -> Stage {
    stage.loses(word);
    stage
}

/// A row: a leg's state in a call's phase, and a stage that has it.
fn rows() -> Vec<(&'static str, Stage)> {
    let all = vec![
        ("a", dial("a1", "b1", "")),
        ("a", dial("a1", "b1", "o")),
        ("a", dial("a1", "b1 c1", "")),
        ("a", staged(dial("a1", "b1", "o"), &[accept("b1", "")])),
        ("a", lost(staged(dial("a1", "b1", "o"), &[accept("b1", "")]), "a1")),
        ("a", staged(group(false), &[hang_up("a1")])),
        ("a", staged(dial("a1", "b1", "o"), &[hang_up("a1")])),
        ("a", waited(dial("a1", "b1", "o"), 30.0)),
        ("b", dial("a1", "b1", "")),
        ("b", staged(answered(), &[bring("b1", "c1")])),
        ("b", dial("a1", "b1", "o")),
        ("b", staged(dial("a1", "b1 c1", ""), &[accept("c1", "")])),
        ("b", staged(dial("a1", "b1", "o"), &[accept("b1", "")])),
        ("b", lost(staged(dial("a1", "b1", "o"), &[accept("b1", "")]), "b1")),
        ("b", staged(group(false), &[hang_up("b1")])),
        ("b", staged(dial("a1", "b1", "o"), &[accept("b1", ""), hang_up("b1")])),
        ("b", staged(dial("a1", "b1 c1", ""), &[decline("b1")])),
        ("b", staged(dial("a1", "b1 c1", ""), &[decline("b1"), accept("c1", "")])),
        ("b", staged(dial("a1", "b1", "o"), &[decline("b1")])),
        ("b", staged(dial("a1", "b! c1", ""), &[])),
        ("b", staged(dial("a1", "b? c1", ""), &[accept("c1", "")])),
        ("b", staged(dial("a1", "b1", "o"), &[hang_up("a1")])),
        ("b", waited(dial("a1", "b1", "o"), 30.0)),
        ("b", waited(dial("a1", "b1", ""), 15.0)),
    ];
    // Matched in full: a new state has a number of its own and must turn up in a row.
    let number = |state: LegState| match state {
        LegState::Invited => 0,
        LegState::Ringing => 1,
        LegState::Joined => 2,
        LegState::Lost => 3,
        LegState::Left(_) => 4,
        LegState::Declined => 5,
        LegState::Missed(Absence::NoAnswer | Absence::Busy | Absence::Offline | Absence::Cancelled) => 6,
        LegState::Failed => 7,
    };
    for wanted in 0..8 {
        assert!(all.iter().any(|(who, stage)| number(stage.leg(who)) == wanted), "no row for state {wanted}");
    }
    all
}

#[test]
fn the_table() {
    let mut table = String::new();
    let count = rows().len();
    for row in 0..count {
        let (who, stage) = rows().swap_remove(row);
        let reason = stage.leg(who).reason().map(|reason| format!(":{}", reason.as_str())).unwrap_or_default();
        let group = if stage.call.is_group() { " (group)" } else { "" };
        let title = if who == "a" { "caller" } else { "callee" };
        table += &format!("{title} {}{reason}/{}{group}\n", stage.leg(who).as_str(), stage.call.phase().as_str());
        let here = cell(rows().swap_remove(row).1, who, Happens::Time);
        for happens in ALL {
            let next = cell(rows().swap_remove(row).1, who, happens);
            if next != here {
                table += &format!("    {happens:?} -> {next}\n");
            }
        }
    }
    let expected = include_str!("table.txt");
    assert_eq!(table, expected, "\n{table}");
}
