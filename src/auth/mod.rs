//! Who somebody is: tokens in, identities out.
//!
//! Knows keys and claims, not requests: where a token travels is `http::auth`'s business. Keys are
//! prepared once and swapped whole, so checking a token never waits for one being read, except when
//! it names a key nobody has seen.

mod claims;
mod failures;
mod keys;
mod known;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, Validation};

use crate::clock::{Clock, Timestamp};
use crate::config::{Algorithm, AuthMode, Settings};
use crate::ids::UserId;
use claims::Claims;
pub use failures::Failures;
use keys::Keys;
use known::{Held, Known};

/// The secret of dev mode when none is set. Everybody knows it, which is no loss there: in dev mode
/// anybody may say who they are anyway, and it listens on loopback only. It is fixed so that
/// `switchboard token`, a process of its own, mints tokens the service takes. jwt mode refuses it.
pub const DEVELOPMENT_SECRET: &str = "switchboard-development-secret-not-for-production";

/// The longest token looked at; checking a signature costs time in proportion.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What somebody may do beyond what concerns themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Nothing.
    User,
    /// See everything, end calls and sockets.
    Admin,
    /// The embedding application's backend: read and act for anybody.
    Service,
}

impl Role {
    /// The role as tokens and headers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }

    /// Reads a role; `None` for one there is not.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Admin, Self::Service].into_iter().find(|role| role.as_str() == text)
    }
}

/// Who somebody is, as far as their credentials say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user, or the one a service acts for.
    pub user: UserId,
    /// The name others are shown.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Their other addresses: kind and id.
    pub profiles: Vec<(String, String)>,
    /// The conversations they are in; `None` when the token does not say.
    pub conversations: Option<Vec<String>>,
    /// When this ends; `None` where there was no token.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// Somebody without a token, as dev mode believes them.
    pub fn plain(user: UserId, role: Role) -> Self {
        Self { user, name: None, role, profiles: Vec::new(), conversations: None, expires_at: None }
    }

    /// Whether they may do something in the name of `user`: their own, or anybody's as a service.
    pub fn may_act_for(&self, user: &UserId) -> bool {
        self.user == *user || self.role == Role::Service
    }

    /// Whether they may see what is `user`'s: admins too.
    pub fn may_read_of(&self, user: &UserId) -> bool {
        self.may_act_for(user) || self.role == Role::Admin
    }

    /// Whether the profile is another address of theirs. One that nobody has mapped is its own
    /// principal, whose user id is the profile's key, `tutor_1`.
    pub fn has_profile(&self, kind: &str, id: &str) -> bool {
        self.role == Role::Service
            || self.profiles.iter().any(|(k, i)| k == kind && i == id)
            || self.user.as_str() == format!("{kind}_{id}")
    }

    /// Whether the token lets them into a conversation; `open` is what the settings say of those
    /// whose token is silent.
    pub fn may_join(&self, conversation: &str, open: bool) -> bool {
        open || self.role == Role::Service
            || self.conversations.as_ref().is_some_and(|list| list.iter().any(|id| id == conversation))
    }
}

/// Why a token does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It held once.
    #[error("the token has expired")]
    Expired,
    /// It does not hold: signature, algorithm, issuer, audience or content.
    #[error("the token is not valid")]
    Bad,
}

/// What a token to be minted says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who will bear it.
    pub user: UserId,
    /// Their name.
    pub name: Option<String>,
    /// Their role.
    pub role: Role,
    /// Their profiles.
    pub profiles: Vec<(String, String)>,
    /// Their conversations; `None` says nothing about them.
    pub conversations: Option<Vec<String>>,
    /// How long it holds.
    pub ttl: Duration,
}

/// Checks and mints tokens. One per process, shared.
pub struct Authenticator {
    mode: AuthMode,
    keys: Keys,
    known: Known,
    signer: Option<EncodingKey>,
    validation: Validation,
    leeway: chrono::Duration,
    issuer: Option<String>,
    audience: Option<String>,
    profile_types: Vec<String>,
    /// The cookie that may carry a socket's token.
    pub(crate) cookie: Option<String>,
    /// Bad tokens, by address.
    pub(crate) failures: Failures,
    clock: Clock,
}

