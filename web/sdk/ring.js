// `<switchboard-ring>`: what rings, on the call page and on any page with the widget. A modal question with
// the focus on its answer, a bell, and where the page is not looked at a notification and a title that calls.

import { audible, avatar, enableSound, icons, onSound, play } from './parts.js';

/** @typedef {import('./switchboard.js').Call} Call */
/** @typedef {import('../call/types.js').Speak} Speak */

const STYLE = `
:host { --surface: #fff; --text: #171b22; --line: #d4d8e0; --good: #177245; --bad: #bb2530; --on: #fff; }
@media (prefers-color-scheme: dark) {
  :host { --surface: #1f242d; --text: #eceff4; --line: #4a5262; --good: #66cf9a; --bad: #ff8f92; --on: #0d1117; }
}
dialog {
  box-sizing: border-box; inline-size: min(24rem, calc(100vw - 32px)); padding: 32px 24px 24px; border: 0; border-radius: 24px;
  background: var(--surface); color: var(--text); font: 16px/1.45 system-ui, sans-serif; text-align: center;
  box-shadow: 0 24px 64px rgb(0 0 0 / 35%);
}
dialog::backdrop { background: rgb(10 14 22 / 60%); backdrop-filter: blur(4px); }
h2 { margin: 16px 0 4px; font-size: 1.3rem; overflow-wrap: anywhere; }
p { margin: 0; color: var(--bad); text-align: start; }
p:not(:empty) { margin-block-start: 12px; }
.avatar {
  display: inline-grid; place-items: center; inline-size: 88px; block-size: 88px; border-radius: 50%; color: #fff; background: #1f5fd0;
  font-size: 2rem; font-weight: 600; animation: pulse 1.5s ease-out infinite;
}
@keyframes pulse { from { box-shadow: 0 0 0 0 rgb(31 95 208 / 45%); } to { box-shadow: 0 0 0 24px rgb(31 95 208 / 0%); } }
@media (prefers-reduced-motion: reduce) { .avatar { animation: none; box-shadow: 0 0 0 8px rgb(31 95 208 / 25%); } }
.buttons { display: flex; flex-wrap: wrap; gap: 12px; margin-block-start: 24px; }
button {
  display: inline-flex; align-items: center; justify-content: center; gap: 8px; flex: 1 1 9rem; min-block-size: 52px; padding: 8px 16px;
  border: 1px solid var(--line); border-radius: 26px; background: none; color: inherit; font: inherit; font-weight: 600; cursor: pointer;
}
button:focus-visible { outline: 3px solid currentColor; outline-offset: 3px; }
#answer:focus-visible { outline-color: var(--good); } #decline:focus-visible { outline-color: var(--bad); }
button:disabled { opacity: 60%; cursor: default; }
#answer { background: var(--good); color: var(--on); border-color: transparent; }
#decline { background: var(--bad); color: var(--on); border-color: transparent; }
#enable-sound { inline-size: 100%; margin-block-start: 12px; }
[hidden] { display: none; }
.icon { flex: none; }
`;

const MARKUP = `<dialog role="alertdialog" aria-labelledby="who" aria-describedby="trouble">
  <div id="face"></div><h2 id="who"></h2><p id="trouble" role="alert"></p>
  <div class="buttons">
    <button id="decline" type="button" data-icon="hang-up"><span></span></button>
    <button id="answer-voice" type="button" data-icon="mic"><span></span></button>
    <button id="answer" type="button" data-icon="phone" autofocus><span></span></button>
  </div>
  <button id="enable-sound" type="button" data-icon="sound"><span></span></button>
</dialog>`;

