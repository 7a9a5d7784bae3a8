//! Layers, sentences and secrets.

use std::io::Write;

use super::*;

pub(super) fn env(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn load(pairs: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    Settings::load_with(&Flags::default(), &env(pairs), Some(20_000))
}

pub(super) fn sentences(pairs: &[(&str, &str)]) -> String {
    load(pairs).unwrap_err().join("\n")
}

#[test]
fn the_defaults_are_sound_and_those_of_the_specification() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.call.ring_timeout, Duration::from_secs(30));
    assert_eq!(settings.call.restart_grace, Duration::from_secs(60));
    assert_eq!(settings.presence.offline_after, Duration::from_secs(30));
    assert_eq!(settings.limits.initiates_per_minute, 10);
    assert_eq!(settings.limits.queue, 256);
    assert_eq!(settings.limits.max_connections, 20_000 - 128);
    assert_eq!((settings.auth.mode, settings.server.bind.to_string().as_str()), (AuthMode::Dev, "127.0.0.1:8080"));
    assert!(settings.conversations_are_open() && settings.directory_is_open());
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let mut file = tempfile::Builder::new().suffix(".conf").tempfile().unwrap();
    writeln!(file, "[call]\nring_timeout = \"20s\"\noffer_timeout = \"7s\"\n[server]\nbind = \"127.0.0.1:1\"").unwrap();
    writeln!(file, "[limits]\nqueue = 7\n[database]\nurl = \"sqlite:file\"").unwrap();
    let flags = Flags {
        config: Some(file.path().to_owned()),
        bind: Some(SocketAddr::from(([127, 0, 0, 1], 3))),
        no_migrate: true,
        ..Flags::default()
    };
    let environment = env(&[
        ("SWITCHBOARD__CALL__RING_TIMEOUT", "500ms"),
        ("SWITCHBOARD__SERVER__BIND", "127.0.0.1:2"),
        ("SWITCHBOARD__LIMITS__MAX_CONNECTIONS", "50"),
        ("SWITCHBOARD__SERVER__ALLOWED_ORIGINS", "https://a.example, http://b.example:81"),
        ("SWITCHBOARD__NODE__ID", "7"),
        ("DATABASE_URL", "sqlite:general"),
        ("REDIS_URL", "redis://x"),
        ("HOME", "/"),
    ]);
    let settings = Settings::load_with(&flags, &environment, None).unwrap();
    assert_eq!(settings.call.ring_timeout, Duration::from_millis(500), "environment over file");
    assert_eq!(settings.call.offer_timeout, Duration::from_secs(7), "file over default");
    assert_eq!(settings.call.caller_grace, Duration::from_secs(10), "default");
    assert_eq!(settings.server.bind.port(), 3, "flag over environment");
    assert_eq!((settings.limits.queue, settings.limits.max_connections), (7, 50));
    assert_eq!(settings.server.allowed_origins, ["https://a.example", "http://b.example:81"]);
    assert_eq!(settings.node.id, "7");
    assert_eq!(settings.database.url, "sqlite:general", "DATABASE_URL over file");
    assert!(!settings.database.migrate);

    let both = [("DATABASE_URL", "sqlite:general"), ("SWITCHBOARD__DATABASE__URL", "sqlite:named")];
    assert_eq!(load(&both).unwrap().database.url, "sqlite:named");
    let flags = Flags { database_url: Some("sqlite:flag".to_owned()), ..Flags::default() };
    assert_eq!(Settings::load_with(&flags, &env(&both), None).unwrap().database.url, "sqlite:flag");
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let flags = Flags { config: Some("/nowhere/switchboard.toml".into()), ..Flags::default() };
    let problems = Settings::load_with(&flags, &Environment::new(), None).unwrap_err();
    assert!(problems[0].contains("/nowhere/switchboard.toml"), "{problems:?}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let said = load(&[
        ("SWITCHBOARD__CALL__RING_TIMEOUT", "soon"),
        ("SWITCHBOARD__CALL__RINGTIMEOUT", "1s"),
        ("SWITCHBOARD__COFFEE__SUGAR", "2"),
        ("SWITCHBOARD__LIMITS__QUEUE", "-1"),
        ("SWITCHBOARD__DATABASE__MIGRATE", "perhaps"),
        ("SWITCHBOARD__AUTH__MODE", "trust"),
    ])
    .unwrap_err();
    for sentence in [
        "There is no section \"coffee\" in the configuration.",
        "There is no setting call.ringtimeout.",
        "call.ring_timeout must be a duration such as 30s or 500ms.",
        "limits.queue must be a whole number, 0 or more.",
        "database.migrate must be true or false.",
    ] {
        assert!(said.iter().any(|said| said == sentence), "{sentence} in {said:?}");
    }
    assert!(
        said.iter().any(|said| said.starts_with("Section auth cannot be read: unknown variant `trust`")),
        "{said:?}"
    );
    assert_eq!(said.len(), 6, "{said:?}");
}

