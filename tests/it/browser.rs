//! Two people in two real browsers click their way through a video call on the plain call page, and
//! sound and picture really arrive.

use std::process::Stdio;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{PATIENCE, Service, Store, within};

on_both!(
    two_browsers_see_and_hear_each_other,
    a_browser_that_declines_says_so_on_the_other_side,
    a_browser_that_gives_up_leaves_a_missed_call,
);

/// A browser takes its time, on a busy machine more of it.
const BROWSER_PATIENCE: Duration = Duration::from_secs(45);

/// What headless Chromium needs to make a call on a machine without a camera and, maybe, without a
/// network: a pretended camera and microphone, and candidates on the loopback interface. The rest
/// keeps it from doing things of its own.
const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    // Chromium's sandbox does not work for root, which tests in a container run as.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
];

/// The program that drives the browsers; it and they are gone when this is dropped.
struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    async fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver; run ./test, which installs it");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = async {
            while let Ok(Some(line)) = lines.next_line().await {
                // "ChromeDriver was started successfully on port 41234."
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
            panic!("chromedriver exited");
        };
        let port = tokio::time::timeout(BROWSER_PATIENCE, port).await.expect("chromedriver says its port");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    /// A browser of its own on the call page of a user.
    async fn open(&self, service: &Service, store: &Store, user: &str) -> Page {
        let profile = store.file(&format!("browser-{user}"));
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.display()));
        // Containers often have a tiny /dev/shm.
        arguments.push("--disable-dev-shm-usage".to_owned());
        let capabilities = json!({ "goog:chromeOptions": { "args": arguments } });
        let capabilities = serde_json::from_value(capabilities).expect("capabilities");
        let client = ClientBuilder::new(hyper_util_connector())
            .capabilities(capabilities)
            .connect(&self.url)
            .await
            .expect("a browser");
        client.goto(&service.url(&format!("/?user={user}"))).await.expect("the call page");
        let page = Page { client, user: user.to_owned() };
        page.until("#connection", "open").await;
        page
    }

    async fn stop(mut self) {
        self.child.kill().await.expect("chromedriver");
    }
}

/// One person's browser.
struct Page {
    client: Client,
    user: String,
}

impl Page {
    async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await;
        let element = element.unwrap_or_else(|error| panic!("user {}: {selector}: {error}", self.user));
        element.click().await.unwrap_or_else(|error| panic!("user {}: click {selector}: {error}", self.user));
    }

    async fn dial(&self, callee: &str, button: &str) {
        let field = self.client.find(Locator::Css("#callee")).await.expect("the field");
        field.clear().await.expect("an empty field");
        field.send_keys(callee).await.expect("typing");
        self.click(button).await;
    }

    async fn text(&self, selector: &str) -> String {
        let element = self.client.find(Locator::Css(selector)).await.expect("an element");
        element.text().await.expect("its text")
    }

    /// Waits until an element is in that state (its `data-state`).
    async fn until(&self, selector: &str, state: &str) {
        let script = "return document.querySelector(arguments[0]).dataset.state;";
        let mut last = Value::Null;
        within(BROWSER_PATIENCE, &format!("user {}: {selector} is {state}", self.user), async || {
            let now = self.client.execute(script, vec![selector.into()]).await.expect("a script");
            if now != last {
                println!("user {}: {selector} is {now}", self.user);
                last = now;
            }
            (last == state).then_some(())
        })
        .await;
    }

    /// What has arrived so far: bytes of sound, bytes of picture, frames decoded.
    async fn arrived(&self) -> [u64; 3] {
        let script = "
            const done = arguments[arguments.length - 1];
            const pc = window.switchboardCall.pc;
            if (!pc) { done([0, 0, 0]); return; }
            pc.getStats().then((stats) => {
                const sum = [0, 0, 0];
                stats.forEach((one) => {
                    if (one.type !== 'inbound-rtp') return;
                    if (one.kind === 'audio') sum[0] += one.bytesReceived;
                    if (one.kind === 'video') { sum[1] += one.bytesReceived; sum[2] += one.framesDecoded || 0; }
                });
                done(sum);
            });";
        let sums = self.client.execute_async(script, vec![]).await.expect("getStats");
        serde_json::from_value(sums).expect("three numbers")
    }

    /// Waits until sound and picture have arrived, and then more of each.
    async fn sees_and_hears(&self) {
        let what = format!("user {} sees and hears the other", self.user);
        let first = within(BROWSER_PATIENCE, &what, async || {
            let now = self.arrived().await;
            now.iter().all(|count| *count > 0).then_some(now)
        })
        .await;
        within(BROWSER_PATIENCE, &format!("{what}, and it goes on"), async || {
            let now = self.arrived().await;
            now.iter().zip(first).all(|(now, first)| *now > first).then_some(())
        })
        .await;
    }

    async fn close(self) {
        self.client.close().await.expect("closing the browser");
    }
}

