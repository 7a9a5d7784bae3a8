//! Sockets: their paths, who may open one, and how many there may be.
//!
//! What can be refused cheaply is refused before the upgrade: a bad origin or path (403, 404), a bad device id
//! (400), too many connections (503: an upgraded socket would cost what there is too little of). A bad token
//! is refused after it (4401, 4403), because a browser cannot see an HTTP status here and would try for ever.

mod batch;
pub mod channels;
pub mod close;
mod ear;
mod following;
pub mod frames;
mod greeting;
pub mod handshake;
mod lapse;
mod log;
mod mode;
pub mod outbox;
pub mod outlet;
mod relay;
mod resumable;
pub mod session;
pub mod sessions;
mod telling;
mod tenure;
pub mod upgrade;
mod watch;
pub mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use futures_util::future::LocalBoxFuture;

use crate::clock::{Clock, Timestamp};
use crate::dialect::{Addressing, Caps, DIALECTS, Dialect};
use crate::ids::{DeviceId, InvalidId, SessionId, UserId};
use crate::net::{Connections, client_address};
use crate::router::KEPT_FOR;
use crate::signal::{Profile, Refusal};
use close::Close;
use lapse::Kept;
use outlet::{Identity, SocketOutlet};
use session::{Parts, WsSession};
use upgrade::Accepted;
use wire::{Input, Wire};

pub use outlet::RouterPort;
pub use session::SocketBudget;
pub use sessions::Sessions;

/// First path segments under `/ws/` that belong to other endpoints, so that no user and no profile has them.
const RESERVED: [&str; 2] = ["notifications", "chat"];

/// What a socket may do and how long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message read, in bytes.
    pub max_message: usize,
    /// How many frames may wait to be written.
    pub queue: usize,
    /// How many bytes may wait to be written.
    pub queue_bytes: usize,
    /// How often a client is pinged.
    pub ping_every: Duration,
    /// How long its pong may take.
    pub pong_within: Duration,
    /// How long the closing handshake may take.
    pub close_within: Duration,
    /// So many malformed messages …
    pub malformed: usize,
    /// … within this time close the socket.
    pub malformed_window: Duration,
    /// How long a call keeps a socket whose token has expired.
    pub kept_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 64 * 1024,
            queue: 256,
            queue_bytes: 512 * 1024,
            ping_every: Duration::from_secs(25),
            pong_within: Duration::from_secs(10),
            close_within: Duration::from_secs(3),
            malformed: 5,
            malformed_window: Duration::from_secs(10),
            kept_for: KEPT_FOR,
        }
    }
}

/// Whom a request may open a socket as.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The user the token names.
    pub user: UserId,
    /// Their name from the token.
    pub name: Option<String>,
    /// When the token expires. Where it has, the socket may be opened for the call its device is in alone.
    pub expires_at: Option<Timestamp>,
    /// The conversations their token names.
    pub conversations: Option<Vec<String>>,
    /// Whether everybody is visible to them: admins and services.
    pub sees_all: bool,
}

/// Whose a socket's path says it is.
#[derive(Debug, Clone, Copy)]
pub enum Door<'a> {
    /// `/ws/{user_id}`
    User(&'a UserId),
    /// `/ws/{profile_id}/{role}`
    Profile(&'a Profile),
}

/// Why a request may not open a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Refused before the upgrade: a page from elsewhere.
    Refused(Refusal),
    /// No token, or none that holds, as the sentence says: 4401 after it.
    Unauthorized(String),
    /// Not this token's address: 4403 after it.
    Forbidden,
    /// That could not be found out in time: 1013 after it.
    Overloaded,
}

/// Until when a fresh token holds (`None`: for ever), or why it does not.
pub type Freshness = LocalBoxFuture<'static, Result<Option<Timestamp>, Refusal>>;

/// Who may open sockets. Implemented by authentication.
pub trait Admission: Send + Sync {
    /// Judges a request for a socket. May take its time with who has failed too often.
    fn admit<'a>(&'a self, req: &'a HttpRequest, door: Door<'a>) -> LocalBoxFuture<'a, Result<Admitted, Denied>>;

    /// Judges a fresh token sent on the open socket of `user`, who shows `profile` there and may see everybody where
    /// `sees_all`: when it expires, or why it does not hold.
    fn refresh(&self, user: UserId, profile: Option<Profile>, sees_all: bool, token: String) -> Freshness;
}

