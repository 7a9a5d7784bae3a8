//! Why a token is not taken: told to its bearer, and in the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Identity;
use crate::clock::{Moment, Timestamp};

/// So many refusals are logged …
const LOGGED: u32 = 10;

/// … within this time; the others are counted.
const LOGGED_WITHIN: Duration = Duration::from_secs(60);

/// Why a token is not taken. The text is a sentence for its bearer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Signature and claims hold, and its time is over.
    #[error("the token has expired")]
    Expired(Box<Lapsed>),
    /// The signature holds, so its bearer is no guesser; a claim does not. The sentence names the claim.
    #[error("{0}")]
    Claim(String),
    /// No key was had yet from where they are kept, so that nobody can say.
    #[error("the keys that tokens are checked with cannot be had")]
    NoKeys,
    /// Nobody whose key is here signed it: it may be a guess.
    #[error("the token is not valid: {0}")]
    Bad(&'static str),
}

/// A token that held until its time was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed {
    /// Whose it was.
    pub identity: Identity,
    /// From when on it is refused: its expiry and the leeway.
    pub expired_at: Timestamp,
}

impl Rejected {
    /// The token lacks a claim.
    pub(super) fn missing(claim: &str) -> Self {
        Self::Claim(format!("the token has no claim \"{claim}\""))
    }

    /// A claim is not what it must be; `how` goes on after its name.
    pub(super) fn unfit(claim: &str, how: &str) -> Self {
        Self::Claim(format!("the token's claim \"{claim}\" {how}"))
    }

    /// Whether this counts as a failed authentication of the address it came from.
    pub fn is_guess(&self) -> bool {
        match self {
            Self::Bad(_) => true,
            Self::Expired(_) | Self::Claim(_) | Self::NoKeys => false,
        }
    }
}

/// Says in the log why tokens are refused, up to a rate: whoever is refused may ask again and again.
#[derive(Default)]
pub(super) struct Refusals {
    /// Tokens that nobody here signed. Anybody can send those, so they have a rate of their own.
    guesses: Mutex<Logged>,
    others: Mutex<Logged>,
}

#[derive(Default)]
struct Logged {
    since: Option<Moment>,
    lines: u32,
    left_out: u64,
}

impl Refusals {
    /// Logs a refusal, or counts it for the next line.
    pub(super) fn note(&self, why: &Rejected, now: Moment) {
        let logged = if why.is_guess() { &self.guesses } else { &self.others };
        // Counts are counts, whatever panicked elsewhere.
        let left_out = logged.lock().unwrap_or_else(PoisonError::into_inner).may_log(now);
        if let Some(left_out) = left_out {
            match left_out {
                0 => log::warn!("a token was refused: {why}"),
                more => log::warn!("a token was refused: {why} ({more} refusals before it are not logged)"),
            }
        }
    }
}

impl Logged {
    /// How many were left out since the last line; `None` where this one is, too.
    fn may_log(&mut self, now: Moment) -> Option<u64> {
        if self.since.is_none_or(|since| now - since >= LOGGED_WITHIN) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines >= LOGGED {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_logged_up_to_a_rate_and_the_others_counted() {
        let mut refusals = Logged::default();
        for n in 0..i64::from(LOGGED) {
            assert_eq!(refusals.may_log(Moment(n)), Some(0));
        }
        for n in 0..1000 {
            assert_eq!(refusals.may_log(Moment(100 + n)), None);
        }
        let later = Moment(0) + LOGGED_WITHIN;
        assert_eq!(refusals.may_log(later), Some(1000));
        assert_eq!(refusals.may_log(later), Some(0));
    }
}
