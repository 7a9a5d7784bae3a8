//! One participant's part in a call, and the devices it may take part with.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceId, UserId};
use crate::signal::{Capabilities, Closing, Extra, Party, Payload, Profile, Reason};

use super::record::Role;

/// A device that is there, and what its dialect can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Which.
    pub device: DeviceId,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The profile its user shows there.
    pub profile: Option<Profile>,
}

/// How a callee stands at the instant of the invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Can be rung, on these devices.
    Free(Vec<Reach>),
    /// Engaged in another call, or said busy.
    Busy,
    /// Has no fresh device.
    Offline,
}

/// Why a callee never joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Absence {
    /// It rang until the timer ran out.
    NoAnswer,
    /// Engaged elsewhere, or said busy.
    Busy,
    /// No device could be reached.
    Offline,
    /// The caller gave up first.
    Cancelled,
}

/// Where a participant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LegState {
    /// Reserved, no device alerted yet.
    Invited,
    /// At least one device rings.
    Ringing,
    /// Takes part. The caller does from the start.
    Joined,
    /// Took part; its device is gone and the call waits for it.
    Lost,
    /// Took part and no longer does, for this reason.
    Left(Reason),
    /// Said no.
    Declined,
    /// Never joined.
    Missed(Absence),
    /// Could not be set up.
    Failed,
}

impl LegState {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Ringing => "ringing",
            Self::Joined => "joined",
            Self::Lost => "lost",
            Self::Left(_) => "left",
            Self::Declined => "declined",
            Self::Missed(_) => "missed",
            Self::Failed => "failed",
        }
    }

    /// How it ended for this participant; `None` while it lasts.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Invited | Self::Ringing | Self::Joined | Self::Lost => None,
            Self::Left(reason) => Some(reason),
            Self::Declined => Some(Reason::Declined),
            Self::Missed(Absence::NoAnswer) => Some(Reason::NoAnswer),
            Self::Missed(Absence::Busy) => Some(Reason::Busy),
            Self::Missed(Absence::Offline) => Some(Reason::Offline),
            Self::Missed(Absence::Cancelled) => Some(Reason::Cancelled),
            Self::Failed => Some(Reason::Failed),
        }
    }

    /// Invited or ringing: may still join.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Invited | Self::Ringing)
    }

    /// Takes part, be its device there or waited for.
    pub fn is_in(self) -> bool {
        matches!(self, Self::Joined | Self::Lost)
    }

    /// Neither pending nor taking part. Final.
    pub fn is_over(self) -> bool {
        !self.is_pending() && !self.is_in()
    }
}

/// A message held for a participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Held {
    /// An offer or an answer.
    Description(crate::signal::DescriptionKind, Payload, Extra),
    /// A candidate.
    Candidate(Payload, Extra, Option<DeviceId>),
    /// What became of the participant it is from.
    News(News),
}

/// What participants learn of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum News {
    /// It joined.
    Joined,
    /// It left, for this reason.
    Left(Reason),
    /// It was invited and does not join, for this reason.
    NotJoining(Reason),
}

/// How a participant came in that was not named when the call was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Invited {
    pub by: UserId,
    /// The inviter's name.
    pub name: Option<String>,
    /// The inviter's offer to this one.
    pub offer: Option<Payload>,
    /// Fields passed through from the inviter.
    pub extra: Extra,
}

/// A device of a participant, as the call knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LegDevice {
    pub id: DeviceId,
    pub capabilities: Capabilities,
    /// The profile its user shows there.
    pub profile: Option<Profile>,
    /// Whether it is connected. Nobody is, right after a restart.
    pub present: bool,
    /// Whether it was shown the invitation, and so is owed exactly one closing message.
    pub alerted: bool,
    /// Whether it has been sent the caller's offer.
    pub offered: bool,
    /// How its part closed: told to it, done by itself, or owed to it.
    pub closing: Option<(Closing, Reason)>,
    /// Whether it has yet to be told, when it comes back.
    pub owed: bool,
}

impl LegDevice {
    pub fn new(reach: &Reach) -> Self {
        Self {
            id: reach.device.clone(),
            capabilities: reach.capabilities,
            profile: reach.profile.clone(),
            present: true,
            alerted: false,
            offered: false,
            closing: None,
            owed: false,
        }
    }
}

/// When a participant's last device went, and until when the call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gone {
    pub since: Duration,
    pub until: Duration,
}

