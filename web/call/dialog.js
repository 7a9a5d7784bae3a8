// What the dialogs of the page have in common. They and their modules are loaded when they are asked for.

const STYLE = `
dialog { inline-size: min(28rem, 100vw - 24px); padding: 24px; border: 1px solid var(--line); border-radius: 24px; background: var(--surface); color: var(--text); box-shadow: var(--shadow); }
dialog::backdrop { background: rgb(10 14 22 / 55%); }
dialog ol { max-block-size: 50dvh; overflow-y: auto; }
[data-new] .name::after { content: " ●"; color: var(--bad); }
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);
document.adoptedStyleSheets.push(sheet);

/**
 * A dialog that is closed, with its words in the reader's language.
 * @param {string} id @param {string} title the key of its words @param {string} inside
 * @param {import('./types.js').Page} page
 */
export function dialog(id, title, inside, { translate }) {
  const made = document.createElement('dialog');
  made.id = id;
  made.setAttribute('aria-labelledby', `${id}-title`);
  made.innerHTML = `<form method="dialog"><h2 id="${id}-title" data-t="${title}"></h2>${inside}</form>`;
  translate(made);
  document.body.append(made);
  return made;
}
