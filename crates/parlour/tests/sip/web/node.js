// JsSIP in Node: two people register over a WebSocket, write to one another and call one another. There is no media in
// Node: the descriptions are a browser's, and have to come through as they are.

const [scheme, port, password] = process.argv.slice(2);

require('./standin.js');
const people = require('./people.js');

function same(what, [sent, came]) {
  if (sent !== came) throw new Error(`the ${what} has changed:\n${sent}\n---\n${came}`);
}

async function main() {
  const url = `${scheme}://falcot.com:${port}/sip`;
  const roland = await people.person(url, 'roland', password);
  const joe = await people.person(url, 'joe', password);
  console.log(`registered ${roland.contact.uri} pub_gruu=${roland.contact.pub_gruu}`);
  await people.text(joe, roland, 'roland', 'Gr\u00fc\u00dfe \u{1F44B}');
  console.log('written');
  const media = { mediaConstraints: { audio: false, video: false } };
  const call = await people.call(roland, joe, 'joe', media);
  same('offer', call.offers);
  same('answer', call.answers);
  const via = call.request.getHeader('Via');
  if (!via.startsWith(`SIP/2.0/${scheme.toUpperCase()} `)) throw new Error(via);
  console.log('called');
  const over = people.next(call.session, 'ended', (event) => event.originator === 'remote');
  call.other.terminate();
  await over;
  const refused = await people.call(roland, joe, 'roland.is.nobody', media).catch((error) => error);
  if (!/Not Found/.test(refused.message)) throw refused;
  const unregistered = people.next(roland, 'unregistered');
  roland.unregister();
  await unregistered;
  const gone = await people.call(joe, roland, 'roland', media).catch((error) => error);
  if (!/Unavailable/.test(gone.message)) throw gone;
  console.log('done');
  process.exit(0);
}

main().catch((error) => {
  console.log(error.stack);
  process.exit(1);
});
