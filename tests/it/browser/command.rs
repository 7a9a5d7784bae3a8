//! Chromium's own commands, by way of chromedriver: what WebDriver itself has no words for.

use fantoccini::Client;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// A POST to a path of the session that chromedriver adds to WebDriver.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// A command of the browser's debugging protocol, such as `Page.crash`.
pub async fn cdp(client: &Client, command: &str, params: Value) -> Result<Value, CmdError> {
    client.issue_cmd(Own { path: "goog/cdp/execute", body: json!({ "cmd": command, "params": params }) }).await
}

/// What the page's console said since the last time.
pub async fn console(client: &Client) -> Vec<Value> {
    let answer = client.issue_cmd(Own { path: "se/log", body: json!({ "type": "browser" }) }).await;
    answer.ok().and_then(|lines| lines.as_array().cloned()).unwrap_or_default()
}
