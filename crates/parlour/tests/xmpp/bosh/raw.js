// XMPP by requests (XEP-0124, XEP-0206) from a peer that makes them itself.

const assert = require('assert');
const dns = require('dns');
const { Peer, ask, wrap } = require('./peer.js');

const [scenario, host, port, tls] = process.argv.slice(2);
const url = `http://${host}:${port}/http-bind`;

// The server's certificate is for falcot.com.
const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name === 'falcot.com' ? host : name, ...rest);

const EMPTY = "<body xmlns='http://jabber.org/protocol/httpbind'/>";
const over = (condition) => `<body xmlns='http://jabber.org/protocol/httpbind' type='terminate' condition='${condition}'/>`;
const message = (to, body) => `<message xmlns='jabber:client' type='chat' to='${to}'><body>${body}</body></message>`;
const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });

// A request that waits at the server: the one before it has been answered because of it.
async function waits(peer) {
  const nothing = "<iq xmlns='jabber:client' type='result' id='nothing'/>";
  const before = peer.send(nothing);
  const held = peer.send(nothing);
  assert.strictEqual((await before).text, EMPTY);
  return { held };
}

// From the first request to the last.
async function session() {
  const peer = new Peer(url);
  const created = await peer.open("to='falcot.com' wait='10' hold='1' ver='1.6' xml:lang='en' xmpp:version='1.0' ack='1'");
  assert.match(created, new RegExp(`^<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams' \
xmlns:xmpp='urn:xmpp:xbosh' sid='[01]-[a-z2-7]{26}' wait='10' requests='2' hold='1' inactivity='[0-9]+' polling='2' maxpause='300' \
ver='1.6' from='falcot.com' authid='[a-z2-7]{26}' xmpp:version='1.0' xmpp:restartlogic='true' ack='${peer.rid}'><stream:features `));
  assert.doesNotMatch(created, /starttls|-PLUS/);
  // Two on two workers, and each request may come to either.
  const [nina, joe] = await Promise.all([new Peer(url).signIn('nina'), new Peer(`https://falcot.com:${tls}/http-bind`).signIn('joe')]);
  nina.tell("<presence xmlns='jabber:client'/>");
  joe.tell("<presence xmlns='jabber:client'/>");
  for (let n = 0; n < 10; n += 1) {
    nina.tell(message('joe@falcot.com/requests', `to joe &lt;${n}&gt; \u{1F44B}`));
    await joe.until(new RegExp(`<message [^>]*xmlns='jabber:client'[^>]*>.*<body>to joe &lt;${n}&gt; \u{1F44B}</body>`, 'u'));
    joe.tell(message('nina@falcot.com/requests', `to nina ${n}`));
    await nina.until(new RegExp(`<body>to nina ${n}</body>`));
  }
  // One takes leave; what waits is answered, and the oldest says that this is the end.
  const { held } = await waits(joe);
  const last = joe.send("<presence xmlns='jabber:client' type='unavailable'/>", "type='terminate'");
  const [first, second] = (await Promise.all([held, last])).map(({ text }) => text);
  assert.deepStrictEqual([first, second], [EMPTY.replace('/>', " type='terminate'/>"), EMPTY]);
  assert.strictEqual((await joe.send()).text, over('item-not-found'));
}

// What was lost on its way comes again, once, and in order.
async function lost() {
  const [nina, joe] = [await new Peer(url).signIn('nina'), await new Peer(url).signIn('joe')];
  await joe.tell("<presence xmlns='jabber:client'/>");
  const { held } = await waits(joe);
  held.cut();
  nina.tell(message('joe@falcot.com/requests', 'while it was away'));
  const again = await joe.send('', '', joe.rid);
  assert.match(again.text, /while it was away/);
  assert.strictEqual((await joe.send('', '', joe.rid)).text, again.text);
  // The second of two comes first; nobody gets one twice.
  const [first, second] = [joe.rid + 1, joe.rid + 2];
  joe.rid = second;
  const late = joe.send(message('nina@falcot.com/requests', 'second'), '', second);
  await pause(200);
  const early = joe.send(message('nina@falcot.com/requests', 'first'), '', first);
  await nina.until(/<body>first<\/body>[^]*<body>second<\/body>/);
  await early;
  assert.strictEqual((await joe.send(message('nina@falcot.com/requests', 'first'), '', first)).text, EMPTY);
  // One that waits is told that another has come in its place.
  const twice = joe.send('', '', second);
  assert.match((await late).text, / type='error'/);
  nina.tell(message('joe@falcot.com/requests', 'at last'));
  assert.match((await twice).text, /at last/);
  nina.tell(message('joe@falcot.com/requests', 'done'));
  await joe.until(/<body>done<\/body>/);
  assert.doesNotMatch(nina.came + joe.came, /first|second|away/);
  const far = await joe.send('', '', joe.rid + 100);
  assert.strictEqual(far.text, over('item-not-found'));
}

