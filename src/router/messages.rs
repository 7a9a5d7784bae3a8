//! What the edges say to the router, and the seams through which the core reaches the edges.
//!
//! The router knows sockets and databases only as an [`Outlet`] and a [`Ledger`], so imports go one
//! way: the edges see these messages, the core sees no edge.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::call::Record;
use crate::clock::{Moment, Timestamp};
use crate::ids::{CallId, DeviceId, SessionId, UserId};
pub use crate::presence::{Pulse, Saying};
pub use crate::signal::Capabilities;
use crate::signal::{CallView, Command, Notice, Profile, Refusal};

/// Why a socket is closed by the core. The edge knows the code of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Eviction {
    /// The same device opened a new socket.
    Replaced,
    /// The user has as many devices as allowed.
    TooManyDevices,
    /// The service is going away; come back after a random wait.
    Draining,
    /// An administrator closed it.
    Killed,
}

/// Where a device's notices go: a socket, or the mailbox a polling client reads.
///
/// Called from the actors of calls; must not block.
pub trait Outlet: Send + Sync + 'static {
    /// Hands a notice over. `false` when the device can no longer take any: it is gone.
    fn deliver(&self, notice: &Notice) -> bool;

    /// More follows at once: what is delivered from here on may wait for it, until [`Outlet::let_go`].
    fn hold(&self) {}

    /// No more follows: what waited goes out together.
    fn let_go(&self) {}

    /// Whether a new call may be shown there. Not where the device stays for the call it is in alone.
    fn takes_calls(&self) -> bool {
        true
    }

    /// Opens or closes the direct way to the other device of a call. While it is open the edge may
    /// deliver candidates of that call itself, without a mailbox in between.
    fn set_route(&self, route: Option<Arc<Route>>);

    /// The service takes no new calls any more and will end the connection before long.
    fn draining(&self) {}

    /// Ends the connection.
    fn evict(&self, why: Eviction);
}

/// The direct way between the two connected devices of an answered call.
pub struct Route {
    /// The call this way belongs to.
    pub call: CallId,
    /// The participant at the other end.
    pub peer: UserId,
    /// The other end.
    pub outlet: Arc<dyn Outlet>,
}

/// What a device speaks and where it is, for those who run the service; of no consequence here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The name of its dialect.
    pub kind: &'static str,
    /// The other end of its connection, as far as that is known.
    pub address: Option<IpAddr>,
}

/// A socket is open and authenticated.
///
/// Answered with an error when it may not stay.
#[derive(actix::Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Connect {
    /// Whose it is.
    pub user: UserId,
    /// The user's name from the token.
    pub name: Option<String>,
    /// Which device.
    pub device: DeviceId,
    /// This socket.
    pub session: SessionId,
    /// What its dialect can do.
    pub capabilities: Capabilities,
    /// The profile its user shows there.
    pub profile: Option<Profile>,
    /// What it speaks, and from where.
    pub origin: Origin,
    /// Its proof of life, which the edge keeps beating.
    pub pulse: Arc<Pulse>,
    /// Where its notices go.
    pub outlet: Arc<dyn Outlet>,
}

/// A socket is gone.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// Whose it was.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
    /// Which socket: a successor with the same device id is not touched.
    pub session: SessionId,
    /// The moment of loss: when it closed, or its last proof of life if it fell silent.
    pub since: Moment,
    /// Whether the client closed it on purpose (1000, 1001): no linger before it shows offline.
    pub clean: bool,
}

/// A user set their status.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Say {
    /// Who.
    pub user: UserId,
    /// The user's name from the token.
    pub name: Option<String>,
    /// What. `Offline` takes the device by REST away until its next beat.
    pub saying: Saying,
}

/// A user's row in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRow {
    /// Who.
    pub user: UserId,
    /// Their name as last seen.
    pub name: Option<String>,
    /// The public status: `online`, `offline`, `in_call` or `busy`.
    pub status: String,
    /// Their last proof of life.
    pub last_seen: Timestamp,
    /// With whom, while in a 1:1 call.
    pub current_call_with: Option<UserId>,
}

/// A heartbeat that could not be taken without the router: the first of a device, or the first after
/// it was gone.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Beat {
    /// Whose.
    pub user: UserId,
    /// The user's name from the token.
    pub name: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The user the credentials name (or the one a service acts for).
    pub user: UserId,
    /// Their name from the token.
    pub name: Option<String>,
    /// The device it comes from; `None` where the dialect cannot tell, then it is found out by what
    /// the device does next.
    pub device: Option<DeviceId>,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The call as it stands after the command.
    Call(CallView),
    /// Passed on, or held until it can be.
    Relayed,
}

/// Where the answer to a command goes. Dropped unanswered, it answers that the service is away.
pub struct ReplyTo(Option<Then>);

type Then = Box<dyn FnOnce(Result<Reply, Refusal>) + Send>;

impl ReplyTo {
    /// Calls `then` with the answer.
    pub fn new(then: impl FnOnce(Result<Reply, Refusal>) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// A future for the answer.
    pub fn channel() -> (Self, oneshot::Receiver<Result<Reply, Refusal>>) {
        let (send, receive) = oneshot::channel();
        (Self::new(move |answer| drop(send.send(answer))), receive)
    }

    /// Answers.
    pub fn answer(mut self, answer: Result<Reply, Refusal>) {
        if let Some(then) = self.0.take() {
            then(answer);
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(Refusal::Unavailable("the service")));
        }
    }
}

/// A command of a peer.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Ask {
    /// Who asks.
    pub peer: Peer,
    /// What.
    pub command: Command,
    /// Where the answer goes.
    pub reply: ReplyTo,
}

/// The record could not be written in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritten;

/// Resolves when what was handed to the [`Ledger`] is committed, or will not be in time.
pub type Receipt = oneshot::Receiver<Result<(), Unwritten>>;

/// Where records are written. Ordered: what is handed over first is written first.
pub trait Ledger: Send + Sync + 'static {
    /// Opens the record of a new call. If the receipt says [`Unwritten`], the ledger sees to it that
    /// no row of this call remains.
    fn open(&self, record: Record) -> Receipt;

    /// Writes the next state of a call. If the receipt says [`Unwritten`], the ledger keeps it and
    /// writes it when the database is back.
    fn update(&self, record: Record) -> Receipt;

    /// Keeps users' rows up to date; the newest wins, and nobody waits for it.
    fn statuses(&self, rows: Vec<StatusRow>);

    /// Keeps whose profiles are, by their keys; the newest wins, and nobody waits for it.
    fn profiles(&self, owners: Vec<(UserId, UserId)>);
}

/// A token says that these profiles, by their keys, are other addresses of its user.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Learn {
    /// The user.
    pub user: UserId,
    /// The profiles.
    pub profiles: Vec<UserId>,
}

/// A number for a call that a client reports.
#[derive(actix::Message)]
#[rtype(result = "Result<CallId, Refusal>")]
pub struct TakeNumber;

/// No new calls from now on.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Drain;

/// How much goes on: the answer proves that the router turns.
#[derive(actix::Message)]
#[rtype(result = "Load")]
pub struct Measure;

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, actix::MessageResponse)]
pub struct Load {
    /// Calls that are not over, or whose end has not been told to everybody who is there.
    pub live_calls: usize,
    /// Users known at the moment.
    pub users: usize,
    /// Whether no new calls are taken.
    pub draining: bool,
}

/// Close every socket: the process is about to exit.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct CloseAll;

/// Write every user's row now.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Flush;
