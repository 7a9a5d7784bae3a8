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
