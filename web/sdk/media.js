// What we send into a call: microphone, camera, screen.
import { SwitchboardError, typed } from './base.js';
import { capture, captureScreen } from './peer.js';

export class Media {
  local = new MediaStream();
  muted = false;
  /** @type {MediaStreamTrack | null} */
  camera = null;
  /** @type {MediaStreamTrack | null} */
  screen = null;
  #call;
  #phone;
  #closed = false;
  /** @type {Set<MediaStreamTrack>} what was opened here, and is let go at the end */
  #own = new Set();

  /** @param {import('./call.js').Call} call @param {import('./switchboard.js').Switchboard} phone */
  constructor(call, phone) {
    this.#call = call;
    this.#phone = phone;
  }

  /** @param {boolean} video @param {MediaStream} [given] */
  async open(video, given) {
    if (!globalThis.RTCPeerConnection) throw new SwitchboardError('unsupported_browser');
    let stream = given;
    if (!stream) {
      try {
        stream = await capture(true, video, this.#phone.chosen);
      } catch (error) {
        const { code } = typed(error);
        if (!video || !['device_in_use', 'device_not_found'].includes(code) || this.#closed) throw error;
        stream = await capture(true, false, this.#phone.chosen);
        this.#call.emit('notice', typed(error));
      }
      this.#keep(stream);
    }
    this.#call.alive();
    for (const track of stream.getTracks()) this.local.addTrack(track);
    this.camera = stream.getVideoTracks()[0] ?? null;
    this.#call.emit('local', this.local);
  }

  /** @param {boolean} on */
  mute(on) {
    this.muted = on;
    for (const track of this.local.getAudioTracks()) track.enabled = !on;
  }

  /** @param {boolean} on */
  async film(on) {
    if (on) this.camera ??= await this.#video();
    else this.camera = this.#release(this.camera);
    await this.#show();
  }

  /** @param {boolean} on */
  async share(on) {
    if (on === !!this.screen) return;
    if (on) {
      const [track] = this.#keep(await captureScreen());
      // Not `onended`, which a page that shows the stream may want for itself.
      track.addEventListener('ended', () => void this.share(false));
      this.screen = track;
    } else {
      this.screen = this.#release(this.screen);
    }
    await this.#show();
  }

  /** Other devices were chosen. @param {import('./peer.js').Chosen} changed */
  async reopen(changed) {
    if (changed.microphone !== undefined && this.local.getAudioTracks().length) {
      const [track] = this.#keep(await capture(true, false, this.#phone.chosen));
      await this.#replace('audio', track);
      this.mute(this.muted);
    }
    if (changed.camera !== undefined && this.camera) {
      const before = this.camera;
      this.camera = await this.#video();
      await this.#show();
      this.#release(before);
    }
  }

  close() {
    this.#closed = true;
    for (const track of this.#own) track.stop();
    this.#own.clear();
  }

  async #video() {
    return this.#keep(await capture(false, true, this.#phone.chosen))[0];
  }

  /** @param {MediaStream} stream what was opened here; of no use if the call is over by now */
  #keep(stream) {
    const tracks = stream.getTracks();
    for (const track of tracks) this.#closed ? track.stop() : this.#own.add(track);
    this.#call.alive();
    return tracks;
  }

  /** @param {MediaStreamTrack | null} track */
  #release(track) {
    track?.stop();
    if (track) this.#own.delete(track);
    return null;
  }

  /** Sends the screen, else the camera, else nothing. */
  #show() {
    return this.#replace('video', this.screen ?? this.camera);
  }

  /** @param {'audio' | 'video'} kind @param {MediaStreamTrack | null} track */
  async #replace(kind, track) {
    const before = this.local.getTracks().filter((t) => t.kind === kind && t !== track);
    for (const old of before) this.local.removeTrack(old);
    if (track) this.local.addTrack(track);
    await Promise.all(this.#call.links((link) => link.send(kind, track)));
    if (kind === 'audio') before.forEach((old) => this.#release(old));
    this.#call.emit('local', this.local);
  }
}
