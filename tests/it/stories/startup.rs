//! What an operator sees: refusals that say what to set, settings as they are in effect, the commands.

use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::harness::socket::connect_call;
use crate::harness::{Service, Store, run};

on_sqlite!(
    an_unsafe_start_is_refused_with_what_to_set,
    the_settings_in_effect_are_shown_without_secrets,
    a_flag_beats_the_environment_and_that_beats_the_file,
    a_secret_in_a_file_signs_and_checks_and_is_not_shown,
    a_health_check_succeeds_and_fails,
);
on_both!(
    migrations_go_up_and_down,
    without_migrations_an_empty_database_is_refused,
    the_report_counts_what_happened,
    a_second_process_on_the_port_says_so_and_touches_nothing,
    the_address_of_the_database_may_come_from_a_file,
);

const LONG: &str = "0123456789abcdef0123456789abcdef";

/// Environment, flags, and what the refusal says.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static [&'static str]);

async fn an_unsafe_start_is_refused_with_what_to_set(store: Store) {
    let cases: [Case; 7] = [
        (&[], &["--bind", "0.0.0.0:0"], &["SWITCHBOARD__AUTH__MODE=jwt", "SWITCHBOARD__AUTH__JWT_SECRET", "127.0.0.1"]),
        (
            &[("SWITCHBOARD__AUTH__MODE", "jwt"), ("SWITCHBOARD__AUTH__JWT_SECRET", "too short")],
            &[],
            &["auth.jwt_secret must have at least 32 bytes; it has 9"],
        ),
        (&[("SWITCHBOARD__AUTH__MODE", "jwt")], &[], &["needs auth.jwt_secret"]),
        (&[("SWITCHBOARD__PRESENCE__OFFLINE_AFTER", "19s")], &[], &["offline_after (19s)", "presence.heartbeat (10s)"]),
        (&[("SWITCHBOARD__CALL__RING_TIMOUT", "1s")], &[], &["There is no setting call.ring_timout"]),
        (&[("SWITCHBOARD__CALL__RING_TIMEOUT", "soon")], &[], &["call.ring_timeout"]),
        // Both at once, so that nobody has to start twice to learn of both.
        (
            &[("SWITCHBOARD__PRESENCE__OFFLINE_AFTER", "1s"), ("SWITCHBOARD__LIMITS__QUEUE", "0")],
            &["--bind", "0.0.0.0:0"],
            &["auth.mode is dev", "presence.offline_after", "limits.queue must be at least 1"],
        ),
    ];
    for (env, args, sentences) in cases {
        let line = [&["serve", "--bind", "127.0.0.1:0"][..if args.is_empty() { 3 } else { 1 }], args].concat();
        let why = run(&store, env, &line).await.failed();
        for sentence in sentences {
            assert!(why.contains(sentence), "{why}: lacks {sentence}");
        }
        assert!(!why.contains("panicked") && !why.contains("too short"), "{why}");
    }
    assert!(!store.file("story.db").exists(), "a refused start leaves no database behind");
}

async fn the_settings_in_effect_are_shown_without_secrets(store: Store) {
    let env = [
        ("DATABASE_URL", "postgres://anna:hush-password@db.example/calls"),
        ("SWITCHBOARD__AUTH__MODE", "jwt"),
        ("SWITCHBOARD__AUTH__JWT_SECRET", LONG),
        ("SWITCHBOARD__CALL__RING_TIMEOUT", "45s"),
    ];
    let shown = run(&store, &env, &["config"]).await.ok();
    for line in ["mode = \"jwt\"", "jwt_secret = \"<redacted>\"", "ring_timeout = \"45s\"", "heartbeat = \"10s\""] {
        assert!(shown.contains(line), "{shown}: lacks {line}");
    }
    assert!(shown.contains("db.example/calls"), "{shown}");
    assert!(!shown.contains("hush") && !shown.contains(LONG), "{shown}");
    // A key server's address may hold a password as well.
    let env = [
        ("SWITCHBOARD__AUTH__MODE", "jwt"),
        ("SWITCHBOARD__AUTH__ALGORITHM", "RS256"),
        ("SWITCHBOARD__AUTH__JWKS", "https://us:hush-password@keys.example/jwks"),
    ];
    let shown = run(&store, &env, &["config"]).await.ok();
    assert!(shown.contains("keys.example/jwks") && !shown.contains("hush"), "{shown}");
}

