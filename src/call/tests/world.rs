//! A small world: users with devices, several calls at once, and in miniature what a router does. It
//! checks itself after every step.

mod checks;
mod devices;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::call::admission::{Admission, Engagement, admit};
use crate::ids::SessionId;
use crate::presence::{Patience, Pulse, Tracker};

/// What may happen. Devices are numbered: three of each of four users.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Dial {
        from: usize,
        to: usize,
        offer: bool,
        glare: bool,
    },
    DialGroup {
        from: usize,
        to: [usize; 2],
    },
    Accept {
        by: usize,
        answer: bool,
        known: bool,
    },
    Decline {
        by: usize,
    },
    HangUp {
        by: usize,
    },
    Describe {
        by: usize,
        to: usize,
        kind: DescriptionKind,
    },
    Candidate {
        by: usize,
        to: usize,
    },
    BringIn {
        by: usize,
        whom: usize,
    },
    Drop {
        device: usize,
    },
    /// The device's connection is dead, but nobody knows yet.
    Cut {
        device: usize,
    },
    Return {
        device: usize,
    },
    /// The last command is sent again.
    Replay,
    Wait {
        seconds: u32,
    },
    WallJump {
        seconds: i32,
    },
    Kill {
        nth: usize,
    },
    Restart,
}

pub(super) const USERS: [&str; 4] = ["a", "b", "c", "d"];
pub(super) const SLOTS: usize = 12;

/// A device as the people using it know it, whatever id it has at the moment.
struct Slot {
    id: DeviceId,
    session: Option<SessionId>,
    cut: bool,
    pulse: Arc<Pulse>,
    /// Per call: rung, dialling or taking part, and not closed yet.
    open: BTreeMap<CallId, bool>,
    /// The last candidate from each sender.
    heard: BTreeMap<(CallId, UserId), u32>,
}

struct Live {
    call: Call,
    stored: Option<Record>,
    seq: i32,
    forgotten: bool,
}

pub(super) struct World {
    now: Now,
    rules: Rules,
    tracker: Tracker,
    slots: Vec<Slot>,
    calls: BTreeMap<CallId, Live>,
    last: Option<(CallId, Event, usize, DeviceId)>,
    sent: u32,
    generated: u32,
    pub(super) log: Vec<String>,
    /// How often something of interest happened, to know that the steps reach it.
    pub(super) seen: BTreeMap<String, usize>,
}

fn owner(slot: usize) -> UserId {
    user(USERS[slot / 3])
}

impl World {
    pub(super) fn new() -> Self {
        let now = Now { wall: DateTime::from_timestamp(1_700_000_000, 0).unwrap(), tick: Moment(1_000_000) };
        let slots = (0..SLOTS).map(|slot| Slot {
            id: device(&format!("{}{}", USERS[slot / 3], ["1", "g0", "h"][slot % 3])).unwrap(),
            session: None,
            cut: false,
            pulse: Pulse::at(now.tick),
            open: BTreeMap::new(),
            heard: BTreeMap::new(),
        });
        let mut world = Self {
            now,
            rules: Rules { held: 4, ..Rules::default() },
            tracker: Tracker::new(Patience::default()),
            slots: slots.collect(),
            calls: BTreeMap::new(),
            last: None,
            sent: 0,
            generated: 0,
            log: Vec::new(),
            seen: BTreeMap::new(),
        };
        // The last user starts out with nothing, the others with one device or more.
        for slot in [0, 1, 2, 3, 5, 7] {
            world.connect(slot);
        }
        world
    }

