//! The command line: what can be asked of the program, and the answers that need no service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::auth::{Authenticator, Grant, Role};
use crate::clock::Clock;
use crate::config::{Flags, Settings, duration};
use crate::ids::{ConversationId, UserId};
use crate::store::{self, Store, StoreError};

/// How long a health check may take; containers ask every half minute.
const HEALTH_WITHIN: Duration = Duration::from_secs(3);

/// Presence and call routing for WebRTC clients.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version)]
pub struct Cli {
    /// A TOML file laid over the built-in settings
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The database, such as sqlite://switchboard.db?mode=rwc or postgres://user@host/name
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What can be asked of the program.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the service (also when no command is given)
    Serve(ServeArgs),
    /// Print a token for a user, signed with the configured secret
    Token(TokenArgs),
    /// Bring the database to the current form, or show where it is
    Migrate {
        /// What to do
        #[arg(value_enum, default_value_t = Migrate::Up)]
        what: Migrate,
    },
    /// Print the settings in effect, secrets redacted
    Config,
    /// Print the call report: totals, the last ten, by status, quality checks
    Report,
    /// Ask the service at server.bind whether it is up; the exit code says
    Healthcheck,
}

/// Options of `serve`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ServeArgs {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub bind: Option<SocketAddr>,
    /// Leave the database as it is; refuse to start when it is not current
    #[arg(long)]
    pub no_migrate: bool,
}

/// What `migrate` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Migrate {
    /// Run what has not been run.
    Up,
    /// Take back the last one.
    Down,
    /// Say which have been run.
    Status,
}

/// Options of `token`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TokenArgs {
    /// Who will bear it
    #[arg(long, value_parser = |text: &str| UserId::parse(text))]
    user: UserId,
    /// The name others are shown
    #[arg(long)]
    name: Option<String>,
    /// user, admin or service
    #[arg(long, default_value = "user", value_parser = role)]
    role: Role,
    /// Another address of the user, as tutor:1; may be repeated
    #[arg(long = "profile", value_name = "TYPE:ID", value_parser = profile)]
    profiles: Vec<(String, String)>,
    /// A conversation the user is in; may be repeated
    #[arg(long = "conversation", value_name = "ID", value_parser = |text: &str| ConversationId::parse(text))]
    conversations: Vec<ConversationId>,
    /// How long it holds
    #[arg(long, default_value = "1h", value_parser = ttl)]
    ttl: Duration,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "there are user, admin and service".to_owned())
}

fn profile(text: &str) -> Result<(String, String), String> {
    let (kind, id) = text.split_once(':').ok_or("write it as tutor:1")?;
    UserId::parse(id).map_err(|_| "the id after the colon is not one")?;
    Ok((kind.to_owned(), id.to_owned()))
}

fn ttl(text: &str) -> Result<Duration, String> {
    duration(text).filter(|ttl| ttl.as_secs() > 0).ok_or_else(|| "write it as 30m or 1h".to_owned())
}

impl Cli {
    /// What was asked, and the settings' topmost layer. Options of `serve` count before and after its
    /// name, and also for the others, so that `config` shows what `serve` would do.
    pub fn split(self) -> (Command, Flags) {
        let command = self.command.unwrap_or(Command::Serve(ServeArgs::default()));
        let after = match &command {
            Command::Serve(args) => args.clone(),
            _ => ServeArgs::default(),
        };
        let flags = Flags {
            config: self.config,
            bind: after.bind.or(self.serve.bind),
            database_url: self.database_url,
            no_migrate: after.no_migrate || self.serve.no_migrate,
        };
        (command, flags)
    }
}

/// `switchboard token`: the token, or a sentence why there is none.
pub fn token(settings: &Settings, args: &TokenArgs, clock: Clock) -> Result<String, String> {
    let args = args.clone();
    let conversations: Vec<String> = args.conversations.iter().map(ToString::to_string).collect();
    Authenticator::new(settings, clock)?.mint(&Grant {
        user: args.user,
        name: args.name,
        role: args.role,
        profiles: args.profiles,
        conversations: (!conversations.is_empty()).then_some(conversations),
        ttl: args.ttl,
    })
}

/// What `switchboard migrate` does and says.
pub async fn migrate(settings: &Settings, what: Migrate) -> Result<String, String> {
    let say = |error: StoreError| error.to_string();
    let store = Store::connect(&settings.database.url).await.map_err(say)?;
    match what {
        Migrate::Up => store::migrate::up(&store, None).await.map_err(say)?,
        Migrate::Down => store::migrate::down(&store, 1).await.map_err(say)?,
        Migrate::Status => {}
    }
    let lines: Vec<String> = store::migrate::status(&store)
        .await
        .map_err(say)?
        .into_iter()
        .map(|(name, applied)| format!("{} {name}", if applied { "applied" } else { "pending" }))
        .collect();
    store.close().await;
    Ok(lines.join("\n"))
}

