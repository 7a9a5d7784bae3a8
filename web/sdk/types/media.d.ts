export class Media {
    /** @param {import('./call.js').Call} call @param {import('./switchboard.js').Switchboard} phone */
    constructor(call: import("./call.js").Call, phone: import("./switchboard.js").Switchboard);
    local: MediaStream;
    muted: boolean;
    /** @type {MediaStreamTrack | null} */
    camera: MediaStreamTrack | null;
    /** @type {MediaStreamTrack | null} */
    screen: MediaStreamTrack | null;
    /** @param {boolean} video @param {MediaStream} [given] */
    open(video: boolean, given?: MediaStream): Promise<void>;
    /** @param {boolean} on */
    mute(on: boolean): void;
    /** @param {boolean} on */
    film(on: boolean): Promise<void>;
    /** @param {boolean} on */
    share(on: boolean): Promise<void>;
    /** Other devices were chosen. @param {import('./peer.js').Chosen} changed */
    reopen(changed: import("./peer.js").Chosen): Promise<void>;
    close(): void;
    #private;
}
