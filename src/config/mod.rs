//! The settings: what can be set, and nothing that nobody reads.
//!
//! `config/default.toml` explains each and holds its default; [`Settings::load`] lays the other
//! layers over it and [`Settings::problems`] says, in sentences, what does not fit together.

mod files;
mod load;
mod origin;
#[cfg(test)]
mod tests;
mod validate;
mod value;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use files::read_file;
pub use load::{Environment, Flags, duration};
pub use origin::{AllowedOrigin, Origin, host_and_port};
pub use value::{REDACTED, Secret, without_password};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Listening.
    pub server: Server,
    /// Where records are kept.
    pub database: Database,
    /// Who may come in.
    pub auth: Auth,
    /// The deadlines of calls.
    pub call: Call,
    /// The deadlines of presence.
    pub presence: Presence,
    /// How much of everything.
    pub limits: Limits,
    /// Chat sockets.
    pub chat: Chat,
    /// Where the service itself may go.
    pub outbound: Outbound,
    /// STUN and TURN.
    pub ice: Ice,
    /// This process.
    pub node: Node,
}

/// Listening.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port.
    pub bind: SocketAddr,
    /// Origins other than our own whose pages may come in.
    #[serde(deserialize_with = "value::list")]
    pub allowed_origins: Vec<String>,
    /// Networks whose word about the client's address is taken.
    #[serde(deserialize_with = "value::nets")]
    pub trusted_proxies: Vec<IpNet>,
    /// The header with that word.
    pub forwarded_header: String,
    /// The path below which a proxy passes requests on; empty, or as `/calls`.
    pub base_path: String,
    /// How long live calls may go on after SIGTERM.
    #[serde(with = "humantime_serde")]
    pub drain_deadline: Duration,
}

/// Where records are kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Address of a SQLite file or a PostgreSQL database; may hold a password.
    #[serde(serialize_with = "value::hide_password")]
    pub url: String,
    /// The file it came from.
    #[serde(with = "value::maybe")]
    pub url_file: Option<PathBuf>,
    /// Whether migrations run at start.
    pub migrate: bool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("url", &without_password(&self.url))
            .field("url_file", &self.url_file)
            .field("migrate", &self.migrate)
            .finish()
    }
}

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// They say so. Loopback only.
    Dev,
    /// By a signed token.
    Jwt,
}

/// The algorithm tokens are signed with. One, because a token must not choose how it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC with a shared secret.
    HS256,
    /// RSA PKCS#1 v1.5.
    RS256,
    /// ECDSA on P-256.
    ES256,
    /// Ed25519.
    #[serde(alias = "EDDSA")]
    EdDSA,
}

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How callers prove who they are.
    pub mode: AuthMode,
    /// The only algorithm accepted in jwt mode.
    pub algorithm: Algorithm,
    /// The shared secret of HS256.
    #[serde(with = "value::maybe")]
    pub jwt_secret: Option<Secret>,
    /// The file it came from.
    #[serde(with = "value::maybe")]
    pub jwt_secret_file: Option<PathBuf>,
    /// PEM file of the public key.
    #[serde(with = "value::maybe")]
    pub public_key_file: Option<PathBuf>,
    /// JWKS file or address.
    #[serde(deserialize_with = "value::maybe::deserialize", serialize_with = "value::hide_password_if_any")]
    pub jwks: Option<String>,
    /// How often the JWKS is read again.
    #[serde(with = "humantime_serde")]
    pub jwks_reload: Duration,
    /// Required `iss`.
    #[serde(with = "value::maybe")]
    pub issuer: Option<String>,
    /// Required `aud`.
    #[serde(with = "value::maybe")]
    pub audience: Option<String>,
    /// Tolerance for the issuer's clock.
    #[serde(with = "humantime_serde")]
    pub leeway: Duration,
    /// Cookie that may carry a token.
    #[serde(with = "value::maybe")]
    pub cookie: Option<String>,
    /// The claim that holds the user's id.
    pub user_claim: String,
    /// The claim that holds their name.
    pub name_claim: String,
    /// The claim that holds their role, or several.
    pub role_claim: String,
    /// The roles of administrators.
    #[serde(deserialize_with = "value::list")]
    pub admin_values: Vec<String>,
    /// The roles of services.
    #[serde(deserialize_with = "value::list")]
    pub service_values: Vec<String>,
    /// The kinds of profile there are.
    #[serde(deserialize_with = "value::list")]
    pub profile_types: Vec<String>,
}

/// The deadlines of calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// How long a call rings.
    #[serde(with = "humantime_serde")]
    pub ring_timeout: Duration,
    /// How long a call waits for its offer.
    #[serde(with = "humantime_serde")]
    pub offer_timeout: Duration,
    /// How long a caller without connection keeps ringing.
    #[serde(with = "humantime_serde")]
    pub caller_grace: Duration,
    /// How long a participant may be gone.
    #[serde(with = "humantime_serde")]
    pub reconnect_grace: Duration,
    /// How long answered calls wait after a restart.
    #[serde(with = "humantime_serde")]
    pub restart_grace: Duration,
    /// The most participants.
    pub max_participants: usize,
}

