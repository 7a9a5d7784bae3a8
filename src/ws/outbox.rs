//! The writing side of a socket: a bounded queue that is the body of the upgrade's response.
//!
//! Whoever has something to tell puts it here without waiting and without a mailbox. A client that does not
//! read fills the queue; then the queue is emptied, takes no more, and only a close frame is left in it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use actix_http::ws::{CloseReason, Codec, Message};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio_util::codec::Encoder;

/// The queue took no more: it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What waits to be written to one socket.
#[derive(Debug)]
pub struct Outbox {
    max_frames: usize,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Set once: the last frame. It has a place of its own, so a full queue has room for it.
    close: Option<Bytes>,
    closed: bool,
    /// How many of the frames, and how many bytes, were queued beyond the limits.
    extra: (usize, usize),
    /// The connection may end when everything is written.
    finished: bool,
    waker: Option<Waker>,
}

impl Outbox {
    /// A queue of at most so many frames and bytes.
    pub fn new(max_frames: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_frames, max_bytes, state: Mutex::default() })
    }

    /// A panic elsewhere cannot leave the queue half changed, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame. After [`Outbox::close`] it is dropped in silence.
    pub fn push(&self, message: Message) -> Result<(), Full> {
        let Some(frame) = encode(message) else { return Ok(()) };
        let mut state = self.state();
        if state.closed {
            return Ok(());
        }
        let (frames, bytes) = (self.max_frames + state.extra.0, self.max_bytes + state.extra.1);
        if state.frames.len() >= frames || state.bytes + frame.len() > bytes {
            return Err(Full);
        }
        state.bytes += frame.len();
        state.frames.push_back(frame);
        wake(state);
        Ok(())
    }

    /// Queues a frame beyond the limits, for what is bounded elsewhere and comes all at once. Until it is
    /// written the limits are wider by as much.
    pub fn push_extra(&self, message: Message) {
        let Some(frame) = encode(message) else { return };
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.extra.0 += 1;
        state.extra.1 += frame.len();
        state.bytes += frame.len();
        state.frames.push_back(frame);
        wake(state);
    }

    /// Whether more than a quarter of the queue is taken.
    pub fn is_crowded(&self) -> bool {
        let state = self.state();
        state.frames.len() > self.max_frames / 4 || state.bytes > self.max_bytes / 4
    }

    /// Makes this the last frame; what waits before it is written first, or dropped where `discard` says
    /// that the client does not read anyway. `false` when there was a last frame already.
    pub fn close(&self, reason: Option<CloseReason>, discard: bool) -> bool {
        let frame = encode(Message::Close(reason));
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.closed = true;
        state.close = frame;
        if discard {
            state.frames = VecDeque::new();
            state.bytes = 0;
        }
        wake(state);
        true
    }

    /// Lets the connection end once everything is written.
    pub fn finish(&self) {
        let mut state = self.state();
        state.closed = true;
        state.finished = true;
        wake(state);
    }

    /// Whether there is a last frame already.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// How many frames and bytes wait.
    pub fn waiting(&self) -> (usize, usize) {
        let state = self.state();
        (state.frames.len(), state.bytes)
    }
}

/// Wakes the writer outside the lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn encode(message: Message) -> Option<Bytes> {
    let mut frame = BytesMut::new();
    Codec::new().encode(message, &mut frame).ok()?;
    Some(frame.freeze())
}

/// The response's body. Dropped when the connection is gone, and with it whatever `T` holds for as long.
pub struct Body<T> {
    outbox: Arc<Outbox>,
    _while_open: T,
}

impl<T> Body<T> {
    /// The body that writes this queue.
    pub fn new(outbox: Arc<Outbox>, while_open: T) -> Self {
        Self { outbox, _while_open: while_open }
    }
}

impl<T: Unpin> Stream for Body<T> {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.outbox.state();
        if let Some(frame) = state.frames.pop_front() {
            state.bytes -= frame.len();
            state.extra = (state.extra.0.saturating_sub(1), state.extra.1.saturating_sub(frame.len()));
            // A queue that was long gives its memory back; a short one keeps it.
            if state.frames.is_empty() && state.frames.capacity() > 16 {
                state.frames = VecDeque::new();
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(frame) = state.close.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if state.finished {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::close::Close;
    use futures_util::StreamExt;

    fn text(text: &'static str) -> Message {
        Message::Text(text.into())
    }

    #[actix_web::test]
    async fn a_full_queue_refuses_and_still_has_room_for_the_close() {
        let outbox = Outbox::new(2, 1000);
        assert_eq!(outbox.push(text("a")), Ok(()));
        assert_eq!(outbox.push(text("b")), Ok(()));
        assert_eq!(outbox.push(text("c")), Err(Full));
        assert!(outbox.close(Some(Close::Slow.frame()), true));
        assert!(!outbox.close(Some(Close::Replaced.frame()), false));
        assert_eq!(outbox.waiting(), (0, 0));
        assert_eq!(outbox.push(text("late")), Ok(()));
        outbox.finish();
        let written: Vec<_> = Body::new(outbox, ()).map(Result::unwrap).collect().await;
        assert_eq!(written.len(), 1);
        assert_eq!(written[0][2..4], 4408u16.to_be_bytes());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let outbox = Outbox::new(100, 10);
        assert_eq!(outbox.push(text("12345678")), Ok(()));
        assert_eq!(outbox.push(text("1")), Err(Full));
    }
}
