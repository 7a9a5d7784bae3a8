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
export class Switchboard extends Emitter<Events> {
    /** @param {Options} options */
    constructor({ user, token, url, deviceId, rtc }: Options);
    /** @type {Map<number | string, Call>} */
    calls: Map<number | string, Call>;
    presence: Presence;
    missed: Missed;
    devices: {
        list: typeof listDevices;
        /** @param {import('./media.js').Chosen} changed */
        use: (changed: import("./media.js").Chosen) => Promise<void>;
    };
    /** @internal @type {import('./media.js').Chosen} */
    chosen: import("./media.js").Chosen;
    /** @internal @type {RTCConfiguration} */
    rtc: RTCConfiguration;
    user: string;
    url: string;
    /** @internal */
    connection: Connection;
    get state(): string;
    connect(): Promise<void>;
    close(): void;
    /**
     * @param {string | number | (string | number)[]} to
     * @param {import('./call.js').MediaOptions} [options]
     */
    call(to: string | number | (string | number)[], { type, stream }?: import("./call.js").MediaOptions): Promise<Call>;
    /** @param {Record<string, string | number | undefined>} [page] */
    history(page?: Record<string, string | number | undefined>): Promise<{
        calls: any;
        next: any;
    }>;
    /** @param {string} path @param {RequestInit} [init] @returns {Promise<any>} */
    fetch(path: string, init?: RequestInit): Promise<any>;
    /** @param {Message} message */
    request(message: Message): Promise<import("./connection.js").Message>;
    /** @internal @param {Message} message */
    receive(message: Message): void;
    /** @internal @param {Call} call has its number now */
    numbered(call: Call): void;
    /** @internal @param {Call} call */
    over(call: Call): void;
    /** @internal @param {Call} call asks how it stands; ends it here if it is over */
    settle(call: Call): Promise<void>;
    #private;
}
export type Message = import("./connection.js").Message;
export type Token = import("./connection.js").Token;
export type Options = {
    user: string | number;
    token?: Token;
    url?: string;
    deviceId?: string;
    rtc?: RTCConfiguration;
};
export type MissedCall = {
    callId: number | string;
    from: {
        id: string;
        name: string;
    };
    type: string;
    reason: string;
};
export type Events = {
    state: string;
    call: Call;
    incoming: Call;
    missed: MissedCall;
    missed_count: number;
    devices: null;
    draining: null;
    error: SwitchboardError;
    message: Message;
};
import { Call } from './call.js';
import { SwitchboardError } from './errors.js';
import { Emitter } from './emitter.js';
import { Presence } from './people.js';
import { Missed } from './people.js';
import { listDevices } from './media.js';
import { Connection } from './connection.js';
export { Call, SwitchboardError };
