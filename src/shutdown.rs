//! Takes the service down in order, when it is asked to.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::dev::ServerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::net::Connections;
use crate::router::CallRouter;
use crate::router::messages::{CloseAll, Drain, Flush, Measure};
use crate::store::{Store, Writer};

/// How often a draining service looks whether it is idle.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long sockets get to say goodbye before what is unwritten is written, and once more before they are cut off.
const GOODBYE: Duration = Duration::from_millis(500);

/// What it takes to stop in order.
pub struct Shutdown {
    /// Stops the listener.
    pub handle: ServerHandle,
    /// Is told to drain and to close sockets.
    pub router: Addr<CallRouter>,
    /// Flushed before the listener stops.
    pub writer: Writer,
    /// Closed last.
    pub store: Store,
    /// The sockets that are open.
    pub sockets: Arc<Connections>,
    /// How long live calls are waited for.
    pub deadline: Duration,
}

impl Shutdown {
    /// Waits for SIGTERM or SIGINT, then stops: no new calls; live ones go on until they are over or the deadline
    /// passes, or until it is asked again; then sockets are closed, what is unwritten is written, and the listener
    /// stops.
    pub async fn when_asked(self) {
        let mut signals = Signals::listen();
        signals.next().await;
        log::info!("draining: no new calls, at most {:?} for those that are live", self.deadline);
        self.router.do_send(Drain);
        let drained = tokio::time::timeout(self.deadline, async {
            while self.router.send(Measure).await.is_ok_and(|load| load.live_calls > 0) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        tokio::select! {
            drained = drained => if drained.is_err() {
                log::warn!("calls are still live; their records are kept and the next start takes them up");
            },
            () = signals.next() => log::warn!("asked again: stopping without waiting for live calls"),
        }
        let mut turned = self.router.send(CloseAll).await.is_ok();
        self.sockets_gone(GOODBYE).await;
        turned &= self.router.send(Flush).await.is_ok();
        if !(self.writer.flush().await && turned) {
            log::error!("not everything could be written; the next start settles what is missing");
        }
        // Sockets have left the server, so it does not wait for them.
        self.sockets_gone(GOODBYE).await;
        self.handle.stop(true).await;
        self.store.close().await;
    }

    /// Waits until no socket is open, but no longer than this.
    async fn sockets_gone(&self, within: Duration) {
        let gone = async {
            while self.sockets.count() > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(within, gone).await;
    }
}

/// SIGTERM and SIGINT, from when it is made: one that comes while nobody waits for it is not lost, though several of a
/// kind are one.
struct Signals(Option<[Signal; 2]>);

impl Signals {
    fn listen() -> Self {
        let both = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        let [Ok(terminate), Ok(interrupt)] = both else {
            log::error!("signals cannot be received; only killing the process will stop it");
            return Self(None);
        };
        Self(Some([terminate, interrupt]))
    }

    /// Resolves at the next one.
    async fn next(&mut self) {
        let Some([terminate, interrupt]) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
