//! The sockets of the channels dialect: `/ws/notifications/` and `/ws/chat/{conversation_id}/`.
//!
//! One page opens several of them and acts by REST beside them, so to the core they are one device: the
//! [`ChannelsHub`] stands between the sessions and the router and bundles them ([`bundle::Bundle`]).

mod bundle;
mod hub;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix::{Actor, Addr, Arbiter};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use futures_util::future::LocalBoxFuture;

use super::close::Close;
use super::outbox::{Body, Outbox};
use super::outlet::{Identity, RouterPort, SocketOutlet};
use super::session::{Parts, WsSession};
use super::{Admitted, Denied, Freshness, Query, SocketEdge, handshake, refuse};
use crate::dialect::Caps;
use crate::dialect::channels::Channels;
use crate::ids::{ConversationId, DeviceId, SessionId, UserId};
use hub::Enter;

pub use hub::{ChannelsHub, Said};

/// What a socket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Whatever concerns the user, wherever on the site they are.
    Notifications,
    /// One conversation.
    Chat(ConversationId),
}

/// Who may open these sockets. Implemented by authentication.
pub trait ChannelsAdmission: Send + Sync {
    /// Judges a request; the token says who asks, and whether they may join the conversation.
    fn admit<'a>(&'a self, req: &'a HttpRequest, place: &'a Place) -> LocalBoxFuture<'a, Result<Admitted, Denied>>;

    /// Judges a fresh token sent on the open socket of `user`.
    fn refresh(&self, user: UserId, place: Place, token: String) -> Freshness;
}

/// What these routes need beside [`SocketEdge`]; shared as `web::Data`.
pub struct ChannelsEdge {
    hub: Addr<ChannelsHub>,
    /// The hub, in the place of the router.
    port: Arc<RouterPort>,
    dialect: Arc<Channels>,
    admission: Arc<dyn ChannelsAdmission>,
}

impl ChannelsEdge {
    /// Starts the hub in front of the router, on an arbiter of its own.
    pub fn start(router: Arc<RouterPort>, caps: Caps, admission: Arc<dyn ChannelsAdmission>) -> Self {
        let dialect = Arc::new(Channels::new(caps));
        let overview = router.overview.clone();
        let hub = ChannelsHub::start_in_arbiter(&Arbiter::new().handle(), move |_| ChannelsHub::new(router));
        let port = Arc::new(RouterPort {
            connect: hub.clone().recipient(),
            disconnect: hub.clone().recipient(),
            ask: hub.clone().recipient(),
            // These sockets do not say hello; whoever asks asks the router.
            overview,
            chat: Some(hub.clone().recipient()),
        });
        Self { hub, port, dialect, admission }
    }
}

/// Adds the routes. They win over patterns that would match them, so they must be added before [`super::routes`].
/// The app needs a `web::Data` of [`SocketEdge`] and of [`ChannelsEdge`].
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource(["/ws/notifications", "/ws/notifications/"]).route(web::get().to(notifications)))
        .service(web::resource(["/ws/chat/{conversation}", "/ws/chat/{conversation}/"]).route(web::get().to(chat)));
}

async fn notifications(
    req: HttpRequest,
    payload: web::Payload,
    sockets: web::Data<SocketEdge>,
    edge: web::Data<ChannelsEdge>,
) -> HttpResponse {
    open(req, payload, Place::Notifications, &sockets, &edge).await
}

async fn chat(
    req: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    sockets: web::Data<SocketEdge>,
    edge: web::Data<ChannelsEdge>,
) -> HttpResponse {
    match ConversationId::parse(&path) {
        Ok(conversation) => open(req, payload, Place::Chat(conversation), &sockets, &edge).await,
        Err(_) => refuse(StatusCode::NOT_FOUND, "not_found", "no such socket"),
    }
}

async fn open(
    req: HttpRequest,
    payload: web::Payload,
    place: Place,
    sockets: &SocketEdge,
    edge: &ChannelsEdge,
) -> HttpResponse {
    let Ok(query) = web::Query::<Query>::from_query(req.query_string()) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid", "the query cannot be read");
    };
    let chosen = query.into_inner().device_id.filter(|id| !id.is_empty());
    let device = match chosen.map(|id| DeviceId::parse(&id)).transpose() {
        Ok(chosen) => DeviceId::channels(chosen.as_ref()),
        Err(why) => return refuse(StatusCode::BAD_REQUEST, "invalid", &format!("device_id: {why}")),
    };
    let admitted = match edge.admission.admit(&req, &place).await {
        Err(Denied::BadOrigin) => return refuse(StatusCode::FORBIDDEN, "forbidden", "this origin is not allowed"),
        Err(Denied::Unauthorized) => Err(Close::Unauthorized),
        Err(Denied::Forbidden) => Err(Close::Forbidden),
        Ok(admitted) => Ok(admitted),
    };
    let mut response = match handshake::accept(&req) {
        Ok(response) => response,
        Err(why) => return why.error_response(),
    };
    let address = req.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let Some(lease) = sockets.connections.take(address, &sockets.limits) else {
        let mut full = refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "too many connections; try again later");
        full.headers_mut().insert(actix_web::http::header::RETRY_AFTER, 10.into());
        return full;
    };
    let outbox = Outbox::new(sockets.limits.queue, sockets.limits.queue_bytes);
    let body = Body::new(outbox.clone(), lease);
    match admitted {
        Ok(admitted) => begin(sockets, edge, admitted, (device, place), outbox, payload),
        Err(why) => {
            actix_web::rt::spawn(handshake::farewell(why, outbox, payload, sockets.limits.close_within));
        }
    }
    response.streaming(body)
}

/// Starts the session of an admitted socket. To the hub it goes by a device id of its own.
fn begin(
    sockets: &SocketEdge,
    edge: &ChannelsEdge,
    admitted: Admitted,
    (device, place): (DeviceId, Place),
    outbox: Arc<Outbox>,
    payload: web::Payload,
) {
    let Admitted { user, name, expires_at, sees_all, .. } = admitted;
    let socket = DeviceId::generate();
    let session = SessionId::next();
    let who = Identity { user: user.clone(), name, profile: None, device: socket, session, sees_all };
    let outlet = SocketOutlet::new(
        who,
        edge.dialect.clone(),
        outbox,
        edge.port.clone(),
        sockets.clock,
        sockets.sessions.clone(),
    );
    // By the same mailbox as what the session sends, and before it.
    edge.hub.do_send(Enter { outlet: outlet.clone(), device, place: place.clone() });
    let admission = edge.admission.clone();
    WsSession::open(Parts {
        outlet,
        facts: sockets.facts.clone(),
        sessions: sockets.sessions.clone(),
        router: edge.port.clone(),
        clock: sockets.clock,
        limits: sockets.limits,
        budget: (sockets.budget)(&user),
        expires_at,
        verifier: Box::new(move |token| admission.refresh(user.clone(), place.clone(), token)),
        payload,
    });
}
