//! Somebody else's service, of which a story says what it answers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A port of its own, which answers once it is told what.
pub struct Elsewhere {
    listener: TcpListener,
    /// `http://127.0.0.1:PORT`.
    pub origin: String,
}

impl Elsewhere {
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("its address"));
        Self { listener, origin }
    }

    /// Answers what is asked by its path, until the story is over. Each connection is on its own, as a browser opens
    /// some that it may not use.
    pub fn answer(self, answer: impl Fn(&str) -> String + Clone + Send + 'static) {
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = self.listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let length = socket.read(&mut request).await.unwrap_or_default();
                    let request = String::from_utf8_lossy(&request[..length]);
                    let path = request.split(' ').nth(1).unwrap_or_default();
                    let _ = socket.write_all(answer(path).as_bytes()).await;
                });
            }
        });
    }
}

/// An answer that says it has this many bytes, after which the connection ends.
pub fn response(kind: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
