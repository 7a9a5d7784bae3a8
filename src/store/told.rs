//! What a client says of a call by `PUT /api/call-logs/{id}`, and how far it counts.
//!
//! Of a call that was routed here it is information beside the record and never changes it. A call that a
//! client reported has nothing but its word: it moves the record on, and never back.

use chrono::Duration;

use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::signal::{Phase, Reason};

/// How long ago a client's own time may lie to be believed.
const BELIEVED_FOR: Duration = Duration::hours(24);

/// A status in the call-log vocabulary, as a client says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// `initiated`, `ringing` or `answered`.
    Goes(Phase),
    /// `ended`, `cancelled`, `declined`, `missed` or `failed`.
    Over(Reason),
}

impl Said {
    /// Reads a word of `call_logs.status`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "initiated" => Self::Goes(Phase::Initiated),
            "ringing" => Self::Goes(Phase::Ringing),
            "answered" => Self::Goes(Phase::Answered),
            "ended" => Self::Over(Reason::Completed),
            "cancelled" => Self::Over(Reason::Cancelled),
            "declined" => Self::Over(Reason::Declined),
            "missed" => Self::Over(Reason::NoAnswer),
            "failed" => Self::Over(Reason::Failed),
            _ => return None,
        })
    }
}

/// What a client says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which call.
    pub call: CallId,
    /// Who says so.
    pub by: UserId,
    /// When, by this service's clock.
    pub at: Timestamp,
    /// How it stands.
    pub status: Option<Said>,
    /// When it was answered, by the client's clock.
    pub answered_at: Option<Timestamp>,
    /// When it ended, by the client's clock.
    pub ended_at: Option<Timestamp>,
    /// How long it lasted, by the client's count.
    pub duration_seconds: Option<i64>,
}

/// What is stored of a call, as far as a client's word may touch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Whether a client reported the call.
    pub reported: bool,
    /// Where it stands.
    pub phase: Phase,
    /// Why it ended.
    pub reason: Option<Reason>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whole seconds between answer and end.
    pub duration_seconds: i64,
    /// When a client first said that it was connected.
    pub client_connected_at: Option<Timestamp>,
    /// How long the first client to say so counted.
    pub client_duration_seconds: Option<i64>,
}

/// When a reported call began: as its client says, if that can be.
pub fn began(said: Option<Timestamp>, now: Timestamp) -> Timestamp {
    said.filter(|at| *at <= now && now - *at <= BELIEVED_FOR).unwrap_or(now)
}

impl Stand {
    /// The same after a client's word.
    pub fn after(&self, told: &Told) -> Self {
        let mut next = self.clone();
        if self.reported && self.phase != Phase::Ended {
            next.go_on(told);
        }
        // Only what can be: connected is who was answered, and a duration is that of a call that was.
        if next.answered_at.is_some() {
            if told.status == Some(Said::Goes(Phase::Answered)) {
                next.client_connected_at = next.client_connected_at.or(told.answered_at).or(Some(told.at));
            }
            next.client_duration_seconds = next.client_duration_seconds.or(told.duration_seconds);
        }
        next
    }

    fn go_on(&mut self, told: &Told) {
        let between = |at: Option<Timestamp>, earliest: Timestamp| {
            at.filter(|at| (earliest..=told.at).contains(at)).unwrap_or(told.at.max(earliest))
        };
        match told.status {
            Some(Said::Goes(phase)) if rank(phase) > rank(self.phase) => {
                self.phase = phase;
                if phase == Phase::Answered {
                    self.answered_at = Some(between(told.answered_at, self.started_at));
                }
            }
            Some(Said::Over(reason)) => self.end(reason, told, between),
            Some(Said::Goes(_)) | None => {}
        }
    }

