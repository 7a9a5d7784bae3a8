/** What went wrong, by a stable `code`. */
export class SwitchboardError extends Error {
    /**
     * @param {string} code
     * @param {string} [message] a sentence for developers
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
