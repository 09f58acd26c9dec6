// A client that speaks BOSH (XEP-0124) itself: each request on a connection of its own, so that any worker may get it.

const assert = require('assert');
const http = require('http');
const https = require('https');

const BIND = 'http://jabber.org/protocol/httpbind';
const LIMIT = 40000;

// One request: its status, header fields and body. `cut` loses its connection.
function ask(url, body, { method = 'POST', headers = {} } = {}) {
  const { request } = url.startsWith('https:') ? https : http;
  let cut;
  const answer = new Promise((resolve, reject) => {
    const fields = { 'content-type': 'text/xml; charset=utf-8', ...headers };
    const sent = request(url, { method, headers: fields, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => { text += part; });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    const late = setTimeout(() => sent.destroy(new Error(`no answer within 40 s: ${body}`)), LIMIT);
    sent.on('close', () => clearTimeout(late));
    sent.on('error', reject);
    cut = () => sent.destroy();
    sent.end(body);
  });
  // Who loses a connection waits for no answer.
  answer.catch(() => {});
  return Object.assign(answer, { cut: () => cut() });
}

const wrap = (attributes, payload) => `<body ${attributes} xmlns='${BIND}' xmlns:xmpp='urn:xmpp:xbosh'>${payload}</body>`;

class Peer {
  constructor(url, headers = {}) {
    this.url = url;
    this.headers = headers;
    this.rid = 1 + Math.floor(Math.random() * 2 ** 40);
    // What has come, and is not looked at yet.
    this.came = '';
    // All that was answered.
    this.all = '';
    // Requests that have no answer yet.
    this.held = new Set();
    // Whether one is always under way.
    this.keeps = false;
  }

  // A request with this number, or the next.
  send(payload = '', attributes = '', rid = undefined) {
    const number = rid === undefined ? this.rid += 1 : rid;
    const answer = ask(this.url, wrap(`rid='${number}' sid='${this.sid}' ${attributes}`, payload), { headers: this.headers });
    answer.then(({ text }) => { this.all += text; }, () => {});
    return answer;
  }

  async open(attributes = "to='falcot.com' wait='60' hold='1' ver='1.6' xmpp:version='1.0'") {
    const { status, text } = await ask(this.url, wrap(`rid='${this.rid}' ${attributes}`, ''), { headers: this.headers });
    assert.strictEqual(status, 200);
    this.sid = (/ sid='([^']+)'/.exec(text) || [])[1];
    return text;
  }

  // Asks until this has come, and takes all up to its end.
  async until(pattern) {
    for (const since = Date.now(); !pattern.test(this.came);) {
      assert.ok(Date.now() < since + LIMIT, `no ${pattern} in ${this.came}`);
      if (!this.held.size) this.tell();
      await Promise.race(this.held);
    }
    const found = pattern.exec(this.came);
    this.came = this.came.slice(found.index + found[0].length);
    return found[0];
  }

  hear(text) {
    const inner = /^<body [^>]*?(\/>|>)/.exec(text);
    assert.ok(inner, text);
    assert.doesNotMatch(inner[0], / type='terminate'/, text);
    this.came += text.slice(inner[0].length).replace(/<\/body>$/, '');
  }

  // Sends what is answered at its own time; whatever the answer brings is heard.
  tell(payload = '', attributes = '') {
    const answer = this.send(payload, attributes).then(({ text }) => {
      this.held.delete(answer);
      this.hear(text);
      if (this.keeps && !this.held.size) this.tell();
    });
    this.held.add(answer);
    // Who waits for it hears of it.
    answer.catch(() => {});
    return answer;
  }

  async signIn(name, resource = 'requests') {
    await this.prove(name);
    const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind>`;
    await this.tell(`<iq type='set' id='bind' xmlns='jabber:client'>${bind}</iq>`);
    await this.until(/<jid>[^<]+<\/jid>.*?<\/iq>/);
    return this;
  }

  // Signs in, and binds nothing yet.
  async prove(name) {
    const features = await this.open();
    assert.match(features, /<mechanism>PLAIN<\/mechanism>/);
    const plain = Buffer.from(`\0${name}\0secret-${name}`).toString('base64');
    await this.tell(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`);
    await this.until(/<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'\/>/);
    await this.tell('', "to='falcot.com' xmpp:restart='true'");
    await this.until(/<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'\/>.*<\/stream:features>/);
    return this;
  }
}

module.exports = { Peer, ask, wrap };
