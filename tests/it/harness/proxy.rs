//! A reverse proxy of the story's own, on a port nobody uses, with its data in the story's folder.

use std::process::Stdio;

use tokio::process::{Child, Command};

use super::{Store, on_port};

/// A proxy by its program, and the arguments before the name of its configuration file. It must stay in the
/// foreground.
pub struct Program {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
}

/// Reads a Caddyfile. That must say `admin off`: its administration would listen on a fixed port.
pub const CADDY: Program = Program { name: "caddy", arguments: &["run", "--adapter", "caddyfile", "--config"] };

/// A running proxy; killed when dropped. What it logged is shown when the story failed.
pub struct Proxy {
    _child: Child,
    port: u16,
    store: Store,
    name: &'static str,
}

impl Proxy {
    /// Starts it with the configuration for a port.
    pub async fn start(store: &Store, program: &Program, configuration: impl Fn(u16) -> String) -> Self {
        let started = on_port::start(|port| spawn(store, program, &configuration(port))).await;
        let name = program.name;
        let Some((child, port)) = started else { panic!("{name} does not start:\n{}", log(store, name)) };
        Self { _child: child, port, store: store.clone(), name }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `http://127.0.0.1:PORT` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        log(&self.store, self.name)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the log of {} ---\n{}", self.name, self.log());
        }
    }
}

fn log(store: &Store, name: &str) -> String {
    std::fs::read_to_string(store.file(&format!("{name}.log"))).unwrap_or_default()
}

fn spawn(store: &Store, program: &Program, configuration: &str) -> Child {
    let name = program.name;
    let file = store.file(&format!("{name}.conf"));
    std::fs::write(&file, configuration).expect("the configuration");
    let log = std::fs::File::create(store.file(&format!("{name}.log"))).expect("the log file");
    Command::new(name)
        .args(program.arguments)
        .arg(file)
        .current_dir(store.file(""))
        // Caddy keeps its data below its home.
        .env("HOME", store.file(""))
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log file"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}; run ./test, which installs it"))
}
