// The dashboard: signs in, shows the view the address names, and keeps it fresh. Each view is a module of
// its own; what they share (words, requests, dialogs, the address) they are handed from here.

import { LANGUAGES, words } from '../shared/i18n.js';
import { charts } from './charts.js';
import { devices } from './devices.js';
import { formats } from './format.js';
import { freshness } from './freshness.js';
import { history as calls } from './history.js';
import { missed } from './missed.js';
import { numbers, overview } from './overview.js';
import { forget, identity, keep, readAddress } from './session.js';
import { service } from './service.js';

const TIMEOUT = 10_000;

const { t, translate, choose, lang } = await words((tag) => import(`./strings/${tag}.js`));
const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const at = () => new URLSearchParams(location.search);

/** The service sends `/admin/missed` on as `?path=missed`, which is `?view=missed`; `/admin/calls/41` is the call 41. */
function readPath() {
  const to = at();
  const [first, second] = (to.get('path') ?? '').split('/');
  if (!first) return;
  to.delete('path');
  to.set('view', first === 'calls' ? 'history' : first);
  if (first === 'calls' && second) to.set('call', second);
  history.replaceState(null, '', `?${to}${location.hash}`);
}

/** @type {ReturnType<typeof setTimeout>} */
let saying;
/** @param {string} text @param {boolean} [visibly] */
function say(text, visibly = false) {
  const said = byId('said');
  said.classList.toggle('visually-hidden', !visibly);
  said.textContent = text;
  clearTimeout(saying);
  saying = setTimeout(() => { said.textContent = ''; }, 8000);
}

/** @param {string} title @param {string} text @param {string} yes */
function confirm(title, text, yes) {
  const dialog = /** @type {HTMLDialogElement} */ (byId('confirm'));
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  byId('confirm-yes').textContent = yes;
  dialog.returnValue = '';
  dialog.showModal();
  return /** @type {Promise<boolean>} */ (new Promise((answered) => {
    dialog.addEventListener('close', () => answered(dialog.returnValue === 'yes'), { once: true });
  }));
}

/** What stands instead of the views. @param {'sign-in' | 'forbidden'} name */
function showDoor(name) {
  document.body.dataset.view = name;
  byId('sign-in').hidden = name !== 'sign-in';
  byId('forbidden').hidden = name !== 'forbidden';
  byId('inside').hidden = true;
  byId('connection').dataset.state = 'idle';
  byId('connection').textContent = '';
}

/** @param {{ user: string, token: () => Promise<string> }} who */
function start(who) {
  const line = service(who, lang, (connected) => {
    // Nothing is shown any more that could be live.
    if (byId('inside').hidden) return;
    const connection = byId('connection');
    connection.dataset.state = connected ? 'connected' : 'reconnecting';
    connection.textContent = t(connected ? 'live' : 'polling');
    // What changed before the service told us of changes.
    if (connected) refresh();
  }, (parts) => {
    // The other numbers are on the first page only, but what is unseen is counted on every one.
    if (parts.includes('missed') || parts.some((part) => views[name()].parts.includes(part))) refresh();
  });

  /** @type {import('./types').App} */
  const app = {
    t,
    lang,
    at,
    confirm,
    say: (text) => say(text),
    word: (kind, name) => {
      const words = t(`${kind}.${name}`);
      return words === `${kind}.${name}` ? String(name ?? '–') : words;
    },
    api: line.api,
    go: (changes, { replace = false } = {}) => {
      const to = at();
      to.set('view', name());
      for (const [key, value] of Object.entries(changes)) {
        if (value) to.set(key, value);
        else to.delete(key);
      }
      visit(`?${to}`, replace);
    },
    act: async (button, work) => {
      if (button.ariaBusy === 'true') return;
      button.ariaBusy = 'true';
      try {
        const done = await work();
        if (done) say(done, true);
      } catch (error) {
        say(t('not_done', { message: /** @type {Error} */ (error).message }), true);
      } finally {
        button.ariaBusy = null;
        refresh();
      }
    },
  };

  const format = formats(lang);
  /** @type {Record<string, import('./types').View>} */
  const views = {
    overview: overview(app, format), devices: devices(app, format), missed: missed(app, format),
    history: calls(app, format), charts: charts(app, format),
  };
  const name = () => {
    const asked = at().get('view') ?? '';
    return Object.hasOwn(views, asked) ? asked : 'overview';
  };
  const readNumbers = numbers(app, format);
  let unseen = 0;

  const refresh = freshness(app, async (signal) => {
    const [now] = await Promise.all([readNumbers(signal), views[name()].load(at(), signal)]);
    const badge = byId('unseen');
    badge.hidden = now.unseen_missed === 0;
    badge.textContent = format.number(now.unseen_missed);
    byId('missed-link').setAttribute('aria-label', t('missed_link', { count: now.unseen_missed }));
    if (now.unseen_missed > unseen) say(t('unseen', { count: now.unseen_missed }));
    unseen = now.unseen_missed;
  }, ({ code }) => {
    if (code === 'forbidden') showDoor('forbidden');
    if (code === 'unauthorized') askForToken(t('bad_token'));
    if (code !== 'forbidden' && code !== 'unauthorized') return false;
    line.close();
    return true;
  });

  function route() {
    const here = name();
    document.body.dataset.view = here;
    for (const view of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-of]'))) view.hidden = view.dataset.of !== here;
    for (const a of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('nav [data-to]'))) {
      if (a.dataset.to === here) a.setAttribute('aria-current', 'page');
      else a.removeAttribute('aria-current');
    }
    document.title = `${t(here)} · Switchboard`;
    views[here].enter?.(at());
    refresh(true);
  }

  /** @param {string} href @param {boolean} [replace] */
  function visit(href, replace = false) {
    if (new URL(href, location.href).href === location.href) return;
    const before = name();
    if (replace) history.replaceState(null, '', href);
    else history.pushState(null, '', href);
    if (name() !== before) scrollTo(0, 0);
    route();
  }

  document.addEventListener('click', (event) => {
    const a = /** @type {Element} */ (event.target).closest('a[href^="?"]');
    if (!a || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    visit(a.getAttribute('href') ?? '');
  });
  addEventListener('popstate', route);

  byId('inside').hidden = false;
  byId('sign-in').hidden = true;
  route();
  line.open();
}

/** @param {string} [problem] */
function askForToken(problem = '') {
  forget();
  showDoor('sign-in');
  byId('sign-in-problem').textContent = problem;
  byId('sign-in-token').focus();
}

async function enter() {
  try {
    const answer = await fetch(new URL('../api/about', import.meta.url), { signal: AbortSignal.timeout(TIMEOUT) });
    const { auth } = await answer.json();
    const who = await identity(auth === 'dev');
    if (!who) askForToken();
    else if (who.refused === undefined) start(who);
    else askForToken(`${t('bad_token')} (${who.refused})`);
  } catch {
    // The service is away: nothing was shown yet, so there is nothing to lose by asking again and again.
    byId('away').hidden = false;
    setTimeout(enter, 3000);
    return;
  }
  byId('away').hidden = true;
}

readPath();
readAddress();
translate();
byId('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  keep(/** @type {HTMLInputElement} */ (byId('sign-in-token')).value.trim());
  location.reload();
});
byId('other-token').onclick = () => askForToken();
const language = /** @type {HTMLSelectElement} */ (byId('language'));
language.append(...Object.entries(LANGUAGES).map(([tag, { name }]) => new Option(name, tag, tag === lang, tag === lang)));
language.onchange = () => choose(language.value);
enter();
