// converse.js in headless Chromium: it signs in over a WebSocket, or by requests (BOSH), inside TLS and chats with somebody in Node.

const fs = require('fs');
const path = require('path');
const { browse, end } = require('../../clients/browser.js');
const { next, person } = require('./person.js');

const [port, certificate, bosh] = process.argv.slice(2);
const converse = path.join(process.env.NODE_PATH, 'converse.js/dist');
const page = `<!doctype html><title>test</title><link rel="stylesheet" href="/dist/converse.min.css">
  <body class="converse-fullscreen"><script type="module" src="/page.js"></script>`;

const room = 'ball@rooms.falcot.com';

let joe;
// What has been said in the room.
const talk = [];

async function hear({ kind, what }) {
  if (kind === 'error') return end(1, `in the page: ${what}`);
  if (kind === 'connected') {
    joe.sendMessage({ to: 'roland@falcot.com', type: 'chat', body: 'Are you there?' });
    const { body } = await next(joe, 'chat', ({ body }) => body);
    if (body !== 'I am <here> & \u00fcberall') return end(1, body);
    return joe.sendMessage({ to: 'roland@falcot.com', type: 'chat', body: 'So I see.' });
  }
  // It has been said in the room as well; Node hears it by a connection of its own.
  for (let n = 0; n < 200 && !talk.includes('What a <crowd>'); n += 1) {
    await new Promise((done) => setTimeout(done, 100));
  }
  return talk.includes('What a <crowd>') ? end(0, 'done') : end(1, `said in the room: ${talk}`);
}

// Joe makes a room and greets whoever comes in.
async function host() {
  joe.on('groupchat', ({ body }) => body && talk.push(body));
  joe.on('muc:available', ({ from }) => {
    if (from === `${room}/Roland`) joe.sendMessage({ to: room, type: 'groupchat', body: 'Welcome to the ball' });
  });
  await joe.joinRoom(room, 'Joe');
  await joe.configureRoom(room, {});
}

async function main() {
  joe = await person(`ws://127.0.0.1:${port}/xmpp-websocket`, 'joe');
  joe.sendPresence();
  await host();
  browse({
    query: { password: 'secret-roland', ...(bosh ? { bosh } : { socket: `wss://falcot.com:${port}/xmpp-websocket` }) },
    certificate,
    find: (at) => {
      if (at === '/') return page;
      if (at === '/page.js') return fs.readFileSync(path.join(__dirname, 'page.js'));
      const file = path.join(converse, path.normalize(at).replace(/^\/dist\//, ''));
      return at.startsWith('/dist/') && fs.existsSync(file) ? fs.readFileSync(file) : undefined;
    },
    hear,
  });
}

main().catch((error) => end(1, error.stack));
