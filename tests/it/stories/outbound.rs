//! Addresses that the service itself opens: only those it may, no redirections, a deadline and a size limit. A JWKS on a
//! port of the story's own is the first such address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use switchboard::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::harness::{Rest, Service, Store, eventually};

on_sqlite!(
    loopback_is_opened_only_where_it_is_allowed,
    a_name_is_what_it_resolves_to,
    an_answer_that_points_elsewhere_is_not_followed,
    a_body_without_end_is_cut_off,
    a_server_that_says_nothing_is_given_up,
    a_server_that_says_little_is_given_up,
    no_proxy_of_the_environment_stands_between,
);

/// How the key server answers a request.
#[derive(Clone)]
enum Answer {
    /// The head and the body given.
    Whole(String),
    /// A head that announces so many bytes, or chunks where it announces none, and bytes as long as they are taken.
    Endless(Option<u64>),
    /// Nothing, and the connection stays.
    Nothing,
    /// A head and then a byte now and then.
    Dripping,
}

/// A server on a loopback port that answers every connection alike.
struct KeyServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    /// How many answers could not be written to their end, as the other side had gone.
    cut_off: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl KeyServer {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (asked, cut_off) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (Arc::clone(&asked), Arc::clone(&cut_off));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                counters.0.fetch_add(1, Ordering::SeqCst);
                let (answer, cut_off) = (answer.clone(), Arc::clone(&counters.1));
                tokio::spawn(async move {
                    if serve(stream, answer).await.is_err() {
                        cut_off.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { address, asked, cut_off, task }
    }

    fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut request = [0; 4096];
    assert!(stream.read(&mut request).await? > 0, "a request");
    match answer {
        Answer::Whole(text) => {
            stream.write_all(text.as_bytes()).await?;
            // The other side closes, or asks again on the same connection.
            while stream.read(&mut request).await? > 0 {
                stream.write_all(text.as_bytes()).await?;
            }
            Ok(())
        }
        Answer::Endless(announced) => {
            let (length, chunk) = match announced {
                Some(length) => (format!("Content-Length: {length}"), " ".repeat(4096)),
                None => ("Transfer-Encoding: chunked".to_owned(), format!("1000\r\n{}\r\n", " ".repeat(4096))),
            };
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n").as_bytes()).await?;
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        Answer::Nothing => {
            // Until the other side goes, which is no failure of this one.
            while stream.read(&mut request).await? > 0 {}
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
        Answer::Dripping => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"1\r\n \r\n").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn private_key() -> EncodingKey {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/eddsa.private.pem");
    EncodingKey::from_ed_pem(&std::fs::read(path).expect("the private key")).expect("a key")
}

fn good_answer() -> Answer {
    let key = Jwk::from_encoding_key(&private_key(), Algorithm::EdDSA).expect("a public key");
    let body = json!({ "keys": [key] }).to_string();
    Answer::Whole(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// The settings of a service that takes its keys from there.
fn keys_from<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("AUTH__MODE", "jwt"), ("AUTH__ALGORITHM", "EdDSA"), ("AUTH__JWKS", url)], more].concat()
}

/// Somebody with a token that the good answer's key holds.
fn somebody(service: &Service) -> Rest {
    let claims = json!({ "sub": 7, "exp": Clock::new().now().wall.timestamp() + 600 });
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &private_key()).expect("a token");
    service.rest("7").bearer(&token)
}

/// A service that takes its keys from there, and somebody with such a token.
async fn with_keys_from(store: &Store, url: &str, more: &[(&str, &str)]) -> (Service, Rest) {
    let service = Service::with(store, &keys_from(url, more)).await;
    let rest = somebody(&service);
    (service, rest)
}

const LOOPBACK: (&str, &str) = ("OUTBOUND__ALLOWED", "127.0.0.0/8, ::1");

/// The token is not taken, as its key could not be had, and the log says why, with all of these words.
async fn refused_with(service: &Service, rest: &Rest, words: &[&str]) {
    // Whether the token holds nobody can say, which is not its bearer's fault.
    let refused = rest.get("/api/call/missed").await;
    assert!(refused.retry_after.is_some(), "{refused:?}");
    refused.refused(503);
    eventually(&format!("the log says {words:?}"), async || {
        let log = service.log();
        log.lines().any(|line| line.contains("auth.jwks") && words.iter().all(|word| line.contains(word))).then_some(())
    })
    .await;
}

async fn loopback_is_opened_only_where_it_is_allowed(store: Store) {
    let keys = KeyServer::start(good_answer()).await;
    for allowed in [&[][..], &[("OUTBOUND__ALLOWED", "127.0.0.2, 10.0.0.0/8")]] {
        let (service, rest) = with_keys_from(&store, &keys.url(), allowed).await;
        refused_with(&service, &rest, &["127.0.0.1 is a loopback address", "outbound.allowed"]).await;
        assert_eq!(keys.asked(), 0, "no connection was made");
    }
    let (_service, rest) = with_keys_from(&store, &keys.url(), &[LOOPBACK]).await;
    rest.get("/api/call/missed").await.ok();
    assert!(keys.asked() > 0);
}

async fn a_name_is_what_it_resolves_to(store: Store) {
    let keys = KeyServer::start(good_answer()).await;
    let url = format!("http://localhost:{}/jwks", keys.address.port());
    let (service, rest) = with_keys_from(&store, &url, &[]).await;
    refused_with(&service, &rest, &["localhost is ", "a loopback address", "outbound.allowed"]).await;
    assert_eq!(keys.asked(), 0, "no connection was made");
    let (_service, rest) = with_keys_from(&store, &url, &[LOOPBACK]).await;
    rest.get("/api/call/missed").await.ok();
}

async fn an_answer_that_points_elsewhere_is_not_followed(store: Store) {
    let keys = KeyServer::start(good_answer()).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let pointing = format!("HTTP/1.1 {status}\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", keys.url());
        let elsewhere = KeyServer::start(Answer::Whole(pointing)).await;
        let (service, rest) = with_keys_from(&store, &elsewhere.url(), &[LOOPBACK]).await;
        refused_with(&service, &rest, &["127.0.0.1", &status[..3], "not followed"]).await;
        assert!(elsewhere.asked() > 0);
    }
    assert_eq!(keys.asked(), 0);
}

async fn a_body_without_end_is_cut_off(store: Store) {
    for announced in [None, Some(u64::MAX / 2), Some(300_000)] {
        let keys = KeyServer::start(Answer::Endless(announced)).await;
        let (service, rest) = with_keys_from(&store, &keys.url(), &[LOOPBACK]).await;
        refused_with(&service, &rest, &["more than 262144 bytes"]).await;
        eventually("the connection is cut off", async || (keys.cut_off.load(Ordering::SeqCst) > 0).then_some(())).await;
    }
}

async fn a_server_that_says_nothing_is_given_up(store: Store) {
    let keys = KeyServer::start(Answer::Nothing).await;
    let (service, rest) = with_keys_from(&store, &keys.url(), &[LOOPBACK]).await;
    // Many at once wait for one question, and all are answered although it never is.
    let many = futures_util::future::join_all((0..20).map(|_| rest.get("/api/call/missed"))).await;
    for answer in many {
        answer.refused(503);
    }
    refused_with(&service, &rest, &["127.0.0.1", "did not answer within 5s"]).await;
    eventually("the connection is given up", async || (keys.cut_off.load(Ordering::SeqCst) > 0).then_some(())).await;
}

async fn a_server_that_says_little_is_given_up(store: Store) {
    let keys = KeyServer::start(Answer::Dripping).await;
    let (service, rest) = with_keys_from(&store, &keys.url(), &[LOOPBACK]).await;
    refused_with(&service, &rest, &["127.0.0.1", "did not answer within 5s"]).await;
}

async fn no_proxy_of_the_environment_stands_between(store: Store) {
    let (keys, proxy) = (KeyServer::start(good_answer()).await, KeyServer::start(good_answer()).await);
    let url = format!("http://{}", proxy.address);
    let proxies = [("HTTP_PROXY", url.as_str()), ("http_proxy", &url), ("ALL_PROXY", &url)];
    let service = Service::in_environment(&store, &keys_from(&keys.url(), &[LOOPBACK]), &proxies).await;
    somebody(&service).get("/api/call/missed").await.ok();
    assert_eq!((proxy.asked(), keys.asked() > 0), (0, true));
}