    pub(super) fn step(&mut self, step: &Step) {
        self.log.push(format!("{:>7.3}s {step:?}", self.now.tick.0 as f64 / 1e6));
        self.sent += 1;
        match *step {
            Step::Dial { from, to, offer, glare } => self.dial(from, vec![owner(to)], offer, glare),
            Step::DialGroup { from, to } => self.dial(from, to.map(owner).to_vec(), false, false),
            Step::Accept { by, answer, known } => {
                let answer = answer.then(|| (payload(&format!("s{}", self.sent)), Extra::new()));
                let device = known.then(|| self.slots[by].id.clone());
                self.command(by, |user| Event::Accept { user, device, answer });
            }
            Step::Decline { by } => {
                let device = Some(self.slots[by].id.clone());
                self.command(by, |user| Event::Decline { user, device });
            }
            Step::HangUp { by } => {
                let device = Some(self.slots[by].id.clone());
                self.command(by, |user| Event::HangUp { user, device });
            }
            Step::Describe { by, to, kind } => {
                let (payload, extra) = (payload(&format!("d{}", self.sent)), Extra::new());
                let (device, to) = (Some(self.slots[by].id.clone()), Some(owner(to)));
                self.command(by, |user| Event::Describe { user, device, to, kind, payload, extra });
            }
            Step::Candidate { by, to } => {
                let (payload, extra) = (payload(&self.sent.to_string()), Extra::new());
                let to = Some(owner(to));
                self.command(by, |user| Event::Candidate { user, device: None, to, payload, extra });
            }
            Step::BringIn { by, whom } => self.bring_in(by, &owner(whom)),
            Step::Drop { device } => self.disconnect(device),
            Step::Cut { device } => self.slots[device].cut = self.slots[device].session.is_some(),
            Step::Return { device } => {
                self.disconnect(device);
                self.connect(device);
            }
            Step::Replay => {
                let here = |slot: &Slot, id: &DeviceId| slot.session.is_some() && !slot.cut && slot.id == *id;
                if let Some((call, event, slot, id)) = self.last.clone()
                    && here(&self.slots[slot], &id)
                    && !self.calls[&call].forgotten
                {
                    self.event(call, event, Some(slot));
                }
            }
            Step::Wait { seconds } => self.wait(seconds),
            Step::WallJump { seconds } => self.now.wall += chrono::Duration::seconds(seconds.into()),
            Step::Kill { nth } => {
                if let Some(call) = self.calls.keys().rev().nth(nth).copied().filter(|call| !self.calls[call].forgotten)
                {
                    self.event(call, kill(), None);
                }
            }
            Step::Restart => self.restart(),
        }
        self.check();
    }

    /// Everybody goes, all time passes, everybody comes back.
    pub(super) fn finish(&mut self) {
        self.log.push("finish".into());
        (0..SLOTS).for_each(|slot| self.disconnect(slot));
        self.wait(200);
        self.check();
        for (id, live) in &self.calls {
            assert_eq!(live.call.phase(), Phase::Ended, "call {id} never ends");
            assert_eq!(live.stored.as_ref().unwrap().phase, Phase::Ended, "call {id} is not recorded as ended");
            let reason = live.stored.as_ref().unwrap().reason.unwrap();
            *self.seen.entry(format!("ended {}", reason.as_str())).or_default() += 1;
        }
        (0..SLOTS).for_each(|slot| self.connect(slot));
        for (index, slot) in self.slots.iter().enumerate() {
            for (call, open) in &slot.open {
                assert!(!open, "device {} (slot {index}) was never told that call {call} is over", slot.id);
            }
        }
        assert!(
            self.calls.values().all(|live| live.forgotten || !live.call.owes_a_closing()),
            "something is still owed"
        );
    }

    fn engaged(&self, who: &UserId) -> Option<CallId> {
        self.tracker.engaged(who).map(|engaged| engaged.call)
    }

    fn standing(&self, who: &UserId) -> Standing {
        let reaches = self.tracker.reaches(who, self.now.tick);
        match (self.engaged(who), reaches.is_empty()) {
            (_, true) => Standing::Offline,
            (Some(_), false) => Standing::Busy,
            (None, false) => Standing::Free(reaches),
        }
    }

    fn admit(&self, from: usize, invite: &Invite) -> Admission {
        let caller = owner(from);
        let call = self.engaged(&caller).map(|call| &self.calls[&call].call);
        let callees: Vec<UserId> = call.into_iter().flat_map(|call| call.view().callees).collect();
        let engagement = call.map(|call| Engagement {
            call: call.id(),
            phase: call.phase(),
            caller: call.legs()[0].user(),
            callees: &callees,
            device: call.legs().iter().find(|leg| *leg.user() == caller).and_then(Leg::device),
        });
        admit(&caller, Some(&self.slots[from].id), invite, engagement, self.rules.max_participants)
    }

    fn dial(&mut self, from: usize, callees: Vec<UserId>, offer: bool, glare: bool) {
        if self.slots[from].session.is_none() || self.slots[from].cut {
            return;
        }
        let (user, device) = (owner(from), Some(self.slots[from].id.clone()));
        let offer = offer.then(|| payload(&format!("o{}", self.sent)));
        let invite = Invite { glare, ..invite_of(callees.into_iter().map(Party::from).collect(), offer.clone()) };
        match self.admit(from, &invite) {
            Admission::Start => self.start(from, invite),
            Admission::Redial(call) => {
                self.event(call, Event::Redial { device, offer }, Some(from));
                self.slots[from].open.insert(call, true);
            }
            Admission::Glare(call) => self.event(call, Event::Glare { user, device, accept: glare }, Some(from)),
            Admission::Reload(call) => {
                self.event(call, Event::Reload { user, device }, Some(from));
                assert_eq!(self.admit(from, &invite), Admission::Start, "after a reload the user is free");
                self.start(from, invite);
            }
            Admission::Refuse(_) => {}
        }
    }

