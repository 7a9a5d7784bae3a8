//! The REST edge: who asks, from where, how much, and how a "no" looks. Handlers turn requests into
//! commands and queries, and their answers into JSON; they decide nothing.

pub mod about;
mod admin;
pub mod auth;
pub mod base_path;
mod bodiless;
pub mod body;
mod call;
mod call_logs;
mod calls;
mod channels;
mod coding;
mod credentials;
mod dev_token;
mod export;
pub mod gate;
mod ice;
pub mod lapsed;
mod lean;
pub mod limits;
pub mod log;
mod me;
mod missed;
mod ops;
pub mod origins;
mod pages;
mod query;
pub mod refusal;
mod stats;
mod status;
pub mod under_way;
mod users;

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::http::header::HeaderValue;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route, guard};

use crate::clock::Clock;
use crate::config::Settings;
use crate::dialect::channels::Channels;
use crate::dialect::polling::Polling;
use crate::ice::IceServers;
use crate::router::messages::{Ask, Peer, Reply, ReplyTo};
use crate::router::{CallRouter, Directory, Mailboxes, Visibility};
use crate::signal::{Command, Refusal};
use crate::store::{Store, StoreError, Writer};
use about::About;
use credentials::HasEffect;

/// How long a request waits for the router's answer. The writer answers within less.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What handlers work with. As app data `web::Data<Edge>`, one for all workers.
pub struct Edge {
    /// The router.
    pub router: Addr<CallRouter>,
    /// Who is shown how.
    pub directory: Arc<Directory>,
    /// What waits for polling clients.
    pub mailboxes: Arc<Mailboxes>,
    /// The read side of the database.
    pub store: Store,
    /// The write side.
    pub writer: Writer,
    /// The clock.
    pub clock: Clock,
    /// What this process is.
    pub about: About,
    /// Who may see how users stand.
    pub visibility: Arc<Visibility>,
    /// STUN and TURN.
    pub ice: IceServers,
    /// How polling clients speak.
    pub polling: Polling,
    /// How pages of the channels dialect speak by REST.
    pub channels: Channels,
}

/// Adds the routes most requests are for. Paths are compared in the order in which they were added, so these come
/// first.
pub fn frequent_routes(config: &mut ServiceConfig) {
    at(config, "/api/status/heartbeat", |here| here.route(web::post().to(status::heartbeat)));
}

/// Adds the other REST routes, and the pages. Wants `web::Data` of [`Edge`] and of what [`auth`] and [`limits`] name.
pub fn routes(settings: &Settings) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let signal_body = body::BodyLimits::signal(settings);
    move |config| {
        at(config, "/healthz", |here| here.route(reading().to(ops::healthz)));
        at(config, "/readyz", |here| here.route(reading().to(ops::readyz)));
        at(config, "/api/about", |here| here.route(reading().to(about::about)));
        at(config, "/api/me", |here| here.route(reading().to(me::me)));
        at(config, "/api/dev/token", |here| here.route(web::post().to(dev_token::dev_token)));
        at(config, "/api/status/update", |here| here.route(web::post().to(status::update)));
        at(config, "/api/status/query", |here| here.route(web::post().to(status::query)));
        at(config, "/api/status/user/{id}", |here| here.route(reading().to(status::user)));
        at(config, "/api/ice-servers", |here| here.route(reading().to(ice::servers)));
        // Reading these is an act: it takes them out of the box. `HEAD` must not.
        guarded(config, "/api/call/signals", |here| here.route(web::get().to(call::signals)));
        at(config, "/api/call/missed", |here| here.route(reading().to(missed::missed)));
        at(config, "/api/call/mark-seen/{id}", |here| here.route(web::post().to(missed::mark_seen)));
        at(config, "/api/call/mark-all-seen", |here| here.route(web::post().to(missed::mark_all_seen)));
        at(config, "/api/call/history/{user_id}", |here| here.route(reading().to(call::history)));
        at(config, "/api/call/{action:initiate|answer|reject|hangup|signal}", |here| {
            here.app_data(signal_body).route(web::post().to(call::act))
        });
        at(config, "/api/call-logs", |here| {
            here.route(reading().to(call_logs::by_query)).route(web::post().to(call_logs::create))
        });
        at(config, "/api/call-logs/{id}", |here| {
            here.route(reading().to(call_logs::by_path)).route(web::put().to(call_logs::update))
        });
        at(config, "/api/calls", |here| here.route(reading().to(calls::list)));
        at(config, "/api/calls.csv", |here| here.route(reading().to(calls::table)));
        at(config, "/api/calls/stats", |here| here.route(reading().to(stats::stats)));
        at(config, "/api/calls/initiate", |here| here.app_data(signal_body).route(web::post().to(channels::initiate)));
        at(config, "/api/calls/{id}/{action:accept|reject|end}", |here| here.route(web::post().to(channels::act)));
        at(config, "/api/calls/{id}", |here| here.route(reading().to(calls::one)));
        at(config, "/api/calls/{id}/events", |here| here.route(reading().to(calls::events)));
        at(config, "/api/users", |here| here.route(reading().to(users::list)));
        guarded(config, "/api/admin/overview", |here| here.route(reading().to(admin::overview)));
        guarded(config, "/api/admin/calls", |here| here.route(reading().to(admin::calls)));
        guarded(config, "/api/admin/calls/{id}/kill", |here| here.route(web::post().to(admin::kill)));
        guarded(config, "/api/admin/sessions", |here| here.route(reading().to(admin::sessions)));
        guarded(config, "/api/admin/sessions/{id}/close", |here| here.route(web::post().to(admin::close)));
        guarded(config, "/api/admin/nodes", |here| here.route(reading().to(admin::nodes)));
        pages::routes(config);
    }
}

/// Adds a resource at a path, with and without a trailing slash; other methods are answered 405. It is two resources, as
/// a literal path is compared, and one of several a regular expression for each request that comes by.
fn at(config: &mut ServiceConfig, path: &str, routes: impl Fn(Resource) -> Resource) {
    for path in [path.to_owned(), format!("{path}/")] {
        config.service(routes(web::resource(path).default_service(web::to(refusal::no_such_method))));
    }
}

/// As [`at`], where reading has an effect, too: what waits is taken, or what only administrators see is shown.
fn guarded(config: &mut ServiceConfig, path: &str, routes: impl Fn(Resource) -> Resource) {
    at(config, path, |here| routes(here.app_data(HasEffect)));
}

/// A route for reading: `GET`, and `HEAD`, which has the same answer without its body.
fn reading() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// The answer where there is nothing to say but that it was done.
fn done() -> HttpResponse {
    HttpResponse::Ok().content_type(HeaderValue::from_static("application/json")).body(r#"{"success":true}"#)
}

/// Asks the router and waits for its answer.
async fn ask(edge: &Edge, peer: Peer, command: Command) -> Result<Reply, Refusal> {
    let (reply, answer) = ReplyTo::channel();
    let busy = Refusal::Unavailable("the router");
    edge.router.try_send(Ask { peer, command, reply }).map_err(|_| busy.clone())?;
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(busy),
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        ::log::warn!("{error}");
        Self::Unavailable("the database")
    }
}
