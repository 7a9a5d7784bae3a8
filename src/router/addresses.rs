//! Profiles as addresses: learnt from tokens, kept in the database, resolved where a command enters.

use actix::prelude::*;

use crate::ids::UserId;
use crate::signal::{Addressee, Command, Profile};

use super::messages::Learn;
use super::{CallRouter, Directory};

/// Tells the router which profiles a token claims for its user, where that is news.
pub fn learn(directory: &Directory, router: &Addr<CallRouter>, user: &UserId, claimed: &[(String, String)]) {
    let keys = claimed.iter().filter_map(|(kind, id)| Profile { kind: kind.clone(), id: id.clone() }.key().ok());
    // A principal that goes by its profile's key needs no mapping.
    let news: Vec<UserId> = keys.filter(|key| key != user && directory.owner(key).as_ref() != Some(user)).collect();
    if !news.is_empty() {
        router.do_send(Learn { user: user.clone(), profiles: news });
    }
}

impl CallRouter {
    /// Replaces every profile a command names by the user whose it is.
    pub(super) fn resolve(&self, command: &mut Command) {
        match command {
            Command::Invite(invite) | Command::BringIn { invite, .. } => {
                for party in &mut invite.callees {
                    self.resolve_user(&mut party.user);
                }
                // Two addresses of one user are one callee.
                let mut known: Vec<UserId> = Vec::with_capacity(invite.callees.len());
                invite.callees.retain(|party| {
                    let new = !known.contains(&party.user);
                    known.push(party.user.clone());
                    new
                });
            }
            Command::Accept { to, .. }
            | Command::Decline { to }
            | Command::HangUp { to }
            | Command::Describe { to, .. }
            | Command::Candidate { to, .. } => self.resolve_addressee(to),
        }
    }

    fn resolve_addressee(&self, to: &mut Addressee) {
        if let Some(user) = &mut to.user {
            self.resolve_user(user);
        }
    }

    fn resolve_user(&self, user: &mut UserId) {
        if let Some(owner) = self.around.directory.owner(user)
            && !self.is_profile_in_call(user)
        {
            *user = owner;
        }
    }

    /// Whether a profile's own socket is in a call, under a name that became somebody's meanwhile: it goes by that name
    /// until the call is over. A user whose id only looks like the profile's key has no such socket.
    fn is_profile_in_call(&self, name: &UserId) -> bool {
        let shows = |profile: Profile| profile.key().is_ok_and(|key| key == *name);
        self.tracker.engaged(name).is_some()
            && self.tracker.reaches(name, self.moment()).into_iter().filter_map(|reach| reach.profile).any(shows)
    }
}

impl Handler<Learn> for CallRouter {
    type Result = ();

    fn handle(&mut self, Learn { user, profiles }: Learn, _: &mut Self::Context) {
        let directory = &self.around.directory;
        let news: Vec<(UserId, UserId)> = profiles
            .into_iter()
            .filter(|profile| directory.assign(profile.clone(), user.clone()))
            .map(|profile| (profile, user.clone()))
            .collect();
        if !news.is_empty() {
            self.around.ledger.profiles(news);
        }
    }
}