    fn start(&mut self, from: usize, invite: Invite) {
        let caller = owner(from);
        let id = CallId::new(self.calls.len() as i64 + 1).unwrap();
        let one = invite.callees.len() == 1;
        let callees: Vec<_> = invite.callees.iter().map(|party| (party.clone(), self.standing(&party.user))).collect();
        for (callee, standing) in &callees {
            if matches!(standing, Standing::Free(_)) {
                self.tracker.reserve(&callee.user, id, one.then(|| caller.clone()), self.now.tick);
            }
        }
        let with = one.then(|| callees[0].0.user.clone());
        self.tracker.reserve(&caller, id, with, self.now.tick);
        let start = Start {
            id,
            caller: caller.clone(),
            caller_name: None,
            caller_device: Some(self.slots[from].id.clone()),
            caller_devices: self.tracker.reaches(&caller, self.now.tick),
            callees,
            invite,
        };
        let (call, effects) = Call::start(start, self.now, &self.rules);
        self.calls.insert(id, Live { call, stored: None, seq: 0, forgotten: false });
        self.slots[from].open.insert(id, true);
        self.carry_out(id, effects, None);
    }

    /// A command of a device about its user's call, or about the last call there was.
    fn command(&mut self, by: usize, event: impl FnOnce(UserId) -> Event) {
        let call = self.engaged(&owner(by)).or(self.calls.keys().last().copied());
        let here = self.slots[by].session.is_some() && !self.slots[by].cut;
        if let Some(call) = call.filter(|call| here && !self.calls[call].forgotten) {
            let event = event(owner(by));
            if matches!(event, Event::Candidate { .. }) {
                // A candidate sent twice is delivered twice; the order check would not understand.
                return self.event(call, event, Some(by));
            }
            self.last = Some((call, event.clone(), by, self.slots[by].id.clone()));
            self.event(call, event, Some(by));
        }
    }

    fn bring_in(&mut self, by: usize, whom: &UserId) {
        let Some(call) = self.engaged(&owner(by)).filter(|_| self.slots[by].session.is_some()) else { return };
        let standing = self.standing(whom);
        let free = matches!(standing, Standing::Free(_));
        if free {
            self.tracker.reserve(whom, call, None, self.now.tick);
        }
        self.event(call, Event::Invite { by: owner(by), user: whom.clone().into(), standing }, None);
        let live = &self.calls[&call].call;
        if free && !live.legs().iter().any(|leg| leg.user() == whom && !leg.state().is_over()) {
            self.tracker.release(whom, call, self.now.tick);
        }
        if live.is_group() {
            self.reserve_all(call);
        }
    }

    /// Reserves everybody who has a part in a call anew.
    fn reserve_all(&mut self, id: CallId) {
        let call = &self.calls[&id].call;
        for leg in call.legs().iter().filter(|leg| !leg.state().is_over()) {
            let other = call.legs().iter().find(|other| other.user() != leg.user()).map(|other| other.user().clone());
            self.tracker.reserve(leg.user(), id, other.filter(|_| !call.is_group()), self.now.tick);
            if call.phase() == Phase::Answered && leg.state().is_in() {
                self.tracker.in_call(leg.user(), id, self.now.tick);
            }
        }
    }

    fn wait(&mut self, seconds: u32) {
        let until = self.now.tick + Duration::from_secs(seconds.into());
        loop {
            let due = self.calls.iter().filter_map(|(id, live)| live.call.deadline().map(|at| (at, *id)));
            let Some((at, id)) = due.min().filter(|(at, _)| *at <= until) else { break };
            self.pass(at.max(self.now.tick));
            self.event(id, Event::Deadline, None);
        }
        self.pass(until);
    }

    fn pass(&mut self, to: Moment) {
        self.now = Now { wall: self.now.wall_at(to), tick: to };
        self.slots.iter().filter(|slot| slot.session.is_some()).for_each(|slot| slot.pulse.beat(to));
    }
}
