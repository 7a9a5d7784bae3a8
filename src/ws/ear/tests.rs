use std::cell::Cell;
use std::future::poll_fn;
use std::sync::atomic::AtomicUsize;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ids::{CallId, UserId};
use crate::net::Connections;
use crate::router::messages::Route;
use crate::ws::Limits;
use crate::ws::sessions::Sessions;
use crate::ws::sessions::tests::outlet;
use crate::ws::upgrade::Raw;
use crate::ws::wire::Wire;

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
        let lease = Arc::new(Connections::new(1, 1)).take(None).unwrap();
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
