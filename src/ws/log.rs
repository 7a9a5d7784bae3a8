//! What one session was told last: numbered, and kept for a client that comes back.
//!
//! A message is kept as it was written, which for what many are told is one text for all of them; its number is
//! added where it goes out, and again where it goes out once more.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_http::ws::OpCode;

use super::outbox::{Outbox, Refused};
use super::outlet::SocketOutlet;
use crate::clock::Moment;
use crate::dialect::extensions;
use crate::ids::{CallId, SessionId};
use crate::signal::{Incoming, Notice, Payload};

/// How many messages a session keeps.
const KEPT: usize = 256;

/// How many bytes of them.
const KEPT_BYTES: usize = 256 * 1024;

/// How long messages are kept while the socket seems open: as long as a session is parked, and what it may
/// take before a lost connection is noticed.
const KEPT_FOR: Duration = Duration::from_secs(90);

/// How many open invitations a session remembers.
const MAX_INVITED: usize = 8;

struct Kept {
    at: Moment,
    text: Arc<str>,
}

/// What one session was told, and where it is told more.
pub(super) struct Log {
    /// The number of the last message.
    seq: u64,
    /// The last messages: their numbers have no gaps.
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The socket that may write here.
    owner: SessionId,
    outlet: Weak<SocketOutlet>,
    /// Its queue, once everything before is in it.
    outbox: Option<Arc<Outbox>>,
    /// Since when it has no socket.
    parked: Option<Moment>,
    /// Calls its client was invited to and not told the end of, with the offer it got.
    invited: Vec<(CallId, Option<Payload>)>,
}

/// Whether a session can be told what can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It can.
    Free,
    /// Its client has so much to read that this should wait.
    Crowded,
    /// It has no socket.
    Away,
}

impl Log {
    /// An empty one, for this socket.
    pub fn new(socket: &Arc<SocketOutlet>) -> Self {
        Self {
            seq: 0,
            kept: VecDeque::new(),
            bytes: 0,
            owner: socket.who().session,
            outlet: Arc::downgrade(socket),
            outbox: None,
            parked: None,
            invited: Vec::new(),
        }
    }

    /// The number of the last message.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How many bytes it keeps.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether this socket may write here.
    pub fn is_owned_by(&self, socket: SessionId) -> bool {
        self.owner == socket
    }

    /// Since when it has no socket.
    pub fn parked(&self) -> Option<Moment> {
        self.parked
    }

    /// Its socket is gone.
    pub fn park(&mut self, now: Moment) {
        self.parked = Some(now);
        self.outbox = None;
    }

    /// Another socket writes here from now on; it begins with everything after `seq`, or `None` where that is not
    /// all there.
    pub fn take_over(&mut self, by: &Arc<SocketOutlet>, seq: u64) -> Option<Vec<String>> {
        let first = self.seq + 1 - self.kept.len() as u64;
        if seq > self.seq || seq.saturating_add(1) < first {
            return None;
        }
        self.owner = by.who().session;
        self.outlet = Arc::downgrade(by);
        (self.outbox, self.parked) = (None, None);
        for _ in first..=seq {
            self.drop_first();
        }
        Some((seq + 1..).zip(&self.kept).map(|(seq, kept)| extensions::numbered(&kept.text, seq)).collect())
    }

    /// The socket was told everything that comes first: from now on whoever has something to tell writes to it.
    pub fn open(&mut self, socket: &SocketOutlet) {
        if self.is_owned_by(socket.who().session) {
            self.outbox = Some(Arc::clone(socket.outbox()));
        }
    }

    /// Numbers a message and keeps it. It is handed on before there can be another.
    pub fn append<R>(
        &mut self,
        about: Option<&Notice>,
        text: Arc<str>,
        now: Moment,
        hand_on: impl FnOnce(&str) -> R,
    ) -> R {
        match about {
            Some(Notice::Incoming(Incoming { about, offer, .. })) => {
                self.invited.retain(|(call, _)| *call != about.call);
                self.invited.truncate(MAX_INVITED - 1);
                self.invited.insert(0, (about.call, offer.clone()));
            }
            Some(Notice::Closed { call: Some(ended), .. }) => self.invited.retain(|(call, _)| call != ended),
            _ => {}
        }
        let handed_on = hand_on(&extensions::numbered(&text, self.seq + 1));
        self.keep(text, now);
        handed_on
    }

