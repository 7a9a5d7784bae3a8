//! Whose address a request is: the other end's of the connection, or where that is a trusted proxy, whom it names.

use std::net::IpAddr;

use actix_web::{HttpMessage, HttpRequest, web};

use super::Proxies;

/// What was found out of a request that a proxy passed on, so that it is read once.
#[derive(Clone, Copy)]
struct Client(IpAddr);

/// The client's address, in its canonical form. `None` only where there is no connection, as in tests.
pub fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    Some(named_by(request, peer).unwrap_or(peer))
}

/// The client's address where a trusted proxy passed the request on.
pub fn proxied_client(request: &HttpRequest) -> Option<IpAddr> {
    named_by(request, request.peer_addr()?.ip().to_canonical())
}

fn named_by(request: &HttpRequest, peer: IpAddr) -> Option<IpAddr> {
    // Only an app that forgot to register them has none; then nobody is believed.
    let proxies = request.app_data::<web::Data<Proxies>>().filter(|proxies| proxies.trusts(peer))?;
    let known = request.extensions().get::<Client>().copied();
    let Client(client) = known.unwrap_or_else(|| {
        let client =
            Client(proxies.client(peer, request.headers().get_all(proxies.header()).map(|line| line.as_bytes())));
        request.extensions_mut().insert(client);
        client
    });
    Some(client)
}
