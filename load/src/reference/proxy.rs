//! The least a hop can cost: bytes read from one connection and written to another. Users 1 and 2 are connected
//! with each other, 3 and 4, and so on. One buffer serves all.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::ready;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Who waits for the other end.
type Waiting = Arc<Mutex<HashMap<usize, TcpStream>>>;

pub async fn serve(listener: TcpListener) -> Outcome<()> {
    let waiting = Waiting::default();
    loop {
        let (mut stream, _) = listener.accept().await?;
        let waiting = Arc::clone(&waiting);
        tokio::spawn(async move {
            let Ok(user) = super::accept(&mut stream).await else { return };
            let pair = (user - 1) / 2;
            let other = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&pair);
            let Some(other) = other else {
                waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(pair, stream);
                return;
            };
            let ((from_one, to_one), (from_other, to_other)) = (stream.into_split(), other.into_split());
            tokio::spawn(pump(from_one, to_other));
            pump(from_other, to_one).await;
        });
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    while let Ok(more) = hand_over(&mut from, &mut to).await
        && more
    {}
}

/// Moves what is there; `false` at the end.
async fn hand_over(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<bool> {
    let (read, rest) = poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            let written = match to.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                written => written?,
            };
            // What does not fit waits outside the buffer of all.
            Ok::<_, io::Error>((bytes.len(), bytes[written..].to_vec())).into()
        })
    })
    .await?;
    if !rest.is_empty() {
        to.write_all(&rest).await?;
    }
    Ok(read > 0)
}
