//! What settings must be to make sense together, in sentences for whoever set them.

use std::time::Duration;

use super::{Algorithm, AllowedOrigin, AuthMode, Settings};
use crate::auth::DEVELOPMENT_SECRET;

/// What profile sockets call users without a profile, so that no profile has this type.
const NO_PROFILE: &str = "user";

/// The header proxies write when nobody tells them otherwise.
const FORWARDED_FOR: &str = "X-Forwarded-For";

/// The shortest HMAC secret accepted: as long as the hash, so that guessing it is no easier.
const MIN_SECRET_BYTES: usize = 32;

/// Files the process needs besides connections: the database, its log, libraries, lookups.
const FILE_RESERVE: usize = 128;

/// The most connections taken when nobody said how many, however high the file limit is.
const DEFAULT_CONNECTIONS: usize = 100_000;

/// The shortest deadline of a call. Short ones make no sense for people, yet tests need them; below
/// this a deadline would run out while its own record is being written.
const MIN_CALL_DEADLINE: Duration = Duration::from_millis(100);

/// The longest a call may ring: nobody waits longer and the callee would stay busy.
const MAX_RING: Duration = Duration::from_secs(120);

/// How many files this process may have open, where the system says so.
pub(super) fn file_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line["Max open files".len()..].split_whitespace().next()?.parse().ok()
}

/// How many connections fit under a file limit.
pub(super) fn connections_within(file_limit: Option<usize>) -> usize {
    // Half of a very low limit, rather than none at all.
    file_limit
        .map_or(DEFAULT_CONNECTIONS, |limit| limit.saturating_sub(FILE_RESERVE).max(limit / 2))
        .clamp(1, DEFAULT_CONNECTIONS)
}

impl Settings {
    /// Everything that does not make sense, a sentence each; empty when all is well.
    pub fn problems(&self, file_limit: Option<usize>) -> Vec<String> {
        let mut found = Vec::new();
        self.server_problems(&mut found);
        self.outbound_problems(&mut found);
        self.auth_problems(&mut found);
        self.time_problems(&mut found);
        self.limit_problems(file_limit, &mut found);
        self.ice_problems(&mut found);
        found
    }

    fn outbound_problems(&self, found: &mut Vec<String>) {
        if let Some(net) = self.outbound.allowed.iter().find(|net| net.prefix_len() == 0) {
            found.push(format!(
                "outbound.allowed holds {net}, which is every address: list the networks that are meant."
            ));
        }
    }

