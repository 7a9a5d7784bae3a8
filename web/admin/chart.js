// Stacked bars as SVG, with a legend, a tooltip at each bar and the same as a table. Outcomes differ by
// pattern (index.html has the patterns), not by colour alone. Time runs from left to right in every language.

import { el, put } from './table.js';

/**
 * @typedef {object} Data
 * @property {string} title
 * @property {string} summary What a screen reader says of the picture.
 * @property {string} first Heading of the table's first column.
 * @property {{ label: string, tick: string }[]} buckets
 * @property {{ kind: string, label: string, values: (number | null)[] }[]} series
 * @property {(n: number | null) => string} format
 * @property {number} [top] Where the scale ends; else at the highest bar.
 * @property {number[]} [steps] What the scale may be divided by; powers of ten times 1, 2 and 5 unless said.
 */

const HEIGHT = 200;
const BASE = 176;
const HEAD = 12;
const START = 48;
/** What there is room for at least, for a bar with the gap beside it. */
const THINNEST = 5;
const LOWEST = 2;

/** @param {string} tag @param {Record<string, string | number>} attributes @param {(Node | string)[]} inside */
function svg(tag, attributes, ...inside) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...inside);
  return element;
}

/** The smallest even scale over `highest`: its top and its step. @param {number} highest @param {number[]} [steps] */
function scale(highest, steps) {
  const rough = Math.max(highest, 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = steps?.find((one) => one >= rough) ?? Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough);
  return { step, top: Math.max(step, Math.ceil(highest / step) * step) };
}

/** @param {Data} data @param {number} room The width there is, in pixels. */
function draw(data, room) {
  const count = Math.max(1, data.buckets.length);
  const width = Math.max(room, START + count * THINNEST);
  const slot = (width - START) / count;
  const bar = Math.max(THINNEST - 1, Math.min(slot * 0.75, 48));
  const sums = data.buckets.map((_, at) => data.series.reduce((sum, { values }) => sum + (values[at] ?? 0), 0));
  const { step, top } = data.top ? { step: data.top / 4, top: data.top } : scale(Math.max(0, ...sums), data.steps);
  const height = (/** @type {number} */ n) => (n / top) * (BASE - HEAD);
  const picture = svg('svg', { role: 'img', 'aria-label': data.summary, width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, direction: 'ltr' });
  for (let line = 0; line <= top + step / 2; line += step) {
    const y = BASE - height(line);
    picture.append(
      svg('line', { x1: START, x2: width, y1: y, y2: y, class: 'grid' }),
      svg('text', { x: START - 6, y: y + 4, 'text-anchor': 'end' }, data.format(line)),
    );
  }
  // As many words below as fit beside each other; hours of several days are named by their day.
  const every = count > 48 ? 24 : Math.ceil(60 / slot);
  data.buckets.forEach(({ label, tick }, at) => {
    const x = START + slot * at + (slot - bar) / 2;
    const parts = data.series.filter(({ values }) => values[at]).map((one) => `${one.label}: ${data.format(one.values[at])}`);
    const group = svg('g', {}, svg('title', {}, [label, ...parts].join('\n')),
      svg('rect', { x: START + slot * at, y: HEAD, width: slot, height: BASE - HEAD, class: 'reach' }));
    let y = BASE;
    for (const { kind, values } of data.series) {
      // The smallest share is still to be seen.
      const tall = values[at] ? Math.max(height(values[at]), LOWEST) : 0;
      y -= tall;
      if (tall > 0) group.append(svg('rect', { x, y, width: bar, height: tall, fill: `url(#of-${kind})`, class: 'bar' }));
    }
    picture.append(group);
    if (at % every === 0) picture.append(svg('text', { x: x + bar / 2, y: HEIGHT - 6, 'text-anchor': 'middle' }, tick));
  });
  return picture;
}

/**
 * Makes a figure a chart; returns what shows data in it.
 * @param {HTMLElement} figure @param {import('./types').App} app
 */
export function chart(figure, app) {
  const title = el('figcaption');
  const legend = el('ul', { class: 'legend', 'aria-hidden': 'true' });
  const plot = el('div', { class: 'scroll', tabindex: '0', role: 'group' });
  const caption = el('caption', { class: 'visually-hidden' });
  const head = el('tr');
  const body = el('tbody');
  const scroll = el('div', { class: 'scroll', tabindex: '0', role: 'group' }, el('table', {}, caption, el('thead', {}, head), body));
  figure.append(title, legend, plot, el('details', {}, el('summary', {}, app.t('as_table')), scroll));
  /** @type {Data | undefined} */
  let shown;
  let width = 0;
  const paint = () => {
    if (shown && width > 0) plot.replaceChildren(draw(shown, width));
  };
  new ResizeObserver(([entry]) => {
    if (Math.floor(entry.contentRect.width) === width) return;
    width = Math.floor(entry.contentRect.width);
    paint();
  }).observe(plot);
  return (/** @type {Data} */ data) => {
    shown = data;
    put(title, data.title);
    put(caption, data.title);
    plot.setAttribute('aria-label', data.title);
    scroll.setAttribute('aria-label', data.title);
    // One kind of bar needs no other name than the title.
    legend.hidden = data.series.length < 2;
    legend.replaceChildren(...data.series.map(({ kind, label }) => el('li', {},
      svg('svg', { width: 14, height: 14 }, svg('rect', { width: 14, height: 14, fill: `url(#of-${kind})`, class: 'bar' })), label)));
    paint();
    head.replaceChildren(...[data.first, ...data.series.map(({ label }) => label)].map((text) => el('th', { scope: 'col' }, text)));
    body.replaceChildren(...data.buckets.map(({ label }, at) => el('tr', {}, el('th', { scope: 'row' }, label),
      ...data.series.map(({ values }) => el('td', {}, data.format(values[at]))))));
  };
}
