//! Real sockets against an in-process server, with a router that only writes down what it hears.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use actix_web::{App, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use switchboard::clock::{Clock, Timestamp};
use switchboard::dialect::Caps;
use switchboard::ids::{CallId, UserId};
use switchboard::router::Overview;
use switchboard::router::messages::{Ask, Connect, Disconnect, Eviction, Outlet, Reply, ReplyTo, Route};
use switchboard::signal::{Command, Notice, Payload, Profile, Reason, Refusal};
use switchboard::ws::{
    self, Admission, Admitted, Connections, Denied, Door, Facts, Freshness, Limits, RouterPort, Sessions, SocketEdge,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

type Outlets = Vec<(UserId, Arc<dyn Outlet>)>;

/// What the fake router heard.
#[derive(Default)]
struct Heard {
    outlets: Outlets,
    commands: Vec<(UserId, Command)>,
    gone: Vec<(UserId, bool)>,
    /// Answers that were held back.
    held: Vec<ReplyTo>,
}

/// Connects everybody but `full`, relays candidates to the other users, and refuses to hang up.
struct FakeRouter {
    heard: Arc<Mutex<Heard>>,
    hold: bool,
}

impl Actor for FakeRouter {
    type Context = Context<Self>;
}

impl Handler<Connect> for FakeRouter {
    type Result = Result<(), Refusal>;
    fn handle(&mut self, connect: Connect, _: &mut Self::Context) -> Self::Result {
        if connect.user.as_str() == "full" {
            return Err(Refusal::Forbidden("too many devices".into()));
        }
        self.heard.lock().unwrap().outlets.push((connect.user, connect.outlet));
        Ok(())
    }
}

impl Handler<Disconnect> for FakeRouter {
    type Result = ();
    fn handle(&mut self, gone: Disconnect, _: &mut Self::Context) {
        self.heard.lock().unwrap().gone.push((gone.user, gone.clean));
    }
}

impl Handler<Ask> for FakeRouter {
    type Result = ();
    fn handle(&mut self, ask: Ask, _: &mut Self::Context) {
        let mut heard = self.heard.lock().unwrap();
        heard.commands.push((ask.peer.user.clone(), ask.command.clone()));
        if self.hold {
            return heard.held.push(ask.reply);
        }
        match ask.command {
            Command::Candidate { payload, extra, .. } => {
                let notice = Notice::Candidate {
                    call: CallId::new(1).unwrap(),
                    from: ask.peer.user.clone().into(),
                    payload,
                    extra,
                };
                for (_, outlet) in heard.outlets.iter().filter(|(user, _)| *user != ask.peer.user) {
                    outlet.deliver(&notice);
                }
                ask.reply.answer(Ok(Reply::Relayed));
            }
            Command::HangUp { .. } => ask.reply.answer(Err(Refusal::CallEnded(Reason::Completed))),
            _ => ask.reply.answer(Err(Refusal::SelfCall)),
        }
    }
}

/// Admits everybody but `nobody`, `else`; a page from evil.example is refused.
struct Everybody {
    clock: Clock,
    lives: Option<Duration>,
}

impl Admission for Everybody {
    fn admit<'a>(&'a self, req: &'a HttpRequest, door: Door<'a>) -> LocalBoxFuture<'a, Result<Admitted, Denied>> {
        Box::pin(async move {
            match door {
                Door::User(user) => self.judge(req, user),
                Door::Profile(profile) => self.judge(req, &profile.key().map_err(|_| Denied::Forbidden)?),
            }
        })
    }

    fn refresh(&self, _: UserId, _: Option<Profile>, _: bool, token: String) -> Freshness {
        let held = token == "fresh";
        Box::pin(
            async move { if held { Ok(None) } else { Err(Refusal::Unauthorized("the token does not hold".into())) } },
        )
    }
}

