// Who is there, and who called in vain.
import { query, tell } from './base.js';

/**
 * @typedef {import('./switchboard.js').Switchboard} Switchboard
 * @typedef {import('./connection.js').Message} Message
 * @typedef {{ id: string, status: string, lastSeen: string | null }} Person
 */

export class Presence {
  #phone;
  /** @type {Map<string, Set<(user: Person) => void>>} */
  #watchers = new Map();
  /** @type {Map<string, Person & { version: number }>} */
  #known = new Map();

  /** @internal @param {Switchboard} phone */
  constructor(phone) {
    this.#phone = phone;
  }

  /**
   * @param {(string | number)[]} ids
   * @param {(user: Person) => void} seen
   * @returns {() => void}
   */
  watch(ids, seen) {
    const users = ids.map(String);
    const fresh = users.filter((id) => !this.#watchers.has(id));
    for (const id of users) {
      const all = this.#watchers.get(id) ?? new Set();
      this.#watchers.set(id, all.add(seen));
      const known = this.#known.get(id);
      if (known) queueMicrotask(() => all.has(seen) && seen(known));
    }
    this.#tell('presence_subscribe', fresh);
    return () => {
      const gone = users.filter((id) => {
        const all = this.#watchers.get(id);
        if (!all?.delete(seen) || all.size) return false;
        this.#known.delete(id);
        return this.#watchers.delete(id);
      });
      this.#tell('presence_unsubscribe', gone);
    };
  }

  /** @internal A new session watches nobody yet. */
  again() {
    this.#known.clear();
    this.#tell('presence_subscribe', [...this.#watchers.keys()]);
  }

  /** @internal @param {Message} message */
  receive({ type, users }) {
    if (type !== 'presence_snapshot' && type !== 'presence_changed') return false;
    for (const { user_id, status, last_seen, version } of users) {
      const person = { id: `${user_id}`, status, lastSeen: last_seen, version };
      const known = this.#known.get(person.id);
      const watchers = this.#watchers.get(person.id);
      if (!watchers || (known && known.version >= version && known.status === status)) continue;
      this.#known.set(person.id, person);
      tell(watchers, person);
    }
    return true;
  }

  /** @param {string} type @param {string[]} user_ids */
  #tell(type, user_ids) {
    if (user_ids.length) this.#phone.connection.send({ type, user_ids });
  }
}

export class Missed {
  /** Unseen ones. */
  count = 0;
  #phone;

  /** @internal @param {Switchboard} phone */
  constructor(phone) {
    this.#phone = phone;
  }

  /** @param {{ limit?: number, cursor?: string }} [page] */
  async list({ limit = 100, cursor } = {}) {
    const { missed_calls, next_cursor, unseen_count } = await this.#phone.fetch(`api/call/missed${query({ limit, cursor })}`);
    this.counted(unseen_count);
    return { calls: missed_calls, next: next_cursor };
  }

  /** @param {number | string} id */
  seen(id) {
    return this.#mark(`mark-seen/${id}`);
  }

  seenAll() {
    return this.#mark('mark-all-seen');
  }

  /** @internal @param {number | null | undefined} count */
  counted(count = null) {
    if (count === null || count === this.count) return;
    this.count = count;
    this.#phone.emit('missed_count', count);
  }

  /** @internal @param {Message} message */
  receive(message) {
    if (message.type !== 'missed_call') return false;
    const from = { id: `${message.from_user_id}`, name: message.from_name ?? `${message.from_user_id}` };
    this.counted(this.count + 1);
    this.#phone.emit('missed', { callId: message.call_id, from, type: message.call_type, reason: message.reason });
    return true;
  }

  /** @param {string} what */
  async #mark(what) {
    this.counted((await this.#phone.fetch(`api/call/${what}`, { method: 'POST' })).unseen_count);
  }
}
