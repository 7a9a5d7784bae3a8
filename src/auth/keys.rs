//! The keys tokens are checked with: one fixed, or a JWKS read again now and then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use tokio::sync::Mutex;

use crate::clock::{Clock, Moment};
use crate::config::{Algorithm, Settings, read_file};
use crate::outbound::{Client, Url};

/// How often a token with an unknown key id may make us read the JWKS again.
const RELOAD_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// How long an address may take to answer.
const FETCH_WITHIN: Duration = Duration::from_secs(5);

/// The largest JWKS, or file with a key, that is read: room for hundreds of keys with their certificates.
const MAX_JWKS: usize = 256 * 1024;

/// A key and the id tokens name it by.
struct Named {
    kid: Option<String>,
    key: Arc<DecodingKey>,
}

pub(super) struct Keys {
    current: ArcSwap<Vec<Named>>,
    /// How often they were read anew.
    edition: AtomicU64,
    source: Option<Source>,
}

/// Where a JWKS comes from.
struct Source {
    place: Place,
    algorithm: Algorithm,
    every: Duration,
    clock: Clock,
    /// When it was last tried. Held while reading, so that many unknown tokens make one request.
    tried: Mutex<Option<Moment>>,
}

enum Place {
    File(PathBuf),
    Address(Url, Client),
}

/// The library's name of an algorithm.
pub(super) fn of(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

impl Keys {
    pub(super) fn new(
        settings: &Settings,
        algorithm: Algorithm,
        secret: Option<&str>,
        clock: Clock,
    ) -> Result<Self, String> {
        let auth = &settings.auth;
        let with = |keys, source| Self { current: ArcSwap::from_pointee(keys), edition: AtomicU64::new(0), source };
        let one = |key| with(vec![Named { kid: None, key: Arc::new(key) }], None);
        if algorithm == Algorithm::HS256 {
            let secret = secret.ok_or("auth.algorithm HS256 needs auth.jwt_secret.")?;
            return Ok(one(DecodingKey::from_secret(secret.as_bytes())));
        }
        if let Some(path) = &auth.public_key_file {
            let pem = read_file(path, MAX_JWKS)
                .map_err(|why| format!("auth.public_key_file names {}, which {why}.", path.display()))?;
            let key = match algorithm {
                Algorithm::RS256 | Algorithm::HS256 => DecodingKey::from_rsa_pem(&pem),
                Algorithm::ES256 => DecodingKey::from_ec_pem(&pem),
                Algorithm::EdDSA => DecodingKey::from_ed_pem(&pem),
            };
            return key.map(one).map_err(|error| {
                format!("auth.public_key_file {} is no PEM public key for {algorithm:?}: {error}.", path.display())
            });
        }
        let place = auth.jwks.as_ref().ok_or("jwt mode with public keys needs auth.public_key_file or auth.jwks.")?;
        let place = if place.starts_with("http://") || place.starts_with("https://") {
            let url = Url::parse(place).map_err(|error| format!("auth.jwks is not an address: {error}."))?;
            Place::Address(url, Client::new(&settings.outbound_networks())?)
        } else {
            Place::File(place.into())
        };
        let source = Source { place, algorithm, every: auth.jwks_reload, clock, tried: Mutex::new(None) };
        // A file is wrong now or right now. An address may be away for a moment, which must not keep
        // us from starting: it is fetched by the first token, and at the interval.
        let first = match &source.place {
            Place::File(path) => source.read_file(path)?,
            Place::Address(..) => Vec::new(),
        };
        Ok(with(first, Some(source)))
    }

    /// Which keys these are: another number says that what was checked with those before is to be checked again.
    pub(super) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The keys a token may be checked with: the one it names, or all when it names none or the keys
    /// have no names.
    pub(super) async fn named(&self, kid: Option<&str>) -> Vec<Arc<DecodingKey>> {
        let found = self.known(kid);
        match &self.source {
            Some(source) if found.is_empty() => {
                self.reload(source, RELOAD_AT_MOST_EVERY).await;
                self.known(kid)
            }
            _ => found,
        }
    }

    /// Whether none was read yet: a JWKS has at least one.
    pub(super) fn are_missing(&self) -> bool {
        self.current.load().is_empty()
    }

    fn known(&self, kid: Option<&str>) -> Vec<Arc<DecodingKey>> {
        let fits = |named: &&Named| match (&named.kid, kid) {
            (Some(have), Some(want)) => have == want,
            (None, _) | (_, None) => true,
        };
        self.current.load().iter().filter(fits).map(|named| named.key.clone()).collect()
    }

    pub(super) async fn keep_fresh(&self) {
        let Some(source) = &self.source else { return };
        loop {
            self.reload(source, Duration::ZERO).await;
            tokio::time::sleep(source.every).await;
        }
    }

    /// Reads the JWKS unless that was tried less than `at_most_every` ago. When it cannot be read the
    /// old keys stay: tokens that held go on holding.
    async fn reload(&self, source: &Source, at_most_every: Duration) {
        let mut tried = source.tried.lock().await;
        let now = source.clock.moment();
        if tried.is_some_and(|last| now - last < at_most_every) {
            return;
        }
        *tried = Some(now);
        let read = match &source.place {
            Place::File(path) => source.read_file(path),
            Place::Address(url, client) => source.fetch(url, client).await,
        };
        match read {
            Ok(keys) => {
                self.current.store(Arc::new(keys));
                self.edition.fetch_add(1, Ordering::Release);
            }
            Err(problem) if self.current.load().is_empty() => {
                log::warn!("{problem} Until it can be, no token is accepted.")
            }
            Err(problem) => log::warn!("{problem} The keys read before stay in use."),
        }
    }
}

impl Source {
    fn read_file(&self, path: &Path) -> Result<Vec<Named>, String> {
        let text =
            read_file(path, MAX_JWKS).map_err(|why| format!("auth.jwks names {}, which {why}.", path.display()))?;
        self.prepare(&text)
    }

    async fn fetch(&self, url: &Url, client: &Client) -> Result<Vec<Named>, String> {
        let text = client.get(url, FETCH_WITHIN, MAX_JWKS).await;
        self.prepare(&text.map_err(|why| format!("auth.jwks cannot be fetched: {why}."))?)
    }

    fn prepare(&self, text: &[u8]) -> Result<Vec<Named>, String> {
        let set: JwkSet = serde_json::from_slice(text).map_err(|error| format!("auth.jwks is no JWKS: {error}."))?;
        let keys: Vec<Named> = set
            .keys
            .iter()
            .filter(|jwk| fits(jwk, self.algorithm))
            .filter_map(|jwk| {
                let key = DecodingKey::from_jwk(jwk).ok()?;
                Some(Named { kid: jwk.common.key_id.clone(), key: Arc::new(key) })
            })
            .collect();
        if keys.is_empty() {
            return Err(format!("auth.jwks has no key for {:?}.", self.algorithm));
        }
        Ok(keys)
    }
}

/// Whether a key of a JWKS is one for checking signatures of the pinned algorithm. Shared secrets in
/// a JWKS never are.
fn fits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let for_signatures = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
    let says = jwk.common.key_algorithm.as_ref().is_none_or(|says| says.to_string() == format!("{algorithm:?}"));
    for_signatures
        && says
        && match (&jwk.algorithm, algorithm) {
            (AlgorithmParameters::RSA(_), Algorithm::RS256) => true,
            (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
            (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
            _ => false,
        }
}
