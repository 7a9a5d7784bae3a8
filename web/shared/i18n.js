// Words in the reader's language. A page has a table of words for each language, in a module of its own of
// which only the one that is shown is loaded. Words may have places (`{name}`) and, as an object, plural forms
// by the rules of the language.

/** @typedef {string | Partial<Record<Intl.LDMLPluralRule, string>>} Words */
/** @typedef {(tag: string) => Promise<{ default: Record<string, Words> }>} Load */

/** One more language is one more entry here, and a table of the same keys for each page. */
export const LANGUAGES = { en: { name: 'English', dir: 'ltr' }, ar: { name: 'العربية', dir: 'rtl' } };

/** @typedef {keyof typeof LANGUAGES} Tag */

const STORED = 'switchboard.language';

/** The first of these languages that there is. @param {(string | null | undefined)[]} wanted @returns {Tag} */
export function pick(wanted) {
  const found = wanted.map((one) => one?.toLowerCase().split('-')[0]).find((one) => one && Object.hasOwn(LANGUAGES, one));
  return /** @type {Tag | undefined} */ (found) ?? 'en';
}

/**
 * What says words in one language. `t(key, places)` is one of them; where `places.count` is a number it
 * chooses the plural form.
 * @param {Load} load @param {Tag} tag
 */
export async function speaker(load, tag) {
  const { default: table } = await load(tag);
  const plural = new Intl.PluralRules(tag);
  // Names and times keep their own direction within a sentence that is read from right to left.
  const isolate = (/** @type {string} */ place) => (LANGUAGES[tag].dir === 'rtl' ? `\u2068${place}\u2069` : place);
  return (/** @type {string} */ key, /** @type {Record<string, string | number>} */ places = {}) => {
    let found = table[key] ?? key;
    if (typeof found === 'object') found = found[plural.select(Number(places.count ?? 0))] ?? found.other ?? key;
    return found.replace(/\{(\w+)\}/g, (_, name) => isolate(String(places[name] ?? '')));
  };
}

/**
 * The words of a page, which takes on their language (the one chosen here before, else the first of the
 * browser's that there is) and direction. `t` is as `speaker` says it; `translate(root)` fills every element with
 * `data-t` (its text) and `data-t-label` (its name for screen readers).
 * @param {Load} load
 */
export async function words(load) {
  const lang = pick([new URLSearchParams(location.search).get('lang'), localStorage.getItem(STORED), ...navigator.languages]);
  Object.assign(document.documentElement, { lang, dir: LANGUAGES[lang].dir });
  const t = await speaker(load, lang);

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
    history.replaceState(null, '', url);
    location.reload();
  }

  return { t, translate, choose, lang };
}

/** `3:07`, `1:02:09`. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
