import { SwitchboardError, typed } from './errors.js';

/** @typedef {{ microphone?: string, camera?: string }} Chosen */

const CODES = /** @type {Record<string, string>} */ ({
  NotAllowedError: 'permission_denied',
  SecurityError: 'permission_denied',
  NotFoundError: 'device_not_found',
  OverconstrainedError: 'device_not_found',
  NotReadableError: 'device_in_use',
  AbortError: 'device_in_use',
});

/** @param {() => Promise<MediaStream>} ask */
async function asked(ask) {
  if (!navigator.mediaDevices) throw new SwitchboardError('insecure_context', 'microphones need https or localhost');
  try {
    return await ask();
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    throw new SwitchboardError(CODES[name] ?? 'device_in_use', message);
  }
}

/**
 * Opens microphone and camera.
 * @param {boolean} audio
 * @param {boolean} video
 * @param {Chosen} chosen
 * @returns {Promise<MediaStream>}
 */
export async function capture(audio, video, chosen) {
  /** @param {string | undefined} id */
  const device = (id) => (id ? { deviceId: { exact: id } } : true);
  try {
    const wanted = { audio: audio && device(chosen.microphone), video: video && device(chosen.camera) };
    return await asked(() => navigator.mediaDevices.getUserMedia(wanted));
  } catch (error) {
    // The chosen one was unplugged: another will do.
    if (typed(error).code !== 'device_not_found' || (!chosen.microphone && !chosen.camera)) throw error;
    return capture(audio, video, {});
  }
}

export const captureScreen = () => asked(() => navigator.mediaDevices.getDisplayMedia({ video: true }));

export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  /** @param {string} kind */
  const of = (kind) => all.filter((d) => d.kind === kind).map((d) => ({ id: d.deviceId, label: d.label }));
  return { microphones: of('audioinput'), cameras: of('videoinput'), speakers: of('audiooutput') };
}
