//! Every language of the pages has all words, and the places in them.

use super::driver::Browser;
use super::stage::Stage;
use crate::harness::Service;

in_browsers!(every_language_has_every_word);

/// What a table of words lacks, compared with its English. A form a language does without reads as its `other`.
const LACKING: &str = "(async (path) => {
    const table = Object.values(await import(path)).find((one) => one?.en?.words);
    const forms = (words) => typeof words === 'string' ? { other: words } : words;
    const places = (words) => [...new Set((forms(words).other ?? '').match(/\\{\\w+\\}/g))].sort().join();
    const found = [];
    for (const [tag, { words, dir, name }] of Object.entries(table)) {
        if (!['ltr', 'rtl'].includes(dir) || !name) found.push(`${tag} has no direction or no name`);
        for (const [key, english] of Object.entries(table.en.words)) {
            if (words[key] === undefined) { found.push(`${tag} lacks ${key}`); continue; }
            if (forms(words[key]).other === undefined) found.push(`${tag}: ${key} has no form for any number`);
            if (places(words[key]) !== places(english)) found.push(`${tag}: ${key} has other places than English`);
        }
        for (const key of Object.keys(words)) if (table.en.words[key] === undefined) found.push(`${tag}: nobody says ${key}`);
    }
    if (Object.keys(table).length < 2) found.push('one language only');
    return found;
})";

async fn every_language_has_every_word(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let page = stage.launch(Browser::of("1")).await;
    page.goto(&service.url("/")).await;
    for path in ["/call/strings.js", "/admin/strings.js"] {
        let lacking = page.eval(&format!("{LACKING}({})", super::page::quoted(path))).await;
        assert_eq!(lacking, serde_json::json!([]), "{path}");
    }
}