// What is no request, or none for us.
async function refused() {
  const first = "rid='7' to='falcot.com' wait='10' hold='1' ver='1.6' xmpp:version='1.0'";
  for (const [attributes, payload, condition] of [
    ["rid='7' to='elsewhere.example' ver='1.6'", '', 'host-unknown'],
    ["rid='7' ver='1.6'", '', 'improper-addressing'],
    ["to='falcot.com'", '', 'bad-request'],
    ["rid='7' sid='0-aaaaaaaaaaaaaaaaaaaaaaaaaa'", '', 'item-not-found'],
    ["rid='7' sid='9-a'", '', 'item-not-found'],
    ["rid='7' sid=''", '', 'item-not-found'],
    [first, 'text', 'bad-request'],
    [first, '<!-- -->', 'bad-request'],
    [first, '<a>', 'bad-request'],
    [`${first} xml:lang='${'x'.repeat(20000)}'`, '', 'policy-violation'],
  ]) {
    const { status, text, headers } = await ask(url, wrap(attributes, payload));
    assert.deepStrictEqual([status, text], [200, over(condition)], attributes + payload);
    assert.strictEqual(headers['content-type'], 'text/xml; charset=utf-8');
  }
  for (const body of ['', 'no XML', `<!DOCTYPE a>${wrap(first, '')}`, '<body/>']) {
    assert.strictEqual((await ask(url, body)).text, over('bad-request'), body);
  }
  const latin = { headers: { 'content-type': 'text/xml; charset=iso-8859-1' } };
  assert.strictEqual((await ask(url, wrap(first, ''), latin)).text, over('bad-request'));
  // Stanzas before sign-in end the stream; so does what is too long for a stranger, who is not to fill our memory with what comes
  // before its turn either.
  const unknown = new Peer(url);
  await unknown.open();
  const { text: refusal } = await unknown.send("<iq xmlns='jabber:client' type='get' id='1'/>");
  assert.match(refusal, /type='terminate' condition='remote-stream-error'><stream:error [^>]*xmlns:stream=/);
  assert.ok(refusal.includes("<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"), refusal);
  for (const ahead of [1, 2]) {
    const peer = new Peer(url);
    await peer.open();
    const long = `<iq xmlns='jabber:client'><a>${'x'.repeat(100000)}</a></iq>`;
    const { text } = await peer.send(long, '', peer.rid + ahead);
    assert.strictEqual(text, over('policy-violation'));
    assert.match((await peer.send('', '', peer.rid + 1)).text, /remote-stream-error.*<policy-violation /);
  }
  // A session that began inside TLS goes on nowhere else, and does not end by that.
  const sealed = new Peer(`https://falcot.com:${tls}/http-bind`);
  await sealed.open();
  const bare = await ask(url, wrap(`rid='${sealed.rid + 1}' sid='${sealed.sid}'`, ''));
  assert.strictEqual(bare.status, 403);
  assert.match((await sealed.send('', "type='terminate'")).text, / type='terminate'/);
  const polls = new Peer(url);
  await polls.open("to='falcot.com' wait='0' hold='1' ver='1.6'");
  let told = EMPTY;
  for (let n = 0; n < 50 && told === EMPTY; n += 1) told = (await polls.send()).text;
  assert.strictEqual(told, over('policy-violation'));
}

// Scripts of pages: which may ask, and what they are told that they may read.
async function pages() {
  const own = { origin: 'https://chat.falcot.com' };
  const first = wrap("rid='7' to='falcot.com' ver='1.6'", '');
  const before = await ask(url, '', { method: 'OPTIONS', headers: { ...own, 'access-control-request-method': 'POST' } });
  assert.deepStrictEqual(
    [before.status, before.text, before.headers['access-control-allow-origin'], before.headers['access-control-allow-methods']],
    [204, '', own.origin, 'POST, OPTIONS'],
  );
  assert.strictEqual(before.headers['access-control-allow-headers'], 'content-type');
  const { status, headers } = await ask(url, first, { headers: own });
  assert.deepStrictEqual([status, headers['access-control-allow-origin'], headers.vary], [200, own.origin, 'origin']);
  assert.strictEqual((await ask(url, first)).headers['access-control-allow-origin'], undefined);
  for (const method of ['POST', 'OPTIONS']) {
    const evil = await ask(url, first, { method, headers: { origin: 'https://evil.example' } });
    assert.deepStrictEqual([evil.status, evil.headers['access-control-allow-origin']], [403, undefined]);
  }
  const got = await ask(url, '', { method: 'GET' });
  assert.deepStrictEqual([got.status, got.headers.allow], [405, 'POST, OPTIONS']);
  // Beside it nothing is found there that is no WebSocket.
  for (const path of ['/xmpp-websocket', '/elsewhere']) {
    assert.strictEqual((await ask(`http://${host}:${port}${path}`, '', { method: 'GET' })).status, 404);
  }
  // The type of answers is for the client to say; no page comes of it.
  const html = await ask(url, wrap("rid='7' to='falcot.com' ver='1.6' content='text/html; charset=utf-8'", ''));
  assert.strictEqual(html.headers['content-type'], 'text/html; charset=utf-8');
  assert.strictEqual(html.headers['content-security-policy'], "default-src 'none'; sandbox");
  assert.strictEqual(html.headers['x-content-type-options'], 'nosniff');
  assert.strictEqual(html.headers['cache-control'], 'no-store');
}

