//! Programs that listen and cannot be told "any port".

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;

use super::PATIENCE;

/// Starts a program on a port nobody uses; `None` where it does not start. Between asking the kernel for one and the
/// program's own bind somebody else may take it; then another one is tried.
pub async fn start(spawn: impl Fn(u16) -> Child) -> Option<(Child, u16)> {
    for _ in 0..5 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        drop(listener);
        let mut child = spawn(port);
        if listens(&mut child, port).await {
            return Some((child, port));
        }
    }
    None
}

/// Waits until it takes connections; false where it went away instead.
async fn listens(child: &mut Child, port: u16) -> bool {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if child.try_wait().expect("the program's state").is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
