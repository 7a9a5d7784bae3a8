//! A relay as one would write it with tokio-tungstenite: a task that reads and one that writes for each user, and
//! a queue between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::Outcome;

type Queues = Arc<Mutex<HashMap<usize, UnboundedSender<Message>>>>;

#[derive(Deserialize)]
struct Envelope {
    to_user_id: usize,
}

fn lock(queues: &Queues) -> MutexGuard<'_, HashMap<usize, UnboundedSender<Message>>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

pub async fn serve(listener: TcpListener) -> Outcome<()> {
    let queues = Queues::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let queues = Arc::clone(&queues);
        tokio::spawn(async move {
            // A client that went away is no news.
            let _ = session(stream, queues).await;
        });
    }
}

async fn session(stream: TcpStream, queues: Queues) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut user = 0;
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        user = request.uri().path().trim_start_matches("/ws/").parse().unwrap_or_default();
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, look).await?;
    let (mut to, mut from) = socket.split();
    let (queue, mut queued) = unbounded_channel();
    lock(&queues).insert(user, queue);
    tokio::spawn(async move {
        while let Some(message) = queued.recv().await
            && to.send(message).await.is_ok()
        {}
    });
    while let Some(message) = from.next().await {
        let Message::Text(text) = message? else { continue };
        let envelope: Envelope = serde_json::from_str(&text)?;
        if let Some(queue) = lock(&queues).get(&envelope.to_user_id) {
            queue.send(Message::Text(text))?;
        }
    }
    lock(&queues).remove(&user);
    Ok(())
}
