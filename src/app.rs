//! Builds everything in order. The only file that knows everyone.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use actix_web::dev::Server;
use actix_web::{App, web};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

use crate::auth::Authenticator;
use crate::call::Rules;
use crate::clock::Clock;
use crate::config::{self, AuthMode, Settings};
use crate::dialect::Caps;
use crate::dialect::channels::Channels;
use crate::dialect::polling::Polling;
use crate::http::about::About;
use crate::http::base_path::BasePath;
use crate::http::gate::Gate;
use crate::http::limits::RestLimits;
use crate::http::log::AccessLog;
use crate::http::origins::Origins;
use crate::http::under_way::UnderWay;
use crate::http::{self, Edge, body, refusal};
use crate::ice::IceServers;
use crate::limits::{Initiates, SocketBudget};
use crate::net::{Connections, Proxies};
use crate::presence::Patience;
use crate::recovery;
use crate::router::{Audience, CallRouter, Directory, MailboxLimits, Mailboxes, RouterSettings, Visibility, VisibleTo};
use crate::server::{self, Reception};
use crate::shutdown::Shutdown;
use crate::sockets::{Members, StoredFacts, TokenAdmission};
use crate::store::{Store, Unseen, Writer, queries};
use crate::ws::channels::ChannelsEdge;
use crate::ws::{self, Sessions, SocketEdge};

/// How often calls that clients reported and left open are looked for.
const SETTLE_EVERY: Duration = Duration::from_secs(3600);

/// Connections there may be beyond the ceiling of sockets, so that requests are served when it is reached. They are
/// files of the reserve that `limits.max_connections` leaves.
const REQUEST_ROOM: usize = 64;

/// How many connections may wait to be taken.
const BACKLOG: i32 = 2048;

/// A running service.
pub struct Service {
    /// The address it listens on, with the port the system chose if none was named.
    pub address: SocketAddr,
    server: Server,
    shutdown: Shutdown,
}

