//! What a socket's client says, before its session hears of it.
//!
//! Candidates go straight to the other device where that keeps their order, and nobody is woken for them: of a socket
//! in a call they are nearly all that comes. What is left is for the session.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use actix_http::ws::CloseReason;
use bytes::Bytes;

use super::close::Close;
use super::frames::Message;
use super::outlet::SocketOutlet;
use super::session::SocketBudget;
use super::wire::Input;
use crate::clock::{Clock, Moment};
use crate::dialect::{Inbound, Parsed};
use crate::router::messages::{Outlet, Pulse};

/// What a session hears.
pub enum Heard {
    /// A message, as its dialect reads it.
    Text(Box<Parsed>),
    /// A ping, to be answered.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// More than may be sent; when there may be the next.
    TooMuch(Duration),
    /// The client closes.
    Close(Option<CloseReason>),
    /// What must not be; why the socket is closed.
    Fault(Close),
    /// No more comes.
    End,
}

/// Listens to one client.
pub struct Ear {
    input: Input,
    outlet: Arc<SocketOutlet>,
    pulse: Arc<Pulse>,
    budget: SocketBudget,
    clock: Clock,
    /// The router knows of the socket: what its client says cannot overtake that.
    listening: bool,
    /// The client has said something: what it is told waits for that no more.
    begun: bool,
    /// What the session has not taken yet.
    heard: Option<Heard>,
    /// The device that gets candidates which were read together: they are written together.
    held: Option<Arc<dyn Outlet>>,
}

impl Ear {
    /// Hears nothing before [`Ear::listen`].
    pub fn new(
        input: Input,
        outlet: Arc<SocketOutlet>,
        pulse: Arc<Pulse>,
        budget: SocketBudget,
        clock: Clock,
    ) -> Rc<RefCell<Self>> {
        let (listening, begun, heard, held) = (false, false, None, None);
        Rc::new(RefCell::new(Self { input, outlet, pulse, budget, clock, listening, begun, heard, held }))
    }

    /// Begins.
    pub fn listen(&mut self) {
        self.listening = true;
    }

    /// What the session is to hear next.
    pub fn take(&mut self) -> Option<Heard> {
        self.heard.take()
    }

    /// Takes one message from the budget, or says when there is one.
    pub fn within_budget(&mut self, now: Moment) -> Result<(), Duration> {
        (self.budget)(now)
    }

    /// Ready when there is something to take.
    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.listening {
            return Poll::Pending;
        }
        loop {
            self.take_in();
            if let Some(device) = self.held.take() {
                device.let_go();
            }
            if self.heard.is_some() {
                return Poll::Ready(());
            }
            if !ready!(self.input.poll_more(cx)) {
                self.heard = Some(Heard::End);
            }
        }
    }

    /// Takes in what was read, up to what is for the session.
    fn take_in(&mut self) {
        while self.heard.is_none()
            && let Some(next) = self.input.take()
        {
            self.heard = match next {
                Ok(message) => self.message(message),
                Err(why) => Some(Heard::Fault(why)),
            };
        }
    }

    fn message(&mut self, message: Message) -> Option<Heard> {
        if self.outlet.outbox().is_closed() && !matches!(message, Message::Close(_)) {
            // Closing: only the client's answer to that matters.
            return None;
        }
        let now = self.clock.moment();
        self.pulse.beat(now);
        match message {
            Message::Text(text) => match self.within_budget(now) {
                Ok(()) => self.text(&text),
                Err(after) => Some(Heard::TooMuch(after)),
            },
            Message::Ping(content) => match self.within_budget(now) {
                Ok(()) => Some(Heard::Ping(content)),
                Err(after) => Some(Heard::TooMuch(after)),
            },
            // Its budget is the session's business, which knows whether it asked.
            Message::Pong => Some(Heard::Pong),
            Message::Close(reason) => Some(Heard::Close(reason)),
        }
    }

    fn text(&mut self, text: &str) -> Option<Heard> {
        let Parsed { reference, inbound } = self.outlet.dialect().parse(text);
        if !self.begun {
            self.begun = true;
            if !matches!(inbound, Ok(Inbound::Hello | Inbound::Resume { .. })) {
                self.outlet.settle();
            }
        }
        let inbound = match inbound {
            Ok(Inbound::Command(command)) => {
                match self.outlet.try_direct(command, self.input.has_more(), &mut self.held) {
                    Some(command) => Ok(Inbound::Command(command)),
                    None => {
                        self.outlet.acknowledge(reference.as_ref(), None);
                        return None;
                    }
                }
            }
            other => other,
        };
        Some(Heard::Text(Box::new(Parsed { reference, inbound })))
    }
}

/// A session and its ear, as one future: the session is woken by what concerns it, and not by every candidate.
pub struct Attended<F> {
    ear: Rc<RefCell<Ear>>,
    session: F,
    nudge: Option<Arc<Nudge>>,
}

/// Wakes the task of a socket for its session.
struct Nudge {
    due: AtomicBool,
    task: Waker,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.due.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F: Future<Output = ()> + Unpin> Attended<F> {
    /// The session takes what its ear heard whenever it is polled.
    pub fn new(ear: Rc<RefCell<Ear>>, session: F) -> Self {
        Self { ear, session, nudge: None }
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Attended<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { ear, session, nudge } = &mut *self;
        let nudge =
            nudge.get_or_insert_with(|| Arc::new(Nudge { due: AtomicBool::new(true), task: cx.waker().clone() }));
        let mut attend = || {
            let waker = Waker::from(Arc::clone(nudge));
            Pin::new(&mut *session).poll(&mut Context::from_waker(&waker))
        };
        if nudge.due.swap(false, Ordering::AcqRel) && attend().is_ready() {
            return Poll::Ready(());
        }
        loop {
            ready!(ear.borrow_mut().poll_heard(cx));
            if attend().is_ready() {
                return Poll::Ready(());
            }
            if ear.borrow().heard.is_some() {
                // It has to wait for something else first, and is woken for that.
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests;
