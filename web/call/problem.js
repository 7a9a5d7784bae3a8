// What is in the way of a call, said with the way out of it. Loaded when there is something.

import { localAddress } from '../sdk/parts.js';
import { $, element } from './lists.js';

/**
 * Says it in place of what was said before.
 * @param {import('./types.js').Speak} t @param {string} code
 * @param {() => void} [retry] @param {() => void} [voice] goes on without a camera
 */
export function problem(t, code, retry, voice) {
  $('problem')?.remove();
  /** @param {string} kind @param {string} key @param {() => void} [act] */
  const way = (kind, key, act) => {
    const button = /** @type {HTMLButtonElement} */ (element('button', kind, t(key)));
    button.onclick = () => {
      box.remove();
      act?.();
    };
    return button;
  };
  const ways = [way('dismiss', 'dismiss')];
  if (voice) ways.unshift(way('with-voice', 'with_voice', voice));
  if (retry) ways.unshift(way('retry primary', code === 'replaced' ? 'use_here' : 'retry', retry));
  const box = element('section', 'card',
    element('h2', '', t(code)), element('p', '', t(`${code}_way`, { address: localAddress() })), element('div', 'row', ...ways));
  box.id = 'problem';
  box.role = 'alert';
  box.dataset.code = code;
  document.querySelector('main')?.before(box);
  ways[0].focus();
}
