//! The machine against the law, with a stage to play calls on.
//!
//! Devices are written as one word: the first letter is the user, then `h` for a dialect that rings
//! without an offer, `g` for a generated id, or anything else for a named device that needs the offer
//! in its invitation. A letter alone is a user whose device the dialect cannot tell. `b!` is a busy
//! callee and `b?` one that is offline.

mod groups;
mod lapses;
mod properties;
mod recovery;
mod scenarios;
mod table;
mod world;

use std::time::Duration;

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::clock::{Moment, Now};
use crate::ids::{CallId, DeviceId, UserId};
use crate::signal::{
    CallType, Capabilities, Closing, DescriptionKind, Extra, Invite, Notice, Party, Payload, Phase, Reason, Refusal,
};

fn user(word: &str) -> UserId {
    UserId::parse(&word[..1]).unwrap()
}

fn device(word: &str) -> Option<DeviceId> {
    match word.as_bytes() {
        [_] => None,
        [_, b'g', ..] => Some(serde_json::from_value(json!({"name": word, "generated": true})).unwrap()),
        [..] => Some(DeviceId::parse(word).unwrap()),
    }
}

fn reach(word: &str) -> Reach {
    let capabilities = Capabilities { offer_in_invitation: word.as_bytes()[1] != b'h' };
    Reach { device: device(word).unwrap(), capabilities, profile: None }
}

fn payload(text: &str) -> Payload {
    Payload::from_json(&json!(text))
}

/// `b1 b2 c! d?` as callees with their standings.
fn standings(words: &str) -> Vec<(Party, Standing)> {
    let mut callees: Vec<(Party, Standing)> = Vec::new();
    for word in words.split_whitespace() {
        match (&word[1..], callees.iter_mut().find(|(known, _)| known.user == user(word))) {
            ("!", _) => callees.push((user(word).into(), Standing::Busy)),
            ("?", _) => callees.push((user(word).into(), Standing::Offline)),
            (_, Some((_, Standing::Free(reaches)))) => reaches.push(reach(word)),
            (_, _) => callees.push((user(word).into(), Standing::Free(vec![reach(word)]))),
        }
    }
    callees
}

fn invite_of(callees: Vec<Party>, offer: Option<Payload>) -> Invite {
    Invite {
        callees,
        call_type: CallType::Video,
        conversation: None,
        offer,
        name: Some("Ann".into()),
        glare: false,
        idempotency_key: Some("key".into()),
        extra: Extra::new(),
    }
}

fn accept(who: &str, answer: &str) -> Event {
    let answer = (!answer.is_empty()).then(|| (payload(answer), Extra::new()));
    Event::Accept { user: user(who), device: device(who), to: None, answer }
}

fn decline(who: &str) -> Event {
    Event::Decline { user: user(who), device: device(who) }
}

fn hang_up(who: &str) -> Event {
    Event::HangUp { user: user(who), device: device(who) }
}

fn describe(who: &str, to: &str, kind: DescriptionKind, text: &str) -> Event {
    let to = (!to.is_empty()).then(|| user(to));
    let (user, device) = (user(who), device(who));
    Event::Describe { user, device, to, kind, payload: payload(text), extra: Extra::new() }
}

fn offer(who: &str, to: &str, text: &str) -> Event {
    describe(who, to, DescriptionKind::Offer, text)
}

fn answer(who: &str, to: &str, text: &str) -> Event {
    describe(who, to, DescriptionKind::Answer, text)
}

fn candidate(who: &str, to: &str, text: &str) -> Event {
    let to = (!to.is_empty()).then(|| user(to));
    Event::Candidate { user: user(who), device: None, to, payload: payload(text), extra: Extra::new() }
}

fn redial(who: &str, offer: &str) -> Event {
    Event::Redial { device: device(who), offer: (!offer.is_empty()).then(|| payload(offer)) }
}

fn glare(who: &str, accept: bool) -> Event {
    Event::Glare { user: user(who), device: device(who), accept }
}

fn reload(who: &str) -> Event {
    Event::Reload { user: user(who), device: device(who) }
}

fn bring(by: &str, words: &str) -> Event {
    bring_with(by, words, "")
}

