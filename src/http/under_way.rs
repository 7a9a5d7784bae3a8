//! How many requests an address may have under way: of those that come through a trusted proxy all are counted, of
//! others those that wait for something to happen. The rest are over in a moment, and bounded by their connections
//! (`server/reception.rs`), so that a heartbeat costs nothing here.

use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage, HttpRequest, web};

use crate::net::{Connections, Full, Lease, Proxies, client_address, proxied_client};

/// Counts requests while they are under way, their answers included. As app data `web::Data<UnderWay>`, one for all workers;
/// the gate asks it.
pub struct UnderWay {
    requests: Arc<Connections>,
    /// Whether any come through a proxy.
    proxied: bool,
}

impl UnderWay {
    /// So many at a time of each address.
    pub fn new(per_address: usize, proxies: &Proxies) -> Self {
        // How many there are in all is bounded by the connections they come on.
        Self { requests: Arc::new(Connections::new(per_address, usize::MAX)), proxied: !proxies.are_none() }
    }

    /// Counts a request that is going to wait, if it is not counted already.
    pub fn wait(request: &HttpRequest) -> Result<(), Full> {
        let Some(requests) = request.app_data::<web::Data<Self>>() else { return Ok(()) };
        if !request.extensions().contains::<Lease>() {
            let lease = requests.requests.take(client_address(request))?;
            request.extensions_mut().insert(lease);
        }
        Ok(())
    }

    /// Counts a request that a trusted proxy passed on, until its answer was sent: the request is kept until then, by the
    /// access log.
    pub fn count(&self, request: &ServiceRequest) -> Result<(), Full> {
        if self.proxied
            && let Some(client) = proxied_client(request.request())
        {
            let lease = self.requests.take(Some(client))?;
            request.extensions_mut().insert(lease);
        }
        Ok(())
    }
}