/// Builds the service and starts listening. The error is a sentence.
pub async fn start(settings: &Settings) -> Result<Service, String> {
    // First of all: a second process on the same port must find out before it migrates and recovers the calls
    // of the one that runs. Who connects meanwhile waits in the backlog.
    let bind = settings.server.bind;
    let listener = listen(bind).map_err(|error| format!("cannot listen on {bind}: {error}"))?;
    let clock = Clock::new();
    let store = Store::open(&settings.database.url, !settings.database.migrate).await.map_err(|e| e.to_string())?;
    // What decides calls and what writes them are on a thread of their own, together: neither requests nor sockets hold
    // it up, and what one hands to the other wakes no thread.
    let core = Arbiter::new();
    let writer = writer_on(&core, store.clone()).await?;
    let recovered = recovery::recover(&store, clock).await.map_err(|e| e.to_string())?;
    let authenticator = web::Data::new(Authenticator::new(settings, clock)?);
    {
        let authenticator = authenticator.clone();
        actix_web::rt::spawn(async move { authenticator.keep_keys_fresh().await });
    }
    // Versions of presence rise over restarts, too.
    let versions = u64::try_from(clock.now().wall.timestamp_micros()).unwrap_or_default();
    let directory = Arc::new(Directory::starting_at(versions));
    for (profile, owner) in recovered.profiles {
        directory.assign(profile, owner);
    }
    let visibility = Arc::new(Visibility::new(visible_to(settings)));
    let sessions = Sessions::new(clock, Arc::clone(&directory), Arc::clone(&visibility));
    directory.set_audience(Arc::clone(&sessions) as Arc<dyn Audience>);
    {
        // An arbiter of its own: to write to thousands of sockets holds up nobody but who is told next.
        let watchers = Arbiter::new();
        watchers.spawn(Arc::clone(&sessions).keep_telling());
        watchers.spawn(Arc::clone(&sessions).keep_nudging());
    }
    let ice = IceServers::new(settings, clock);
    let facts = Arc::new(StoredFacts {
        store: store.clone(),
        unseen: Unseen::of(store.clone()),
        ice: ice.clone(),
        heartbeat: settings.presence.heartbeat,
    });
    let limits = MailboxLimits { pending: settings.limits.pending_signals, ..MailboxLimits::default() };
    let mailboxes = Arc::new(Mailboxes::new(clock, limits));
    let router = {
        let initiates = Initiates::new(settings.limits.initiates_per_minute, clock);
        let router_settings = RouterSettings {
            rules: rules(settings),
            patience: patience(settings),
            flush_every: settings.presence.flush_every,
            next_call_id: recovered.highest_call_id + 1,
            may_invite: Box::new(move |user| initiates.take(user)),
        };
        let ledger = Arc::new(writer.clone());
        let (directory, mailboxes) = (Arc::clone(&directory), Arc::clone(&mailboxes));
        CallRouter::start_in_arbiter(&core.handle(), move |_| {
            CallRouter::new(router_settings, clock, directory, mailboxes, ledger, recovered.calls)
        })
    };
    actix_web::rt::spawn(settle_reported(store.clone(), clock));
    let edge = web::Data::new(Edge {
        router: router.clone(),
        directory,
        mailboxes,
        store: store.clone(),
        writer: writer.clone(),
        clock,
        about: About::new(settings, clock),
        visibility,
        ice,
        polling: Polling::new(caps(settings)),
        channels: Channels::new(caps(settings)),
    });
    let admission = TokenAdmission::new(
        authenticator.clone(),
        Arc::clone(&edge.directory),
        router.clone(),
        Arc::clone(&edge.visibility),
        clock,
    );
    let members = Arc::new(Members::new(admission.clone(), settings.conversations_are_open()));
    let sockets = web::Data::new(socket_edge(settings, clock, &router, admission, facts, sessions));
    let open_sockets = Arc::clone(&sockets.connections);
    let channels = web::Data::new(ChannelsEdge::start(sockets.router.clone(), caps(settings), members));
    let origins = web::Data::new(Origins::new(settings)?);
    let proxies = web::Data::new(Proxies::new(settings)?);
    let under_way = web::Data::new(UnderWay::new(settings.limits.sockets_per_address, &proxies));
    let access_log = AccessLog::new(clock, &proxies);
    let room = settings.limits.max_connections.saturating_add(REQUEST_ROOM);
    let reception =
        Reception::new(proxies.clone(), Arc::clone(&open_sockets), settings.limits.sockets_per_address, room);
    let gate = Gate::new(origins.clone(), under_way.clone(), BasePath::new(settings));
    let rest_limits = web::Data::new(RestLimits::new(settings, clock));
    let body_limits = body::BodyLimits::rest(settings);
    let rest = settings.clone();
    let caps = caps(settings);
    // A copy for each worker, and each of them serves requests and asks for upgrades.
    let app = move || {
        App::new()
            .app_data(edge.clone())
            .app_data(sockets.clone())
            .app_data(channels.clone())
            .app_data(authenticator.clone())
            .app_data(origins.clone())
            .app_data(proxies.clone())
            .app_data(under_way.clone())
            .app_data(rest_limits.clone())
            .app_data(body_limits)
            .wrap(gate.clone())
            .wrap(access_log)
            .configure(refusal::extractors)
            .configure(http::frequent_routes)
            .configure(ws::channels::routes)
            .configure(ws::routes(caps))
            .configure(http::routes(&rest))
            .default_service(web::to(refusal::no_such_path))
    };
    let address = listener.local_addr().map_err(|error| format!("cannot listen on {bind}: {error}"))?;
    let server =
        server::serve(listener, None, reception, app).map_err(|error| format!("cannot listen on {bind}: {error}"))?;
    let deadline = settings.server.drain_deadline;
    let shutdown = Shutdown { handle: server.handle(), router, writer, store, sockets: open_sockets, deadline };
    Ok(Service { address, server, shutdown })
}

/// Starts the writer on an arbiter.
async fn writer_on(arbiter: &Arbiter, store: Store) -> Result<Writer, String> {
    let (begun, started) = oneshot::channel();
    // Whoever waits for it stays until it is there.
    arbiter.spawn(async move { drop(begun.send(store.writer())) });
    started.await.map_err(|_| "the writer could not be started".to_owned())
}

