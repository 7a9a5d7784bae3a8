//! The program's log: lines on standard error, of the levels `RUST_LOG` names.
//!
//! A line is not a write of its own. Lines are gathered for a moment and written together by a thread of their own, so
//! that a request does not wait for whoever reads them. A warning or an error is written at once, with what was said
//! before it; so is everything at a panic and when the program ends. Only a kill loses what was just gathered.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use env_logger::Env;
use log::{Level, Log, Metadata, Record};

use crate::clock::Clock;

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(50);

/// How much is written without waiting for more, in bytes.
const ENOUGH: usize = 128 * 1024;

/// How much may wait while nothing can be written, in bytes. Lines beyond are dropped, and counted.
const ROOM: usize = 1024 * 1024;

/// Sets the log up for the process, with these levels where `RUST_LOG` says nothing.
pub fn start(levels: &str) -> std::io::Result<()> {
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let lines = Arc::new(Lines::new(std::io::stderr()));
    let (writing, at_panic) = (Arc::clone(&lines), Arc::clone(&lines));
    std::thread::Builder::new().name("log".to_owned()).spawn(move || writing.keep_writing())?;
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        at_panic.write();
        otherwise(panic);
    }));
    let levels = env_logger::Builder::from_env(Env::default().default_filter_or(levels));
    let journal = Journal::new(levels, coloured, lines);
    log::set_max_level(journal.levels.filter());
    log::set_boxed_logger(Box::new(journal)).map_err(std::io::Error::other)
}

/// What env_logger lets through, as lines that are gathered.
struct Journal<W> {
    /// Only asked which records are wanted.
    levels: env_logger::Logger,
    coloured: bool,
    clock: Clock,
    lines: Arc<Lines<W>>,
}

thread_local! {
    /// A thread's last line, for its room and its time. A record that is logged while another is put into words finds
    /// an empty one.
    static LAST: Cell<Line> = const { Cell::new(Line::new()) };
}

impl<W> Journal<W> {
    fn new(mut levels: env_logger::Builder, coloured: bool, lines: Arc<Lines<W>>) -> Self {
        Self { levels: levels.build(), coloured, clock: Clock::new(), lines }
    }
}

impl<W: Write + Send> Log for Journal<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.levels.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.levels.matches(record) {
            return;
        }
        let mut line = LAST.try_with(Cell::take).unwrap_or_default();
        line.say(record, self.clock.wall_micros() / 1_000_000, self.coloured);
        self.lines.add(line.text.as_bytes());
        // A thread that ends has no place for it any more.
        let _ = LAST.try_with(|last| last.set(line));
        if record.level() <= Level::Warn {
            self.lines.write();
        }
    }

    fn flush(&self) {
        self.lines.write();
    }
}

/// One line: `[2026-11-21T14:31:18Z INFO  switchboard::app] draining`.
struct Line {
    text: String,
    /// The second it is of, and how a line of it begins.
    second: i64,
    time: String,
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Line {
    const fn new() -> Self {
        Self { text: String::new(), second: i64::MIN, time: String::new() }
    }

    fn say(&mut self, record: &Record<'_>, second: i64, coloured: bool) {
        self.text.clear();
        if self.second != second {
            let time = chrono::DateTime::from_timestamp(second, 0).unwrap_or_default();
            (self.second, self.time) = (second, time.format("[%Y-%m-%dT%H:%M:%SZ ").to_string());
        }
        let (level, colour) = style(record.level());
        let (on, off) = if coloured { (colour, "\x1b[0m") } else { ("", "") };
        for part in [&self.time, on, level, off, " ", record.target(), "] "] {
            self.text.push_str(part);
        }
        let head = self.text.len();
        // Writing to a String does not fail; a value that cannot say itself leaves the rest of the line out.
        let _ = write!(self.text, "{}", record.args());
        if self.text[head..].contains('\n') {
            // What is not indented is a record.
            let said = self.text.split_off(head).replace('\n', "\n    ");
            self.text.push_str(&said);
        }
        self.text.push('\n');
    }
}

/// How a level is written, and what makes a terminal show it in its colour.
fn style(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Error => ("ERROR", "\x1b[1;31m"),
        Level::Warn => ("WARN ", "\x1b[33m"),
        Level::Info => ("INFO ", "\x1b[32m"),
        Level::Debug => ("DEBUG", "\x1b[34m"),
        Level::Trace => ("TRACE", "\x1b[36m"),
    }
}

/// Lines on their way to where they are written, in the order in which they were added.
struct Lines<W> {
    waiting: Mutex<Waiting>,
    /// For who writes: something waits, after a time when nothing did; or enough does.
    bell: Condvar,
    /// Whoever has this writes what waits: so what is taken first is written first.
    out: Mutex<Out<W>>,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    /// Who writes sleeps until there is something.
    asleep: bool,
}