async fn a_flag_beats_the_environment_and_that_beats_the_file(store: Store) {
    let file = store.file("own.toml");
    std::fs::write(&file, "[server]\nbind = \"127.0.0.1:1001\"\n[call]\nring_timeout = \"41s\"\n").expect("the file");
    let file = file.to_str().expect("a path");
    let env = [("SWITCHBOARD__SERVER__BIND", "127.0.0.1:1002")];
    let shown = async |env: &[(&str, &str)], args: &[&str]| run(&store, env, args).await.ok();
    assert!(shown(&[], &["config"]).await.contains("bind = \"127.0.0.1:8080\""));
    let from_file = shown(&[], &["--config", file, "config"]).await;
    assert!(from_file.contains("bind = \"127.0.0.1:1001\"") && from_file.contains("ring_timeout = \"41s\""));
    let from_env = shown(&env, &["--config", file, "config"]).await;
    assert!(from_env.contains("bind = \"127.0.0.1:1002\"") && from_env.contains("ring_timeout = \"41s\""));
    let line = ["--config", file, "--bind", "127.0.0.1:1003", "--database-url", "sqlite://flag.db", "config"];
    let from_flag = shown(&env, &line).await;
    assert!(from_flag.contains("bind = \"127.0.0.1:1003\"") && from_flag.contains("sqlite://flag.db"), "{from_flag}");
    let why = run(&store, &[], &["--config", "no such file.toml", "config"]).await.failed();
    assert!(why.contains("no such file.toml"), "{why}");
}

async fn a_secret_in_a_file_signs_and_checks_and_is_not_shown(store: Store) {
    let file = store.file("jwt secret");
    std::fs::write(&file, format!("{LONG}\n")).expect("the file");
    let path = file.to_str().expect("a path");
    let service = Service::with(&store, &[("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET_FILE", path)]).await;
    let (jwt, given) = (("SWITCHBOARD__AUTH__MODE", "jwt"), ("SWITCHBOARD__AUTH__JWT_SECRET", LONG));
    let from_file = [jwt, ("SWITCHBOARD__AUTH__JWT_SECRET_FILE", path)];
    // One token by the file, and one by the same secret given as it is.
    let made = run(&store, &[jwt, given], &["token", "--user", "7"]).await.ok();
    for token in [service.token(&["--user", "7"]).await, made.clone()] {
        service.rest("7").bearer(&token).get("/api/call/missed").await.ok();
    }
    let shown = run(&store, &from_file, &["config"]).await.ok();
    assert!(shown.contains("jwt_secret = \"<redacted>\"") && shown.contains(path) && !shown.contains(LONG), "{shown}");
    let why = run(&store, &[from_file[0], from_file[1], given], &["serve"]).await.failed();
    assert!(why.contains("auth.jwt_secret and auth.jwt_secret_file are both set") && !why.contains(LONG), "{why}");
    // A service that runs needs the file no more; a start does.
    std::fs::remove_file(&file).expect("removing the file");
    service.rest("7").bearer(&made).get("/api/call/missed").await.ok();
    let why = run(&store, &from_file, &["serve"]).await.failed();
    assert!(why.contains(&format!("auth.jwt_secret_file names {path}, which cannot be read")), "{why}");
}

async fn the_address_of_the_database_may_come_from_a_file(store: Store) {
    let file = store.file("url");
    std::fs::write(&file, format!("{}\r\n", store.url())).expect("the file");
    let path = file.to_str().expect("a path");
    for name in ["DATABASE_URL_FILE", "SWITCHBOARD__DATABASE__URL_FILE"] {
        let env = [("DATABASE_URL", ""), (name, path)];
        let done = run(&store, &env, &["migrate", "up"]).await.ok();
        assert!(!done.contains("pending"), "{done}");
        let why = run(&store, &env, &["--database-url", store.url(), "migrate", "up"]).await.failed();
        assert!(why.contains("database.url and database.url_file are both set"), "{why}");
    }
    assert_eq!(store.open().await.count("calls", "").await, 0);
    assert!(!store.file("switchboard.db").exists(), "the built-in address is not used");
}

async fn a_health_check_succeeds_and_fails(store: Store) {
    let mut service = Service::start(&store).await;
    let address = service.address().to_owned();
    let check = ["--bind", &address, "healthcheck"];
    assert_eq!(run(&store, &[], &check).await.ok(), "ok");
    service.kill9().await;
    let why = run(&store, &[], &check).await.failed();
    assert!(why.contains(&address), "{why}");
}