/// One participant's part in a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub(super) user: UserId,
    /// The profile it is addressed by, and shows, in this call.
    pub(super) profile: Option<Profile>,
    pub(super) role: Role,
    pub(super) state: LegState,
    /// The device it takes part with, once that is known.
    pub(super) device: Option<DeviceId>,
    pub(super) devices: Vec<LegDevice>,
    /// When it was invited; zero for those the call began with.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub(super) invited_at: Duration,
    pub(super) joined_at: Option<Duration>,
    pub(super) left_at: Option<Duration>,
    pub(super) ring_until: Duration,
    pub(super) gone: Option<Gone>,
    /// The inviter's candidates for this callee until it joins, for devices alerted later.
    pub(super) early: VecDeque<(Payload, Extra)>,
    /// Messages for this participant: early ones of a sender that has not described itself yet, and
    /// whatever comes while it is lost.
    pub(super) inbox: VecDeque<(UserId, Held)>,
    /// Who brought it in later; `None` for those the caller named at the start.
    #[serde(default)]
    pub(super) invited: Option<Invited>,
    /// How many messages at the front of the inbox were on their way when the device was lost.
    #[serde(skip)]
    pub(super) taken_back: usize,
    /// Whether the call's offer is for this callee. It is not for one invited after it was made.
    pub(super) shares_offer: bool,
    /// To whom this participant has sent a description.
    pub(super) described_to: Vec<UserId>,
}

impl Leg {
    pub(super) fn new(party: Party, role: Role, state: LegState, reaches: &[Reach], ring_until: Duration) -> Self {
        Self {
            user: party.user,
            profile: party.profile,
            role,
            state,
            device: None,
            devices: reaches.iter().map(LegDevice::new).collect(),
            invited_at: Duration::ZERO,
            joined_at: None,
            left_at: None,
            ring_until,
            gone: None,
            early: VecDeque::new(),
            inbox: VecDeque::new(),
            invited: None,
            taken_back: 0,
            shares_offer: true,
            described_to: Vec::new(),
        }
    }

    /// Who, as others are shown them.
    pub(super) fn party(&self) -> Party {
        Party { user: self.user.clone(), profile: self.profile.clone() }
    }

    /// Who.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Where this participant stands.
    pub fn state(&self) -> LegState {
        self.state
    }

    /// Which side of the invitation it came in by: who made the call, and was invited back into it after
    /// leaving, is called like anybody else.
    pub(super) fn side(&self) -> Role {
        if self.invited.is_some() { Role::Callee } else { self.role }
    }

    /// Which side of the invitation.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it was invited and did not come.
    pub(super) fn never_joined(&self) -> bool {
        matches!(self.state, LegState::Declined | LegState::Missed(_) | LegState::Failed)
    }

    /// The device it takes part with, once known.
    pub fn device(&self) -> Option<&DeviceId> {
        self.device.as_ref()
    }

    /// Whether the call's offer may yet have to be sent to it: it rings with it, or joined with a device that is not
    /// known yet.
    pub(super) fn may_need_offer(&self) -> bool {
        let joins = self.state.is_pending() || (self.state.is_in() && self.device.is_none());
        joins && self.shares_offer && self.side() == Role::Callee
    }

    /// From now on it takes part with this device, and shows the profile used there.
    pub(super) fn take_part_with(&mut self, device: DeviceId) {
        let profile = self.devices.iter().find(|known| known.id == device).and_then(|known| known.profile.clone());
        self.profile = profile.or(self.profile.take());
        self.device = Some(device);
    }

    pub(super) fn find(&mut self, device: &DeviceId) -> Option<&mut LegDevice> {
        self.devices.iter_mut().find(|known| known.id == *device)
    }

    pub(super) fn is_present(&self, device: &DeviceId) -> bool {
        self.devices.iter().any(|known| known.id == *device && known.present)
    }

    /// Whether that device is the one this participant takes part with, or one of those that may be it: there it is told
    /// what happens.
    pub(super) fn is_told_on(&self, device: &LegDevice) -> bool {
        match (&self.device, self.side()) {
            (Some(known), _) => *known == device.id,
            (None, Role::Caller) => true,
            (None, Role::Callee) => device.alerted && device.closing.is_none(),
        }
    }

    /// Whether the device this leg takes part with is there (any device, while that is unknown).
    pub(super) fn is_reachable(&self) -> bool {
        match &self.device {
            Some(device) => self.is_present(device),
            None => self.devices.iter().any(|known| known.present),
        }
    }
}
