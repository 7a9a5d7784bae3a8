// Tables whose rows are updated in place, so that what is focused, typed or being read stays where it is.
// At phone width they are shown as cards (admin.css), so roles are written out and cells know their heading.

/**
 * @template T
 * @typedef {{ head: string, holds?: 'id' | 'people', cell: (cell: HTMLElement, item: T, row: HTMLElement) => void }} Column
 * The heading of a column, and what fills its cell; the first one names the row. Cells are one line, except where they
 * hold people, whose ids and names may be long; an id of a machine is cut short where there is no room.
 */

/** @param {string} tag @param {Record<string, string>} [attributes] @param {(Node | string)[]} inside */
export function el(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

/** Sets the text where it is another one. @param {Element} element @param {string | number} text */
export function put(element, text) {
  if (element.textContent !== String(text)) element.textContent = String(text);
}

/**
 * Makes `list` hold an element per item, by key and in order. What is there already is filled again, not made again.
 * @template T
 * @param {Element} list @param {T[]} items @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement} make @param {(element: HTMLElement, item: T) => void} fill
 */
export function keyed(list, items, key, make, fill) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const held = list.contains(focused) ? focused : null;
  const known = new Map([...list.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.key, child]));
  const wanted = new Set(items.map(key));
  for (const [name, child] of known) if (!wanted.has(name ?? '')) child.remove();
  let next = list.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let element = /** @type {HTMLElement | undefined} */ (known.get(name));
    if (!element) {
      element = make(item);
      element.dataset.key = name;
    }
    fill(element, item);
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
  if (!held || document.activeElement === held) return;
  if (held.isConnected && held.getClientRects().length) held.focus({ preventScroll: true });
  // What was focused is gone: its section is where it was.
  else list.closest('section')?.focus({ preventScroll: true });
}

/**
 * A table of these columns, in a box of its own that scrolls where the table cannot fit. Returns what shows a list of
 * items in it.
 * @template T
 * @param {HTMLElement} table Has a caption; what stands in its `data-empty` is said where there are no rows.
 * @param {import('./types').App} app
 * @param {(item: T) => string} key
 * @param {Column<T>[]} columns
 * @returns {(items: T[]) => void}
 */
export function table(table, app, key, columns) {
  const heads = columns.map(({ head }) => el('th', { scope: 'col', role: 'columnheader' }, app.t(head)));
  const body = el('tbody', { role: 'rowgroup' });
  table.append(el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads)), body);
  table.setAttribute('role', 'table');
  const home = table.closest('section');
  if (home) home.tabIndex = -1;
  const box = el('div', { class: 'scroll', role: 'group', 'aria-label': table.querySelector('caption')?.textContent ?? '' });
  table.replaceWith(box);
  box.append(table);
  // Scrolled with the keyboard, too; where everything fits there is nothing to stop at.
  new ResizeObserver(() => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute('tabindex');
  }).observe(table);
  const empty = el('p', { class: 'quiet' }, app.t(table.dataset.empty ?? 'none'));
  empty.hidden = true;
  box.after(empty);
  const make = () => el('tr', { role: 'row' }, ...columns.map(({ head, holds = '' }, at) => (at === 0
    ? el('th', { scope: 'row', role: 'rowheader', class: holds })
    : el('td', { role: 'cell', class: holds, 'data-head': app.t(head) }))));
  return (items) => {
    keyed(body, items, key, make, (row, item) => {
      columns.forEach(({ cell }, at) => cell(/** @type {HTMLElement} */ (row.children[at]), item, row));
    });
    empty.hidden = items.length > 0;
    table.classList.toggle('empty', items.length === 0);
  };
}

/**
 * A cell that holds one element, made once. @template {HTMLElement} E
 * @param {HTMLElement} cell @param {() => E} make @returns {E}
 */
export function once(cell, make) {
  if (!cell.firstElementChild) cell.append(make());
  return /** @type {E} */ (cell.firstElementChild);
}

/** A link within the dashboard in a cell. @param {HTMLElement} cell @param {string} href @param {string} text @param {string} [label] */
export function link(cell, href, text, label) {
  const a = once(cell, () => el('a'));
  if (a.getAttribute('href') !== href) a.setAttribute('href', href);
  if (label) a.setAttribute('aria-label', label);
  put(a, text);
}

/**
 * A button in a cell. Its name for screen readers says of what it is.
 * @param {HTMLElement} cell @param {string} kind @param {string} text @param {string} label @param {(button: HTMLButtonElement) => void} pressed
 */
export function button(cell, kind, text, label, pressed) {
  const one = /** @type {HTMLButtonElement} */ (once(cell, () => el('button', { type: 'button', class: kind })));
  put(one, text);
  one.setAttribute('aria-label', label);
  one.onclick = () => pressed(one);
}

/** A word that also has a colour. @param {HTMLElement} cell @param {string} kind @param {string} text */
export function badge(cell, kind, text) {
  const one = once(cell, () => el('span'));
  one.className = `badge is-${kind}`;
  put(one, text);
}
