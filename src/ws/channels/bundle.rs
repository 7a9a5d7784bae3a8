//! The sockets of one page as one device: what is told to it goes to those it is for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Place;
use crate::clock::{Moment, Timestamp};
use crate::ids::{CallId, ConversationId, DeviceId, SessionId, UserId};
use crate::router::messages::{Disconnect, Eviction, Outlet, Pulse, Route};
use crate::signal::{DescriptionKind, Notice, Payload};
use crate::ws::outlet::SocketOutlet;

/// One socket of a bundle.
struct Member {
    outlet: Arc<SocketOutlet>,
    place: Place,
    /// Whether it was shown the invitation of the last ring. The core shows it to the device again when a
    /// socket is added; each socket sees it once.
    invited: bool,
    /// The offer it was last shown, for the same reason.
    offered: Option<(CallId, Payload)>,
}

impl Member {
    fn deliver(&mut self, notice: &Notice) -> bool {
        let shown = match notice {
            Notice::Incoming(_) => std::mem::replace(&mut self.invited, true),
            Notice::Description { about, kind: DescriptionKind::Offer, payload, .. } => {
                let offer = (about.call, payload.clone());
                let shown = self.offered.as_ref() == Some(&offer);
                self.offered = Some(offer);
                shown
            }
            _ => false,
        };
        shown || self.outlet.deliver(notice)
    }
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    /// The last ring: the call, and until when it rings.
    ring: Option<(CallId, Timestamp)>,
    /// The call last told of and its conversation, for messages that do not name it.
    about: Option<(CallId, Option<ConversationId>)>,
    /// Who last rang or described themselves in which call: whom the page means, as it names nobody.
    peer: Option<(CallId, UserId)>,
    /// When the last of the sockets that are gone was lost.
    since: Option<Moment>,
    /// Whether one of them went without saying so.
    unclean: bool,
}

impl State {
    /// A ring is shown: a new one to everybody.
    fn rings(&mut self, call: CallId, until: Timestamp) {
        if self.ring.replace((call, until)) != Some((call, until)) {
            for member in &mut self.members {
                member.invited = false;
                member.offered = None;
            }
        }
    }
}

/// A device made of sockets. Towards the router it is one connection, which lasts as long as one of them.
pub(super) struct Bundle {
    pub user: UserId,
    pub device: DeviceId,
    pub session: SessionId,
    pub pulse: Arc<Pulse>,
    state: Mutex<State>,
}

impl Bundle {
    pub fn new(user: UserId, device: DeviceId, pulse: Arc<Pulse>) -> Arc<Self> {
        Arc::new(Self { user, device, session: SessionId::next(), pulse, state: Mutex::default() })
    }

    /// Nothing here panics with the lock held; a poisoned one would be as good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sockets it has.
    pub fn len(&self) -> usize {
        self.state().members.len()
    }

    /// Whom what the page sends about a call is for, as far as that is known here. In a call of two that is the
    /// other one; in a group it is the member the page negotiates with.
    pub fn peer_in(&self, call: CallId) -> Option<UserId> {
        self.state().peer.as_ref().filter(|(known, _)| *known == call).map(|(_, peer)| peer.clone())
    }

    /// Adds a socket.
    pub fn add(&self, outlet: Arc<SocketOutlet>, place: Place) {
        let mut state = self.state();
        state.unclean = false;
        state.members.push(Member { outlet, place, invited: false, offered: None });
    }

    /// Removes a socket; when it was the last, what the router is to be told.
    pub fn remove(&self, socket: &Disconnect) -> Option<Disconnect> {
        let mut state = self.state();
        let at = state.members.iter().position(|member| member.outlet.who().device == socket.device)?;
        state.members.remove(at);
        state.unclean |= !socket.clean;
        state.since = state.since.max(Some(socket.since));
        state.members.is_empty().then(|| Disconnect {
            user: self.user.clone(),
            device: self.device.clone(),
            session: self.session,
            since: state.since.unwrap_or(socket.since),
            clean: !state.unclean,
        })
    }
}

/// Whether a notice is for a socket of this kind.
fn is_for(notice: &Notice, place: &Place, conversation: Option<&ConversationId>) -> bool {
    match (notice, place) {
        (_, Place::Notifications) => true,
        (Notice::Description { .. } | Notice::Candidate { .. }, Place::Chat(chat)) => Some(chat) == conversation,
        (_, Place::Chat(_)) => false,
    }
}

impl Outlet for Bundle {
    fn deliver(&self, notice: &Notice) -> bool {
        let mut state = self.state();
        let call = match notice {
            Notice::Incoming(incoming) => {
                state.rings(incoming.about.call, incoming.rings_until);
                state.about = Some((incoming.about.call, incoming.about.conversation.clone()));
                state.peer = Some((incoming.about.call, incoming.about.caller.user.clone()));
                Some(incoming.about.call)
            }
            Notice::Description { about, from, .. } => {
                state.about = Some((about.call, about.conversation.clone()));
                state.peer = Some((about.call, from.user.clone()));
                Some(about.call)
            }
            Notice::Candidate { call, .. } => Some(*call),
            _ => None,
        };
        let State { members, about, .. } = &mut *state;
        let about = about.as_ref().filter(|(known, _)| Some(*known) == call);
        let conversation = about.and_then(|(_, conversation)| conversation.as_ref());
        let wanted = |member: &Member| is_for(notice, &member.place, conversation);
        let open = |member: &&mut Member| !member.outlet.outbox().is_closed() && member.outlet.hears(notice);
        // A page that has none of the sockets a notice is for learns it on those it has.
        let everywhere = !members.iter_mut().filter(open).any(|member| wanted(member));
        let mut taken = false;
        for member in members.iter_mut().filter(open).filter(|member| everywhere || wanted(member)) {
            taken |= member.deliver(notice);
        }
        taken
    }

    fn takes_calls(&self) -> bool {
        self.state().members.iter().any(|member| member.outlet.takes_calls())
    }

    /// Not used from here: of several sockets none knows what the others have under way, so what a page
    /// sends goes the long way and keeps its order. The other side may use its own.
    fn set_route(&self, _: Option<Arc<Route>>) {}

    fn evict(&self, why: Eviction) {
        match why {
            // By this bundle itself, with one more socket.
            Eviction::Replaced => {}
            Eviction::TooManyDevices | Eviction::Draining | Eviction::Killed => {
                for member in &self.state().members {
                    member.outlet.evict(why);
                }
            }
        }
    }
}
