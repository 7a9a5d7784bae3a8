//! How a socket comes from plain messages to numbered ones: the `hello` of its client, the welcome, and what waits
//! meanwhile.

use std::sync::Arc;

use super::outlet::SocketOutlet;
use super::resumable::Session;
use crate::signal::Notice;

/// How many messages may wait for a welcome.
pub(super) const MAX_HELD: usize = 256;

/// How messages are written.
pub(super) enum Mode {
    /// As the dialect's seed knows them. `told`: some were.
    Plain { told: bool },
    /// Not yet: a welcome is being written, or may be asked for any moment.
    Holding { told: bool, greeting: bool, held: Vec<Held> },
    /// Numbered, extensions included.
    Extended(Arc<Session>),
}

/// What a socket is told.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    Notice(&'a Notice),
    Text(&'a str),
}

/// The same, waiting.
pub(super) enum Held {
    Notice(Box<Notice>),
    Text(String),
}

impl Held {
    pub fn said(&self) -> Said<'_> {
        match self {
            Self::Notice(notice) => Said::Notice(notice),
            Self::Text(text) => Said::Text(text),
        }
    }
}

impl<'a> Said<'a> {
    pub fn held(self) -> Held {
        match self {
            Self::Notice(notice) => Held::Notice(Box::new(notice.clone())),
            Self::Text(text) => Held::Text(text.to_owned()),
        }
    }

    pub fn notice(self) -> Option<&'a Notice> {
        match self {
            Self::Notice(notice) => Some(notice),
            Self::Text(_) => None,
        }
    }

    /// The core keeps it for the device's return where it did not arrive.
    pub fn is_kept_by_the_core(self) -> bool {
        matches!(self.notice(), Some(Notice::Closed { .. } | Notice::Incoming(_)))
    }
}

impl SocketOutlet {
    /// Its session, if it said `hello` and was welcomed.
    pub fn session(&self) -> Option<Arc<Session>> {
        match &*self.mode() {
            Mode::Extended(session) => Some(Arc::clone(session)),
            Mode::Plain { .. } | Mode::Holding { .. } => None,
        }
    }

    /// Whether what it is told waits for the client to begin.
    pub fn is_waiting(&self) -> bool {
        matches!(&*self.mode(), Mode::Holding { greeting: false, .. })
    }

    /// Whether what it is told waits for the client to begin, or for the welcome.
    pub fn is_holding(&self) -> bool {
        matches!(&*self.mode(), Mode::Holding { .. })
    }

    /// Whether the welcome is being written.
    pub fn is_greeting(&self) -> bool {
        matches!(&*self.mode(), Mode::Holding { greeting: true, .. })
    }

    /// The client said `hello`: what it is told waits for the welcome.
    pub fn greet(&self) {
        let mut mode = self.mode();
        match &mut *mode {
            Mode::Plain { told } => *mode = Mode::Holding { told: *told, greeting: true, held: Vec::new() },
            Mode::Holding { greeting, .. } => *greeting = true,
            Mode::Extended(_) => {}
        }
    }

    /// The client began without `hello`, or did not begin in time: it is told what waited.
    pub fn settle(&self) {
        let mut mode = self.mode();
        let Mode::Holding { told, greeting: false, held } = &mut *mode else { return };
        let held = std::mem::take(held);
        let told = *told || !held.is_empty();
        for text in held.iter().filter_map(|held| self.write(held.said(), false)) {
            self.outbox.push_extra(&text);
        }
        *mode = Mode::Plain { told };
    }

    /// Welcomes the client: with the session it asks for and everything it missed, or with a new one. The
    /// welcome is written with the session's name, whether it goes on, and the number it goes on after.
    pub fn begin(self: &Arc<Self>, resume: Option<(String, u64)>, welcome: impl FnOnce(&str, bool, u64) -> String) {
        let mut mode = self.mode();
        if self.outbox.is_closed() {
            return;
        }
        let push = |text: &str| self.outbox.push_extra(text);
        let (told, held) = match &mut *mode {
            Mode::Extended(session) => return session.at_seq(|seq| push(&welcome(&session.name(), false, seq))),
            Mode::Plain { told } => (*told, Vec::new()),
            Mode::Holding { told, held, .. } => (*told, std::mem::take(held)),
        };
        let resumed = resume.filter(|_| !told).and_then(|(id, seq)| {
            let (session, missed) = self.sessions.resume(&id, seq, self)?;
            Some((session, seq, missed))
        });
        let recovered = resumed.is_some();
        let (session, seq, missed) = resumed.unwrap_or_else(|| (self.sessions.create(self), 0, Vec::new()));
        if self.is_confined() {
            // Before anything that waits for those it watches can be told.
            self.sessions.lapse(&session);
        }
        push(&welcome(&session.name(), recovered, seq));
        missed.iter().for_each(|text| push(text));
        for held in held {
            if recovered && held.said().notice().is_some_and(|notice| session.has_told(notice)) {
                continue;
            }
            if let Some(text) = self.write(held.said(), true) {
                session.append(self.who.session, held.said().notice(), text, self.clock.moment(), push);
            }
        }
        self.sessions.open(&session, self);
        *mode = Mode::Extended(session);
    }

    /// Leaves what it told to the socket that follows.
    pub(super) fn park(&self) {
        let mut mode = self.mode();
        match &mut *mode {
            Mode::Extended(session) => self.sessions.park(session, self.who.session),
            Mode::Holding { held, .. } => {
                let held = std::mem::take(held);
                let Some(earlier) = &self.earlier else { return };
                for held in held {
                    let said = held.said();
                    if said.notice().is_some_and(|notice| earlier.has_told(notice)) {
                        continue;
                    }
                    if let Some(text) = self.write(said, true) {
                        earlier.append_parked(said.notice(), text, self.clock.moment());
                    }
                }
            }
            Mode::Plain { .. } => {}
        }
    }
}
