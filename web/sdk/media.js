import { SwitchboardError } from './errors.js';

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
 */
export const capture = (audio, video, chosen) => {
  // A device that was unplugged since must not be the end of it: "ideal" takes another.
  /** @param {string | undefined} id */
  const device = (id) => (id ? { deviceId: { ideal: id } } : true);
  return asked(() =>
    navigator.mediaDevices.getUserMedia({ audio: audio && device(chosen.microphone), video: video && device(chosen.camera) }),
  );
};

export const captureScreen = () => asked(() => navigator.mediaDevices.getDisplayMedia({ video: true }));

export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  /** @param {string} kind */
  const of = (kind) => all.filter((d) => d.kind === kind).map((d) => ({ id: d.deviceId, label: d.label }));
  return { microphones: of('audioinput'), cameras: of('videoinput'), speakers: of('audiooutput') };
}
