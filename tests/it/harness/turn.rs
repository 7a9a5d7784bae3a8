//! A TURN server of our own: coturn on the loopback interface, on a port nobody uses.

use std::process::Stdio;

use tokio::process::{Child, Command};

use super::{Store, on_port};

/// A running coturn; killed when dropped.
pub struct Turn {
    _child: Child,
    port: u16,
}

impl Turn {
    /// Starts it with the secret it shares with the service.
    pub async fn start(store: &Store, secret: &str) -> Self {
        let Some((child, port)) = on_port::start(|port| spawn(store, port, secret)).await else {
            let log = std::fs::read_to_string(store.file("turn.log")).unwrap_or_default();
            panic!("coturn does not start:\n{log}");
        };
        Self { _child: child, port }
    }

    /// What the service is told: over UDP.
    pub fn url(&self) -> String {
        format!("turn:127.0.0.1:{}?transport=udp", self.port)
    }
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
