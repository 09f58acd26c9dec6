// What Node lacks of a browser: WebSockets, and as much of a peer connection as JsSIP asks for. There is no media in Node.

const WebSocket = require('ws');

// The server is on loopback, whatever its certificate says.
const lookup = (_, { all }, done) =>
  (all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4));
global.WebSocket = class extends WebSocket {
  constructor(url, protocol) {
    super(url, protocol, { lookup, origin: 'https://falcot.com' });
  }
};

const sdp = (type, name) => [
  'v=0', `o=- ${name} 2 IN IP4 127.0.0.1`, 's=-', 't=0 0', 'a=group:BUNDLE 0', 'a=msid-semantic: WMS',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 0.0.0.0', 'a=rtcp:9 IN IP4 0.0.0.0',
  'a=candidate:1 1 udp 2122260223 10.0.0.7 41000 typ host generation 0',
  'a=candidate:2 1 udp 2122262783 5d0c7d3e-4a0f-4b1c-9d5e-0f3b8f0a9b11.local 41001 typ host generation 0',
  'a=ice-ufrag:Zk3j', 'a=ice-pwd:h1NcIL9qDqhx5TqGg2B7mF4p', 'a=ice-options:trickle',
  `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`, `a=setup:${type === 'offer' ? 'actpass' : 'active'}`,
  'a=mid:0', 'a=sendrecv', 'a=rtcp-mux', 'a=rtpmap:111 opus/48000/2', 'a=fmtp:111 minptime=10;useinbandfec=1', '',
].join('\r\n');

// As much of a peer connection as JsSIP asks for.
global.RTCPeerConnection = class {
  constructor() {
    Object.assign(this, { iceGatheringState: 'complete', iceConnectionState: 'new', signalingState: 'stable' });
    this.name = String(Math.trunc(1e9 * Math.random()));
  }
  async createOffer() { return { type: 'offer', sdp: sdp('offer', this.name) }; }
  async createAnswer() { return { type: 'answer', sdp: sdp('answer', this.name) }; }
  async setLocalDescription(description) { this.localDescription = description; }
  async setRemoteDescription(description) { this.remoteDescription = description; }
  addEventListener() {}
  removeEventListener() {}
  addTrack() {}
  getSenders() { return []; }
  close() { this.signalingState = 'closed'; }
};
global.RTCSessionDescription = class { constructor(description) { Object.assign(this, description); } };

global.window = global;
