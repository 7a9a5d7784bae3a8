//! Devices that come, go, fall silent, and what users say about themselves.

use std::sync::Arc;

use actix::prelude::*;

use crate::call::{Event, Reach};
use crate::ids::{DeviceId, UserId};
use crate::presence::Lost;
use crate::signal::{Capabilities, Refusal};

use super::CallRouter;
use super::admin::Part;
use super::directory::Handle;
use super::messages::{Beat, Connect, Disconnect, Eviction, Origin, Outlet, Say, Saying};

impl CallRouter {
    /// Looks for users who fell silent.
    pub(super) fn sweep(&mut self) {
        let now = self.moment();
        for lost in self.tracker.sweep(now) {
            self.device_lost(&lost);
        }
        self.publish();
    }

    fn device_lost(&self, lost: &Lost) {
        self.around.directory.remove(&lost.user, &lost.device);
        self.around.directory.stir(Part::Users);
        self.tell_calls(&lost.user, || Event::DeviceLost {
            user: lost.user.clone(),
            device: lost.device.clone(),
            since: lost.since,
        });
    }

    /// A proof of life by REST: the user's `http` device is there.
    pub(super) fn beat(&mut self, user: &UserId, name: Option<String>) {
        let now = self.moment();
        if let Some(name) = &name {
            self.around.directory.name(user, name);
        }
        let (pulse, new) = self.tracker.beat(user, name, now);
        if new {
            let device = DeviceId::http();
            let outlet: Arc<dyn Outlet> = self.mailboxes.of(user);
            let origin = Origin { kind: "http", address: None };
            let handle = Handle { device: device.clone(), session: None, pulse, origin, since: now, outlet };
            self.around.directory.insert(user, handle);
            self.around.directory.stir(Part::Users);
            self.device_back(user, &Reach { device, capabilities: Capabilities::default(), profile: None });
            self.publish();
        }
    }

    fn device_back(&self, user: &UserId, reach: &Reach) {
        self.tell_calls(user, || Event::DeviceBack { user: user.clone(), reach: reach.clone() });
    }
}

impl Handler<Connect> for CallRouter {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, message: Connect, _: &mut Self::Context) -> Self::Result {
        let now = self.moment();
        let Connect { user, name, device, session, capabilities, profile, origin, pulse, outlet } = message;
        // A live call is let end in peace, so whoever is in one may come back to it.
        if self.closed || (self.draining && self.tracker.engaged(&user).is_none()) {
            return Err(Refusal::Draining);
        }
        let reach = Reach { device: device.clone(), capabilities, profile };
        self.tracker.connect(&user, name.clone(), reach.clone(), session, Arc::clone(&pulse), now)?;
        if let Some(name) = &name {
            self.around.directory.name(&user, name);
        }
        let handle = Handle { device, session: Some(session), pulse, origin, since: now, outlet };
        if let Some(replaced) = self.around.directory.insert(&user, handle) {
            // To its calls the device never went: the new socket takes over where the old one was.
            replaced.outlet.evict(Eviction::Replaced);
        }
        self.around.directory.stir(Part::Users);
        self.device_back(&user, &reach);
        self.publish();
        Ok(())
    }
}

impl Handler<Disconnect> for CallRouter {
    type Result = ();

    fn handle(&mut self, message: Disconnect, _: &mut Self::Context) {
        let now = self.moment();
        let Disconnect { user, device, session, since, clean } = message;
        if self.tracker.disconnect(&user, &device, session, clean, now) {
            self.device_lost(&Lost { user, device, since });
            self.publish();
        }
    }
}

impl Handler<Beat> for CallRouter {
    type Result = ();

    fn handle(&mut self, Beat { user, name }: Beat, _: &mut Self::Context) {
        self.beat(&user, name);
    }
}

impl Handler<Say> for CallRouter {
    type Result = ();

    fn handle(&mut self, Say { user, name, saying }: Say, _: &mut Self::Context) {
        let now = self.moment();
        if saying != Saying::Offline {
            self.beat(&user, name);
        }
        if let Some(lost) = self.tracker.say(&user, saying, now) {
            self.device_lost(&lost);
        }
        self.publish();
    }
}
