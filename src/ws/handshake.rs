//! The upgrade. The only file that names `actix-web-actors`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponseBuilder, web};
use actix_web_actors::ws;
use futures_util::StreamExt;

use super::close::Close;
use super::frames::{FrameReader, Message};
use super::outbox::Outbox;

/// The subprotocol that is selected where the client offers it. A token offered beside it is never echoed.
pub const SUBPROTOCOL: &str = "switchboard";

/// Answers the upgrade, or says why it is none.
pub fn accept(req: &HttpRequest) -> Result<HttpResponseBuilder, ws::HandshakeError> {
    ws::handshake_with_protocols(req, &[SUBPROTOCOL])
}

/// Says why, and waits a little for the client's side of the closing handshake.
pub async fn farewell(why: Close, outbox: Arc<Outbox>, mut payload: web::Payload, within: Duration) {
    outbox.close(Some(why.frame()), true);
    let mut reader = Some(FrameReader::new(64 * 1024));
    let answered = async {
        // Read to the end even where it makes no sense: closing on unread bytes would reset the connection,
        // and the client would never see why.
        while let Some(Ok(bytes)) = payload.next().await {
            let Some(frames) = &mut reader else { continue };
            frames.push(&bytes);
            loop {
                match frames.next() {
                    Ok(Some(Message::Close(_))) => return,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => {
                        reader = None;
                        break;
                    }
                }
            }
        }
    };
    // Whether it answered or not, the connection ends now.
    let _ = tokio::time::timeout(within, answered).await;
    outbox.finish();
}
