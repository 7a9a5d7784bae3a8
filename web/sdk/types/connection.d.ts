export class Connection {
    /**
     * @param {{ url: string, user: string, deviceId: string, token?: Token }} where
     * @param {Owner} owner
     */
    constructor(where: {
        url: string;
        user: string;
        deviceId: string;
        token?: Token;
    }, owner: Owner);
    state: string;
    where: {
        url: string;
        user: string;
        deviceId: string;
        token?: Token;
    };
    owner: Owner;
    open(): Promise<void>;
    /** @param {SwitchboardError} [error] why, where it is not as asked */
    close(error?: SwitchboardError): void;
    /** At once or not at all. @param {Message} message */
    send(message: Message): void;
    /**
     * Asks, and waits for the answer. What is kept survives the loss of the socket and is said again until it is answered.
     * @param {Message} message
     * @param {boolean} [keep]
     * @returns {Promise<Message>}
     */
    request(message: Message, keep?: boolean): Promise<Message>;
    /** A token that holds, where there are tokens; unless a fresh one is needed, the last, which is good for a call. */
    token(fresh?: boolean): Promise<string | undefined>;
    #private;
}
export type Message = Record<string, any>;
export type Token = string | (() => string | Promise<string>);
export type Waiting = {
    message: Message;
    keep: boolean;
    resolve: (answer: Message) => void;
    reject: (error: SwitchboardError) => void;
};
export type Owner = {
    state: (state: string) => void;
    welcome: (welcome: Message) => void;
    message: (message: Message) => void;
    error: (error: SwitchboardError) => void;
    renewed: () => void;
    engaged: () => boolean;
};
import { SwitchboardError } from './base.js';