impl Everybody {
    fn judge(&self, req: &HttpRequest, user: &UserId) -> Result<Admitted, Denied> {
        if req.headers().get("origin").is_some_and(|origin| origin == "https://evil.example") {
            return Err(Denied::BadOrigin);
        }
        match user.as_str() {
            "nobody" => Err(Denied::Unauthorized),
            "else" => Err(Denied::Forbidden),
            _ => {
                let expires_at = self.lives.map(|lives| self.clock.now().wall + lives);
                Ok(Admitted { user: user.clone(), name: None, expires_at, conversations: None, sees_all: false })
            }
        }
    }
}

struct NoFacts;

impl Facts for NoFacts {
    fn ice_servers(&self, _: &UserId) -> Value {
        Value::Array(Vec::new())
    }

    fn heartbeat_ms(&self) -> u64 {
        10_000
    }

    fn unseen_missed(&self, _: UserId) -> LocalBoxFuture<'static, Option<u64>> {
        Box::pin(async { None })
    }

    fn last_seen(&self, _: Vec<UserId>) -> LocalBoxFuture<'static, HashMap<UserId, Timestamp>> {
        Box::pin(async { HashMap::new() })
    }
}

impl Handler<Overview> for FakeRouter {
    type Result = ();
    fn handle(&mut self, overview: Overview, _: &mut Self::Context) {
        drop(overview.reply.send(Vec::new()));
    }
}

struct Server {
    address: String,
    heard: Arc<Mutex<Heard>>,
    connections: Arc<Connections>,
}

struct Setup {
    limits: Limits,
    hold: bool,
    lives: Option<Duration>,
    messages: usize,
}

impl Default for Setup {
    fn default() -> Self {
        let limits = Limits { close_within: Duration::from_millis(500), ..Limits::default() };
        Self { limits, hold: false, lives: None, messages: 1000 }
    }
}

fn serve(setup: Setup) -> Server {
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let router = FakeRouter { heard: heard.clone(), hold: setup.hold }.start();
    let clock = Clock::new();
    let connections: Arc<Connections> = Arc::default();
    let edge = web::Data::new(SocketEdge {
        router: Arc::new(RouterPort {
            chat: None,
            connect: router.clone().recipient(),
            disconnect: router.clone().recipient(),
            ask: router.clone().recipient(),
            overview: router.recipient(),
        }),
        clock,
        limits: setup.limits,
        admission: Arc::new(Everybody { clock, lives: setup.lives }),
        profile_types: vec!["tutor".into()],
        budget: Arc::new(move |_| {
            let mut left = setup.messages;
            Box::new(move |_| {
                left = left.checked_sub(1).ok_or(Duration::from_millis(1500))?;
                Ok(())
            })
        }),
        facts: Arc::new(NoFacts),
        sessions: Sessions::new(clock, Arc::default(), Arc::default()),
        connections: connections.clone(),
    });
    // Holds up the worker's thread, as a stopped process would.
    let block = async |ms: web::Path<u64>| {
        std::thread::sleep(Duration::from_millis(*ms));
        "slept"
    };
    let app = move || {
        App::new()
            .app_data(edge.clone())
            .configure(ws::routes(Caps::default()))
            .route("/block/{ms}", web::get().to(block))
    };
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    actix_web::rt::spawn(switchboard::server::serve(listener, Some(1), 100, app).unwrap());
    Server { address, heard, connections }
}

type Client = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

impl Server {
    async fn connect(&self, user: &str) -> Client {
        let url = format!("ws://{}/ws/{user}", self.address);
        tokio_tungstenite::connect_async(url).await.unwrap().0
    }

