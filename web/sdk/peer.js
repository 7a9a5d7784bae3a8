// Media: microphone, camera and screen; and one RTCPeerConnection, to one other person of a call: perfect negotiation,
// and what keeps it alive.
import { SwitchboardError, typed } from './base.js';

/**
 * @typedef {{ id: string, polite: boolean, rtc: RTCConfiguration, local: MediaStream }} PeerOptions
 * @typedef {{
 *   say: (type: string, fields: Record<string, unknown>) => void,
 *   stream: (stream: MediaStream) => void,
 *   link: (up: boolean) => void,
 *   failed: () => void,
 * }} PeerOwner
 * @typedef {{ rtt: number | null, jitter: number | null, loss: number | null, bytesReceived: number, framesDecoded: number, relayed: boolean }} PeerStats
 */

const SET_UP = 20_000;
const GIVE_UP = 30_000;
const RESTART_AFTER = 2000;

export class Link {
  #pc;
  #options;
  #owner;
  #making = false;
  #ignoring = false;
  /** Whether an offer of ours was ever rolled back. */
  #gaveWay = false;
  /** Whether the first exchange is done: before that, nothing is renegotiated. */
  #settled = false;
  #attached = false;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();
  /** @type {RTCIceCandidateInit[]} */
  #early = [];
  #offered = '';
  /** Which of our offers an answer is to: one that was said twice, across a reconnect, is answered twice. */
  #round = 0;
  #limit = 0;
  #restarting = 0;
  #before = { lost: 0, all: 0 };
  up = false;

