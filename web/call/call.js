// The call page: who is here, the line to the service, and everything that is not a call itself.

import { Switchboard } from '../sdk/switchboard.js';
import { audible, enableSound, icons, onSound } from '../sdk/parts.js';
import '../sdk/ring.js';
import { LANGUAGES, clock, words } from '../shared/i18n.js';
import { bearer } from '../shared/token.js';
import { $, history, people } from './lists.js';
import { stage } from './stage.js';

/** @typedef {import('../sdk/switchboard.js').Call} Call */

const SESSION = 'switchboard.session';
// Of the rest of the rule, 256 bytes, the service is the judge.
const ID = /^(?!\.{1,2}$)[^\p{C}\p{Z}]{1,128}$/u;
// What is asked of the service meanwhile, and a token that leaves the address at once.
const about = fetch(new URL('../api/about', import.meta.url)).then((answer) => answer.json()).catch(() => ({}));
const who = asked();
const { t, translate, choose, lang } = await words((tag) => import(`./strings/${tag}.js`));
const listing = new Intl.ListFormat(lang, { type: 'conjunction' });

// --- signing in -----------------------------------------------------------------------------------

/** Who signs in by the address, whose token may say it, or did before in this tab. @returns {{ user: string, token: string }} */
function asked() {
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get('token') ?? '';
  if (token) {
    // A token is not to stay in the address, where it would be copied and kept.
    window.history.replaceState(null, '', location.pathname + location.search);
    return { user: given.get('user') ?? '', token };
  }
  const user = new URLSearchParams(location.search).get('user') ?? '';
  const before = JSON.parse(sessionStorage.getItem(SESSION) ?? '{}');
  return { user: user || (before.user ?? ''), token: !user || user === before.user ? (before.token ?? '') : '' };
}

/** The user a token is of; none, and a word about it, where the service does not take it. @param {string} token */
async function userOf(token) {
  const { user = '', refused } = await bearer(token).catch(() => ({ user: '', refused: '' }));
  if (refused !== undefined) void problem('unauthorized');
  return user;
}

async function start() {
  const { auth, directory } = await about;
  const jwt = auth === 'jwt';
  $('token-field').hidden = !jwt;
  $('sign-in-token').required = jwt;
  const user = who.user || (who.token && await userOf(who.token));
  if (ID.test(user) && (who.token || !jwt)) signIn(user, who.token, directory);
  else {
    $('sign-in-user').value = user;
    $('sign-in-user').focus();
  }
}

/** Keeps who this page is of, for a reload of the tab. @param {string} user @param {string} token */
function keep(user, token) {
  sessionStorage.setItem(SESSION, JSON.stringify({ user, token }));
  const url = new URL(location.href);
  if (user) url.searchParams.set('user', user);
  else url.searchParams.delete('user');
  window.history.replaceState(null, '', url);
}

/** @param {string} user @param {string} token @param {boolean} directory whether the service lists its users */
function signIn(user, token, directory) {
  keep(user, token);
  document.body.dataset.view = 'phone';
  telephone(user, token, directory);
}

// --- what is in the way of a call, said with the way out of it ---------------------------------------

const said = (/** @type {string} */ key) => t(key) !== key;
const isProblem = (/** @type {string} */ code) => said(`${code}_way`);

/** @param {string} code @param {() => void} [retry] @param {() => void} [voice] */
async function problem(code, retry, voice) {
  (await import('./problem.js')).problem(t, code, retry, voice);
}

/** What became of a call. @param {string} key @param {string} name @param {string} [length] */
function ending(key, name, length = '') {
  return t(said(`end_${key}`) ? `end_${key}` : 'end_failed', { name, length });
}

// --- the telephone --------------------------------------------------------------------------------