    /// The status of a plain upgrade request, and the connection it came on.
    async fn upgrade(&self, path: &str, header: &str) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{header}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), stream)
    }

    async fn until(&self, what: &str, is: impl Fn(&Heard) -> bool) {
        for _ in 0..500 {
            if is(&self.heard.lock().unwrap()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still missing: {what}");
    }

    fn outlet(&self, user: &str) -> Arc<dyn Outlet> {
        let heard = self.heard.lock().unwrap();
        heard.outlets.iter().find(|(name, _)| name.as_str() == user).unwrap().1.clone()
    }

    async fn gone_once(&self, user: &str, clean: bool) {
        let user = UserId::parse(user).unwrap();
        self.until("the disconnect", |heard| heard.gone.iter().any(|(name, _)| *name == user)).await;
        tokio::time::sleep(Duration::from_millis(800)).await;
        let heard = self.heard.lock().unwrap();
        let seen: Vec<_> = heard.gone.iter().filter(|(name, _)| *name == user).collect();
        assert_eq!(seen, [&(user.clone(), clean)]);
    }
}

async fn say(client: &mut Client, frame: Value) {
    client.send(Message::text(frame.to_string())).await.unwrap();
}

async fn next(client: &mut Client) -> Message {
    timeout(Duration::from_secs(5), client.next()).await.expect("nothing came").unwrap().unwrap()
}

async fn frame(client: &mut Client) -> Value {
    loop {
        if let Message::Text(text) = next(client).await {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn closed(client: &mut Client) -> CloseFrame {
    loop {
        if let Message::Close(Some(close)) = next(client).await {
            return close;
        }
    }
}

fn candidate(call: i64, text: &str) -> Notice {
    let payload = Payload::from_json(&Value::from(text));
    Notice::Candidate {
        call: CallId::new(call).unwrap(),
        from: UserId::parse("9").unwrap().into(),
        payload,
        extra: vec![],
    }
}

#[actix_web::test]
async fn a_candidate_is_relayed_with_its_senders_own_name() {
    let server = serve(Setup::default());
    let (mut seven, mut eight) = (server.connect("7").await, server.connect("8/?device_id=tab").await);
    server.until("both", |heard| heard.outlets.len() == 2).await;
    say(&mut seven, json!({"type": "ice.candidate", "to_user_id": 8, "from_user_id": 99, "candidate": "c", "x": 1}))
        .await;
    let got = frame(&mut eight).await;
    assert_eq!(got, json!({"type": "ice_candidate", "from_user_id": 7, "candidate": "c", "call_id": 1, "x": 1}));
    say(&mut seven, json!({"type": "ping"})).await;
    assert_eq!(frame(&mut seven).await, json!({"type": "pong"}));
    say(&mut seven, json!({"type": "nonsense", "ref": "r1"})).await;
    let error = frame(&mut seven).await;
    assert_eq!((&error["code"], &error["ref"]), (&json!("unknown_type"), &json!("r1")));
    seven.close(None).await.unwrap();
    server.gone_once("7", true).await;
}

#[actix_web::test]
async fn hanging_up_too_late_is_silent_unless_the_message_has_a_ref() {
    let server = serve(Setup::default());
    let mut seven = server.connect("7").await;
    say(&mut seven, json!({"type": "call_ended", "to_user_id": 8})).await;
    say(&mut seven, json!({"type": "call_ended", "to_user_id": 8, "ref": 5})).await;
    let error = frame(&mut seven).await;
    assert_eq!((&error["code"], &error["ref"]), (&json!("call_ended"), &json!(5)));
    drop(seven);
    server.gone_once("7", false).await;
}

#[actix_web::test]
async fn candidates_take_the_route_only_when_nothing_is_on_the_long_way() {
    let server = serve(Setup { hold: true, ..Setup::default() });
    let (mut seven, mut eight) = (server.connect("7").await, server.connect("8").await);
    server.until("both", |heard| heard.outlets.len() == 2).await;
    let route = Route { call: CallId::new(3).unwrap(), peer: UserId::parse("8").unwrap(), outlet: server.outlet("8") };
    server.outlet("7").set_route(Some(Arc::new(route)));
    say(&mut seven, json!({"type": "ice_candidate", "call_id": 3, "candidate": 1})).await;
    assert_eq!(frame(&mut eight).await["candidate"], 1);
    say(&mut seven, json!({"type": "call_offer", "call_id": 3, "offer": "o"})).await;
    say(&mut seven, json!({"type": "ice_candidate", "call_id": 3, "candidate": 2})).await;
    server.until("the offer and the candidate", |heard| heard.commands.len() == 2).await;
    server.heard.lock().unwrap().held.drain(..).for_each(|reply| reply.answer(Ok(Reply::Relayed)));
    say(&mut seven, json!({"type": "ice_candidate", "to_user_id": 8, "candidate": 3})).await;
    assert_eq!(frame(&mut eight).await["candidate"], 3);
    say(&mut seven, json!({"type": "ice_candidate", "call_id": 4, "candidate": 4})).await;
    say(&mut seven, json!({"type": "ice_candidate", "to_user_id": 9, "candidate": 5})).await;
    server.until("what does not fit the route", |heard| heard.commands.len() == 4).await;
}

#[actix_web::test]
async fn a_client_that_does_not_read_is_disconnected_and_holds_little() {
    let server = serve(Setup::default());
    let (head, stalled) = server.upgrade("/ws/7", "").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    let (outlet, text) = (server.outlet("7"), "x".repeat(4000));
    let mut taken = 0;
    while outlet.deliver(&candidate(1, &text)) {
        taken += 1;
        assert!(taken < 2_000, "it takes for ever");
        if taken % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(!outlet.deliver(&candidate(1, &text)));
    server.gone_once("7", false).await;
    // Only the server's own reference cycle could keep the outlet: nobody but this test has it now.
    server.heard.lock().unwrap().outlets.clear();
    assert_eq!(Arc::strong_count(&outlet), 1);
    drop(stalled);
}

#[actix_web::test]
async fn a_declared_length_over_the_limit_closes_at_the_header() {
    let server = serve(Setup::default());
    let (_, mut stream) = server.upgrade("/ws/7", "").await;
    let mut header = vec![0x81, 0xff];
    header.extend((1u64 << 40).to_be_bytes());
    stream.write_all(&header).await.unwrap();
    let mut close = [0; 4];
    timeout(Duration::from_secs(5), stream.read_exact(&mut close)).await.unwrap().unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &1009u16.to_be_bytes()[..]));
    server.gone_once("7", false).await;
    // It may go on sending, into nothing and not for long.
    let (before, chunk) = (resident_kib(), vec![0; 64 * 1024]);
    let flood = async { while stream.write_all(&chunk).await.is_ok() {} };
    timeout(Duration::from_secs(8), flood).await.expect("the connection is still open");
    assert!(resident_kib() < before + 64 * 1024, "it was buffered");
}

/// The memory this process holds.
fn resident_kib() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

#[actix_web::test]
async fn a_client_that_ignores_the_close_is_cut_off() {
    let server = serve(Setup::default());
    let (_, mut stream) = server.upgrade("/ws/7", "").await;
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    server.outlet("7").evict(Eviction::Killed);
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("still open").unwrap();
    assert_eq!(rest[2..4], 4403u16.to_be_bytes());
    drop(stream);
    for _ in 0..300 {
        if server.connections.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("its place is still taken");
}

#[actix_web::test]
async fn bad_frames_have_their_own_codes() {
    let server = serve(Setup::default());
    for (bytes, code) in [
        (&[0x81, 0x01, b'x'][..], 1002u16),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0x82, 0x81, 0, 0, 0, 0, b'x'], 1003),
    ] {
        let (_, mut stream) = server.upgrade("/ws/7", "").await;
        stream.write_all(bytes).await.unwrap();
        let mut close = [0; 4];
        timeout(Duration::from_secs(5), stream.read_exact(&mut close)).await.unwrap().unwrap();
        assert_eq!(close[2..], code.to_be_bytes());
    }
}

#[actix_web::test]
async fn five_malformed_messages_close_one_gets_an_error() {
    let server = serve(Setup::default());
    let mut seven = server.connect("7").await;
    for _ in 0..4 {
        seven.send(Message::text("{")).await.unwrap();
        assert_eq!(frame(&mut seven).await["code"], "invalid");
    }
    seven.send(Message::text("[]")).await.unwrap();
    assert_eq!(u16::from(closed(&mut seven).await.code), 4400);
    server.gone_once("7", false).await;
}

#[actix_web::test]
async fn flooding_closes_and_says_when_to_come_back() {
    let server = serve(Setup { messages: 3, ..Setup::default() });
    let mut seven = server.connect("7").await;
    for _ in 0..4 {
        say(&mut seven, json!({"type": "heartbeat"})).await;
    }
    let close = closed(&mut seven).await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4429, "flooding; retry_after_ms=1500"));
}

