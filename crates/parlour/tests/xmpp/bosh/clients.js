// strophe.js and stanza.io's client in Node: each signs in by requests (BOSH), and they chat.

const assert = require('assert');
const dns = require('dns');
const { DOMParser } = require('@xmldom/xmldom');
const { createClient } = require('stanza');
const { late, next } = require('../web/person.js');

const [plain, tls] = process.argv.slice(2);

// The server's certificate is for falcot.com.
const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name === 'falcot.com' ? '127.0.0.1' : name, ...rest);

// What strophe.js uses of the requests that browsers have.
globalThis.XMLHttpRequest = class {
  constructor() {
    Object.assign(this, { readyState: 0, status: 0, responseText: '', responseXML: null, fields: {}, stop: new AbortController() });
  }

  open(method, url) {
    Object.assign(this, { method, url, readyState: 1 });
  }

  setRequestHeader(name, value) {
    this.fields[name] = value;
  }

  getAllResponseHeaders() {
    return '';
  }

  abort() {
    this.stop.abort();
  }

  async send(body) {
    try {
      const answer = await fetch(this.url, { method: this.method, body, headers: this.fields, signal: this.stop.signal });
      const text = await answer.text();
      const xml = text && new DOMParser().parseFromString(text, 'text/xml');
      Object.assign(this, { status: answer.status, responseText: text, responseXML: xml });
    } catch (error) {
      if (error.name === 'AbortError') return;
      console.log(`a request failed: ${error.cause || error}`);
    }
    this.readyState = 4;
    this.onreadystatechange();
  }
};

const { Strophe, $msg, $pres, $iq } = require('strophe.js');

// Joe, by strophe.js inside TLS.
async function joe(heard) {
  const connection = new Strophe.Connection(`https://falcot.com:${tls}/http-bind`);
  const connected = new Promise((resolve, reject) => {
    connection.connect('joe@falcot.com/strophe', 'secret-joe', (status, why) => {
      if (status === Strophe.Status.CONNECTED) resolve();
      if (status === Strophe.Status.AUTHFAIL || status === Strophe.Status.CONNFAIL) reject(new Error(`strophe.js: ${status} ${why}`));
      if (status === Strophe.Status.DISCONNECTED) connection.gone();
    });
  });
  connection.gone = () => {};
  await Promise.race([late('session of strophe.js'), connected]);
  connection.addHandler((message) => {
    const body = message.getElementsByTagName('body')[0];
    if (body) heard(body.textContent);
    return true;
  }, null, 'message');
  connection.send($pres());
  return connection;
}

// Nina, by stanza.io's client.
async function nina() {
  const client = createClient({
    jid: 'nina@falcot.com', resource: 'stanza', password: 'secret-nina',
    transports: { bosh: `http://127.0.0.1:${plain}/http-bind`, websocket: false },
  });
  const started = next(client, 'session:started');
  client.connect();
  await started;
  client.sendPresence();
  return client;
}

async function main() {
  const said = [];
  const strophe = await joe((body) => said.push(body));
  const stanza = await nina();
  console.log('signed in');
  const heard = [];
  stanza.on('chat', ({ body }) => heard.push(body));
  const texts = Array.from({ length: 30 }, (_, n) => `${n}: Gr\u00fc\u00dfe <&> \u{1F44B} ${'x'.repeat(n * 100)}`);
  for (const text of texts) {
    strophe.send($msg({ to: 'nina@falcot.com', type: 'chat' }).c('body').t(text));
    stanza.sendMessage({ to: 'joe@falcot.com/strophe', type: 'chat', body: text });
  }
  for (let n = 0; n < 300 && (said.length < texts.length || heard.length < texts.length); n += 1) {
    await new Promise((done) => { setTimeout(done, 100); });
  }
  assert.deepStrictEqual([said, heard], [texts, texts]);
  console.log('chatted');
  const version = await new Promise((resolve, reject) => {
    strophe.sendIQ($iq({ type: 'get', to: 'falcot.com' }).c('query', { xmlns: 'jabber:iq:version' }), resolve, reject, 20000);
  });
  assert.strictEqual(version.getElementsByTagName('name')[0].textContent, 'Parlour');
  const gone = new Promise((resolve) => { strophe.gone = resolve; });
  strophe.disconnect('the end');
  await Promise.race([late('end of strophe.js'), gone]);
  const ended = next(stanza, 'disconnected');
  stanza.disconnect();
  await ended;
}

main().then(() => {
  console.log('done');
  process.exit(0);
}, (error) => {
  console.log(error.stack);
  process.exit(1);
});