#[test]
fn settings_that_do_not_fit_together_are_refused_in_sentences() {
    for (pairs, sentence) in [
        (vec![("SWITCHBOARD__PRESENCE__OFFLINE_AFTER", "19s")], "presence.offline_after (19s) must be at least twice"),
        (vec![("SWITCHBOARD__AUTH__JWT_SECRET", "short")], "auth.jwt_secret must have at least 32 bytes; it has 5."),
        (vec![("SWITCHBOARD__AUTH__MODE", "jwt")], "which needs auth.jwt_secret"),
        (
            vec![("SWITCHBOARD__AUTH__MODE", "jwt"), ("SWITCHBOARD__AUTH__ALGORITHM", "EdDSA")],
            "which needs auth.public_key_file or auth.jwks",
        ),
        (
            vec![
                ("SWITCHBOARD__AUTH__MODE", "jwt"),
                ("SWITCHBOARD__AUTH__JWT_SECRET", crate::auth::DEVELOPMENT_SECRET),
            ],
            "choose one of your own",
        ),
        (vec![("SWITCHBOARD__SERVER__BIND", "0.0.0.0:8080")], "Set auth.mode to jwt (SWITCHBOARD__AUTH__MODE=jwt)"),
        (vec![("SWITCHBOARD__LIMITS__MAX_CONNECTIONS", "19873")], "set it to at most 19872"),
        (vec![("SWITCHBOARD__LIMITS__QUEUE", "0")], "limits.queue must be at least 1."),
        (vec![("SWITCHBOARD__CALL__RING_TIMEOUT", "99ms")], "call.ring_timeout must be at least 100ms."),
        (vec![("SWITCHBOARD__CALL__RING_TIMEOUT", "121s")], "call.ring_timeout must be at most 120s."),
        (vec![("SWITCHBOARD__SERVER__ALLOWED_ORIGINS", "https://a.example/")], "is not an origin"),
        (vec![("SWITCHBOARD__SERVER__ALLOWED_ORIGINS", "*")], "holds \"*\", which is every page of the web"),
        (vec![("SWITCHBOARD__SERVER__ALLOWED_ORIGINS", "https://*.co.uk")], "which is a pattern on a public suffix"),
        (vec![("SWITCHBOARD__SERVER__TRUSTED_PROXIES", "10.0.0.5")], "or leave server.trusted_proxies empty"),
        (
            vec![("SWITCHBOARD__SERVER__TRUSTED_PROXIES", "10.0.0")],
            "Section server cannot be read: \"10.0.0\" is not a network: write it as 10.0.0.0/8",
        ),
        (vec![("SWITCHBOARD__SERVER__FORWARDED_HEADER", "X Real IP")], "is not the name of a header"),
        (
            vec![("SWITCHBOARD__SERVER__FORWARDED_HEADER", "Forwarded")],
            "read only from server.trusted_proxies, and there are none",
        ),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "calls")], "write it with a slash before each part"),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "/calls/")], "none at the end, as in /calls"),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "/")], "leave it empty for the root"),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "/a//b")], "write it with"),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "/a/../b")], "write it with"),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "/a b")], "write it with"),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "/a%20b")], "write it with"),
        (vec![("SWITCHBOARD__SERVER__BASE_PATH", "https://a.example/calls")], "write it with"),
        (
            vec![("SWITCHBOARD__SERVER__BASE_PATH", "/api/calls")],
            "begins with /api, which is an address of the service",
        ),
        (vec![("SWITCHBOARD__ICE__TURN_URLS", "turn:t.example")], "which needs ice.turn_secret"),
        (vec![("SWITCHBOARD__ICE__STUN_URLS", "turn:t.example")], "which does not start with stun: or stuns:"),
        (vec![("SWITCHBOARD__OUTBOUND__ALLOWED", "::/0")], "outbound.allowed holds ::/0, which is every address"),
        (
            vec![("SWITCHBOARD__OUTBOUND__ALLOWED", "10.0.0.0/8, 10.0.0.0/33")],
            "Section outbound cannot be read: \"10.0.0.0/33\" is not a network: write it as 10.0.0.0/8",
        ),
        (vec![("SWITCHBOARD__DATABASE__URL", "mysql://x")], "database.url must start with sqlite:"),
    ] {
        let said = sentences(&pairs);
        assert!(said.contains(sentence), "{sentence} in {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let two = sentences(&[("SWITCHBOARD__LIMITS__QUEUE", "0"), ("SWITCHBOARD__PRESENCE__OFFLINE_AFTER", "1s")]);
    assert_eq!(two.lines().count(), 2, "{two}");
    load(&[("SWITCHBOARD__LIMITS__MAX_CONNECTIONS", "19872"), ("SWITCHBOARD__CALL__RING_TIMEOUT", "100ms")]).unwrap();
    let jwt = [
        ("SWITCHBOARD__SERVER__BIND", "0.0.0.0:8080"),
        ("SWITCHBOARD__AUTH__MODE", "jwt"),
        ("SWITCHBOARD__AUTH__JWT_SECRET", "01234567890123456789012345678901"),
    ];
    for path in ["", "/calls", "/apps/calls", "/calls.v1/~a_b-c", "/apis"] {
        assert_eq!(load(&[("SWITCHBOARD__SERVER__BASE_PATH", path)]).unwrap().server.base_path, path);
    }
    assert!(!load(&jwt).unwrap().conversations_are_open());
    assert!(!load(&jwt).unwrap().directory_is_open());
    assert!(
        load(&[jwt.as_slice(), &[("SWITCHBOARD__PRESENCE__DIRECTORY", "open")]].concat()).unwrap().directory_is_open()
    );
    assert!(!load(&[("SWITCHBOARD__PRESENCE__DIRECTORY", "closed")]).unwrap().directory_is_open());
    assert!(sentences(&[("SWITCHBOARD__PRESENCE__DIRECTORY", "ajar")]).contains("ajar"));
}

#[test]
fn loopback_is_opened_in_dev_mode_and_where_it_is_allowed() {
    let networks = |pairs: &[(&str, &str)]| -> Vec<String> {
        load(pairs).unwrap().outbound_networks().iter().map(ToString::to_string).collect()
    };
    let allowed = ("SWITCHBOARD__OUTBOUND__ALLOWED", "10.1.0.0/16,192.168.1.7");
    assert_eq!(networks(&[allowed]), ["10.1.0.0/16", "192.168.1.7/32", "::1/128", "127.0.0.0/8"]);
    let jwt =
        [("SWITCHBOARD__AUTH__MODE", "jwt"), ("SWITCHBOARD__AUTH__JWT_SECRET", "01234567890123456789012345678901")];
    assert_eq!(networks(&[jwt[0], jwt[1], allowed]), ["10.1.0.0/16", "192.168.1.7/32"]);
    assert_eq!(networks(&jwt), [""; 0]);
}

#[test]
fn proxies_are_addresses_and_networks() {
    let jwt = [
        ("SWITCHBOARD__AUTH__MODE", "jwt"),
        ("SWITCHBOARD__AUTH__JWT_SECRET", "01234567890123456789012345678901"),
        ("SWITCHBOARD__SERVER__FORWARDED_HEADER", "forwarded"),
    ];
    let with = |nets| [jwt.as_slice(), &[("SWITCHBOARD__SERVER__TRUSTED_PROXIES", nets)]].concat();
    let proxies = load(&with("10.0.0.0/8, 192.0.2.1,2001:db8::/32,::1")).unwrap().server.trusted_proxies;
    let proxies: Vec<String> = proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128"]);
    assert!(sentences(&with("0.0.0.0/0")).contains("holds 0.0.0.0/0, which is everybody"));
}

#[test]
fn secrets_are_not_shown() {
    let hush = "hush-hush-hush-hush-hush-hush-hush";
    let url = format!("postgres://ann:p@{hush}@db.example:5432/calls?sslmode=require&password={hush}");
    let settings = load(&[
        ("SWITCHBOARD__AUTH__JWT_SECRET", hush),
        ("SWITCHBOARD__DATABASE__URL", &url),
        ("SWITCHBOARD__ICE__TURN_SECRET", hush),
        ("SWITCHBOARD__ICE__TURN_URLS", "turn:a.example,turns:b.example"),
    ])
    .unwrap();
    assert_eq!(settings.ice.turn_secret.as_ref().unwrap().expose(), hush);
    assert_eq!(settings.ice.turn_urls, ["turn:a.example", "turns:b.example"]);
    assert_eq!(settings.auth.jwt_secret.as_ref().unwrap().expose(), hush);
    assert_eq!(settings.database.url, url);
    let shown = [settings.to_toml().unwrap(), format!("{settings:?}"), format!("{settings:#?}")];
    for text in &shown {
        assert!(!text.contains("hush"), "{text}");
        assert!(text.contains("ann:***@db.example:5432/calls?sslmode=require&password=***"), "{text}");
    }
    // A secret in the wrong place is not repeated by the complaint.
    assert!(!sentences(&[("SWITCHBOARD__LIMITS__QUEUE", hush)]).contains("hush"));
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let settings = load(&[("SWITCHBOARD__CALL__RING_TIMEOUT", "1500ms")]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(settings.to_toml().unwrap().as_bytes()).unwrap();
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    assert_eq!(Settings::load_with(&flags, &Environment::new(), Some(20_000)).unwrap(), settings);
}

#[test]
fn every_setting_has_a_comment() {
    let lines: Vec<&str> = include_str!("../../config/default.toml").lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
        assert!(pair[0].starts_with("# "), "{}", pair[1]);
    }
}