export class Ring extends HTMLElement {
  /** @type {Call | null} */
  #call = null;
  /** @type {Speak} */
  #t = (key) => key;
  /** @type {(() => void)[]} What makes it silent again. */
  #quiet = [];

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = MARKUP;
    icons(root);
    this.#part('answer').onclick = () => this.#answer();
    this.#part('answer-voice').onclick = () => this.#answer('voice');
    this.#part('decline').onclick = () => this.#call?.decline();
    this.#part('enable-sound').onclick = () => void enableSound();
    // Escape must not merely close the question.
    this.#dialog.oncancel = (event) => {
      event.preventDefault();
      this.#call?.decline();
    };
    onSound(() => this.#sound());
  }

  /** @param {string} id */
  #part(id) {
    return /** @type {HTMLButtonElement} */ (this.shadowRoot?.getElementById(id));
  }

  get #dialog() {
    return /** @type {HTMLDialogElement} */ (this.shadowRoot?.querySelector('dialog'));
  }

  /**
   * Rings for a call until it is answered, declined or over.
   * @param {Call} call @param {Speak} t what says it in the reader's language
   */
  ring(call, t) {
    this.#stop();
    this.#call = call;
    this.#t = t;
    const video = call.type === 'video';
    const name = call.from.name || call.from.id;
    const said = t(video ? 'incoming_video' : 'incoming_voice', { name });
    this.#part('face').replaceChildren(avatar(name));
    this.#part('who').textContent = said;
    this.#part('trouble').textContent = '';
    for (const [id, key] of [['answer', video ? 'answer_video' : 'answer'], ['answer-voice', 'answer_voice'], ['decline', 'decline'], ['enable-sound', 'enable_sound']]) {
      const words = this.#part(id).querySelector('span');
      if (words) words.textContent = t(key);
    }
    this.#part('answer-voice').hidden = !video;
    this.#enabled(true);
    this.#sound();
    this.#quiet = [
      call.on('state', () => this.#look()),
      call.on('ended', () => this.#stop()),
      play('bell'),
      flash(said),
      notify(said),
    ];
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#part('answer').focus();
    this.#look();
  }

  /** Closes once it rings no more. */
  #look() {
    if (this.#call && !['ringing', 'starting'].includes(this.#call.state)) this.#stop();
  }

  #sound() {
    this.#part('enable-sound').hidden = audible();
  }

  /** @param {boolean} on */
  #enabled(on) {
    this.#part('answer').disabled = this.#part('answer-voice').disabled = !on;
  }

  /** @param {'voice'} [type] */
  async #answer(type) {
    const call = this.#call;
    if (!call) return;
    this.#enabled(false);
    this.#part('trouble').textContent = '';
    try {
      await call.answer(type ? { type } : {});
      if (call === this.#call) this.#stop();
    } catch (error) {
      // It rings on: what was in the way can be put right and the call answered still.
      if (call !== this.#call) return;
      const { code } = /** @type {{ code: string }} */ (error);
      const way = this.#t(`${code}_way`, { address: 'https://' });
      this.#part('trouble').textContent = way === `${code}_way` ? this.#t('end_failed') : `${this.#t(code)}. ${way}`;
      this.#enabled(true);
      this.#part(call.type === 'video' ? 'answer-voice' : 'answer').focus();
    }
  }

  #stop() {
    for (const quiet of this.#quiet) quiet();
    this.#quiet = [];
    this.#call = null;
    this.#dialog.close();
  }
}

/** Calls from the row of tabs. @param {string} said */
function flash(said) {
  const before = document.title;
  document.title = `☎ ${said}`;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const timer = still ? 0 : setInterval(() => {
    document.title = document.title === before ? `☎ ${said}` : before;
  }, 1000);
  return () => {
    clearInterval(timer);
    document.title = before;
  };
}

/** Calls from outside the browser, where that is permitted and needed. @param {string} said */
function notify(said) {
  if (!('Notification' in window) || Notification.permission !== 'granted' || document.hasFocus()) return () => {};
  try {
    const shown = new Notification(said, { tag: 'switchboard', requireInteraction: true });
    shown.onclick = () => window.focus();
    return () => shown.close();
  } catch {
    // Phones show notifications only through a service worker, which a call page does not need otherwise.
    return () => {};
  }
}

customElements.define('switchboard-ring', Ring);
