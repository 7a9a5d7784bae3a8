// The plain call page: one person, one socket of the users dialect, at most one call at a time.
//
// A call is an object of its own that everything asynchronous carries along, so what finishes late
// (a permission, an answer) can see that its call is over and leave the next one alone.
'use strict';

const $ = (id) => document.getElementById(id);

// Close codes after which trying again would only fail again.
const FINAL = {
  4400: 'this page sent something wrong',
  4401: 'a valid token is needed',
  4403: 'this is not your address',
  4404: 'there is no such address',
  4409: 'opened in another tab',
};
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15000;
// WebRTC does not always say that it cannot connect, so the page has a limit of its own.
const SET_UP_MS = 20000;

const me = new URLSearchParams(location.search).get('user') || '';
// Ids that are whole numbers travel as numbers, as the service writes them.
const wireId = (id) => (/^(0|[1-9]\d{0,14})$/.test(id) ? Number(id) : id);

let socket = null;
let retry = 0;
// Messages of a live call that could not be sent while the socket was away.
let unsent = [];
// The call there is: { peer, type, role: 'caller' | 'callee', phase, id, pc, stream, early, offer, ... }
let call = null;

// For automated tests, and for curious people with the console open.
window.switchboardCall = {
  get pc() { return call && call.pc; },
  get call() { return call; },
};

// --- the socket ------------------------------------------------------------------------------------

// The same device after a reload, so that the service knows it is not one more.
function deviceId() {
  let id = sessionStorage.getItem('device');
  if (!id) {
    id = 'web-' + Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('');
    sessionStorage.setItem('device', id);
  }
  return id;
}

function connect() {
  showConnection('connecting', 'connecting');
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  socket = new WebSocket(`${scheme}//${location.host}/ws/${encodeURIComponent(me)}?device_id=${deviceId()}`);
  socket.onopen = () => {
    retry = 0;
    showConnection('open', 'connected');
    const waiting = unsent;
    unsent = [];
    waiting.forEach(send);
    showMissed();
  };
  socket.onmessage = (event) => {
    let message;
    try {
      message = JSON.parse(event.data);
    } catch {
      return;
    }
    receive(message).catch((error) => {
      console.error(error);
      if (call && call.phase !== 'incoming') hangUp('The call failed: ' + error.message);
    });
  };
  socket.onclose = (event) => {
    if (FINAL[event.code]) {
      showConnection('closed', 'not connected: ' + FINAL[event.code]);
      return;
    }
    // Full jitter: pages that lost the same service must not all come back at once.
    const wait = Math.random() * Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** retry);
    retry += 1;
    showConnection('waiting', 'connection lost, trying again');
    setTimeout(connect, wait);
  };
}

function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  else if (call) unsent.push(message);
}

// A message about a call, with what names it.
function tell(about, type, fields) {
  const message = { type, from_user_id: wireId(me), to_user_id: wireId(about.peer), call_type: about.type, ...fields };
  if (about.id !== null) message.call_id = about.id;
  send(message);
}

async function receive(message) {
  const from = message.from_user_id === undefined ? null : String(message.from_user_id);
  const id = message.call_id === undefined ? null : message.call_id;
  if (message.type === 'call_invitation') {
    await invited(message, from, id);
    return;
  }
  // A late word about a call that is over, or about somebody else's.
  if (!call || (from !== null && from !== call.peer) || (id !== null && call.id !== null && id !== call.id)) return;
  if (id !== null) call.id = id;
  switch (message.type) {
    case 'call_answer': await answered(message.answer); break;
    case 'ice_candidate': await candidate(message.candidate); break;
    case 'call_declined': finish(declinedWords(message.reason), message.reason || 'declined'); break;
    case 'call_cancelled': finish(cancelledWords(message.reason), message.reason || 'cancelled'); showMissed(); break;
    case 'call_ended': finish(endedWords(message.reason), endedState(message.reason)); break;
  }
}

// --- calling ---------------------------------------------------------------------------------------

function newCall(peer, type, role) {
  return { peer, type, role, phase: 'starting', id: null, pc: null, stream: null, early: [], offer: null, timer: null, since: null };
}

async function dial(peer, type) {
  if (call) return;
  if (peer === me) {
    showState('You cannot call yourself', 'failed');
    return;
  }
  const mine = call = newCall(peer, type, 'caller');
  showState(`Calling ${peer}…`, 'starting');
  showCall();
  if (!(await openMedia(mine))) return;
  await mine.pc.setLocalDescription(await mine.pc.createOffer());
  if (call !== mine) return;
  mine.phase = 'ringing';
  showState(`Ringing ${peer}…`, 'ringing');
  tell(mine, 'call_invitation', { offer: mine.pc.localDescription, from_name: me });
}

