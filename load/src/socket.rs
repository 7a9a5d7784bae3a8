//! A client's socket, as cheap as it can be: what the client spends, the measured side does not get.
//!
//! Frames are written masked with a key of zeros, which the protocol allows and which lets a message be changed
//! in place. Frames from a reference that only moves bytes come masked, too, so both kinds are read.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::Outcome;

/// How many sockets are opened from one address: the search for a free port gets slow long before there is none.
const PER_ADDRESS: usize = 2000;

/// The first frames of a text, and those a client must answer.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// An open socket.
pub struct Socket {
    /// Whose it is.
    pub user: usize,
    stream: TcpStream,
    inbox: Vec<u8>,
    read: usize,
}

/// One frame: what kind, where its content is, where the next begins.
struct Frame {
    kind: u8,
    content: std::ops::Range<usize>,
}

impl Socket {
    /// Opens the socket of a user, who is counted from 1.
    pub async fn open(address: SocketAddr, user: usize, token: &str) -> Outcome<Self> {
        let stream = connect(address, user).await?;
        let mut socket = Self { user, stream, inbox: Vec::new(), read: 0 };
        let request = format!(
            "GET /ws/{user} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        socket.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            socket.fill().await?;
            if let Some(end) = socket.inbox.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !socket.inbox.starts_with(b"HTTP/1.1 101") {
            return Err(format!("user {user}: {}", String::from_utf8_lossy(&socket.inbox)).into());
        }
        socket.read = end;
        Ok(socket)
    }

    /// Sends a frame as [`frame`] makes it.
    pub async fn send(&mut self, frame: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(frame).await?)
    }

    /// The next text, to be looked at where it lies.
    pub async fn next<T>(&mut self, look: impl FnOnce(&[u8]) -> Outcome<T>) -> Outcome<T> {
        loop {
            while let Some(frame) = self.frame() {
                self.read = frame.content.end;
                match frame.kind {
                    TEXT => return look(&self.inbox[frame.content]),
                    PING => self.stream.write_all(&[PONG, 0x80, 0, 0, 0, 0]).await?,
                    CLOSE => {
                        let code = self.inbox.get(frame.content.start..frame.content.start + 2);
                        let code = code.map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                        return Err(format!("the socket was closed with {code}").into());
                    }
                    _ => {}
                }
            }
            self.fill().await?;
        }
    }

    /// Closes as a client should, up to the answer. Fails if there still was something to be told: then a message
    /// was doubled.
    pub async fn close(mut self) -> Outcome<()> {
        // 1000, masked with zeros.
        self.stream.write_all(&[CLOSE, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await?;
        loop {
            while let Some(frame) = self.frame() {
                self.read = frame.content.end;
                if frame.kind == CLOSE {
                    return Ok(());
                }
                if frame.kind == TEXT && crate::messages::mark(&self.inbox[frame.content]).is_some() {
                    return Err("a message came twice".into());
                }
            }
            // A bare reference only closes the connection.
            if self.fill().await.is_err() {
                return Ok(());
            }
        }
    }

    async fn fill(&mut self) -> Outcome<()> {
        if self.read == self.inbox.len() {
            self.inbox.clear();
            self.read = 0;
        }
        self.inbox.reserve(1024);
        match self.stream.read_buf(&mut self.inbox).await? {
            0 => Err("the connection ended".into()),
            _ => Ok(()),
        }
    }

    fn frame(&self) -> Option<Frame> {
        let bytes = &self.inbox[self.read..];
        let (kind, second) = (*bytes.first()?, *bytes.get(1)?);
        let (length, header) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
            127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
            short => (usize::from(short), 2),
        };
        // A mask is one of zeros: our own frame, come back through a proxy.
        let start = self.read + header + if second & 0x80 == 0 { 0 } else { 4 };
        (start + length <= self.inbox.len()).then_some(Frame { kind, content: start..start + length })
    }
}

/// Connects from an address that few others use.
pub async fn connect(address: SocketAddr, number: usize) -> Outcome<TcpStream> {
    let from = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(number / PER_ADDRESS).unwrap_or(u8::MAX - 2));
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A text as a frame.
pub fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![TEXT];
    match u16::try_from(text.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((text.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}
