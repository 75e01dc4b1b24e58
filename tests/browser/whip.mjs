// SPDX-License-Identifier: AGPL-3.0-or-later
// WHIP (RFC 9725): the protocol by raw requests, then Debian's simple-whip-client (GStreamer)
// publishes, trickling its candidates: a page hears and sees it under its name, also one that comes
// later; SIGINT makes it leave by DELETE.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equal, figure, log, ok, onEnd, onFailure, scenario, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { nameOf, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const INDEX = 9;
const HZ = 400 + 150 * INDEX;
// Why: tests/net/igd_stub.c
const stub = process.env.IGD_STUB ?? new URL('../../build/dev/whip-client', import.meta.url).pathname;
const offer = readFileSync(new URL('../unit/data/offers/whip-gstreamer.sdp', import.meta.url), 'utf8')
	.replace(/\r?\n/g, '\r\n');

function publish(url, token, png) {
	const child = spawn('whip-client', ['-u', url, '-t', token, '-l', '6', '-o',
		'-A', `audiotestsrc is-live=true freq=${HZ} volume=0.3 ! audio/x-raw,rate=48000,channels=1 ! ` +
			'audioconvert ! queue ! opusenc ! rtpopuspay pt=100 ! queue ! ' +
			'application/x-rtp,media=audio,encoding-name=OPUS,payload=100',
		'-V', `multifilesrc location=${png} loop=true caps="image/png,framerate=(fraction)10/1" ! ` +
			'pngdec ! videoconvert ! videorate ! identity sync=true ! queue ! ' +
			'vp8enc deadline=1 cpu-used=8 keyframe-max-dist=2000 ! rtpvp8pay pt=96 ! queue ! ' +
			'application/x-rtp,media=video,encoding-name=VP8,payload=96',
	], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LD_LIBRARY_PATH: stub } });
	const lines = [];
	for (const stream of [child.stdout, child.stderr])
		stream.on('data', (data) => lines.push(...String(data).split('\n')));
	onFailure('whip-client, last lines', () => lines.slice(-30).join('\n'));
	const ended = new Promise((done) => child.once('exit', done));
	onEnd(() => child.kill('SIGKILL'));
	return { child, ended, lines };
}

const fragment = (ufrag, more = '') => `a=ice-ufrag:${ufrag}\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n${more}`;
const CANDIDATE = 'm=video 9 RTP/AVP 0\r\na=mid:video0\r\n' +
	'a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n';
const ufragOf = (text) => text.match(/a=ice-ufrag:(\S+)/)?.[1];

/** Asks, and expects that status; a refusal names its error. */
async function ask(url, method, status, headers = {}, body = undefined) {
	const answer = await fetch(url, { method, headers, body });
	const text = await answer.text();
	equal(answer.status, status, `${method} ${url} ${JSON.stringify(headers)}: ${text}`);
	if (status >= 400 && method !== 'HEAD')
		ok(JSON.parse(text).error, `the error is named: ${text}`);
	return { headers: answer.headers, text };
}

async function refusals(server, url) {
	const auth = (role, room = 'palabre') => ({ authorization: `Bearer ${server.token(role, room)}` });
	const type = { 'content-type': 'application/sdp' };
	const speaker = { ...auth('speaker'), ...type };

	const { headers } = await ask(url, 'OPTIONS', 200, { origin: 'https://elsewhere.example',
		'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' });
	equal(headers.get('access-control-allow-origin'), '*', 'CORS is open');
	ok(/authorization, content-type/i.test(headers.get('access-control-allow-headers')), 'its headers');
	equal(headers.get('accept-post'), 'application/sdp', 'Accept-Post');
	for (const method of ['GET', 'HEAD', 'PUT', 'DELETE'])
		await ask(url, method, 405, auth('speaker'));
	const unknown = await ask(url, 'POST', 401, type, offer);
	equal(unknown.headers.get('www-authenticate'), 'Bearer', 'WWW-Authenticate');
	await ask(url, 'POST', 401, { ...type, authorization: 'Bearer nonsense' }, offer);
	await ask(url, 'POST', 403, { ...type, ...auth('speaker', 'elsewhere') }, offer);
	await ask(url, 'POST', 403, { ...type, ...auth('listener') }, offer);
	await ask(url, 'POST', 415, auth('speaker'), new Blob([offer]));
	await ask(url, 'POST', 415, { ...speaker, 'content-type': 'application/sdpx' }, offer);
	await ask(url, 'POST', 400, speaker, 'v=0\r\nnonsense');
	await ask(url, 'POST', 422, speaker, offer.replace('OPUS/48000', 'G7221/16000'));
	await ask(`${url}?name=${'x'.repeat(100)}`, 'POST', 400, speaker, offer);
	await ask(`${url}?name=%ff`, 'POST', 400, speaker, offer);
}

