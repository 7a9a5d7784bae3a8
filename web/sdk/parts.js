// What the ring, the widget and the call page are made of: pictures on buttons, people in a call, sounds.

// --- pictures: lines on a 24 × 24 grid, in the colour of the text beside them -------------------------

const HANDSET = 'M7 3H5a2 2 0 0 0-2 2A16 16 0 0 0 19 21a2 2 0 0 0 2-2v-2.5l-5-2-2 2.5a13 13 0 0 1-7-7L9.5 8Z';
const MICROPHONE = 'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5 11a7 7 0 0 0 14 0M12 18v3';
const CAMERA = 'M5 6h7a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2ZM14 11l7-4v10l-7-4';
const OFF = 'M4 3l16 18';

/** @type {Record<string, string>} */
const LINES = {
  phone: HANDSET,
  'hang-up': HANDSET,
  mic: MICROPHONE,
  'mic-off': MICROPHONE + OFF,
  video: CAMERA,
  'video-off': CAMERA + OFF,
  screen: 'M3 5h18v12H3ZM8 21h8M12 14V8M9 11l3-3 3 3',
  pip: 'M3 5h18v14H3ZM12 12h6v4h-6Z',
  settings: 'M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4',
  add: 'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM2 21a7 7 0 0 1 14 0M19 8v6M16 11h6',
  close: 'M6 6l12 12M18 6L6 18',
  sound: 'M4 9h4l5-4v14l-5-4H4ZM16 9a4 4 0 0 1 0 6M19 6a8 8 0 0 1 0 12',
  in: 'M18 6L6 18M6 9v9h9',
  out: 'M6 18L18 6M9 6h9v9',
};

/** An icon as markup; what it means is said by the words beside it. @param {string} name */
export function icon(name) {
  const turned = name === 'hang-up' ? ' transform="rotate(135 12 12)"' : '';
  return `<svg class="icon" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="2"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="${LINES[name]}"${turned}/></svg>`;
}

/** Fills every element with `data-icon`. @param {ParentNode} root */
export function icons(root) {
  for (const element of root.querySelectorAll('[data-icon]')) {
    element.insertAdjacentHTML('afterbegin', icon(element.getAttribute('data-icon') ?? ''));
  }
}

/**
 * Gives an element an inside of its own, which the page around it neither styles nor sees.
 * @param {HTMLElement} host
 * @param {string} style
 * @param {string} markup
 */
export function shadow(host, style, markup) {
  const root = host.attachShadow({ mode: 'open' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  root.adoptedStyleSheets = [sheet];
  root.innerHTML = markup;
  icons(root);
}

/** Where a browser trusts this page without https. */
export const localAddress = () => `${location.protocol}//localhost${location.port && ':'}${location.port}${location.pathname}`;

// --- people ---------------------------------------------------------------------------------------

/** Up to two letters that stand for a name. @param {string} name */
export function initials(name) {
  const parts = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  return (parts.length > 1 ? [...parts[0]][0] + [...parts[1]][0] : name.slice(0, 2)).toUpperCase();
}

/** A round sign with somebody's initials, always in the same colour. @param {string} name */
export function avatar(name) {
  const face = document.createElement('span');
  face.className = 'avatar';
  face.ariaHidden = 'true';
  face.textContent = initials(name);
  const sum = [...name].reduce((before, letter) => before * 31 + (letter.codePointAt(0) ?? 0), 0);
  face.style.background = `hsl(${(sum * 137) % 360} 45% 30%)`;
  return face;
}

/** @param {string} name */
export function tile(name) {
  const element = document.createElement('figure');
  element.className = 'tile';
  const video = document.createElement('video');
  video.autoplay = true;
  video.playsInline = true;
  video.ariaLabel = name;
  const caption = document.createElement('figcaption');
  caption.textContent = name;
  element.append(video, avatar(name), caption);

  /** Whether there is a picture to look at: a track that is muted sends nothing. */
  const look = () => {
    const stream = /** @type {MediaStream | null} */ (video.srcObject);
    const seen = stream?.getVideoTracks().some((track) => track.readyState === 'live' && track.enabled && !track.muted);
    element.toggleAttribute('data-picture', Boolean(seen));
  };

  /** @param {MediaStream | null | undefined} stream */
  function show(stream) {
    if (video.srcObject !== (stream ?? null)) {
      video.srcObject = stream ?? null;
      // A stream that was shown before has no say any more.
      const changed = () => stream && video.srcObject === stream && show(stream);
      for (const kind of ['addtrack', 'removetrack']) stream?.addEventListener(kind, changed);
    }
    for (const track of stream?.getVideoTracks() ?? []) track.onmute = track.onunmute = track.onended = look;
    look();
  }

  return { element, video, caption, show };
}

// --- sounds: made on the spot, heard once the browser has seen somebody touch the page ----------------

/** @typedef {{ notes: number[], on: number, every: number, loud: number }} Pattern */

/** @type {Record<'bell' | 'ringback', Pattern>} Frequencies, seconds of sound, seconds from one to the next. */
const PATTERNS = {
  bell: { notes: [659, 784, 988, 784], on: 1.2, every: 3, loud: 0.16 },
  ringback: { notes: [425], on: 1, every: 4, loud: 0.05 },
};

/** @type {AudioContext | null} One for as long as the page lives: a browser may want a click for another. */
let context = null;

function sounds() {
  if (context) return context;
  context = new AudioContext();
  // Each touch, as a browser may silence a page again later; one that is heard is left as it is.
  for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, () => void enableSound(), true);
  return context;
}

/** Whether the browser lets this page be heard. */
export const audible = () => 'AudioContext' in window && sounds().state === 'running';

/** Asks the browser for sound; it agrees only while a click or a key is being handled. */
export async function enableSound() {
  if ('AudioContext' in window) await sounds().resume();
}

/** Calls back when the page becomes audible, or is silenced. @param {() => void} told */
export function onSound(told) {
  if ('AudioContext' in window) sounds().addEventListener('statechange', told);
}

/** One round of a pattern, its notes one after the other. @param {AudioContext} audio @param {Pattern} pattern */
function sound(audio, { notes, on, loud }) {
  const gain = audio.createGain();
  gain.connect(audio.destination);
  const start = audio.currentTime + 0.02;
  const each = on / notes.length;
  notes.forEach((frequency, place) => {
    const tone = audio.createOscillator();
    const at = start + place * each;
    tone.type = notes.length > 1 ? 'triangle' : 'sine';
    tone.frequency.value = frequency;
    // A steep edge would click.
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(loud, at + 0.03);
    gain.gain.setValueAtTime(loud, at + each - 0.05);
    gain.gain.linearRampToValueAtTime(0, at + each);
    tone.connect(gain);
    tone.start(at);
    tone.stop(at + each);
  });
  return gain;
}

/** Plays until the function it returns is called. @param {'bell' | 'ringback'} kind */
export function play(kind) {
  if (!('AudioContext' in window)) return () => {};
  const pattern = PATTERNS[kind];
  const audio = sounds();
  /** @type {GainNode | null} */
  let now = null;
  const round = () => {
    if (audio.state === 'running') now = sound(audio, pattern);
  };
  round();
  const timer = setInterval(round, pattern.every * 1000);
  // Sound that is allowed in the middle of a ring is heard at once.
  audio.addEventListener('statechange', round);
  return () => {
    clearInterval(timer);
    audio.removeEventListener('statechange', round);
    now?.disconnect();
  };
}
