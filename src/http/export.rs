//! The record as a table: every call a filter finds, as CSV, read and sent a page at a time.
//!
//! No query lasts longer than a page, and no page is read before the client took the one before. A client that
//! goes away ends it; a database that goes away breaks the response off, so that nobody takes half for all.

use std::io;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::{Stream, stream};

use super::Edge;
use crate::clock::Timestamp;
use crate::ids::{ConversationId, UserId};
use crate::signal::{Reason, Refusal};
use crate::store::Store;
use crate::store::queries::{self, CallFilter, CallRow, Cursor, MAX_PAGE};

/// The columns.
const COLUMNS: [&str; 15] = [
    "id",
    "caller_id",
    "caller_name",
    "callee_ids",
    "conversation_id",
    "call_type",
    "status",
    "reason",
    "started_at",
    "answered_at",
    "ended_at",
    "duration_seconds",
    "missed",
    "seen",
    "reported",
];

/// Memory takes every line; the writer's errors are those of files.
const UNWRITABLE: Refusal = Refusal::Unavailable("the export");

/// The calls of a filter as CSV. The first page is read before the answer begins, so that a database that is away
/// is a "no" like any other.
pub async fn export(edge: &Edge, reader: UserId, filter: CallFilter) -> Result<HttpResponse, Refusal> {
    let filter = CallFilter { limit: MAX_PAGE, ..filter };
    let (rows, next) = queries::calls(&edge.store, &filter).await?;
    let mut text = line(COLUMNS.map(str::to_owned))?;
    text.extend(lines(&rows, &reader)?);
    let first = stream::once(async { Ok(Bytes::from(text)) });
    let rest = pages(edge.store.clone(), filter, reader, next);
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"calls.csv\""))
        .insert_header((header::VARY, "Accept"))
        .streaming(Box::pin(stream::StreamExt::chain(first, rest))))
}

/// The pages from there on. Newest first by id, so calls that begin meanwhile are not among them.
fn pages(
    store: Store,
    filter: CallFilter,
    reader: UserId,
    next: Option<Cursor>,
) -> impl Stream<Item = Result<Bytes, io::Error>> {
    stream::try_unfold(next, move |next| {
        let (store, mut filter, reader) = (store.clone(), filter.clone(), reader.clone());
        async move {
            if next.is_none() {
                return Ok(None);
            }
            filter.before = next;
            let (rows, next) =
                queries::calls(&store, &filter).await.map_err(io::Error::other).inspect_err(|error| {
                    log::warn!("an export of calls is broken off: {error}");
                })?;
            let text = lines(&rows, &reader).map_err(io::Error::other)?;
            Ok(Some((Bytes::from(text), next)))
        }
    })
}

fn lines(rows: &[CallRow], reader: &UserId) -> Result<Vec<u8>, Refusal> {
    let mut text = Vec::new();
    for row in rows {
        text.extend(line(cells(row, reader))?);
    }
    Ok(text)
}

/// Cells as a line of RFC 4180. All of them are quoted: an id may be any visible text, and whoever reads a line by its
/// commas finds out with the first line and not with the first such id.
fn line<const N: usize>(cells: [String; N]) -> Result<Vec<u8>, Refusal> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::new());
    writer.write_record(cells.map(harmless)).map_err(|_| UNWRITABLE)?;
    writer.into_inner().map_err(|_| UNWRITABLE)
}

fn cells(row: &CallRow, reader: &UserId) -> [String; COLUMNS.len()] {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
    let mut missed = row.participants.iter().filter(|leg| leg.missed).peekable();
    let was_missed = missed.peek().is_some();
    [
        row.id.to_string(),
        row.caller_id.to_string(),
        row.caller_name.clone().unwrap_or_default(),
        row.callees().map(UserId::to_string).collect::<Vec<_>>().join(" "),
        row.conversation_id.as_ref().map(ConversationId::to_string).unwrap_or_default(),
        row.call_type.as_str().to_owned(),
        row.status_for(reader).to_owned(),
        row.reason.map(Reason::as_str).unwrap_or_default().to_owned(),
        time(Some(row.started_at)).unwrap_or_default(),
        time(row.answered_at).unwrap_or_default(),
        time(row.ended_at).unwrap_or_default(),
        row.duration_seconds.to_string(),
        was_missed.to_string(),
        // By all who missed it.
        (was_missed && missed.all(|leg| leg.seen)).to_string(),
        row.reported.to_string(),
    ]
}

/// A cell that no spreadsheet takes for a formula. What callers call themselves is their own choice, and the reader
/// is an administrator.
fn harmless(cell: String) -> String {
    let formula = |letter| matches!(letter, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    // Some forgive blanks, and line breaks, before one.
    if cell.trim_start().starts_with(formula) || cell.starts_with(['\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_starts_a_formula() {
        for bad in
            ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", " =1", "\u{a0}@a", "＝1", "＋1", "=cmd|' /C calc'!A0"]
        {
            assert_eq!(harmless(bad.to_owned()), format!("'{bad}"));
        }
        for good in ["", "Anna", "a=b", "7", "'", " a"] {
            assert_eq!(harmless(good.to_owned()), good);
        }
    }

    #[test]
    fn every_cell_is_quoted_and_quotes_are_doubled() {
        let line = line(["a,b".to_owned(), "say \"hi\"".to_owned(), "two\nlines".to_owned(), String::new()]).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"\"\r\n");
    }
}
