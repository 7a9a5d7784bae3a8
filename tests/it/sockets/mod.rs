//! Real sockets against an in-process server, with a router that only writes down what it hears.

mod closes;
mod relay;
mod upgrade;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use actix_web::{App, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use switchboard::clock::{Clock, Timestamp};
use switchboard::config::Settings;
use switchboard::dialect::Caps;
use switchboard::ids::{CallId, UserId};
use switchboard::net::{Connections, Proxies};
use switchboard::router::messages::{Ask, Connect, Disconnect, Outlet, Reply, ReplyTo};
use switchboard::router::{Overview, Stay, Tie};
use switchboard::server::Reception;
use switchboard::signal::{Command, Notice, Payload, Profile, Reason, Refusal};
use switchboard::ws::{
    self, Admission, Admitted, Denied, Door, Facts, Freshness, Limits, RouterPort, Sessions, SocketEdge,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::harness::{PATIENCE, eventually};

type Outlets = Vec<(UserId, Arc<dyn Outlet>)>;

/// What the fake router heard.
#[derive(Default)]
struct Heard {
    outlets: Outlets,
    commands: Vec<(UserId, Command)>,
    gone: Vec<(UserId, bool)>,
    /// Answers that were held back.
    held: Vec<ReplyTo>,
    /// Who stays for a call alone.
    staying: Vec<oneshot::Sender<()>>,
    /// How often the worker's thread was held up.
    stalls: usize,
}

/// Connects everybody but `full`, relays candidates to the other users, refuses to hang up, and has `caller` in call 1.
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
            return Err(Denied::Refused(Refusal::OriginRequired));
        }
        match user.as_str() {
            "nobody" => Err(Denied::Unauthorized("nobody is nobody".to_owned())),
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

impl Handler<Stay> for FakeRouter {
    type Result = ();
    fn handle(&mut self, stay: Stay, _: &mut Self::Context) {
        let user = stay.device.filter(|_| stay.user.as_str() == "caller");
        let tie = user.map(|_| {
            let (over, until) = oneshot::channel();
            self.heard.lock().unwrap().staying.push(over);
            Tie::Live(CallId::new(1).unwrap(), until)
        });
        drop(stay.reply.send(tie));
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
    per_address: usize,
    hold: bool,
    lives: Option<Duration>,
    messages: usize,
}

impl Default for Setup {
    fn default() -> Self {
        let limits = Limits { close_within: Duration::from_millis(500), ..Limits::default() };
        Self { limits, per_address: 200, hold: false, lives: None, messages: 1000 }
    }
}

fn serve(setup: Setup) -> Server {
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let router = FakeRouter { heard: heard.clone(), hold: setup.hold }.start();
    let clock = Clock::new();
    let connections = Arc::new(Connections::new(setup.per_address, 1000));
    let edge = web::Data::new(SocketEdge {
        router: Arc::new(RouterPort {
            chat: None,
            connect: router.clone().recipient(),
            disconnect: router.clone().recipient(),
            ask: router.clone().recipient(),
            stay: router.clone().recipient(),
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
    let stalls = heard.clone();
    let block = move |ms: web::Path<u64>| {
        stalls.lock().unwrap().stalls += 1;
        std::thread::sleep(Duration::from_millis(*ms));
        std::future::ready("slept")
    };
    let app = move || {
        App::new()
            .app_data(edge.clone())
            .configure(ws::routes(Caps::default()))
            .route("/block/{ms}", web::get().to(block.clone()))
    };
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let nobody_trusted = web::Data::new(Proxies::new(&Settings::defaults().unwrap()).unwrap());
    let reception = Reception::new(nobody_trusted, connections.clone(), 200, 1000);
    actix_web::rt::spawn(switchboard::server::serve(listener, Some(1), reception, app).unwrap());
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
        eventually(what, async || is(&self.heard.lock().unwrap()).then_some(())).await;
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
    timeout(PATIENCE, client.next()).await.expect("nothing came").unwrap().unwrap()
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
