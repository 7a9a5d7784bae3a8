// Which microphone, camera and speaker a call uses, and how loud it is. Until somebody asks for this the
// browser's own choice is good.

import { dialog } from './dialog.js';
import { $ } from './lists.js';

const INSIDE = `<label for="microphone" data-t="microphone"></label><select id="microphone"></select>
  <label for="camera-choice" data-t="camera"></label><select id="camera-choice"></select>
  <label for="speaker" data-t="speaker"></label><select id="speaker"></select>
  <label for="volume" data-t="volume"></label><input id="volume" type="range" min="0" max="1" step="0.05" value="1">
  <button data-t="close"></button>`;

/** @param {import('./types.js').Page} page */
export function settings(page) {
  const { phone, t } = page;
  const made = dialog('choosing', 'settings', INSIDE, page);
  let speaker = '';
  const canChooseSpeaker = 'setSinkId' in HTMLMediaElement.prototype;
  const videos = () => /** @type {NodeListOf<HTMLVideoElement>} */ (document.querySelectorAll('.tile[data-user] video'));

  /** What was chosen, for sound that has just appeared. */
  function apply() {
    for (const video of videos()) {
      video.volume = Number($('volume').value);
      if (canChooseSpeaker && video.sinkId !== speaker) void video.setSinkId(speaker).catch(() => {});
    }
  }

  /** @param {string} id @param {{ id: string, label: string }[]} devices @param {string} [used] */
  function fill(id, devices, used) {
    const select = $(id);
    select.replaceChildren(...devices.map((device, place) => new Option(device.label || t('device', { count: place + 1 }), device.id)));
    if (used !== undefined && devices.some((device) => device.id === used)) select.value = used;
    select.hidden = select.previousElementSibling.hidden = devices.length === 0;
  }

  /** @param {MediaStream | null | undefined} local */
  async function list(local) {
    const { microphones, cameras, speakers } = await phone.devices.list();
    const used = (/** @type {MediaStreamTrack | undefined} */ track) => track?.getSettings().deviceId;
    fill('microphone', microphones, used(local?.getAudioTracks()[0]));
    fill('camera-choice', cameras, used(local?.getVideoTracks()[0]));
    fill('speaker', canChooseSpeaker ? speakers : [], speaker || 'default');
  }

  /** @param {MediaStream | null | undefined} local */
  async function open(local) {
    await list(local);
    if (!made.open) made.showModal();
  }

  $('microphone').onchange = () => phone.devices.use({ microphone: $('microphone').value }).catch(() => {});
  $('camera-choice').onchange = () => phone.devices.use({ camera: $('camera-choice').value }).catch(() => {});
  $('speaker').onchange = () => {
    speaker = $('speaker').value;
    apply();
  };
  $('volume').oninput = apply;
  phone.on('devices', () => {
    if (made.open) void list(null).catch(() => {});
  });
  return { open, apply };
}
