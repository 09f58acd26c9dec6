// XMPP over WebSockets (RFC 7395) from Node: stanza.io's client as people use it, then a peer that speaks the frames itself.

const assert = require('assert');
const dns = require('dns');
const WebSocket = require('ws');
const { late, next, person } = require('./person.js');

const [host, port, scenario] = process.argv.slice(2);

// The server's certificate is for falcot.com.
const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name === 'falcot.com' ? host : name, ...rest);

// Two sign in, one of them inside TLS; they exchange presence and messages, one loses its connection and comes back.
async function chat() {
  const roland = await person(`wss://falcot.com:${port}/xmpp-websocket`, 'roland');
  const joe = await person(`ws://${host}:${port}/xmpp-websocket`, 'joe');
  console.log('signed in');
  await Promise.all([roland.getRoster(), joe.getRoster()]);
  joe.on('subscribe', ({ from }) => joe.acceptSubscription(from));
  const sees = next(roland, 'available', ({ from }) => from.startsWith('joe@'));
  roland.sendPresence();
  joe.sendPresence();
  roland.subscribe('joe@falcot.com');
  await sees;
  for (const [from, to, name] of [[roland, joe, 'joe'], [joe, roland, 'roland']]) {
    const body = `Gr\u00fc\u00dfe <&> \u{1F44B} an ${name} ${'x'.repeat(20000)}`;
    const comes = next(to, 'chat');
    from.sendMessage({ to: `${name}@falcot.com`, type: 'chat', body });
    assert.strictEqual((await comes).body, body);
  }
  console.log('chatted');
  const resumed = next(roland, 'stream:management:resumed');
  const again = next(roland, 'disconnected');
  roland.transport.socket.close();
  await again;
  const comes = next(roland, 'chat', ({ body }) => body === 'meanwhile');
  joe.sendMessage({ to: 'roland@falcot.com', type: 'chat', body: 'meanwhile' });
  await new Promise((done) => setTimeout(done, 200));
  roland.connect();
  await Promise.all([resumed, comes]);
  console.log('resumed');
  await Promise.all([roland, joe].map((client) => {
    const gone = next(client, 'disconnected');
    client.disconnect();
    return gone;
  }));
}

// A peer that speaks the frames itself.
class Raw {
  constructor(path = '/xmpp-websocket', protocol = 'xmpp', origin = 'https://falcot.com') {
    this.came = [];
    this.waiting = [];
    this.socket = new WebSocket(`ws://${host}:${port}${path}`, protocol, { origin });
    this.socket.on('message', (data) => this.hear(data.toString()));
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => { this.hear(null); resolve(code); }));
    this.opened = new Promise((resolve, reject) => {
      this.socket.on('open', resolve);
      this.socket.on('error', reject);
    });
  }

  hear(text) {
    const first = this.waiting.shift();
    if (first) first(text); else this.came.push(text);
  }

  next() {
    if (this.came.length) return Promise.resolve(this.came.shift());
    return Promise.race([late('message'), new Promise((resolve) => this.waiting.push(resolve))]);
  }

  async open() {
    await this.opened;
    this.socket.send('<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="falcot.com" version="1.0"/>');
    const header = await this.next();
    assert.match(header, /^<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='falcot.com' id='[^']+' version='1.0' xml:lang='en'\/>$/);
    return this.next();
  }
}

async function frames() {
  const peer = new Raw();
  const features = await peer.open();
  assert.match(features, /^<stream:features [^>]*xmlns:stream='http:\/\/etherx.jabber.org\/streams'/);
  assert.match(features, /<mechanism>SCRAM-SHA-1<\/mechanism>/);
  assert.doesNotMatch(features, /starttls|-PLUS/);
  const plain = Buffer.from('\0nina\0secret-nina').toString('base64');
  peer.socket.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`);
  assert.match(await peer.next(), /^<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'\/>$/);
  assert.match(await peer.open(), /<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/);
  peer.socket.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  assert.match(await peer.next(), /^<iq xmlns='jabber:client' .*<jid>nina@falcot.com\/[^<]+<\/jid>/);
  // A message to oneself that names its namespace already, and one that does not.
  for (const xmlns of [" xmlns='jabber:client'", '']) {
    peer.socket.send(`<message${xmlns} to='nina@falcot.com/nobody' type='chat' id='m'><body>a</body></message>`);
  }
  peer.socket.send("<presence xmlns='jabber:client'/>");
  for (let n = 0; n < 3; n += 1) {
    const stanza = await peer.next();
    assert.strictEqual(stanza.split('>')[0].split("xmlns='jabber:client'").length, 2, stanza);
  }
  peer.socket.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
  let last = await peer.next();
  while (!last.startsWith('<close')) last = await peer.next();
  assert.strictEqual(last, "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
  assert.strictEqual(await peer.closed, 1000);
  console.log('framed');
}

async function attacks() {
  for (const [text, condition] of [
    ["<message xmlns='jabber:client'>", 'bad-format'],
    ['<!DOCTYPE a>', 'restricted-xml'],
    ['</stream:stream>', null],
    ["<iq xmlns='jabber:client' type='get' id='1'/>", 'not-authorized'],
  ]) {
    const peer = new Raw();
    await peer.open();
    peer.socket.send(text);
    if (condition) {
      const error = await peer.next();
      assert.match(error, /^<stream:error [^>]*xmlns:stream='http:\/\/etherx.jabber.org\/streams'/);
      assert.ok(error.includes(`<${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>`), error);
    }
    assert.strictEqual(await peer.next(), "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    await peer.closed;
  }
  const early = new Raw();
  await early.opened;
  early.socket.send('<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="elsewhere.example" version="1.0"/>');
  assert.match(await early.next(), /^<open /);
  assert.match(await early.next(), /<host-unknown /);
  const binary = new Raw();
  await binary.opened;
  binary.socket.send(Buffer.from('<open/>'));
  assert.strictEqual(await binary.closed, 1003);
  const huge = new Raw();
  await huge.open();
  huge.socket.send(`<iq xmlns='jabber:client'><a>${'x'.repeat(100000)}`);
  assert.match(await huge.next(), /<policy-violation /);
  for (const [path, protocol, origin, answer] of [
    ['/elsewhere', 'xmpp', undefined, 404],
    ['/xmpp-websocket', 'sip', undefined, 400],
    ['/xmpp-websocket', 'xmpp', 'https://evil.example', 403],
  ]) {
    await assert.rejects(new Raw(path, protocol, origin).opened, new RegExp(`${answer}`));
  }
  console.log('refused');
}

// Not on the server's host: nobody signs in where others could read along.
async function far() {
  const peer = new Raw();
  assert.match(await peer.next(), /^<open /);
  assert.match(await peer.next(), /<policy-violation /);
  await peer.closed;
  const roland = await person(`wss://falcot.com:${port}/xmpp-websocket`, 'roland');
  roland.disconnect();
}

({ chat, frames, attacks, far })[scenario]().then(() => {
  console.log('done');
  process.exit(0);
}, (error) => {
  console.log(error.stack);
  process.exit(1);
});
