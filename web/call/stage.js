// The call there is: who is in it, how it goes, and what can be done in it. The library decides; this shows.

import { clock } from '../shared/i18n.js';
import { play, tile } from '../sdk/parts.js';
import { $ } from './lists.js';

/** @typedef {import('../sdk/switchboard.js').Call} Call */
/** @typedef {import('./types.js').Page} Page */
/** @typedef {ReturnType<typeof tile>} Tile */

const WORDS = ['good', 'fair', 'poor'];

/**
 * Which microphone, camera and speaker a call uses, and how loud it is.
 * @param {Page['phone']} phone @param {Page['t']} t
 */
function settings(phone, t) {
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
    $('choosing').showModal();
  }

  $('microphone').onchange = () => phone.devices.use({ microphone: $('microphone').value }).catch(() => {});
  $('camera-choice').onchange = () => phone.devices.use({ camera: $('camera-choice').value }).catch(() => {});
  $('speaker').onchange = () => {
    speaker = $('speaker').value;
    apply();
  };
  $('volume').oninput = apply;
  phone.on('devices', () => {
    if ($('choosing').open) void list(null).catch(() => {});
  });
  return { open, apply };
}

/**
 * @param {Page} page @param {ReturnType<typeof import('./lists.js').people>} people
 * @param {(call: Call) => void} ended
 */
