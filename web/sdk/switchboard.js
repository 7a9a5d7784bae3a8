// Presence and calls of one user, over one socket that keeps itself connected. See docs/CLIENT.md.
import { Emitter, SwitchboardError, query, refusal } from './base.js';
import { Call } from './call.js';
import { Connection } from './connection.js';
import { listDevices } from './peer.js';
import { Missed, Presence } from './people.js';

export { Call, SwitchboardError };
/**
 * @typedef {import('./connection.js').Message} Message
 * @typedef {import('./connection.js').Token} Token
 * @typedef {{ user: string | number, token?: Token, url?: string, deviceId?: string, rtc?: RTCConfiguration }} Options
 * @typedef {{ callId: number | string, from: { id: string, name: string }, type: string, reason: string }} MissedCall
 * @typedef {{
 *   state: string, call: Call, incoming: Call, missed: MissedCall, missed_count: number, devices: null, draining: null,
 *   error: SwitchboardError, message: Message,
 * }} Events
 */

/** @extends {Emitter<Events>} */
export class Switchboard extends Emitter {
  /** @type {Map<number | string, Call>} */
  calls = new Map();
  presence = new Presence(this);
  missed = new Missed(this);
  devices = {
    list: listDevices,
    /** @param {import('./peer.js').Chosen} changed */
    use: async (changed) => {
      Object.assign(this.chosen, changed);
      await Promise.all([...this.#live].map((call) => call.media.reopen(changed)));
    },
  };
  /** @internal @type {import('./peer.js').Chosen} */
  chosen = {};
  /** @internal @type {RTCConfiguration} */
  rtc = {};
  /** @type {Set<Call>} also those without a number yet */
  #live = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #iceTimer;
  #keys;
  #overlay;

  /** @param {Options} options */
  constructor({ user, token, url = new URL('..', import.meta.url).href, deviceId, rtc }) {
    super();
    this.user = `${user}`;
    this.url = url.replace(/\/*$/, '/');
    this.#keys = { device: `switchboard.device.${user}`, calls: `switchboard.calls.${user}` };
    this.#overlay = rtc;
    const id = deviceId ?? this.#tabsDevice();
    /** @internal */
    this.connection = new Connection({ url: this.url, user: this.user, deviceId: id, token }, {
      state: (state) => {
        for (const call of this.#live) call.away(state);
        this.emit('state', state);
      },
      welcome: (welcome) => this.#welcome(welcome),
      message: (message) => this.receive(message),
      error: (error) => this.emit('error', error),
      // Where the old token had expired, its watches had, too.
      renewed: () => this.presence.again(),
      engaged: () => this.#live.size > 0,
    });
    window.addEventListener('pagehide', ({ persisted }) => {
      if (!persisted) for (const call of this.#live) call.abandon();
      if (!deviceId) sessionStorage.setItem(this.#keys.device, id);
    });
    navigator.mediaDevices?.addEventListener('devicechange', () => this.emit('devices', null));
    const moved = () => this.#links((link) => link.restart());
    window.addEventListener('online', moved);
    /** @type {any} */ (navigator).connection?.addEventListener('change', moved);
  }

  get state() {
    return this.connection.state;
  }

  connect() {
    return this.connection.open();
  }

  close() {
    for (const call of this.#live) call.abandon();
    clearTimeout(this.#iceTimer);
    this.connection.close();
  }

  /**
   * @param {string | number | (string | number)[]} to
   * @param {import('./call.js').MediaOptions} [options]
   */
  async call(to, { type = 'voice', stream } = {}) {
    if (this.state !== 'connected') throw new SwitchboardError('disconnected');
    if (this.#live.size) throw new SwitchboardError('caller_busy');
    const call = this.#add(new Call(this, 'out', type, { id: this.user, name: this.user }));
    await call.dial([to].flat().map(String), stream);
    return call;
  }

  /** @param {Record<string, string | number | undefined>} [page] */
  async history(page = {}) {
    const { calls, next_cursor } = await this.fetch(`api/calls${query(page)}`);
    return { calls, next: next_cursor };
  }

  /** @param {string} path @param {RequestInit} [init] @returns {Promise<any>} */
  async fetch(path, init = {}) {
    const headers = new Headers(init.headers);
    const token = await this.connection.token();
    if (token) headers.set('authorization', `Bearer ${token}`);
    else headers.set('x-user-id', encodeURI(this.user));
    let answer;
    let body;
    try {
      answer = await fetch(this.url + path.replace(/^\//, ''), { ...init, headers });
      body = await answer[/json/.test(answer.headers.get('content-type') ?? '') ? 'json' : 'text']();
    } catch (error) {
      // Half an answer is none, but a refusal is one by its status alone.
      if (!answer || answer.ok) throw new SwitchboardError('disconnected', `${error}`);
    }
    const after = Number(answer.headers.get('retry-after'));
    if (!answer.ok) throw refusal({ retry_after_ms: after ? after * 1000 : undefined, ...body });
    return body;
  }

  /** @param {Message} message */
  request(message) {
    return this.connection.request(message);
  }

  // --- for the other modules -----------------------------------------------------------------------------------------

  /** @internal @param {Message} message */
  receive(message) {
    const { type, call_id } = message;
    if (this.presence.receive(message) || this.missed.receive(message)) return;
    if (type === 'call_invitation') return this.#invited(message);
    if (type === 'server_draining') return this.emit('draining', null);
    const call = this.calls.get(call_id);
    if (call) return void call.receive(message).catch(reportError);
    for (const one of this.#live) if (one.id === null && call_id) one.backlog.push(message);
    if (type === 'error') return this.emit('error', refusal(message));
    if (!call_id) this.emit('message', message);
  }

  /** @internal @param {Call} call has its number now */
  numbered(call) {
    if (call.id === null) return;
    this.calls.set(call.id, call);
    this.#remember();
    for (const message of call.backlog.splice(0)) if (message.call_id === call.id) this.receive(message);
  }

  /** @internal @param {Call} call */
  over(call) {
    this.#live.delete(call);
    if (call.id !== null && this.calls.get(call.id) === call) this.calls.delete(call.id);
    this.#remember();
  }

  /** @internal @param {Call} call asks how it stands; ends it here if it is over */
  async settle(call) {
    if (call.state === 'ended') return;
    const found = await this.fetch(`api/calls/${call.id}`).catch((error) => error);
    const record = found.call;
    if (!record && found.code !== 'not_found') return;
    const mine = record?.participants?.find((/** @type {any} */ one) => `${one.user_id}` === this.user);
    if (!record || record.reason || mine?.reason) call.end(record?.reason ?? mine?.reason ?? 'failed');
  }

  // --- own -----------------------------------------------------------------------------------------------------------

  /** @param {(link: import('./peer.js').Link) => void} f */
  #links(f) {
    for (const call of this.#live) call.links(f);
  }

  /** @param {Call} call */
  #add(call) {
    this.#live.add(call);
    this.emit('call', call);
    return call;
  }

  /** @param {Message} message */
  #invited(message) {
    const from = `${message.from_user_id}`;
    const known = this.calls.get(message.call_id);
    if (known) return void known.ring(message).catch(reportError);
    for (const call of this.#live) {
      if (call.id !== null || !call.peers.has(from) || call.peers.size > 1) continue;
      // Theirs crosses ours: what the service says to ours tells what becomes of it.
      call.invitation = message;
      return;
    }
    const type = message.call_type === 'video' ? 'video' : 'voice';
    const call = new Call(this, 'in', type, { id: from, name: message.from_name ?? from });
    this.#live.add(call);
    void call.ring(message);
    this.calls.set(message.call_id, call);
    this.emit('call', call);
    this.emit('incoming', call);
  }

  /** @param {Message} welcome */
  #welcome({ recovered, calls, unseen_missed, ice_servers }) {
    this.#ice(ice_servers);
    this.missed.counted(unseen_missed);
    if (recovered) return;
    this.presence.again();
    for (const call of this.#live) {
      if (call.id === null) continue;
      if (!calls?.some((/** @type {any} */ one) => one.call_id === call.id)) void this.settle(call);
      // It does not know what we told each other last.
      else call.links((link) => link.resync());
    }
    // What this tab was in before it was loaded anew.
    const before = JSON.parse(sessionStorage.getItem(this.#keys.calls) ?? '[]');
    for (const { call_id, ringing_here } of calls ?? []) {
      if (before.includes(call_id) && !this.calls.has(call_id) && !ringing_here) this.connection.send({ type: 'call_ended', call_id });
    }
    this.#remember();
  }

  /** @param {RTCIceServer[]} iceServers */
  #ice(iceServers) {
    this.#configure(iceServers);
    clearTimeout(this.#iceTimer);
    // Only REST says how long credentials hold.
    if (iceServers.some((server) => server.credential)) void this.#renewIce();
  }

  /** @param {RTCIceServer[]} iceServers */
  #configure(iceServers) {
    this.rtc = { iceServers, ...this.#overlay };
    this.#links((link) => link.configure(this.rtc));
  }

  async #renewIce() {
    let wait = 60_000;
    try {
      const { ice_servers, ttl_seconds } = await this.fetch('api/ice-servers');
      this.#configure(ice_servers);
      wait = ttl_seconds * 750;
    } catch {
      // The next time, then.
    }
    if (this.state === 'closed') return;
    clearTimeout(this.#iceTimer);
    this.#iceTimer = setTimeout(() => this.#renewIce(), Math.min(wait, 2 ** 31 - 1));
  }

  #remember() {
    sessionStorage.setItem(this.#keys.calls, JSON.stringify([...this.calls.keys()]));
  }

  /** The same after a reload. It is taken out meanwhile, so that a copy of the tab is not the same device. */
  #tabsDevice() {
    const id = sessionStorage.getItem(this.#keys.device) ?? `web-${crypto.getRandomValues(new Uint32Array(3)).join('-')}`;
    sessionStorage.removeItem(this.#keys.device);
    return id;
  }
}
