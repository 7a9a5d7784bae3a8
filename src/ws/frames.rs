//! The reading side of a socket: bytes in, whole messages out.
//!
//! The codec below checks a frame's size only once all of it is buffered, so a declared length is checked
//! here first, at the header. What is held is never more than one message and one read, and between reads only what
//! is not complete: a thread's sockets share the buffer they read through.

use std::cell::Cell;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_http::ws::{CloseReason, Codec, Frame, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use tokio::io::AsyncRead;
use tokio_util::codec::Decoder;
use tokio_util::io::poll_read_buf;

use super::close::Close;

/// How much is read at once, into the thread's buffer.
const READ: usize = 64 * 1024;

/// How much is read at once of a message whose beginning is there.
const READ_ON: usize = 4 * 1024;

thread_local! {
    /// What the thread's sockets read through. Taken while one of them reads.
    static SHARED: Cell<BytesMut> = Cell::default();
}

/// The largest content of a control frame, by the protocol.
const MAX_CONTROL: u64 = 125;

/// How many fragments that carry nothing one message may have; they would cost without adding up.
const MAX_EMPTY_FRAGMENTS: usize = 64;

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, put together if it came in fragments.
    Text(ByteString),
    /// A ping, to be answered.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The client closes.
    Close(Option<CloseReason>),
}

/// Puts messages together from what the network delivers.
#[derive(Debug)]
pub struct FrameReader {
    codec: Codec,
    buffer: BytesMut,
    /// The buffer is the thread's, until what was read is used up.
    shared: bool,
    /// The fragments so far of a message that is not complete.
    partial: Option<BytesMut>,
    empty_fragments: usize,
    max_message: usize,
}

/// What a frame's header says, once enough of it is there.
struct Header {
    control: bool,
    length: u64,
}

fn header(bytes: &[u8]) -> Option<Header> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let big_endian = |part: &[u8]| part.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let length = match second & 0x7f {
        126 => big_endian(bytes.get(2..4)?),
        127 => big_endian(bytes.get(2..10)?),
        short => u64::from(short),
    };
    Some(Header { control: first & 0x08 != 0, length })
}

