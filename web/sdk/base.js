// What the other modules stand on: events, and what went wrong.

/** Events by name. @template {Record<string, any>} Events */
export class Emitter {
  /** @type {Map<string, Set<Function>>} */
  #listeners = new Map();

  /**
   * @template {keyof Events & string} K
   * @param {K} name
   * @param {(detail: Events[K]) => void} listener
   * @returns {() => void} takes it off
   */
  on(name, listener) {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(listener));
    return () => void all.delete(listener);
  }

  /**
   * @internal
   * @template {keyof Events & string} K
   * @param {K} name
   * @param {Events[K]} detail
   */
  emit(name, detail) {
    tell(this.#listeners.get(name), detail);
  }
}

/**
 * One listener's mistake is not the others'.
 * @template T
 * @param {Iterable<Function> | undefined} listeners
 * @param {T} detail
 */
export function tell(listeners, detail) {
  for (const listener of [...(listeners ?? [])]) {
    try {
      listener(detail);
    } catch (error) {
      reportError(error);
    }
  }
}

/** What went wrong, by a stable `code`. */
export class SwitchboardError extends Error {
  /**
   * @param {string} code
   * @param {string} [message] for developers
   * @param {{ retryAfter?: number, reason?: string }} [more]
   */
  constructor(code, message = code.replaceAll('_', ' '), more = {}) {
    super(message);
    this.name = 'SwitchboardError';
    this.code = code;
    /** Milliseconds to wait, where there is a wait. */
    this.retryAfter = more.retryAfter;
    /** Why a call was over, with `call_ended`. */
    this.reason = more.reason;
  }
}

/** @param {any} body an `error` of the socket or of REST */
export const refusal = (body) =>
  new SwitchboardError(body?.code ?? 'unavailable', body?.message ?? body?.error, {
    retryAfter: body?.retry_after_ms,
    reason: body?.reason,
  });

/** @param {any} error anything that was thrown */
export const typed = (error) =>
  error instanceof SwitchboardError ? error : new SwitchboardError('failed', `${error}`);

/** The query of an address; what is undefined is left out. @param {Record<string, unknown>} fields */
export const query = (fields) => `?${new URLSearchParams(JSON.parse(JSON.stringify(fields)))}`;