/** By raw requests, seen by `ada`: RFC 9725 §4.2 and 4.3. */
async function raw(server, ada) {
	const url = `${server.origin}/whip/palabre`;
	const auth = { authorization: `Bearer ${server.token('speaker')}` };
	const sdp = { ...auth, 'content-type': 'application/sdp; charset=utf-8' };
	const shown = async (name) => (await ada.people()).find((p) => p.name === name);

	await refusals(server, url);
	equal((await ada.people()).length, 1, 'who was refused is not in the room');
	const made = await ask(url, 'POST', 201, sdp, offer);
	equal(made.headers.get('content-type'), 'application/sdp', 'type of the answer');
	ok(/location.*etag/i.test(made.headers.get('access-control-expose-headers')), 'pages may read them');
	const etag = made.headers.get('etag');
	ok(/^"[^"]+"$/.test(etag), `a strong ETag: ${etag}`);
	const at = new URL(made.headers.get('location'), url);
	ok(/^\/whip\/palabre\/[0-9a-f]{12,16}$/.test(at.pathname), `location ${at}: long enough not to be guessed`);
	const person = await until('it is on the list', () => shown('WHIP'), 3000);
	equal([person.mic, person.camera, person.screen], [true, true, false], 'what it sends');

	const type = { 'content-type': 'application/trickle-ice-sdpfrag' };
	const patch = (status, match, body, more = {}) => ask(at, 'PATCH', status,
		{ ...auth, ...type, ...(match && { 'if-match': match }), ...more }, body);
	const theirs = fragment(ufragOf(offer), CANDIDATE);
	await patch(428, null, theirs);
	await patch(412, '"of-another-session"', theirs);
	await patch(412, `W/${etag}`, theirs);
	const trickled = await patch(204, etag, theirs);
	equal(trickled.headers.get('etag'), null, 'the ICE session is the same');
	await patch(204, `"x", ${etag}`, theirs);
	await patch(400, '*', 'nonsense');
	await patch(415, '*', theirs, { 'content-type': 'application/sdp' });
	const restarted = await patch(200, '*', fragment('abcdefgh'));
	const next = restarted.headers.get('etag');
	ok(/^"[^"]+"$/.test(next) && next !== etag, `another ETag: ${next}`);
	ok(ufragOf(restarted.text) && ufragOf(restarted.text) !== ufragOf(made.text),
		`new credentials come back: ${restarted.text}`);
	ok(/^a=ice-lite\r$/m.test(restarted.text) && /^a=candidate:/m.test(restarted.text), 'and candidates');
	await patch(412, etag, fragment('abcdefgh', CANDIDATE));
	await patch(204, next, fragment('abcdefgh', CANDIDATE));
	for (const method of ['GET', 'HEAD', 'PUT', 'POST'])
		await ask(at, method, 405, auth);
	await ask(at, 'DELETE', 401);
	await ask(at, 'DELETE', 403, { authorization: `Bearer ${server.token('speaker', 'elsewhere')}` });
	await ask(`${url}/1`, 'DELETE', 404, auth);
	await ask(at, 'DELETE', 200, { ...auth, 'if-match': '"not looked at"' });
	await until('it is off the list', async () => !await shown('WHIP'), 3000);
	await ask(at, 'DELETE', 404, auth);

	const voice = offer.replace('BUNDLE video0 audio1', 'BUNDLE audio1').replace(/m=video[^]*(?=m=audio)/, '')
		.replace('m=audio 0', 'm=audio 9');
	const second = await ask(`${url}?name=Voice+%26%20more`, 'POST', 201, sdp, voice);
	const speaks = await until('the voice is on the list', () => shown('Voice & more'), 3000);
	equal([speaks.mic, speaks.camera], [true, false], 'a voice alone');
	await ask(new URL(second.headers.get('location'), url), 'DELETE', 200, auth);
	log('raw requests');
}

await scenario('whip', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const ada = await Person.join(browser, server.link('host'), 1);
	await raw(server, ada);

	const dir = mkdtempSync(join(tmpdir(), 'palabre-whip-'));
	onEnd(() => rmSync(dir, { recursive: true, force: true }));
	const png = join(dir, 'picture.png');
	const painter = new Person(browser, server.link(), INDEX, {});
	await painter.open();
	writeFileSync(png, Buffer.from(await painter.run(() => __test.portrait(320, 240)), 'base64'));
	await painter.close();

	const begin = Date.now();
	const { child, ended, lines } = publish(`${server.origin}/whip/palabre?name=${encodeURIComponent(nameOf(INDEX))}`,
		server.token('speaker'), png);
	await ada.hears([INDEX], 20000);
	figure('whip-client to heard', Date.now() - begin, 'ms');
	await ada.sees([INDEX], 20000);
	ok(lines.some((l) => l.includes('Sending candidates')), 'whip-client has trickled');
	equal(lines.filter((l) => /\[trickle\]|error/i.test(l)), [], 'and not been refused');
	// Somebody who comes later needs a key frame of its own.
	const bea = await Person.join(browser, server.link(), 2);
	await bea.sees([1, INDEX], 10000);
	await bea.hears([1, INDEX]);
	child.kill('SIGINT');
	await ended;
	await until('the publisher is off the list', async () => (await ada.people()).length === 2, 3000);
	await ada.hears([2]);
}, 150);
