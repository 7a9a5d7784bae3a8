// Runs in every page of a story before the page's own scripts: what the stories look with.
(() => {
  // Only those that are open: what a page has let go of, this must not hold.
  let connections = [];
  const open = () => (connections = connections.filter((one) => one.connectionState !== 'closed'));
  const Native = window.RTCPeerConnection;
  if (Native) {
    window.RTCPeerConnection = class extends Native {
      constructor(...given) {
        super(...given);
        open().push(this);
      }
    };
  }

  /** `outer >>> inner` goes into the shadow root of `outer`. */
  const find = (path) => {
    let root = document;
    let found = null;
    for (const selector of path.split(' >>> ')) {
      found = root?.querySelector(selector) ?? null;
      root = found?.shadowRoot;
    }
    return found;
  };

  const shown = (path) => {
    const element = find(path);
    if (!element || !element.checkVisibility({ visibilityProperty: true })) return false;
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0;
  };

  /** Once the page is drawn the next time. A page that is not drawn for half a second does not move either. */
  const drawn = () => new Promise((done) => {
    requestAnimationFrame(done);
    setTimeout(done, 500);
  });

  /** Whether an element can be seen and, from one picture of the page to the next, stays where it is. */
  const rests = async (path) => {
    const place = () => JSON.stringify(find(path)?.getBoundingClientRect());
    if (!shown(path)) return false;
    const before = place();
    // In the first frame there may still be something to lay out.
    for (let frame = 0; frame < 2; frame += 1) await drawn();
    return shown(path) && place() === before;
  };

  /** The element that has the keyboard, in whatever shadow root. */
  const focused = () => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return at;
  };

  /** Bytes of sound, frames of picture that arrived. */
  const arrived = async () => {
    const sum = [0, 0];
    for (const one of open()) {
      (await one.getStats()).forEach((entry) => {
        if (entry.type !== 'inbound-rtp') return;
        if (entry.kind === 'audio') sum[0] += entry.bytesReceived;
        if (entry.kind === 'video') sum[1] += entry.framesDecoded ?? 0;
      });
    }
    return sum;
  };

  /** The kinds of candidate the open connections really use on this side. */
  const ways = async () => {
    const kinds = [];
    for (const one of open()) {
      const stats = await one.getStats();
      stats.forEach((entry) => {
        if (entry.type !== 'transport' || !entry.selectedCandidatePairId) return;
        const pair = stats.get(entry.selectedCandidatePairId);
        if (pair) kinds.push(stats.get(pair.localCandidateId)?.candidateType);
      });
    }
    return kinds;
  };

  /** What is sent on the open connections. */
  const sent = (kind) => open().flatMap((one) => one.getTransceivers())
    .filter((one) => one.receiver.track.kind === kind).map((one) => one.sender.track);

  // Every microphone, camera and screen that is open: a connection tells only of those it sends.
  let tracks = [];
  const live = () => (tracks = tracks.filter((one) => one.readyState === 'live'));
  const devices = navigator.mediaDevices;
  for (const name of ['getUserMedia', 'getDisplayMedia']) {
    const native = devices?.[name]?.bind(devices);
    if (native) {
      devices[name] = async (wanted) => {
        const stream = await native(wanted);
        live().push(...stream.getTracks());
        return stream;
      };
    }
  }

  /** How many microphones, cameras and screens (or of one kind) are open now. */
  const recording = (kind) => live().filter((one) => !kind || one.kind === kind).length;

  /** Whether there is a call, on the call page or in the widget. */
  const calling = () => Boolean(document.querySelector('switchboard-call'))
    || !['idle', 'ended', undefined].includes(document.body?.dataset.call);

  /** The pixel in the middle of a video. */
  const centre = (path) => {
    const video = find(path);
    if (!video?.videoWidth) return null;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const brush = canvas.getContext('2d');
    brush.drawImage(video, 0, 0);
    return [...brush.getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data.slice(0, 3)];
  };

  window.__look = { find, shown, drawn, rests, focused, arrived, ways, sent, recording, calling, centre, open };
})();
