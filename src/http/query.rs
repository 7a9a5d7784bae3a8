//! What stands in the query of an address: how a parameter is read, and what is said where that cannot be done.

use chrono::Datelike as _;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::signal::Refusal;
use crate::store::queries::MAX_PAGE;

/// One of several words, or a cursor.
pub fn known<T>(name: &str, text: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Refusal> {
    read(text).ok_or_else(|| Refusal::Invalid(format!("{name} cannot be \"{text:.64}\"")))
}

/// A user id.
pub fn user_id(text: &str) -> Result<UserId, Refusal> {
    UserId::parse(text).map_err(|error| Refusal::Invalid(error.to_string()))
}

/// Yes or no.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// How many a page has: `usual` where nobody says. Of every list at most [`MAX_PAGE`]; more is refused, as a client that
/// was given less than it asked for would take that for all there is.
pub fn limit(text: Option<&str>, usual: u64) -> Result<u64, Refusal> {
    let Some(text) = text else { return Ok(usual) };
    let wanted = text.parse().ok().filter(|wanted| (1..=MAX_PAGE).contains(wanted));
    wanted.ok_or_else(|| Refusal::Invalid(format!("limit is 1 to {MAX_PAGE}")))
}

/// A moment as RFC 3339 writes it, or a day, which is its first moment in UTC.
pub fn time(name: &str, text: &str) -> Result<Timestamp, Refusal> {
    moment(text).or_else(|| moment(&format!("{text}T00:00:00Z"))).ok_or_else(|| {
        let mut sentence = format!(
            "{name} must be a time such as 2026-11-21T09:30:00Z, or a day such as 2026-11-21, which begins at midnight UTC"
        );
        if text.contains(' ') {
            sentence.push_str("; the + of an offset is written %2B in an address");
        }
        Refusal::Invalid(sentence)
    })
}

fn moment(text: &str) -> Option<Timestamp> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // In UTC, too, its year has four digits, or SQLite could not put it in order.
    (0..=9999).contains(&at.year()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_year_of_four_digits_in_utc_too() {
        for good in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-12-31T23:59:60Z", "0000-01-01"] {
            assert!(time("since", good).is_ok(), "{good}");
        }
        for bad in [
            "9999-12-31T23:59:59-14:00",
            "0000-01-01T00:00:00+14:00",
            "-9999-01-01T00:00:00Z",
            "+2026-1-01",
            "-999-01-01",
            "2026-1-021",
            " 2026-1-01",
        ] {
            assert!(time("since", bad).is_err(), "{bad}");
        }
        assert_eq!(time("since", "2026-11-21").unwrap(), time("since", "2026-11-21T00:00:00Z").unwrap());
    }
}