/// What a welcome says that sockets do not know by themselves.
pub trait Facts: Send + Sync {
    /// STUN and TURN for a user, as `RTCPeerConnection` takes them.
    fn ice_servers(&self, user: &UserId) -> serde_json::Value;

    /// How often a client should give a proof of life.
    fn heartbeat_ms(&self) -> u64;

    /// How many missed calls a user has not seen; `None` while that cannot be found out.
    fn unseen_missed(&self, user: UserId) -> LocalBoxFuture<'static, Option<u64>>;

    /// When users were last seen before this process; those nobody knows are left out.
    fn last_seen(&self, users: Vec<UserId>) -> LocalBoxFuture<'static, HashMap<UserId, Timestamp>>;
}

/// Everything the socket routes need; shared as `web::Data`.
pub struct SocketEdge {
    /// The router.
    pub router: Arc<RouterPort>,
    /// The clock.
    pub clock: Clock,
    /// The limits.
    pub limits: Limits,
    /// Who may.
    pub admission: Arc<dyn Admission>,
    /// The roles there are.
    pub profile_types: Vec<String>,
    /// Makes the message budget of a new socket of a user.
    pub budget: Arc<dyn Fn(&UserId) -> SocketBudget + Send + Sync>,
    /// What a welcome says.
    pub facts: Arc<dyn Facts>,
    /// Sessions that can be resumed, and who watches whom.
    pub sessions: Arc<Sessions>,
    /// The sockets there are, and from where.
    pub connections: Arc<Connections>,
}

/// Adds the socket routes of every dialect in the table. The app needs a `web::Data<SocketEdge>`. Other paths under
/// `/ws/` must be added before: what is left is answered 404 here.
pub fn routes(caps: Caps) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        for served in DIALECTS {
            let dialect = web::Data::from((served.make)(caps));
            // Two resources, as one of several paths tries each of them twice.
            for path in [served.path.to_owned(), format!("{}/", served.path)] {
                let resource = web::resource(path).app_data(dialect.clone());
                config.service(match served.addressing {
                    Addressing::User => resource.route(web::get().to(open_user)),
                    Addressing::Profile => resource.route(web::get().to(open_profile)),
                });
            }
        }
        config.service(web::resource("/ws/{tail:.*}").to(async || no_such_socket(None)));
    }
}

/// A path that names nobody: where it is for want of an id, the rule says why.
fn no_such_socket(broken: Option<InvalidId>) -> HttpResponse {
    let why = broken.map_or_else(|| "no such socket".to_owned(), |rule| format!("no such socket: {rule}"));
    refuse(StatusCode::NOT_FOUND, "not_found", &why)
}

/// The query of a socket's address, as far as it is read here.
#[derive(serde::Deserialize)]
struct Query {
    device_id: Option<String>,
}

async fn open_user(
    req: HttpRequest,
    path: web::Path<String>,
    edge: web::Data<SocketEdge>,
    dialect: web::Data<dyn Dialect>,
) -> HttpResponse {
    match UserId::parse(&path) {
        Ok(user) if !RESERVED.contains(&path.as_str()) => {
            open(req, edge, dialect.into_inner(), Door::User(&user)).await
        }
        Ok(_) => no_such_socket(None),
        Err(rule) => no_such_socket(Some(rule)),
    }
}

async fn open_profile(
    req: HttpRequest,
    path: web::Path<(String, String)>,
    edge: web::Data<SocketEdge>,
    dialect: web::Data<dyn Dialect>,
) -> HttpResponse {
    let (id, kind) = path.into_inner();
    let known = !RESERVED.contains(&id.as_str()) && edge.profile_types.contains(&kind);
    if !known {
        return no_such_socket(None);
    }
    let profile = Profile { kind, id };
    // A path segment may hold anything; the key is checked as a user id is.
    match UserId::parse(&profile.id).and_then(|_| profile.key()) {
        Ok(_) => open(req, edge, dialect.into_inner(), Door::Profile(&profile)).await,
        Err(rule) => no_such_socket(Some(rule)),
    }
}