/// The deadlines of presence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// How often clients beat.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// When a silent device counts as offline.
    #[serde(with = "humantime_serde")]
    pub offline_after: Duration,
    /// How long a dropped socket still shows.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How often sockets are pinged.
    #[serde(with = "humantime_serde")]
    pub ping_every: Duration,
    /// How long a pong may take.
    #[serde(with = "humantime_serde")]
    pub pong_within: Duration,
    /// How often presence is written.
    #[serde(with = "humantime_serde")]
    pub flush_every: Duration,
    /// Who is shown how users stand.
    pub visibility: Visibility,
    /// Who may list everybody there is.
    pub directory: Listing,
}

/// Who is shown how users stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Anyone.
    Everyone,
    /// Those who share a conversation with them.
    Conversations,
    /// Admins and services only.
    Nobody,
}

/// Who may list everybody there is, besides admins and services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// Open in dev mode, closed in jwt mode.
    Auto,
    /// Any authenticated user.
    Open,
    /// Nobody.
    Closed,
}

/// How much of everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Calls a user may start per minute, and at once.
    pub initiates_per_minute: u32,
    /// Messages per second and socket.
    pub messages_per_second: u32,
    /// Messages at once.
    pub message_burst: u32,
    /// The largest message.
    pub max_message_bytes: usize,
    /// The most connections; never 0 once loaded.
    pub max_connections: usize,
    /// Messages waiting for a slow socket.
    pub queue: usize,
    /// Devices of a user.
    pub devices_per_user: usize,
    /// Sockets of a network address.
    pub sockets_per_address: usize,
    /// REST requests per second and user.
    pub rest_per_second: u32,
    /// REST requests at once.
    pub rest_burst: u32,
    /// The largest REST body.
    pub body_bytes: usize,
    /// The largest REST body with signalling.
    pub signal_body_bytes: usize,
    /// How long a body may take.
    #[serde(with = "humantime_serde")]
    pub body_deadline: Duration,
    /// The largest description.
    pub max_sdp_bytes: usize,
    /// The largest candidate.
    pub max_candidate_bytes: usize,
    /// The longest name.
    pub max_name_chars: usize,
    /// Signals kept for a polling user.
    pub pending_signals: usize,
    /// Bad tokens of an address before its failures are delayed.
    pub failed_auth: u32,
    /// How long they are remembered.
    #[serde(with = "humantime_serde")]
    pub failed_auth_window: Duration,
}

/// Who may join a conversation's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    /// Open in dev mode, claims in jwt mode.
    Auto,
    /// Any authenticated user.
    Open,
    /// Whoever's token lists the conversation.
    Claims,
}

/// Chat sockets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// Who may join.
    pub membership: Membership,
}

/// Where the service itself may go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    /// Networks it may open addresses in, beside those of the internet by https.
    #[serde(deserialize_with = "value::nets")]
    pub allowed: Vec<IpNet>,
}

/// STUN and TURN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ice {
    /// STUN servers.
    #[serde(deserialize_with = "value::list")]
    pub stun_urls: Vec<String>,
    /// TURN servers.
    #[serde(deserialize_with = "value::list")]
    pub turn_urls: Vec<String>,
    /// The secret shared with them.
    #[serde(with = "value::maybe")]
    pub turn_secret: Option<Secret>,
    /// The file it came from.
    #[serde(with = "value::maybe")]
    pub turn_secret_file: Option<PathBuf>,
    /// How long credentials hold.
    #[serde(with = "humantime_serde")]
    pub turn_ttl: Duration,
}

/// This process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name among its peers.
    pub id: String,
}

impl Settings {
    /// Whether any authenticated user may join any conversation.
    pub fn conversations_are_open(&self) -> bool {
        match self.chat.membership {
            Membership::Open => true,
            Membership::Claims => false,
            Membership::Auto => self.auth.mode == AuthMode::Dev,
        }
    }

    /// Whether any authenticated user may list everybody there is.
    pub fn directory_is_open(&self) -> bool {
        match self.presence.directory {
            Listing::Open => true,
            Listing::Closed => false,
            Listing::Auto => self.auth.mode == AuthMode::Dev,
        }
    }

    /// The networks the service may open addresses in, besides the internet's.
    pub fn outbound_networks(&self) -> Vec<IpNet> {
        let loopback =
            [IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)), IpNet::new_assert(Ipv4Addr::LOCALHOST.into(), 8).trunc()];
        let own = loopback.into_iter().filter(|_| self.auth.mode == AuthMode::Dev);
        self.outbound.allowed.iter().copied().chain(own).collect()
    }

    /// The settings in effect as TOML, secrets redacted.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| format!("the settings cannot be shown: {error}"))
    }
}
