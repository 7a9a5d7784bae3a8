//! The real binary as a child process: started, killed and restarted as an operator or an accident would.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{PATIENCE, Rest, Socket, Store, within};

/// What the binary prints on its standard output once it takes connections, before the address.
const READY: &str = "switchboard is listening on http://";

/// A running service. Killed when dropped; what it logged is shown when the story failed.
pub struct Service {
    child: Child,
    address: String,
    store: Store,
    env: Vec<(String, String)>,
    client: reqwest::Client,
}

impl Service {
    /// Starts with the defaults.
    pub async fn start(store: &Store) -> Self {
        Self::with(store, &[]).await
    }

    /// Starts with settings: `("CALL__RING_TIMEOUT", "1s")` is `SWITCHBOARD__CALL__RING_TIMEOUT`.
    pub async fn with(store: &Store, settings: &[(&str, &str)]) -> Self {
        Self::launch(store, Self::named(settings).collect()).await
    }

    async fn launch(store: &Store, env: Vec<(String, String)>) -> Self {
        let (child, address) =
            spawn(store, &env, "127.0.0.1:0").await.unwrap_or_else(|why| panic!("{why}\n{}", logs(store)));
        // No certificates and no proxy: these stories never leave the machine.
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
        let service = Self { child, address, store: store.clone(), env, client };
        service.until_ready().await;
        service
    }

    /// As [`Service::with`], and it logs everything down to debug.
    pub async fn verbose(store: &Store, settings: &[(&str, &str)]) -> Self {
        Self::launch(store, Self::named(settings).chain([("RUST_LOG".to_owned(), "debug".to_owned())]).collect()).await
    }

    /// As [`Service::with`], with more in its environment that is no setting of its own.
    pub async fn in_environment(store: &Store, settings: &[(&str, &str)], more: &[(&str, &str)]) -> Self {
        let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self::launch(store, Self::named(settings).chain(more).collect()).await
    }

    fn named(settings: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        settings.iter().map(|(key, value)| (format!("SWITCHBOARD__{key}"), (*value).to_owned()))
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A user who speaks REST.
    pub fn rest(&self, user: &str) -> Rest {
        Rest::new(self.client.clone(), format!("http://{}", self.address), user)
    }

    /// A user on a socket of the users dialect.
    pub async fn socket(&self, user: &str) -> Socket {
        Socket::dial(self, user).open().await
    }

    /// A user on a socket, on a device they name.
    pub async fn device(&self, user: &str, device: &str) -> Socket {
        Socket::dial(self, user).device(device).open().await
    }

    /// A token as an operator makes it: `switchboard token` with the settings of this service.
    pub async fn token(&self, args: &[&str]) -> String {
        let mut line = vec!["token"];
        line.extend(args);
        let env: Vec<_> = self.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        run(&self.store, &env, &line).await.ok()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.store.file("stderr.log")).expect("the log")
    }

    /// `kill -9`: no goodbye, no flush.
    pub async fn kill9(&mut self) {
        self.child.start_kill().expect("kill -9");
        self.child.wait().await.expect("the killed service");
    }

    /// SIGTERM: please finish.
    pub async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    /// Any signal: `-STOP`, `-CONT`.
    pub async fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().await.expect("kill");
        assert!(status.success(), "kill {signal} {pid}: {status}");
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the service runs")
    }

    /// Waits until it exits by itself.
    pub async fn exited(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE * 2, self.child.wait())
            .await
            .expect("the service should have exited")
            .expect("its exit status")
    }

    /// Starts again after an exit: same database, same settings, same port if it is still free.
    pub async fn start_again(&mut self) {
        let before = self.address.clone();
        let started = match spawn(&self.store, &self.env, &before).await {
            Ok(started) => Ok(started),
            Err(_) => spawn(&self.store, &self.env, "127.0.0.1:0").await,
        };
        (self.child, self.address) = started.unwrap_or_else(|why| panic!("{why}\n{}", logs(&self.store)));
        self.until_ready().await;
    }

    /// `kill -9`, then starts again.
    pub async fn restart(&mut self) {
        self.kill9().await;
        self.start_again().await;
    }

    /// Waits until it says of itself that it can do everything.
    pub async fn until_ready(&self) {
        let url = self.url("/readyz");
        within(PATIENCE * 3, "/readyz answers 200", async || {
            let answer = self.client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Tokio kills the child when its handle goes; the story's own failure should come with the logs.
        if std::thread::panicking() {
            println!("{}", logs(&self.store));
        }
    }
}

/// What a command of the binary came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// What it printed, of a success.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.trim_end().to_owned()
    }

    /// What it complained of, of a failure: exit code 1 and nothing on the standard output.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        self.stderr
    }
}

/// The binary of this build, or that of an earlier release whose database is to be kept.
fn binary() -> OsString {
    std::env::var_os("SWITCHBOARD_FIXTURE_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_switchboard").into())
}

/// Runs a command of the binary to its end, on the story's database unless `env` or `args` say otherwise.
/// `env` is complete: `SWITCHBOARD__AUTH__MODE`, not `AUTH__MODE`.
pub async fn run(store: &Store, env: &[(&str, &str)], args: &[&str]) -> Ran {
    let command = Command::new(binary())
        .args(args)
        .env_remove("REDIS_URL")
        .env("DATABASE_URL", store.url())
        .env("RUST_LOG", "warn")
        .envs(env.iter().copied())
        .current_dir(store.file(""))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE * 3, command).await;
    let output = output.unwrap_or_else(|_| panic!("{args:?} did not end")).expect("the binary");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The end of what the service logged.
pub fn logs(store: &Store) -> String {
    let text = std::fs::read_to_string(store.file("stderr.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(200)..];
    let mut shown = String::from("--- the service's log (last 200 lines) ---\n");
    for line in tail {
        writeln!(shown, "{line}").expect("writing to a string");
    }
    shown
}

async fn spawn(store: &Store, env: &[(String, String)], bind: &str) -> Result<(Child, String), String> {
    let stderr: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(store.file("stderr.log"))
        .map_err(|error| format!("the log file: {error}"))?;
    let mut command = Command::new(binary());
    command
        .args(["serve", "--bind", bind, "--database-url", store.url()])
        // What the machine happens to have set must not decide a story.
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL")
        .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
        // Stories ask again and again until something is true, which is not what the limit is about.
        .env("SWITCHBOARD__LIMITS__REST_BURST", "100000")
        .envs(env.iter().map(|(key, value)| (key, value)))
        .current_dir(store.file(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("the service cannot be started: {error}"))?;
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let listening = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, address)) = line.split_once(READY) {
                // After it stands the path, where there is one.
                return address.trim().split('/').next().map(str::to_owned);
            }
        }
        None
    };
    match tokio::time::timeout(Duration::from_secs(30), listening).await {
        Ok(Some(address)) => {
            // Keeps the pipe empty, or a talkative service would one day block on it.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            Ok((child, address))
        }
        Ok(None) => Err(format!("the service exited without printing `{READY}…`: {:?}", child.wait().await)),
        Err(_) => Err(format!("the service did not print `{READY}…` within 30 s")),
    }
}