/// What `switchboard report` says: the call-log seed's report.
pub async fn report(settings: &Settings) -> Result<String, String> {
    let say = |error: StoreError| error.to_string();
    let store = Store::open(&settings.database.url, true).await.map_err(say)?;
    let report = store::queries::report(&store).await.map_err(say)?;
    store.close().await;
    let mut lines = vec![format!("Total call logs: {}", report.total), String::new(), "Last 10 calls:".to_owned()];
    for call in &report.last {
        let callees: Vec<&str> = call.callees().map(UserId::as_str).collect();
        lines.push(format!(
            "  #{:<8} {}  {:<5} {:<9} {} -> {}  {} s",
            call.id,
            call.started_at.format("%Y-%m-%d %H:%M:%S"),
            call.call_type.as_str(),
            call.status,
            call.caller_id,
            callees.join(", "),
            call.duration_seconds,
        ));
    }
    lines.extend([String::new(), "By status:".to_owned()]);
    lines.extend(report.by_status.iter().map(|(status, count)| format!("  {status:<9} {count}")));
    lines.extend([
        String::new(),
        "Quality:".to_owned(),
        format!("  ended calls with a duration: {} of {}", report.ended_with_duration, report.ended),
        format!("  answered: {}", report.answered),
        format!("  cancelled: {}", report.cancelled),
        format!("  still initiated: {}", report.stuck_in_initiated),
    ]);
    Ok(lines.join("\n"))
}

/// `switchboard healthcheck`: asks the service on this machine.
pub async fn healthcheck(settings: &Settings) -> Result<(), String> {
    let bind = settings.server.bind;
    // "Any address" is one to listen on, not one to ask.
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let at = SocketAddr::new(ip, bind.port());
    let say = |error: reqwest::Error| format!("The service at {at} does not answer: {error}.");
    // A client of its own: it is the operator who asks, and for our own machine, which `outbound` keeps the service from.
    // No proxy, whatever the environment says about other machines.
    let client = reqwest::Client::builder().no_proxy().timeout(HEALTH_WITHIN).build().map_err(say)?;
    let response = client.get(format!("http://{at}/healthz")).send().await.map_err(say)?;
    if response.status().is_success() {
        Ok(())
    } else {
        Err(format!("The service at {at} says {}.", response.status()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> (Command, Flags) {
        Cli::try_parse_from(line.split(' ')).unwrap().split()
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_happens_when_nothing_is_said() {
        let bind = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        for line in ["switchboard --bind 127.0.0.1:9", "switchboard serve --bind 127.0.0.1:9"] {
            let (command, flags) = split(line);
            assert!(matches!(command, Command::Serve(_)));
            assert_eq!(flags, Flags { bind, ..Flags::default() });
        }
        let (_, flags) = split("switchboard serve --no-migrate --config a.toml --database-url sqlite::memory:");
        assert!(flags.no_migrate);
        assert_eq!(flags.config, Some("a.toml".into()));
        assert_eq!(flags.database_url.as_deref(), Some("sqlite::memory:"));
        assert_eq!(split("switchboard migrate status").0, Command::Migrate { what: Migrate::Status });
        assert!(Cli::try_parse_from(["switchboard", "--redis-url", "x"]).is_err());
    }

    #[actix_web::test]
    async fn a_token_from_the_command_line_is_taken_by_the_service() {
        let (command, _) = split(
            "switchboard token --user 7 --name Ann --role admin --profile tutor:1 --conversation 12 --conversation c --ttl 2h",
        );
        let Command::Token(args) = command else { panic!("{command:?}") };
        let settings = Settings::defaults().unwrap();
        let token = token(&settings, &args, Clock::new()).unwrap();
        let identity = Authenticator::new(&settings, Clock::new()).unwrap().verify(&token).await.unwrap();
        assert_eq!((identity.user.as_str(), identity.name.as_deref(), identity.role), ("7", Some("Ann"), Role::Admin));
        assert_eq!(identity.profiles, [("tutor".to_owned(), "1".to_owned())]);
        assert_eq!(identity.conversations, Some(vec!["12".to_owned(), "c".to_owned()]));
        let left = identity.expires_at.unwrap() - Clock::new().now().wall;
        assert!((7190..=7205).contains(&left.num_seconds()), "{left}");
    }

    #[test]
    fn nonsense_is_refused_where_it_stands() {
        for args in
            ["--user guest:1", "--user 7 --role king", "--user 7 --profile tutor", "--user 7 --ttl soon", "--name x"]
        {
            assert!(Cli::try_parse_from(format!("switchboard token {args}").split(' ')).is_err(), "{args}");
        }
    }
}
