// The lists of the page: people with how they stand, calls that were, calls that were missed.

import { clock } from '../shared/i18n.js';
import { avatar, icon } from '../sdk/parts.js';

/** @typedef {import('./types.js').Page} Page */
/** @typedef {import('./types.js').Person} Person */

/** An element of the page that is there. @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/** @param {string} kind @param {string} sign @param {string} name @param {() => void} pressed */
function button(kind, sign, name, pressed) {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = `round ${kind}`;
  made.ariaLabel = made.title = name;
  made.innerHTML = icon(sign);
  made.onclick = pressed;
  return made;
}

/** @param {string} tag @param {string} kind @param {(string | Node)[]} inside */
function element(tag, kind, ...inside) {
  const made = document.createElement(tag);
  made.className = kind;
  made.append(...inside);
  return made;
}

/** How long ago, in words. @param {string} lang @param {string | number} time */
function ago(lang, time) {
  const minutes = (new Date(time).getTime() - Date.now()) / 60000;
  const format = new Intl.RelativeTimeFormat(lang, { numeric: 'auto' });
  if (minutes <= -1440) return format.format(Math.ceil(minutes / 1440), 'day');
  if (minutes <= -60) return format.format(Math.ceil(minutes / 60), 'hour');
  return format.format(Math.ceil(minutes), 'minute');
}

/**
 * Who can be called: who is kept here, who was in a call before, and whom the service lists.
 * @param {Page} page
 */
