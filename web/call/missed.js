// The calls that were missed: who called, when, and why it came to nothing.

import { dialog } from './dialog.js';
import { $ } from './lists.js';

const INSIDE = '<p class="quiet" data-t="no_missed"></p><ol></ol><button data-t="close"></button>';

/**
 * Lists them; they are seen then.
 * @param {import('./types.js').Page} page
 * @param {ReturnType<typeof import('./lists.js').people>} folk
 * @param {(type: string, ids: string[], out: boolean, at: string, words: string, missed: boolean) => HTMLElement} row
 */
export async function missed(page, folk, row) {
  const { phone, t } = page;
  const { calls } = await phone.missed.list({ limit: 50 });
  const made = $('missed-list') ?? dialog('missed-list', 'missed_calls', INSIDE, page);
  made.querySelector('p').hidden = calls.length > 0;
  made.querySelector('ol').replaceChildren(...calls.map((/** @type {any} */ call) => {
    folk.know(call.caller_id, call.caller_name);
    const item = row(call.call_type, [String(call.caller_id)], false, call.call_time, t(`why_${call.reason}`), true);
    item.toggleAttribute('data-new', !call.seen_by_callee);
    return item;
  }));
  if (!made.open) made.showModal();
  if (phone.missed.count > 0) await phone.missed.seenAll();
}
