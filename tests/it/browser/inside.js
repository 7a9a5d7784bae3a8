// Runs in every page of a story before the page's own scripts: what the stories look with.
(() => {
  const connections = [];
  const Native = window.RTCPeerConnection;
  if (Native) {
    window.RTCPeerConnection = class extends Native {
      constructor(...given) {
        super(...given);
        connections.push(this);
      }
    };
  }
  const open = () => connections.filter((one) => one.connectionState !== 'closed');

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

  // Every microphone and camera that was ever opened: a connection tells only of those it sends.
  const tracks = [];
  const devices = navigator.mediaDevices;
  if (devices) {
    const native = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wanted) => {
      const stream = await native(wanted);
      tracks.push(...stream.getTracks());
      return stream;
    };
  }

  /** How many microphones and cameras (or of one kind) are open now. */
  const recording = (kind) => tracks.filter((one) => one.readyState === 'live' && (!kind || one.kind === kind)).length;

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

  window.__look = { find, shown, focused, arrived, ways, sent, recording, centre, open };
})();
