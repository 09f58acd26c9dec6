// Headless Chromium with a page that is served from here, by loopback. The page tells what it sees by POST.

const { spawn } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');

const TYPES = { '.js': 'text/javascript; charset=utf-8', '.css': 'text/css', '.html': 'text/html; charset=utf-8' };
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP falcot.com 127.0.0.1',
];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'parlour-chromium-'));
let browser;
let ended = false;

// Ends the browser, and this program.
function end(code, why) {
  if (ended) return;
  ended = true;
  console.log(why);
  const leave = (tries) => {
    try {
      fs.rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      // Its children may still be writing for a moment.
      if (tries > 0) return setTimeout(() => leave(tries - 1), 100);
    }
    process.exit(code);
  };
  if (!browser) return leave(0);
  browser.on('exit', () => leave(30));
  browser.kill('SIGKILL');
}
exports.end = end;

// Opens `/?query` in Chromium. `find` gives what stands at a path, as text or as bytes; `hear` takes what the page tells, which
// goes on when that is done. `certificate` is the server's: its key is believed.
exports.browse = function ({ query, certificate, flags = [], find, hear }) {
  const tell = (body) => Promise.resolve().then(() => hear(JSON.parse(body)));
  const server = http.createServer((request, response) => {
    if (request.method === 'POST') {
      let body = '';
      request.on('data', (chunk) => { body += chunk; });
      request.on('end', () => tell(body).then(() => response.end()).catch((error) => end(1, error.stack)));
      return;
    }
    const at = request.url.split('?')[0];
    const found = find(at);
    response.statusCode = found ? 200 : 404;
    response.setHeader('Content-Type', TYPES[path.extname(at) || '.html'] || 'application/octet-stream');
    response.end(found);
  });
  server.listen(0, '127.0.0.1', () => {
    const key = new crypto.X509Certificate(fs.readFileSync(certificate)).publicKey.export({ type: 'spki', format: 'der' });
    const believed = crypto.createHash('sha256').update(key).digest('base64');
    const url = `http://127.0.0.1:${server.address().port}/?${new URLSearchParams(query)}`;
    const own = [`--user-data-dir=${folder}`, `--ignore-certificate-errors-spki-list=${believed}`];
    browser = spawn('chromium', [...FLAGS, ...own, ...flags, url], { stdio: 'ignore' });
    browser.on('error', (error) => end(1, `no chromium: ${error.message}`));
  });
  setTimeout(() => end(1, 'too late'), 50000);
};
