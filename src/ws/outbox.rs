//! The writing side of a socket: a frame is written at once where the socket takes it, and else waits in a bounded
//! queue.
//!
//! Whoever has something to tell puts it here without waiting and without a mailbox, from whatever thread. A client
//! that does not read fills the queue; then the queue is emptied, takes no more, and only a close frame is left in it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use actix_http::ws::{CloseReason, OpCode, Parser};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

/// Why the queue took no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is full.
    Full,
    /// Its last frame is in it.
    Closed,
}

/// What is written to one socket, and what waits for it.
#[derive(Debug)]
pub struct Outbox {
    max_frames: usize,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The socket, while it can be written to.
    output: Option<OwnedWriteHalf>,
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// More follows at once: frames wait for it, to be written together.
    held: bool,
    /// The first of the frames is the rest of one that is written in part.
    begun: bool,
    /// Set once: the last frame. It has a place of its own, so a full queue has room for it.
    close: Option<Bytes>,
    closed: bool,
    /// The socket failed: nothing can be written any more.
    broken: bool,
    /// How many of the frames, and how many bytes, were queued beyond the limits.
    extra: (usize, usize),
    /// The connection may end when everything is written.
    finished: bool,
    waker: Option<Waker>,
}

/// How many frames one write takes from the queue.
const AT_ONCE: usize = 16;

/// A scratch buffer larger than this is given back.
const KEEP_CAPACITY: usize = 64 * 1024;

thread_local! {
    /// Where frames are put together: most are written at once and need no memory of their own.
    static SCRATCH: RefCell<BytesMut> = RefCell::default();
}

/// Puts a frame together and hands it on.
fn with_frame<R>(encode: impl FnOnce(&mut BytesMut), then: impl FnOnce(&[u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        encode(scratch);
        let result = then(scratch);
        if scratch.capacity() > KEEP_CAPACITY {
            *scratch = BytesMut::new();
        }
        result
    })
}

