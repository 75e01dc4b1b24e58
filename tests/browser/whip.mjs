// SPDX-License-Identifier: AGPL-3.0-or-later
// WHIP (RFC 9725): Debian's simple-whip-client publishes, a page hears and sees it; it leaves
// by DELETE. Then the protocol by raw requests, restart of ICE included.
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
	const child = spawn('whip-client', ['-u', url, '-t', token, '-n', '-l', '6', '-o',
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
	return { child, ended };
}

async function raw(server, room) {
	const url = `${server.origin}/whip/${room}`;
	const token = server.token('speaker', room);
	const auth = { authorization: `Bearer ${token}` };
	const sdp = { ...auth, 'content-type': 'application/sdp' };

	const open = await fetch(url, { method: 'OPTIONS', headers: { origin: 'https://elsewhere.example',
		'access-control-request-method': 'POST',
		'access-control-request-headers': 'authorization,content-type' } });
	ok(open.status < 300 && open.headers.get('access-control-allow-origin') === '*', 'CORS is open');
	for (const [headers, body, status] of [
		[{ 'content-type': 'application/sdp' }, offer, 401],
		[{ ...sdp, authorization: 'Bearer nonsense' }, offer, 401],
		[{ ...auth, 'content-type': 'text/plain' }, offer, 415],
		[sdp, 'v=0\r\nnonsense', 400],
	]) {
		const refused = await fetch(url, { method: 'POST', headers, body });
		equal(refused.status, status, `POST ${JSON.stringify(headers['content-type'])} ${body.length}`);
		ok((await refused.json()).error, 'the error is named');
	}

	const made = await fetch(`${url}?name=Raw`, { method: 'POST', headers: sdp, body: offer });
	equal(made.status, 201, 'POST');
	equal(made.headers.get('content-type'), 'application/sdp', 'type of the answer');
	const answer = await made.text();
	const at = new URL(made.headers.get('location'), url);
	ok(at.pathname.startsWith(`/whip/${room}/`), `location ${at}`);
	const ufrag = (text) => text.match(/a=ice-ufrag:(\S+)/)?.[1];

	const fragment = (u, p) => `a=ice-ufrag:${u}\r\na=ice-pwd:${p}\r\n`;
	const patch = (body, more = {}) => fetch(at, { method: 'PATCH', body,
		headers: { ...auth, 'content-type': 'application/trickle-ice-sdpfrag', ...more } });
	const restarted = await patch(fragment('abcdefgh', 'abcdefghijklmnopqrstuvwx'), { 'if-match': '*' });
	equal(restarted.status, 200, 'PATCH with new credentials');
	const theirs = await restarted.text();
	ok(ufrag(theirs) && ufrag(theirs) !== ufrag(answer), `new credentials come back: ${theirs}`);
	const candidate = await patch(`${fragment('abcdefgh', 'abcdefghijklmnopqrstuvwx')}m=audio 9 RTP/AVP 0\r\n` +
		'a=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n');
	equal(candidate.status, 204, 'PATCH with a candidate');
	equal((await patch('nonsense')).status, 400, 'PATCH with nonsense');
	equal((await fetch(at, { method: 'DELETE' })).status, 401, 'DELETE without a token');
	ok((await fetch(at, { method: 'DELETE', headers: auth })).ok, 'DELETE');
	const again = await fetch(at, { method: 'DELETE', headers: auth });
	ok([404, 410].includes(again.status), `DELETE again: ${again.status}`);
	log('raw requests');
}

await scenario('whip', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const ada = await Person.join(browser, server.link('host'), 1);
	await raw(server, 'elsewhere');

	const dir = mkdtempSync(join(tmpdir(), 'palabre-whip-'));
	onEnd(() => rmSync(dir, { recursive: true, force: true }));
	const png = join(dir, 'picture.png');
	const painter = new Person(browser, server.link(), INDEX, {});
	await painter.open();
	writeFileSync(png, Buffer.from(await painter.run(() => __test.portrait(320, 240)), 'base64'));
	await painter.close();

	const begin = Date.now();
	const { child, ended } = publish(`${server.origin}/whip/palabre?name=${encodeURIComponent(nameOf(INDEX))}`,
		server.token('speaker'), png);
	await ada.hears([INDEX], 20000);
	figure('whip-client to heard', Date.now() - begin, 'ms');
	await ada.sees([INDEX], 20000);
	// Somebody who comes later needs a key frame of its own.
	const bea = await Person.join(browser, server.link(), 2);
	await bea.sees([1, INDEX], 10000);
	await bea.hears([1, INDEX]);
	child.kill('SIGINT');
	await ended;
	await until('the publisher is off the list', async () => (await ada.people()).length === 2, 3000);
	await ada.hears([2]);
}, 150);
