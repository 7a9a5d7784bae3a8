// Numbers, times and people as they are written in the reader's language and time zone.

import { clock } from '../shared/i18n.js';

const NONE = '–';

/** @typedef {import('./types').UserId} UserId */

/** @param {string} lang */
export function formats(lang) {
  const number = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(lang, { style: 'percent', maximumFractionDigits: 0 });
  const seconds = new Intl.NumberFormat(lang, { style: 'unit', unit: 'second', maximumFractionDigits: 1 });
  const date = new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'medium' });
  const several = new Intl.ListFormat(lang, { type: 'unit', style: 'short' });
  const hour = new Intl.DateTimeFormat(lang, { timeStyle: 'medium' });
  /** @param {string | null | undefined} at @param {Intl.DateTimeFormat} as */
  const moment = (at, as) => (at ? as.format(new Date(at)) : NONE);
  return {
    /** @param {number | null | undefined} n */
    number: (n) => (n == null ? NONE : number.format(n)),
    /** @param {number | null | undefined} n */
    percent: (n) => (n == null ? NONE : percent.format(n)),
    /** A wait: `1.2 s`, `3:07`. @param {number | null | undefined} ms */
    wait: (ms) => (ms == null ? NONE : ms < 60_000 ? seconds.format(ms / 1000) : clock(ms / 1000)),
    /** How long a call took. @param {number | null | undefined} s */
    length: (s) => (s == null ? NONE : clock(s)),
    /** The day and time, or the time where it is today. @param {string | null | undefined} at */
    time: (at) => moment(at, at && new Date(at).toDateString() === new Date().toDateString() ? hour : date),
    /** @param {string | null | undefined} at */
    date: (at) => moment(at, date),
    /** @param {string[]} words */
    list: (words) => several.format(words),
    /** Isolated, so that a name of another direction does not turn its surroundings. @param {UserId} id @param {string | null} [name] */
    person: (id, name) => (name ? `\u2068${name} (${id})\u2069` : String(id)),
  };
}

/** The start of the viewer's own day, `days` days ago. */
export function midnight(days = 0) {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - days).toISOString();
}