struct Out<W> {
    to: W,
    /// What is being written; changes places with what waits.
    text: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Text is text, whatever became of who added to it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Write> Lines<W> {
    fn new(to: W) -> Self {
        Self { waiting: Mutex::default(), bell: Condvar::new(), out: Mutex::new(Out { to, text: Vec::new() }) }
    }

    fn add(&self, line: &[u8]) {
        let mut waiting = lock(&self.waiting);
        let before = waiting.text.len();
        if before + line.len() > ROOM {
            waiting.dropped += 1;
            return;
        }
        waiting.text.extend_from_slice(line);
        let now = waiting.text.len();
        let asleep = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if asleep || (before < ENOUGH && now >= ENOUGH) {
            self.bell.notify_one();
        }
    }

    /// Writes what waits. Where that fails nobody is left to be told.
    fn write(&self) {
        let mut out = lock(&self.out);
        let Out { to, text } = &mut *out;
        let dropped = {
            let mut waiting = lock(&self.waiting);
            std::mem::swap(&mut waiting.text, text);
            std::mem::take(&mut waiting.dropped)
        };
        let _ = to.write_all(text);
        if dropped > 0 {
            let _ = writeln!(to, "[{dropped} lines are missing here: they came faster than they could be written]");
        }
        let _ = to.flush();
        text.clear();
        // Room for a burst is not kept for ever.
        text.shrink_to(2 * ENOUGH);
    }

    fn keep_writing(&self) {
        loop {
            // Others may be on their way.
            let gathering = lock(&self.waiting);
            let gathered = self.bell.wait_timeout_while(gathering, GATHER, |waiting| waiting.text.len() < ENOUGH);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            if waiting.text.is_empty() {
                // Only now, so that while there is much to say nobody is woken for the first of it.
                waiting.asleep = true;
                drop(self.bell.wait_while(waiting, |waiting| waiting.asleep));
            } else {
                drop(waiting);
                self.write();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    fn text_of(line: &Lines<Vec<u8>>) -> String {
        String::from_utf8(lock(&line.out).to.clone()).unwrap()
    }

    fn said(level: Level, what: &str, coloured: bool) -> String {
        let mut line = Line::new();
        let args = format_args!("{what}").to_string();
        let second = chrono::DateTime::parse_from_rfc3339("2026-11-21T14:31:18Z").unwrap().timestamp();
        line.say(&Record::builder().level(level).target("a::b").args(format_args!("{args}")).build(), second, coloured);
        line.text
    }

    #[test]
    fn a_line_says_when_how_grave_who_and_what() {
        assert_eq!(said(Level::Info, "draining", false), "[2026-11-21T14:31:18Z INFO  a::b] draining\n");
        assert_eq!(said(Level::Warn, "x", true), "[2026-11-21T14:31:18Z \x1b[33mWARN \x1b[0m a::b] x\n");
    }

    #[test]
    fn a_record_of_several_lines_cannot_pass_for_several_records() {
        assert_eq!(said(Level::Error, "a\n[b", false), "[2026-11-21T14:31:18Z ERROR a::b] a\n    [b\n");
    }

    #[test]
    fn lines_are_written_together_and_in_order() {
        let lines = Lines::new(Vec::new());
        for n in 0..3 {
            lines.add(format!("{n}\n").as_bytes());
        }
        assert_eq!(text_of(&lines), "");
        lines.write();
        lines.add(b"3\n");
        lines.write();
        lines.write();
        assert_eq!(text_of(&lines), "0\n1\n2\n3\n");
    }

    #[test]
    fn a_warning_is_written_at_once_with_what_was_said_before() {
        let mut levels = env_logger::Builder::new();
        levels.parse_filters("info,quiet=error");
        let lines = Arc::new(Lines::new(Vec::new()));
        let journal = Journal::new(levels, false, Arc::clone(&lines));
        let say = |level, target, what: &str| {
            journal.log(&Record::builder().level(level).target(target).args(format_args!("{what}")).build());
            text_of(&lines).lines().map(|line| line.split("] ").last().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(say(Level::Info, "a", "one").is_empty());
        assert!(say(Level::Debug, "a", "two").is_empty() && say(Level::Warn, "quiet", "three").is_empty());
        assert_eq!(say(Level::Warn, "a", "four"), ["one", "four"]);
        assert_eq!(say(Level::Info, "a", "five"), ["one", "four"]);
        journal.flush();
        assert_eq!(text_of(&lines).lines().count(), 3);
    }

    #[test]
    fn what_finds_no_room_is_counted_where_it_would_have_stood() {
        let lines = Lines::new(Vec::new());
        let long = format!("{}\n", "x".repeat(ROOM / 2 - 1));
        for _ in 0..4 {
            lines.add(long.as_bytes());
        }
        lines.write();
        lines.add(b"again\n");
        lines.write();
        let text = text_of(&lines);
        let rest = text.strip_prefix(&long.repeat(2)).expect("two of them");
        assert_eq!(rest, "[2 lines are missing here: they came faster than they could be written]\nagain\n");
    }

    /// Hands on what is written.
    struct Writes(SyncSender<Vec<u8>>);

    impl Write for Writes {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.send(text.to_vec()).map_err(std::io::Error::other)?;
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_appears_by_itself_and_nobody_waits_while_nothing_is_read() {
        // Nothing is taken before the reader below asks.
        let (send, read): (_, Receiver<Vec<u8>>) = sync_channel(0);
        let lines = Arc::new(Lines::new(Writes(send)));
        let writing = Arc::clone(&lines);
        std::thread::spawn(move || writing.keep_writing());
        lines.add(b"first\n");
        while lock(&lines.waiting).text == b"first\n" {
            std::thread::yield_now();
        }
        lines.add(b"second\n");
        assert_eq!(read.recv().unwrap(), b"first\n");
        assert_eq!(read.recv().unwrap(), b"second\n");
    }
}