// A client that does not come back has lost its connection; what came for it meanwhile is kept.
async function away() {
  const [nina, joe] = [await new Peer(url).signIn('nina'), await new Peer(url).signIn('joe', 'gone')];
  nina.keeps = true;
  nina.tell();
  await joe.tell("<presence xmlns='jabber:client'/>");
  nina.tell(message('joe@falcot.com', 'are you there?'));
  nina.tell("<iq xmlns='jabber:client' type='get' id='p' to='joe@falcot.com/gone'><ping xmlns='urn:xmpp:ping'/></iq>");
  // Its session ends with its time.
  await nina.until(/<iq [^>]*type='error'[^>]*id='p'|<iq [^>]*id='p'[^>]*type='error'/);
  const back = await new Peer(url).signIn('joe', 'back');
  back.tell("<presence xmlns='jabber:client'/>");
  await back.until(/<body>are you there\?<\/body>/);
  assert.strictEqual((await joe.send()).text, over('item-not-found'));
}

// A client that does not come for what is said to it is given up at 4 MiB, and the rest is kept for another.
async function deaf() {
  const [nina, joe] = [await new Peer(url).signIn('nina'), await new Peer(url).signIn('joe', 'deaf')];
  joe.tell("<presence xmlns='jabber:client'/>");
  await joe.until(/<presence [^>]*from='joe@falcot.com\/deaf'/);
  const body = 'x'.repeat(8000);
  const ping = (id, to) => `<iq xmlns='jabber:client' type='get' id='${id}'${to}><ping xmlns='urn:xmpp:ping'/></iq>`;
  let sent = 0;
  while (!/service-unavailable/.test(nina.all)) {
    assert.ok(sent * body.length < 8 << 20, `${sent} messages wait`);
    const many = Array.from({ length: 20 }, (_, n) => message('joe@falcot.com/deaf', `${sent + n} ${body}`)).join('');
    sent += 20;
    nina.tell(many + ping(`deaf${sent}`, " to='joe@falcot.com/deaf'") + ping(`own${sent}`, ''));
    await nina.until(new RegExp(`<iq [^>]*id='own${sent}'`));
  }
  assert.ok(sent * body.length > 4e6, `only ${sent} messages wait`);
  assert.strictEqual((await joe.send()).text, over('item-not-found'));
  const back = await new Peer(url).signIn('joe', 'back');
  back.tell("<presence xmlns='jabber:client'/>");
  await back.until(new RegExp(`<body>${sent - 1} `));
  const heard = [...(joe.all + back.all).matchAll(/<body>(\d+) /g)].map(([, number]) => Number(number));
  assert.deepStrictEqual(heard, Array.from({ length: sent }, (_, n) => n));
}

// A session whose client counts stanzas (XEP-0198) goes on in another of requests, and nothing is lost between them.
async function resumed() {
  const [nina, joe] = [await new Peer(url).signIn('nina'), await new Peer(url).signIn('joe')];
  await joe.tell("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  const enabled = await joe.until(/<enabled [^>]*>/);
  const [, name] = / id='([^']+)'/.exec(enabled);
  joe.tell("<presence xmlns='jabber:client'/>");
  await joe.until(/<presence [^>]*from='joe@falcot.com\/requests'/);
  nina.tell(message('joe@falcot.com/requests', 'not acknowledged'));
  await joe.until(/<body>not acknowledged<\/body>/);
  const again = await new Peer(url).prove('joe');
  again.tell(`<resume xmlns='urn:xmpp:sm:3' previd='${name}' h='1'/>`);
  await again.until(/<resumed [^>]*h='1'[^]*<body>not acknowledged<\/body>/);
  assert.match((await joe.send()).text, / type='terminate'/);
  await Promise.allSettled(joe.held);
  assert.match(joe.all, / type='terminate' condition='remote-stream-error'>.*<conflict /);
  nina.tell(message('joe@falcot.com/requests', 'and on'));
  await again.until(/<body>and on<\/body>/);
}

// The server ends: whoever waits hears it.
async function shutdown() {
  const joe = await new Peer(url).signIn('joe');
  await joe.tell("<presence xmlns='jabber:client'/>");
  const idle = new Peer(url);
  await idle.open();
  const { held } = await waits(joe);
  process.kill(Number(tls), 'SIGTERM');
  const { text } = await held;
  assert.match(text, /type='terminate' condition='remote-stream-error'>/);
  assert.match(text, /<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'\/>/);
}

// Not on the server's host: nobody signs in where others could read along.
async function far() {
  const { status, text } = await ask(url, wrap("rid='7' to='falcot.com' ver='1.6'", ''));
  assert.ok(status !== 200 || text === over('policy-violation'), `${status} ${text}`);
  await new Peer(`https://falcot.com:${tls}/http-bind`).signIn('nina');
}

({ session, lost, refused, pages, away, deaf, resumed, shutdown, far })[scenario]().then(() => {
  console.log('done');
  process.exit(0);
}, (error) => {
  console.log(error.stack);
  process.exit(1);
});