async fn open(
    req: HttpRequest,
    edge: web::Data<SocketEdge>,
    dialect: Arc<dyn Dialect>,
    door: Door<'_>,
) -> HttpResponse {
    let device = match chosen_device(&req) {
        Ok(chosen) => chosen.unwrap_or_else(DeviceId::generate),
        Err(why) => return refuse(StatusCode::BAD_REQUEST, "invalid", &why),
    };
    let verdict = edge.keep(edge.admission.admit(&req, door).await, &device).await;
    let profile = match door {
        Door::User(_) => None,
        Door::Profile(profile) => Some(profile.clone()),
    };
    let address = client_address(&req);
    upgrade(&req, edge.into_inner(), verdict, move |edge, admitted, input, wire| {
        begin(edge, dialect, profile, (admitted, address), device, input, wire);
    })
}

/// The device a client names in its query, if it does; a sentence where that is no name.
fn chosen_device(req: &HttpRequest) -> Result<Option<DeviceId>, String> {
    let query = web::Query::<Query>::from_query(req.query_string()).map_err(|_| "the query cannot be read")?;
    let chosen = query.into_inner().device_id.filter(|id| !id.is_empty());
    chosen.map(|id| DeviceId::parse(&id)).transpose().map_err(|why| format!("device_id: {why}"))
}

/// Upgrades a request that was judged, if there is room, and begins with what came of it: a session, or a
/// farewell.
fn upgrade(
    req: &HttpRequest,
    edge: Arc<SocketEdge>,
    verdict: Result<(Admitted, Option<Kept>), Denied>,
    begin: impl FnOnce(&Arc<SocketEdge>, (Admitted, Option<Kept>), Input, Wire) + 'static,
) -> HttpResponse {
    let admitted = match verdict {
        Err(Denied::Refused(why)) => return why.error_response(),
        Err(Denied::Unauthorized(why)) => Err(Close::Unauthorized.frame_saying(&why)),
        Err(Denied::Forbidden) => Err(Close::Forbidden.frame()),
        Err(Denied::Overloaded) => Err(Close::Overload.frame()),
        Ok(admitted) => Ok(admitted),
    };
    let mut response = match handshake::accept(req) {
        Ok(response) => response,
        Err(why) => return why.error_response(),
    };
    let lease = match edge.connections.take(client_address(req)) {
        Ok(lease) => lease,
        Err(full) => return full.error_response(),
    };
    let mut response = response.finish();
    response.extensions_mut().insert(Accepted::new(move |raw| {
        let (input, mut wire) = Wire::open(raw, lease, &edge.limits);
        match admitted {
            Ok(admitted) => begin(&edge, admitted, input, wire),
            Err(why) => {
                wire.answer();
                let farewell = handshake::farewell(why, Arc::clone(wire.outbox()), input, edge.limits.close_within);
                wire.serve(Box::pin(farewell));
            }
        }
    }));
    response
}

/// Starts the session of an admitted socket.
fn begin(
    edge: &Arc<SocketEdge>,
    dialect: Arc<dyn Dialect>,
    profile: Option<Profile>,
    ((admitted, kept), address): ((Admitted, Option<Kept>), Option<IpAddr>),
    device: DeviceId,
    input: Input,
    wire: Wire,
) {
    let Admitted { user, name, expires_at, conversations, sees_all } = admitted;
    edge.sessions.learn(&user, conversations.as_deref());
    let session = SessionId::next();
    let who = Identity { user: user.clone(), name, profile: profile.clone(), device, session, address, sees_all };
    let admission = edge.admission.clone();
    let outbox = Arc::clone(wire.outbox());
    let parts = Parts {
        outlet: SocketOutlet::new(who, dialect, outbox, edge.router.clone(), edge.clock, edge.sessions.clone()),
        router: edge.router.clone(),
        edge: Arc::clone(edge),
        budget: (edge.budget)(&user),
        expires_at,
        kept,
        verifier: Box::new(move |token| admission.refresh(user.clone(), profile.clone(), sees_all, token)),
        input,
    };
    WsSession::open(parts, wire);
}

fn refuse(status: StatusCode, code: &str, error: &str) -> HttpResponse {
    HttpResponse::build(status).json(serde_json::json!({"success": false, "error": error, "code": code}))
}