fn listen(bind: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&bind.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Service {
    /// Serves until SIGTERM or SIGINT, then drains and stops.
    pub async fn run(self) -> std::io::Result<()> {
        let Self { server, shutdown, .. } = self;
        let stopping = actix_web::rt::spawn(shutdown.when_asked());
        let served = server.await;
        // The server is done before its taking down is: the database is closed last.
        if served.is_ok() && stopping.await.is_err() {
            log::error!("the shutdown did not complete; the next start settles what is missing");
        }
        served
    }
}

/// Ends what clients reported and left open, for ever.
async fn settle_reported(store: Store, clock: Clock) {
    loop {
        tokio::time::sleep(SETTLE_EVERY).await;
        if let Err(error) = queries::settle_reported(&store, clock.now().wall).await {
            log::warn!("reported calls that were left open are ended later: {error}");
        }
    }
}

fn rules(settings: &Settings) -> Rules {
    let call = &settings.call;
    Rules {
        ring_timeout: call.ring_timeout,
        offer_timeout: call.offer_timeout,
        caller_grace: call.caller_grace,
        reconnect_grace: call.reconnect_grace,
        restart_grace: call.restart_grace,
        max_participants: call.max_participants,
        ..Rules::default()
    }
}

fn visible_to(settings: &Settings) -> VisibleTo {
    match settings.presence.visibility {
        config::Visibility::Everyone => VisibleTo::Everyone,
        config::Visibility::Conversations => VisibleTo::Conversations,
        config::Visibility::Nobody => VisibleTo::Nobody,
    }
}

fn patience(settings: &Settings) -> Patience {
    let presence = &settings.presence;
    // Often enough that neither deadline is missed by much.
    let sweep_every =
        (presence.offline_after.min(presence.linger * 4) / 8).clamp(Duration::from_millis(50), Duration::from_secs(1));
    Patience {
        offline_after: presence.offline_after,
        linger: presence.linger,
        devices: settings.limits.devices_per_user,
        sweep_every,
    }
}

fn caps(settings: &Settings) -> Caps {
    let limits = &settings.limits;
    Caps {
        max_sdp: limits.max_sdp_bytes,
        max_candidate: limits.max_candidate_bytes,
        max_name_chars: limits.max_name_chars,
    }
}

fn socket_edge(
    settings: &Settings,
    clock: Clock,
    router: &Addr<CallRouter>,
    admission: TokenAdmission,
    facts: Arc<StoredFacts>,
    sessions: Arc<Sessions>,
) -> SocketEdge {
    let (per_second, burst) = (settings.limits.messages_per_second, settings.limits.message_burst);
    SocketEdge {
        router: Arc::new(ws::RouterPort {
            connect: router.clone().recipient(),
            disconnect: router.clone().recipient(),
            ask: router.clone().recipient(),
            overview: router.clone().recipient(),
            stay: router.clone().recipient(),
            chat: None,
        }),
        clock,
        limits: ws::Limits {
            max_message: settings.limits.max_message_bytes,
            queue: settings.limits.queue,
            ping_every: settings.presence.ping_every,
            pong_within: settings.presence.pong_within,
            ..ws::Limits::default()
        },
        admission: Arc::new(admission),
        profile_types: settings.auth.profile_types.clone(),
        budget: Arc::new(move |_| {
            let mut budget = SocketBudget::new(per_second, burst);
            Box::new(move |now| budget.take(now))
        }),
        facts,
        sessions,
        connections: Arc::new(Connections::new(settings.limits.sockets_per_address, settings.limits.max_connections)),
    }
}

/// What to look at first, for whoever started the service by hand.
pub fn greeting(settings: &Settings, address: SocketAddr) -> String {
    let base = &settings.server.base_path;
    let slash = if base.is_empty() { "" } else { "/" };
    let mut text = format!("switchboard is listening on http://{address}{base}{slash}\n");
    if settings.auth.mode == AuthMode::Dev {
        let page = format!("http://{address}{base}/?user=");
        text.push_str(&format!("  two windows make a call: {page}1 and {page}2\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_names_the_path_it_is_below() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let mut settings = Settings::defaults().unwrap();
        let said = greeting(&settings, address);
        assert!(said.starts_with("switchboard is listening on http://127.0.0.1:8080\n"), "{said}");
        assert!(said.contains("http://127.0.0.1:8080/?user=1 and"), "{said}");
        settings.server.base_path = "/calls".to_owned();
        let said = greeting(&settings, address);
        assert!(said.starts_with("switchboard is listening on http://127.0.0.1:8080/calls/\n"), "{said}");
        assert!(said.contains("http://127.0.0.1:8080/calls/?user=1 and"), "{said}");
    }
}
