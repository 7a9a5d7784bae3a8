//! What a session sends on: commands to the router, candidates straight to the other device where that
//! keeps their order.

use std::sync::Arc;

use super::channels::Said;
use super::outlet::SocketOutlet;
use super::session::WsSession;
use crate::dialect::channels::Chat;
use crate::router::messages::{Ask, Outlet, Peer, Reply, ReplyTo, Route};
use crate::signal::{Command, Notice, Party, Payload, Refusal};

/// One message on the long way. It has arrived when it is answered, or when the answer can no longer come.
struct InFlight(Arc<SocketOutlet>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.arrived();
    }
}

impl WsSession {
    /// Asks the router.
    pub(super) fn command(&mut self, command: Command, reference: Option<Payload>) {
        let who = self.outlet.who();
        let peer = Peer { user: who.user.clone(), name: who.name.clone(), device: Some(who.device.clone()) };
        // Old clients know no `error`; where their hanging up came too late, the closing message told them.
        let closing = matches!(command, Command::HangUp { .. } | Command::Decline { .. }) && reference.is_none();
        self.outlet.sent_off();
        let in_flight = InFlight(self.outlet.clone());
        let reply = ReplyTo::new(move |answer| {
            let outlet = &in_flight.0;
            let late = |refusal: &Refusal| {
                closing
                    && matches!(
                        refusal,
                        Refusal::CallEnded(_)
                            | Refusal::NotFound(_)
                            | Refusal::OutOfTurn(_)
                            | Refusal::AnsweredElsewhere
                    )
            };
            match answer {
                Ok(Reply::Call(view)) => outlet.acknowledge(reference.as_ref(), Some(&view)),
                Ok(Reply::Relayed) => outlet.acknowledge(reference.as_ref(), None),
                Err(refusal) if late(&refusal) => {}
                Err(refusal) => outlet.refuse(&refusal, reference.as_ref()),
            }
        });
        self.router.ask.do_send(Ask { peer, command, reply });
    }

    /// Hands on what is for the others in the socket's conversation.
    pub(super) fn chat(&self, chat: Chat, reference: Option<Payload>) {
        match &self.router.chat {
            Some(hub) => hub.do_send(Said { socket: self.outlet.who().device.clone(), chat, reference }),
            None => self.outlet.refuse(&Refusal::UnknownType(chat.kind.as_str().to_owned()), reference.as_ref()),
        }
    }
}

impl SocketOutlet {
    /// Hands a candidate straight to the other device where that keeps the order; else gives it back. Where `more`
    /// follows, the device may be held, and is then put down as `held`.
    pub(super) fn try_direct(
        &self,
        command: Command,
        more: bool,
        held: &mut Option<Arc<dyn Outlet>>,
    ) -> Option<Command> {
        let Command::Candidate { to, payload, extra } = command else { return Some(command) };
        let give_back = |to, payload, extra| Some(Command::Candidate { to, payload, extra });
        if self.is_underway() {
            return give_back(to, payload, extra);
        }
        let fits = |route: &Route| {
            self.hears_of(Some(route.call))
                && to.call.is_none_or(|call| call == route.call)
                && to.user.as_ref().is_none_or(|user| *user == route.peer)
        };
        let route = self.route();
        let Some(route) = route.as_ref().filter(|route| fits(route)) else {
            return give_back(to, payload, extra);
        };
        let from = Party { user: self.who().user.clone(), profile: self.who().profile.clone() };
        let notice = Notice::Candidate { call: route.call, from, payload, extra };
        if more && held.is_none() {
            route.outlet.hold();
            *held = Some(Arc::clone(&route.outlet));
        }
        if route.outlet.deliver(&notice) {
            return None;
        }
        // The other device is gone; the router knows what that means.
        match notice {
            Notice::Candidate { payload, extra, .. } => give_back(to, payload, extra),
            _ => None,
        }
    }
}
