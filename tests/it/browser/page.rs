//! One browser, showing one page: looking at it and touching it, as a person would. A path into the page is
//! a CSS selector; `switchboard-ring >>> #answer` goes into the shadow root of the first part.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::command;
use crate::harness::within;

/// A browser takes its time, on a busy machine more of it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a page is looked at while it is waited for.
const GLANCE: Duration = Duration::from_millis(50);

/// What of the page says where it stands, for when a wait fails.
const STANDING: &str = "JSON.stringify({ url: location.href, body: { ...document.body?.dataset },
    connection: document.querySelector('#connection')?.dataset.state,
    said: document.querySelector('#said')?.textContent.trim(),
    outcome: document.querySelector('#outcome')?.textContent.trim(),
    problem: document.querySelector('#problem')?.textContent.trim() })";

/// A browser and its page.
#[derive(Clone)]
pub struct Page {
    client: Client,
    /// Whose it is.
    pub user: String,
    pid: u32,
}

/// A text as the page's own language writes it.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Page {
    pub fn new(client: Client, user: String, pid: u32) -> Self {
        Self { client, user, pid }
    }

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("user {}: {url}: {error}", self.user));
    }

    pub async fn reload(&self) {
        self.client.refresh().await.expect("a reload");
    }

    /// The value of an expression in the page; a promise is awaited. It is not a person's gesture, so a page
    /// that waits for one goes on waiting.
    pub async fn try_eval(&self, expression: &str) -> Result<Value, String> {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.cdp("Runtime.evaluate", params).await.map_err(|error| error.to_string())?;
        match answer.get("exceptionDetails") {
            Some(why) => Err(why["exception"]["description"].as_str().unwrap_or("it threw").to_owned()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    pub async fn eval(&self, expression: &str) -> Value {
        let value = self.try_eval(expression).await;
        value.unwrap_or_else(|error| panic!("user {}: {expression}: {error}", self.user))
    }

    /// A command of the browser's debugging protocol.
    pub async fn cdp(&self, command: &str, params: Value) -> Result<Value, CmdError> {
        command::cdp(&self.client, command, params).await
    }

    /// Waits until an expression has a value that will do, and returns it.
    pub async fn until(&self, what: impl Display, expression: &str, will_do: impl Fn(&Value) -> bool) -> Value {
        self.until_within(PATIENCE, what, expression, will_do).await
    }

    /// As [`Page::until`], with a patience of the story's own.
    pub async fn until_within(
        &self,
        patience: Duration,
        what: impl Display,
        expression: &str,
        will_do: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let last = self.try_eval(expression).await;
            if let Ok(value) = &last
                && will_do(value)
            {
                return value.clone();
            }
            if tokio::time::Instant::now() > deadline {
                let standing = self.try_eval(STANDING).await;
                panic!("user {}: still not true: {what}\n  last seen: {last:?}\n  the page: {standing:?}", self.user);
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until an attribute of an element has a value.
    pub async fn until_is(&self, path: &str, attribute: &str, value: &str) {
        let now = format!("__look.find({}).getAttribute({})", quoted(path), quoted(attribute));
        self.until(format_args!("{path} has {attribute}={value}"), &now, |now| now == value).await;
    }

    /// Waits until an element's text contains this.
    pub async fn until_says(&self, path: &str, words: &str) {
        let now = format!("__look.find({}).textContent.trim()", quoted(path));
        let says = |now: &Value| now.as_str().is_some_and(|now| now.contains(words));
        self.until(format_args!("{path} says {words:?}"), &now, says).await;
    }

    pub async fn until_shown(&self, path: &str) {
        let now = format!("__look.shown({})", quoted(path));
        self.until(format_args!("{path} is shown"), &now, |now| now == true).await;
    }

    /// Waits until an element is not there, or not to be seen.
    pub async fn until_gone(&self, path: &str) {
        let now = format!("__look.shown({})", quoted(path));
        self.until(format_args!("{path} is gone"), &now, |now| now == false).await;
    }

    pub async fn is_shown(&self, path: &str) -> bool {
        self.eval(&format!("__look.shown({})", quoted(path))).await == true
    }

    /// An element's text, as a person reads it.
    pub async fn text(&self, path: &str) -> String {
        self.until_shown(path).await;
        let text = self.eval(&format!("__look.find({}).innerText.trim()", quoted(path))).await;
        text.as_str().expect("a text").to_owned()
    }

    pub async fn attribute(&self, path: &str, name: &str) -> Option<String> {
        let value = self.eval(&format!("__look.find({}).getAttribute({})", quoted(path), quoted(name))).await;
        value.as_str().map(str::to_owned)
    }

    /// How many elements there are.
    pub async fn count(&self, selector: &str) -> u64 {
        let count = self.eval(&format!("document.querySelectorAll({}).length", quoted(selector))).await;
        count.as_u64().expect("a count")
    }

    async fn element(&self, path: &str) -> Result<Element, CmdError> {
        let mut parts = path.split(" >>> ");
        let mut found = self.client.find(Locator::Css(parts.next().unwrap_or_default())).await?;
        for inner in parts {
            found = found.shadow_root().await?.find(Locator::Css(inner)).await?;
        }
        Ok(found)
    }

    /// Clicks as a person would: once the element is there, can be seen, stays where it is, and nothing is in front
    /// of it. (A click goes to a place on the screen: where it was, should the element move in between.)
    pub async fn click(&self, path: &str) {
        let target = quoted(path);
        let ready = format!("__look.rests({target}).then((rests) => rests && !__look.find({target}).disabled)");
        self.until(format_args!("{path} rests and is enabled"), &ready, |now| now == true).await;
        self.insist(path, async |element| element.click().await).await;
    }

    /// Clicks, unless something else is shown before that can be done.
    pub async fn click_unless(&self, instead: &str, path: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.is_shown(instead).await {
            let clicked = async { self.element(path).await?.click().await };
            let Err(error) = clicked.await else { return };
            assert!(tokio::time::Instant::now() < deadline, "user {}: {path}: {error}", self.user);
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Puts a text into a field, in place of what is there.
    pub async fn fill(&self, path: &str, text: &str) {
        self.until_shown(path).await;
        self.insist(path, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        })
        .await;
    }

    /// Clicks what downloads `calls.csv`, and returns what arrived in a folder that was not there before.
    pub async fn downloads(&self, path: &str, folder: &Path) -> String {
        let to = json!({ "behavior": "allow", "downloadPath": folder });
        self.cdp("Browser.setDownloadBehavior", to).await.expect("downloads");
        self.click(path).await;
        // The browser makes the file before it moves what it loaded there.
        let loaded = async || std::fs::read_to_string(folder.join("calls.csv")).ok().filter(|text| !text.is_empty());
        within(PATIENCE, "calls.csv is downloaded", loaded).await
    }

    /// A page that draws itself again may take an element from under one's fingers.
    async fn insist(&self, path: &str, touch: impl AsyncFn(Element) -> Result<(), CmdError>) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let done = match self.element(path).await {
                Ok(element) => touch(element).await,
                Err(error) => Err(error),
            };
            let Err(error) = done else { return };
            assert!(tokio::time::Instant::now() < deadline, "user {}: {path}: {error}", self.user);
            tokio::time::sleep(GLANCE).await;
        }
    }

    pub async fn press(&self, key: Key) {
        self.press_char(key.into()).await;
    }

    pub async fn press_space(&self) {
        self.press_char(' ').await;
    }

    async fn press_char(&self, value: char) {
        let stroke = KeyActions::new("keyboard".into()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
        self.client.perform_actions(stroke).await.unwrap_or_else(|error| panic!("user {}: a key: {error}", self.user));
    }

    /// Writes with the keyboard alone, wherever it is.
    pub async fn type_in(&self, text: &str) {
        for value in text.chars() {
            self.press_char(value).await;
        }
    }

    /// Goes on with the Tab key until an element has the keyboard.
    pub async fn tab_to(&self, path: &str) {
        self.until_shown(path).await;
        let there = format!("__look.focused() === __look.find({})", quoted(path));
        let mut passed = Vec::new();
        for _ in 0..60 {
            if self.eval(&there).await == true {
                return;
            }
            self.press(Key::Tab).await;
            passed.push(self.eval("__look.focused()?.outerHTML?.slice(0, 80)").await);
        }
        panic!("user {}: the Tab key does not lead to {path}, only to {passed:#?}", self.user);
    }

    /// Ends the browser as an accident would: nothing is said to anybody.
    pub fn kill(&self) {
        let mut kill = std::process::Command::new("kill");
        // One that is gone already is no news.
        let _ = kill.args(["-9", &self.pid.to_string()]).stderr(std::process::Stdio::null()).status();
    }

    /// Closes the browser; one that does not let itself be closed is ended.
    pub async fn close(&self) {
        let closed = tokio::time::timeout(Duration::from_secs(5), self.client.clone().close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            self.kill();
        }
    }

    /// A picture of what is seen.
    pub async fn picture(&self) -> Option<Vec<u8>> {
        self.client.screenshot().await.ok()
    }

    /// Where the page stands and what its console said: for a person who asks why a story failed.
    pub async fn report(&self) -> String {
        let standing = self.try_eval(STANDING).await;
        let lines: Vec<String> = self.console().await.iter().map(|line| format!("  {line}")).collect();
        format!("--- user {}: {standing:?}, its console:\n{}", self.user, lines.join("\n"))
    }

    async fn console(&self) -> Vec<Value> {
        command::console(&self.client).await
    }

    /// What went wrong in the page that its own scripts did not expect.
    pub async fn mistakes(&self) -> Vec<Value> {
        let mistake = |line: &Value| {
            line["level"] == "SEVERE" && ["javascript", "security"].iter().any(|source| line["source"] == *source)
        };
        self.console().await.into_iter().filter(mistake).collect()
    }
}
