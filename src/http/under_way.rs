//! How many requests an address may have under way: of those that come through a trusted proxy all are counted, of
//! others those that wait for something to happen. The rest are over in a moment, and bounded by their connections
//! (`server/reception.rs`), so that a heartbeat costs nothing here.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};
use futures_util::future::Either;

use crate::net::{Connections, Full, Lease, Proxies, client_address, proxied_client};

/// Counts requests while they are under way, their answers included. As app data `web::Data<UnderWay>`, and wrapped
/// around the app, within the gate, so that pages may read a refusal.
#[derive(Clone)]
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
}

impl<S> Transform<S, ServiceRequest> for UnderWay
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type InitError = ();
    type Transform = Counting<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Counting { service, requests: self.proxied.then(|| Arc::clone(&self.requests)) }))
    }
}

/// The app whose requests are counted.
pub struct Counting<S> {
    service: S,
    /// None where no request comes through a proxy.
    requests: Option<Arc<Connections>>,
}

impl<S> Counting<S> {
    fn take(&self, request: &ServiceRequest) -> Result<Option<Lease>, Full> {
        let Some(requests) = &self.requests else { return Ok(None) };
        proxied_client(request.request()).map(|client| requests.take(Some(client))).transpose()
    }
}

impl<S> Service<ServiceRequest> for Counting<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Either<S::Future, Ready<Result<ServiceResponse, Error>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match self.take(&request) {
            Ok(lease) => {
                if let Some(lease) = lease {
                    // The request is kept until its answer was sent, by the access log.
                    request.extensions_mut().insert(lease);
                }
                Either::Left(self.service.call(request))
            }
            Err(full) => Either::Right(ready(Ok(request.into_response(full.error_response())))),
        }
    }
}