impl Outbox {
    /// A queue of at most so many frames and bytes. Nothing is written before [`Outbox::open`].
    pub fn new(max_frames: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_frames, max_bytes, state: Mutex::default() })
    }

    /// Writes to this socket from now on, and what the upgrade is answered with before anything that waits already.
    pub fn open(&self, output: OwnedWriteHalf, head: &[u8]) {
        let mut state = self.state();
        state.output = Some(output);
        let waiting = std::mem::take(&mut state.frames);
        state.write(head);
        state.frames.extend(waiting);
        wake(state);
    }

    /// A panic elsewhere cannot leave the queue half changed, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes or queues a frame.
    pub fn push(&self, kind: OpCode, content: &[u8]) -> Result<(), Refused> {
        with_frame(
            |to| Parser::write_message(to, content, kind, true, false),
            |frame| {
                let mut state = self.state();
                if state.closed {
                    return Err(Refused::Closed);
                }
                let (frames, bytes) = (self.max_frames + state.extra.0, self.max_bytes + state.extra.1);
                if state.frames.len() >= frames || state.bytes + frame.len() > bytes {
                    return Err(Refused::Full);
                }
                if state.write(frame) > 0 && !state.held {
                    wake(state);
                }
                Ok(())
            },
        )
    }

    /// Lets frames wait for those that follow, until [`Outbox::let_go`] or until there are as many as one write takes.
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Writes together what waited.
    pub fn let_go(&self) {
        let mut state = self.state();
        state.held = false;
        state.try_queued();
        if state.broken || !state.frames.is_empty() || state.close.is_some() {
            wake(state);
        }
    }

    /// Writes or queues a text beyond the limits, for what is bounded elsewhere and comes all at once. Until it is
    /// written the limits are wider by as much. After [`Outbox::close`] it is dropped in silence.
    pub fn push_extra(&self, text: &str) {
        with_frame(
            |to| Parser::write_message(to, text, OpCode::Text, true, false),
            |frame| {
                let mut state = self.state();
                if state.closed {
                    return;
                }
                let queued = state.write(frame);
                if queued > 0 {
                    state.extra.0 += 1;
                    state.extra.1 += queued;
                    wake(state);
                }
            },
        );
    }

    /// Whether more than a quarter of the queue is taken.
    pub fn is_crowded(&self) -> bool {
        let state = self.state();
        state.frames.len() > self.max_frames / 4 || state.bytes > self.max_bytes / 4
    }

    /// Makes this the last frame; what waits before it is written first, or dropped where `discard` says
    /// that the client does not read anyway. `false` when there was a last frame already.
    pub fn close(&self, reason: Option<CloseReason>, discard: bool) -> bool {
        let mut frame = BytesMut::new();
        Parser::write_close(&mut frame, reason, false);
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.closed = true;
        if discard {
            state.discard();
        }
        let written = state.try_write(&frame);
        frame.advance(written);
        if !frame.is_empty() && !state.broken {
            state.close = Some(frame.freeze());
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

    /// The connection ends: its socket, for what has to be done with it, and nothing is written here any more.
    pub fn release(&self) -> Option<OwnedWriteHalf> {
        let mut state = self.state();
        state.closed = true;
        state.fail();
        state.output.take()
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

    /// Writes what waits. Ready when all of it is written and no more comes, or when the socket failed; else whoever
    /// asked last is woken when there is something to do.
    pub fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        loop {
            if state.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if state.frames.is_empty() && state.close.is_none() && state.finished {
                return Poll::Ready(Ok(()));
            }
            if state.output.is_none() || (state.frames.is_empty() && state.close.is_none()) {
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                return Poll::Pending;
            }
            match ready!(state.poll_queued(cx)) {
                Ok(written) if written > 0 => state.advance(written),
                _ => state.fail(),
            }
        }
    }
}

impl State {
    /// Writes as much as the socket takes while nothing waits.
    fn try_write(&mut self, frame: &[u8]) -> usize {
        let direct = self.frames.is_empty() && !self.held;
        let Some(output) = self.output.as_ref().filter(|_| direct) else { return 0 };
        let written = output.try_write(frame);
        self.taken(written)
    }

    /// How much of what was tried is written.
    fn taken(&mut self, written: io::Result<usize>) -> usize {
        match written {
            Ok(written) => written,
            Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(_) => {
                self.fail();
                0
            }
        }
    }

    /// Writes as much of the queue as the socket takes at once.
    fn try_queued(&mut self) {
        while let Some(output) = self.output.as_ref().filter(|_| !self.frames.is_empty()) {
            let mut slices = [IoSlice::new(&[]); AT_ONCE];
            let count = fill(&mut slices, self.frames.iter());
            let written = output.try_write_vectored(&slices[..count]);
            match self.taken(written) {
                0 => return,
                written => self.advance(written),
            }
        }
    }

    /// Writes a frame, or queues what of it is not written: so many bytes.
    fn write(&mut self, frame: &[u8]) -> usize {
        let written = self.try_write(frame);
        let rest = &frame[written..];
        if rest.is_empty() || self.broken {
            return rest.len();
        }
        self.begun |= written > 0;
        self.bytes += rest.len();
        self.frames.push_back(Bytes::copy_from_slice(rest));
        if self.held && self.frames.len() >= AT_ONCE {
            self.try_queued();
        }
        rest.len()
    }

    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { output: Some(output), frames, close, .. } = self else { return Poll::Pending };
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let count = fill(&mut slices, frames.iter().chain(close.as_ref()));
        Pin::new(output).poll_write_vectored(cx, &slices[..count])
    }

    /// So many bytes of the queue are written.
    fn advance(&mut self, mut written: usize) {
        while written > 0 {
            let Some(first) = self.frames.front_mut() else {
                if let Some(close) = self.close.as_mut() {
                    close.advance(written.min(close.len()));
                }
                self.close.take_if(|close| close.is_empty());
                break;
            };
            let length = first.len();
            if written < length {
                first.advance(written);
                self.bytes -= written;
                self.begun = true;
                return;
            }
            written -= length;
            self.bytes -= length;
            self.frames.pop_front();
            self.begun = false;
            self.extra = (self.extra.0.saturating_sub(1), self.extra.1.saturating_sub(length));
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    /// Drops what waits, except the rest of a frame the client has the beginning of.
    fn discard(&mut self) {
        self.frames.truncate(usize::from(self.begun));
        self.bytes = self.frames.front().map_or(0, Bytes::len);
    }

    /// Nothing can be written any more.
    fn fail(&mut self) {
        (self.closed, self.broken, self.begun) = (true, true, false);
        self.close = None;
        self.discard();
    }
}

/// The first of the frames, for one write; how many.
fn fill<'a>(slices: &mut [IoSlice<'a>], frames: impl Iterator<Item = &'a Bytes>) -> usize {
    slices.iter_mut().zip(frames).map(|(slice, frame)| *slice = IoSlice::new(frame)).count()
}

/// Wakes the writer outside the lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
