//! Reverse proxies of our own in front of a service: the programs Debian has, with the files docs/PROXIES.md gives.
//!
//! A file is taken from the document as it is; what must differ here (addresses, ports, the lines about TLS) is
//! replaced, and a replacement that finds nothing fails the story: then the document has changed.

use std::path::Path;
use std::process::Stdio;

use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::{PATIENCE, Store};

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    HaProxy,
}

/// A running proxy; killed when dropped.
pub struct Proxy {
    _child: Child,
    address: String,
}

impl Proxy {
    /// Starts one in front of the service at `upstream`, `127.0.0.1:PORT`.
    pub async fn start(kind: Kind, store: &Store, upstream: &str) -> Self {
        let folder = store.file(&format!("{kind:?}-{}", upstream.replace(':', "-")));
        // It cannot be told "any port", and between asking the kernel for one and its own bind somebody else may take
        // it; then another one is tried.
        for _ in 0..5 {
            std::fs::create_dir_all(&folder).expect("a folder");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("its address").to_string();
            drop(listener);
            let mut child = kind.spawn(&folder, &address, upstream);
            if listens(&mut child, &address).await {
                return Self { _child: child, address };
            }
        }
        panic!("{kind:?} does not start:\n{}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Kind {
    fn spawn(self, folder: &Path, address: &str, upstream: &str) -> Child {
        let file = folder.join("config");
        let text = self.documented(folder, address, upstream);
        let command = match self {
            Self::Nginx => {
                std::fs::write(folder.join("switchboard.conf"), text).expect("the documented file");
                std::fs::write(&file, nginx_conf(folder)).expect("the main file");
                let mut command = Command::new("nginx");
                command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(folder.join("log"));
                command
            }
            Self::Caddy => {
                // Its console has a port of its own, and certificates are not wanted here.
                std::fs::write(&file, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{text}")).expect("the file");
                let mut command = Command::new("caddy");
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
                command
            }
            Self::HaProxy => {
                std::fs::write(&file, text).expect("the file");
                let mut command = Command::new("haproxy");
                command.args(["-db", "-f"]).arg(&file);
                command
            }
        };
        start(command, folder)
    }

    /// The file docs/PROXIES.md has, for these addresses and without TLS.
    fn documented(self, folder: &Path, address: &str, upstream: &str) -> String {
        // What redirects to https is not asked here.
        let nobody = format!("    listen unix:{}/{}.sock;\n", folder.display(), address.replace(':', "-"));
        let (own, site) = (format!("listen {address};"), format!("http://{address} {{"));
        let frontend = format!("bind {address}\n");
        let (language, here): (_, &[(&str, &str)]) = match self {
            Self::Nginx => (
                "nginx",
                &[
                    ("    listen 80;\n", &nobody),
                    ("listen 443 ssl http2;", &own),
                    ("    ssl_certificate /etc/letsencrypt/live/calls.example.com/fullchain.pem;\n", ""),
                    ("    ssl_certificate_key /etc/letsencrypt/live/calls.example.com/privkey.pem;\n", ""),
                ],
            ),
            Self::Caddy => ("caddy", &[("calls.example.com {", &site)]),
            Self::HaProxy => (
                "haproxy",
                &[
                    ("    maxconn 20000\n", "    maxconn 1000\n"),
                    ("    bind :80\n", ""),
                    ("bind :443 ssl crt /etc/haproxy/calls.example.com.pem alpn h2,http/1.1\n", &frontend),
                    ("    http-request redirect scheme https unless { ssl_fc }\n", ""),
                ],
            ),
        };
        let mut text = fenced(language);
        for (documented, here) in [("127.0.0.1:8080", upstream)].iter().chain(here) {
            assert!(text.contains(documented), "docs/PROXIES.md, {language}, has no {documented:?}:\n{text}");
            text = text.replace(documented, here);
        }
        text
    }
}

/// The one block of docs/PROXIES.md in that language.
fn fenced(language: &str) -> String {
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROXIES.md"));
    let fence = format!("\n```{language}\n");
    let mut blocks = document.split(fence.as_str()).skip(1);
    let block = blocks.next().and_then(|block| block.split_once("\n```")).map(|(block, _)| format!("{block}\n"));
    assert_eq!(blocks.next(), None, "docs/PROXIES.md has one file for {language}");
    block.unwrap_or_else(|| panic!("docs/PROXIES.md has no file for {language}"))
}

/// What stands around the documented file: Debian's main file with private places.
fn nginx_conf(folder: &Path) -> String {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("    {what}_temp_path {folder}/{what};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log;\n\
         events {{ worker_connections 2000; }}\n\
         http {{\n    access_log off;\n{temporary}    include {folder}/switchboard.conf;\n}}\n"
    )
}

fn start(mut command: Command, folder: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("the log file");
    command
        // Nothing of the machine's own, and nothing kept in somebody's home.
        .env("HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log file"))
        .stderr(log)
        .kill_on_drop(true);
    let name = command.as_std().get_program().to_owned();
    command.spawn().unwrap_or_else(|why| panic!("{name:?}: {why}; run ./test, which installs it"))
}

/// Waits until it takes connections; false where it went away instead.
async fn listens(child: &mut Child, address: &str) -> bool {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if child.try_wait().expect("the proxy's state").is_some() {
            return false;
        }
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    false
}
