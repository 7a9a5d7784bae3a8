//! The REST edge: who asks, from where, how much, and how a "no" looks. Handlers turn requests into
//! commands and queries, and their answers into JSON; they decide nothing.

pub mod about;
mod admin;
pub mod auth;
pub mod body;
mod call;
mod call_logs;
mod calls;
mod channels;
mod export;
pub mod gate;
mod ice;
pub mod limits;
pub mod log;
mod missed;
mod ops;
mod pages;
pub mod refusal;
mod stats;
mod status;
mod users;

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::web::{self, ServiceConfig};

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

/// Adds the REST routes and the pages. Wants `web::Data` of [`Edge`] and of what [`auth`], [`gate`] and
/// [`limits`] name.
pub fn routes(settings: &Settings) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let signal_body = body::BodyLimits::signal(settings);
    move |config| {
        config
            .service(at("/healthz").route(web::get().to(ops::healthz)).route(web::head().to(ops::healthz)))
            .service(at("/readyz").route(web::get().to(ops::readyz)).route(web::head().to(ops::readyz)))
            .service(at("/api/about").route(web::get().to(about::about)))
            .service(at("/api/dev/token").route(web::post().to(auth::dev_token)))
            .service(at("/api/status/heartbeat").route(web::post().to(status::heartbeat)))
            .service(at("/api/status/update").route(web::post().to(status::update)))
            .service(at("/api/status/query").route(web::post().to(status::query)))
            .service(at("/api/status/user/{id}").route(web::get().to(status::user)))
            .service(at("/api/ice-servers").route(web::get().to(ice::servers)))
            .service(at("/api/call/signals").route(web::get().to(call::signals)))
            .service(at("/api/call/missed").route(web::get().to(missed::missed)))
            .service(at("/api/call/mark-seen/{id}").route(web::post().to(missed::mark_seen)))
            .service(at("/api/call/mark-all-seen").route(web::post().to(missed::mark_all_seen)))
            .service(at("/api/call/history/{user_id}").route(web::get().to(call::history)))
            .service(
                at("/api/call/{action:initiate|answer|reject|hangup|signal}")
                    .app_data(signal_body)
                    .route(web::post().to(call::act)),
            )
            .service(
                at("/api/call-logs").route(web::get().to(call_logs::by_query)).route(web::post().to(call_logs::create)),
            )
            .service(
                at("/api/call-logs/{id}")
                    .route(web::get().to(call_logs::by_path))
                    .route(web::put().to(call_logs::update)),
            )
            .service(at("/api/calls").route(web::get().to(calls::list)))
            .service(at("/api/calls.csv").route(web::get().to(calls::table)))
            .service(at("/api/calls/stats").route(web::get().to(stats::stats)))
            .service(at("/api/calls/initiate").app_data(signal_body).route(web::post().to(channels::initiate)))
            .service(at("/api/calls/{id}/{action:accept|reject|end}").route(web::post().to(channels::act)))
            .service(at("/api/calls/{id}").route(web::get().to(calls::one)))
            .service(at("/api/calls/{id}/events").route(web::get().to(calls::events)))
            .service(at("/api/users").route(web::get().to(users::list)))
            .service(at("/api/admin/overview").route(web::get().to(admin::overview)))
            .service(at("/api/admin/calls").route(web::get().to(admin::calls)))
            .service(at("/api/admin/calls/{id}/kill").route(web::post().to(admin::kill)))
            .service(at("/api/admin/sessions").route(web::get().to(admin::sessions)))
            .service(at("/api/admin/sessions/{id}/close").route(web::post().to(admin::close)))
            .service(at("/api/admin/nodes").route(web::get().to(admin::nodes)))
            .configure(pages::routes);
    }
}

/// A resource at a path, with and without a trailing slash; other methods are answered 405.
fn at(path: &str) -> actix_web::Resource {
    web::resource([path.to_owned(), format!("{path}/")]).default_service(web::to(refusal::no_such_method))
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
