//! The hub: which sockets are one device, and which are in a conversation together.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;

use super::Place;
use super::bundle::Bundle;
use crate::dialect::channels::{self, Chat};
use crate::ids::{ConversationId, DeviceId, UserId};
use crate::router::Stay;
use crate::router::messages::{Ask, Connect, Disconnect, Outlet, Peer, Pulse, ReplyTo};
use crate::signal::{Command, Payload, Refusal};
use crate::ws::outlet::{RouterPort, SocketOutlet};

/// The most sockets of one device: a few pages of a few sockets each.
const MAX_SOCKETS: usize = 32;

/// A socket of this dialect is about to connect.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Enter {
    /// The socket. The device it names is the socket's own.
    pub outlet: Arc<SocketOutlet>,
    /// The device it is a part of.
    pub device: DeviceId,
    /// What it is for.
    pub place: Place,
}

/// Something was said on a socket, for the others in its conversation.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Said {
    /// On which socket.
    pub socket: DeviceId,
    /// What.
    pub chat: Chat,
    /// The name its sender gave it.
    pub reference: Option<Payload>,
}

type BundleKey = (UserId, DeviceId);

/// Stands between the sessions of this dialect and the router, and looks like the router to them.
pub struct ChannelsHub {
    router: Arc<RouterPort>,
    /// By the id each socket goes by here.
    sockets: HashMap<DeviceId, Enter>,
    bundles: HashMap<BundleKey, Arc<Bundle>>,
    conversations: HashMap<ConversationId, Vec<Arc<SocketOutlet>>>,
}

impl ChannelsHub {
    /// A hub in front of the router.
    pub fn new(router: Arc<RouterPort>) -> Self {
        Self { router, sockets: HashMap::new(), bundles: HashMap::new(), conversations: HashMap::new() }
    }

    /// The other sockets in the conversation of this one.
    fn others<'a>(
        &'a self,
        socket: &'a DeviceId,
        conversation: &ConversationId,
    ) -> impl Iterator<Item = &'a Arc<SocketOutlet>> + use<'a> {
        let sockets = self.conversations.get(conversation).into_iter().flatten();
        sockets.filter(move |other| other.who().device != *socket)
    }

    /// Adds a socket to its bundle, and says how the router is to know the bundle from now on.
    fn bundle(&mut self, connect: &Connect) -> Result<Connect, Refusal> {
        let socket = self.sockets.get(&connect.device).ok_or(Refusal::NotFound("socket"))?;
        let key = (connect.user.clone(), socket.device.clone());
        let bundle = self.bundles.entry(key).or_insert_with_key(|(user, device)| {
            Bundle::new(user.clone(), device.clone(), Pulse::at(connect.pulse.last()))
        });
        if bundle.len() >= MAX_SOCKETS {
            return Err(Refusal::Forbidden(format!("a device may have at most {MAX_SOCKETS} sockets")));
        }
        connect.pulse.feed(Arc::clone(&bundle.pulse));
        socket.outlet.say(channels::ack());
        bundle.add(Arc::clone(&socket.outlet), socket.place.clone());
        if let Place::Chat(conversation) = &socket.place {
            self.conversations.entry(conversation.clone()).or_default().push(Arc::clone(&socket.outlet));
        }
        Ok(Connect {
            user: bundle.user.clone(),
            name: connect.name.clone(),
            device: bundle.device.clone(),
            profile: connect.profile.clone(),
            origin: connect.origin,
            session: bundle.session,
            capabilities: connect.capabilities,
            pulse: Arc::clone(&bundle.pulse),
            outlet: Arc::clone(bundle) as Arc<dyn Outlet>,
        })
    }

    /// Names whom a message is for where the page, which never does, can mean only one.
    fn address(&self, ask: &mut Ask) {
        let Some(device) = ask.peer.device.clone() else { return };
        let (Command::Describe { to, .. } | Command::Accept { to, .. } | Command::Candidate { to, .. }) =
            &mut ask.command
        else {
            return;
        };
        if let (Some(call), None) = (to.call, &to.user)
            && let Some(bundle) = self.bundles.get(&(ask.peer.user.clone(), device))
        {
            to.user = bundle.peer_in(call);
        }
    }

    /// What the sender's other sockets in the conversation are to see once it was passed on, and their way.
    fn copy(&self, socket: &DeviceId, ask: &mut Ask) -> Option<(String, Vec<Arc<SocketOutlet>>)> {
        let conversation = match &self.sockets.get(socket)?.place {
            Place::Chat(conversation) => Some(conversation),
            Place::Notifications => None,
        };
        let Peer { user, name, .. } = &ask.peer;
        let frame = channels::own_copy(&mut ask.command, user, name.as_deref(), conversation)?;
        let own = self.others(socket, conversation?);
        let own = own.filter(|other| other.who().user == *user && other.hears_of(ask.command.call()));
        Some((frame, own.map(Arc::clone).collect()))
    }
}

