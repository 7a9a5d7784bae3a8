// The socket: says hello, keeps it alive, comes back and goes on where it was.
import { SwitchboardError, refusal, typed } from './base.js';

/**
 * @typedef {Record<string, any>} Message
 * @typedef {string | (() => string | Promise<string>)} Token
 * @typedef {{ message: Message, keep: boolean, resolve: (answer: Message) => void, reject: (error: SwitchboardError) => void }} Waiting
 * @typedef {{
 *   state: (state: string) => void,
 *   welcome: (welcome: Message) => void,
 *   message: (message: Message) => void,
 *   error: (error: SwitchboardError) => void,
 *   renewed: () => void,
 *   engaged: () => boolean,
 * }} Owner
 */

/** Closed for good: coming back would end the same way. */
const FINAL = /** @type {Record<number, string>} */ ({
  1002: 'invalid', 1003: 'invalid', 1007: 'invalid', 1009: 'invalid',
  4400: 'invalid', 4401: 'unauthorized', 4403: 'forbidden', 4404: 'not_found', 4409: 'replaced',
});
const FIRST_RETRY = 500;
const LAST_RETRY = 15_000;
const PATIENCE = 10_000;
const PONG_PATIENCE = 5_000;

export class Connection {
  state = 'idle';
  /** @type {WebSocket | undefined} */
  #socket;
  #ready = false;
  #attempt = 0;
  #session = '';
  #seq = 0;
  #refs = 0;
  /** Counts what put an end to a dial under way: another one, or `close()`. */
  #dials = 0;
  #heard = 0;
  /** @type {Map<string, Waiting>} what waits for its answer, in the order it was said */
  #waiting = new Map();
  /** @type {Record<string, ReturnType<typeof setTimeout>>} */
  #timers = {};
  /** @type {string | undefined} */
  #token;
  #refused = false;
  /** @type {PromiseWithResolvers<void> | undefined} */
  #opening;
  /** @type {AbortController | undefined} */
  #watch;

  /**
   * @param {{ url: string, user: string, deviceId: string, token?: Token }} where
   * @param {Owner} owner
   */
  constructor(where, owner) {
    this.where = where;
    this.owner = owner;
  }