  /** @param {PeerOptions} options @param {PeerOwner} owner */
  constructor(options, owner) {
    this.#options = options;
    this.#owner = owner;
    const pc = (this.#pc = new RTCPeerConnection(options.rtc));
    pc.onicecandidate = ({ candidate }) => candidate && owner.say('ice_candidate', { candidate });
    pc.onnegotiationneeded = () => this.#settled && this.#offer();
    pc.onconnectionstatechange = () => this.#changed();
    pc.ontrack = ({ streams: [stream], track }) => {
      const whole = stream ?? new MediaStream([track]);
      whole.onremovetrack = () => owner.stream(whole);
      owner.stream(whole);
    };
  }

  /** The first offer, for an invitation. */
  async invite() {
    await this.#attach();
    await this.#pc.setLocalDescription();
    return this.#pc.localDescription;
  }

  /** The first offer, within a call. */
  async start() {
    await this.#attach();
    await this.#offer();
  }

  /** @param {'offer' | 'answer'} kind @param {RTCSessionDescriptionInit} description @param {number} [round] */
  described(kind, description, round) {
    return this.#inTurn(() => (kind === 'offer' ? this.#accept(description, round) : this.#answered(description, round)));
  }

  /** @param {RTCIceCandidateInit} candidate */
  candidate(candidate) {
    if (!this.#pc.remoteDescription) this.#early.push(candidate);
    // One that belongs to an offer that was ignored, or to a way given up since, is no loss.
    else this.#pc.addIceCandidate(candidate).catch(() => {});
  }

  /**
   * What is sent of a kind from now on.
   * @param {string} kind
   * @param {MediaStreamTrack | null} track
   */
  send(kind, track) {
    // Never between the offer of the other side and our answer.
    return this.#inTurn(() => this.#set(kind, track));
  }

  /** @param {string} kind @param {MediaStreamTrack | null} track */
  async #set(kind, track) {
    const known = this.#pc.getTransceivers().find((t) => t.receiver.track.kind === kind && t.currentDirection !== 'stopped');
    if (!known) {
      if (track) this.#pc.addTrack(track, this.#options.local);
      return;
    }
    await known.sender.replaceTrack(track);
    if (track) known.sender.setStreams(this.#options.local);
    known.direction = track ? 'sendrecv' : 'recvonly';
  }

  /** Answered: there is so much time to connect. */
  expect() {
    if (!this.#limit && !this.up) this.#within(SET_UP);
  }

  restart() {
    if (this.#settled) this.#pc.restartIce();
  }

  /** The service was restarted, and what was under way may be lost. */
  resync() {
    const { signalingState, localDescription } = this.#pc;
    if (signalingState === 'have-local-offer') this.#owner.say('call_offer', { offer: localDescription, round: this.#round });
    else if (!this.up) this.restart();
  }

  /** @param {RTCConfiguration} rtc fresh credentials */
  configure(rtc) {
    this.#pc.setConfiguration(rtc);
  }

  close() {
    clearTimeout(this.#limit);
    clearTimeout(this.#restarting);
    this.#settled = false;
    this.#pc.close();
  }

  /** @returns {Promise<PeerStats>} */
  async stats() {
    /** @type {any[]} */
    const all = [...(await this.#pc.getStats()).values()];
    const pair = all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded') ?? {};
    const ends = [pair.localCandidateId, pair.remoteCandidateId];
    const inbound = all.filter((s) => s.type === 'inbound-rtp');
    /** @param {string} name */
    const sum = (name) => inbound.reduce((so, s) => so + (s[name] ?? 0), 0);
    /** @param {number | undefined} seconds */
    const ms = (seconds) => (seconds === undefined ? null : Math.round(seconds * 1000));
    const now = { lost: sum('packetsLost'), all: sum('packetsLost') + sum('packetsReceived') };
    const [lost, since] = [now.lost - this.#before.lost, now.all - this.#before.all];
    this.#before = now;
    return {
      rtt: ms(pair.currentRoundTripTime),
      jitter: ms(inbound.find((s) => s.kind === 'audio')?.jitter),
      loss: since > 0 ? Math.max(0, lost / since) : null,
      bytesReceived: sum('bytesReceived'),
      framesDecoded: sum('framesDecoded'),
      relayed: all.some((s) => ends.includes(s.id) && s.candidateType === 'relay'),
    };
  }

  /** @param {() => Promise<void>} f one description after the other */
  #inTurn(f) {
    const done = this.#turn.then(f);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #attach() {
    if (this.#attached) return;
    this.#attached = true;
    for (const track of this.#options.local.getTracks()) await this.#set(track.kind, track);
  }

  /**
   * Chromium forgets, at a rollback, what its senders send: picture and sound stop, also those of later exchanges,
   * until the track is set again. Before the answer is set the same would crash the page.
   */
  async #reattach() {
    for (const { sender, receiver } of this.#pc.getTransceivers()) {
      // Not `sender.track`: another may be on its way there.
      const track = this.#options.local.getTracks().find((one) => one.kind === receiver.track.kind);
      if (track) await sender.replaceTrack(track);
    }
  }

  async #offer() {
    try {
      this.#making = true;
      await this.#pc.setLocalDescription();
      const { localDescription: offer } = this.#pc;
      if (offer?.type === 'offer') this.#owner.say('call_offer', { offer, round: (this.#round += 1) });
    } catch (error) {
      if (this.#pc.signalingState !== 'closed') throw error;
    } finally {
      this.#making = false;
    }
  }

  /** @param {RTCSessionDescriptionInit} offer @param {number} [round] */
  async #accept(offer, round) {
    const pc = this.#pc;
    // The same again, after a reconnect: so is the answer.
    if (offer.sdp !== this.#offered || pc.signalingState !== 'stable') {
      this.#ignoring = !this.#options.polite && (this.#making || pc.signalingState !== 'stable');
      if (this.#ignoring) return;
      this.#gaveWay ||= this.#making || pc.signalingState !== 'stable';
      await pc.setRemoteDescription(offer);
      this.#offered = offer.sdp ?? '';
      // After the remote description, so that ours go the ways it opened.
      await this.#attach();
      await pc.setLocalDescription();
    }
    this.#owner.say('call_answer', { answer: pc.localDescription, round });
    await this.#done();
  }

  /** @param {RTCSessionDescriptionInit} answer @param {number} [round] */
  async #answered(answer, round = this.#round) {
    // Twice, or to an offer that gave way to the other side's.
    if (this.#pc.signalingState !== 'have-local-offer' || round !== this.#round) return;
    await this.#pc.setRemoteDescription(answer);
    await this.#done();
  }

  async #done() {
    this.#settled = true;
    for (const candidate of this.#early.splice(0)) this.candidate(candidate);
    if (this.#gaveWay) await this.#reattach();
  }

  /** @param {number} ms */
  #within(ms) {
    clearTimeout(this.#limit);
    this.#limit = window.setTimeout(() => this.#owner.failed(), ms);
  }

  #changed() {
    const state = this.#pc.connectionState;
    clearTimeout(this.#restarting);
    if (state === 'connected') {
      clearTimeout(this.#limit);
      this.up = true;
      this.#owner.link(true);
    } else if (state === 'disconnected' || state === 'failed') {
      if (this.up) this.#within(GIVE_UP);
      this.up = false;
      this.#owner.link(false);
      this.#restarting = window.setTimeout(() => this.restart(), state === 'failed' ? 0 : RESTART_AFTER);
    }
  }
}

/** @typedef {{ microphone?: string, camera?: string }} Chosen */

const CODES = /** @type {Record<string, string>} */ ({
  NotAllowedError: 'permission_denied',
  SecurityError: 'permission_denied',
  NotFoundError: 'device_not_found',
  OverconstrainedError: 'device_not_found',
});

/** @param {() => Promise<MediaStream>} ask */
async function asked(ask) {
  if (!navigator.mediaDevices) throw new SwitchboardError('insecure_context');
  try {
    return await ask();
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    // NotReadableError, AbortError: another program has it.
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
