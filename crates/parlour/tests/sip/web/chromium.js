// JsSIP in headless Chromium, which loads page.js from here; then its page and somebody in Node.

const { spawn } = require('child_process');
const crypto = require('crypto');
const esbuild = require('esbuild');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');

const [ws, wss, password, certificate] = process.argv.slice(2);
require('./standin.js');
const people = require('./people.js');

const script = esbuild.buildSync({
  entryPoints: [path.join(__dirname, 'page.js')],
  bundle: true,
  write: false,
  format: 'iife',
  nodePaths: [process.env.NODE_PATH],
}).outputFiles[0].text;

let offered;

// What the page tells; it goes on when that is answered.
async function hear({ kind, what }) {
  if (kind === 'error') return end(1, `in the page: ${what}`);
  if (kind === 'talked') return arrive();
  if (what.sdp !== offered) return end(1, `the offer has changed:\n${what.sdp}\n---\n${offered}`);
  if (what.heard !== 'heard: from a page' || what.cause !== 'Busy') return end(1, JSON.stringify(what));
  return end(0, 'done');
}

// Those two in the page have talked. From here on joe is somebody in Node: he answers what he reads, and no call.
async function arrive() {
  const joe = await people.person(`ws://falcot.com:${ws}/`, 'joe', password);
  joe.on('newMessage', ({ originator, request }) => {
    if (originator === 'remote') joe.sendMessage('sip:roland@falcot.com', `heard: ${request.body}`);
  });
  joe.on('newRTCSession', ({ session, request }) => {
    offered = request.body;
    session.terminate({ status_code: 486, reason_phrase: 'Busy Here' });
  });
}

const server = http.createServer((request, response) => {
  if (request.method === 'POST') {
    let body = '';
    request.on('data', (chunk) => { body += chunk; });
    request.on('end', () => hear(JSON.parse(body)).then(() => response.end()).catch((error) => end(1, error.stack)));
    return;
  }
  const is_script = request.url === '/page.js';
  response.setHeader('Content-Type', is_script ? 'text/javascript; charset=utf-8' : 'text/html');
  response.end(is_script ? script : '<!doctype html><title>test</title><script src="/page.js"></script>');
});

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'parlour-chromium-'));
let browser;

function end(code, why) {
  console.log(why);
  if (browser) browser.kill('SIGKILL');
  setTimeout(() => {
    fs.rmSync(folder, { recursive: true, force: true });
    process.exit(code);
  }, 200);
}

function open(url) {
  // The page knows no authority of ours: the key of the server's certificate is named instead.
  const key = new crypto.X509Certificate(fs.readFileSync(certificate)).publicKey.export({ type: 'spki', format: 'der' });
  const flags = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', `--user-data-dir=${folder}`,
    `--ignore-certificate-errors-spki-list=${crypto.createHash('sha256').update(key).digest('base64')}`,
    '--host-resolver-rules=MAP falcot.com 127.0.0.1', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection',
  ];
  browser = spawn('chromium', [...flags, url], { stdio: 'ignore' });
  browser.on('error', (error) => end(1, `no chromium: ${error.message}`));
}

async function main() {
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const urls = new URLSearchParams({ ws: `ws://falcot.com:${ws}/`, wss: `wss://falcot.com:${wss}/`, password });
  open(`http://127.0.0.1:${server.address().port}/?${urls}`);
}

setTimeout(() => end(1, 'too late'), 50000);
main().catch((error) => end(1, error.stack));
