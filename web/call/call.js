// The call page: who is here, the line to the service, and everything that is not a call itself.

import { Switchboard } from '../sdk/switchboard.js';
import { audible, enableSound, icons, onSound } from '../sdk/parts.js';
import '../sdk/ring.js';
import { clock, words } from '../shared/i18n.js';
import { $, history, people } from './lists.js';
import { stage } from './stage.js';
import { STRINGS } from './strings.js';

/** @typedef {import('../sdk/switchboard.js').Call} Call */

const SESSION = 'switchboard.session';
const ID = /^[A-Za-z0-9._:@-]{1,64}$/;
const { t, translate, choose, lang, languages } = words(STRINGS);
const listing = new Intl.ListFormat(lang, { type: 'conjunction' });

// --- signing in -----------------------------------------------------------------------------------

/** Who a token says it is of; the service checks it. @param {string} token */
function subject(token) {
  try {
    return String(JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sub);
  } catch {
    return '';
  }
}

/** Who signs in with the address or did before in this tab. @returns {{ user: string, token: string }} */
function asked() {
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get('token') ?? '';
  if (token) {
    // A token is not to stay in the address, where it would be copied and kept.
    window.history.replaceState(null, '', location.pathname + location.search);
    return { user: given.get('user') ?? subject(token), token };
  }
  const user = new URLSearchParams(location.search).get('user') ?? '';
  const before = JSON.parse(sessionStorage.getItem(SESSION) ?? '{}');
  return { user: user || (before.user ?? ''), token: !user || user === before.user ? (before.token ?? '') : '' };
}

/** How the service lets people in. @returns {Promise<string>} */
async function mode() {
  try {
    return (await (await fetch('/api/about')).json()).auth;
  } catch {
    return 'dev';
  }
}

async function start() {
  const who = asked();
  const jwt = (await mode()) === 'jwt';
  $('token-field').hidden = !jwt;
  $('sign-in-token').required = jwt;
  if (ID.test(who.user) && (who.token || !jwt)) signIn(who.user, who.token);
  else {
    $('sign-in-user').value = who.user;
    $('sign-in-user').focus();
  }
}

/** @param {string} user @param {string} token */
function signIn(user, token) {
  sessionStorage.setItem(SESSION, JSON.stringify({ user, token }));
  const url = new URL(location.href);
  url.searchParams.set('user', user);
  window.history.replaceState(null, '', url);
  document.body.dataset.view = 'phone';
  telephone(user, token);
}

function signOut() {
  sessionStorage.removeItem(SESSION);
  location.assign(location.pathname);
}

// --- what is in the way of a call, said with the way out of it ---------------------------------------

const isProblem = (/** @type {string} */ code) => t(`${code}_way`) !== `${code}_way`;

const noProblem = () => {
  $('problem').hidden = true;
};

/** @param {string} code @param {() => void} [retry] @param {() => void} [voice] */
function problem(code, retry, voice) {
  const { protocol, port } = location;
  const box = $('problem');
  const part = (/** @type {string} */ selector) => box.querySelector(selector);
  box.dataset.code = code;
  part('h2').textContent = t(code);
  part('p').textContent = t(`${code}_way`, { address: `${protocol}//localhost${port && ':'}${port}/` });
  part('.retry').textContent = t(code === 'replaced' ? 'use_here' : 'retry');
  part('.dismiss').onclick = noProblem;
  for (const [button, act] of /** @type {const} */ ([['.retry', retry], ['.with-voice', voice]])) {
    part(button).hidden = !act;
    part(button).onclick = () => {
      noProblem();
      act?.();
    };
  }
  box.hidden = false;
  part('button:not([hidden])').focus();
}

/** What became of a call. @param {string} key @param {string} name @param {string} [length] */
function ending(key, name, length = '') {
  if (key === 'draining') return t('end_unavailable');
  const words = t(`end_${key}`, { name, length });
  return words === `end_${key}` ? t('end_failed') : words;
}

// --- the telephone --------------------------------------------------------------------------------

