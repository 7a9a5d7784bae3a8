/**
 * Opens microphone and camera.
 * @param {boolean} audio
 * @param {boolean} video
 * @param {Chosen} chosen
 * @returns {Promise<MediaStream>}
 */
export function capture(audio: boolean, video: boolean, chosen: Chosen): Promise<MediaStream>;
export function listDevices(): Promise<{
    microphones: {
        id: string;
        label: string;
    }[];
    cameras: {
        id: string;
        label: string;
    }[];
    speakers: {
        id: string;
        label: string;
    }[];
}>;
export function captureScreen(): Promise<MediaStream>;
export type Chosen = {
    microphone?: string;
    camera?: string;
};
