// The service as the signed-in administrator, through the client library: this browser is one of their devices,
// so a call to them rings here, too.

import { Switchboard } from '../sdk/switchboard.js';

const TIMEOUT = 10_000;

/** @typedef {Record<string, string | number | undefined>} Query @typedef {import('../sdk/switchboard.js').Call} Call */

/** @param {string} path @param {Query} query */
function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * @param {{ user: string, token: () => Promise<string> }} who
 * @param {import('../shared/i18n.js').Tag} lang
 * @param {(connected: boolean) => void} turned The service tells what changes, or does not.
 * @param {(parts: string[]) => void} changed
 */
export function service({ user, token }, lang, turned, changed) {
  const phone = new Switchboard({ user, token });
  // Asked at each connection: one that could not be resumed knows nothing of the one before. Without it the page goes on
  // by asking; what is wrong with the token REST says as well.
  phone.on('state', async (state) => {
    turned(state === 'connected' && await phone.request({ type: 'admin_subscribe' }).then(() => true, () => false));
  });
  phone.on('message', ({ type, parts }) => {
    if (type === 'admin_changed') changed(parts);
  });
  // What rings and shows the call is the widget's, and loaded with the first call: most who look at numbers never need it.
  /** @type {Promise<(call: Call) => void> | undefined} */
  let ringer;
  phone.on('incoming', (call) => {
    ringer ??= import('../sdk/widget.js').then((widget) => widget.ringer(lang));
    ringer.then((ring) => ring(call), () => {
      ringer = undefined;
    });
  });

  return {
    /** @param {string} path @param {Query} [query] @param {RequestInit} [init] */
    api: (path, query = {}, init = {}) => {
      const late = AbortSignal.timeout(TIMEOUT);
      return phone.fetch(address(path, query), { ...init, signal: init.signal ? AbortSignal.any([init.signal, late]) : late });
    },
    open: () => void phone.connect().catch(() => {}),
    close: () => phone.close(),
  };
}
