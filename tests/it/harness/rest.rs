//! A user who speaks REST: the polling dialect, the call logs, the records.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{PATIENCE, encoded};

/// One user's REST client.
#[derive(Clone)]
pub struct Rest {
    client: Client,
    base: String,
    user: String,
    role: Option<&'static str>,
    bearer: Option<String>,
    /// What was read from the mailbox and not yet asked for.
    mail: Vec<Value>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    what: String,
}

impl Answer {
    /// The body, of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} answered {}: {}", self.what, self.status, self.body);
        self.body
    }

    /// The body of a refusal: one shape everywhere, a sentence and a code.
    #[track_caller]
    pub fn refused(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} answered {}", self.what, self.body);
        assert_eq!(self.body["success"], json!(false), "{}: {}", self.what, self.body);
        assert!(self.body["error"].as_str().is_some_and(|text| !text.is_empty()), "{}: {}", self.what, self.body);
        assert!(self.body["code"].as_str().is_some_and(|text| !text.is_empty()), "{}: {}", self.what, self.body);
        self.body
    }
}

impl Rest {
    pub fn new(client: Client, base: String, user: &str) -> Self {
        Self { client, base, user: user.to_owned(), role: None, bearer: None, mail: Vec::new() }
    }

    /// Who this is.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The same user with a role (`admin`, `service`).
    pub fn role(mut self, role: &'static str) -> Self {
        self.role = Some(role);
        self
    }

    /// The same user with a token instead of the development header.
    pub fn bearer(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// A request with this user's credentials, for what the helpers below do not cover.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        match &self.bearer {
            Some(token) => request = request.bearer_auth(token),
            None => request = request.header("X-User-Id", encoded(&self.user)),
        }
        if let Some(role) = self.role {
            request = request.header("X-User-Role", role);
        }
        request.timeout(PATIENCE + Duration::from_secs(30))
    }

    /// Sends and reads the answer, whatever it is. Panics only if there was none.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Sends; an error where the service went away before it answered.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let request = request.build()?;
        let what = format!("{} {} (user {})", request.method(), request.url().path(), self.user);
        let answer = self.client.execute(request).await?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body, retry_after, what })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    // --- the polling dialect ---

    /// Says "I am here".
    pub async fn heartbeat(&self) {
        self.post("/api/status/heartbeat", json!({})).await.ok();
    }

    /// A user's public status.
    pub async fn status_of(&self, user: &str) -> String {
        let body = self.get(&format!("/api/status/user/{}", encoded(user))).await.ok();
        body["status"].as_str().unwrap_or_else(|| panic!("no status: {body}")).to_owned()
    }

    /// Calls somebody: the status (`ringing`, `busy`, `offline`) and the call's id.
    pub async fn initiate(&self, callee: &str) -> (String, i64) {
        let body = self.post("/api/call/initiate", json!({ "callee_id": id(callee), "call_type": "voice" })).await.ok();
        assert_eq!(body["success"], json!(true), "{body}");
        let status = body["status"].as_str().unwrap_or_else(|| panic!("no status: {body}")).to_owned();
        (status, call_id(&body))
    }

    pub async fn answer(&self, call: i64) -> Value {
        self.post("/api/call/answer", json!({ "call_id": call })).await.ok()
    }

    pub async fn reject(&self, call: i64) -> Value {
        self.post("/api/call/reject", json!({ "call_id": call })).await.ok()
    }

    pub async fn hangup(&self, call: i64) -> Value {
        self.post("/api/call/hangup", json!({ "call_id": call })).await.ok()
    }

    /// Sends an offer, an answer or a candidate.
    pub async fn signal(&self, to: &str, signal: Value) {
        self.post("/api/call/signal", json!({ "target_user_id": id(to), "signal": signal })).await.ok();
    }

    /// The next item of the mailbox of that type (for `signal` items: `offer`, `answer`,
    /// `ice_candidate`). Others that come meanwhile are kept for later.
    pub async fn mail(&mut self, kind: &str) -> Value {
        self.mail_within(PATIENCE, kind).await
    }

    /// As [`Rest::mail`], with a patience of the story's own.
    pub async fn mail_within(&mut self, patience: Duration, kind: &str) -> Value {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(at) = self.mail.iter().position(|item| kind_of(item) == kind) {
                return self.mail.remove(at);
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "user {} waits for mail {kind}; there is only {:?}",
                self.user,
                self.mail
            );
            let items = self.read_mail(1).await;
            self.mail.extend(items);
        }
    }

    /// Fails if there is any mail left unread.
    pub async fn no_more_mail(&mut self) {
        let items = self.read_mail(0).await;
        self.mail.extend(items);
        assert!(self.mail.is_empty(), "user {} has mail left: {:?}", self.user, self.mail);
    }

    /// Fails if there is mail of that type left unread.
    pub async fn no_more_mail_of(&mut self, kind: &str) {
        let items = self.read_mail(0).await;
        self.mail.extend(items);
        let left: Vec<_> = self.mail.iter().filter(|item| kind_of(item) == kind).collect();
        assert!(left.is_empty(), "user {} has mail left: {left:?}", self.user);
    }

    async fn read_mail(&self, wait: u64) -> Vec<Value> {
        let body = self.get(&format!("/api/call/signals?wait={wait}")).await.ok();
        body["signals"].as_array().unwrap_or_else(|| panic!("no signals: {body}")).clone()
    }

    /// The missed calls of this user and how many of them are unseen.
    pub async fn missed(&self) -> (Vec<Value>, i64) {
        let body = self.get("/api/call/missed").await.ok();
        let list = body["missed_calls"].as_array().unwrap_or_else(|| panic!("no missed_calls: {body}")).clone();
        (list, body["unseen_count"].as_i64().unwrap_or_else(|| panic!("no unseen_count: {body}")))
    }

    // --- the records ---

    /// A call's record.
    pub async fn record(&self, call: i64) -> Value {
        let body = self.get(&format!("/api/calls/{call}")).await.ok();
        if body["call"].is_object() { body["call"].clone() } else { body }
    }

    /// A call's record once it is over.
    pub async fn final_record(&self, call: i64) -> Value {
        super::eventually(&format!("call {call} has ended"), async || {
            let record = self.record(call).await;
            (!record["ended_at"].is_null()).then_some(record)
        })
        .await
    }
}

fn kind_of(item: &Value) -> &str {
    let kind = item["type"].as_str().unwrap_or_default();
    if kind == "signal" { item["signal"]["type"].as_str().unwrap_or_default() } else { kind }
}

/// A user id as clients write it: a number where it is one.
pub fn id(user: &str) -> Value {
    user.parse::<u64>().map_or_else(|_| Value::from(user), Value::from)
}

/// The call's id in a message or an answer; the dialects of these stories write a number.
#[track_caller]
pub fn call_id(message: &Value) -> i64 {
    message["call_id"].as_i64().unwrap_or_else(|| panic!("no call_id: {message}"))
}
