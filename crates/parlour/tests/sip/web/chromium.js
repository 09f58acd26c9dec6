// JsSIP in headless Chromium, which loads page.js; then its page and somebody in Node.

const esbuild = require('esbuild');
const path = require('path');
const { browse, end } = require('../../clients/browser.js');
require('./standin.js');
const people = require('./people.js');

const [ws, wss, password, certificate] = process.argv.slice(2);

const script = esbuild.buildSync({
  entryPoints: [path.join(__dirname, 'page.js')],
  bundle: true,
  write: false,
  format: 'iife',
  nodePaths: [process.env.NODE_PATH],
}).outputFiles[0].text;

const pages = { '/page.js': script, '/': '<!doctype html><title>test</title><script src="/page.js"></script>' };
let offered;

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

browse({
  query: { ws: `ws://falcot.com:${ws}/`, wss: `wss://falcot.com:${wss}/`, password },
  certificate,
  flags: [
    '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required',
    '--allow-loopback-in-peer-connection',
  ],
  find: (at) => pages[at],
  hear,
});