impl Actor for ChannelsHub {
    type Context = Context<Self>;
}

impl Handler<Enter> for ChannelsHub {
    type Result = ();
    fn handle(&mut self, socket: Enter, _: &mut Self::Context) {
        self.sockets.insert(socket.outlet.who().device.clone(), socket);
    }
}

impl Handler<Connect> for ChannelsHub {
    type Result = ResponseFuture<Result<(), Refusal>>;

    fn handle(&mut self, connect: Connect, _: &mut Self::Context) -> Self::Result {
        // Every further socket connects the device again: if a call rings, the core shows it again.
        let asked = self.bundle(&connect).map(|connect| self.router.connect.send(connect));
        Box::pin(async move { asked?.await.unwrap_or(Err(Refusal::Unavailable("the router"))) })
    }
}

impl Handler<Disconnect> for ChannelsHub {
    type Result = ();

    fn handle(&mut self, gone: Disconnect, _: &mut Self::Context) {
        let Some(socket) = self.sockets.remove(&gone.device) else { return };
        if let Place::Chat(conversation) = &socket.place
            && let Some(sockets) = self.conversations.get_mut(conversation)
        {
            sockets.retain(|other| other.who().device != gone.device);
            if sockets.is_empty() {
                self.conversations.remove(conversation);
            }
        }
        let key = (gone.user.clone(), socket.device);
        if let Some(device_gone) = self.bundles.get(&key).and_then(|bundle| bundle.remove(&gone)) {
            self.bundles.remove(&key);
            self.router.disconnect.do_send(device_gone);
        }
    }
}

impl Handler<Ask> for ChannelsHub {
    type Result = ();

    fn handle(&mut self, mut ask: Ask, _: &mut Self::Context) {
        let socket = ask.peer.device.take();
        if let Some(socket) = socket {
            ask.peer.device = self.sockets.get(&socket).map(|socket| socket.device.clone());
            self.address(&mut ask);
            if let Some((frame, own)) = self.copy(&socket, &mut ask) {
                let Ask { peer, command, reply } = ask;
                let reply = ReplyTo::new(move |answer| {
                    if answer.is_ok() {
                        for other in own {
                            other.say(frame.clone());
                        }
                    }
                    reply.answer(answer);
                });
                return self.router.ask.do_send(Ask { peer, command, reply });
            }
        }
        self.router.ask.do_send(ask);
    }
}

impl Handler<Stay> for ChannelsHub {
    type Result = ();

    fn handle(&mut self, mut stay: Stay, _: &mut Self::Context) {
        let socket = stay.device.as_ref().and_then(|socket| self.sockets.get(socket));
        // A socket that is gone does not wait for the answer.
        let Some(socket) = socket else { return };
        stay.device = Some(socket.device.clone());
        self.router.stay.do_send(stay);
    }
}

impl Handler<Said> for ChannelsHub {
    type Result = ();

    fn handle(&mut self, Said { socket, chat, reference }: Said, _: &mut Self::Context) {
        let Some(Enter { outlet, place, .. }) = self.sockets.get(&socket) else { return };
        let Place::Chat(conversation) = place else {
            let why = Refusal::OutOfTurn("messages belong on the socket of their conversation");
            return outlet.refuse(&why, reference.as_ref());
        };
        let who = outlet.who();
        let frame = channels::said(&chat, &who.user, who.name.as_deref(), conversation);
        for other in self.others(&socket, conversation).filter(|other| !other.is_confined()) {
            other.say(frame.clone());
        }
    }
}
