// Who there is and how they stand, and the devices they are connected with.

import { badge, button, link, put, table } from './table.js';

/** @typedef {import('./types').User} User @typedef {import('./types').Session} Session */

/**
 * @param {import('./types').App} app @param {ReturnType<import('./format.js').formats>} format
 * @returns {import('./types').View}
 */
export function devices(app, format) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById('find-users'));
  const fields = /** @type {Record<string, HTMLInputElement>} */ (/** @type {unknown} */ (form.elements));
  const find = () => app.go({ q: fields.q.value.trim(), status: fields.status.value, cursor: '' }, { replace: true });
  /** @type {ReturnType<typeof setTimeout>} */
  let typing;
  form.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(find, 250);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    clearTimeout(typing);
    find();
  });
  const more = /** @type {HTMLAnchorElement} */ (document.getElementById('more-users'));
  const all = /** @type {HTMLElement} */ (document.getElementById('all-devices'));

  const close = (/** @type {HTMLButtonElement} */ pressed, /** @type {Session} */ one) => app.act(pressed, async () => {
    const places = { device: one.device_id, user: format.person(one.user_id, one.name) };
    if (!await app.confirm(app.t('close_title'), app.t('close_text', places), app.t('close'))) return '';
    await app.api(`/api/admin/sessions/${encodeURIComponent(one.id)}/close`, {}, { method: 'POST' });
    return app.t('closed_device', places);
  });

  const showUsers = table(/** @type {HTMLElement} */ (document.querySelector('#users')), app, (/** @type {User} */ user) => String(user.user_id), [
    { head: 'user', holds: 'people', cell: (cell, user, row) => {
      row.dataset.user = String(user.user_id);
      put(cell, format.person(user.user_id, user.name));
    } },
    { head: 'status', cell: (cell, user) => badge(cell, user.status, app.word('user', user.status)) },
    { head: 'last_seen', cell: (cell, user) => put(cell, format.time(user.last_seen)) },
    { head: 'in_call_with', holds: 'people', cell: (cell, user) => put(cell, user.current_call_with ?? '–') },
    { head: 'devices', cell: (cell, user) => link(cell, `?view=devices&user=${encodeURIComponent(user.user_id)}`,
      format.number(user.devices), app.t('devices_of', { user: user.user_id, count: user.devices })) },
    { head: 'calls', cell: (cell, user) => link(cell, `?view=history&user=${encodeURIComponent(user.user_id)}`,
      app.t('history'), app.t('calls_of', { user: user.user_id })) },
  ]);
  const showSessions = table(/** @type {HTMLElement} */ (document.querySelector('#sessions')), app, (/** @type {Session} */ one) => String(one.id), [
    { head: 'device', holds: 'id', cell: (cell, one, row) => {
      row.dataset.session = String(one.id);
      cell.title = one.device_id;
      put(cell, one.device_id);
    } },
    { head: 'user', holds: 'people', cell: (cell, one) => put(cell, format.person(one.user_id, one.name)) },
    { head: 'status', cell: (cell, one) => badge(cell, one.status, app.word('user', one.status)) },
    { head: 'kind', cell: (cell, one) => put(cell, app.word('kind', one.kind)) },
    { head: 'address', cell: (cell, one) => put(cell, one.address ?? '–') },
    { head: 'connected', cell: (cell, one) => put(cell, format.time(one.connected_at)) },
    { head: 'last_seen', cell: (cell, one) => put(cell, format.time(one.last_seen)) },
    { head: 'call', cell: (cell, one) => {
      if (one.call_id === null) cell.replaceChildren('–');
      else {
        if (!cell.firstElementChild) cell.replaceChildren();
        link(cell, `?view=history&call=${one.call_id}`, `#${one.call_id}`, app.t('open_call', { id: one.call_id }));
      }
    } },
    { head: 'actions', cell: (cell, one) => {
      // The device of a user's REST requests has no socket that could be closed.
      if (one.kind !== 'http') button(cell, 'close', app.t('close'), app.t('close_of', { device: one.device_id, user: one.user_id }), (it) => close(it, one));
    } },
  ]);

  return {
    parts: ['users', 'calls'],
    enter(at) {
      if (document.activeElement !== fields.q) fields.q.value = at.get('q') ?? '';
      fields.status.value = at.get('status') ?? '';
    },
    async load(at, signal) {
      const user = at.get('user') ?? undefined;
      const query = { q: at.get('q') || undefined, status: at.get('status') || undefined, cursor: at.get('cursor') || undefined, limit: 50 };
      const [people, sockets] = await Promise.all([
        app.api('/api/users', query, { signal }),
        app.api('/api/admin/sessions', { user }, { signal }),
      ]);
      showUsers(people.users);
      showSessions(sockets.sessions);
      all.hidden = user === undefined;
      put(/** @type {Element} */ (document.getElementById('whose-devices')), user === undefined ? app.t('all_devices') : app.t('devices_of_user', { user }));
      more.hidden = !people.next_cursor;
      const next = new URLSearchParams(at);
      next.set('cursor', people.next_cursor ?? '');
      more.href = `?${next}`;
    },
  };
}