async fn migrations_go_up_and_down(store: Store) {
    let migrate = async |what: &str| {
        let lines = run(&store, &[], &["migrate", what]).await.ok();
        let count = |word: &str| lines.lines().filter(|line| line.starts_with(word)).count();
        (count("applied "), count("pending "))
    };
    let (none, all) = migrate("status").await;
    assert_eq!(none, 0);
    assert!(all >= 7, "{all} migrations");
    assert_eq!(migrate("up").await, (all, 0));
    assert_eq!(migrate("up").await, (all, 0));
    for down in 1..=all {
        assert_eq!(migrate("down").await, (all - down, down));
    }
    assert_eq!(migrate("down").await, (0, all));
    assert_eq!(migrate("status").await, (0, all));
    assert_eq!(migrate("up").await, (all, 0));
    assert_eq!(store.open().await.count("call_logs", "").await, 0);
}

async fn without_migrations_an_empty_database_is_refused(store: Store) {
    let line = ["serve", "--bind", "127.0.0.1:0", "--no-migrate"];
    let why = run(&store, &[], &line).await.failed();
    assert!(why.contains("switchboard migrate up"), "{why}");
    let status = run(&store, &[], &["migrate", "status"]).await.ok();
    assert!(!status.contains("applied"), "nothing was migrated: {status}");
}

async fn the_report_counts_what_happened(store: Store) {
    let mut service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let answered = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    anna.hang_up("2").await;
    ben.expect("call_ended").await;
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    anna.cancel("2").await;
    ben.expect("call_cancelled").await;
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    ben.decline("1").await;
    anna.expect("call_declined").await;
    for _ in 0..2 {
        anna.invite("9").await;
        anna.expect("call_declined").await;
    }
    let cancelled = store.open().await.count("call_logs", "WHERE status = 'cancelled'").await;
    service.kill9().await;
    // What the stories' clock cannot give: a call that lasted.
    let db = Database::connect(store.url()).await.expect("the database");
    let lasted = format!("UPDATE calls SET duration_seconds = 65 WHERE id = {answered}");
    db.execute_unprepared(&lasted).await.expect("an update");
    db.close().await.expect("closing");

    let report = run(&store, &[], &["report"]).await.ok();
    let words: Vec<Vec<&str>> = report.lines().map(|line| line.split_whitespace().collect()).collect();
    for line in [
        "Total call logs: 5",
        "ended 1",
        "cancelled 1",
        "declined 1",
        "missed 2",
        "initiated 0",
        "ended calls with a duration: 1 of 1",
        "answered: 1",
        "cancelled: 1",
        "still initiated: 0",
    ] {
        assert!(words.iter().any(|words| words.join(" ") == line), "{report}\nlacks: {line}");
    }
    assert_eq!(cancelled, 1);
    let last: Vec<_> = words.iter().filter(|words| words.first().is_some_and(|word| word.starts_with('#'))).collect();
    assert_eq!(last.len(), 5, "{report}");
    assert!(last[4].join(" ").ends_with("ended 1 -> 2 65 s"), "newest first: {report}");
}

async fn a_second_process_on_the_port_says_so_and_touches_nothing(store: Store) {
    let service = Service::start(&store).await;
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.invite("2").await;
    ben.expect("call_invitation").await;
    service.rest("2").post("/api/status/update", json!({ "status": "busy" })).await.ok();
    let rows = async || store.open().await.rows(&["user_id", "status"], "user_status", "ORDER BY user_id").await;
    let before = ["1", "2"].map(|user| vec![user.to_owned(), "busy".to_owned()]);
    crate::harness::eventually("both are written down as busy", async || (rows().await == before).then_some(())).await;
    // The database it must not touch, and another that does not exist yet, which it must not make.
    let fresh = format!("sqlite://{}?mode=rwc", store.file("fresh.db").display());
    for url in [store.url(), &fresh] {
        let line = ["serve", "--bind", service.address(), "--database-url", url];
        let why = run(&store, &[], &line).await.failed();
        assert!(why.contains(&format!("cannot listen on {}", service.address())), "{why}");
    }
    assert!(!store.file("fresh.db").exists(), "a start that failed leaves no database behind");
    assert_eq!(rows().await, before, "recovery has not run beside a live service");
    ben.answer("1").await;
    anna.expect("call_answer").await;
}
