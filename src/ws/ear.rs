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
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use bytes::BytesMut;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::ids::{CallId, UserId};
    use crate::router::messages::Route;
    use crate::ws::sessions::Sessions;
    use crate::ws::sessions::tests::outlet;
    use crate::ws::upgrade::Raw;
    use crate::ws::wire::Wire;
    use crate::ws::{Connections, Limits};

    const CANDIDATE: &str = r#"{"type":"ice_candidate","candidate":{}}"#;
    const PING: &str = r#"{"type":"ping"}"#;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a session did, and what it is to do.
    #[derive(Default)]
    struct Session {
        polled: Cell<usize>,
        /// It takes nothing of what is heard.
        waits: Cell<bool>,
        over: Cell<bool>,
        waker: RefCell<Option<Waker>>,
    }

    /// A socket in a call, whose client has said something already.
    struct Scene {
        ear: Rc<RefCell<Ear>>,
        session: Rc<Session>,
        task: Arc<Woken>,
        attended: Attended<Pin<Box<dyn Future<Output = ()>>>>,
        /// The other device of the call, to which nothing can be written yet.
        other: Arc<SocketOutlet>,
        _connection: (TcpStream, Wire),
    }

    /// A client's end of a connection, and the server's.
    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    fn masked(text: &str) -> Vec<u8> {
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        frame
    }

    impl Scene {
        async fn where_client_said(texts: &[&str]) -> Self {
            let clock = Clock::new();
            let sessions = Sessions::new(clock, Arc::default(), Arc::default());
            let (own, other) = (outlet(&sessions, "laptop"), outlet(&sessions, "phone"));
            let (call, peer) = (CallId::new(1).unwrap(), UserId::parse("1").unwrap());
            own.set_route(Some(Arc::new(Route { call, peer, outlet: other.clone() })));
            let (client, stream) = connected().await;
            let read = BytesMut::from(&texts.iter().flat_map(|text| masked(text)).collect::<Vec<_>>()[..]);
            let limits = Limits::default();
            let lease = Arc::new(Connections::default()).take(client.local_addr().unwrap().ip(), &limits).unwrap();
            let (input, wire) = Wire::open(Raw { stream, read, answer: BytesMut::new() }, lease, &limits);
            let ear = Ear::new(input, own, Pulse::at(clock.moment()), Box::new(|_| Ok(())), clock);
            let session = Rc::new(Session::default());
            let future = {
                let (ear, session) = (ear.clone(), session.clone());
                poll_fn(move |cx| {
                    session.polled.update(|polled| polled + 1);
                    session.waker.replace(Some(cx.waker().clone()));
                    while !session.waits.get() && ear.borrow_mut().take().is_some() {}
                    if session.over.get() { Poll::Ready(()) } else { Poll::Pending }
                })
            };
            let attended = Attended::new(ear.clone(), Box::pin(future) as Pin<Box<dyn Future<Output = ()>>>);
            Self { ear, session, task: Arc::default(), attended, other, _connection: (client, wire) }
        }

        fn poll(&mut self) -> Poll<()> {
            let waker = Waker::from(self.task.clone());
            Pin::new(&mut self.attended).poll(&mut Context::from_waker(&waker))
        }

        fn nudge(&self) {
            self.session.waker.borrow().as_ref().unwrap().wake_by_ref();
        }

        /// How often the session was polled, and how many candidates reached the other device.
        fn seen(&self) -> (usize, usize) {
            (self.session.polled.get(), self.other.outbox().waiting().0)
        }
    }

    #[actix_web::test]
    async fn a_client_is_not_heard_before_its_session_listens() {
        let mut scene = Scene::where_client_said(&[CANDIDATE]).await;
        assert!(scene.poll().is_pending());
        assert_eq!(scene.seen(), (1, 0));
        scene.ear.borrow_mut().listen();
        assert!(scene.poll().is_pending());
        assert_eq!(scene.seen(), (1, 1));
    }

    #[actix_web::test]
    async fn a_session_is_polled_for_what_it_is_to_hear_and_not_for_candidates() {
        let mut scene = Scene::where_client_said(&[CANDIDATE, CANDIDATE, PING, CANDIDATE, PING, CANDIDATE]).await;
        scene.ear.borrow_mut().listen();
        assert!(scene.poll().is_pending());
        assert_eq!(scene.seen(), (3, 4), "at first, and for each ping");
        assert!(scene.poll().is_pending());
        assert_eq!(scene.seen(), (3, 4));
    }

    #[actix_web::test]
    async fn what_a_session_does_not_take_yet_waits_with_everything_behind_it() {
        let mut scene = Scene::where_client_said(&[CANDIDATE, PING, CANDIDATE]).await;
        scene.ear.borrow_mut().listen();
        scene.session.waits.set(true);
        assert!(scene.poll().is_pending());
        assert_eq!(scene.seen(), (2, 1));
        scene.session.waits.set(false);
        scene.nudge();
        assert!(scene.poll().is_pending());
        assert_eq!(scene.seen(), (3, 2));
    }

    #[actix_web::test]
    async fn who_wakes_a_session_wakes_the_task_and_is_heard_once() {
        let mut scene = Scene::where_client_said(&[]).await;
        scene.ear.borrow_mut().listen();
        assert!(scene.poll().is_pending());
        scene.nudge();
        scene.nudge();
        assert_eq!(scene.task.0.load(Ordering::Relaxed), 2);
        for _ in 0..2 {
            assert!(scene.poll().is_pending());
            assert_eq!(scene.seen(), (2, 0));
        }
        scene.session.over.set(true);
        scene.nudge();
        assert!(scene.poll().is_ready());
    }

    #[actix_web::test]
    async fn candidates_that_were_read_together_are_held_no_longer_than_it_takes_to_hear_them() {
        for said in [&[CANDIDATE; 3][..], &[CANDIDATE, CANDIDATE, PING], &[CANDIDATE, PING, CANDIDATE]] {
            let mut scene = Scene::where_client_said(said).await;
            let (mut client, server) = connected().await;
            let outbox = scene.other.outbox().clone();
            outbox.open(server.into_split().1, b"");
            scene.ear.borrow_mut().listen();
            assert!(scene.poll().is_pending());
            assert_eq!(outbox.waiting(), (0, 0));
            drop(outbox.release());
            let mut seen = Vec::new();
            client.read_to_end(&mut seen).await.unwrap();
            let candidates = said.iter().filter(|text| **text == CANDIDATE).count();
            assert_eq!(String::from_utf8_lossy(&seen).matches("ice_candidate").count(), candidates);
        }
    }
}