#[actix_web::test]
async fn an_evicted_socket_says_why_after_what_was_queued() {
    let server = serve(Setup::default());
    let mut seven = server.connect("7").await;
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    let outlet = server.outlet("7");
    assert!(outlet.deliver(&candidate(1, "last words")));
    outlet.evict(Eviction::Replaced);
    outlet.evict(Eviction::Draining);
    assert!(!outlet.deliver(&candidate(1, "too late")));
    assert_eq!(frame(&mut seven).await["candidate"], "last words");
    assert_eq!(u16::from(closed(&mut seven).await.code), 4409);
    server.gone_once("7", false).await;
    assert_eq!(u16::from(closed(&mut server.connect("full").await).await.code), 4409);
}

#[actix_web::test]
async fn a_silent_socket_is_closed_and_one_that_answers_is_kept() {
    let mut setup = Setup::default();
    setup.limits.ping_every = Duration::from_millis(100);
    setup.limits.pong_within = Duration::from_millis(200);
    let server = serve(setup);
    let (_, _silent) = server.upgrade("/ws/7", "").await;
    let mut eight = server.connect("8").await;
    let answering = actix_web::rt::spawn(async move { while let Some(Ok(_)) = eight.next().await {} });
    server.gone_once("7", false).await;
    assert_eq!(server.heard.lock().unwrap().gone.len(), 1);
    assert!(!answering.is_finished());
    answering.abort();
}

