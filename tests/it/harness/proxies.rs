//! The proxies of docs/PROXIES.md in front of a service, with the files that document gives.
//!
//! A file is taken from the document as it is; what must differ here (addresses, ports, the lines about TLS) is
//! replaced, and a replacement that finds nothing fails the story: then the document has changed.

use super::Store;
use super::proxy::{CADDY, Program, Proxy};

const NGINX: Program = Program { name: "nginx", arguments: &["-e", "stderr", "-c"] };

const HAPROXY: Program = Program { name: "haproxy", arguments: &["-db", "-f"] };

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    HaProxy,
}

impl Kind {
    /// Starts one in front of the service at `upstream`, `127.0.0.1:PORT`.
    pub async fn start(self, store: &Store, upstream: &str) -> Proxy {
        match self {
            Self::Nginx => Proxy::start(store, &NGINX, |port| nginx(store, port, upstream)).await,
            Self::Caddy => Proxy::start(store, &CADDY, |port| caddy(port, upstream)).await,
            Self::HaProxy => Proxy::start(store, &HAPROXY, |port| haproxy(port, upstream)).await,
        }
    }
}

/// The documented file, and around it what Debian's main file has, with private places.
fn nginx(store: &Store, port: u16, upstream: &str) -> String {
    // What redirects to https is not asked here.
    let nobody = format!("    listen unix:{};\n", store.file(&format!("nginx-{port}.sock")).display());
    let file = store.file("switchboard.conf");
    let documented = documented(
        "nginx",
        &[
            ("127.0.0.1:8080", upstream),
            ("    listen 80;\n", &nobody),
            ("listen 443 ssl http2;", &format!("listen 127.0.0.1:{port};")),
            ("    ssl_certificate /etc/letsencrypt/live/calls.example.com/fullchain.pem;\n", ""),
            ("    ssl_certificate_key /etc/letsencrypt/live/calls.example.com/privkey.pem;\n", ""),
        ],
    );
    std::fs::write(&file, documented).expect("the documented file");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("    {what}_temp_path {};\n", store.file(&format!("nginx-{what}")).display()))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {};\nevents {{ worker_connections 2000; }}\n\
         http {{\n    access_log off;\n{temporary}    include {};\n}}\n",
        store.file("nginx.pid").display(),
        file.display()
    )
}

fn caddy(port: u16, upstream: &str) -> String {
    let site = format!("http://127.0.0.1:{port} {{");
    // Its console has a port of its own, and certificates are not wanted here.
    let private = "{\n\tadmin off\n\tauto_https off\n}\n";
    private.to_owned() + &documented("caddy", &[("127.0.0.1:8080", upstream), ("calls.example.com {", &site)])
}

fn haproxy(port: u16, upstream: &str) -> String {
    documented(
        "haproxy",
        &[
            ("127.0.0.1:8080", upstream),
            ("    maxconn 20000\n", "    maxconn 1000\n"),
            ("    bind :80\n", ""),
            (
                "bind :443 ssl crt /etc/haproxy/calls.example.com.pem alpn h2,http/1.1\n",
                &format!("bind 127.0.0.1:{port}\n"),
            ),
            ("    http-request redirect scheme https unless { ssl_fc }\n", ""),
        ],
    )
}

/// The one block of docs/PROXIES.md in that language, with these replacements.
fn documented(language: &str, here: &[(&str, &str)]) -> String {
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROXIES.md"));
    let fence = format!("\n```{language}\n");
    let mut blocks = document.split(fence.as_str()).skip(1);
    let block = blocks.next().and_then(|block| block.split_once("\n```")).map(|(block, _)| format!("{block}\n"));
    assert_eq!(blocks.next(), None, "docs/PROXIES.md has one file for {language}");
    let mut text = block.unwrap_or_else(|| panic!("docs/PROXIES.md has no file for {language}"));
    for (documented, here) in here {
        assert!(text.contains(documented), "docs/PROXIES.md, {language}, has no {documented:?}:\n{text}");
        text = text.replace(documented, here);
    }
    text
}
