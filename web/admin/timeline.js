// One call: who was in it, and what happened when, from its start on.

import { clock } from '../shared/i18n.js';
import { el, keyed, put } from './table.js';

/** @typedef {import('./types').Call} Call @typedef {import('./types').CallEvent} CallEvent */

/** @param {import('./types').App} app @param {ReturnType<import('./format.js').formats>} format */
export function timeline(app, format) {
  const panel = /** @type {HTMLElement} */ (document.getElementById('timeline'));
  const title = /** @type {HTMLElement} */ (panel.querySelector('h2'));
  const list = /** @type {HTMLElement} */ (panel.querySelector('ol'));
  const facts = /** @type {HTMLElement} */ (panel.querySelector('dl'));
  const shut = /** @type {HTMLButtonElement} */ (panel.querySelector('button'));
  let shown = '';
  let opened = false;
  shut.onclick = () => {
    const id = shown;
    app.go({ call: '' });
    /** @type {HTMLElement | null} */ (document.querySelector(`#history [data-call="${CSS.escape(id)}"] a`))?.focus();
  };

  /** `+0:03.2` @param {string} start @param {string} at */
  const after = (start, at) => {
    const ms = Math.max(0, Date.parse(at) - Date.parse(start));
    return `+${clock(ms / 1000)}.${Math.floor(ms / 100) % 10}`;
  };

  /** @param {Call} call @param {CallEvent[]} events */
  function render(call, events) {
    keyed(facts, [
      ['outcome', call.reason ? app.word('reason', call.reason) : app.word('status', call.status)],
      ['type', app.word('type', call.call_type)],
      ['started', format.date(call.started_at)],
      ['time_to_answer', call.answered_at ? format.wait(Date.parse(call.answered_at) - Date.parse(call.started_at)) : '–'],
      ['duration', call.answered_at && call.ended_at ? format.length(call.duration_seconds) : '–'],
      ['participants', format.list(call.participants.map(({ user_id, role, state }) => `${user_id} (${app.word('role', role)} · ${app.word('leg', state)})`))],
    ], ([name]) => name, ([name]) => el('div', {}, el('dt', {}, app.t(name)), el('dd')),
    (row, [, text]) => put(/** @type {Element} */ (row.lastElementChild), text));
    keyed(list, events, ({ seq }) => String(seq), ({ at, what, who, detail }) => {
      const offset = el('time', { datetime: at, title: format.date(at), dir: 'ltr' }, after(call.started_at, at));
      const words = [app.word('what', what), who === null ? '' : String(who), detail ? app.word('reason', detail) : ''];
      return el('li', { class: `is-${what}` }, offset, el('span', {}, words.filter(Boolean).join(' · ')));
    }, () => {});
  }

  return {
    /** @param {URLSearchParams} at */
    enter(at) {
      const id = at.get('call') ?? '';
      for (const row of document.querySelectorAll('#history [data-call]')) {
        row.classList.toggle('chosen', /** @type {HTMLElement} */ (row).dataset.call === id);
      }
      panel.hidden = !id;
      panel.parentElement?.classList.toggle('split', Boolean(id));
      if (id === shown) return;
      shown = id;
      list.replaceChildren();
      facts.replaceChildren();
      put(title, app.t('call_number', { id }));
      opened = Boolean(id);
    },
    /** @param {URLSearchParams} at @param {AbortSignal} signal */
    async load(at, signal) {
      const id = at.get('call');
      if (!id) return;
      const path = `/api/calls/${encodeURIComponent(id)}`;
      try {
        const [{ call }, { events }] = await Promise.all([app.api(path, {}, { signal }), app.api(`${path}/events`, {}, { signal })]);
        render(call, events);
      } catch (error) {
        const { code } = /** @type {{ code?: string }} */ (error);
        if (code !== 'not_found' && code !== 'invalid') throw error;
        put(title, app.t('no_call', { id }));
      }
    },
    /** All that stands before it is there: reading goes on here, once. */
    reveal() {
      // Beside the list it is in sight already (admin.css).
      if (opened) title.focus({ preventScroll: matchMedia('(min-width: 80rem)').matches });
      opened = false;
    },
  };
}
