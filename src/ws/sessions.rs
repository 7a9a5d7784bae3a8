//! Sessions of sockets that said `hello`: what they were sent last, so that a client that lost its
//! connection goes on where it broke off.
//!
//! A session outlives its socket. While the socket is open it keeps the last messages; when the socket is
//! gone it is parked for a while, within bounds, and a new socket of the same device can take it over.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use tokio::sync::Notify;
use uuid::Uuid;

use super::following::Following;
use super::log::Log;
use super::outlet::SocketOutlet;
use super::resumable::{PARKED_FOR, Session};
use super::watch::Watchers;
use crate::clock::Clock;
use crate::ids::{DeviceId, SessionId, UserId};
use crate::router::{Directory, Visibility};

/// How many sessions may be parked, and how many bytes they may keep together.
const MAX_PARKED: usize = 20_000;
const MAX_PARKED_BYTES: usize = 64 * 1024 * 1024;

/// A panic elsewhere cannot leave these half changed, so a poisoned lock is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What watchers are to be told of.
#[derive(Default)]
pub(super) struct News {
    /// Watched users who look different.
    pub users: HashSet<UserId>,
    /// Sessions that have a socket again, with something that waits for them.
    pub back: Vec<Arc<Session>>,
}

/// All sessions, and who watches whom.
pub struct Sessions {
    pub(super) clock: Clock,
    pub(super) directory: Arc<Directory>,
    pub(super) visibility: Arc<Visibility>,
    by_id: DashMap<Uuid, Arc<Session>>,
    by_device: DashMap<(UserId, DeviceId), Arc<Session>>,
    /// Parked ones, longest first, with the bytes they kept then.
    parked: Mutex<(VecDeque<(Uuid, usize)>, usize)>,
    /// By whom a user is watched.
    pub(super) watched: DashMap<UserId, Watchers>,
    pub(super) news: Mutex<News>,
    /// There is some.
    pub(super) bell: Notify,
    /// Who is told of whatever changes.
    pub(super) following: Following,
}