  open() {
    if (this.state === 'connected') return Promise.resolve();
    const opening = (this.#opening ??= Promise.withResolvers());
    opening.promise.catch(() => {});
    if (this.state === 'idle' || this.state === 'closed') {
      const { signal } = (this.#watch = new AbortController());
      for (const name of ['online', 'visibilitychange']) window.addEventListener(name, () => this.#wake(), { capture: true, signal });
      this.#enter('connecting');
      this.#dial();
    }
    return opening.promise;
  }

  /** @param {SwitchboardError} [error] why, where it is not as asked */
  close(error) {
    if (this.state === 'closed') return;
    this.#watch?.abort();
    this.#hangUp(1000);
    const why = error ?? new SwitchboardError('disconnected');
    for (const { reject } of this.#waiting.values()) reject(why);
    this.#waiting.clear();
    this.#session = '';
    this.#enter('closed');
    this.#opening?.reject(why);
    this.#opening = undefined;
    if (error) this.owner.error(error);
  }

  /** At once or not at all. @param {Message} message */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /**
   * Asks, and waits for the answer. What is kept survives the loss of the socket and is said again until it is answered.
   * @param {Message} message
   * @param {boolean} [keep]
   * @returns {Promise<Message>}
   */
  request(message, keep = false) {
    return new Promise((resolve, reject) => {
      // Resumed and not yet caught up, it waits with what is kept.
      if (this.state !== 'connected' && (!keep || this.state === 'closed')) return reject(new SwitchboardError('disconnected'));
      const ref = message.ref ?? `${(this.#refs += 1)}`;
      const waiting = { message: { ...message, ref }, keep, resolve, reject };
      this.#waiting.set(`${ref}`, waiting);
      if (this.#ready) this.send(waiting.message);
      if (keep) return;
      setTimeout(() => {
        // A page may use a `ref` again.
        if (this.#waiting.get(`${ref}`) === waiting) this.#waiting.delete(`${ref}`);
        reject(new SwitchboardError('timeout'));
      }, PATIENCE);
    });
  }

  /** A token that holds, where there are tokens; unless a fresh one is needed, the last, which is good for a call. */
  async token(fresh = false) {
    const { token } = this.where;
    const left = expiry(this.#token) - Date.now();
    try {
      if (typeof token !== 'function') this.#token = token?.trim();
      else if (fresh || !this.#token || left < 30_000) this.#token = (await token()).trim();
    } catch (error) {
      if (fresh || !this.#token) throw error;
    }
    return this.#token;
  }

  /** @param {string} state */
  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.owner.state(state);
  }

  /** @param {string} name @param {number} ms @param {() => void} f */
  #after(name, ms, f) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(f, Math.min(ms, 2 ** 31 - 1));
  }

  /** @param {number} [code] */
  #hangUp(code) {
    this.#dials += 1;
    for (const name in this.#timers) clearTimeout(this.#timers[name]);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ready = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  async #dial() {
    this.#hangUp();
    const dial = this.#dials;
    let token;
    try {
      token = await this.token(this.#refused);
    } catch (error) {
      if (dial !== this.#dials) return;
      this.owner.error(typed(error));
      return this.#retry();
    }
    // Meanwhile it was closed, or dialled anew.
    if (dial !== this.#dials) return;
    // No token has such characters, and a browser would not let them into the name of a subprotocol.
    if (token && /[^\w.~+-]/.test(token)) return this.#closed(4401, 'that is no token');
    const { url, user, deviceId } = this.where;
    const to = `${url.replace(/^http/, 'ws')}ws/${encodeURIComponent(user)}?device_id=${encodeURIComponent(deviceId)}`;
    const socket = (this.#socket = new WebSocket(to, token ? ['switchboard', `bearer.${token}`] : ['switchboard']));
    this.#after('pong', PATIENCE, () => this.#lost());
    socket.onopen = () =>
      this.send(this.#session ? { type: 'resume', session_id: this.#session, seq: this.#seq } : { type: 'hello' });
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  /** @param {Message} message */
  #receive(message) {
    this.#heard = Date.now();
    const { type, seq, ref } = message;
    if (type === 'welcome') return this.#welcome(message);
    if (seq !== undefined) {
      if (seq <= this.#seq) return;
      this.#seq = seq;
    }
    if (type === 'pong') {
      // What came before this answers all that reached the service before the socket was lost.
      if (!this.#ready && this.#session) this.#flush();
      return;
    }
    const waiting = ref !== undefined ? this.#answer(`${ref}`) : undefined;
    if (!waiting) return this.owner.message(message);
    if (type !== 'error') return waiting.resolve(message);
    if (message.code !== 'rate_limited' || !waiting.keep || waiting.message.idempotency_key) return waiting.reject(refusal(message));
    this.#waiting.set(`${ref}`, waiting);
    setTimeout(() => this.#waiting.has(`${ref}`) && this.#ready && this.send(waiting.message), message.retry_after_ms ?? 1000);
  }

  /** @param {string} ref */
  #answer(ref) {
    const waiting = this.#waiting.get(ref);
    this.#waiting.delete(ref);
    return waiting;
  }

  /** @param {Message} welcome */
  #welcome(welcome) {
    clearTimeout(this.#timers.pong);
    this.#session = welcome.session_id;
    this.#seq = welcome.seq;
    this.#attempt = 0;
    this.#refused = false;
    this.#beat(welcome.heartbeat_ms);
    this.#renew();
    if (welcome.recovered) this.send({ type: 'ping' });
    else this.#flush();
    this.#enter('connected');
    this.owner.welcome(welcome);
    this.#opening?.resolve();
    this.#opening = undefined;
  }

  #flush() {
    this.#ready = true;
    for (const { message } of this.#waiting.values()) this.send(message);
  }

  /** @param {number} every */
  #beat(every) {
    this.#after('beat', every, () => {
      this.#probe();
      this.#beat(every);
    });
  }

  /** Asks for a sign of life. */
  #probe() {
    const asked = Date.now();
    this.send({ type: 'ping' });
    this.#after('pong', PONG_PATIENCE, () => this.#heard < asked && this.#lost());
  }

  /** A new token before the old one expires. */
  #renew() {
    const left = expiry(this.#token) - Date.now();
    if (typeof this.where.token !== 'function' || !Number.isFinite(left)) return;
    const dial = this.#dials;
    this.#after('token', Math.max(left - Math.max(30_000, left / 10), 1000), async () => {
      const error = await this.token(true).then((token) => this.request({ type: 'token', token })).then(this.owner.renewed, typed);
      // An answer for a socket that is gone is no matter of the next.
      if (dial !== this.#dials) return;
      if (error) this.owner.error(error);
      this.#renew();
    });
  }

  #wake() {
    if (document.visibilityState === 'hidden') return;
    if (this.state === 'connected') this.#probe();
    else if (!this.#socket) this.#dial();
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    if (code === 4401 && !this.#refused && typeof this.where.token === 'function') {
      this.#refused = true;
      return this.#lost(0);
    }
    const final = reason === 'too many devices' ? 'too_many_devices' : FINAL[code];
    if (final) return this.close(new SwitchboardError(final, reason));
    if (code === 4429) return this.#lost(Number(/\d+/.exec(reason)?.[0] ?? 1000));
    // With a call under way: quickly enough for the time the service waits.
    const spread = this.owner.engaged() ? 2000 : 10_000;
    this.#lost(code >= 1011 && code <= 1013 ? Math.random() * spread : undefined);
  }

  /** @param {number} [wait] */
  #lost(wait) {
    this.#hangUp();
    for (const [ref, { keep, reject }] of this.#waiting) {
      if (keep) continue;
      this.#waiting.delete(ref);
      reject(new SwitchboardError('disconnected'));
    }
    if (this.state === 'connected') this.#enter('reconnecting');
    this.#retry(wait);
  }

  /** Full jitter: pages that lost the same service do not all come back at once. @param {number} [wait] */
  #retry(wait) {
    const limit = this.owner.engaged() ? LAST_RETRY / 5 : LAST_RETRY;
    const backoff = Math.random() * Math.min(limit, FIRST_RETRY * 2 ** this.#attempt++);
    this.#after('retry', wait ?? backoff, () => this.#dial());
  }
}

/** When a token expires, by `Date.now()`; never where there is none. @param {any} token */
function expiry(token) {
  try {
    const claims = JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
    return claims.exp * 1000 || Infinity;
  } catch {
    return Infinity;
  }
}
