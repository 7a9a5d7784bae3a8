//! The call page's own things: dialling, answering, and whether sound and picture of the other really arrive.

use serde_json::Value;

use super::camera;
use super::page::{Page, quoted};

pub const ANSWER: &str = "switchboard-ring >>> #answer";
pub const DECLINE: &str = "switchboard-ring >>> #decline";
pub const WHO: &str = "switchboard-ring >>> #who";
pub const RING: &str = "switchboard-ring >>> dialog";

impl Page {
    /// Calls somebody by their id: `voice` or `video`.
    pub async fn dial(&self, callee: &str, kind: &str) {
        self.fill("#callee", callee).await;
        self.click(&format!("#call-{kind}")).await;
    }

    /// Waits until the page's call is in this state.
    pub async fn call_is(&self, state: &str) {
        self.until_is("body", "data-call", state).await;
    }

    /// Waits until the page rings for somebody.
    pub async fn rings_for(&self, caller: &str) {
        self.until_shown(ANSWER).await;
        self.until_says(WHO, caller).await;
    }

    /// Waits until the page has said how the call went: its code and its words.
    pub async fn learns(&self, reason: &str, words: &str) {
        self.until_is("#outcome", "data-reason", reason).await;
        self.until_says("#outcome", words).await;
        assert!(["ended", "idle"].contains(&self.attribute("body", "data-call").await.as_deref().unwrap_or("")));
    }

    /// Waits until the page holds nothing of a call that is over: no connection, no microphone, camera or screen.
    /// One that is in a call, or gone, has nothing to let go of.
    pub async fn lets_go(&self) {
        if self.try_eval("__look.calling()").await != Ok(Value::Bool(false)) {
            return;
        }
        self.until("no connection is left open", "__look.open().length", |open| open == 0).await;
        self.until("nothing is recorded any more", "__look.recording()", |open| open == 0).await;
    }

    async fn arrived(&self) -> [u64; 2] {
        serde_json::from_value(self.eval("__look.arrived()").await).expect("two numbers")
    }

    /// Waits until more of this has arrived than there is now.
    async fn flows(&self, what: &str, counts: &[usize]) {
        let before = self.arrived().await;
        let more = |now: &Value| counts.iter().all(|n| now[*n].as_u64().is_some_and(|now| now > before[*n]));
        self.until(format_args!("{what}, beyond {before:?}"), "__look.arrived()", more).await;
    }

    /// Waits until sound arrives, and goes on arriving.
    pub async fn hears(&self) {
        self.flows("sound arrives", &[0]).await;
        self.flows("sound goes on", &[0]).await;
    }

    /// Waits until sound and pictures arrive, and go on arriving.
    pub async fn sees_and_hears(&self) {
        self.flows("sound and picture arrive", &[0, 1]).await;
        self.flows("sound and picture go on", &[0, 1]).await;
    }

    /// Waits until the tile of a user shows what that user's camera sees.
    pub async fn sees_colour(&self, of: &str) {
        let middle = format!("__look.centre({})", quoted(&format!(".tile[data-user=\"{of}\"] video")));
        let is_theirs = |now: &Value| serde_json::from_value(now.clone()).is_ok_and(|pixel| camera::is_of(of, pixel));
        self.until(format_args!("the picture of {of} is seen"), &middle, is_theirs).await;
    }
}

/// Two people get into a call, from dialling to talking.
pub async fn talk(caller: &Page, callee: &Page, kind: &str) {
    caller.dial(&callee.user, kind).await;
    callee.rings_for(&caller.user).await;
    caller.call_is("ringing").await;
    callee.click(ANSWER).await;
    tokio::join!(caller.call_is("active"), callee.call_is("active"));
}
