//! A TURN server of our own: coturn on the loopback interface, on a port nobody uses.

use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::{PATIENCE, Store};

/// A running coturn; killed when dropped.
pub struct Turn {
    _child: Child,
    port: u16,
}

impl Turn {
    /// Starts it with the secret it shares with the service.
    pub async fn start(store: &Store, secret: &str) -> Self {
        // It cannot be told "any port", and between asking the kernel for one and coturn's own bind somebody
        // else may take it; then another one is tried.
        for _ in 0..5 {
            let port = free_port().await;
            let mut child = spawn(store, port, secret);
            if listens(&mut child, port).await {
                return Self { _child: child, port };
            }
        }
        let log = std::fs::read_to_string(store.file("turn.log")).unwrap_or_default();
        panic!("coturn does not start:\n{log}");
    }

    /// What the service is told: over UDP.
    pub fn url(&self) -> String {
        format!("turn:127.0.0.1:{}?transport=udp", self.port)
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn spawn(store: &Store, port: u16, secret: &str) -> Child {
    let log = std::fs::File::create(store.file("turn.log")).expect("the log file");
    Command::new("turnserver")
        // No configuration file, no console, and nothing of the machine's own coturn.
        .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout"])
        .arg(format!("--pidfile={}", store.file("turn.pid").display()))
        .arg(format!("--userdb={}", store.file("turn.db").display()))
        .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--realm=story"])
        .arg(format!("--listening-port={port}"))
        .args(["--use-auth-secret", &format!("--static-auth-secret={secret}")])
        // Whom it relays to is on this machine as well.
        .arg("--allow-loopback-peers")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log file"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("turnserver; run ./test, which installs it")
}

/// Waits until it takes connections; false where it went away instead.
async fn listens(child: &mut Child, port: u16) -> bool {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if child.try_wait().expect("coturn's state").is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
