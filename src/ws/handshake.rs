//! The upgrade. The only file that names `actix-web-actors`.

use std::sync::Arc;
use std::time::Duration;

use actix_http::ws::CloseReason;
use actix_web::{HttpRequest, HttpResponseBuilder};
use actix_web_actors::ws;

use super::frames::Message;
use super::outbox::Outbox;
use super::wire::Input;

/// The subprotocol that is selected where the client offers it. A token offered beside it is never echoed.
pub const SUBPROTOCOL: &str = "switchboard";

/// Answers the upgrade, or says why it is none.
pub fn accept(req: &HttpRequest) -> Result<HttpResponseBuilder, ws::HandshakeError> {
    ws::handshake_with_protocols(req, &[SUBPROTOCOL])
}

/// Says why, and waits a little for the client's side of the closing handshake.
pub async fn farewell(why: CloseReason, outbox: Arc<Outbox>, mut input: Input, within: Duration) {
    outbox.close(Some(why), true);
    let answered = async { while !matches!(input.next().await, None | Some(Ok(Message::Close(_)))) {} };
    // Whether it answered or not, the connection ends now.
    let _ = tokio::time::timeout(within, answered).await;
}
