// The lists of the page: people with how they stand, calls that were, how many were missed.

import { clock } from '../shared/i18n.js';
import { avatar, icon } from '../sdk/parts.js';

/** @typedef {import('./types.js').Page} Page */
/** @typedef {import('./types.js').Person} Person */

/** An element of the page that is there. @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/** Words an element shows; a screen reader hears of them only where they are others than before. @param {string} id @param {string} words */
export function say(id, words) {
  if ($(id).textContent !== words) $(id).textContent = words;
}

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
export function element(tag, kind, ...inside) {
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

/** Rows of people shown at a time; with more of them than `FEW` there is a field to find one. */
const STEP = 25;
const FEW = 6;

/** Whom a socket may watch. */
const WATCHED = 1000;

/**
 * Who can be called: who is kept here, who was in a call before, and whom the service lists.
 * @param {Page} page
 */
export function people({ phone, me, lang, directory, t, dial }) {
  const stored = `switchboard.people.${me}`;
  /** @type {Map<string, Person>} */
  const known = new Map();
  const { compare } = new Intl.Collator(lang, { numeric: true });
  const list = $('people');
  let shown = STEP;
  let soon = false;
  /** Whether there is somebody new to watch, or somebody gone. */
  let others = true;
  let unwatch = () => {};
  /** @type {string | null} Where the next people of the directory are. */
  let cursor = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let asking;

  const nameOf = (/** @type {string} */ id) => known.get(id)?.name || id;
  const save = () => localStorage.setItem(stored, JSON.stringify([...known.values()].filter((one) => one.kept).map((one) => one.id)));
  const sought = () => $('find').value.trim().toLocaleLowerCase(lang);
  const away = (/** @type {Person} */ { status }) => Number(status === 'offline');

  /** @param {string} id */
  function forget(id) {
    known.get(id)?.row?.remove();
    known.delete(id);
    save();
    settle(true);
    $('callee').focus();
  }

  /** Writes somebody's row, which is made when it is shown first. @param {Person} person */
  function fill(person) {
    const { id, kept, row } = person;
    if (!row) return;
    const name = nameOf(id);
    const tools = element('div', 'row',
      button('voice', 'phone', t('voice_to', { name }), () => dial([id], 'voice')),
      button('video', 'video', t('video_to', { name }), () => dial([id], 'video')));
    if (kept) tools.append(button('forget', 'close', t('forget', { name }), () => forget(id)));
    row.dataset.user = id;
    row.replaceChildren(avatar(name), element('div', 'who', element('bdi', 'name', name), element('span', 'quiet status')), tools);
    show(person);
  }

  /** @param {Person} person */
  function show({ status, lastSeen, row }) {
    if (!row) return;
    row.dataset.status = status;
    const seen = status === 'offline' && lastSeen;
    row.getElementsByClassName('status')[0].textContent = seen ? t('last_seen', { when: ago(lang, lastSeen) }) : t(status);
  }

  /** Somebody there is. @param {string | number} anyId @param {string | null} [name] @param {boolean} [kept] */
  function know(anyId, name, kept = false) {
    const id = String(anyId);
    const before = known.get(id);
    // A name that is but the id says nothing.
    const named = name && name !== id ? name : (before?.name ?? '');
    if (id === me || (before && named === before.name && (before.kept || !kept))) return;
    const person = { status: 'offline', ...before, id, name: named, kept: kept || !!before?.kept };
    known.set(id, person);
    fill(person);
    if (kept) save();
    settle(!before);
  }

  /** How somebody stands now. @param {import('./types.js').Standing} user */
  function stand({ id, status, lastSeen }) {
    const person = known.get(String(id));
    if (!person) return;
    const before = away(person);
    Object.assign(person, { status, lastSeen });
    show(person);
    if (away(person) !== before) settle();
  }

  /** The rows that are shown, in order: who is kept here, who is there, the others. */
  function arrange() {
    const found = [...known.values()].filter(({ id, name }) => `${id} ${name}`.toLocaleLowerCase(lang).includes(sought()));
    found.sort((a, b) => Number(b.kept) - Number(a.kept) || away(a) - away(b) || compare(nameOf(a.id), nameOf(b.id)));
    const rows = found.slice(0, shown).map((person) => {
      if (!person.row) fill(Object.assign(person, { row: document.createElement('li') }));
      return /** @type {HTMLLIElement} */ (person.row);
    });
    // Nothing moves under a finger that is about to touch it; who is new comes last, then.
    if (list.matches(':hover, :focus-within')) list.append(...rows.filter((row) => !row.isConnected));
    else if (rows.length !== list.children.length || rows.some((row, place) => row !== list.children[place])) list.replaceChildren(...rows);
    $('find').hidden = known.size <= FEW;
    say('no-people', found.length ? '' : t(known.size ? 'nobody_found' : 'no_people'));
    $('more-people').hidden = found.length <= shown && !cursor;
  }

  /** Shows and watches them, once for a batch of changes. @param {boolean} [changed] whether it is others than before */
  function settle(changed = false) {
    others ||= changed;
    if (soon) return;
    soon = true;
    queueMicrotask(() => {
      soon = false;
      arrange();
      if (!others) return;
      others = false;
      const before = unwatch;
      unwatch = phone.presence.watch([...known.keys()].slice(0, WATCHED), stand);
      before();
    });
  }

  /** @param {Record<string, string>} what */
  async function ask(what) {
    const q = sought();
    const page = await phone.fetch(`/api/users?${new URLSearchParams({ limit: '100', ...(q && { q }), ...what })}`);
    for (const { user_id: id, name, status, last_seen: lastSeen } of page.users) {
      know(id, name);
      stand({ id, status, lastSeen });
    }
    // Where somebody else is sought by now, the answer to that says what is next.
    if (q === sought() && !what.status) cursor = page.next_cursor;
    settle();
  }

  /** The users the service lists: who is there, and the first or the next of all. @param {boolean} [next] */
  async function look(next = false) {
    try {
      await Promise.all(next && cursor ? [ask({ cursor })] : [ask({ status: 'online' }), ask({})]);
    } catch {
      // Who is kept here and the history are there all the same; the next connection asks again.
    }
  }

  $('find').placeholder = t('find');
  $('find').oninput = () => {
    shown = STEP;
    cursor = null;
    arrange();
    clearTimeout(asking);
    if (directory) asking = setTimeout(look, 250);
  };
  $('more-people').onclick = () => {
    shown += STEP;
    arrange();
    if (cursor && shown > list.children.length) void look(true);
  };
  for (const left of ['pointerleave', 'focusout']) list.addEventListener(left, () => settle());
  for (const id of JSON.parse(localStorage.getItem(stored) ?? '[]')) know(id, '', true);
  settle(true);
  return { know, nameOf, look, ids: () => [...known.keys()] };
}

/** @param {Page} page @param {ReturnType<typeof people>} folk */
export function history(page, folk) {
  const { phone, me, lang, t, names, dial } = page;
  /** @type {string | null} */
  let next = null;

  /** A call that was. @param {string} type @param {string[]} ids @param {boolean} out @param {string} at @param {string} words @param {boolean} missed */
  function row(type, ids, out, at, words, missed) {
    const way = out ? 'out' : 'in';
    const when = element('time', '', ago(lang, at));
    when.title = new Date(at).toLocaleString(lang);
    const sign = element('span', missed ? 'way missed' : 'way');
    sign.innerHTML = icon(way);
    return element('li', '', sign,
      element('div', 'who', element('bdi', 'name', names(ids)),
        element('span', 'quiet', `${[t(way), t(`call_${type}`), words].join(' · ')} · `, when)),
      button('redial', type === 'video' ? 'video' : 'phone', t('redial', { name: names(ids) }), () => {
        $('missed-list')?.close();
        void dial(ids, type === 'video' ? 'video' : 'voice');
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
    return row(call.call_type, ids, out, call.started_at, words, missed);
  }

  /** @param {string} [cursor] the next page instead of the first */
  async function list(cursor) {
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

  $('missed').onclick = async () => {
    try {
      const { missed } = await import('./missed.js');
      await missed(page, folk, row);
    } catch {
      // Without a line to the service there is nothing to list, as the top of the page says.
    }
  };
  $('more-history').onclick = () => list(next ?? '');
  phone.on('missed_count', count);
  count();
  return list;
}