async function answered(answer) {
  const mine = call;
  if (!answer || !mine.pc) return;
  await mine.pc.setRemoteDescription(answer);
  if (mine.phase === 'ringing') connecting(mine);
  await takeEarly(mine);
}

async function invited(message, from, id) {
  if (call && call.peer === from && call.pc && call.phase !== 'ringing' && (id === null || id === call.id)) {
    // An offer within the call: a camera switched on, or a new way through the network.
    await call.pc.setRemoteDescription(message.offer);
    await call.pc.setLocalDescription(await call.pc.createAnswer());
    tell(call, 'call_answer', { answer: call.pc.localDescription });
    return;
  }
  if (call && call.phase === 'incoming' && call.id === id) {
    call.offer = message.offer; // Rung again after a reconnect.
    return;
  }
  // Both pressed the button at once: theirs came first, so ours is no more.
  if (call && call.role === 'caller' && call.peer === from && call.phase !== 'connected') finish('', 'idle');
  if (call) return;
  call = newCall(from, message.call_type === 'video' ? 'video' : 'voice', 'callee');
  Object.assign(call, { phase: 'incoming', id, offer: message.offer });
  $('incoming-text').textContent = `${message.from_name || from} is calling (${call.type})`;
  if (!$('incoming').open) $('incoming').showModal();
  showState(`${message.from_name || from} is calling`, 'incoming');
  showCall();
}

async function answer() {
  const mine = call;
  if (!mine || mine.phase !== 'incoming') return;
  mine.phase = 'answering';
  if (!(await openMedia(mine))) return;
  $('incoming').close();
  await mine.pc.setRemoteDescription(mine.offer);
  await mine.pc.setLocalDescription(await mine.pc.createAnswer());
  if (call !== mine) return;
  tell(mine, 'call_answer', { answer: mine.pc.localDescription });
  connecting(mine);
  showCall();
  await takeEarly(mine);
}

function decline() {
  if (!call || call.role !== 'callee') return;
  tell(call, 'call_declined');
  finish('You declined', 'declined');
}

function hangUp(words) {
  if (!call) return;
  const before = call.phase === 'starting' || call.phase === 'ringing';
  if (call.role === 'caller' && before) {
    // Before the invitation is out there is nobody to tell.
    if (call.phase === 'ringing') tell(call, 'call_cancelled');
    finish(words || 'Cancelled', 'cancelled');
  } else {
    tell(call, 'call_ended');
    finish(words || endedWords('completed'), words ? 'failed' : 'ended');
  }
}

function connecting(mine) {
  mine.phase = 'connecting';
  showState('Connecting…', 'connecting');
  mine.timer = setTimeout(() => {
    if (call === mine && mine.phase === 'connecting') hangUp('The two devices found no way to each other');
  }, SET_UP_MS);
}

// Candidates may overtake the description they belong to.
async function candidate(candidate) {
  const mine = call;
  if (!candidate) return;
  if (!mine.pc || !mine.pc.remoteDescription) mine.early.push(candidate);
  else await mine.pc.addIceCandidate(candidate);
}

async function takeEarly(mine) {
  const early = mine.early;
  mine.early = [];
  for (const one of early) await mine.pc.addIceCandidate(one);
}

// --- media -----------------------------------------------------------------------------------------

// Opens camera and microphone and the way for them; says why where that fails.
async function openMedia(mine) {
  let stream;
  try {
    if (!navigator.mediaDevices) throw new Error('this page needs https, or localhost');
    stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: mine.type === 'video' });
  } catch (error) {
    if (call === mine) noMedia(mine, error);
    return false;
  }
  if (call !== mine) {
    stream.getTracks().forEach((track) => track.stop());
    return false;
  }
  mine.stream = stream;
  // No servers: this page is for one network. Behind firewalls a page needs STUN and TURN here.
  const pc = mine.pc = new RTCPeerConnection();
  stream.getTracks().forEach((track) => pc.addTrack(track, stream));
  pc.onicecandidate = (event) => {
    if (call === mine && event.candidate) tell(mine, 'ice_candidate', { candidate: event.candidate });
  };
  pc.ontrack = (event) => {
    if (call === mine) $('remote-video').srcObject = event.streams[0];
  };
  pc.onconnectionstatechange = () => {
    if (call !== mine) return;
    if (pc.connectionState === 'connected') {
      clearTimeout(mine.timer);
      mine.phase = 'connected';
      mine.since = mine.since || Date.now();
      showState(`In a call with ${mine.peer}`, 'connected');
    } else if (pc.connectionState === 'disconnected') {
      showState('The connection is weak…', 'weak');
    } else if (pc.connectionState === 'failed') {
      hangUp('The connection was lost');
    }
  };
  $('local-video').srcObject = stream;
  return true;
}