export function people({ phone, me, lang, t, dial }) {
  const stored = `switchboard.people.${me}`;
  /** @type {Map<string, Person>} */
  const known = new Map();
  const { compare } = new Intl.Collator(lang, { numeric: true });
  let unwatch = () => {};
  let soon = false;
  /** @type {string | null} Where the next people of the directory are. */
  let cursor = null;

  const nameOf = (/** @type {string} */ id) => known.get(id)?.name || id;
  const save = () => localStorage.setItem(stored, JSON.stringify([...known.values()].filter((one) => one.kept).map((one) => one.id)));

  /** @param {Person} person */
  function fill({ id, name: given, kept, row }) {
    const name = given || id;
    const tools = element('div', 'row',
      button('voice', 'phone', t('voice_to', { name }), () => dial([id], 'voice')),
      button('video', 'video', t('video_to', { name }), () => dial([id], 'video')));
    if (kept) {
      tools.append(button('forget', 'close', t('forget', { name }), () => {
        row.remove();
        known.delete(id);
        save();
        watch();
        $('callee').focus();
      }));
    }
    row.replaceChildren(avatar(name), element('div', 'who', element('bdi', 'name', name), element('span', 'quiet status')), tools);
    stand({ id, status: row.dataset.status ?? 'offline' });
  }

  /** Somebody there is. @param {string | number} anyId @param {string | null} [name] @param {boolean} [kept] */
  function know(anyId, name, kept = false) {
    const id = String(anyId);
    const before = known.get(id);
    // A name that is but the id says nothing.
    const named = name && name !== id ? name : (before?.name ?? '');
    if (id === me || (before && named === before.name && (before.kept || !kept))) return;
    const person = { id, name: named, kept: kept || !!before?.kept, row: before?.row ?? document.createElement('li') };
    known.set(id, person);
    fill(person);
    if (kept) save();
    if (before) return;
    person.row.dataset.user = id;
    const after = [...$('people').children].find((row) => compare(row.dataset.user, id) > 0);
    $('people').insertBefore(person.row, after ?? null);
    watch();
  }

  /** @param {import('./types.js').Standing} user */
  function stand({ id, status, lastSeen }) {
    const row = known.get(String(id))?.row;
    if (!row) return;
    row.dataset.status = status;
    const away = status === 'offline' && lastSeen;
    row.getElementsByClassName('status')[0].textContent = away ? t('last_seen', { when: ago(lang, lastSeen) }) : t(status);
  }

  /** Watches everybody on the list, once a batch of them is. */
  function watch() {
    $('no-people').hidden = known.size > 0;
    if (soon) return;
    soon = true;
    queueMicrotask(() => {
      soon = false;
      const before = unwatch;
      unwatch = phone.presence.watch([...known.keys()].slice(0, 1000), stand);
      before();
    });
  }

  /** The users the service lists, where it does. */
  async function directory() {
    try {
      const page = await phone.fetch(`/api/users?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
      for (const { user_id: id, name } of page.users) know(id, name);
      cursor = page.next_cursor;
    } catch {
      // It keeps its users to itself; who is kept here and the history are there all the same.
      cursor = null;
    }
    $('more-people').hidden = !cursor;
  }

  $('more-people').onclick = directory;
  for (const id of JSON.parse(localStorage.getItem(stored) ?? '[]')) know(id, '', true);
  watch();
  return { know, nameOf, directory, ids: () => [...known.keys()] };
}

/** @param {Page} page @param {ReturnType<typeof people>} folk */
export function history({ phone, me, lang, t, names, dial }, folk) {
  /** @type {string | null} */
  let next = null;

  /** @param {any} call @param {string[]} ids @param {boolean} out @param {string} at @param {string} words @param {boolean} missed */
  function row(call, ids, out, at, words, missed) {
    const way = out ? 'out' : 'in';
    const sign = element('span', missed ? 'way missed' : 'way');
    sign.innerHTML = icon(way);
    return element('li', '', sign,
      element('div', 'who', element('bdi', 'name', names(ids)),
        element('span', 'quiet', [t(way), t(`call_${call.call_type}`), words, ago(lang, at)].join(' · '))),
      button('redial', 'phone', t('redial', { name: names(ids) }), () => {
        $('missed-list').close();
        void dial(ids, call.call_type);
      }));
  }

  /** @param {any} call as `GET /api/calls` has it */
  function past(call) {
    const out = String(call.caller_id) === me;
    const ids = [call.caller_id, ...call.callee_ids].map(String).filter((id) => id !== me);
    folk.know(call.caller_id, call.caller_name);
    for (const id of ids) folk.know(id);
    const missed = call.status === 'missed' && !out;
    let words = t(`was_${call.status === 'missed' && out ? call.reason : call.status}`);
    if (!call.ended_at) words = t('was_live');
    else if (call.status === 'ended') words = t('was_answered', { length: clock(call.duration_seconds) });
    return row(call, ids, out, call.started_at, words, missed);
  }

  /** @param {string} [cursor] the next page instead of the first */
  async function show(cursor) {
    try {
      const page = await phone.history({ limit: 15, ...(cursor && { cursor }) });
      if (!cursor) $('history').replaceChildren();
      $('history').append(...page.calls.map(past));
      next = page.next;
      $('no-history').hidden = $('history').childElementCount > 0;
      $('more-history').hidden = !next;
    } catch {
      // What is shown stays; the next call or connection asks again.
    }
  }

  function count() {
    const { count } = phone.missed;
    $('missed').dataset.count = count;
    $('missed').querySelector('span').textContent = count > 0 ? t('missed', { count }) : t('missed_calls');
  }

  /** Lists what was missed, which is then seen. */
  async function missed() {
    const { calls } = await phone.missed.list({ limit: 50 });
    const dialog = $('missed-list');
    dialog.querySelector('p').hidden = calls.length > 0;
    dialog.querySelector('ol').replaceChildren(...calls.map((/** @type {any} */ call) => {
      folk.know(call.caller_id, call.caller_name);
      const item = row(call, [String(call.caller_id)], false, call.call_time, t('was_missed'), true);
      item.toggleAttribute('data-new', !call.seen_by_callee);
      return item;
    }));
    dialog.showModal();
    await phone.missed.seenAll();
  }

  $('missed').onclick = () => missed().catch(() => {});
  $('more-history').onclick = () => show(next ?? '');
  phone.on('missed_count', count);
  count();
  return show;
}