    fn end(&mut self, reason: Reason, told: &Told, between: impl Fn(Option<Timestamp>, Timestamp) -> Timestamp) {
        let ended_at = between(told.ended_at, self.answered_at.unwrap_or(self.started_at));
        if reason == Reason::Completed && self.answered_at.is_none() {
            // Its answer was never told, but how long it lasted may be.
            let lasted = Duration::try_seconds(told.duration_seconds.unwrap_or(0)).unwrap_or_default();
            let answered = told.answered_at.or(ended_at.checked_sub_signed(lasted));
            self.answered_at = Some(answered.unwrap_or(ended_at).clamp(self.started_at, ended_at));
        }
        self.phase = Phase::Ended;
        // A call that was answered is no longer cancelled, declined or missed.
        self.reason = Some(match (self.answered_at, reason) {
            (Some(_), Reason::Failed) => Reason::Dropped,
            (Some(_), _) => Reason::Completed,
            (None, reason) => reason,
        });
        self.ended_at = Some(ended_at);
        self.duration_seconds = self.answered_at.map_or(0, |answered| (ended_at - answered).num_seconds());
    }
}

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Initiated => 0,
        Phase::Ringing => 1,
        Phase::Answered => 2,
        Phase::Ended => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
    }

    fn stand(reported: bool) -> Stand {
        Stand {
            reported,
            phase: Phase::Initiated,
            reason: None,
            started_at: at(0),
            answered_at: None,
            ended_at: None,
            duration_seconds: 0,
            client_connected_at: None,
            client_duration_seconds: None,
        }
    }

    fn told(seconds: i64, status: &str) -> Told {
        Told {
            call: CallId::new(1).unwrap(),
            by: UserId::parse("7").unwrap(),
            at: at(seconds),
            status: Said::parse(status),
            answered_at: None,
            ended_at: None,
            duration_seconds: None,
        }
    }

    #[test]
    fn a_reported_call_moves_on_and_never_back() {
        let answered = stand(true).after(&told(1, "ringing")).after(&told(3, "answered"));
        assert_eq!((answered.phase, answered.answered_at), (Phase::Answered, Some(at(3))));
        assert_eq!(answered.after(&told(4, "ringing")), answered);
        let ended = answered.after(&told(13, "cancelled"));
        assert_eq!((ended.phase, ended.reason, ended.duration_seconds), (Phase::Ended, Some(Reason::Completed), 10));
        for word in ["initiated", "answered", "failed", "missed"] {
            let later = ended.after(&told(20, word));
            assert_eq!((later.phase, later.reason, later.ended_at), (ended.phase, ended.reason, ended.ended_at));
        }
        let declined = stand(true).after(&told(2, "declined"));
        assert_eq!(
            (declined.reason, declined.answered_at, declined.duration_seconds),
            (Some(Reason::Declined), None, 0)
        );
    }

    #[test]
    fn a_clients_times_count_only_where_they_can_be() {
        let early = Told { answered_at: Some(at(-9)), ..told(5, "answered") };
        assert_eq!(stand(true).after(&early).answered_at, Some(at(5)));
        let fine = Told { answered_at: Some(at(2)), ..told(5, "answered") };
        assert_eq!(stand(true).after(&fine).answered_at, Some(at(2)));
        let long = Told { duration_seconds: Some(i64::MAX), ended_at: Some(at(99)), ..told(5, "ended") };
        let ended = stand(true).after(&long);
        assert_eq!((ended.answered_at.unwrap() >= at(0), ended.ended_at), (true, Some(at(5))));
        assert!(ended.duration_seconds <= 5);
        assert_eq!(began(Some(at(-60)), at(0)), at(-60));
        assert_eq!(began(Some(at(1)), at(0)), at(0));
        assert_eq!(began(Some(at(-999_999)), at(0)), at(0));
    }

    #[test]
    fn what_the_service_saw_stays_and_gaps_are_filled_once() {
        let live = Stand { phase: Phase::Answered, answered_at: Some(at(1)), ..stand(false) };
        let filled = live.after(&told(2, "answered")).after(&told(9, "answered"));
        assert_eq!(filled, Stand { client_connected_at: Some(at(2)), ..live.clone() });
        let counted = filled.after(&Told { duration_seconds: Some(3600), ..told(9, "ended") });
        assert_eq!(counted, Stand { client_duration_seconds: Some(3600), ..filled });
        let ringing = stand(false);
        assert_eq!(ringing.after(&Told { duration_seconds: Some(5), ..told(1, "answered") }), ringing);
    }
}