/** @param {string} me @param {string} token @param {boolean} directory */
function telephone(me, token, directory) {
  const phone = new Switchboard({ user: me, ...(token && { token }) });
  const ring = /** @type {import('../sdk/ring.js').Ring} */ (document.querySelector('switchboard-ring'));
  const names = (/** @type {string[]} */ ids) => listing.format(ids.map(folk.nameOf));
  const page = { phone, me, lang, t, translate, directory, dial, names };
  const folk = people(page);
  const past = history(page, folk);
  const live = stage(page, folk, ended);
  /** Why the service lets this page in no more. */
  let shut = '';

  /** @param {string[]} ids @param {'voice' | 'video'} type */
  async function dial(ids, type) {
    if (live.live()) return;
    outcome('', '');
    for (const id of ids) folk.know(id, '', true);
    try {
      await phone.call(ids.length > 1 ? ids : ids[0], { type });
    } catch (error) {
      const { code } = /** @type {{ code: string }} */ (error);
      // Where it became a call, its end has been told already.
      if (!$('outcome').dataset.reason) refused(code, ids, type);
    }
  }

  /** A call that did not come to be. @param {string} code @param {string[]} ids @param {'voice' | 'video'} type */
  function refused(code, ids, type) {
    const retry = () => dial(ids, type);
    if (isProblem(code)) {
      outcome(code, '');
      void problem(code, retry, type === 'video' ? () => dial(ids, 'voice') : undefined);
    } else {
      const reason = code.replace(/^peer_/, '');
      outcome(reason, ending(reason, names(ids)), retry);
    }
  }

  /** @param {Call} call */
  function ended({ reason, direction, from, peers, since, duration, type }) {
    const why = reason ?? 'failed';
    const ids = [...peers.keys()];
    if (since) outcome(why, ending(why, names(ids), clock(duration)));
    else if (direction === 'in') {
      const key = { declined: 'refused', cancelled: 'missed', no_answer: 'missed' }[why] ?? why;
      outcome(why, ending(key, from.name || folk.nameOf(from.id)));
    } else if (why === 'cancelled') outcome(why, ending(why, ''));
    else refused(why, ids, type);
    void past();
    if (shut) closed({ code: shut });
  }

  /** What became of the last call, and what can be done about it. @param {string} reason @param {string} words @param {() => void} [again] */
  function outcome(reason, words, again) {
    $('outcome').dataset.reason = reason;
    $('outcome').textContent = words;
    $('again').hidden = !again;
    $('again').onclick = again;
  }

  /** @param {string} state */
  function connection(state) {
    $('connection').dataset.state = state;
    $('connection').textContent = t(state === 'connected' ? 'signed_in_as' : state, { name: me });
    if (state !== 'connected') return;
    void past();
    if (directory) void folk.look();
  }

  /** The service lets this page in no more. @param {{ code: string }} error */
  function closed({ code }) {
    $('connection').dataset.code = code;
    shut = code;
    // A call goes on from browser to browser, and with it the camera: nothing may hide how to end it.
    if (live.live()) return;
    const otherToken = code === 'unauthorized' || code === 'forbidden';
    if (otherToken) {
      sessionStorage.removeItem(SESSION);
      document.body.dataset.view = 'sign-in';
      $('token-field').hidden = false;
      $('sign-in-token').required = true;
      $('sign-in-user').value = me;
    }
    void problem(isProblem(code) ? code : 'closed', otherToken ? undefined : () => location.reload());
  }

  phone.on('state', connection);
  phone.on('error', (/** @type {{ code: string }} */ error) => {
    if (phone.state === 'closed') closed(error);
  });
  phone.on('call', (call) => {
    $('problem')?.remove();
    outcome('', '');
    live.take(call);
  });
  phone.on('incoming', (call) => ring.ring(call, t));
  phone.on('missed', (/** @type {{ from: { id: string, name: string }, reason: string }} */ { from, reason }) => {
    folk.know(from.id, from.name);
    const back = live.live() ? undefined : () => dial([String(from.id)], 'voice');
    outcome(reason, t('end_missed', { name: from.name || folk.nameOf(from.id) }), back);
  });
  connection('connecting');
  phone.connect().catch(() => {
    // Said by the event `error`.
  });

  $('dial').onsubmit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    // An id may have a comma in it, and is written in quotes then. A blank is in none.
    const ids = [...$('callee').value.matchAll(/"([^"\s]+)"|[^\s,،]+/g)].map(([plain, quoted]) => quoted ?? plain);
    const type = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value;
    const bad = ids.length === 0 || !ids.every((/** @type {string} */ id) => ID.test(id));
    $('callee').setCustomValidity(bad ? t('bad_id') : '');
    if (!$('callee').reportValidity()) return;
    if (type === 'keep') {
      for (const id of ids) folk.know(id, '', true);
      $('callee').value = '';
      $('callee').focus();
    } else if (ids.includes(me)) outcome('self_call', t('end_self_call'));
    else void dial(ids, type === 'video' ? 'video' : 'voice');
  };
  $('callee').oninput = () => $('callee').setCustomValidity('');
}

// --- the page -------------------------------------------------------------------------------------

/** Sound and notifications need a click; the button for it is there until both are settled. */
function ringSetup() {
  const askable = 'Notification' in window && Notification.permission === 'default';
  $('ring-setup').hidden = audible() && !askable;
}

translate();
icons(document);
$('language').append(...Object.entries(LANGUAGES).map(([tag, { name }]) => new Option(name, tag, false, tag === lang)));
$('language').onchange = () => choose($('language').value);
$('sign-out').onclick = () => {
  keep('', '');
  location.reload();
};
$('sign-in').onsubmit = (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  keep($('sign-in-user').value, $('sign-in-token').value);
  location.reload();
};
$('ring-setup').onclick = async () => {
  await enableSound();
  if ('Notification' in window) await Notification.requestPermission();
  ringSetup();
};
onSound(ringSetup);
ringSetup();
if (!isSecureContext) void problem('insecure_context');
else if (!('RTCPeerConnection' in window)) void problem('unsupported_browser');
await start();
