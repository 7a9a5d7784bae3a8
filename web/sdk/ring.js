// `<switchboard-ring>`: what rings, on the call page and on any page with the widget. A modal question with
// the focus on its answer, a bell, and where the page is not looked at a notification and a title that calls.

import { audible, avatar, enableSound, localAddress, onSound, play, shadow } from './parts.js';

/** @typedef {import('./switchboard.js').Call} Call */
/** @typedef {import('../call/types.js').Speak} Speak */

const STYLE = `
:host { color-scheme: light dark; }
dialog {
  box-sizing: border-box; inline-size: min(24rem, calc(100vw - 32px)); padding: 32px 24px 24px; border: 0; border-radius: 24px;
  background: light-dark(#fff, #1f242d); color: light-dark(#171b22, #eceff4); font: 16px/1.45 system-ui, sans-serif; text-align: center;
  box-shadow: 0 24px 64px rgb(0 0 0 / 35%);
}
dialog::backdrop { background: rgb(10 14 22 / 60%); backdrop-filter: blur(4px); }
h2 { margin: 16px 0 4px; font-size: 1.3rem; overflow-wrap: anywhere; }
p { margin: 0; color: light-dark(#bb2530, #ff8f92); text-align: start; }
p:not(:empty) { margin-block-start: 12px; }
.avatar {
  display: inline-grid; place-items: center; inline-size: 88px; block-size: 88px; border-radius: 50%; color: #fff;
  font-size: 2rem; font-weight: 600;
}
@keyframes pulse { from { box-shadow: 0 0 rgb(64 128 240 / 45%); } to { box-shadow: 0 0 0 24px rgb(64 128 240 / 0%); } }
@media (prefers-reduced-motion: no-preference) { .avatar { animation: pulse 1.5s ease-out infinite; } }
.buttons { display: flex; flex-wrap: wrap; gap: 12px; margin-block-start: 24px; }
button {
  display: inline-flex; align-items: center; justify-content: center; gap: 8px; flex: 1 1 9rem; min-block-size: 52px; padding: 8px;
  border: 1px solid light-dark(#d4d8e0, #4a5262); border-radius: 26px; background: none; color: inherit; font: inherit; font-weight: 600; cursor: pointer;
}
button:focus-visible { outline: 3px solid light-dark(#1f5fd0, #82aefb); outline-offset: 3px; }
button:disabled { opacity: 60%; cursor: default; }
#answer, #decline { background: #1a7f4d; color: #fff; border-color: transparent; }
#decline { background: #c42834; }
#enable-sound { inline-size: 100%; margin-block-start: 12px; }
:has(#answer-voice:not([hidden])) > #answer { flex-basis: 100%; }
[hidden] { display: none; }
.icon { flex: none; }
`;

const MARKUP = `<dialog role="alertdialog" aria-labelledby="who" aria-describedby="trouble">
  <div id="face"></div><h2 id="who"></h2><p id="trouble" role="alert"></p>
  <div class="buttons">
    <button id="answer" type="button" data-icon="phone" autofocus><span></span></button>
    <button id="answer-voice" type="button" data-icon="mic"><span></span></button>
    <button id="decline" type="button" data-icon="hang-up"><span></span></button>
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
    shadow(this, STYLE, MARKUP);
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
      const way = this.#t(`${code}_way`, { address: localAddress() });
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
