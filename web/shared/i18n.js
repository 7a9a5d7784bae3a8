// Words in the reader's language. A page has one table: a language, its direction, its words by key.
// Words may have places (`{name}`) and, as an object, plural forms by the rules of the language.

/** @typedef {string | Partial<Record<Intl.LDMLPluralRule, string>>} Words */
/** @typedef {{ dir: 'ltr' | 'rtl', name: string, words: Record<string, Words> }} Language */

const STORED = 'switchboard.language';

/**
 * The language to show: the one chosen here before, else the first of the browser's there is.
 * @param {Record<string, Language>} table
 */
function pick(table) {
  const asked = new URLSearchParams(location.search).get('lang');
  const wanted = [asked, localStorage.getItem(STORED), ...navigator.languages];
  for (const one of wanted) {
    const short = one && one.toLowerCase().split('-')[0];
    if (short && table[short]) return short;
  }
  return 'en';
}

/**
 * What says words in one language. `t(key, places)` is one of them; where `places.count` is a number it
 * chooses the plural form. English is complete; what another language lacks is English.
 * @param {Record<string, Language>} table @param {string} tag
 */
export function speaker(table, tag) {
  const plural = new Intl.PluralRules(tag);
  // Names and times keep their own direction within a sentence that is read from right to left.
  const isolate = (/** @type {string} */ place) => (table[tag].dir === 'rtl' ? `\u2068${place}\u2069` : place);
  return (/** @type {string} */ key, /** @type {Record<string, string | number>} */ places = {}) => {
    let found = table[tag].words[key] ?? table.en.words[key];
    if (found === undefined) return key;
    if (typeof found === 'object') {
      found = found[plural.select(Number(places.count ?? 0))] ?? found.other ?? key;
    }
    return found.replace(/\{(\w+)\}/g, (_, name) => isolate(String(places[name] ?? '')));
  };
}

/**
 * The words of a page, which takes on their language and direction. `t` is as `speaker` says it;
 * `translate(root)` fills every element with `data-t` (its text) and `data-t-label` (its name for screen
 * readers).
 * @param {Record<string, Language>} table
 */
export function words(table) {
  const tag = pick(table);
  const { dir } = table[tag];
  const t = speaker(table, tag);

  /** @param {ParentNode} [root] */
  function translate(root = document) {
    for (const element of root.querySelectorAll('[data-t]')) element.textContent = t(String(element.getAttribute('data-t')));
    for (const element of root.querySelectorAll('[data-t-label]')) element.ariaLabel = t(String(element.getAttribute('data-t-label')));
  }

  /** Shows the page in another language, now and next time. @param {string} other */
  function choose(other) {
    localStorage.setItem(STORED, other);
    const url = new URL(location.href);
    url.searchParams.delete('lang');
    location.assign(url);
    if (url.href === location.href) location.reload();
  }

  document.documentElement.lang = tag;
  document.documentElement.dir = dir;
  return { t, translate, choose, lang: tag, languages: Object.entries(table).map(([id, { name }]) => ({ id, name })) };
}

/** `3:07`, `1:02:09`. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
