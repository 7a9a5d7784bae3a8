//! What is read: plain structs out, each query within the store's deadline.

mod calls;
mod history;
mod members;
mod people;
mod presence;
mod profiles;
mod recovery;
mod report;
mod reported;
mod rows;
mod span;
mod stats;

pub use calls::{CallFilter, call, call_logs, calls, events, find_by_key, page_of_calls};
pub use history::{
    HistoryRow, MissedFilter, MissedPage, all_unseen, all_unseen_of, history_between, missed, page_between,
    page_of_missed, unseen_count, unseen_counts,
};
pub use people::{Person, names, people};
pub use presence::{is_known, last_seen, settle_statuses};
pub use profiles::profiles;
pub use recovery::{LiveCall, fail_orphan, highest_call_id, live_calls};
pub use report::{Report, report};
pub use reported::{logged_already, settle_reported};
pub use rows::{CallRow, Cursor, Participant};
pub use span::{Span, ends_of, span};
pub use stats::{Period, Spread, Summary, durations, groups, summary, time_to_answer};

/// The most rows a page may have.
pub const MAX_PAGE: u64 = 200;

/// How many keys go into one `IN (…)`: well under SQLite's variables.
pub const KEYS: usize = 500;