impl Authenticator {
    /// Prepares the keys. The error is a sentence for whoever set them.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, String> {
        let auth = &settings.auth;
        let algorithm = match auth.mode {
            AuthMode::Dev => Algorithm::HS256,
            AuthMode::Jwt => auth.algorithm,
        };
        let secret = match (auth.mode, &auth.jwt_secret) {
            (_, Some(secret)) => Some(secret.expose()),
            (AuthMode::Dev, None) => Some(DEVELOPMENT_SECRET),
            (AuthMode::Jwt, None) => None,
        };
        let mut validation = Validation::new(keys::of(algorithm));
        // Time is checked here, by the one clock; the rest by the library.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let mut required = vec!["exp"];
        if let Some(issuer) = &auth.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.validate_aud = auth.audience.is_some();
        if let Some(audience) = &auth.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        Ok(Self {
            mode: auth.mode,
            keys: Keys::new(auth, algorithm, secret, clock)?,
            known: Known::default(),
            signer: secret.filter(|_| algorithm == Algorithm::HS256).map(|s| EncodingKey::from_secret(s.as_bytes())),
            validation,
            leeway: chrono::Duration::from_std(auth.leeway).unwrap_or_default(),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            profile_types: auth.profile_types.clone(),
            cookie: auth.cookie.clone(),
            failures: Failures::new(settings.limits.failed_auth, settings.limits.failed_auth_window, clock),
            clock,
        })
    }

    /// Whether callers are believed without a token.
    pub fn is_dev(&self) -> bool {
        self.mode == AuthMode::Dev
    }

    /// Reads the JWKS again at its interval, for ever; returns at once where there is none. The app
    /// spawns this once.
    pub async fn keep_keys_fresh(&self) {
        self.keys.keep_fresh().await;
    }

    /// Who bears this token.
    pub async fn verify(&self, token: &str) -> Result<Identity, Rejected> {
        Ok(self.check(token).await?.0)
    }

    /// Who bears this token, which is kept for [`Self::recall`].
    pub async fn verify_and_keep(&self, token: &str) -> Result<Arc<Identity>, Rejected> {
        // Before the keys are looked at: should they change meanwhile, what is kept is of the old ones.
        let edition = self.keys.edition();
        let (identity, within) = self.check(token).await?;
        let identity = Arc::new(identity);
        let within = within.start.timestamp_micros()..within.end.timestamp_micros();
        self.known.keep(token, Held { identity: Arc::clone(&identity), within, edition }, self.clock.wall_micros());
        Ok(identity)
    }

    /// Who bears this token, where it was kept and holds still. Never waits.
    pub fn recall(&self, token: &str) -> Option<Arc<Identity>> {
        self.known.find(token, self.keys.edition(), self.clock.wall_micros())
    }

    /// Who bears this token, and when it holds.
    async fn check(&self, token: &str) -> Result<(Identity, Range<Timestamp>), Rejected> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejected::Bad);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Rejected::Bad)?;
        // Before any key is looked for: a token of another algorithm must not even make us fetch one.
        if !self.validation.algorithms.contains(&header.alg) {
            return Err(Rejected::Bad);
        }
        let keys = self.keys.named(header.kid.as_deref()).await;
        let claims = keys
            .iter()
            .find_map(|key| jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok())
            .ok_or(Rejected::Bad)?
            .claims;
        let expires_at = claims.exp.timestamp().ok_or(Rejected::Bad)?;
        let begins_at = match claims.nbf {
            Some(nbf) => nbf.timestamp().ok_or(Rejected::Bad)?,
            None => Timestamp::MIN_UTC + self.leeway,
        };
        let within = begins_at - self.leeway..expires_at + self.leeway;
        let now = self.clock.wall();
        if now < within.start {
            return Err(Rejected::Bad);
        }
        if now >= within.end {
            return Err(Rejected::Expired);
        }
        let identity = claims.identity(expires_at, &self.profile_types).ok_or(Rejected::Bad)?;
        Ok((identity, within))
    }

    /// Makes a token. The error is a sentence: in jwt mode with public keys only their owner can.
    pub fn mint(&self, grant: &Grant) -> Result<String, String> {
        let signer = self.signer.as_ref().ok_or(
            "This service only has public keys, with which tokens are checked and not made. Ask whoever holds the \
             private key, or set auth.algorithm to HS256 with auth.jwt_secret.",
        )?;
        for (kind, _) in &grant.profiles {
            if !self.profile_types.contains(kind) {
                return Err(format!("\"{kind}\" is none of the profile types in auth.profile_types."));
            }
        }
        let now = self.clock.now().wall.timestamp();
        let ttl = i64::try_from(grant.ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let claims =
            claims::write(grant, now, now.saturating_add(ttl), self.issuer.as_deref(), self.audience.as_deref());
        jsonwebtoken::encode(&Header::default(), &claims, signer)
            .map_err(|error| format!("The token cannot be signed: {error}."))
    }
}
