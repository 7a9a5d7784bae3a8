//! The processes under measurement: the service, and the references. Each is pinned to the first core and its
//! client, this process, to the second, so that they do not take each other's time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, Plan, reference, tokens};

/// Settings with which limits do not limit. What they cost is still paid.
const UNLIMITED: [(&str, &str); 7] = [
    ("SWITCHBOARD__LIMITS__INITIATES_PER_MINUTE", "1000000000"),
    ("SWITCHBOARD__LIMITS__MESSAGES_PER_SECOND", "1000000"),
    ("SWITCHBOARD__LIMITS__MESSAGE_BURST", "1000000"),
    ("SWITCHBOARD__LIMITS__SOCKETS_PER_ADDRESS", "100000"),
    ("SWITCHBOARD__LIMITS__REST_PER_SECOND", "1000000"),
    ("SWITCHBOARD__LIMITS__REST_BURST", "1000000"),
    ("SWITCHBOARD__AUTH__MODE", "jwt"),
];

/// A process under measurement; ended when dropped.
pub struct Process {
    /// What it is called in the table.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it is the service, not a reference.
    pub is_service: bool,
    /// The service's database.
    pub database: String,
    /// How long it took from its start until it said where it listens.
    pub started_in: Duration,
    child: Child,
    /// The nanoseconds of each thread there was, so that one that ended counts.
    threads: RefCell<HashMap<OsString, u64>>,
    _folder: tempfile::TempDir,
}

/// Processor time used so far, in seconds, and when that was.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// In user code and in the kernel.
    pub cpu: f64,
    /// The moment.
    pub at: Instant,
}

impl Process {
    /// Starts the service with a database of its own, or the one the plan names.
    pub fn service(plan: &Plan) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let database = plan.database_url.clone().unwrap_or_else(|| sqlite(folder.path()));
        let mut command = command(plan, &plan.server.display().to_string());
        command.args(["--bind", "127.0.0.1:0", "--database-url", &database]);
        command.envs(UNLIMITED).env("SWITCHBOARD__AUTH__JWT_SECRET", tokens::SECRET).env_remove("RUST_LOG");
        if let Some(level) = &plan.log {
            command.env("RUST_LOG", level);
        }
        Self::start(command, "Switchboard", true, database, folder)
    }

    /// Starts a reference: this program again.
    pub fn reference(plan: &Plan, kind: reference::Kind) -> Outcome<Self> {
        let own = std::env::current_exe()?.display().to_string();
        let folder = tempfile::tempdir()?;
        let mut command = command(plan, &own);
        command.args(["--reference", kind.flag(), "--database-url", &sqlite(folder.path())]);
        Self::start(command, kind.name(), false, String::new(), folder)
    }

    fn start(
        mut command: Command,
        name: &'static str,
        is_service: bool,
        database: String,
        folder: tempfile::TempDir,
    ) -> Outcome<Self> {
        let log = folder.path().join("log");
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(&log)?).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let Some(address) = line.trim().rsplit("http://").next().and_then(|address| address.parse().ok()) else {
            let why = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("{name} did not start: {line}{why}").into());
        };
        let started_in = began.elapsed();
        Ok(Self {
            name,
            address,
            is_service,
            database,
            started_in,
            child,
            threads: RefCell::default(),
            _folder: folder,
        })
    }

    /// What it used so far, as the scheduler counts it for each thread: the sum for the process comes in hundredths of
    /// a second, which is too coarse for what takes a few.
    pub fn spent(&self) -> Outcome<Spent> {
        let mut threads = self.threads.borrow_mut();
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?;
            // It may end at this moment.
            let Ok(stat) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanoseconds = stat.split(' ').next().unwrap_or_default().parse()?;
            threads.insert(thread.file_name(), nanoseconds);
        }
        Ok(Spent { cpu: threads.values().sum::<u64>() as f64 / 1e9, at: Instant::now() })
    }

    /// Its resident memory in KiB.
    pub fn resident(&self) -> Outcome<f64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("no Rss in smaps_rollup")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is gone already needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A database file in this folder, made when it is opened.
pub fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("load.db").display())
}

/// A program on the first core, and on a slow disk where the plan says so.
fn command(plan: &Plan, program: &str) -> Command {
    let mut command = if plan.pinned {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", program]);
        command
    } else {
        Command::new(program)
    };
    if let Some(slow_disk) = &plan.slow_disk {
        command.env("LD_PRELOAD", slow_disk);
    }
    command
}

/// What makes a program's disk slow, built in this folder; `None` where there is no C compiler.
pub fn slow_disk(folder: &Path) -> Outcome<Option<PathBuf>> {
    let (source, built) = (folder.join("slow_disk.c"), folder.join("slow_disk.so"));
    std::fs::write(&source, include_str!("slow_disk.c"))?;
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&built).arg(&source).arg("-ldl").status();
    Ok(compiled.is_ok_and(|status| status.success()).then_some(built))
}

/// Pins this process to the second core, where there is one and a `taskset` to do it.
pub fn pin_client() -> bool {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return false;
    }
    let own = std::process::id().to_string();
    let pinning = Command::new("taskset").args(["-a", "-c", "-p", "1", &own]).stdout(Stdio::null()).status();
    pinning.is_ok_and(|status| status.success())
}
