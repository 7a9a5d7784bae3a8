/**
 * One listener's mistake is not the others'.
 * @template T
 * @param {Iterable<Function> | undefined} listeners
 * @param {T} detail
 */
export function tell<T>(listeners: Iterable<Function> | undefined, detail: T): void;
/** Events by name. @template {Record<string, any>} Events */
export class Emitter<Events extends Record<string, any>> {
    /**
     * @template {keyof Events & string} K
     * @param {K} name
     * @param {(detail: Events[K]) => void} listener
     * @returns {() => void} takes it off
     */
    on<K extends keyof Events & string>(name: K, listener: (detail: Events[K]) => void): () => void;
    /**
     * @internal
     * @template {keyof Events & string} K
     * @param {K} name
     * @param {Events[K]} detail
     */
    emit<K extends keyof Events & string>(name: K, detail: Events[K]): void;
    #private;
}
/** What went wrong, by a stable `code`. */
export class SwitchboardError extends Error {
    /**
     * @param {string} code
     * @param {string} [message] for developers
     * @param {{ retryAfter?: number, reason?: string }} [more]
     */
    constructor(code: string, message?: string, more?: {
        retryAfter?: number;
        reason?: string;
    });
    code: string;
    /** Milliseconds to wait, where there is a wait. */
    retryAfter: number | undefined;
    /** Why a call was over, with `call_ended`. */
    reason: string | undefined;
}
export function refusal(body: any): SwitchboardError;
export function typed(error: any): SwitchboardError;
export function query(fields: Record<string, unknown>): string;