/// Plain HTTP is enough to talk to a program on the same machine.
fn hyper_util_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// Two browsers on the call page of one service.
struct Stage {
    service: Service,
    driver: Driver,
    anna: Page,
    ben: Page,
}

impl Stage {
    async fn set(store: &Store) -> Self {
        let service = Service::start(store).await;
        let driver = Driver::start().await;
        let (anna, ben) = tokio::join!(driver.open(&service, store, "1"), driver.open(&service, store, "2"));
        Self { service, driver, anna, ben }
    }

    async fn strike(self) {
        self.anna.close().await;
        self.ben.close().await;
        self.driver.stop().await;
    }

    /// The only call there is.
    async fn record(&self) -> Value {
        within(PATIENCE, "the call has ended", async || {
            let body = self.service.rest("1").get("/api/calls").await.ok();
            let calls = body["calls"].as_array().expect("calls").clone();
            assert_eq!(calls.len(), 1, "{body}");
            (!calls[0]["ended_at"].is_null()).then(|| calls[0].clone())
        })
        .await
    }
}

async fn two_browsers_see_and_hear_each_other(store: Store) {
    let stage = Stage::set(&store).await;
    let (anna, ben) = (&stage.anna, &stage.ben);

    anna.dial("2", "#call-video").await;
    ben.until("#state", "incoming").await;
    anna.until("#state", "ringing").await;
    assert!(ben.text("#incoming-text").await.contains("is calling (video)"));
    ben.click("#answer").await;
    anna.until("#state", "connected").await;
    ben.until("#state", "connected").await;
    tokio::join!(anna.sees_and_hears(), ben.sees_and_hears());
    assert_eq!(anna.text("#state").await, "In a call with 2");

    ben.click("#hang-up").await;
    anna.until("#state", "ended").await;
    assert!(anna.text("#state").await.starts_with("Call ended"));
    assert!(ben.text("#state").await.starts_with("Call ended"));
    // Camera and microphone are given back.
    for page in [anna, ben] {
        let idle = page.client.execute("return window.switchboardCall.call === null;", vec![]).await;
        assert_eq!(idle.expect("a script"), true);
    }
    let record = stage.record().await;
    assert_eq!((&record["status"], &record["reason"]), (&"ended".into(), &"completed".into()));
    assert_eq!((&record["call_type"], &record["caller_id"]), (&"video".into(), &1.into()));
    let call = record["id"].as_i64().expect("an id");
    assert_eq!(store.open().await.outcome(call).await, ("ended".to_owned(), "answered".to_owned()));
    stage.strike().await;
}

async fn a_browser_that_declines_says_so_on_the_other_side(store: Store) {
    let stage = Stage::set(&store).await;
    stage.anna.dial("2", "#call-voice").await;
    stage.ben.until("#state", "incoming").await;
    stage.ben.click("#decline").await;
    stage.anna.until("#state", "declined").await;
    assert_eq!(stage.anna.text("#state").await, "2 declined");
    assert_eq!(stage.record().await["reason"], "declined");
    // Somebody who is not there.
    stage.anna.dial("3", "#call-voice").await;
    stage.anna.until("#state", "offline").await;
    assert_eq!(stage.anna.text("#state").await, "3 is offline");
    stage.strike().await;
}

async fn a_browser_that_gives_up_leaves_a_missed_call(store: Store) {
    let stage = Stage::set(&store).await;
    stage.anna.dial("2", "#call-voice").await;
    stage.ben.until("#state", "incoming").await;
    stage.anna.click("#hang-up").await;
    stage.ben.until("#state", "cancelled").await;
    assert_eq!(stage.ben.text("#state").await, "Missed call from 1");
    within(PATIENCE, "the page counts the missed call", async || {
        (stage.ben.text("#missed").await == "1 missed call").then_some(())
    })
    .await;
    assert_eq!(stage.record().await["reason"], "cancelled");
    stage.strike().await;
}
