//! Who somebody is: tokens in, identities out.
//!
//! Knows keys and claims, not requests: where a token travels is `http::auth`'s business. Keys are
//! prepared once and swapped whole, so checking a token never waits for one being read, except when
//! it names a key nobody has seen.

mod claims;
mod failures;
mod identity;
mod keys;
mod known;
mod rejected;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{EncodingKey, Header, Validation};

use crate::clock::{Clock, Timestamp};
use crate::config::{Algorithm, AuthMode, Settings};
use claims::{Claims, Names};
pub use failures::Failures;
pub use identity::{Grant, Identity, Role};
use keys::Keys;
use known::{Held, Known};
use rejected::Refusals;
pub use rejected::{Lapsed, Rejected};

/// The secret of dev mode when none is set. Everybody knows it, which is no loss there: in dev mode
/// anybody may say who they are anyway, and it listens on loopback only. It is fixed so that
/// `switchboard token`, a process of its own, mints tokens the service takes. jwt mode refuses it.
pub const DEVELOPMENT_SECRET: &str = "switchboard-development-secret-not-for-production";

/// The longest token looked at; checking a signature costs time in proportion.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

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
    names: Names,
    /// The cookie that may carry a token.
    pub(crate) cookie: Option<String>,
    /// Bad tokens, by address.
    pub(crate) failures: Failures,
    refusals: Refusals,
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
        // Time is checked here, by the one clock; issuer and audience by the library.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let mut required = Vec::new();
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
            keys: Keys::new(settings, algorithm, secret, clock)?,
            known: Known::default(),
            signer: secret.filter(|_| algorithm == Algorithm::HS256).map(|s| EncodingKey::from_secret(s.as_bytes())),
            validation,
            leeway: chrono::Duration::from_std(auth.leeway).unwrap_or_default(),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            names: Names::new(auth, settings.limits.max_name_chars),
            cookie: auth.cookie.clone(),
            failures: Failures::new(settings.limits.failed_auth, settings.limits.failed_auth_window, clock),
            refusals: Refusals::default(),
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

    /// Says in the log that a request was refused for its token, up to a rate.
    pub fn log_refusal(&self, why: &Rejected) {
        self.refusals.note(why, self.clock.moment());
    }

    /// Who bears this token, and when it holds.
    async fn check(&self, token: &str) -> Result<(Identity, Range<Timestamp>), Rejected> {
        let claims = self.claims(token).await?;
        let (begins_at, expires_at) = claims.lifetime()?;
        // By these times requests and sockets alike are judged.
        let within = begins_at.map_or(Timestamp::MIN_UTC, |at| at - self.leeway)..expires_at + self.leeway;
        let identity = claims.identity(&self.names, within.end)?;
        let now = self.clock.wall();
        if now < within.start {
            return Err(Rejected::Claim("the token does not hold yet, by its claim \"nbf\"".to_owned()));
        }
        if now >= within.end {
            return Err(Rejected::Expired(Box::new(Lapsed { identity, expired_at: within.end })));
        }
        Ok((identity, within))
    }

    /// What the token says, where one of our keys signed it for us.
    async fn claims(&self, token: &str) -> Result<Claims, Rejected> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejected::Bad("it is longer than 8 KiB"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Rejected::Bad("it is no JWT"))?;
        // Before any key is looked for: a token of another algorithm must not even make us fetch one.
        if !self.validation.algorithms.contains(&header.alg) {
            return Err(Rejected::Bad("its algorithm is not the one in auth.algorithm"));
        }
        let keys = self.keys.named(header.kid.as_deref()).await;
        let mut rejected = if self.keys.are_missing() {
            Rejected::NoKeys
        } else {
            Rejected::Bad("no key here has the id it names (kid)")
        };
        for key in &keys {
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(token) => return Ok(token.claims),
                // With another key its signature may hold.
                Err(error) => rejected = rejection(error.kind()),
            }
            if !rejected.is_guess() {
                break;
            }
        }
        Err(rejected)
    }

    /// Makes a token. The error is a sentence: in jwt mode with public keys only their owner can.
    pub fn mint(&self, grant: &Grant) -> Result<String, String> {
        let signer = self.signer.as_ref().ok_or(
            "This service only has public keys, with which tokens are checked and not made. Ask whoever holds the \
             private key, or set auth.algorithm to HS256 with auth.jwt_secret.",
        )?;
        self.names.allow(grant)?;
        let now = self.clock.now().wall.timestamp();
        let ttl = i64::try_from(grant.ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let claims =
            self.names.write(grant, now, now.saturating_add(ttl), self.issuer.as_deref(), self.audience.as_deref());
        jsonwebtoken::encode(&Header::default(), &claims, signer)
            .map_err(|error| format!("The token cannot be signed: {error}."))
    }
}

/// What the library's refusal of a token means. Only what is found after the signature held names a claim.
fn rejection(why: &ErrorKind) -> Rejected {
    match why {
        ErrorKind::InvalidIssuer => Rejected::unfit("iss", "is not the issuer this service takes tokens of"),
        ErrorKind::InvalidAudience => Rejected::unfit("aud", "does not name this service"),
        ErrorKind::MissingRequiredClaim(claim) => Rejected::missing(claim),
        ErrorKind::InvalidClaimFormat(claim) => Rejected::unfit(claim, "is not of the form it must have"),
        ErrorKind::Json(_) => Rejected::Claim("the token's claims cannot be read".to_owned()),
        _ => Rejected::Bad("its signature does not hold"),
    }
}
