// The numbers of this moment and of today, and the calls that are live.

import { midnight } from './format.js';
import { badge, button, link, put, table } from './table.js';

/** @typedef {import('./types').App} App @typedef {import('./types').Overview} Overview @typedef {import('./types').LiveCall} LiveCall */

/**
 * Shows the numbers; `#overview` has an element for each.
 * @param {App} app @param {ReturnType<import('./format.js').formats>} format
 */
export function numbers(app, format) {
  const show = (/** @type {string} */ name, /** @type {number | null} */ value, /** @type {string} */ text) => {
    const element = /** @type {HTMLElement} */ (document.querySelector(`#overview [data-number="${name}"]`));
    element.dataset.value = value === null ? '' : String(value);
    put(element, text);
  };
  return async (/** @type {AbortSignal} */ signal) => {
    /** @type {Overview} */
    const now = await app.api('/api/admin/overview', { since: midnight() }, { signal });
    const active = now.calls.initiated + now.calls.ringing + now.calls.answered;
    for (const [name, value] of Object.entries({
      online: now.users.online, in_call: now.users.in_call, busy: now.users.busy, active_calls: active,
      missed_today: now.period.missed, devices: now.devices,
    })) show(name, value, format.number(value));
    show('answer_rate', now.period.answer_rate, format.percent(now.period.answer_rate));
    show('median_time_to_answer', now.period.median_time_to_answer_ms, format.wait(now.period.median_time_to_answer_ms));
    put(/** @type {Element} */ (document.getElementById('node')), app.t(now.node.draining ? 'node_draining' : 'node', {
      id: now.node.id, version: now.node.version, since: format.time(now.node.started_at),
    }));
    return now;
  };
}

/**
 * @param {App} app @param {ReturnType<import('./format.js').formats>} format
 * @returns {import('./types').View}
 */
export function overview(app, format) {
  const end = (/** @type {HTMLButtonElement} */ pressed, /** @type {LiveCall} */ call) => app.act(pressed, async () => {
    const people = format.list(call.participants.map(({ user_id, name }) => format.person(user_id, name)));
    if (!await app.confirm(app.t('end_title', { id: call.id }), app.t('end_text', { people }), app.t('end'))) return '';
    await app.api(`/api/admin/calls/${call.id}/kill`, {}, { method: 'POST' });
    return app.t('ended_call', { id: call.id });
  });
  const show = table(/** @type {HTMLElement} */ (document.querySelector('#live table')), app, (/** @type {LiveCall} */ call) => String(call.id), [
    { head: 'call', cell: (cell, call, row) => {
      row.dataset.call = String(call.id);
      link(cell, `?view=history&call=${call.id}`, `#${call.id}`, app.t('open_call', { id: call.id }));
    } },
    { head: 'caller', holds: 'people', cell: (cell, call) => put(cell, format.person(call.caller_id, call.caller_name)) },
    { head: 'callees', holds: 'people', cell: (cell, { participants }) => put(cell, format.list(participants.filter(({ role }) => role === 'callee')
      .map(({ user_id, name, state }) => `${format.person(user_id, name)} · ${app.word('leg', state)}`))) },
    { head: 'type', cell: (cell, call) => put(cell, app.word('type', call.call_type)) },
    { head: 'status', cell: (cell, call) => badge(cell, call.status, app.word('status', call.status)) },
    { head: 'started', cell: (cell, call) => put(cell, format.time(call.started_at)) },
    { head: 'answered_at', cell: (cell, call) => put(cell, format.time(call.answered_at)) },
    { head: 'actions', cell: (cell, call) => button(cell, 'end danger', app.t('end'), app.t('end_title', { id: call.id }), (one) => end(one, call)) },
  ]);
  return {
    parts: ['calls', 'users'],
    async load(_, signal) {
      show((await app.api('/api/admin/calls', {}, { signal })).calls);
    },
  };
}
