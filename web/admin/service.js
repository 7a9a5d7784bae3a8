// The service as the signed-in administrator: the client library's connection, and REST with the same
// token. The rest of the library is about calls, which the dashboard does not make; so it is not loaded.

import { Connection } from '/sdk/connection.js';
import { SwitchboardError, refusal } from '/sdk/errors.js';

const TIMEOUT = 10_000;

/** @typedef {Record<string, string | number | undefined>} Query */

/** @param {string} path @param {Query} query */
function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * @param {{ user: string, token: () => Promise<string> }} who
 * @param {(connected: boolean) => void} turned The socket is there, or is not.
 * @param {(parts: string[]) => void} changed
 */
export function service({ user, token }, turned, changed) {
  const deviceId = `admin-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  const socket = new Connection({ url: `${location.origin}/`, user, deviceId, token }, {
    state: (state) => {
      if (state === 'connected') socket.request({ type: 'admin_subscribe' }, true).then(() => turned(true), () => turned(false));
      else turned(false);
    },
    message: ({ type, parts }) => {
      if (type === 'admin_changed') changed(parts);
    },
    welcome: () => {},
    // Without a socket the page goes on by asking; what is wrong with the token REST says as well.
    error: () => {},
    engaged: () => false,
  });

  /** @param {string} path @param {Query} [query] @param {RequestInit} [init] */
  async function raw(path, query = {}, init = {}) {
    const late = AbortSignal.timeout(TIMEOUT);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    let answer;
    try {
      const headers = { authorization: `Bearer ${await socket.token()}` };
      answer = await fetch(address(path, query), { ...init, headers, signal });
    } catch (error) {
      throw new SwitchboardError('disconnected', String(error));
    }
    if (answer.ok) return answer;
    const wait = Number(answer.headers.get('retry-after'));
    throw refusal({ retry_after_ms: wait ? wait * 1000 : undefined, ...await answer.json().catch(() => ({})) });
  }

  return {
    raw,
    /** @param {string} path @param {Query} [query] @param {RequestInit} [init] */
    api: async (path, query, init) => (await raw(path, query, init)).json(),
    open: () => void socket.open().catch(() => {}),
    close: () => socket.close(),
  };
}