    /// Tells its client a text of the extensions, or keeps it for the next socket. A socket that takes no more is given
    /// back, to be closed.
    pub fn say(&mut self, text: Arc<str>, now: Moment) -> Option<Arc<SocketOutlet>> {
        self.keep(Arc::clone(&text), now);
        self.write(&text)
    }

    /// Writes the text that was kept last. A socket that takes no more is given back, to be closed.
    pub fn write(&self, text: &str) -> Option<Arc<SocketOutlet>> {
        let outbox = self.outbox.as_ref()?;
        let written = outbox.push(OpCode::Text, extensions::numbered(text, self.seq).as_bytes());
        if written == Err(Refused::Full) { self.outlet.upgrade() } else { None }
    }

    /// Numbers a text and keeps it.
    pub fn keep(&mut self, text: Arc<str>, now: Moment) {
        self.seq += 1;
        self.bytes += text.len();
        if self.kept.is_empty() {
            // Most sessions are told next to nothing, and room for more would be most of what this takes.
            self.kept.reserve_exact(1);
        }
        self.kept.push_back(Kept { at: now, text });
        while self.kept.len() > KEPT || self.bytes > KEPT_BYTES {
            self.drop_first();
        }
    }

    /// Whether it can be told what can wait.
    pub fn room(&self) -> Room {
        match &self.outbox {
            None => Room::Away,
            Some(outbox) if outbox.is_crowded() => Room::Crowded,
            Some(_) => Room::Free,
        }
    }

    /// Whether the client has been told this invitation already.
    pub fn has_told(&self, notice: &Notice) -> bool {
        let Notice::Incoming(Incoming { about, offer, .. }) = notice else { return false };
        self.invited.iter().any(|(call, had)| *call == about.call && had == offer)
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.kept.pop_front() {
            self.bytes -= first.text.len();
        }
    }

    /// Lets go of what is too old to be asked for.
    pub fn tidy(&mut self, now: Moment) {
        while self.kept.front().is_some_and(|kept| now - kept.at > KEPT_FOR) {
            self.drop_first();
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::ws::sessions::Sessions;
    use crate::ws::sessions::tests::outlet;

    fn fill(log: &mut Log, messages: usize, bytes: usize) {
        for _ in 0..messages {
            log.append(None, format!("{{\"x\":\"{}\"}}", "x".repeat(bytes)).into(), Moment(0), |_| ());
        }
    }

    #[actix_web::test]
    async fn what_is_kept_is_bounded() {
        let sessions = Sessions::new(Clock::new(), Arc::default(), Arc::default());
        let socket = outlet(&sessions, "laptop");
        let mut log = Log::new(&socket);
        fill(&mut log, KEPT + 1, 1);
        assert!(log.take_over(&socket, 0).is_none());
        assert_eq!(log.take_over(&socket, 1).unwrap().len(), KEPT);
        fill(&mut log, 10, KEPT_BYTES / 4);
        assert!(log.kept.len() == 3 && log.bytes <= KEPT_BYTES, "{} {}", log.kept.len(), log.bytes);
        assert_eq!(log.bytes, log.kept.iter().map(|kept| kept.text.len()).sum::<usize>());
        log.tidy(Moment(0) + KEPT_FOR);
        assert_eq!(log.kept.len(), 3);
        log.tidy(Moment(0) + KEPT_FOR * 2);
        assert_eq!((log.bytes, log.take_over(&socket, 267)), (0, Some(Vec::new())));
        assert!(log.take_over(&socket, 266).is_none() && log.take_over(&socket, 268).is_none());
    }

    #[actix_web::test]
    async fn what_many_are_told_is_one_text_with_a_number_for_each() {
        let sessions = Sessions::new(Clock::new(), Arc::default(), Arc::default());
        let socket = outlet(&sessions, "laptop");
        let text: Arc<str> = "{\"type\":\"news\"}".into();
        let mut logs = [Log::new(&socket), Log::new(&socket)];
        fill(&mut logs[1], 6, 1);
        let handed_on: Vec<String> =
            logs.iter_mut().map(|log| log.append(None, Arc::clone(&text), Moment(0), str::to_owned)).collect();
        assert_eq!(handed_on, ["{\"type\":\"news\",\"seq\":1}", "{\"type\":\"news\",\"seq\":7}"]);
        assert_eq!(Arc::strong_count(&text), 3);
        assert_eq!(logs[1].take_over(&socket, 6).unwrap(), handed_on[1..]);
    }
}
