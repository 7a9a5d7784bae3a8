//! What the router and a call say to each other.

use std::sync::Arc;

use actix::prelude::*;

use crate::call::{CallDetail, Event, Standing};
use crate::ids::{CallId, UserId};
use crate::signal::{CallView, Party};

use super::super::messages::{Ask, ReplyTo};
use super::super::overview::Overview;

/// An event for the call.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct Happen {
    pub event: Event,
    pub reply: Option<(ReplyTo, Wanted)>,
}

/// Which kind of answer an asker gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Wanted {
    /// The call as it stands.
    View,
    /// That it was passed on.
    Relayed,
}

/// An invitation of somebody engaged in this call: it is decided here, after everything the user did
/// before.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct Reconsider(pub Ask, pub Vec<CallId>);

/// An invitation of somebody else to a participant: handed back once all that came before is decided.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct HandBack(pub Ask, pub Vec<CallId>);

/// A participant names others for this call. Who is free was reserved for it by the router; who is not
/// among `invitees` is engaged in this call already, as far as the router knows.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct BringIn {
    pub ask: Ask,
    pub consulted: Vec<CallId>,
    pub invitees: Vec<(Party, Standing)>,
}

/// How does it stand? Answered after everything before it is written.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct Query(pub ReplyTo);

/// How does it look to a device? Answered after everything before it is written.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct Show(pub Overview);

/// What the router must know of a call's progress, in this order: what one turn of the call led to.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct Progressed(pub CallId, pub Vec<Progress>);

/// A step of it.
pub(in crate::router) enum Progress {
    /// A participant takes part in the answered call.
    InCall(UserId),
    /// A participant's call is one of several from now on.
    InGroup(UserId),
    /// A participant is free.
    Released(UserId),
    /// How the call stands, now that this is written and everybody who is there was told.
    Stands(Arc<CallDetail>),
    /// One more of its callees has a missed call to see.
    Missed,
    /// The call is over and everybody who is there was told; and who ended it.
    Ended(CallView, Option<UserId>),
    /// The call is over, and these users have a device that is owed a closing message.
    Owing(Vec<UserId>),
    /// The call owes nobody anything any more and asks to be dismissed.
    Gone,
}

/// The router forwards nothing more: the actor may stop.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct Dismiss;

/// Comes back to the router after the calls named were consulted.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::router) struct Consulted(pub Ask, pub Vec<CallId>);
