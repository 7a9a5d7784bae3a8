// Who looks at the dashboard, and by which token. In dev mode the service makes one; else it comes by the
// address (`#token=…`, taken out of it at once) or by the form, and is kept for this tab.

import { bearer } from '../shared/token.js';

const TOKEN = 'switchboard.admin.token';
const USER = 'switchboard.admin.user';

/** Takes out of the address what is not to stay there. @param {URL} url */
function clean(url) {
  history.replaceState(null, '', url);
}

/** What the address says of who this is. */
export function readAddress() {
  const url = new URL(location.href);
  const token = new URLSearchParams(url.hash.slice(1)).get('token');
  if (token) {
    sessionStorage.setItem(TOKEN, token);
    url.hash = '';
    clean(url);
  }
  // In the address of a view `user` is a filter.
  const user = url.searchParams.get('user');
  if (user && !url.searchParams.has('view')) {
    sessionStorage.setItem(USER, user);
    url.searchParams.delete('user');
    clean(url);
  }
}

async function devToken() {
  const user = sessionStorage.getItem(USER) ?? 'admin';
  const answer = await fetch(new URL('../api/dev/token', import.meta.url), { method: 'POST', body: JSON.stringify({ user, role: 'admin' }) });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return String((await answer.json()).token);
}

/**
 * Who this is and where their tokens come from; why the token that is kept is not taken; null where the form has to be
 * asked.
 * @param {boolean} dev
 * @returns {Promise<{ user: string, token: () => Promise<string>, refused?: undefined } | { refused: string } | null>}
 */
export async function identity(dev) {
  const kept = sessionStorage.getItem(TOKEN);
  if (kept) {
    const { user, refused } = await bearer(kept);
    return user === undefined ? { refused } : { user, token: async () => kept };
  }
  return dev ? { user: sessionStorage.getItem(USER) ?? 'admin', token: devToken } : null;
}

/** @param {string} token */
export function keep(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function forget() {
  sessionStorage.removeItem(TOKEN);
  sessionStorage.removeItem(USER);
}
