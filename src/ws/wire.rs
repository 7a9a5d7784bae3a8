//! A socket's connection once it has left the HTTP dispatcher: what its session reads and writes, and how it ends.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::frames::{FrameReader, Message};
use super::outbox::Outbox;
use super::upgrade::Raw;
use super::{Close, Limits};
use crate::net::Lease;

/// How long what is left may take to be written before a connection ends. A client that reads none of it is given
/// up by the kernel after the same time.
pub(super) const WRITTEN_WITHIN: Duration = Duration::from_secs(15);

/// How long the client may take to close its side.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// What a socket's client sends.
pub struct Input {
    half: OwnedReadHalf,
    frames: FrameReader,
    /// Nothing more can be made of what arrives.
    deaf: bool,
}

impl Input {
    /// The next message of what was read, or why the socket must be closed; `None` where more must be read. After a
    /// reason what comes is read and dropped.
    pub fn take(&mut self) -> Option<Result<Message, Close>> {
        if self.deaf {
            return None;
        }
        let next = self.frames.next();
        if next.is_err() {
            self.deaf = true;
            self.frames.skip();
        }
        next.transpose()
    }

    /// Whether more was read than was taken; it may not be a whole message.
    pub fn has_more(&self) -> bool {
        self.frames.has_more()
    }

    /// Reads once what the client sends; `false` when it sends no more. To be called when [`Input::take`] has no more.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let read = ready!(self.frames.poll_read(&mut self.half, cx));
        if self.deaf {
            self.frames.skip();
        }
        Poll::Ready(matches!(read, Ok(1..)))
    }

    /// The next message, or why the socket must be closed; `None` when the client sends no more.
    pub async fn next(&mut self) -> Option<Result<Message, Close>> {
        loop {
            if let Some(next) = self.take() {
                return Some(next);
            }
            if !poll_fn(|cx| self.poll_more(cx)).await {
                return None;
            }
        }
    }
}

/// An open connection. Its place among the connections is free again when it is gone.
pub struct Wire {
    outbox: Arc<Outbox>,
    /// What the upgrade is answered with, and where to.
    unanswered: Option<(OwnedWriteHalf, BytesMut)>,
    _lease: Lease,
}

impl Wire {
    /// Parts the connection. The upgrade is answered when its session has begun, or by [`Wire::answer`].
    pub fn open(raw: Raw, lease: Lease, limits: &Limits) -> (Input, Self) {
        let (half, output) = raw.stream.into_split();
        let mut frames = FrameReader::new(limits.max_message);
        frames.push(&raw.read);
        let outbox = Outbox::new(limits.queue, limits.queue_bytes);
        let unanswered = Some((output, raw.answer));
        (Input { half, frames, deaf: false }, Self { outbox, unanswered, _lease: lease })
    }

    /// Answers the upgrade, if that was not done.
    pub fn answer(&mut self) {
        if let Some((output, answer)) = self.unanswered.take() {
            self.outbox.open(output, &answer);
        }
    }

    /// Where what its client is told goes.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Lets a session serve the connection, on this thread; when it is over, the connection ends in order.
    pub fn serve(self, session: impl Future<Output = ()> + Unpin + 'static) {
        actix_web::rt::spawn(Serving::Session(session, Some(self)));
    }

    /// Writes what is left, says that this was all, and waits a little for the client to agree.
    async fn end(self) {
        self.outbox.finish();
        let written = tokio::time::timeout(WRITTEN_WITHIN, poll_fn(|cx| self.outbox.poll_write(cx))).await;
        let (Ok(Ok(())), Some(mut output)) = (written, self.outbox.release()) else { return };
        if output.shutdown().await.is_ok() {
            closed_by_client(output.as_ref()).await;
        }
    }
}

impl Drop for Wire {
    /// Also where the task was given up: others may still hold the queue.
    fn drop(&mut self) {
        drop(self.outbox.release());
    }
}

/// Waits a little until the client has closed its side, too. Closing on bytes that were not read would reset the
/// connection, and the client might never see what it was told last.
pub(crate) async fn closed_by_client(stream: &TcpStream) {
    let closed = async {
        loop {
            stream.readable().await?;
            // Made here, so that nothing is kept while waiting: many may close at once.
            let mut unread = [0; 4096];
            match stream.try_read(&mut unread) {
                Ok(0) => return Ok(()),
                Err(why) if why.kind() != io::ErrorKind::WouldBlock => return Err(why),
                _ => {}
            }
        }
    };
    // Whether it did or not, the connection ends now.
    let _ = tokio::time::timeout(CLOSED_WITHIN, closed).await;
}

/// The task of a connection. Written out, because an `async fn` would keep room for its session twice.
enum Serving<F> {
    Session(F, Option<Wire>),
    Ending(Pin<Box<dyn Future<Output = ()>>>),
}

impl<F: Future<Output = ()> + Unpin> Future for Serving<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Session(session, wire) = &mut *self {
            let over = Pin::new(session).poll(cx);
            // Not before the router was told of the session: who knows that a socket is open can call its user.
            if let Some(wire) = wire {
                wire.answer();
            }
            ready!(over);
            let Some(wire) = wire.take() else { return Poll::Ready(()) };
            *self = Self::Ending(Box::pin(wire.end()));
        }
        let Self::Ending(ending) = &mut *self else { return Poll::Ready(()) };
        ending.as_mut().poll(cx)
    }
}
