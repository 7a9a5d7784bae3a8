//! Ringing: which devices are shown an invitation, and the offer and early candidates they ring with.

use crate::ids::DeviceId;
use crate::signal::{DescriptionKind, Extra, Incoming, Notice, Payload, Phase};

use super::event::Effect;
use super::leg::{Held, Leg, LegDevice, LegState};
use super::machine::Call;

impl Call {
    /// The caller's first offer, or one that replaces it before anybody answered.
    pub(super) fn set_offer(&mut self, (offer, extra): (Payload, Extra), out: &mut Vec<Effect>) {
        let replaced = self.offer.replace(offer).is_some();
        if !extra.is_empty() {
            self.extra = extra;
        }
        self.legs[0].described_to = self.legs.iter().skip(1).map(|leg| leg.user.clone()).collect();
        self.trace(if replaced { "offer_replaced" } else { "offer" }, Some(self.legs[0].user.clone()), None);
        out.push(Effect::Record);
        for leg in 1..self.legs.len() {
            if !self.legs[leg].state.is_pending() {
                continue;
            }
            self.legs[leg].shares_offer = true;
            if let Some(invited) = &mut self.legs[leg].invited {
                invited.offer = None;
            }
            if replaced {
                // They belong to the offer that is gone.
                self.legs[leg].early.clear();
            }
            let devices: Vec<DeviceId> = self.legs[leg].devices.iter().map(|device| device.id.clone()).collect();
            for device in devices {
                let Some(known) = self.legs[leg].find(&device) else { continue };
                if known.alerted && !known.capabilities.offer_in_invitation {
                    self.send_offer(leg, &device, out);
                } else {
                    self.alert(leg, &device, out);
                }
            }
        }
    }

    /// Rings every device of a callee that can be rung.
    pub(super) fn alert_all(&mut self, leg: usize, out: &mut Vec<Effect>) {
        let devices: Vec<DeviceId> = self.legs[leg].devices.iter().map(|device| device.id.clone()).collect();
        for device in devices {
            self.alert(leg, &device, out);
        }
    }

    /// Shows a device the invitation, if it is there and has what it needs to ring.
    pub(super) fn alert(&mut self, leg: usize, device: &DeviceId, out: &mut Vec<Effect>) {
        let group = self.group;
        let offer = self.offer_for(leg);
        let remaining = self.legs[leg].ring_until.saturating_sub(self.latest);
        let rings_until = self.wall(self.legs[leg].ring_until);
        let Some(known) = self.legs[leg].find(device) else { return };
        if !known.present || (known.capabilities.offer_in_invitation && offer.is_none() && !group) {
            return;
        }
        let another = !std::mem::replace(&mut known.alerted, true);
        known.offered = offer.is_some();
        let known_capabilities = known.capabilities;
        let user = self.legs[leg].user.clone();
        let newly = self.legs[leg].state == LegState::Invited;
        if newly {
            self.legs[leg].state = LegState::Ringing;
            if self.phase == Phase::Initiated {
                self.phase = Phase::Ringing;
            }
            self.trace("ringing", Some(user.clone()), None);
            out.push(Effect::Record);
        } else if another {
            Self::written(out);
        }
        let in_invitation = known_capabilities.offer_in_invitation;
        let incoming = Incoming {
            about: self.about_for(leg),
            offer: offer.clone().filter(|_| in_invitation),
            started_at: self.started_at,
            rings_until,
            expires_in_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
            participants: if group {
                // Its caller, invited back, stands first in the call but came in when it rang.
                let mut live: Vec<_> = self.legs.iter().filter(|leg| !leg.state.is_over()).collect();
                live.sort_by_key(|leg| leg.ring_until);
                live.into_iter().map(|leg| leg.user.clone()).collect()
            } else {
                Vec::new()
            },
            extra: self.legs[leg].invited.as_ref().map_or(&self.extra, |invited| &invited.extra).clone(),
        };
        Self::tell(&user, device, Notice::Incoming(incoming), out);
        if in_invitation {
            self.send_early(leg, device, out);
        } else {
            self.send_offer(leg, device, out);
        }
        if newly {
            let rings = |device: &&LegDevice| {
                device.present && (offer.is_some() || group || !device.capabilities.offer_in_invitation)
            };
            let devices = self.legs[leg].devices.iter().filter(rings).count();
            let ringing = Notice::Ringing { call: self.id, user, devices };
            if leg != 0 {
                self.tell_leg(0, &ringing, out);
            }
            let inviter = self.inviter_of(leg);
            if inviter != 0 {
                self.tell_leg(inviter, &ringing, out);
            }
        }
    }

    /// Sends the offer to the device a participant joined with, if it rang without it.
    pub(super) fn offer_to(&mut self, leg: usize, out: &mut Vec<Effect>) {
        let Some(device) = self.legs[leg].device.clone() else { return };
        if self.legs[leg].find(&device).is_some_and(|known| !known.offered) {
            self.send_offer(leg, &device, out);
        }
    }

    /// A participant joined before it could be sent its inviter's offer: that, if it is there, and the
    /// candidates that came early wait on in its inbox.
    pub(super) fn keep_early(&mut self, leg: usize) {
        let offer = self.offer_for(leg);
        let inviter = self.legs[self.inviter_of(leg)].user.clone();
        let leg = &mut self.legs[leg];
        let offered = match &leg.device {
            Some(device) => leg.devices.iter().any(|known| known.id == *device && known.offered),
            None => offer.is_some(),
        };
        if offered {
            return;
        }
        if let Some(offer) = offer {
            leg.inbox.push_back((inviter.clone(), Held::Description(DescriptionKind::Offer, offer, Extra::new())));
        }
        for (payload, extra) in leg.early.drain(..) {
            leg.inbox.push_back((inviter.clone(), Held::Candidate(payload, extra, None)));
        }
    }

    /// The offer this callee rings with: its inviter's own to it, or the call's if it is for this callee.
    pub(super) fn offer_for(&self, leg: usize) -> Option<Payload> {
        let own = self.legs[leg].invited.as_ref().and_then(|invited| invited.offer.clone());
        own.or_else(|| self.offer.clone().filter(|_| self.legs[leg].shares_offer))
    }

    /// Lets go of the call's offer once nobody can be sent it any more: it is most of what the call holds, and of
    /// what is written of it.
    pub(super) fn forget_offer(&mut self) {
        if self.phase == Phase::Answered && !self.legs.iter().any(Leg::may_need_offer) {
            self.offer = None;
        }
    }

    fn send_offer(&mut self, leg: usize, device: &DeviceId, out: &mut Vec<Effect>) {
        let Some(payload) = self.offer_for(leg) else { return };
        let (about, from) = (self.about(), self.legs[self.inviter_of(leg)].party());
        let extra = Extra::new();
        let Some(known) = self.legs[leg].find(device).filter(|known| known.present) else { return };
        known.offered = true;
        let notice = Notice::Description { about, from, kind: DescriptionKind::Offer, payload, extra };
        Self::tell(&self.legs[leg].user, device, notice, out);
        self.send_early(leg, device, out);
    }

    fn send_early(&self, leg: usize, device: &DeviceId, out: &mut Vec<Effect>) {
        let from = self.legs[self.inviter_of(leg)].party();
        let leg = &self.legs[leg];
        if !leg.devices.iter().any(|known| known.id == *device && known.offered) {
            return;
        }
        for (payload, extra) in leg.early.iter().cloned() {
            let from = from.clone();
            Self::tell(&leg.user, device, Notice::Candidate { call: self.id, from, payload, extra }, out);
        }
    }
}
