// Missed calls of everybody: those nobody has seen, then the latest that were seen.

import { button, link, put, table } from './table.js';

/** @typedef {import('./types').Missed} Missed */

/** How many are shown of each kind; what is older is in the history. */
const UNSEEN = 200;
const SEEN = 50;

/**
 * @param {import('./types').App} app @param {ReturnType<import('./format.js').formats>} format
 * @returns {import('./types').View}
 */
export function missed(app, format) {
  const all = /** @type {HTMLButtonElement} */ (document.getElementById('mark-all'));
  const heading = /** @type {HTMLElement} */ (document.getElementById('missed-count'));
  all.onclick = () => app.act(all, async () => {
    const { marked } = await app.api('/api/call/mark-all-seen', {}, { method: 'POST', body: '{}' });
    heading.focus();
    return app.t('marked', { count: marked });
  });
  const mark = (/** @type {HTMLButtonElement} */ pressed, /** @type {Missed} */ call) => app.act(pressed, async () => {
    // The row moves to the seen ones: whoever works through the list goes on with the next.
    const next = pressed.closest('tr')?.nextElementSibling?.querySelector('.mark');
    await app.api(`/api/call/mark-seen/${call.id}`, {}, { method: 'POST' });
    /** @type {HTMLElement} */ (next ?? heading).focus();
    return app.t('marked', { count: 1 });
  });
  const show = table(/** @type {HTMLElement} */ (document.querySelector('#missed table')), app,
    (/** @type {Missed} */ call) => `${call.id} ${call.callee_id}`, [
      { head: 'call', cell: (cell, call, row) => {
        row.dataset.call = String(call.id);
        row.dataset.seen = String(call.seen_by_callee);
        link(cell, `?view=history&call=${call.id}`, `#${call.id}`, app.t('open_call', { id: call.id }));
      } },
      { head: 'caller', holds: 'people', cell: (cell, call) => put(cell, format.person(call.caller_id, call.caller_name)) },
      { head: 'callee', holds: 'people', cell: (cell, call) => put(cell, call.callee_id) },
      { head: 'type', cell: (cell, call) => put(cell, app.word('type', call.call_type)) },
      { head: 'when', cell: (cell, call) => put(cell, format.time(call.call_time)) },
      { head: 'reason', cell: (cell, call) => put(cell, app.word('reason', call.reason)) },
      { head: 'seen', cell: (cell, call) => {
        if (call.seen_by_callee) cell.replaceChildren(app.t('seen_yes'));
        else {
          if (!cell.firstElementChild) cell.replaceChildren();
          button(cell, 'mark', app.t('mark'), app.t('mark_of', { id: call.id, user: call.caller_id }), (one) => mark(one, call));
        }
      } },
    ]);
  return {
    parts: ['missed', 'calls'],
    async load(_, signal) {
      const [unseen, seen] = await Promise.all([
        app.api('/api/call/missed', { unseen: 'true', limit: UNSEEN }, { signal }),
        app.api('/api/call/missed', { unseen: 'false', limit: SEEN }, { signal }),
      ]);
      show([...unseen.missed_calls, ...seen.missed_calls]);
      put(heading, app.t('unseen', { count: unseen.unseen_count }));
      all.disabled = unseen.unseen_count === 0;
    },
  };
}
