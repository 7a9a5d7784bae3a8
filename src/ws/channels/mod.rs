//! The sockets of the channels dialect: `/ws/notifications/` and `/ws/chat/{conversation_id}/`.
//!
//! One page opens several of them and acts by REST beside them, so to the core they are one device: the
//! [`ChannelsHub`] stands between the sessions and the router and bundles them ([`bundle::Bundle`]).

mod bundle;
mod hub;

use std::net::IpAddr;
use std::sync::Arc;

use actix::{Actor, Addr, Arbiter};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;

use super::lapse::Kept;
use super::outlet::{Identity, RouterPort, SocketOutlet};
use super::session::{Parts, WsSession};
use super::wire::{Input, Wire};
use super::{Admitted, Denied, Freshness, SocketEdge, chosen_device, no_such_socket, refuse, upgrade};
use crate::dialect::Caps;
use crate::dialect::channels::Channels;
use crate::ids::{ConversationId, DeviceId, SessionId, UserId};
use crate::net::client_address;
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
            stay: hub.clone().recipient(),
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
    for slash in ["", "/"] {
        let [own, one] = ["/ws/notifications", "/ws/chat/{conversation}"].map(|path| format!("{path}{slash}"));
        config.service(web::resource(own).route(web::get().to(notifications)));
        config.service(web::resource(one).route(web::get().to(chat)));
    }
}

async fn notifications(
    req: HttpRequest,
    sockets: web::Data<SocketEdge>,
    edge: web::Data<ChannelsEdge>,
) -> HttpResponse {
    open(req, Place::Notifications, sockets, edge).await
}

async fn chat(
    req: HttpRequest,
    path: web::Path<String>,
    sockets: web::Data<SocketEdge>,
    edge: web::Data<ChannelsEdge>,
) -> HttpResponse {
    match ConversationId::parse(&path) {
        Ok(conversation) => open(req, Place::Chat(conversation), sockets, edge).await,
        Err(rule) => no_such_socket(Some(rule)),
    }
}

async fn open(
    req: HttpRequest,
    place: Place,
    sockets: web::Data<SocketEdge>,
    edge: web::Data<ChannelsEdge>,
) -> HttpResponse {
    let device = match chosen_device(&req) {
        Ok(chosen) => DeviceId::channels(chosen.as_ref()),
        Err(why) => return refuse(StatusCode::BAD_REQUEST, "invalid", &why),
    };
    let verdict = sockets.keep(edge.admission.admit(&req, &place).await, &device).await;
    let address = client_address(&req);
    upgrade(&req, sockets.into_inner(), verdict, move |sockets, admitted, input, wire| {
        begin(sockets, &edge, (admitted, address), (device, place), input, wire);
    })
}

/// Starts the session of an admitted socket. To the hub it goes by a device id of its own.
fn begin(
    sockets: &Arc<SocketEdge>,
    edge: &ChannelsEdge,
    ((admitted, kept), address): ((Admitted, Option<Kept>), Option<IpAddr>),
    (device, place): (DeviceId, Place),
    input: Input,
    wire: Wire,
) {
    let Admitted { user, name, expires_at, sees_all, .. } = admitted;
    let socket = DeviceId::generate();
    let session = SessionId::next();
    let who = Identity { user: user.clone(), name, profile: None, device: socket, session, address, sees_all };
    let outlet = SocketOutlet::new(
        who,
        edge.dialect.clone(),
        Arc::clone(wire.outbox()),
        edge.port.clone(),
        sockets.clock,
        sockets.sessions.clone(),
    );
    // By the same mailbox as what the session sends, and before it.
    edge.hub.do_send(Enter { outlet: outlet.clone(), device, place: place.clone() });
    let admission = edge.admission.clone();
    let parts = Parts {
        outlet,
        router: edge.port.clone(),
        edge: Arc::clone(sockets),
        budget: (sockets.budget)(&user),
        expires_at,
        kept,
        verifier: Box::new(move |token| admission.refresh(user.clone(), place.clone(), token)),
        input,
    };
    WsSession::open(parts, wire);
}
