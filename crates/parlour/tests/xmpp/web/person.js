// Somebody with stanza.io's client in Node.

const { createClient } = require('stanza');

const late = (what) => new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what} within 20 s`)), 20000).unref());

// What an event brings.
const next = (emitter, name, wanted = () => true) => Promise.race([late(name), new Promise((resolve) => {
  const listener = (event) => {
    if (!wanted(event)) return;
    emitter.off(name, listener);
    resolve(event);
  };
  emitter.on(name, listener);
})]);

// Signs in.
async function person(url, name) {
  const client = createClient({
    jid: `${name}@falcot.com`, resource: 'page', password: `secret-${name}`, transports: { websocket: url, bosh: false },
  });
  const started = next(client, 'session:started');
  const refused = next(client, 'auth:failed').then(() => { throw new Error(`${name} did not sign in`); }, () => {});
  client.connect();
  await Promise.race([started, refused]);
  return client;
}

module.exports = { late, next, person };