#[actix_web::test]
async fn a_socket_ends_with_its_token_unless_a_fresh_one_comes() {
    let server = serve(Setup { lives: Some(Duration::from_millis(700)), ..Setup::default() });
    let (mut seven, mut eight) = (server.connect("7").await, server.connect("8").await);
    say(&mut eight, json!({"type": "token", "token": "stale"})).await;
    assert_eq!(frame(&mut eight).await["code"], "unauthorized");
    say(&mut eight, json!({"type": "token", "token": "fresh"})).await;
    assert_eq!(u16::from(closed(&mut seven).await.code), 4401);
    say(&mut eight, json!({"type": "ping"})).await;
    assert_eq!(frame(&mut eight).await["type"], "pong");
}

#[actix_web::test]
async fn who_may_not_is_told_before_or_after_the_upgrade() {
    let server = serve(Setup::default());
    for (path, header, status) in [
        ("/ws/7", "Origin: https://evil.example\r\n", "403"),
        ("/ws/notifications", "", "404"),
        ("/ws/chat/", "", "404"),
        ("/ws/7/lodger", "", "404"),
        ("/ws/a%20b", "", "404"),
        ("/ws/7?device_id=http", "", "400"),
        ("/ws/7?device_id=a%20b", "", "400"),
        ("/ws/7?device_id=", "", "101"),
    ] {
        let (head, _) = server.upgrade(path, header).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {head}");
    }
    let offered = "Sec-WebSocket-Protocol: switchboard, bearer.secret\r\n";
    let (head, _) = server.upgrade("/ws/7/", offered).await;
    assert!(head.to_lowercase().contains("sec-websocket-protocol: switchboard\r\n"), "{head}");
    assert_eq!(u16::from(closed(&mut server.connect("nobody").await).await.code), 4401);
    assert_eq!(u16::from(closed(&mut server.connect("else").await).await.code), 4403);
}

#[actix_web::test]
async fn what_is_sent_with_the_request_is_read_and_who_stops_sending_still_gets_the_answer() {
    let server = serve(Setup::default());
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let mut sent = b"GET /ws/7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    // A ping, a whole message and half of one.
    sent.extend(b"\x89\x81\0\0\0\0?\x81\x8f\0\0\0\0{\"type\":\"ping\"}\x81\x8f\0\0\0\0{\"type\"");
    stream.write_all(&sent).await.unwrap();
    server.until("the socket", |heard| heard.outlets.len() == 1).await;
    stream.write_all(b":\"ping\"}").await.unwrap();
    let pong = b"\x81\x0f{\"type\":\"pong\"}";
    let expected = [&b"\r\n\r\n\x8a\x01?"[..], pong, pong].concat();
    let mut seen = Vec::new();
    while !seen.ends_with(&expected) {
        let byte = timeout(Duration::from_secs(5), stream.read_u8()).await.expect("nothing more came").unwrap();
        seen.push(byte);
    }
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("still open").unwrap();
    assert_eq!(rest, b"");
    server.gone_once("7", false).await;
}

