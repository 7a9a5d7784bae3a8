// Keeps what is shown true: reads again when the service says that something changed, every ten seconds
// anyway, and sooner after a failure; says of when it is, and when it is too old to be believed.

const EVERY = 10_000;
const AFTER_FAILURE = 3_000;
/** Between two reads that were asked for meanwhile. */
const GAP = 500;
const STALE = 15_000;

/**
 * @param {import('./types').App} app
 * @param {(signal: AbortSignal) => Promise<void>} read Reads and shows everything on the page.
 * @param {(error: { code?: string }) => boolean} final Whether it was a no for good, which it has shown.
 */
export function freshness(app, read, final) {
  const asOf = /** @type {HTMLTimeElement} */ (document.getElementById('as-of'));
  const banner = /** @type {HTMLElement} */ (document.getElementById('stale'));
  const words = /** @type {HTMLElement} */ (banner.querySelector('p'));
  const hour = new Intl.DateTimeFormat(app.lang, { timeStyle: 'medium' });
  let good = Date.now();
  let shown = false;
  let failed = false;
  let again = false;
  /** @type {AbortController | null} */
  let reading = null;
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;

  function judge() {
    const stale = failed || Date.now() - good > STALE;
    if (stale && banner.hidden) app.say(app.t('stale'));
    if (!stale && !banner.hidden) app.say(app.t('fresh'));
    banner.hidden = !stale;
    const text = shown ? app.t('stale_since', { time: hour.format(good) }) : app.t('stale');
    if (stale && words.textContent !== text) words.textContent = text;
  }

  /** @param {boolean} [anew] Something else is to be shown: what is under way is of no use. */
  function refresh(anew = false) {
    if (anew) reading?.abort();
    else if (reading) {
      again = true;
      return;
    }
    clearTimeout(timer);
    const mine = new AbortController();
    reading = mine;
    again = false;
    let wait = EVERY;
    read(mine.signal).then(() => {
      if (mine.signal.aborted) return;
      good = Date.now();
      shown = true;
      failed = false;
      asOf.dateTime = new Date(good).toISOString();
      asOf.textContent = hour.format(good);
    }, (error) => {
      if (mine.signal.aborted) return;
      mine.abort();
      if (final(error)) wait = Infinity;
      else {
        failed = true;
        wait = Math.max(AFTER_FAILURE, error.retryAfter ?? 0);
      }
    }).finally(() => {
      if (reading !== mine) return;
      reading = null;
      if (wait === Infinity) return;
      judge();
      timer = setTimeout(refresh, again && !failed ? GAP : wait);
    });
  }

  /** @type {HTMLButtonElement} */ (banner.querySelector('button')).onclick = () => refresh(true);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) refresh();
  });
  setInterval(judge, 1000);
  return refresh;
}
