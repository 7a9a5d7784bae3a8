/** @extends {Emitter<CallEvents>} */
export class Call extends Emitter<CallEvents> {
    /**
     * @internal
     * @param {import('./switchboard.js').Switchboard} phone
     * @param {'in' | 'out'} direction
     * @param {CallType} type
     * @param {{ id: string, name: string }} from
     */
    constructor(phone: import("./switchboard.js").Switchboard, direction: "in" | "out", type: CallType, from: {
        id: string;
        name: string;
    });
    /** @type {number | string | null} */
    id: number | string | null;
    /** @type {CallState} */
    state: CallState;
    /** @type {Map<string, Peer>} */
    peers: Map<string, Peer>;
    /** @type {string | null} */
    reason: string | null;
    /** @type {number | null} */
    expiresAt: number | null;
    /** @type {number | null} */
    since: number | null;
    /** @internal @type {Message | null} the invitation that rang here, or crossed ours */
    invitation: Message | null;
    /** @internal @type {Message[]} what came before the service had numbered this call */
    backlog: Message[];
    /** @internal whether the invitation is out */
    invited: boolean;
    /** @internal */
    media: Media;
    direction: "in" | "out";
    type: CallType;
    from: {
        id: string;
        name: string;
    };
    /** Seconds since it was answered. */
    get duration(): number;
    get local(): MediaStream;
    get muted(): boolean;
    get cameraOn(): boolean;
    get sharing(): boolean;
    /** @param {MediaOptions} [options] */
    answer({ type, stream }?: MediaOptions): Promise<void>;
    decline(): void;
    hangup(): void;
    /** @param {boolean} [on] */
    mute(on?: boolean): void;
    /** @param {boolean} [on] */
    camera(on?: boolean): Promise<void>;
    /** @param {boolean} [on] */
    shareScreen(on?: boolean): Promise<void>;
    /** @param {string | number} userId */
    invite(userId: string | number): Promise<void>;
    /** @returns {Promise<Map<string, PeerStats>>} */
    stats(): Promise<Map<string, PeerStats>>;
    /**
     * @internal
     * @param {string[]} callees
     * @param {MediaStream} [stream]
     */
    dial(callees: string[], stream?: MediaStream): Promise<void>;
    /** @internal @param {Message} message an invitation that rings here */
    ring(message: Message): Promise<void>;
    /** @internal @param {Message} message anything else about this call */
    receive(message: Message): Promise<void>;
    /** @internal @param {string} reason it is over, whatever led to it */
    end(reason: string): void;
    /** @internal @param {string} state of our own socket: answered, a call goes on from browser to browser without it */
    away(state: string): void;
    /** @internal @template T @param {(link: Link) => T} f */
    links<T>(f: (link: Link) => T): T[];
    /** @internal Says so at once, as the page goes. */
    abandon(): void;
    /** @internal Throws once it is over. */
    alive(): void;
    #private;
}
export type PeerStats = import("./peer.js").PeerStats;
export type Message = import("./connection.js").Message;
export type CallType = "voice" | "video";
export type CallState = "starting" | "ringing" | "connecting" | "active" | "reconnecting" | "ended";
export type PeerState = "ringing" | "connecting" | "connected" | "reconnecting" | "left";
export type Quality = {
    word: "good" | "fair" | "poor";
    rtt: number | null;
    jitter: number | null;
    loss: number | null;
};
export type Peer = {
    id: string;
    name: string;
    state: PeerState;
    stream: MediaStream | null;
    quality: Quality | null;
};
export type MediaOptions = {
    type?: CallType;
    stream?: MediaStream;
};
export type CallEvents = {
    state: CallState;
    ringing: {
        user: string;
        devices: number;
    };
    answered: {
        user: string;
    };
    stream: {
        user: string;
        stream: MediaStream;
    };
    local: MediaStream;
    peer_joined: {
        user: string;
    };
    peer_left: {
        user: string;
        reason: string;
    };
    reconnecting: {
        user: string;
        whose: "mine" | "theirs";
    };
    reconnected: {
        user: string;
    };
    quality: Quality & {
        user: string;
    };
    notice: SwitchboardError;
    ended: {
        reason: string;
    };
};
export type Inner = Peer & {
    link: Link | null;
    troubles: Set<"socket" | "ice" | "theirs">;
    started: boolean;
    why: string;
};
import { Emitter } from './base.js';
import { Media } from './media.js';
import { Link } from './peer.js';
import { SwitchboardError } from './base.js';
