// JsSIP in a page: two people register, one inside TLS and one not, write to one another and call one another with sound.

const people = require('./people.js');

const tell = (kind, what) => fetch('/tell', { method: 'POST', body: JSON.stringify({ kind, what }) });
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function same(what, [sent, came]) {
  if (sent !== came) throw new Error(`the ${what} has changed:\n${sent}\n---\n${came}`);
}

// How loud what comes is: the energy of the sound that has been received so far.
async function energy(connection) {
  let sum = 0;
  (await connection.getStats()).forEach((stat) => {
    if (stat.type === 'inbound-rtp' && stat.kind === 'audio') sum += stat.totalAudioEnergy || 0;
  });
  return sum;
}

// Sound has to be played for it to be decoded.
function play(connection) {
  const audio = new Audio();
  audio.srcObject = new MediaStream(connection.getReceivers().map((receiver) => receiver.track));
  audio.play();
}

async function main() {
  const { ws, wss, password } = Object.fromEntries(new URLSearchParams(location.search));
  const roland = await people.person(wss, 'roland', password);
  const joe = await people.person(ws, 'joe', password);
  await people.text(joe, roland, 'roland', 'Gr\u00fc\u00dfe \u{1F44B}');
  // Both are one machine: what one hears would be taken out of what it says.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const media = { mediaConstraints: { audio, video: false } };
  const call = await people.call(roland, joe, 'joe', media);
  same('offer', call.offers);
  same('answer', call.answers);
  if (!/a=candidate/.test(call.offers[0])) throw new Error(`no candidate: ${call.offers[0]}`);
  for (const session of [call.session, call.other]) {
    play(session.connection);
    for (let n = 0; await energy(session.connection) < 1e-3; n += 1) {
      if (n > 100) throw new Error('nothing is heard');
      await sleep(100);
    }
  }
  const over = people.next(call.session, 'ended', (event) => event.originator === 'remote');
  call.other.terminate();
  await over;
  const gone = people.next(joe, 'disconnected');
  joe.stop();
  await gone;
  await tell('talked', true);
  // From here on joe is somebody in Node.
  const texts = people.next(roland, 'newMessage', (event) => event.originator === 'remote');
  roland.sendMessage('sip:joe@falcot.com', 'from a page');
  const { request } = await texts;
  const session = roland.call('sip:joe@falcot.com', media);
  const offered = people.next(session, 'sdp', (event) => event.originator === 'local');
  const failed = people.next(session, 'failed');
  await tell('offer', { heard: request.body, sdp: (await offered).sdp, cause: (await failed).cause });
}

main().catch((error) => tell('error', error.stack));
