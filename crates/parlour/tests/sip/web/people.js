// People with JsSIP, in Node or in a page: what they do is the same, only the WebSocket and the peer connection differ.

const JsSIP = require('jssip');

// A user agent that has registered.
exports.person = function (url, user, password, options) {
  const socket = new JsSIP.WebSocketInterface(url);
  const agent = new JsSIP.UA(
    Object.assign({ sockets: [socket], uri: `sip:${user}@falcot.com`, password, register_expires: 120 }, options));
  return new Promise((resolve, reject) => {
    agent.once('registered', () => resolve(agent));
    agent.once('registrationFailed', (event) => reject(new Error(`${user} did not register: ${event.cause}`)));
    agent.start();
  });
};

// What an event brings, within ten seconds.
const next = (emitter, name, wanted = () => true) => new Promise((resolve, reject) => {
  const late = setTimeout(() => reject(new Error(`no ${name} within 10 s`)), 10000);
  const listener = (event) => {
    if (!wanted(event)) return;
    clearTimeout(late);
    emitter.removeListener(name, listener);
    resolve(event);
  };
  emitter.on(name, listener);
});
exports.next = next;

// One sends a text that the other gets as it was.
exports.text = async function (from, to, user, text) {
  const arrives = next(to, 'newMessage', (event) => event.originator === 'remote');
  const sent = new Promise((resolve, reject) => from.sendMessage(`sip:${user}@falcot.com`, text, {
    eventHandlers: { succeeded: resolve, failed: (event) => reject(new Error(`not sent: ${event.cause}`)) },
  }));
  const { request } = await arrives;
  await sent;
  if (request.body !== text) throw new Error(`sent ${text}, came ${request.body}`);
};

// One calls, the other answers; both sessions, when both have confirmed, and the descriptions as each side saw them.
exports.call = async function (caller, called, user, options) {
  const rings = next(called, 'newRTCSession', (event) => event.originator === 'remote');
  const session = caller.call(`sip:${user}@falcot.com`, options);
  const offered = next(session, 'sdp', (event) => event.originator === 'local');
  const accepted = next(session, 'sdp', (event) => event.originator === 'remote');
  const failed = new Promise((_, reject) => session.on('failed', (event) => reject(new Error(`failed: ${event.cause}`))));
  const { session: other, request } = await Promise.race([rings, failed]);
  const answered = next(other, 'sdp', (event) => event.originator === 'local');
  const both = Promise.all([next(session, 'confirmed'), next(other, 'confirmed')]);
  const offer = request.body;
  setTimeout(() => other.answer(options), 50);
  await Promise.race([both, failed]);
  return {
    session,
    other,
    request,
    offers: [(await offered).sdp, offer],
    answers: [(await answered).sdp, (await accepted).sdp],
  };
};
