use super::*;
use crate::clock::Clock;
use crate::presence::Published;
use crate::ws::outlet::SocketOutlet;
use crate::ws::sessions::tests::outlet;

/// A watcher on a socket, the teller, and a clock that is set.
struct Scene {
    sessions: Arc<Sessions>,
    teller: Teller,
    socket: Arc<SocketOutlet>,
    session: Arc<Session>,
    now: Now,
}

impl Scene {
    fn new(watched: &[UserId]) -> Self {
        let clock = Clock::new();
        let sessions = Sessions::new(clock, Arc::default(), Arc::default());
        let socket = outlet(&sessions, "laptop");
        socket.greet();
        socket.begin(None, |_, _, _| "{}".to_owned());
        let session = socket.session().unwrap();
        sessions.watch(&session, watched).unwrap();
        Self { sessions, teller: Teller::default(), socket, session, now: clock.now() }
    }

    fn snapshot(&self, users: &[UserId]) {
        self.sessions.snapshot(&self.session, &self.socket, users, &Default::default(), None);
    }

    fn later(&mut self, millis: u64) {
        self.now.tick = self.now.tick + Duration::from_millis(millis);
    }

    /// One round; users are online.
    fn round(&mut self, versions: &[(&UserId, u64)]) {
        let change = |(user, version): &(&UserId, u64)| {
            let published = Published { status: Status::Online, current_call_with: None };
            Change::new((*user).clone(), Shown { published, last_seen: None, version: *version }, self.now)
        };
        let back = std::mem::take(&mut *lock(&self.sessions.news)).back;
        self.teller.tell(&self.sessions, versions.iter().map(change).collect(), back, self.now.tick);
    }

    /// The messages after the one with this number, by a new socket of the device.
    fn told_after(&mut self, seq: u64) -> Vec<serde_json::Value> {
        self.sessions.park(&self.session, self.socket.who().session);
        let (_, missed) = self.sessions.resume(&self.session.name(), seq, &self.socket).unwrap();
        self.sessions.open(&self.session, &self.socket);
        missed.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }
}

fn users(ids: std::ops::Range<u32>) -> Vec<UserId> {
    ids.map(|id| UserId::parse(&id.to_string()).unwrap()).collect()
}

#[actix_web::test]
async fn a_change_is_told_at_once_and_what_follows_when_the_watcher_has_rested() {
    let users = users(2..4);
    let mut scene = Scene::new(&users);
    scene.round(&[(&users[0], 1)]);
    assert_eq!(scene.session.seq(), 0, "before its snapshot it is no news");
    scene.snapshot(&users);
    scene.round(&[(&users[0], 2)]);
    assert_eq!((scene.session.seq(), scene.teller.next()), (2, None));
    scene.later(10);
    scene.round(&[(&users[0], 3)]);
    scene.later(10);
    scene.round(&[(&users[1], 4)]);
    scene.later(10);
    scene.round(&[(&users[0], 5)]);
    assert_eq!(scene.session.seq(), 2);
    scene.later(45);
    assert_eq!(scene.teller.next(), Some(scene.now.tick));
    scene.round(&[]);
    assert_eq!((scene.session.seq(), scene.teller.next()), (3, None));
    // Having rested again, at once.
    scene.later(75);
    scene.round(&[(&users[1], 6)]);
    assert_eq!(scene.session.seq(), 4);
    // What it knows it is not told again.
    scene.later(75);
    scene.round(&[(&users[1], 6)]);
    assert_eq!(scene.session.seq(), 4);
    let told = scene.told_after(1);
    let versions = |message: &serde_json::Value| -> Vec<u64> {
        message["users"].as_array().unwrap().iter().map(|user| user["version"].as_u64().unwrap()).collect()
    };
    assert_eq!(told.iter().map(versions).collect::<Vec<_>>(), [vec![2], vec![5, 4], vec![6]]);
    assert!(told.iter().zip(2..).all(|(message, seq)| message["seq"] == seq), "{told:?}");
}

