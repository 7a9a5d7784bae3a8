// The question whom to bring into the call there is.

import { dialog } from './dialog.js';
import { $ } from './lists.js';

const INSIDE = `<label for="adding-user" data-t="person_id"></label>
  <input id="adding-user" list="adding-people" maxlength="256" autocomplete="off" autocapitalize="none" spellcheck="false">
  <datalist id="adding-people"></datalist>
  <div class="row">
    <button class="primary" value="add" data-t="add"></button>
    <button value="" data-t="close"></button>
  </div>`;

/**
 * Asks for one more; resolves with the id, or nothing.
 * @param {import('./types.js').Page} page
 * @param {ReturnType<typeof import('./lists.js').people>} people
 * @param {(id: string) => boolean} here who is in the call already
 */
export function adding(page, people, here) {
  const made = $('adding') ?? dialog('adding', 'add_person', INSIDE, page);
  const others = people.ids().filter((id) => !here(id));
  $('adding-user').value = '';
  $('adding-people').replaceChildren(...others.map((id) => new Option(people.nameOf(id), id)));
  made.returnValue = '';
  if (!made.open) made.showModal();
  return /** @type {Promise<string>} */ (new Promise((answered) => {
    made.onclose = () => answered(made.returnValue && $('adding-user').value.trim());
  }));
}
