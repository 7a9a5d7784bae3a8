// How many calls there were and what became of them, by hour and by day, over a chosen range.

import { chart } from './chart.js';
import { midnight } from './format.js';
import { el, keyed, put } from './table.js';

/** @typedef {import('./types').Bucket} Bucket @typedef {import('./types').Stats} Stats */

/** Which reasons of the record are one kind of outcome; together they are all calls that are over. */
const OUTCOMES = {
  completed: ['completed'], missed: ['no_answer', 'busy', 'offline'], cancelled: ['cancelled'], declined: ['declined'],
  failed: ['dropped', 'failed', 'killed'],
};
const DAYS = { '24h': 1, '7d': 7, '30d': 30 };
/** More bars than those of a week are no picture. */
const HOURS = 7 * 24;

/**
 * @param {import('./types').App} app @param {ReturnType<import('./format.js').formats>} format
 * @returns {import('./types').View}
 */
export function charts(app, format) {
  const make = (/** @type {string} */ name) => chart(/** @type {HTMLElement} */ (document.getElementById(`chart-${name}`)), app);
  const [hour, day, rate, length] = ['hour', 'day', 'rate', 'length'].map(make);
  const totals = /** @type {HTMLElement} */ (document.getElementById('totals'));
  const hourTick = new Intl.DateTimeFormat(app.lang, { hour: 'numeric' });
  const hourLabel = new Intl.DateTimeFormat(app.lang, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  const dayTick = new Intl.DateTimeFormat(app.lang, { day: 'numeric', month: 'numeric' });
  const dayLabel = new Intl.DateTimeFormat(app.lang, { weekday: 'short', day: 'numeric', month: 'short' });

  // Without the marks that would turn it within a picture that runs from left to right.
  const plainDay = (/** @type {Date} */ time) => dayTick.format(time).replace(/[\u200e\u200f]/g, '');

  /** @param {Bucket[]} buckets @param {boolean} hourly */
  const named = (buckets, hourly) => buckets.map(({ at }) => {
    const time = new Date(at);
    return hourly ? { label: hourLabel.format(time), tick: buckets.length > 48 ? plainDay(time) : hourTick.format(time) }
      : { label: dayLabel.format(time), tick: plainDay(time) };
  });
  /** @param {Bucket[]} buckets */
  const byOutcome = (buckets) => {
    const series = Object.entries(OUTCOMES).map(([kind, reasons]) => ({
      kind, label: app.t(`outcome.${kind}`), values: buckets.map((one) => reasons.reduce((sum, reason) => sum + Number(one[reason] ?? 0), 0)),
    }));
    // What has no outcome yet.
    const live = buckets.map((one, at) => Math.max(0, one.calls - series.reduce((sum, { values }) => sum + values[at], 0)));
    return [...series, { kind: 'live', label: app.t('outcome.live'), values: live }];
  };
  /** @param {(data: import('./chart.js').Data) => void} show @param {Bucket[]} buckets @param {boolean} hourly @param {string} title */
  const calls = (show, buckets, hourly, title) => {
    const count = buckets.reduce((sum, one) => sum + one.calls, 0);
    const series = byOutcome(buckets);
    const parts = series.map(({ label, values }) => `${label}: ${format.number(values.reduce((a, b) => a + b, 0))}`).join(', ');
    show({
      title, summary: app.t('chart_summary', { title, count, parts }), first: app.t(hourly ? 'hour' : 'day'),
      buckets: named(buckets, hourly), series, format: format.number,
    });
  };
  /** One number per bucket. @param {typeof rate} show @param {Bucket[]} buckets @param {boolean} hourly @param {string} title
   * @param {'answer_rate' | 'mean_duration_seconds'} of @param {(n: number | null) => string} as @param {Pick<import('./chart.js').Data, 'top' | 'steps'>} scale */
  const single = (show, buckets, hourly, title, of, as, scale) => {
    const values = buckets.map((one) => one[of]);
    const seen = values.filter((one) => one !== null);
    const summary = seen.length ? app.t('range_summary', { title, low: as(Math.min(...seen)), high: as(Math.max(...seen)) }) : `${title}: –`;
    show({ title, summary, first: app.t(hourly ? 'hour' : 'day'), buckets: named(buckets, hourly),
      series: [{ kind: of === 'answer_rate' ? 'rate' : 'length', label: title, values }], format: as, ...scale });
  };

  /** @param {Stats} stats */
  function showTotals({ totals: all, answer_rate, duration_seconds: long, time_to_answer_ms: wait }) {
    keyed(totals, [
      ['calls', format.number(all.calls)], ['answered', format.number(all.answered)], ['missed', format.number(all.missed)],
      ['answer_rate', format.percent(answer_rate)],
      ['median_time_to_answer', format.wait(wait.median)], ['p95_time_to_answer', format.wait(wait.p95)],
      ['mean_duration', format.length(long.mean)], ['median_duration', format.length(long.median)],
      ['p95_duration', format.length(long.p95)], ['max_duration', format.length(long.max)],
    ], ([name]) => name, ([name]) => el('div', { 'data-total': name }, el('dt', {}, app.t(name)), el('dd')),
    (row, [, text]) => put(/** @type {Element} */ (row.lastElementChild), text));
  }

  const range = (/** @type {URLSearchParams} */ at) => /** @type {keyof typeof DAYS} */ (Object.hasOwn(DAYS, at.get('range') ?? '') ? at.get('range') : '7d');

  return {
    // Read every ten seconds, not with every call: it counts thousands of them.
    parts: [],
    enter(at) {
      for (const a of document.querySelectorAll('#range a')) {
        if (/** @type {HTMLElement} */ (a).dataset.range === range(at)) a.setAttribute('aria-current', 'true');
        else a.removeAttribute('aria-current');
      }
    },
    async load(at, signal) {
      const days = DAYS[range(at)];
      // Whole hours or whole days of the viewer, so that the first bar is not cut.
      const since = days === 1 ? new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 - 23 * 3_600_000).toISOString() : midnight(days - 1);
      /** @type {Stats} */
      const stats = await app.api('/api/calls/stats', { since, utc_offset_minutes: -new Date().getTimezoneOffset() }, { signal });
      const hours = stats.per_hour.slice(-HOURS);
      showTotals(stats);
      calls(hour, hours, true, app.t(days === 30 ? 'per_hour_week' : 'per_hour'));
      calls(day, stats.per_day, false, app.t('per_day'));
      const hourly = days === 1;
      const buckets = hourly ? hours : stats.per_day;
      single(rate, buckets, hourly, app.t('answer_rate'), 'answer_rate', format.percent, { top: 1 });
      single(length, buckets, hourly, app.t('mean_duration'), 'mean_duration_seconds', format.length, { steps: [1, 5, 15, 30, 60, 300, 900, 1800, 3600] });
    },
  };
}