    fn server_problems(&self, found: &mut Vec<String>) {
        for origin in &self.server.allowed_origins {
            if let Err(why) = AllowedOrigin::parse(origin) {
                found.push(format!("server.allowed_origins holds \"{origin}\", which is {why}."));
            }
        }
        self.proxy_problems(found);
        found.extend(base_path_problem(&self.server.base_path));
        let url = &self.database.url;
        if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            found.push("database.url must start with sqlite:, postgres:// or postgresql://.".to_owned());
        }
        if !crate::ids::is_plain_name(&self.node.id) {
            found.push("node.id must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ -.".to_owned());
        }
    }

    fn proxy_problems(&self, found: &mut Vec<String>) {
        let (trusted, header) = (&self.server.trusted_proxies, &self.server.forwarded_header);
        if let Some(all) = trusted.iter().find(|net| net.prefix_len() == 0) {
            found.push(format!(
                "server.trusted_proxies holds {all}, which is everybody, who could then say to be anybody: write the \
                 addresses of the proxies, as in 10.0.0.5, or their network."
            ));
        }
        if header.is_empty() || !header.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            found.push(format!(
                "server.forwarded_header is \"{header}\", which is not the name of a header: write one, as in \
                 X-Forwarded-For or Forwarded."
            ));
        } else if trusted.is_empty() && !header.eq_ignore_ascii_case(FORWARDED_FOR) {
            found.push(format!(
                "server.forwarded_header is {header}, which is read only from server.trusted_proxies, and there are none: \
                 set them to the addresses of the proxies."
            ));
        }
        if self.auth.mode == AuthMode::Dev && !trusted.is_empty() {
            found.push(
                "auth.mode is dev, in which anybody may say who they are, and server.trusted_proxies is set: a proxy would \
                 let other machines in. Set auth.mode to jwt (SWITCHBOARD__AUTH__MODE=jwt) with auth.jwt_secret \
                 (SWITCHBOARD__AUTH__JWT_SECRET) or a public key, or leave server.trusted_proxies empty."
                    .to_owned(),
            );
        }
    }

    fn ice_problems(&self, found: &mut Vec<String>) {
        let ice = &self.ice;
        for (name, urls, schemes) in
            [("stun_urls", &ice.stun_urls, ["stun:", "stuns:"]), ("turn_urls", &ice.turn_urls, ["turn:", "turns:"])]
        {
            if let Some(url) = urls.iter().find(|url| !schemes.iter().any(|scheme| url.starts_with(scheme))) {
                found.push(format!(
                    "ice.{name} holds \"{url}\", which does not start with {} or {}.",
                    schemes[0], schemes[1]
                ));
            }
        }
        if !ice.turn_urls.is_empty() && ice.turn_secret.is_none() {
            found.push(
                "ice.turn_urls is set, which needs ice.turn_secret (SWITCHBOARD__ICE__TURN_SECRET), the secret the TURN \
                 server has as static-auth-secret."
                    .to_owned(),
            );
        }
        if ice.turn_ttl < Duration::from_secs(60) {
            found.push("ice.turn_ttl must be at least 60s, or calls outlive their credentials.".to_owned());
        }
    }

    fn auth_problems(&self, found: &mut Vec<String>) {
        let auth = &self.auth;
        if auth.profile_types.iter().any(|kind| kind == NO_PROFILE) {
            found.push(format!(
                "auth.profile_types must not hold \"{NO_PROFILE}\": on profile sockets that names whoever has no profile."
            ));
        }
        if let Some(secret) = &auth.jwt_secret {
            if secret.expose().len() < MIN_SECRET_BYTES {
                found.push(format!(
                    "auth.jwt_secret must have at least {MIN_SECRET_BYTES} bytes; it has {}.",
                    secret.expose().len()
                ));
            }
            if auth.mode == AuthMode::Jwt && secret.expose() == DEVELOPMENT_SECRET {
                found.push("auth.jwt_secret is the published development secret; choose one of your own.".to_owned());
            }
        }
        match auth.mode {
            AuthMode::Dev if !self.server.bind.ip().is_loopback() => found.push(format!(
                "auth.mode is dev, in which anybody may say who they are, so it works on a loopback address only, and \
                 server.bind is {}. Set auth.mode to jwt (SWITCHBOARD__AUTH__MODE=jwt) with auth.jwt_secret \
                 (SWITCHBOARD__AUTH__JWT_SECRET) or a public key, or bind to 127.0.0.1.",
                self.server.bind
            )),
            AuthMode::Dev => {}
            AuthMode::Jwt => match (auth.algorithm, &auth.jwt_secret, &auth.public_key_file, &auth.jwks) {
                (Algorithm::HS256, None, ..) => found.push(
                    "auth.mode is jwt with algorithm HS256, which needs auth.jwt_secret, or a file with it in \
                     auth.jwt_secret_file; for public keys set auth.algorithm to RS256, ES256 or EdDSA."
                        .to_owned(),
                ),
                (Algorithm::HS256, Some(_), None, None) => {}
                (Algorithm::HS256, Some(_), ..) => found.push(
                    "auth.algorithm is HS256, which takes neither auth.public_key_file nor auth.jwks; unset them, or \
                     set auth.algorithm to what those keys are for."
                        .to_owned(),
                ),
                (_, _, None, None) => found.push(format!(
                    "auth.mode is jwt with algorithm {:?}, which needs auth.public_key_file or auth.jwks.",
                    auth.algorithm
                )),
                (_, _, Some(_), Some(_)) => found
                    .push("auth.public_key_file and auth.jwks are both set; keep the one that is meant.".to_owned()),
                _ => {}
            },
        }
        for (name, claim) in
            [("user_claim", &auth.user_claim), ("name_claim", &auth.name_claim), ("role_claim", &auth.role_claim)]
        {
            if claim.trim().is_empty() || claim.trim() != claim {
                found.push(format!("auth.{name} must be the name of a claim, such as \"sub\"."));
            }
        }
        if auth.leeway > Duration::from_secs(300) {
            found.push("auth.leeway must be at most 5m, or expired tokens live on.".to_owned());
        }
        if auth.jwks_reload < Duration::from_secs(10) {
            found.push("auth.jwks_reload must be at least 10s.".to_owned());
        }
        if auth
            .cookie
            .as_deref()
            .is_some_and(|name| !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)))
        {
            found.push("auth.cookie must be a cookie's name: letters, digits, _ - and . only.".to_owned());
        }
    }

    fn time_problems(&self, found: &mut Vec<String>) {
        let (call, presence) = (&self.call, &self.presence);
        for (name, value) in [
            ("call.ring_timeout", call.ring_timeout),
            ("call.offer_timeout", call.offer_timeout),
            ("call.caller_grace", call.caller_grace),
            ("call.reconnect_grace", call.reconnect_grace),
            ("call.restart_grace", call.restart_grace),
            ("presence.heartbeat", presence.heartbeat),
            ("presence.ping_every", presence.ping_every),
            ("presence.pong_within", presence.pong_within),
            ("presence.flush_every", presence.flush_every),
            ("limits.body_deadline", self.limits.body_deadline),
        ] {
            if value < MIN_CALL_DEADLINE {
                found.push(format!("{name} must be at least 100ms."));
            }
        }
        if call.ring_timeout > MAX_RING {
            found.push("call.ring_timeout must be at most 120s.".to_owned());
        }
        if presence.offline_after < 2 * presence.heartbeat {
            found.push(format!(
                "presence.offline_after ({:?}) must be at least twice presence.heartbeat ({:?}), or one late beat \
                 shows a user as offline.",
                presence.offline_after, presence.heartbeat
            ));
        }
        if !(2..=64).contains(&call.max_participants) {
            found.push("call.max_participants must be 2 to 64.".to_owned());
        }
    }

    fn limit_problems(&self, file_limit: Option<usize>, found: &mut Vec<String>) {
        let limits = &self.limits;
        for (name, value) in [
            ("initiates_per_minute", limits.initiates_per_minute as usize),
            ("messages_per_second", limits.messages_per_second as usize),
            ("message_burst", limits.message_burst as usize),
            ("max_message_bytes", limits.max_message_bytes),
            ("queue", limits.queue),
            ("devices_per_user", limits.devices_per_user),
            ("sockets_per_address", limits.sockets_per_address),
            ("rest_per_second", limits.rest_per_second as usize),
            ("rest_burst", limits.rest_burst as usize),
            ("body_bytes", limits.body_bytes),
            ("signal_body_bytes", limits.signal_body_bytes),
            ("max_sdp_bytes", limits.max_sdp_bytes),
            ("max_candidate_bytes", limits.max_candidate_bytes),
            ("max_name_chars", limits.max_name_chars),
            ("pending_signals", limits.pending_signals),
            ("failed_auth", limits.failed_auth as usize),
        ] {
            if value == 0 {
                found.push(format!("limits.{name} must be at least 1."));
            }
        }
        if let Some(limit) = file_limit.filter(|limit| limits.max_connections.saturating_add(FILE_RESERVE) > *limit)
            && limits.max_connections != 0
        {
            found.push(format!(
                "limits.max_connections is {}, but the process may open {limit} files and needs {FILE_RESERVE} for \
                 itself: set it to at most {}, or raise the file limit (ulimit -n).",
                limits.max_connections,
                limit.saturating_sub(FILE_RESERVE)
            ));
        }
    }
}

/// The first parts of the service's own addresses: below one of these a request that came with its path taken off could
/// not be told from one that did not.
const OWN_ADDRESSES: [&str; 9] = ["admin", "api", "call", "healthz", "metrics", "readyz", "sdk", "shared", "ws"];

/// The longest path, in bytes.
const MAX_BASE_PATH: usize = 256;

fn base_path_problem(path: &str) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    let plain = |part: &str| {
        !part.is_empty()
            && ![".", ".."].contains(&part)
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    let within = path.strip_prefix('/').filter(|within| within.split('/').all(plain) && path.len() <= MAX_BASE_PATH);
    let Some(within) = within else {
        return Some(format!(
            "server.base_path is \"{path:.64}\": write it with a slash before each part and none at the end, as in /calls \
             or /apps/calls, from letters, digits, - . _ and ~ (at most {MAX_BASE_PATH}); leave it empty for the root."
        ));
    };
    let first = within.split('/').next().unwrap_or_default();
    OWN_ADDRESSES.contains(&first).then(|| {
        format!("server.base_path begins with /{first}, which is an address of the service itself; choose another, such as /calls.")
    })
}