export function stage({ phone, t, names }, people, ended) {
  /** @type {Call | null} */
  let call = null;
  /** @type {Map<string, Tile>} */
  const tiles = new Map();
  /** @type {Map<string, string>} */
  const quality = new Map();
  const self = tile(t('you'));
  self.element.dataset.self = '';
  self.video.muted = true;
  const devices = settings(phone, t);
  /** @type {Element | null} Where the focus was before the call. */
  let before = null;
  let quiet = () => {};
  /** What is said instead of the state until that changes. */
  let note = '';

  const peers = () => (call ? [...call.peers.values()].filter(({ state }) => state !== 'left') : []);
  const shown = () => (call?.direction === 'in' && call.state === 'ringing' ? 'incoming' : (call?.state ?? 'idle'));

  function stateWords() {
    if (!call || shown() === 'incoming') return '';
    const name = names(peers().map(({ id }) => id)) || (call.from?.name ?? '');
    switch (call.state) {
      case 'starting': return t('starting');
      case 'ringing': return t(peers().some(({ state }) => state === 'ringing') ? 'ringing' : 'calling', { name });
      case 'connecting': return t('answering', { name });
      case 'active': return t('active', { name });
      default: return '';
    }
  }

  function showTiles() {
    if (!call) return;
    const there = new Set(peers().map(({ id }) => id));
    for (const [id, { element, show }] of tiles) {
      if (there.has(id)) continue;
      show(null);
      element.remove();
      tiles.delete(id);
      quality.delete(id);
    }
    for (const { id, name, state, stream } of peers()) {
      people.know(id, name);
      let one = tiles.get(id);
      if (!one) {
        one = tile(people.nameOf(id));
        one.element.dataset.user = id;
        tiles.set(id, one);
        $('tiles').insertBefore(one.element, self.element.isConnected ? self.element : null);
      }
      one.show(stream);
      one.element.dataset.state = state;
      const word = state === 'connected' ? '' : ` · ${t(`peer_${state}`)}`;
      one.caption.textContent = people.nameOf(id) + word;
    }
    if (!self.element.isConnected) $('tiles').append(self.element);
    self.show(call.local);
    self.element.toggleAttribute('data-sharing', call.sharing);
    $('tiles').dataset.people = String(tiles.size + 1);
    devices.apply();
  }

  function showControls() {
    if (!call) return;
    for (const [id, on] of /** @type {[string, boolean][]} */ ([['mute', call.muted], ['camera', call.cameraOn], ['share', call.sharing]])) {
      $(id).ariaPressed = String(on);
    }
    const talking = ['connecting', 'active', 'reconnecting'].includes(call.state);
    $('camera').disabled = $('share').disabled = $('add-person').disabled = !talking;
    $('pip').disabled = !$('tiles').querySelector('.tile[data-user][data-picture]');
  }

  function showState() {
    document.body.dataset.call = shown();
    // Until it is answered here, the modal question has the word.
    $('call').hidden = !call || call.state === 'ended' || (call.direction === 'in' && ['ringing', 'starting'].includes(call.state));
    $('call-state').textContent = note || stateWords();
    const worst = WORDS.findLast((word) => [...quality.values()].includes(word)) ?? '';
    $('quality').dataset.word = worst;
    $('quality').textContent = worst && t(worst);
    showTiles();
    showControls();
  }

  function tick() {
    $('timer').textContent = call?.since ? clock((Date.now() - call.since) / 1000) : '';
  }

  function changed() {
    quiet();
    quiet = call?.direction === 'out' && call.state === 'ringing' ? play('ringback') : () => {};
    if (call?.state !== 'reconnecting') note = '';
    const hidden = $('call').hidden;
    showState();
    // After the question has closed and given the focus back to where it was.
    if (hidden && !$('call').hidden) setTimeout(() => $('mute').focus());
  }

  function over() {
    const was = call;
    if (!was) return;
    changed();
    call = null;
    quality.clear();
    for (const { element, show } of tiles.values()) {
      show(null);
      element.remove();
    }
    tiles.clear();
    self.show(null);
    for (const id of ['adding', 'choosing']) $(id).close();
    if (document.pictureInPictureElement) void document.exitPictureInPicture().catch(() => {});
    const lost = $('call').contains(document.activeElement) || document.activeElement === document.body;
    ended(was);
    const back = /** @type {HTMLElement} */ (before?.isConnected && before !== document.body ? before : $('callee'));
    if (lost || !document.activeElement || document.activeElement === document.body) back.focus();
  }

  /** A new call. @param {Call} next */
  function take(next) {
    if (!call) before = document.activeElement;
    call = next;
    note = '';
    self.element.remove();
    /** Only for as long as it is the call there is. @param {(about: any) => void} told */
    const mine = (told) => (/** @type {any} */ about) => {
      if (call === next) told(about);
    };
    const say = (/** @type {string} */ words, passing = false) => {
      note = words;
      showState();
      if (passing) setTimeout(() => note === words && call === next && say(''), 4000);
    };
    next.on('state', mine(changed));
    next.on('ringing', mine(showState));
    next.on('answered', mine(showState));
    next.on('stream', mine(showState));
    next.on('local', mine(showState));
    next.on('peer_joined', mine(({ user }) => say(t('joined', { name: people.nameOf(user) }), true)));
    next.on('peer_left', mine(({ user }) => {
      if (next.peers.size > 1) say(t('left', { name: people.nameOf(user) }), true);
    }));
    next.on('reconnecting', mine(({ user, whose }) => {
      say(whose === 'mine' ? t('mine_lost') : t('theirs_lost', { name: people.nameOf(user) }));
    }));
    next.on('reconnected', mine(() => say('')));
    next.on('quality', mine(({ user, word }) => {
      quality.set(user, word);
      showState();
    }));
    next.on('notice', mine(() => say(t('by_voice'), true)));
    next.on('ended', mine(over));
    changed();
  }

  /** Does something that may not be possible; the call goes on either way. @param {() => Promise<unknown> | undefined} act */
  const attempt = (act) => async () => {
    try {
      await act();
    } catch (error) {
      const { code } = /** @type {{ code?: string }} */ (error);
      note = code && t(code) !== code ? t(code) : t('end_failed');
    }
    if (call) showState();
  };

  $('hang-up').onclick = () => call?.hangup();
  $('mute').onclick = () => {
    call?.mute(!call.muted);
    showControls();
  };
  $('camera').onclick = attempt(() => call?.camera(!call.cameraOn));
  $('share').onclick = attempt(() => call?.shareScreen(!call.sharing).catch((/** @type {{ code: string }} */ error) => {
    // Closing the browser's own question is an answer, too.
    if (error.code !== 'permission_denied') throw error;
  }));
  $('share').hidden = !navigator.mediaDevices || !('getDisplayMedia' in navigator.mediaDevices);
  $('pip').hidden = !document.pictureInPictureEnabled;
  $('pip').onclick = attempt(async () => {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await $('tiles').querySelector('.tile[data-user][data-picture] video')?.requestPictureInPicture();
    $('pip').ariaPressed = String(Boolean(document.pictureInPictureElement));
  });
  $('tiles').addEventListener('leavepictureinpicture', () => $('pip').ariaPressed = 'false', true);
  $('settings').onclick = attempt(() => devices.open(call?.local));
  $('add-person').onclick = () => {
    $('adding-user').value = '';
    $('adding-people').replaceChildren(...people.ids().filter((id) => !tiles.has(id)).map((id) => new Option(people.nameOf(id), id)));
    $('adding').returnValue = '';
    $('adding').showModal();
  };
  $('adding').onclose = attempt(async () => {
    const id = $('adding-user').value.trim();
    if ($('adding').returnValue === 'add' && id && call) await call.invite(id);
  });
  setInterval(tick, 500);

  return { take, live: () => call !== null };
}
