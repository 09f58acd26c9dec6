// JsSIP in Node: two people register over a WebSocket, write to one another and call one another. There is no media in
// Node: the descriptions are a browser's, and have to come through as they are.

const WebSocket = require('ws');

const [scheme, port, password] = process.argv.slice(2);

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

const people = require('./people.js');

function same(what, [sent, came]) {
  if (sent !== came) throw new Error(`the ${what} has changed:\n${sent}\n---\n${came}`);
}

async function main() {
  const url = `${scheme}://falcot.com:${port}/sip`;
  const roland = await people.person(url, 'roland', password);
  const joe = await people.person(url, 'joe', password);
  console.log(`registered ${roland.contact.uri} pub_gruu=${roland.contact.pub_gruu}`);
  await people.text(joe, roland, 'roland', 'Gr\u00fc\u00dfe \u{1F44B}');
  console.log('written');
  const media = { mediaConstraints: { audio: false, video: false } };
  const call = await people.call(roland, joe, 'joe', media);
  same('offer', call.offers);
  same('answer', call.answers);
  const via = call.request.getHeader('Via');
  if (!via.startsWith(`SIP/2.0/${scheme.toUpperCase()} `)) throw new Error(via);
  console.log('called');
  const over = people.next(call.session, 'ended', (event) => event.originator === 'remote');
  call.other.terminate();
  await over;
  const refused = await people.call(roland, joe, 'roland.is.nobody', media).catch((error) => error);
  if (!/Not Found/.test(refused.message)) throw refused;
  const unregistered = people.next(roland, 'unregistered');
  roland.unregister();
  await unregistered;
  const gone = await people.call(joe, roland, 'roland', media).catch((error) => error);
  if (!/Unavailable/.test(gone.message)) throw gone;
  console.log('done');
  process.exit(0);
}

main().catch((error) => {
  console.log(error.stack);
  process.exit(1);
});
