//! The direction of imports, as docs/ARCHITECTURE.md draws it, read from the `use` lines themselves.

use std::fs;
use std::path::{Path, PathBuf};

/// Each part of the service and the parts it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("clock", &[]),
    ("text", &["ids"]),
    ("signal", &["ids", "clock"]),
    ("call", &["ids", "clock", "signal"]),
    ("presence", &["ids", "clock", "signal", "call"]),
    ("dialect", &["ids", "clock", "text", "signal"]),
    ("router", &["ids", "clock", "signal", "call", "presence"]),
    ("net", &["config"]),
    ("ws", &["ids", "clock", "signal", "presence", "dialect", "router", "net"]),
    ("server", &["ws", "net"]),
    ("shutdown", &["router", "store", "ws", "net"]),
    ("config", &["ids", "auth"]),
    ("ice", &["ids", "clock", "config"]),
    ("limits", &["ids", "clock"]),
    ("journal", &["clock"]),
    ("outbound", &[]),
    ("auth", &["ids", "clock", "text", "config", "net", "outbound"]),
    ("store", &["ids", "clock", "signal", "call", "router"]),
    (
        "http",
        &[
            "ids", "clock", "text", "signal", "call", "presence", "dialect", "router", "config", "ice", "limits",
            "auth", "store", "net",
        ],
    ),
];

/// Parts that decide and never do: nothing that blocks, waits or stores.
const PURE: &[&str] = &["ids", "clock", "text", "signal", "call", "presence", "dialect"];

const IMPURE: &[&str] = &["actix", "actix_web", "actix_http", "tokio", "sea_orm", "dashmap", "reqwest"];

fn sources(part: &str) -> Vec<PathBuf> {
    fn walk(path: &Path, found: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.to_owned());
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root.join(part), &mut found);
    found.extend(Some(root.join(format!("{part}.rs"))).filter(|file| file.exists()));
    // Tests may stand anywhere.
    found.retain(|file| !file.to_string_lossy().contains("test"));
    assert!(!found.is_empty(), "there is no src/{part}");
    found
}

/// The code of a file without its unit tests and comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every `prefix::name` in the code.
fn names_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    code.match_indices(prefix)
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'))
        .map(|(at, _)| &code[at + prefix.len()..])
        .map(|rest| &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())])
        .collect()
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for (part, may) in MAY_USE {
        for file in sources(part) {
            let code = code(&file);
            for used in names_after(&code, "crate::") {
                if used != *part && !may.contains(&used) {
                    wrong.push(format!("{} uses crate::{used}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "against docs/ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_pure_parts_know_no_actor_clock_or_database() {
    let mut wrong = Vec::new();
    for part in PURE {
        for file in sources(part) {
            let code = code(&file);
            for unwanted in IMPURE {
                if !names_after(&code, &format!("{unwanted}::")).is_empty() {
                    wrong.push(format!("{} uses {unwanted}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sockets_crate_is_named_in_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ws");
    let users: Vec<PathBuf> =
        sources("ws").into_iter().filter(|file| code(file).contains("actix_web_actors")).collect();
    assert_eq!(users, vec![root.join("handshake.rs")]);
}

#[test]
fn the_service_opens_addresses_by_one_client() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = |file: &PathBuf| file.starts_with(root.join("outbound"));
    let users: Vec<PathBuf> = sources(".")
        .into_iter()
        .filter(|file| !inside(file) && !names_after(&code(file), "reqwest::").is_empty())
        .collect();
    // `healthcheck` is the operator's command and asks the service on this machine.
    assert_eq!(users, vec![root.join("./cli.rs")]);
}