#[actix_web::test]
async fn who_knows_a_user_by_two_names_is_told_by_both() {
    let names = users(2..4);
    let mut scene = Scene::new(&[]);
    scene.sessions.directory.assign(names[1].clone(), names[0].clone());
    scene.sessions.watch(&scene.session, &names).unwrap();
    scene.snapshot(&names);
    scene.round(&[(&names[0], 1)]);
    assert_eq!(scene.session.seq(), 2, "by one at once");
    scene.later(75);
    scene.round(&[]);
    assert_eq!((scene.session.seq(), scene.teller.next()), (3, None));
    // By the name it goes on watching only.
    scene.sessions.unwatch(&scene.session, &names[..1]);
    scene.later(75);
    scene.round(&[(&names[0], 2)]);
    assert_eq!((scene.session.seq(), scene.teller.next()), (4, None));
    let told = scene.told_after(1);
    let name = |message: &serde_json::Value| message["users"][0]["user_id"].as_u64();
    assert_eq!(told.iter().map(name).collect::<Vec<_>>(), [Some(2), Some(3), Some(3)]);
}

#[actix_web::test]
async fn what_changes_in_one_turn_comes_in_one_message() {
    let users = users(2..4);
    let mut scene = Scene::new(&users);
    scene.snapshot(&users);
    scene.round(&[(&users[0], 1), (&users[1], 2)]);
    assert_eq!((scene.session.seq(), scene.teller.next()), (2, None));
    assert_eq!(scene.told_after(1)[0]["users"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn neither_one_who_flaps_nor_all_who_come_back_flood_a_watcher() {
    let users = users(2..1002);
    let mut scene = Scene::new(&users);
    scene.snapshot(&users);
    // A second in which one comes and goes every millisecond, and everybody else comes, one after the other.
    for version in 1..1000 {
        scene.round(&[(&users[0], version * 2), (&users[version as usize], version * 2 + 1)]);
        scene.later(1);
    }
    let told = scene.session.seq() - 1;
    assert!((2..=14).contains(&told), "{told} messages");
    // Nobody is forgotten, and of nobody something old is told.
    scene.later(75);
    while scene.teller.next().is_some() {
        scene.round(&[]);
        scene.later(75);
    }
    let mut newest = std::collections::HashMap::new();
    for message in scene.told_after(1) {
        let entries = message["users"].as_array().unwrap();
        assert!(entries.len() <= PER_FRAME);
        for entry in entries {
            let version = entry["version"].as_u64().unwrap();
            assert!(newest.insert(entry["user_id"].as_u64().unwrap(), version) < Some(version));
        }
    }
    assert_eq!((newest.len(), newest[&2]), (1000, 1998));
}

#[actix_web::test]
async fn a_socket_with_much_to_read_is_told_later_and_only_the_newest() {
    let users = users(2..3);
    let mut scene = Scene::new(&users);
    scene.snapshot(&users);
    for _ in 0..70 {
        scene.socket.say("{}".to_owned());
    }
    scene.round(&[(&users[0], 1)]);
    assert_eq!((scene.session.seq(), scene.teller.next()), (71, Some(scene.now.tick + REST)), "it waits");
    scene.later(75);
    scene.round(&[(&users[0], 2)]);
    assert_eq!(scene.session.seq(), 71);
    // Parked, it waits for the next socket.
    scene.sessions.park(&scene.session, scene.socket.who().session);
    scene.later(75);
    scene.round(&[]);
    assert_eq!((scene.session.seq(), scene.teller.next()), (71, None));
    let next = outlet(&scene.sessions, "laptop");
    next.greet();
    next.begin(Some((scene.session.name(), 71)), |_, recovered, seq| {
        assert!(recovered && seq == 71);
        "{}".to_owned()
    });
    scene.round(&[]);
    assert_eq!(scene.session.seq(), 72);
    assert_eq!(next.outbox().waiting().0, 2);
    assert_eq!(scene.told_after(71)[0]["users"][0]["version"], 2);
}
