// A call: who is in it, what is sent, how it stands. The mesh of a group is a Link to each of the others.
import { Emitter, SwitchboardError, typed } from './base.js';
import { Media } from './media.js';
import { Link } from './peer.js';

/**
 * @typedef {import('./peer.js').PeerStats} PeerStats
 * @typedef {import('./connection.js').Message} Message
 * @typedef {'voice' | 'video'} CallType
 * @typedef {'starting' | 'ringing' | 'connecting' | 'active' | 'reconnecting' | 'ended'} CallState
 * @typedef {'ringing' | 'connecting' | 'connected' | 'reconnecting' | 'left'} PeerState
 * @typedef {{ word: 'good' | 'fair' | 'poor', rtt: number | null, jitter: number | null, loss: number | null }} Quality
 * @typedef {{ id: string, name: string, state: PeerState, stream: MediaStream | null, quality: Quality | null }} Peer
 * @typedef {{ type?: CallType, stream?: MediaStream }} MediaOptions
 * @typedef {{
 *   state: CallState, ringing: { user: string, devices: number }, answered: { user: string },
 *   stream: { user: string, stream: MediaStream }, local: MediaStream, peer_joined: { user: string },
 *   peer_left: { user: string, reason: string }, reconnecting: { user: string, whose: 'mine' | 'theirs' },
 *   reconnected: { user: string }, quality: Quality & { user: string }, notice: SwitchboardError, ended: { reason: string },
 * }} CallEvents
 * @typedef {Peer & { link: Link | null, troubles: Set<'socket' | 'ice' | 'theirs'>, started: boolean, why: string }} Inner
 */

const QUALITY_EVERY = 2500;

/** @extends {Emitter<CallEvents>} */
export class Call extends Emitter {
  /** @type {number | string | null} */
  id = null;
  /** @type {CallState} */
  state = 'starting';
  /** @type {Map<string, Peer>} */
  peers = new Map();
  /** @type {string | null} */
  reason = null;
  /** @type {number | null} */
  expiresAt = null;
  /** @type {number | null} */
  since = null;
  /** @internal @type {Message | null} the invitation that rang here, or crossed ours */
  invitation = null;
  /** @internal @type {Message[]} what came before the service had numbered this call */
  backlog = [];
  /** @internal whether the invitation is out */
  invited = false;
  /** @type {[string, Message][]} */
  #unsaid = [];
  #phone;
  #group = false;
  #joining = false;
  #endedAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;

  /**
   * @internal
   * @param {import('./switchboard.js').Switchboard} phone
   * @param {'in' | 'out'} direction
   * @param {CallType} type
   * @param {{ id: string, name: string }} from
   */
  constructor(phone, direction, type, from) {
    super();
    this.#phone = phone;
    /** @internal */
    this.media = new Media(this, phone);
    this.direction = direction;
    this.type = type;
    this.from = from;
  }

