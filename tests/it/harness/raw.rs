//! HTTP as bytes on a connection that stays open: what an HTTP client would tidy up on the way in, or forgive on the
//! way out, a proxy does not.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;

/// A connection, and what came on it that nobody read yet.
pub struct Raw {
    stream: TcpStream,
    address: String,
    unread: Vec<u8>,
}

/// An answer, cut from the connection as RFC 9112 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    pub status: u16,
    /// Names in lower case, sorted, as their order says nothing; without `date`, which is another each second.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Raw {
    /// Connects to `127.0.0.1:PORT`.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        Self { stream, address: address.to_owned(), unread: Vec::new() }
    }

    /// Writes a request without a body; `Host` is added.
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        self.write(request(&self.address, method, path, headers)).await;
    }

    /// Writes two requests without bodies at once: the second is there before the first is answered.
    pub async fn send_both(&mut self, one: (&str, &str, &[(&str, &str)]), other: (&str, &str)) {
        let first = request(&self.address, one.0, one.1, one.2);
        self.write([first, request(&self.address, other.0, other.1, &[])].concat()).await;
    }

    async fn write(&mut self, bytes: Vec<u8>) {
        self.stream.write_all(&bytes).await.expect("sent");
    }

    /// Reads the answer to a request of that method, to its last byte and no further.
    pub async fn answer(&mut self, method: &str) -> RawAnswer {
        let (status, headers) = self.head().await;
        let mut answer = RawAnswer { status, headers, body: Vec::new() };
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.line().await;
                let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no size of a chunk: {size:?}"));
                answer.body.extend(self.exactly(size).await);
                assert_eq!(self.line().await, "", "a chunk ends with its line");
                if size == 0 {
                    return answer;
                }
            }
        }
        let length = answer.header("content-length").unwrap_or_else(|| panic!("no length: {answer:?}"));
        let length = length.parse().expect("a number");
        answer.body = self.exactly(length).await;
        answer
    }

    /// Nothing is left over, and nothing comes before the service closes.
    pub async fn ends(mut self) {
        let rest = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut self.unread)).await;
        rest.expect("the service closes").expect("read");
        assert_eq!(String::from_utf8_lossy(&self.unread), "", "bytes that belong to no answer");
    }

    async fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let first = self.line().await;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| {
            panic!("this begins no answer: {first:?}, and then {:?}", String::from_utf8_lossy(&self.unread))
        });
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                headers.sort();
                return (status, headers);
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
            if !name.eq_ignore_ascii_case("date") {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.unread.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).unwrap_or_else(|error| panic!("no line: {error}"));
            }
            self.more().await;
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            self.more().await;
        }
        self.unread.drain(..length).collect()
    }

    async fn more(&mut self) {
        let mut buffer = vec![0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let shown = || String::from_utf8_lossy(&self.unread).into_owned();
        let read = read.unwrap_or_else(|_| panic!("nothing comes after {:?}", shown())).expect("read");
        assert!(read > 0, "the service closed after {:?}", shown());
        self.unread.extend(&buffer[..read]);
    }
}

fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