fn bring_with(by: &str, words: &str, offer: &str) -> Event {
    let offer = (!offer.is_empty()).then(|| payload(offer));
    let name = Some(format!("{by}'s name"));
    Event::Invite { by: user(by), name, invitees: standings(words), offer, extra: Extra::new() }
}

fn back(who: &str) -> Event {
    Event::DeviceBack { user: user(who), reach: reach(who) }
}

fn undelivered(who: &str) -> Event {
    Event::Undelivered { user: user(who), device: device(who).unwrap() }
}

fn kill() -> Event {
    Event::Kill { by: user("x") }
}

/// A notice in a few words.
fn words(notice: &Notice) -> String {
    let name = |reason: &Reason| reason.as_str();
    match notice {
        Notice::Incoming(incoming) => match &incoming.offer {
            Some(offer) => format!("incoming {} {}", incoming.expires_in_ms / 1000, offer.get().trim_matches('"')),
            None => format!("incoming {}", incoming.expires_in_ms / 1000),
        },
        Notice::Ringing { user, devices, .. } => format!("ringing {user} {devices}"),
        Notice::Answered { by, .. } => format!("answered {by}"),
        Notice::Description { from, payload, kind, .. } => {
            let kind = if *kind == DescriptionKind::Offer { "offer" } else { "answer" };
            format!("{kind} {} {from}", payload.get().trim_matches('"'))
        }
        Notice::Candidate { from, payload, .. } => format!("candidate {} {from}", payload.get().trim_matches('"')),
        Notice::Closed { closing, reason, .. } => {
            let closing = match closing {
                Closing::Declined => "declined",
                Closing::Cancelled => "cancelled",
                Closing::Ended => "ended",
                Closing::AnsweredElsewhere => "answered elsewhere",
                Closing::DeclinedElsewhere => "declined elsewhere",
            };
            format!("closed: {closing} ({})", reason.as_ref().map_or("-", name))
        }
        Notice::PeerReconnecting { user, grace_ms, .. } => format!("reconnecting {user} {}", grace_ms / 1000),
        Notice::PeerResumed { user, .. } => format!("resumed {user}"),
        Notice::PeerJoined { user, .. } => format!("joined {user}"),
        Notice::NotJoining { user, reason, .. } => format!("not joining {user} {}", name(reason)),
        Notice::PeerLeft { user, reason, .. } => format!("left {user} {}", name(reason)),
        Notice::Missed { reason, .. } => format!("missed {}", name(reason)),
    }
}

/// A call on a stage: a clock that moves in steps, what was told and what was recorded.
struct Stage {
    call: Call,
    rules: Rules,
    now: Now,
    effects: Vec<Effect>,
    records: Vec<Record>,
}

/// A call from a device to callees, with an offer unless that is empty.
fn dial(caller: &str, callees: &str, offer: &str) -> Stage {
    let rules = Rules::default();
    let now = Now { wall: DateTime::from_timestamp(1_700_000_000, 0).unwrap(), tick: Moment(5_000_000) };
    let callees = standings(callees);
    let offer = (!offer.is_empty()).then(|| payload(offer));
    let start = Start {
        id: CallId::new(1).unwrap(),
        caller: user(caller),
        caller_name: None,
        caller_device: device(caller),
        caller_devices: if caller.len() > 1 { vec![reach(caller)] } else { vec![reach("a1"), reach("a2")] },
        invite: invite_of(callees.iter().map(|(user, _)| user.clone()).collect(), offer),
        callees,
    };
    let (call, effects) = Call::start(start, now, &rules);
    let mut stage = Stage { call, rules, now, effects: Vec::new(), records: Vec::new() };
    stage.take(effects);
    stage
}

/// `a1` calls `b1` and `b2`, which ring.
fn ringing() -> Stage {
    let mut stage = dial("a1", "b1 b2", "o");
    assert_eq!(stage.told("a1"), ["ringing b 2"]);
    for device in ["b1", "b2"] {
        assert_eq!(stage.told(device), ["incoming 30 o"]);
    }
    stage
}