  /** Seconds since it was answered. */
  get duration() {
    return this.since ? Math.floor(((this.#endedAt || Date.now()) - this.since) / 1000) : 0;
  }

  get local() {
    return this.media.local;
  }

  get muted() {
    return this.media.muted;
  }

  get cameraOn() {
    return !!this.media.camera;
  }

  get sharing() {
    return !!this.media.screen;
  }

  /** @param {MediaOptions} [options] */
  async answer({ type = this.type, stream } = {}) {
    if (this.direction !== 'in' || this.state !== 'ringing') throw new SwitchboardError('out_of_turn');
    this.#enter('starting');
    try {
      await this.media.open(type === 'video', stream);
    } catch (error) {
      // It rings on: one may allow it and answer again.
      if (/** @type {string} */ (this.state) === 'starting') this.#enter('ringing');
      throw error;
    }
    await this.#join();
  }

  decline() {
    this.hangup();
  }

  hangup() {
    if (this.state === 'ended') return;
    const unanswered = this.direction === 'in' && !this.#joining;
    this.#leave(unanswered ? 'declined' : this.since ? 'completed' : 'cancelled');
  }

  /** @param {boolean} [on] */
  mute(on = true) {
    this.media.mute(on);
  }

  /** @param {boolean} [on] */
  camera(on = true) {
    return this.media.film(on);
  }

  /** @param {boolean} [on] */
  shareScreen(on = true) {
    return this.media.share(on);
  }

  /** @param {string | number} userId */
  async invite(userId) {
    if (!this.since) throw new SwitchboardError('out_of_turn');
    const peer = this.#peer(`${userId}`);
    if (peer.state === 'left') peer.state = 'ringing';
    peer.why = '';
    this.#group = true;
    await this.#phone.connection.request(
      { type: 'call_invitation', to_user_id: peer.id, call_id: this.id, call_type: this.type }, true);
    if (peer.why) throw new SwitchboardError(`peer_${peer.why}`);
    await this.#link(peer).start();
  }

  /** @returns {Promise<Map<string, PeerStats>>} */
  async stats() {
    const all = new Map();
    for (const peer of this.#inner()) if (peer.link) all.set(peer.id, await peer.link.stats());
    return all;
  }

  // --- for Switchboard ---------------------------------------------------------------------------------------------

  /**
   * @internal
   * @param {string[]} callees
   * @param {MediaStream} [stream]
   */
  async dial(callees, stream) {
    for (const id of callees) this.#peer(id);
    this.#group = callees.length > 1;
    try {
      await this.media.open(this.type === 'video', stream);
      if (this.invitation) return await this.#join();
      const [first] = this.#inner();
      /** @type {Message} */
      const message = { type: 'call_invitation', call_type: this.type, glare: true, idempotency_key: crypto.randomUUID() };
      if (this.#group) message.to_user_ids = callees;
      else Object.assign(message, { to_user_id: first.id, offer: await this.#link(first).invite() });
      if (this.invitation) return await this.#join();
      this.alive();
      this.invited = true;
      const { call_id, status, reason } = await this.#phone.connection.request(message, true);
      this.id = call_id;
      if (/** @type {string} */ (this.state) === 'ended') return this.#say('call_cancelled', {});
      if (status === 'ended') throw new SwitchboardError(`peer_${reason}`);
      // Both called at once, and theirs came first: ours answers it.
      if (status === 'answered') {
        this.#unsaid = [];
        this.#number(call_id);
        if (this.invitation) await this.#join();
        return;
      }
      this.#number(call_id);
      this.#enter('ringing');
      if (this.#group) for (const peer of this.#inner()) await this.#link(peer).start();
    } catch (error) {
      const crossed = this.id === null ? this.invitation : null;
      this.end(typed(error).code.replace('peer_', ''));
      if (crossed) this.#phone.receive(crossed);
      throw error;
    }
  }

  /** @internal @param {Message} message an invitation that rings here */
  async ring(message) {
    const again = this.invitation !== null;
    this.invitation = message;
    this.id = message.call_id;
    this.expiresAt = Date.now() + message.expires_in_ms;
    const inviter = this.#peer(`${message.from_user_id}`, message.from_name);
    inviter.state = 'connecting';
    this.#group = message.participants?.length > 2;
    for (const id of message.participants ?? []) if (`${id}` !== this.#phone.user) this.#peer(`${id}`);
    if (this.direction === 'in' && !again) this.#enter('ringing');
    if (this.invited && !this.#joining && this.state !== 'ended') await this.#join();
  }

  /** @internal @param {Message} message anything else about this call */
  async receive(message) {
    const user = `${message.user_id ?? message.from_user_id}`;
    switch (message.type) {
      case 'call_ended':
      case 'call_cancelled':
        return this.end(message.reason ?? 'completed');
      case 'call_declined':
        return this.#group ? this.#gone(user, message.reason) : this.end(message.reason ?? 'declined');
      case 'peer_left':
        return this.#gone(user, message.reason);
      case 'call_ringing':
        return this.emit('ringing', { user, devices: message.devices });
      case 'call_answered':
        this.#came(user);
        return this.emit('answered', { user });
      case 'peer_joined':
        return this.#came(user);
      case 'peer_reconnecting':
      case 'peer_resumed':
        return this.#trouble(this.#peer(user), 'theirs', message.type === 'peer_reconnecting');
    }
    const link = this.#link(this.#peer(user));
    if (message.type === 'ice_candidate') {
      if (message.candidate) link.candidate(message.candidate);
      return;
    }
    this.#came(user);
    if (message.type === 'call_offer') await link.described('offer', message.offer, message.round);
    else if (message.answer) await link.described('answer', message.answer, message.round);
  }

  /** @internal @param {string} reason it is over, whatever led to it */
  end(reason) {
    if (this.state === 'ended') return;
    this.reason = reason;
    this.#endedAt = Date.now();
    clearInterval(this.#watch);
    this.links((link) => link.close());
    this.media.close();
    this.#phone.over(this);
    this.#enter('ended');
    this.emit('ended', { reason });
  }

  /** @internal @param {string} state of our own socket: answered, a call goes on from browser to browser without it */
  away(state) {
    if (this.since) for (const peer of this.#inner()) if (peer.link) this.#trouble(peer, 'socket', state !== 'connected');
    if (state === 'closed' && this.id && !this.since) this.end('failed');
  }

  /** @internal @template T @param {(link: Link) => T} f */
  links(f) {
    return this.#inner().flatMap(({ link }) => (link ? [f(link)] : []));
  }

  /** @internal Says so at once, as the page goes. */
  abandon() {
    if (this.id !== null) this.#phone.connection.send({ type: 'call_ended', call_id: this.id });
    this.end('completed');
  }

  // --- own ---------------------------------------------------------------------------------------------------------

  #inner() {
    return /** @type {Inner[]} */ ([...this.peers.values()]);
  }

  /** @param {string} id @param {string} [name] */
  #peer(id, name) {
    let peer = /** @type {Inner | undefined} */ (this.peers.get(id));
    if (!peer) {
      peer = { id, name: id, state: 'ringing', stream: null, quality: null, link: null, troubles: new Set(), started: false, why: '' };
      this.peers.set(id, peer);
    }
    if (name) peer.name = name;
    return peer;
  }

  /** @param {Inner} peer */
  #link(peer) {
    peer.link ??= new Link(
      { id: peer.id, polite: this.#phone.user < peer.id, rtc: this.#phone.rtc, local: this.local },
      {
        say: (type, fields) => this.#say(type, { to_user_id: peer.id, ...fields }),
        stream: (stream) => {
          peer.stream = stream;
          this.emit('stream', { user: peer.id, stream });
        },
        link: (up) => {
          if (up && peer.state !== 'reconnecting') peer.state = 'connected';
          this.#trouble(peer, 'ice', !up);
        },
        failed: () => this.#failed(peer),
      },
    );
    return peer.link;
  }

  /** @param {string} type @param {Message} fields */
  #say(type, fields) {
    // Before it has a number nobody could tell whose it is.
    if (this.id === null) return void this.#unsaid.push([type, fields]);
    this.#phone.connection.request({ type, call_id: this.id, ...fields }, true).catch((error) => {
      if (['call_ended', 'answered_elsewhere', 'not_found'].includes(error.code)) this.#phone.settle(this);
    });
  }

  /** @param {number | string} id */
  #number(id) {
    this.id = id;
    this.#phone.numbered(this);
    for (const [type, fields] of this.#unsaid.splice(0)) this.#say(type, fields);
  }

  /** @internal Throws once it is over. */
  alive() {
    if (this.state === 'ended') throw new SwitchboardError('call_ended', undefined, { reason: this.reason ?? undefined });
  }

  /** Takes the call that rings here. */
  async #join() {
    this.alive();
    this.#joining = true;
    const { from_user_id, offer, participants = [], call_id } = this.invitation ?? {};
    const inviter = this.#peer(`${from_user_id}`);
    // What was prepared for our own attempt is of no use for theirs.
    if (this.direction === 'out') {
      inviter.link?.close();
      inviter.link = null;
      this.#unsaid = [];
    }
    this.#number(call_id);
    this.#came(inviter.id);
    if (offer) await this.#link(inviter).described('offer', offer);
    else this.#say('call_answer', {});
    for (const id of participants.map(String)) {
      if (id === this.#phone.user) break;
      if (id !== inviter.id) await this.#link(this.#peer(id)).start();
    }
  }

  /** @param {string} user takes part from now on */
  #came(user) {
    const peer = this.#peer(user);
    const first = !this.since;
    if (first) {
      this.since = Date.now();
      this.#enter('connecting');
      this.#watch = setInterval(() => this.#measure(), QUALITY_EVERY);
    }
    this.#link(peer).expect();
    if (peer.started) return;
    peer.started = true;
    peer.state = 'connecting';
    if (!first) this.emit('peer_joined', { user });
  }

  /** @param {string} user @param {string} reason */
  #gone(user, reason) {
    const peer = this.#peer(user);
    if (peer.state === 'left') return;
    peer.link?.close();
    Object.assign(peer, { state: 'left', why: reason, link: null, stream: null, started: false });
    peer.troubles.clear();
    this.emit('peer_left', { user, reason });
    this.#stand();
  }

  /** @param {Inner} peer no way to it */
  #failed(peer) {
    const others = this.#inner().some((other) => other !== peer && other.state !== 'left');
    if (others) this.#gone(peer.id, 'ice_failed');
    else this.#leave('ice_failed');
  }

  /** @param {string} reason */
  #leave(reason) {
    if (this.id !== null) this.#say(reason === 'declined' ? 'call_declined' : reason === 'cancelled' ? 'call_cancelled' : 'call_ended', {});
    this.end(reason);
  }

  /** @param {Inner} peer @param {'socket' | 'ice' | 'theirs'} what @param {boolean} on */
  #trouble(peer, what, on) {
    if (peer.state === 'left' || peer.state === 'ringing') return;
    const before = peer.troubles.size;
    if (on) peer.troubles.add(what);
    else peer.troubles.delete(what);
    const user = peer.id;
    if (on && peer.state !== 'connecting') {
      peer.state = 'reconnecting';
      this.emit('reconnecting', { user, whose: what === 'theirs' ? 'theirs' : 'mine' });
    } else if (!on && before && !peer.troubles.size && peer.link?.up) {
      peer.state = 'connected';
      this.emit('reconnected', { user });
    }
    this.#stand();
  }

  /** How the call stands, by how its peers do. */
  #stand() {
    if (!this.since || this.state === 'ended') return;
    const states = this.#inner().map((peer) => peer.state);
    if (states.includes('connected')) this.#enter('active');
    else if (states.includes('reconnecting')) this.#enter('reconnecting');
  }

  /** @param {CallState} state */
  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit('state', state);
  }

  async #measure() {
    for (const peer of this.#inner()) {
      if (!peer.link?.up) continue;
      const { rtt, jitter, loss } = await peer.link.stats();
      const bad = Number((rtt ?? 0) > 400) + Number((jitter ?? 0) > 30) + Number((loss ?? 0) > 0.01) + Number((loss ?? 0) > 0.05);
      peer.quality = { word: bad === 0 ? 'good' : bad === 1 ? 'fair' : 'poor', rtt, jitter, loss };
      this.emit('quality', { user: peer.id, ...peer.quality });
    }
  }
}