#[actix_web::test]
async fn a_request_that_only_mentions_an_upgrade_is_answered_whole_and_its_connection_closed() {
    let server = serve(Setup::default());
    for (path, extra, status, end) in [
        ("/block/1", "Connection: keep-alive\r\n", "200", "slept"),
        ("/ws/7", "Connection: keep-alive\r\n", "400", ""),
        ("/ws/7", "Connection: Upgrade\r\nSec-WebSocket-Version: 12\r\n", "426", ""),
        ("/nowhere", "Connection: Upgrade\r\n", "404", ""),
    ] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{extra}\r\nand more");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.expect("still open").unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with(end), "{path}: {answer}");
    }
    assert_eq!(server.connections.count(), 0);
}

#[actix_web::test]
async fn an_address_has_only_so_many_sockets_and_gets_its_places_back() {
    let mut setup = Setup::default();
    setup.limits.per_address = 2;
    let server = serve(setup);
    let (first, mut second) = (server.connect("1").await, server.connect("2").await);
    let (head, _) = server.upgrade("/ws/3", "").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    drop(first);
    second.close(None).await.unwrap();
    while let Some(Ok(_)) = second.next().await {}
    drop(second);
    for _ in 0..300 {
        if server.connections.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still connected: {}", server.connections.count());
}

#[actix_web::test]
async fn after_a_stall_of_the_process_itself_a_pong_that_had_arrived_still_counts() {
    let mut setup = Setup::default();
    setup.limits.ping_every = Duration::from_millis(300);
    setup.limits.pong_within = Duration::from_millis(300);
    let server = serve(setup);
    for (user, stall) in [("7", 1000), ("8", 2600)] {
        let (_, mut stream) = server.upgrade(&format!("/ws/{user}"), "").await;
        let mut ping = [0; 2];
        stream.read_exact(&mut ping).await.unwrap();
        assert_eq!(ping, [0x89, 0]);
        let mut blocked = TcpStream::connect(&server.address).await.unwrap();
        let request = format!("GET /block/{stall} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        blocked.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap();
        let mut answer = String::new();
        blocked.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("slept"));
        tokio::time::sleep(Duration::from_millis(150)).await;
        let user = UserId::parse(user).unwrap();
        assert!(server.heard.lock().unwrap().gone.iter().all(|(gone, _)| *gone != user), "{stall}");
    }
}

#[actix_web::test]
async fn outlets_with_a_route_to_each_other_are_freed_whether_it_was_opened_before_or_after_their_end() {
    for late in [false, true] {
        let server = serve(Setup::default());
        let clients = (server.connect("7").await, server.connect("8").await);
        server.until("both", |heard| heard.outlets.len() == 2).await;
        let (seven, eight) = (server.outlet("7"), server.outlet("8"));
        let open = || {
            for (outlet, other, user) in [(&seven, &eight, "8"), (&eight, &seven, "7")] {
                let (call, peer) = (CallId::new(3).unwrap(), UserId::parse(user).unwrap());
                outlet.set_route(Some(Arc::new(Route { call, peer, outlet: other.clone() })));
            }
        };
        if !late {
            open();
        }
        drop(clients);
        server.until("both gone", |heard| heard.gone.len() == 2).await;
        if late {
            open();
        }
        let weak = [Arc::downgrade(&seven), Arc::downgrade(&eight)];
        drop((seven, eight));
        server.heard.lock().unwrap().outlets.clear();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(weak.iter().all(|outlet| outlet.upgrade().is_none()), "late: {late}");
    }
}
