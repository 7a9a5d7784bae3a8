//! A user on a socket of the users dialect, following a script.
//!
//! Messages are asked for by type; what arrives meanwhile is kept. That makes a script independent
//! of orders nobody promised, while [`Socket::quiet`] still proves that nothing came that should not.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::rest::id;
use super::{PATIENCE, Service, encoded};

/// How a socket is to be opened.
#[derive(Clone)]
pub struct Dial {
    address: String,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    from: Option<IpAddr>,
    who: String,
}

impl Dial {
    /// By another address than the service's, where a proxy listens.
    pub fn by_way_of(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// From an address of one's own.
    pub fn from(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }

    /// On a device the client names.
    pub fn device(mut self, device: &str) -> Self {
        self.query.push(("device_id", device.to_owned()));
        self
    }

    /// With a slash at the end of its path.
    pub fn slash(mut self) -> Self {
        self.path.push('/');
        self
    }

    /// As that user, where the path names nobody; believed in dev mode.
    pub fn user(mut self, user: &str) -> Self {
        self.query.push(("user_id", user.to_owned()));
        self
    }

    /// With a token in the query, as browsers may.
    pub fn token(mut self, token: &str) -> Self {
        self.query.push(("token", token.to_owned()));
        self
    }

    /// With a subprotocol, for example `switchboard, bearer.<token>`.
    pub fn subprotocol(mut self, value: &str) -> Self {
        self.headers.push(("Sec-WebSocket-Protocol", value.to_owned()));
        self
    }

    /// With a header, for example `Cookie`.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// From a page of that origin.
    pub fn origin(mut self, origin: &str) -> Self {
        self.headers.push(("Origin", origin.to_owned()));
        self
    }

    /// Opens it; the HTTP status where it is refused before the upgrade.
    pub async fn try_open(self) -> Result<Socket, u16> {
        let query: Vec<String> = self.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut request = format!("ws://{}{}?{}", self.address, self.path, query.join("&"))
            .into_client_request()
            .expect("a socket address");
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        let address: SocketAddr = self.address.parse().expect("an address");
        let end = TcpSocket::new_v4().expect("a socket");
        if let Some(from) = self.from {
            end.bind(SocketAddr::new(from, 0)).expect("an address of this machine");
        }
        let stream = end.connect(address).await.map_err(|_| 0_u16)?;
        stream.set_nodelay(true).expect("TCP_NODELAY");
        match client_async(request, stream).await {
            Ok((socket, answer)) => {
                let selected = answer.headers().get("Sec-WebSocket-Protocol");
                Ok(Socket {
                    socket,
                    selected: selected.map(|value| value.to_str().expect("text").to_owned()),
                    kept: Vec::new(),
                    heard: BTreeSet::new(),
                    closed: None,
                    reason: String::new(),
                    who: self.who,
                })
            }
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Opens it and says nothing, not even a ping.
    pub async fn open_silently(self) -> Socket {
        let who = self.who.clone();
        self.try_open().await.unwrap_or_else(|status| panic!("{who}: the socket was refused with {status}"))
    }

    /// Opens it.
    pub async fn open(self) -> Socket {
        let who = self.who.clone();
        let mut socket =
            self.try_open().await.unwrap_or_else(|status| panic!("{who}: the socket was refused with {status}"));
        // Once this is answered the service has read from the socket, so the user is known to be there.
        socket.round_trip().await;
        socket
    }
}

/// An open socket.
pub struct Socket {
    socket: WebSocketStream<TcpStream>,
    selected: Option<String>,
    kept: Vec<Value>,
    heard: BTreeSet<i64>,
    closed: Option<u16>,
    reason: String,
    who: String,
}

impl Socket {
    /// Begins to open the socket of a user: `/ws/{user}`.
    pub fn dial(service: &Service, user: &str) -> Dial {
        Self::dial_path(service, &format!("/ws/{}", encoded(user)), user)
    }

    /// Begins to open a socket of another kind for a user.
    pub fn dial_path(service: &Service, path: &str, user: &str) -> Dial {
        Dial {
            address: service.address().to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            from: None,
            who: format!("user {user}"),
        }
    }

    /// Begins to open the socket of a profile: `/ws/{id}/{role}`.
    pub fn dial_profile(service: &Service, id: &str, role: &str) -> Dial {
        Self::dial_path(service, &format!("/ws/{id}/{role}"), &format!("{role}_{id}"))
    }

    /// The subprotocol the service selected.
    pub fn selected(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// What the service said when it closed the socket.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Value) {
        self.send_text(message.to_string()).await;
    }

    /// Sends a text that need not be a message.
    pub async fn send_text(&mut self, text: impl Into<String>) {
        let sent = self.socket.send(Message::text(text.into())).await;
        sent.unwrap_or_else(|error| panic!("{}: cannot send: {error}", self.who));
    }

    /// Sends a message where the service may be gone.
    pub async fn try_send(&mut self, message: Value) -> bool {
        self.socket.send(Message::text(message.to_string())).await.is_ok()
    }

    /// The next message of that type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        self.expect_within(PATIENCE, kind).await
    }

    /// The next message of that type, with a patience of the story's own.
    pub async fn expect_within(&mut self, patience: Duration, kind: &str) -> Value {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(at) = self.kept.iter().position(|message| message["type"] == kind) {
                return self.kept.remove(at);
            }
            let Ok(received) = tokio::time::timeout_at(deadline, self.receive()).await else {
                panic!("{} waited {patience:?} for {kind}; there came only {:?}", self.who, self.kept)
            };
            if !received {
                panic!("{} waits for {kind}; closed with {:?} after {:?}", self.who, self.closed, self.kept)
            }
        }
    }

    /// As `expect_within`, where the service may be gone: `None` when the socket closed or nothing came.
    pub async fn until(&mut self, patience: Duration, kind: &str) -> Option<Value> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(at) = self.kept.iter().position(|message| message["type"] == kind) {
                return Some(self.kept.remove(at));
            }
            match tokio::time::timeout_at(deadline, self.receive()).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return None,
            }
        }
    }

    /// Every call any message so far was about.
    pub fn heard(&self) -> impl Iterator<Item = i64> {
        self.heard.iter().copied()
    }

    /// The next message whatever it is; `None` when the socket closed or nothing came in time.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Value> {
        let deadline = tokio::time::Instant::now() + patience;
        while self.kept.is_empty() {
            match tokio::time::timeout_at(deadline, self.receive()).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return None,
            }
        }
        Some(self.kept.remove(0))
    }

    /// The service closes the socket with that code.
    pub async fn expect_close(&mut self, code: u16) {
        let until_closed = async { while self.receive().await {} };
        if tokio::time::timeout(PATIENCE, until_closed).await.is_err() {
            panic!("{} should have been closed with {code}; there came {:?}", self.who, self.kept);
        }
        assert_eq!(self.closed, Some(code), "{}: close code; before it came {:?}", self.who, self.kept);
    }

    /// Nothing else has come: a round trip proves that everything sent so far has arrived.
    pub async fn quiet(&mut self) {
        self.round_trip().await;
        assert!(self.kept.is_empty(), "{} should have heard nothing more, but got {:?}", self.who, self.kept);
    }

    /// Nothing of that type has come, whatever else did.
    pub async fn without(&mut self, kind: &str) {
        self.round_trip().await;
        assert!(
            self.kept.iter().all(|message| message["type"] != kind),
            "{} should not have got {kind}, but: {:?}",
            self.who,
            self.kept
        );
    }

    /// Whether a message of that type has come.
    pub async fn has(&mut self, kind: &str) -> bool {
        self.round_trip().await;
        self.kept.iter().any(|message| message["type"] == kind)
    }

    /// Forgets what has come so far.
    pub async fn clear(&mut self) {
        self.round_trip().await;
        self.kept.clear();
    }

    /// A ping and its pong, with everything that came between kept.
    pub async fn round_trip(&mut self) {
        assert!(self.try_round_trip().await, "{}: no pong; closed with {:?}", self.who, self.closed);
    }

    /// As `round_trip`, where the socket may be closed meanwhile: whether it is still open.
    pub async fn try_round_trip(&mut self) -> bool {
        let token = uuid::Uuid::new_v4().as_bytes().to_vec();
        if self.socket.send(Message::Ping(token.clone().into())).await.is_err() {
            // The reason of the close may still be unread.
            while self.receive().await {}
            return false;
        }
        let pong = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Pong(payload))) if payload.as_ref() == token => return true,
                    Some(Ok(message)) => {
                        if !self.keep(message) {
                            return false;
                        }
                    }
                    Some(Err(_)) | None => return false,
                }
            }
        };
        let patience = tokio::time::timeout(PATIENCE, pong).await;
        patience.unwrap_or_else(|_| panic!("{}: no pong within {PATIENCE:?}", self.who))
    }

    /// Goes away properly, as a browser tab does.
    pub async fn close(mut self) {
        drop(self.socket.close(None).await);
        // The service answers with a close frame, tells its own parts, and only then ends the connection: whoever asks
        // the router when that has ended comes behind it. What others are shown may lag a moment.
        let ended = async { while let Some(Ok(_)) = self.socket.next().await {} };
        tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("{}: its connection goes on", self.who));
    }

    /// Says `hello`: the `welcome`.
    pub async fn hello(&mut self) -> Value {
        self.send(json!({ "type": "hello" })).await;
        self.expect("welcome").await
    }

    /// Goes on where an earlier socket broke off: the `welcome`.
    pub async fn resume(&mut self, session: &Value, seq: u64) -> Value {
        self.send(json!({ "type": "resume", "session_id": session, "seq": seq })).await;
        self.expect("welcome").await
    }

    /// Everything that came so far, in order, whatever it is.
    pub async fn all(&mut self) -> Vec<Value> {
        self.round_trip().await;
        std::mem::take(&mut self.kept)
    }

    /// Everything that comes until the service closes the socket.
    pub async fn rest(mut self) -> Vec<Value> {
        drop(tokio::time::timeout(PATIENCE, async { while self.receive().await {} }).await);
        self.kept
    }

    /// Vanishes: the connection is reset, without a close frame.
    pub fn vanish(self) {
        let linger = socket2::SockRef::from(self.socket.get_ref()).set_linger(Some(Duration::ZERO));
        linger.expect("SO_LINGER");
    }

    /// Reads one frame and keeps it if it is a message; `false` when the socket is closed.
    async fn receive(&mut self) -> bool {
        match self.socket.next().await {
            Some(Ok(message)) => self.keep(message),
            Some(Err(_)) | None => false,
        }
    }

    fn keep(&mut self, message: Message) -> bool {
        match message {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text)
                    .unwrap_or_else(|error| panic!("{} got no JSON: {error}: {text}", self.who));
                self.heard.extend(message["call_id"].as_i64());
                self.kept.push(message);
                true
            }
            Message::Close(frame) => {
                self.reason = frame.as_ref().map(|frame| frame.reason.to_string()).unwrap_or_default();
                self.closed = Some(frame.map_or(1005, |frame| u16::from(frame.code)));
                false
            }
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => true,
        }
    }

    // --- what users' browsers send ---

    /// Rings somebody.
    pub async fn invite(&mut self, callee: &str) {
        self.send(invitation(callee)).await;
    }

    /// Answers.
    pub async fn answer(&mut self, caller: &str) {
        self.send(json!({ "type": "call_answer", "to_user_id": id(caller), "answer": description("answer") })).await;
    }

    /// Says no.
    pub async fn decline(&mut self, caller: &str) {
        self.send(json!({ "type": "call_declined", "to_user_id": id(caller), "call_type": "voice" })).await;
    }

    /// Gives up while it rings.
    pub async fn cancel(&mut self, callee: &str) {
        self.send(json!({ "type": "call_cancelled", "to_user_id": id(callee), "call_type": "voice" })).await;
    }

    /// Hangs up.
    pub async fn hang_up(&mut self, peer: &str) {
        self.send(json!({ "type": "call_ended", "to_user_id": id(peer), "call_type": "voice" })).await;
    }

    /// Sends a candidate.
    pub async fn candidate(&mut self, peer: &str, number: usize) {
        self.send(json!({ "type": "ice_candidate", "to_user_id": id(peer), "candidate": candidate(number) })).await;
    }
}

/// An invitation as the seeds' page sends it.
pub fn invitation(callee: &str) -> Value {
    json!({
        "type": "call_invitation",
        "to_user_id": id(callee),
        "from_name": "Somebody",
        "call_type": "voice",
        "conversation_id": 123,
        "offer": description("offer"),
    })
}

/// A session description: opaque to the service, recognisable to a story.
pub fn description(kind: &str) -> Value {
    json!({ "type": kind, "sdp": format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns={kind}\r\n") })
}

/// A candidate with a number to recognise it by.
pub fn candidate(number: usize) -> Value {
    json!({
        "candidate": format!("candidate:{number} 1 udp 2122260223 192.0.2.1 {} typ host", 50000 + number),
        "sdpMid": "0",
        "sdpMLineIndex": 0,
    })
}

/// Two users in an answered call, everything of its set-up read: the call's id.
pub async fn connect_call(caller: (&mut Socket, &str), callee: (&mut Socket, &str)) -> i64 {
    caller.0.invite(callee.1).await;
    let call = super::rest::call_id(&callee.0.expect("call_invitation").await);
    callee.0.answer(caller.1).await;
    caller.0.expect("call_answer").await;
    call
}
