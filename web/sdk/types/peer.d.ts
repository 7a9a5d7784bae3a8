export class Link {
    /** @param {PeerOptions} options @param {PeerOwner} owner */
    constructor(options: PeerOptions, owner: PeerOwner);
    up: boolean;
    /** The first offer, for an invitation. */
    invite(): Promise<RTCSessionDescription | null>;
    /** The first offer, within a call. */
    start(): Promise<void>;
    /** @param {'offer' | 'answer'} kind @param {RTCSessionDescriptionInit} description @param {number} [round] */
    described(kind: "offer" | "answer", description: RTCSessionDescriptionInit, round?: number): Promise<void>;
    /** @param {RTCIceCandidateInit} candidate */
    candidate(candidate: RTCIceCandidateInit): void;
    /**
     * What is sent of a kind from now on.
     * @param {string} kind
     * @param {MediaStreamTrack | null} track
     */
    send(kind: string, track: MediaStreamTrack | null): Promise<void>;
    /** Answered: there is so much time to connect. */
    expect(): void;
    restart(): void;
    /** The service was restarted, and what was under way may be lost. */
    resync(): void;
    /** @param {RTCConfiguration} rtc fresh credentials */
    configure(rtc: RTCConfiguration): void;
    close(): void;
    /** @returns {Promise<PeerStats>} */
    stats(): Promise<PeerStats>;
    #private;
}
export type PeerOptions = {
    id: string;
    polite: boolean;
    rtc: RTCConfiguration;
    local: MediaStream;
};
export type PeerOwner = {
    say: (type: string, fields: Record<string, unknown>) => void;
    stream: (stream: MediaStream) => void;
    link: (up: boolean) => void;
    failed: () => void;
};
export type PeerStats = {
    rtt: number | null;
    jitter: number | null;
    loss: number | null;
    bytesReceived: number;
    framesDecoded: number;
    relayed: boolean;
};
