//! Devices that come and go, and the service itself.

use super::*;

impl World {
    pub(super) fn connect(&mut self, slot: usize) {
        if self.slots[slot].session.is_some() {
            return;
        }
        let who = owner(slot);
        if self.slots[slot].id.is_generated() {
            self.generated += 1;
            self.slots[slot].id = device(&format!("{who}g{}", self.generated)).unwrap();
        }
        let session = SessionId::next();
        let pulse = Pulse::at(self.now.tick);
        let capabilities = Capabilities { offer_in_invitation: slot % 3 != 2 };
        let reach = Reach { device: self.slots[slot].id.clone(), capabilities, profile: None };
        self.tracker.connect(&who, None, reach.clone(), session, Arc::clone(&pulse), self.now.tick).unwrap();
        let known = &mut self.slots[slot];
        (known.session, known.pulse, known.cut) = (Some(session), pulse, false);
        let owing = |live: &Live| !live.forgotten && live.call.owed_users().any(|owed| *owed == who);
        let mut calls: Vec<CallId> = self.calls.iter().filter(|(_, live)| owing(live)).map(|(id, _)| *id).collect();
        calls.extend(self.engaged(&who).filter(|call| !calls.contains(call)));
        for call in calls {
            self.event(call, Event::DeviceBack { user: who.clone(), reach: reach.clone() }, None);
        }
    }

    pub(super) fn disconnect(&mut self, slot: usize) {
        let Some(session) = self.slots[slot].session.take() else { return };
        let (who, id) = (owner(slot), self.slots[slot].id.clone());
        assert!(self.tracker.disconnect(&who, &id, session, false, self.now.tick));
        if let Some(call) = self.engaged(&who) {
            let since = self.now.tick;
            self.event(call, Event::DeviceLost { user: who, device: id, since }, None);
        }
    }

    pub(super) fn restart(&mut self) {
        self.now.tick = Moment(self.now.tick.0 % 1_000);
        self.tracker = Tracker::new(Patience::default());
        for slot in &mut self.slots {
            (slot.session, slot.cut) = (None, false);
        }
        for (id, live) in &mut self.calls {
            match live.stored.as_ref().and_then(|record| record.live.as_ref()) {
                Some(text) => live.call = Call::load(text, self.now).unwrap(),
                // What an ended call still owed is known to nobody now.
                None => {
                    live.forgotten = true;
                    live.call.apply(Event::Deadline, self.now, &self.rules).unwrap();
                    for slot in &mut self.slots {
                        slot.open.insert(*id, false);
                    }
                }
            }
        }
        let live: Vec<CallId> = self.calls.iter().filter(|(_, live)| !live.forgotten).map(|(id, _)| *id).collect();
        for id in live {
            self.reserve_all(id);
            self.event(id, Event::Restarted { seen: Vec::new() }, None);
        }
    }
}