/// `b1` answered `a1` a second later.
fn answered() -> Stage {
    let mut stage = ringing();
    stage.wait(1.0);
    stage.does(accept("b1", "s"));
    assert_eq!(stage.told("a1"), ["answered b", "answer s b"]);
    assert_eq!(stage.told("b2"), ["closed: answered elsewhere (completed)"]);
    stage
}

/// `a1`, `b1` and `c1` in a group call; `d1` rings if it is asked for.
fn group(with_d: bool) -> Stage {
    let mut stage = dial("a1", if with_d { "b1 c1 d1" } else { "b1 c1" }, "");
    stage.does(accept("b1", ""));
    stage.does(accept("c1", ""));
    stage.forget();
    stage
}

impl Stage {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            if *effect == Effect::Record {
                let record = self.call.record();
                self.records.push(record);
            }
        }
        self.effects.extend(effects);
    }

    fn apply(&mut self, event: Event) -> Result<(), Refusal> {
        let before = self.call.clone();
        let said = format!("{event:?}");
        match self.call.apply(event, self.now, &self.rules) {
            Ok(effects) => {
                assert!(self.call.phase() as u8 >= before.phase() as u8, "{said} turned the phase back");
                self.take(effects);
                Ok(())
            }
            Err(refusal) => {
                let mut unchanged = before;
                unchanged.latest = self.call.latest;
                assert_eq!(unchanged, self.call, "{said} was refused ({refusal}) and changed something");
                Err(refusal)
            }
        }
    }

    fn does(&mut self, event: Event) {
        let said = format!("{event:?}");
        self.apply(event).unwrap_or_else(|refusal| panic!("{said}: {refusal}"));
    }

    fn refuses(&mut self, event: Event) -> Refusal {
        let said = format!("{event:?}");
        self.apply(event).err().unwrap_or_else(|| panic!("{said} was not refused"))
    }

    fn loses(&mut self, who: &str) {
        let since = self.now.tick;
        self.does(Event::DeviceLost { user: user(who), device: device(who).unwrap(), since });
    }

    /// Time passes; the call is asked at each of its deadlines on the way.
    fn wait(&mut self, seconds: f64) {
        let until = self.now.tick + Duration::from_secs_f64(seconds);
        while let Some(deadline) = self.call.deadline().filter(|deadline| *deadline <= until) {
            self.now = Now { wall: self.now.wall_at(deadline), tick: deadline.max(self.now.tick) };
            self.does(Event::Deadline);
            assert!(self.call.deadline().is_none_or(|next| next > self.now.tick), "a deadline must pass");
        }
        self.now = Now { wall: self.now.wall_at(until), tick: until };
    }

    fn wall_jumps(&mut self, seconds: i64) {
        self.now.wall += chrono::Duration::seconds(seconds);
    }

    /// The service stops and another process takes the call up from its last record.
    fn restart(&mut self, seen: &[(&str, i64)]) {
        let text = self.records.last().unwrap().live.clone().expect("the call is live");
        self.now.tick = Moment(77);
        self.call = Call::load(&text, self.now).unwrap();
        let seen = seen.iter().map(|(who, ago)| (user(who), self.now.wall - chrono::Duration::seconds(*ago)));
        let seen = seen.collect();
        self.does(Event::Restarted { seen });
    }

    /// What a device was told since it was last asked, `Everyone` included.
    fn told(&mut self, word: &str) -> Vec<String> {
        let target = device(word).map(Target::Device).unwrap_or(Target::Everyone);
        let mut told = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::Tell { user: to, target: at, notice } if *to == user(word) && *at == target => {
                told.push(words(notice));
                false
            }
            _ => true,
        });
        told
    }

    fn forget(&mut self) {
        self.effects.clear();
    }

    fn record(&self) -> &Record {
        self.records.last().unwrap()
    }

    fn leg(&self, who: &str) -> LegState {
        self.call.legs().iter().find(|leg| *leg.user() == user(who)).unwrap().state()
    }

    fn ended(&self) -> Option<Reason> {
        assert_eq!(self.call.phase() == Phase::Ended, self.record().reason.is_some());
        self.record().reason
    }

    /// Seconds from the start to the recorded end.
    fn lasted(&self) -> f64 {
        (self.record().ended_at.unwrap() - self.record().started_at).num_milliseconds() as f64 / 1000.0
    }
}
