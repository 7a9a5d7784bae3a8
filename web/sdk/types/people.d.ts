/**
 * @typedef {import('./switchboard.js').Switchboard} Switchboard
 * @typedef {import('./connection.js').Message} Message
 * @typedef {{ id: string, status: string, lastSeen: string | null }} Person
 */
export class Presence {
    /** @internal @param {Switchboard} phone */
    constructor(phone: Switchboard);
    /**
     * @param {(string | number)[]} ids
     * @param {(user: Person) => void} seen
     * @returns {() => void}
     */
    watch(ids: (string | number)[], seen: (user: Person) => void): () => void;
    /** @internal A new session watches nobody yet. */
    again(): void;
    /** @internal @param {Message} message */
    receive({ type, users }: Message): boolean;
    #private;
}
export class Missed {
    /** @internal @param {Switchboard} phone */
    constructor(phone: Switchboard);
    /** Unseen ones. */
    count: number;
    /** @param {{ limit?: number, cursor?: string }} [page] */
    list({ limit, cursor }?: {
        limit?: number;
        cursor?: string;
    }): Promise<{
        calls: any;
        next: any;
    }>;
    /** @param {number | string} id */
    seen(id: number | string): Promise<void>;
    seenAll(): Promise<void>;
    /** @internal @param {number | null | undefined} count */
    counted(count?: number | null | undefined): void;
    /** @internal @param {Message} message */
    receive(message: Message): boolean;
    #private;
}
export type Switchboard = import("./switchboard.js").Switchboard;
export type Message = import("./connection.js").Message;
export type Person = {
    id: string;
    status: string;
    lastSeen: string | null;
};
