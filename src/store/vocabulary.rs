//! The two record vocabularies of the seeds, from what a call knows about its end.
//!
//! The SQL views `call_logs` and `call_history` say the same; a contract test compares them.

use crate::signal::{Phase, Reason};

/// The words of `call_logs.status`.
pub const LOG_STATUSES: [&str; 8] =
    ["initiated", "ringing", "answered", "missed", "declined", "cancelled", "ended", "failed"];

/// How a call reads in `call_logs.status`. An ended call without a reason reads as failed.
pub fn log_status(phase: Phase, reason: Option<Reason>, answered: bool) -> &'static str {
    match (phase, reason) {
        (Phase::Initiated | Phase::Ringing | Phase::Answered, _) => phase.as_str(),
        (Phase::Ended, Some(Reason::Completed | Reason::Dropped)) => "ended",
        (Phase::Ended, Some(Reason::Killed)) => {
            if answered {
                "ended"
            } else {
                "cancelled"
            }
        }
        (Phase::Ended, Some(Reason::Declined)) => "declined",
        (Phase::Ended, Some(Reason::Cancelled)) => "cancelled",
        (Phase::Ended, Some(Reason::NoAnswer | Reason::Busy | Reason::Offline)) => "missed",
        (Phase::Ended, Some(Reason::Failed) | None) => "failed",
    }
}

/// How a call reads in `call_history.call_status`.
pub fn history_status(phase: Phase, reason: Option<Reason>, answered: bool) -> &'static str {
    match (phase, reason) {
        (Phase::Initiated | Phase::Ringing | Phase::Answered, None) => "ongoing",
        (_, Some(Reason::Completed)) => "answered",
        (_, Some(Reason::Killed)) => {
            if answered {
                "answered"
            } else {
                "missed"
            }
        }
        (_, Some(Reason::Declined)) => "rejected",
        (_, Some(Reason::Cancelled | Reason::NoAnswer | Reason::Busy | Reason::Offline)) => "missed",
        (_, Some(Reason::Dropped | Reason::Failed)) | (Phase::Ended, None) => "dropped",
    }
}

/// The reason that holds for one callee, and whether it was in the call.
///
/// In a 1:1 call the call's reason speaks for the callee. In a group call a callee who never joined has an
/// outcome of their own, which may come before the call's.
pub fn callee_outcome(
    call: (Option<Reason>, bool),
    leg_reason: Option<Reason>,
    leg_joined: bool,
) -> (Option<Reason>, bool) {
    match leg_reason {
        Some(own) if !leg_joined => (Some(own), false),
        own => (call.0.or(own), leg_joined || call.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the specification: reason, answered, history word, log word.
    const TABLE: [(Reason, bool, &str, &str); 10] = [
        (Reason::Completed, true, "answered", "ended"),
        (Reason::Killed, true, "answered", "ended"),
        (Reason::Killed, false, "missed", "cancelled"),
        (Reason::Declined, false, "rejected", "declined"),
        (Reason::Cancelled, false, "missed", "cancelled"),
        (Reason::NoAnswer, false, "missed", "missed"),
        (Reason::Busy, false, "missed", "missed"),
        (Reason::Offline, false, "missed", "missed"),
        (Reason::Dropped, true, "dropped", "ended"),
        (Reason::Failed, false, "dropped", "failed"),
    ];

    #[test]
    fn every_reason_reads_as_the_table_says() {
        for (reason, answered, history, log) in TABLE {
            assert_eq!(history_status(Phase::Ended, Some(reason), answered), history, "{reason:?}");
            assert_eq!(log_status(Phase::Ended, Some(reason), answered), log, "{reason:?}");
        }
        for reason in Reason::ALL {
            assert!(TABLE.iter().any(|row| row.0 == reason), "{reason:?} is not in the table");
        }
    }

    #[test]
    fn a_live_call_is_ongoing_and_keeps_its_phase_in_the_log() {
        for phase in [Phase::Initiated, Phase::Ringing, Phase::Answered] {
            assert_eq!(history_status(phase, None, phase == Phase::Answered), "ongoing");
            assert_eq!(log_status(phase, None, phase == Phase::Answered), phase.as_str());
        }
    }

    #[test]
    fn a_group_callee_who_never_joined_has_an_outcome_of_their_own() {
        assert_eq!(callee_outcome((None, true), Some(Reason::Declined), false), (Some(Reason::Declined), false));
        assert_eq!(
            callee_outcome((Some(Reason::Dropped), true), Some(Reason::Completed), true).0,
            Some(Reason::Dropped)
        );
        assert_eq!(callee_outcome((None, false), None, false), (None, false));
    }
}
