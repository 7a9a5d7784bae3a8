// Calls on any page, by one line: `<script type="module" src="https://calls.example.com/sdk/widget.js"
// data-user="7" data-token="…">`. It rings as the call page does and, once answered, shows a small panel.

import { LANGUAGES, clock, pick, speaker } from '../shared/i18n.js';
import { shadow, tile } from './parts.js';
import { Ring } from './ring.js';
import { Switchboard } from './switchboard.js';

/** @typedef {import('./switchboard.js').Call} Call */
/** @typedef {import('../call/types.js').Speak} Speak */

const STYLE = `
:host { position: fixed; inset-block-end: 16px; inset-inline-end: 16px; z-index: 2147483000; }
section {
  inline-size: min(320px, calc(100vw - 32px)); padding: 12px; border-radius: 20px; background: #10141b; color: #f2f4f8;
  font: 15px/1.4 system-ui, sans-serif; box-shadow: 0 12px 40px rgb(0 0 0 / 40%);
}
.about, .buttons { display: flex; align-items: center; gap: 8px; }
#state { flex: 1; min-inline-size: 0; margin: 0; overflow-wrap: anywhere; font-weight: 600; }
#timer { font-variant-numeric: tabular-nums; }
#tiles { position: relative; display: grid; gap: 6px; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); margin-block: 10px; }
.tile { position: relative; margin: 0; aspect-ratio: 4 / 3; overflow: hidden; border-radius: 14px; background: #1d232d; display: grid; place-items: center; }
video { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: cover; opacity: 0; }
[data-picture] video { opacity: 1; }
[data-picture] .avatar { display: none; }
.avatar { display: grid; place-items: center; inline-size: 56px; block-size: 56px; border-radius: 50%; font-weight: 600; }
figcaption { position: absolute; inset-block-end: 6px; inset-inline-start: 6px; padding: 0 8px; border-radius: 10px; background: rgb(0 0 0 / 72%); font-size: 0.8rem; }
[data-self] { position: absolute; inset-block-end: 6px; inset-inline-end: 6px; inline-size: 26%; border: 2px solid #3a4352; }
[data-self]:not([data-picture]), [data-self] figcaption { display: none; }
[data-self] video { transform: scaleX(-1); }
button {
  display: inline-flex; flex: 1; align-items: center; justify-content: center; gap: 8px; min-block-size: 44px; border: 1px solid transparent;
  border-radius: 22px; background: #2a313d; color: inherit; font: inherit; font-weight: 600; cursor: pointer;
}
button:focus-visible { outline: 3px solid #9dc1ff; outline-offset: 2px; }
#mute[aria-pressed="true"] { background: #f2f4f8; color: #10141b; }
#hang-up { background: #c42834; color: #fff; }
.icon { inline-size: 20px; block-size: 20px; }
`;

const MARKUP = `<section>
  <div class="about"><p id="state" role="status"></p><span id="timer" role="timer"></span></div>
  <div id="tiles"></div>
  <div class="buttons">
    <button id="mute" type="button" aria-pressed="false" data-icon="mic"><span></span></button>
    <button id="hang-up" type="button" data-icon="hang-up"><span></span></button>
  </div>
</section>`;

/** The call there is, in a corner of somebody else's page. */
export class Panel extends HTMLElement {
  constructor() {
    super();
    shadow(this, STYLE, MARKUP);
  }

  /** @param {string} id @returns {HTMLElement} */
  #part(id) {
    return /** @type {HTMLElement} */ (this.shadowRoot?.getElementById(id));
  }

  /** Shows a call that was answered, until it is over. @param {Call} call @param {Speak} t */
  show(call, t) {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    /** @type {Map<string, ReturnType<typeof tile>>} */
    const tiles = new Map();
    const self = tile(t('you'));
    self.element.dataset.self = '';
    self.video.muted = true;
    this.#part('tiles').replaceChildren(self.element);
    this.shadowRoot?.querySelector('section')?.setAttribute('aria-label', t('call'));
    for (const [id, key] of [['mute', 'mute'], ['hang-up', 'hang_up']]) {
      const words = this.#part(id).querySelector('span');
      if (words) words.textContent = t(key);
    }
    this.#part('mute').onclick = () => {
      call.mute(!call.muted);
      look();
    };
    this.#part('hang-up').onclick = () => call.hangup();

    let lost = '';
    const look = () => {
      const peers = [...call.peers.values()].filter(({ state }) => state !== 'left');
      for (const [id, { element }] of tiles) {
        if (peers.some((peer) => peer.id === id)) continue;
        element.remove();
        tiles.delete(id);
      }
      for (const { id, name, stream } of peers) {
        const one = tiles.get(id) ?? tile(name || id);
        if (!tiles.has(id)) this.#part('tiles').insertBefore(one.element, self.element);
        tiles.set(id, one);
        one.show(stream);
      }
      self.show(call.local);
      this.#part('mute').ariaPressed = String(call.muted);
      const name = peers.map((peer) => peer.name || peer.id).join(', ');
      this.#part('state').textContent = lost || t(call.state === 'active' ? 'active' : 'answering', { name });
      this.#part('timer').textContent = call.since ? clock((Date.now() - call.since) / 1000) : '';
    };
    for (const event of /** @type {const} */ (['state', 'stream', 'local', 'peer_joined', 'peer_left'])) call.on(event, look);
    call.on('reconnecting', ({ user, whose }) => {
      lost = t(whose === 'mine' ? 'mine_lost' : 'theirs_lost', { name: call.peers.get(String(user))?.name || String(user) });
      look();
    });
    call.on('reconnected', () => {
      lost = '';
      look();
    });
    const timer = setInterval(look, 1000);
    call.on('ended', () => {
      clearInterval(timer);
      this.remove();
      before?.focus();
    });
    document.body.append(this);
    look();
    this.#part('mute').focus();
  }
}
customElements.define('switchboard-call', Panel);

/** What rings on this page for a call and, once it is answered, shows it. @param {import('../shared/i18n.js').Tag} tag */
export async function ringer(tag) {
  const { dir } = LANGUAGES[tag];
  const t = await speaker((one) => import(`../call/strings/${one}.js`), tag);
  const ring = new Ring();
  ring.dir = dir;
  document.body.append(ring);
  return (/** @type {Call} */ call) => {
    // It may be over before all this was loaded.
    if (call.state === 'ended') return;
    ring.ring(call, t);
    let shown = false;
    call.on('state', (state) => {
      if (shown || !['connecting', 'active'].includes(state)) return;
      shown = true;
      const panel = new Panel();
      panel.dir = dir;
      panel.show(call, t);
    });
  };
}

/** What the tag asks for. @param {DOMStringMap} asked */
async function start({ user, token, tokenUrl, lang }) {
  if (!user) throw new Error('the tag of the widget needs data-user');
  const ring = await ringer(pick([lang, document.documentElement.lang, ...navigator.languages]));
  const fetched = async () => {
    const response = await fetch(String(tokenUrl), { credentials: 'include' });
    const text = (await response.text()).trim();
    return text.startsWith('{') ? JSON.parse(text).token : text;
  };
  const phone = new Switchboard({ user, ...(tokenUrl ? { token: fetched } : token ? { token } : {}) });
  phone.on('incoming', ring);
  // A page that is not let in has no telephone; its own work goes on.
  phone.connect().catch((/** @type {Error} */ error) => console.warn('switchboard:', error));
}

// A module does not know its tag; the tag knows its address. Imported by a page there is none.
const own = [...document.querySelectorAll('script')].find(({ src, dataset }) => src === import.meta.url && dataset.user !== undefined);
if (own) await start(own.dataset);
