/** What went wrong, by a stable `code`. */
export class SwitchboardError extends Error {
  /**
   * @param {string} code
   * @param {string} [message] a sentence for developers
   * @param {{ retryAfter?: number, reason?: string }} [more]
   */
  constructor(code, message = code, more = {}) {
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
  error instanceof SwitchboardError ? error : new SwitchboardError('failed', String(error?.message ?? error));