impl Sessions {
    /// None yet.
    pub fn new(clock: Clock, directory: Arc<Directory>, visibility: Arc<Visibility>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            directory,
            visibility,
            by_id: DashMap::new(),
            by_device: DashMap::new(),
            parked: Mutex::default(),
            watched: DashMap::new(),
            news: Mutex::default(),
            bell: Notify::new(),
            following: Following::default(),
        })
    }

    /// Notes which conversations a user's token names.
    pub fn learn(&self, user: &UserId, conversations: Option<&[String]>) {
        self.visibility.learn(user, conversations);
    }

    /// The rule of who sees whom.
    pub fn visibility(&self) -> Arc<Visibility> {
        Arc::clone(&self.visibility)
    }

    /// How many sessions there are, parked ones included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The session a device had, or still has on a socket that is about to be replaced.
    pub fn of_device(&self, user: &UserId, device: &DeviceId) -> Option<Arc<Session>> {
        let session = Arc::clone(&*self.by_device.get(&(user.clone(), device.clone()))?);
        let now = self.clock.moment();
        let fresh = session.state().log.parked().is_none_or(|at| now - at <= PARKED_FOR);
        fresh.then_some(session)
    }

    /// A new session for a socket; what its device had before is over.
    pub fn create(&self, outlet: &Arc<SocketOutlet>) -> Arc<Session> {
        let who = outlet.who();
        let session = Arc::new(Session::new(outlet));
        self.by_id.insert(session.id, Arc::clone(&session));
        let key = (who.user.clone(), who.device.clone());
        let before = self.by_device.insert(key, Arc::clone(&session));
        if let Some(before) = before {
            self.remove(&before);
        }
        session
    }

    /// Gives a session to a socket of its client, with everything after `seq`.
    pub fn resume(&self, name: &str, seq: u64, outlet: &Arc<SocketOutlet>) -> Option<(Arc<Session>, Vec<String>)> {
        let id = Uuid::try_parse(name).ok()?;
        let session = Arc::clone(&*self.by_id.get(&id)?);
        let missed = session.take_over(outlet, seq, self.clock.moment())?;
        Some((session, missed))
    }

    /// A socket of a session was told what comes first, and is told everything else from here on.
    pub fn open(&self, session: &Arc<Session>, outlet: &SocketOutlet) {
        session.state().log.open(outlet);
        self.nudge(session);
        self.following.nudge();
    }

    /// The socket of a session is gone.
    pub fn park(&self, session: &Session, by: SessionId) {
        let bytes = {
            let log = &mut session.state().log;
            if !log.is_owned_by(by) || log.parked().is_some() {
                return;
            }
            log.park(self.clock.moment());
            log.bytes()
        };
        let mut surplus = Vec::new();
        {
            let mut parked = lock(&self.parked);
            parked.0.push_back((session.id, bytes));
            parked.1 += bytes;
            while parked.0.len() > MAX_PARKED || parked.1 > MAX_PARKED_BYTES {
                let Some((id, bytes)) = parked.0.pop_front() else { break };
                parked.1 -= bytes;
                surplus.push(id);
            }
        }
        for id in surplus {
            self.remove_if(id, |log| log.parked().is_some());
        }
    }

    /// Tells a session whenever something changed anywhere, until it is let go of, which may be at this moment.
    pub fn follow(&self, session: &Arc<Session>) {
        self.following.add(session);
        if !self.by_id.contains_key(&session.id) {
            self.following.remove(session);
        }
    }

    /// The token of a session's client has expired: it watches nobody and follows nothing any more.
    pub(super) fn lapse(&self, session: &Arc<Session>) {
        session.state().lapsed = true;
        self.unwatch(session, &[]);
        self.following.remove(session);
    }

    /// Lets go of a session for good.
    pub fn remove(&self, session: &Arc<Session>) {
        self.by_id.remove(&session.id);
        let device = (session.viewer.user.clone(), session.device.clone());
        self.by_device.remove_if(&device, |_, s| Arc::ptr_eq(s, session));
        self.unwatch(session, &[]);
        self.following.remove(session);
    }

    fn remove_if(&self, id: Uuid, unwanted: impl Fn(&Log) -> bool) {
        let session = self.by_id.get(&id).map(|session| Arc::clone(&session));
        if let Some(session) = session.filter(|session| unwanted(&session.state().log)) {
            self.remove(&session);
        }
    }

    /// Lets go of what nobody came back for.
    pub(super) fn tidy(&self) {
        let now = self.clock.moment();
        let over = |log: &Log| log.parked().is_some_and(|at| now - at > PARKED_FOR);
        let mut gone = Vec::new();
        for session in &self.by_id {
            let log = &mut session.state().log;
            log.tidy(now);
            if over(log) {
                gone.push(session.id);
            }
        }
        for id in gone {
            self.remove_if(id, over);
        }
        let by_id = &self.by_id;
        let mut parked = lock(&self.parked);
        let still = |id: &Uuid| by_id.get(id).is_some_and(|session| session.state().log.parked().is_some());
        parked.0.retain(|(id, _)| still(id));
        parked.1 = parked.0.iter().map(|(_, bytes)| bytes).sum();
        drop(parked);
        let directory = &self.directory;
        self.visibility.forget(|user| directory.knows(user));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use actix::prelude::*;

    use super::*;
    use crate::clock::Moment;
    use crate::dialect::users::Users;
    use crate::router::messages::{Ask, Connect, Disconnect};
    use crate::router::{Overview, Stay};
    use crate::signal::Refusal;
    use crate::ws::RouterPort;
    use crate::ws::outbox::Outbox;
    use crate::ws::outlet::Identity;

    struct Deaf;
    impl Actor for Deaf {
        type Context = Context<Self>;
    }
    impl Handler<Connect> for Deaf {
        type Result = Result<(), Refusal>;
        fn handle(&mut self, _: Connect, _: &mut Self::Context) -> Self::Result {
            Ok(())
        }
    }
    impl Handler<Disconnect> for Deaf {
        type Result = ();
        fn handle(&mut self, _: Disconnect, _: &mut Self::Context) {}
    }
    impl Handler<Ask> for Deaf {
        type Result = ();
        fn handle(&mut self, _: Ask, _: &mut Self::Context) {}
    }
    impl Handler<Stay> for Deaf {
        type Result = ();
        fn handle(&mut self, _: Stay, _: &mut Self::Context) {}
    }
    impl Handler<Overview> for Deaf {
        type Result = ();
        fn handle(&mut self, _: Overview, _: &mut Self::Context) {}
    }

    pub fn outlet(sessions: &Arc<Sessions>, device: &str) -> Arc<SocketOutlet> {
        let router = Deaf.start();
        let port = RouterPort {
            connect: router.clone().recipient(),
            disconnect: router.clone().recipient(),
            ask: router.clone().recipient(),
            stay: router.clone().recipient(),
            overview: router.recipient(),
            chat: None,
        };
        let who = Identity {
            user: UserId::parse("1").unwrap(),
            name: None,
            profile: None,
            device: DeviceId::parse(device).unwrap(),
            session: SessionId::next(),
            address: None,
            sees_all: false,
        };
        let users = Arc::new(Users::new(Default::default()));
        SocketOutlet::new(who, users, Outbox::new(256, 1 << 20), Arc::new(port), sessions.clock, Arc::clone(sessions))
    }

    fn fill(session: &Session, by: &Arc<SocketOutlet>, messages: usize, bytes: usize) {
        for _ in 0..messages {
            let text = format!("{{\"x\":\"{}\"}}", "x".repeat(bytes));
            assert!(session.append(by.who().session, None, text, Moment(0), |_| ()).is_some());
        }
    }

    #[actix_web::test]
    async fn a_session_waits_for_its_device_and_not_for_ever() {
        let sessions = Sessions::new(Clock::new(), Arc::default(), Arc::default());
        let old = outlet(&sessions, "laptop");
        let session = sessions.create(&old);
        fill(&session, &old, 3, 1);
        sessions.park(&session, old.who().session);
        let now = sessions.clock.moment();
        let new = outlet(&sessions, "laptop");
        assert!(session.take_over(&new, 0, now + PARKED_FOR * 2).is_none(), "too late");
        assert!(session.take_over(&outlet(&sessions, "phone"), 0, now).is_none(), "another device");
        assert!(session.take_over(&new, 4, now).is_none(), "never said");
        let missed = session.take_over(&new, 1, now).unwrap();
        assert_eq!(missed, ["{\"x\":\"x\",\"seq\":2}", "{\"x\":\"x\",\"seq\":3}"]);
        // The old socket has nothing to say any more, and nothing to park.
        assert!(session.append(old.who().session, None, "{}".into(), now, |_| ()).is_none());
        sessions.park(&session, old.who().session);
        assert!(session.state().log.parked().is_none());
        assert_eq!(session.seq(), 3);
    }

    #[actix_web::test]
    async fn while_a_session_changes_hands_nobody_else_writes() {
        let sessions = Sessions::new(Clock::new(), Arc::default(), Arc::default());
        let user = [UserId::parse("2").unwrap()];
        let old = outlet(&sessions, "laptop");
        old.greet();
        old.begin(None, |_, _, _| "{}".to_owned());
        let session = old.session().unwrap();
        sessions.watch(&session, &user).unwrap();
        sessions.snapshot(&session, &old, &user, &Default::default(), None);
        assert!(session.say("{}".into(), Moment(0)));
        assert_eq!(session.seq(), 2);
        let new = outlet(&sessions, "laptop");
        new.greet();
        new.begin(Some((session.name(), 1)), |_, recovered, seq| {
            assert!(recovered && seq == 1);
            assert!(!session.say("{}".into(), Moment(0)), "it has to wait");
            sessions.snapshot(&session, &old, &user, &Default::default(), None);
            assert!(lock(&sessions.news).users.contains(&user[0]), "told to the new one, as of a change");
            assert!(!old.say("{}".to_owned()));
            "{}".to_owned()
        });
        assert_eq!((session.seq(), new.outbox().waiting().0), (2, 2), "the welcome, and what was missed");
        assert!(session.say("{}".into(), Moment(0)));
        assert_eq!((session.seq(), new.outbox().waiting().0), (3, 3));
    }

    #[actix_web::test]
    async fn a_device_has_one_session() {
        let sessions = Sessions::new(Clock::new(), Arc::default(), Arc::default());
        let old = outlet(&sessions, "laptop");
        let first = sessions.create(&old);
        sessions.watch(&first, &[UserId::parse("2").unwrap()]).unwrap();
        let second = sessions.create(&outlet(&sessions, "laptop"));
        assert_eq!(sessions.len(), 1);
        assert!(sessions.watched.is_empty());
        assert_ne!(first.id, second.id);
        sessions.remove(&second);
        assert!(sessions.is_empty() && sessions.by_device.is_empty());
    }
}