/** @param {string} me @param {string} token */
function telephone(me, token) {
  const phone = new Switchboard({ user: me, ...(token && { token }) });
  const ring = /** @type {import('../sdk/ring.js').Ring} */ (document.querySelector('switchboard-ring'));
  const names = (/** @type {string[]} */ ids) => listing.format(ids.map(folk.nameOf));
  const page = { phone, me, lang, t, dial, names };
  const folk = people(page);
  const past = history(page, folk);
  const live = stage(page, folk, ended);

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

  /** @param {string} code @param {string[]} ids @param {'voice' | 'video'} type */
  function refused(code, ids, type) {
    const reason = code.replace(/^peer_/, '');
    again(isProblem(code) ? null : () => dial(ids, type));
    if (isProblem(code)) {
      outcome(code, '');
      problem(code, () => dial(ids, type), type === 'video' ? () => dial(ids, 'voice') : undefined);
    } else outcome(reason, ending(reason, names(ids)));
  }

  /** @param {Call} call */
  function ended(call) {
    const reason = call.reason ?? 'failed';
    const ids = [...call.peers.keys()];
    again(null);
    if (call.direction === 'out' && !call.since && reason !== 'cancelled') refused(reason, ids, call.type);
    else if (call.direction === 'in' && !call.since) {
      const name = call.from.name || folk.nameOf(call.from.id);
      const key = { declined: 'refused', cancelled: 'missed', no_answer: 'missed' }[reason] ?? reason;
      outcome(reason, ending(key, name));
    } else outcome(reason, ending(reason, names(ids), clock(call.duration)));
    void past();
  }

  /** @param {string} reason @param {string} said */
  function outcome(reason, said) {
    $('outcome').dataset.reason = reason;
    $('outcome').textContent = said;
  }

  /** @param {(() => void) | null} act */
  function again(act) {
    $('again').hidden = !act;
    $('again').onclick = act;
  }

  /** @param {string} state */
  function connection(state) {
    $('connection').dataset.state = state === 'idle' ? 'connecting' : state;
    $('connection').textContent = state === 'connected' ? t('signed_in_as', { name: me }) : t(state === 'idle' ? 'connecting' : state);
    if (state !== 'connected') return;
    void past();
    void folk.directory();
  }

  /** The service lets this page in no more. @param {{ code: string }} error */
  function closed({ code }) {
    $('connection').dataset.code = code;
    if (code === 'unauthorized' || code === 'forbidden') {
      sessionStorage.removeItem(SESSION);
      document.body.dataset.view = 'sign-in';
      $('token-field').hidden = false;
      $('sign-in-token').required = true;
      $('sign-in-user').value = me;
    }
    problem(code, code === 'replaced' ? () => location.reload() : undefined);
  }

  phone.on('state', connection);
  phone.on('error', (/** @type {{ code: string }} */ error) => {
    if (['replaced', 'unauthorized', 'forbidden'].includes(error.code)) closed(error);
  });
  phone.on('call', (call) => {
    noProblem();
    outcome('', '');
    again(null);
    live.take(call);
  });
  phone.on('incoming', (call) => ring.ring(call, t));
  phone.on('missed', (/** @type {{ from: { id: string, name: string }, reason: string }} */ { from, reason }) => {
    folk.know(from.id, from.name);
    outcome(reason, t('end_missed', { name: from.name || folk.nameOf(from.id) }));
    again(live.live() ? null : () => dial([String(from.id)], 'voice'));
  });
  connection('connecting');
  phone.connect().catch(() => {
    // Said by the event `error`.
  });

  $('dial').onsubmit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const ids = $('callee').value.split(/[\s,،]+/).filter(Boolean);
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
$('language').append(...languages.map(({ id, name }) => new Option(name, id, false, id === lang)));
$('language').onchange = () => choose($('language').value);
$('sign-out').onclick = signOut;
$('sign-in').onsubmit = (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  sessionStorage.setItem(SESSION, JSON.stringify({ user: $('sign-in-user').value, token: $('sign-in-token').value }));
  location.assign(`${location.pathname}?user=${encodeURIComponent($('sign-in-user').value)}`);
};
$('ring-setup').onclick = async () => {
  await enableSound();
  if ('Notification' in window) await Notification.requestPermission();
  ringSetup();
};
onSound(ringSetup);
ringSetup();
if (!isSecureContext) problem('insecure_context');
else if (!('RTCPeerConnection' in window)) problem('unsupported_browser');
await start();