function noMedia(mine, error) {
  const what = mine.type === 'video' ? 'camera or microphone' : 'microphone';
  const why = {
    NotAllowedError: 'it is not allowed to use it; allow it in the address bar and try again',
    NotFoundError: 'there is none',
    NotReadableError: 'another program is using it',
  }[error.name] || error.message;
  const words = `No ${what}: ${why}`;
  if (mine.role === 'callee') {
    // It still rings: one may allow it and answer again, or decline.
    mine.phase = 'incoming';
    $('incoming-text').textContent = words;
    showState(words, 'no-media');
  } else {
    finish(words, 'no-media');
  }
}

// The end of a call on this page, whatever led to it.
function finish(words, state) {
  const over = call;
  if (!over) return;
  call = null;
  unsent = [];
  clearTimeout(over.timer);
  if (over.pc) over.pc.close();
  // Stopping the tracks is what switches the camera's light off.
  if (over.stream) over.stream.getTracks().forEach((track) => track.stop());
  $('remote-video').srcObject = null;
  $('local-video').srcObject = null;
  if ($('incoming').open) $('incoming').close();
  showState(words, state);
  showCall();
}

// --- words -----------------------------------------------------------------------------------------

function declinedWords(reason) {
  if (reason === 'busy') return `${call.peer} is busy`;
  if (reason === 'offline') return `${call.peer} is offline`;
  return `${call.peer} declined`;
}

function cancelledWords(reason) {
  if (reason === 'answered_elsewhere') return 'Answered on another device';
  if (reason === 'declined_elsewhere') return 'Declined on another device';
  return `Missed call from ${call.peer}`;
}

function endedWords(reason) {
  if (reason === 'no_answer') return 'No answer';
  if (reason === 'answered_elsewhere' || reason === 'declined_elsewhere' || call.phase === 'incoming') return cancelledWords(reason);
  const seconds = call.since ? Math.round((Date.now() - call.since) / 1000) : 0;
  const length = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  if (reason === 'dropped') return `${call.peer} was disconnected · ${length}`;
  if (reason === 'failed') return 'The call failed';
  return `Call ended · ${length}`;
}

function endedState(reason) {
  return !reason || reason === 'completed' ? 'ended' : reason;
}

function showState(words, state) {
  $('state').textContent = words;
  $('state').dataset.state = state;
}

function showConnection(state, words) {
  $('connection').textContent = words;
  $('connection').dataset.state = state;
}

function showCall() {
  const active = call !== null && call.phase !== 'incoming';
  $('call').hidden = !active;
  if (active) $('call').dataset.type = call.type;
  for (const id of ['callee', 'call-voice', 'call-video']) $(id).disabled = call !== null;
}

async function showMissed() {
  try {
    const answer = await fetch('/api/call/missed', { headers: { 'X-User-Id': me } });
    if (!answer.ok) return;
    const count = (await answer.json()).unseen_count;
    $('missed').dataset.count = count;
    $('missed').textContent = count === 0 ? 'no missed calls' : count === 1 ? '1 missed call' : `${count} missed calls`;
  } catch {
    // The count is a courtesy; the next connection asks again.
  }
}

// --- start -----------------------------------------------------------------------------------------

$('dial').addEventListener('submit', (event) => {
  event.preventDefault();
  const type = event.submitter && event.submitter.value === 'video' ? 'video' : 'voice';
  dial($('callee').value.trim(), type).catch((error) => {
    console.error(error);
    hangUp('The call failed: ' + error.message);
  });
});
$('answer').addEventListener('click', () => answer().catch((error) => {
  console.error(error);
  hangUp('The call failed: ' + error.message);
}));
$('decline').addEventListener('click', decline);
$('hang-up').addEventListener('click', () => hangUp());
// The escape key closes a dialog; somebody who is being called has to be asked properly.
$('incoming').addEventListener('cancel', (event) => event.preventDefault());

if (me) {
  $('own-id').textContent = me;
  connect();
} else {
  $('who').hidden = false;
  $('dial').hidden = true;
}
