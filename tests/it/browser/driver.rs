//! The program that drives the browsers, and how a browser is started.

use std::process::Stdio;

use fantoccini::error::NewSessionError;
use fantoccini::{Client, ClientBuilder};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::page::PATIENCE;
use super::{camera, command};
use crate::harness::Store;

/// What headless Chromium needs to make a call on a machine without a camera and, maybe, without a
/// network: a pretended camera and microphone, and candidates on the loopback interface. The rest
/// keeps it from doing things of its own.
const ARGUMENTS: [&str; 14] = [
    "--headless=new",
    // Chromium's sandbox does not work for root, which tests in a container run as.
    "--no-sandbox",
    // Containers often have a tiny /dev/shm.
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
    "--window-size=1000,800",
    "--allow-loopback-in-peer-connection",
    ALLOWING,
    DEVICES,
];

/// Says yes to every question for camera and microphone.
pub const ALLOWING: &str = "--use-fake-ui-for-media-stream";

/// There is a camera and a microphone.
pub const DEVICES: &str = "--use-fake-device-for-media-stream";

/// How a browser is started.
pub struct Browser {
    pub user: String,
    arguments: Vec<String>,
}

impl Browser {
    /// The browser of a user, whose camera shows the user's colour.
    pub fn of(user: &str) -> Self {
        Self { user: user.to_owned(), arguments: ARGUMENTS.map(str::to_owned).to_vec() }
    }

    pub fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    pub fn without(mut self, argument: &str) -> Self {
        self.arguments.retain(|one| one != argument);
        self
    }
}

/// A running chromedriver; gone when this is dropped.
pub struct Driver {
    _child: Child,
    url: String,
}

impl Driver {
    pub async fn start() -> Self {
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
        let port = tokio::time::timeout(PATIENCE, port).await.expect("chromedriver says its port");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, url: format!("http://127.0.0.1:{port}") }
    }

    /// A browser process of its own, and its process id.
    pub async fn launch(&self, store: &Store, browser: Browser) -> (Client, u32) {
        let film = store.file(&format!("camera-{}.y4m", uuid::Uuid::new_v4().simple()));
        camera::write(&film, &browser.user);
        let mut arguments = browser.arguments;
        arguments.push(format!("--use-file-for-fake-video-capture={}", film.display()));
        // On a busy machine a browser may not come up in the time its driver gives it, which says nothing of the pages.
        let mut client = self.session(store, &arguments).await;
        for _ in 0..2 {
            let Err(why) = &client else { break };
            println!("a browser did not start, so another one: {why}");
            client = self.session(store, &arguments).await;
        }
        let client = client.expect("a browser");
        let pid = client.capabilities().and_then(|all| all.get("goog:processID")?.as_u64()).expect("its process id");
        let look = json!({ "source": include_str!("inside.js") });
        command::cdp(&client, "Page.addScriptToEvaluateOnNewDocument", look).await.expect("a script for every page");
        (client, u32::try_from(pid).expect("a process id"))
    }

    async fn session(&self, store: &Store, arguments: &[String]) -> Result<Client, NewSessionError> {
        let own = store.file(&format!("browser-{}", uuid::Uuid::new_v4().simple()));
        let mut arguments = arguments.to_vec();
        arguments.push(format!("--user-data-dir={}", own.display()));
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(serde_json::from_value(capabilities).expect("capabilities"))
            .connect(&self.url)
            .await
    }
}
