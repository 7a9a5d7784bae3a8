//! How a socket leaves the HTTP dispatcher.
//!
//! The app answers an upgrade like any other request. Where its answer is a 101 it carries [`Accepted`], which takes
//! the connection over; the dispatcher, its buffers and the response are freed. Every other answer is written as it
//! is, and the connection is closed.

use std::io;
use std::pin::pin;

use actix_codec::{Framed, FramedParts};
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::h1::{Codec, Message};
use actix_http::{ConnectionType, Response};
use bytes::BytesMut;
use futures_util::future::poll_fn;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::codec::Encoder;

use super::wire::{WRITTEN_WITHIN, closed_by_client};

/// How much of an answer is put together before it is written.
const WRITE: usize = 32 * 1024;

/// A connection as it is taken over.
pub struct Raw {
    /// The connection itself.
    pub stream: TcpStream,
    /// What the client sent after its request.
    pub read: BytesMut,
    /// The answer to the request, which has yet to be written.
    pub answer: BytesMut,
}

/// What a 101 carries among its extensions: who takes the connection over.
pub struct Accepted(Box<dyn FnOnce(Raw)>);

impl Accepted {
    /// Leaves the connection to `begin`, on its worker's thread.
    pub fn new(begin: impl FnOnce(Raw) + 'static) -> Self {
        Self(Box::new(begin))
    }
}

/// Answers a request for an upgrade.
pub async fn answer(mut response: Response<BoxBody>, connection: Framed<TcpStream, Codec>) {
    let FramedParts { io: mut stream, mut codec, read_buf: read, write_buf: mut answer, .. } = connection.into_parts();
    let accepted = response.extensions_mut().remove::<Accepted>();
    let (mut head, body) = response.into_parts();
    if let Some(Accepted(begin)) = accepted {
        match codec.encode(Message::Item((head, BodySize::None)), &mut answer) {
            Ok(()) => begin(Raw { stream, read, answer }),
            Err(why) => log::warn!("an upgrade could not be answered: {why}"),
        }
        return;
    }
    // What follows the request cannot be told from its body, so nothing more is read as a request.
    head.head_mut().set_connection_type(ConnectionType::Close);
    head.head_mut().no_chunking(true);
    let written = async {
        codec.encode(Message::Item((head, body.size())), &mut answer)?;
        let mut body = pin!(body);
        while let Some(part) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            let part = part.map_err(|why| io::Error::other(why.to_string()))?;
            codec.encode(Message::Chunk(Some(part)), &mut answer)?;
            if answer.len() >= WRITE {
                stream.write_all_buf(&mut answer).await?;
            }
        }
        codec.encode(Message::Chunk(None), &mut answer)?;
        stream.write_all_buf(&mut answer).await?;
        stream.shutdown().await
    };
    if matches!(tokio::time::timeout(WRITTEN_WITHIN, written).await, Ok(Ok(()))) {
        closed_by_client(&stream).await;
    }
}
