//! Every state of every page, one after the other, and what is done at each: it is looked through for what shuts
//! people out, or its picture is taken.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::page::{Page, quoted};
use super::stage;

/// What is done at each state.
#[derive(Clone, Copy, PartialEq)]
pub enum Task {
    Inspect,
    Shoot,
}

/// A walk through the states in one language.
pub struct Gallery {
    task: Task,
    pub language: &'static str,
    /// Where the words of the page are.
    words: &'static str,
    findings: Mutex<Vec<String>>,
}

/// What the accessibility checker finds: how bad, which rule, where.
const AXE: &str = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, impact, nodes }) => nodes.map(({ target, failureSummary }) => `${impact} ${id} at ${target}: ${failureSummary}`)))";

/// What is wider than the window.
const TOO_WIDE: &str = "document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('*')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || one.getBoundingClientRect().left < -1)
    .map((one) => `wider than the window: ${one.outerHTML.slice(0, 90)}`).slice(0, 5)";

/// Words a page shows in another language than its own: a key that has no words, or an English sentence.
const LEFT_OVER: &str = "(async (folder) => {
    const { LANGUAGES } = await import('/shared/i18n.js');
    const table = Object.fromEntries(await Promise.all(Object.entries(LANGUAGES).map(async ([tag, about]) =>
        [tag, { ...about, words: (await import(`${folder}/${tag}.js`)).default }])));
    const english = new Set([...Object.keys(table.en.words), ...Object.values(table.en.words).filter((one) => typeof one === 'string')]);
    const own = new Set(Object.values(table[document.documentElement.lang].words));
    const names = new Set(Object.values(table).map(({ name }) => name));
    const found = [];
    const look = (root) => {
        for (const one of root.querySelectorAll('*')) {
            const texts = [...one.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data.trim());
            for (const text of [...texts, one.getAttribute('aria-label'), one.getAttribute('title')]) {
                if (text && !names.has(text) && !own.has(text) && english.has(text)) found.push(`not translated: ${text}`);
            }
            if (one.shadowRoot) look(one.shadowRoot);
        }
    };
    look(document.body);
    if (document.documentElement.dir !== table[document.documentElement.lang].dir) found.push('reads in the wrong direction');
    return found;
})";

impl Gallery {
    pub fn open(task: Task, language: &'static str, words: &'static str) -> Self {
        Self { task, language, words, findings: Mutex::default() }
    }

    /// A state, seen light and dark, wide and as narrow as a small phone.
    pub async fn at(&self, page: &Page, state: &str) {
        for (look, scheme, width) in [("light", "light", 1000), ("dark", "dark", 1000), ("narrow", "light", 320)] {
            dress(page, scheme, width).await;
            if self.task == Task::Shoot {
                let picture = page.picture().await.expect("a picture");
                stage::keep(&format!("{}/{state}-{look}.png", self.language), &picture);
                continue;
            }
            let found = if look == "narrow" { page.eval(TOO_WIDE).await } else { axe(page).await };
            self.note(state, look, &found);
        }
        if self.task == Task::Inspect && self.language != "en" {
            let found = page.eval(&format!("{LEFT_OVER}({})", quoted(self.words))).await;
            self.note(state, self.language, &found);
        }
        dress(page, "light", 1000).await;
    }

    fn note(&self, state: &str, look: &str, found: &Value) {
        let found = found.as_array().expect("a list").iter();
        let found = found.map(|one| format!("{state}, {look}: {}", one.as_str().unwrap_or_default()));
        self.findings.lock().expect("the findings").extend(found);
    }

    /// Nothing may have been found.
    pub fn close(self) {
        let findings = self.findings.into_inner().expect("the findings");
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }
}

/// As whose system is dark, and whose window has this width. Nothing moves, so that a picture is of one moment.
async fn dress(page: &Page, scheme: &str, width: u32) {
    let features = json!([
        { "name": "prefers-color-scheme", "value": scheme },
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ]);
    page.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await.expect("a scheme");
    let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    page.cdp("Emulation.setDeviceMetricsOverride", size).await.expect("a size");
    // Drawn since, or at rest.
    page.eval("__look.drawn().then(__look.drawn)").await;
}

async fn axe(page: &Page) -> Value {
    if page.eval("typeof axe").await == "undefined" {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/node_modules/axe-core/axe.min.js");
        let source = std::fs::read_to_string(path).expect("axe-core; run ./test, which installs it");
        page.eval(&format!("{source};0")).await;
    }
    page.eval(AXE).await
}
