//! The least a relay of messages can cost: each is read for its receiver, and the reader's task writes it to the
//! receiver's socket. A message `to_all` goes to everybody else, written once. Where there is a record, what changes how a
//! call stands is passed on when it is written there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::DatabaseConnection;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::record;
use crate::Outcome;

type Sockets = Arc<Mutex<HashMap<usize, Arc<OwnedWriteHalf>>>>;

/// All a relay must know of a message. The rest is skipped.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    to_user_id: Option<usize>,
    #[serde(default)]
    to_all: bool,
}

fn lock(sockets: &Sockets) -> MutexGuard<'_, HashMap<usize, Arc<OwnedWriteHalf>>> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

pub async fn serve(listener: TcpListener, record: Option<DatabaseConnection>) -> Outcome<()> {
    let sockets = Sockets::default();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(session(stream, Arc::clone(&sockets), record.clone()));
    }
}

async fn session(mut stream: TcpStream, sockets: Sockets, record: Option<DatabaseConnection>) {
    let Ok(user) = super::accept(&mut stream).await else { return };
    let (mut from, to) = stream.into_split();
    let to = Arc::new(to);
    lock(&sockets).insert(user, Arc::clone(&to));
    if let Err(why) = listen(user, &mut from, &sockets, record.as_ref()).await {
        eprintln!("user {user}: {why}");
    }
    let mut sockets = lock(&sockets);
    // It may have a successor by now.
    if sockets.get(&user).is_some_and(|current| Arc::ptr_eq(current, &to)) {
        sockets.remove(&user);
    }
}

async fn listen(
    user: usize,
    from: &mut OwnedReadHalf,
    sockets: &Sockets,
    record: Option<&DatabaseConnection>,
) -> Outcome<()> {
    // On the heap, and only as large as what was read.
    let mut inbox = Vec::new();
    loop {
        inbox.reserve(1024);
        if from.read_buf(&mut inbox).await? == 0 {
            return Ok(());
        }
        let mut read = 0;
        while let Some((kind, content, end)) = frame(&mut inbox[read..]) {
            read += end;
            if kind == 0x88 {
                return Ok(());
            }
            let envelope: Envelope<'_> = serde_json::from_slice(content)?;
            if let Some(record) = record.filter(|_| record::is_transition(envelope.kind)) {
                record::note(record, user, envelope.to_user_id, envelope.kind).await?;
            }
            pass_on(user, &envelope, content, sockets)?;
        }
        inbox.drain(..read);
    }
}

fn pass_on(user: usize, envelope: &Envelope<'_>, content: &[u8], sockets: &Sockets) -> Outcome<()> {
    let mut text = Vec::with_capacity(content.len() + 4);
    text.push(0x81);
    match u16::try_from(content.len())? {
        length if length < 126 => text.push(length.to_be_bytes()[1]),
        length => {
            text.push(126);
            text.extend(length.to_be_bytes());
        }
    }
    text.extend_from_slice(content);
    let write = |socket: &OwnedWriteHalf| match socket.try_write(&text) {
        Ok(written) if written == text.len() => Ok(()),
        other => Err(format!("cannot write at once: {other:?}")),
    };
    let sockets = lock(sockets);
    if envelope.to_all {
        for (_, socket) in sockets.iter().filter(|(other, _)| **other != user) {
            write(socket)?;
        }
    } else if let Some(socket) = envelope.to_user_id.and_then(|to| sockets.get(&to)) {
        write(socket)?;
    }
    Ok(())
}

/// The first frame if all of it is there: its kind, its content unmasked in place, and where the next begins.
fn frame(bytes: &mut [u8]) -> Option<(u8, &mut [u8], usize)> {
    let (kind, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, header) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        127 => return None,
        short => (usize::from(short), 2),
    };
    let key: [u8; 4] = bytes.get(header..header + 4)?.try_into().ok()?;
    let (start, end) = (header + 4, header + 4 + length);
    let content = bytes.get_mut(start..end)?;
    for (at, byte) in content.iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
    Some((kind, content, end))
}