impl FrameReader {
    /// A reader of messages of at most `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Self {
            codec: Codec::new().max_size(max_message),
            buffer: BytesMut::new(),
            shared: false,
            partial: None,
            empty_fragments: 0,
            max_message,
        }
    }

    /// Adds what was read elsewhere. Call [`FrameReader::next`] until it has no more before adding again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Reads once; how much. Call [`FrameReader::next`] until it has no more, or [`FrameReader::skip`], before
    /// reading again.
    pub fn poll_read<R: AsyncRead + Unpin>(&mut self, input: &mut R, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            (self.buffer, self.shared) = (SHARED.take(), true);
            self.buffer.reserve(READ);
        } else {
            self.buffer.reserve(READ_ON);
        }
        let read = poll_read_buf(Pin::new(input), cx, &mut self.buffer);
        if !matches!(read, Poll::Ready(Ok(1..))) {
            self.give_back();
        }
        read
    }

    /// Drops what was read.
    pub fn skip(&mut self) {
        self.buffer.clear();
        self.partial = None;
        self.give_back();
    }

    /// Gives the buffer back and keeps what is not complete.
    fn give_back(&mut self) {
        if self.shared {
            let mut shared = mem::take(&mut self.buffer);
            self.buffer.extend_from_slice(&shared);
            shared.clear();
            SHARED.set(shared);
            self.shared = false;
        } else if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Whether more was read than was taken so far; it may not be a whole message.
    pub fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// How much is held.
    pub fn held(&self) -> usize {
        self.buffer.len() + self.partial.as_ref().map_or(0, BytesMut::len)
    }

    /// The next whole message, or why the socket must be closed. After an error nothing more can be read.
    #[expect(clippy::should_implement_trait, reason = "an iterator ends; this waits for more bytes")]
    pub fn next(&mut self) -> Result<Option<Message>, Close> {
        loop {
            self.check_header()?;
            let frame = self.codec.decode(&mut self.buffer).map_err(|why| match why {
                ProtocolError::Overflow => Close::TooBig,
                _ => Close::Protocol,
            })?;
            let Some(frame) = frame else {
                self.give_back();
                return Ok(None);
            };
            if let Some(message) = self.take(frame)? {
                return Ok(Some(message));
            }
        }
    }

    /// Refuses a frame by what its header declares, before any of it is waited for.
    fn check_header(&self) -> Result<(), Close> {
        let Some(header) = header(&self.buffer) else { return Ok(()) };
        if header.control {
            return if header.length > MAX_CONTROL { Err(Close::Protocol) } else { Ok(()) };
        }
        let so_far = self.partial.as_ref().map_or(0, BytesMut::len) as u64;
        if header.length > (self.max_message as u64).saturating_sub(so_far) { Err(Close::TooBig) } else { Ok(()) }
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Message>, Close> {
        match frame {
            Frame::Text(bytes) => text(bytes).map(Some),
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => Err(Close::Binary),
            Frame::Continuation(Item::FirstText(bytes)) => {
                self.empty_fragments = 0;
                self.partial = Some(BytesMut::from(&bytes[..]));
                Ok(None)
            }
            Frame::Continuation(Item::Continue(bytes)) => {
                self.add(&bytes)?;
                Ok(None)
            }
            Frame::Continuation(Item::Last(bytes)) => {
                self.add(&bytes)?;
                text(self.partial.take().unwrap_or_default().freeze()).map(Some)
            }
            Frame::Ping(bytes) => Ok(Some(Message::Ping(bytes))),
            Frame::Pong(_) => Ok(Some(Message::Pong)),
            Frame::Close(reason) => Ok(Some(Message::Close(reason))),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Close> {
        if bytes.is_empty() {
            self.empty_fragments += 1;
            if self.empty_fragments > MAX_EMPTY_FRAGMENTS {
                return Err(Close::Protocol);
            }
        }
        match &mut self.partial {
            Some(partial) => partial.extend_from_slice(bytes),
            None => return Err(Close::Protocol),
        }
        Ok(())
    }
}

fn text(bytes: Bytes) -> Result<Message, Close> {
    ByteString::try_from(bytes).map(Message::Text).map_err(|_| Close::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::poll_fn;

    /// A client's frame, masked with a key of zeros so that its content stays legible.
    fn frame(first: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match content.len() {
            n if n < 126 => bytes.push(0x80 | n as u8),
            n if n < 65536 => {
                bytes.push(0x80 | 126);
                bytes.extend((n as u16).to_be_bytes());
            }
            n => {
                bytes.push(0x80 | 127);
                bytes.extend((n as u64).to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.extend(content);
        bytes
    }

    fn reader(frames: &[Vec<u8>]) -> FrameReader {
        let mut reader = FrameReader::new(1000);
        frames.iter().for_each(|frame| reader.push(frame));
        reader
    }

    #[test]
    fn a_message_in_fragments_is_put_together_around_a_ping() {
        let mut reader =
            reader(&[frame(0x01, b"hel"), frame(0x89, b"?"), frame(0x00, b""), frame(0x80, b"lo"), frame(0x81, b"x")]);
        assert_eq!(reader.next(), Ok(Some(Message::Ping(Bytes::from_static(b"?")))));
        assert_eq!(reader.next(), Ok(Some(Message::Text("hello".into()))));
        assert_eq!(reader.next(), Ok(Some(Message::Text("x".into()))));
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let mut reader = FrameReader::new(1000);
        let mut seen = Vec::new();
        for byte in frame(0x81, &[b'a'; 300]) {
            reader.push(&[byte]);
            seen.extend(reader.next().unwrap());
        }
        assert_eq!(seen, [Message::Text("a".repeat(300).into())]);
    }

    #[actix_web::test]
    async fn sockets_of_a_thread_share_a_buffer_and_keep_only_what_is_incomplete() {
        let read = async |reader: &mut FrameReader, mut bytes: &[u8]| {
            poll_fn(|cx| reader.poll_read(&mut bytes, cx)).await.unwrap();
            let mut seen = Vec::new();
            while let Some(message) = reader.next().unwrap() {
                seen.push(message);
            }
            seen
        };
        let (mut one, mut other) = (FrameReader::new(1000), FrameReader::new(1000));
        let (whole, begun) = (frame(0x81, b"whole"), frame(0x81, &[b'b'; 300]));
        assert_eq!(read(&mut one, &[&whole[..], &begun[..100]].concat()).await, [Message::Text("whole".into())]);
        assert_eq!(one.held(), 100);
        for _ in 0..3 {
            assert_eq!(read(&mut other, &whole).await, [Message::Text("whole".into())]);
            assert_eq!(other.buffer.capacity(), 0);
        }
        assert_eq!(read(&mut one, &begun[100..]).await, [Message::Text("b".repeat(300).into())]);
        assert_eq!(one.buffer.capacity(), 0);
    }

    #[test]
    fn a_declared_length_over_the_limit_is_refused_at_the_header() {
        let mut reader = FrameReader::new(1000);
        let mut header = vec![0x81, 0x80 | 127];
        header.extend((1u64 << 40).to_be_bytes());
        reader.push(&header);
        assert_eq!(reader.next(), Err(Close::TooBig));
        assert!(reader.held() <= 10);
    }

    #[test]
    fn fragments_may_not_add_up_to_more_than_the_limit() {
        let mut reader = reader(&[frame(0x01, &[b'a'; 600]), frame(0x00, &[b'a'; 401])]);
        assert_eq!(reader.next(), Err(Close::TooBig));
    }

    #[test]
    fn what_breaks_the_protocol_is_told_apart() {
        assert_eq!(reader(&[frame(0x81, b"\xff\xfe")]).next(), Err(Close::NotUtf8));
        assert_eq!(reader(&[frame(0x01, b"\xc3"), frame(0x80, b"\xa9")]).next(), Ok(Some(Message::Text("é".into()))));
        assert_eq!(reader(&[frame(0x82, b"x")]).next(), Err(Close::Binary));
        assert_eq!(reader(&[vec![0x81, 0x01, b'x']]).next(), Err(Close::Protocol), "unmasked");
        assert_eq!(reader(&[frame(0xc1, b"x")]).next(), Err(Close::Protocol), "reserved bit");
        assert_eq!(reader(&[frame(0x80, b"x")]).next(), Err(Close::Protocol), "nothing to continue");
        assert_eq!(reader(&[frame(0x01, b"x"), frame(0x81, b"y")]).next(), Err(Close::Protocol), "two at once");
        assert_eq!(reader(&[frame(0x89, &[0; 126])]).next(), Err(Close::Protocol), "long ping");
        assert_eq!(reader(&[frame(0x88, &[3])]).next(), Err(Close::Protocol), "half a close code");
        let empty: Vec<_> = std::iter::once(frame(0x01, b"")).chain((0..65).map(|_| frame(0x00, b""))).collect();
        assert_eq!(reader(&empty).next(), Err(Close::Protocol), "empty fragments for ever");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_hold_more_than_a_message(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut reader = FrameReader::new(100);
            for chunk in chunks {
                reader.push(&chunk);
                loop {
                    match reader.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                // The fragments of a message, and in between them a control frame that is not complete.
                prop_assert!(reader.held() <= 100 + 14 + 125);
            }
        }
    }
}
