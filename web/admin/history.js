// Every call there was, filtered and in pages, all of it in the address; as CSV; and one call's course.

import { badge, link, put, table } from './table.js';
import { timeline } from './timeline.js';

/** @typedef {import('./types').Call} Call @typedef {HTMLInputElement | HTMLSelectElement} Field */

const FILTERS = ['user', 'peer', 'status', 'reason', 'type', 'since', 'until', 'missed'];
const PAGE = 50;

/** A time of the address as an input field has it: local, to the minute. @param {string} at */
function local(at) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return '';
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/**
 * @param {import('./types').App} app @param {ReturnType<import('./format.js').formats>} format
 * @returns {import('./types').View}
 */
export function history(app, format) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById('filters'));
  const csv = /** @type {HTMLButtonElement} */ (document.getElementById('csv'));
  const next = /** @type {HTMLAnchorElement} */ (document.getElementById('next-page'));
  const previous = /** @type {HTMLAnchorElement} */ (document.getElementById('previous-page'));
  const problem = /** @type {HTMLElement} */ (document.getElementById('filter-problem'));
  const course = timeline(app, format);
  const field = (/** @type {string} */ name) => /** @type {Field} */ (form.elements.namedItem(name));
  const isTime = (/** @type {string} */ name) => name === 'since' || name === 'until';

  function apply() {
    /** @type {Record<string, string>} */
    const changes = { cursor: '', call: '' };
    for (const name of FILTERS) {
      const value = field(name).value.trim();
      // Times go into the address as everybody understands them, whatever their time zone.
      changes[name] = value && isTime(name) ? new Date(value).toISOString() : value;
    }
    app.go(changes);
  }
  form.addEventListener('change', apply);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    apply();
  });
  form.addEventListener('reset', () => app.go(Object.fromEntries([...FILTERS, 'cursor', 'call'].map((name) => [name, '']))));

  /** The filters of the address, for a request. @param {URLSearchParams} at */
  const filters = (at) => Object.fromEntries(FILTERS.map((name) => [name, at.get(name) || undefined]));

  csv.onclick = () => app.act(csv, async () => {
    const text = await app.api('/api/calls.csv', filters(app.at()));
    const url = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
    const a = document.createElement('a');
    a.href = url;
    a.download = 'calls.csv';
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    return app.t('csv_ready');
  });

  const show = table(/** @type {HTMLElement} */ (document.querySelector('#history table')), app, (/** @type {Call} */ call) => String(call.id), [
    { head: 'call', cell: (cell, call, row) => {
      row.dataset.call = String(call.id);
      const to = new URLSearchParams(app.at());
      to.set('call', String(call.id));
      link(cell, `?${to}`, `#${call.id}`, app.t('open_call', { id: call.id }));
      row.classList.toggle('chosen', app.at().get('call') === String(call.id));
    } },
    { head: 'started', cell: (cell, call) => put(cell, format.time(call.started_at)) },
    { head: 'caller', holds: 'people', cell: (cell, call) => put(cell, format.person(call.caller_id, call.caller_name)) },
    { head: 'callees', holds: 'people', cell: (cell, call) => put(cell, format.list(call.callee_ids.map(String))) },
    { head: 'type', cell: (cell, call) => put(cell, app.word('type', call.call_type)) },
    { head: 'outcome', cell: (cell, call) => badge(cell, call.status, call.reason ? app.word('reason', call.reason) : app.word('status', call.status)) },
    { head: 'duration', cell: (cell, call) => put(cell, call.answered_at && call.ended_at ? format.length(call.duration_seconds) : '–') },
  ]);

  /** What was found last, so that it is said once and not with each refresh. */
  let said = '';
  return {
    parts: ['calls', 'missed'],
    enter(at) {
      for (const name of FILTERS) {
        const value = at.get(name) ?? '';
        field(name).value = isTime(name) ? local(value) : value;
      }
      course.enter(at);
    },
    async load(at, signal) {
      // The cursors of the pages up to this one, so that there is a way back.
      const trail = at.get('cursor')?.split(',').filter(Boolean) ?? [];
      const opened = course.load(at, signal);
      // Awaited below; until then its failure is not unhandled.
      opened.catch(() => {});
      let page;
      try {
        page = await app.api('/api/calls', { ...filters(at), limit: PAGE, cursor: trail.at(-1) }, { signal });
        problem.textContent = '';
      } catch (error) {
        // A filter that cannot be: the user's to mend, not a service that is away.
        if (/** @type {{ code?: string }} */ (error).code !== 'invalid') throw error;
        put(problem, app.t('bad_filter', { message: /** @type {Error} */ (error).message }));
        page = { calls: [], next_cursor: null };
      }
      show(page.calls);
      const way = (/** @type {HTMLAnchorElement} */ a, /** @type {string[] | null} */ cursors) => {
        const to = new URLSearchParams(at);
        to.delete('call');
        to.delete('cursor');
        if (cursors?.length) to.set('cursor', cursors.join(','));
        a.hidden = cursors === null;
        a.href = `?${to}`;
      };
      way(next, page.next_cursor ? [...trail, String(page.next_cursor)] : null);
      way(previous, trail.length ? trail.slice(0, -1) : null);
      put(/** @type {Element} */ (document.getElementById('page-number')), app.t('page', { page: trail.length + 1 }));
      const place = JSON.stringify([filters(at), trail]);
      if (said && said !== place) app.say(app.t('found', { count: page.calls.length }));
      said = place;
      await opened;
      course.reveal();
    },
  };
}
