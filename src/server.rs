//! The HTTP server: what actix-web's own does, sockets leave it on upgrade, and no address takes all of it.

mod reception;

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::body::MessageBody;
use actix_http::{HttpService, Request, Response, h1};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, apply_fn_factory, map_config};
use actix_web::Error;
use actix_web::dev::{AppConfig, Server, ServiceResponse};
use actix_web::rt::net::TcpStream;
use futures_util::future::Either;

use crate::ws::upgrade;
pub use reception::Reception;

/// How long a client may take to send the head of its first request.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection may take to close.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// How long the server waits for answers under way when it stops, in seconds.
const STOPPED_WITHIN: u64 = 5;

/// Serves an app on a listener, for whom the reception lets in, with so many workers: as many as there are processors, if
/// not said otherwise. The app is asked for each upgrade, too, and answers it with a 101 that
/// carries [`upgrade::Accepted`].
pub fn serve<F, I, S, B>(
    listener: TcpListener,
    workers: Option<usize>,
    reception: Reception,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::InitError: fmt::Debug,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    // How many connections there may be says the reception: at a ceiling of its own a worker would leave everybody
    // waiting, whoever it is that has all the connections.
    let builder =
        Server::build().disable_signals().shutdown_timeout(STOPPED_WITHIN).max_concurrent_connections(usize::MAX);
    let builder = match workers {
        Some(workers) => builder.workers(workers),
        None => builder,
    };
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("switchboard", listener, move || {
        let (stopping, reception) = (stopping.clone(), reception.clone());
        // The configuration only says what host is meant by a request that names none; no handler asks.
        let app = || map_config(app().into_factory(), |()| AppConfig::default());
        let upgrade = apply_fn_factory(
            app(),
            |(request, connection): (Request, Framed<TcpStream, h1::Codec>), app: &S::Service| {
                let answered = app.call(request);
                async move {
                    let response = match answered.await {
                        Ok(response) => Response::from(response).map_into_boxed_body(),
                        Err(why) => Response::from(why),
                    };
                    upgrade::answer(response, connection).await;
                    Ok::<_, Error>(())
                }
            },
        );
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(REQUEST_WITHIN)
            .client_disconnect_timeout(CLOSED_WITHIN)
            .local_addr(address)
            .on_connect_ext(|connection: &TcpStream, _| set_options(connection))
            .upgrade(upgrade)
            .h1(app())
            .tcp();
        apply_fn_factory(http, move |connection: TcpStream, http| {
            let peer = connection.peer_addr().ok().map(|peer| peer.ip());
            match reception.admit(peer) {
                Ok(place) => {
                    let served = http.call(connection);
                    Either::Left(async move {
                        let _place = place;
                        served.await
                    })
                }
                Err(why) => {
                    let reception = reception.clone();
                    Either::Right(async move {
                        reception.send_away(connection, why).await;
                        Ok(())
                    })
                }
            }
        })
    })?;
    Ok(server.run())
}

/// Lets the kernel give up on a client that does not read, keeps what it buffers for one small, and sends a message
/// before the one ahead of it is acknowledged: a client acknowledges late, and two messages in a row would take 40 ms.
/// actix-http's own setting for that reaches only connections it accepts itself.
fn set_options(connection: &TcpStream) {
    let socket = socket2::SockRef::from(connection);
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    let set = [
        socket.set_tcp_nodelay(true),
        socket.set_send_buffer_size(64 * 1024),
        socket.set_tcp_keepalive(&keepalive),
        user_timeout(&socket),
    ];
    if let Some(why) = set.into_iter().find_map(Result::err) {
        log::warn!("a connection keeps the system's limits: {why}");
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn user_timeout(socket: &socket2::SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(Duration::from_secs(15)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn user_timeout(_: &socket2::SockRef<'_>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_message_does_not_wait_for_the_one_before_it_to_be_acknowledged() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!connection.nodelay().unwrap(), "the system's own choice is to wait");
        set_options(&connection);
        assert!(connection.nodelay().unwrap());
    }
}
