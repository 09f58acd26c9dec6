// The page with converse.js: what it shows is what its user would read.

import converse from '/dist/converse.min.js';

const tell = (kind, what) => fetch('/tell', { method: 'POST', body: JSON.stringify({ kind, what }) });
window.addEventListener('error', ({ message }) => tell('error', message));

// Waits until a message is shown.
async function shows(text) {
  for (let n = 0; n < 200; n += 1) {
    const texts = [...document.querySelectorAll('.chat-msg__text')].map((element) => element.textContent.trim());
    if (texts.includes(text)) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`"${text}" is not shown: ${document.body.innerText}`);
}

async function chat(api) {
  const done = tell('connected');
  const box = await api.chats.open('joe@falcot.com');
  await shows('Are you there?');
  await box.sendMessage({ body: 'I am <here> & \u00fcberall' });
  await shows('I am <here> & \u00fcberall');
  await done;
  await shows('So I see.');
  const room = await api.rooms.open('ball@rooms.falcot.com', { nick: 'Roland', auto_configure: true }, true);
  await shows('Welcome to the ball');
  await room.sendMessage({ body: 'What a <crowd>' });
  await shows('What a <crowd>');
  await tell('chatted');
}

const { socket, bosh, password } = Object.fromEntries(new URLSearchParams(location.search));

converse.plugins.add('test', {
  initialize() {
    const { api } = this._converse;
    api.listen.on('connected', () => chat(api).catch((error) => tell('error', error.stack)));
    api.listen.on('disconnected', () => tell('error', 'disconnected'));
  },
});
converse.initialize({
  authentication: 'login',
  auto_login: true,
  jid: 'roland@falcot.com',
  password,
  websocket_url: socket,
  bosh_service_url: bosh,
  discover_connection_methods: false,
  assets_path: '/dist/',
  view_mode: 'fullscreen',
  whitelisted_plugins: ['test'],
  clear_cache_on_logout: true,
}).catch((error) => tell('error', error.stack));
