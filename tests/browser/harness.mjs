// SPDX-License-Identifier: AGPL-3.0-or-later
// Do the tests' own eyes and ears work? Two PeerConnections of a plain page, without palabred:
// what the fake camera shows and the fake microphone says is recognised at the other end, and
// nothing is recognised where there is nothing.
import { createServer } from 'node:http';
import { equal, log, ok, onEnd, scenario, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { launchFirefox } from './lib/firefox.mjs';
import { pageInit } from './lib/init.mjs';

// Runs in the page: a call with itself.
async function callSelf() {
	const a = new RTCPeerConnection(), b = new RTCPeerConnection();
	a.onicecandidate = (e) => b.addIceCandidate(e.candidate);
	b.onicecandidate = (e) => a.addIceCandidate(e.candidate);
	b.ontrack = (e) => {
		const element = document.createElement(e.track.kind);
		element.autoplay = true;
		element.srcObject = new MediaStream([e.track]);
		document.body.append(element);
		element.play();
	};
	const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
	for (const track of media.getTracks())
		a.addTrack(track);
	await a.setLocalDescription();
	await b.setRemoteDescription(a.localDescription);
	await b.setLocalDescription();
	await a.setRemoteDescription(b.localDescription);
}

async function check(browser, url) {
	for (const index of [0, 5, 19, 31]) {
		const page = await browser.open(pageInit, { index, width: 160, height: 120, fps: 8 });
		await page.goto(url);
		equal(await page.run(() => __test.listen()), [], `${browser.name} heard before the call`);
		await page.run(callSelf);
		const seen = await until(`${browser.name} sees picture ${index}`, async () => {
			const pictures = await page.run(() => __test.pictures());
			return { ok: pictures[0]?.picture, saw: pictures };
		}, 15000);
		equal([seen[0].picture.index, seen[0].picture.kind, seen[0].picture.colours],
			[index, 'camera', true], `${browser.name} picture`);
		await until(`${browser.name} hears tone ${index}`, async () => {
			const saw = await page.run(() => __test.listen());
			return { ok: saw.join() === String(index), saw };
		});
		const before = (await page.run(() => __test.pictures()))[0].picture.count;
		await until('the picture moves', async () =>
			(await page.run(() => __test.pictures()))[0].picture?.count !== before, 3000);
		await page.run(() => { __test.tone(false); });
		await until(`${browser.name} hears silence`, async () =>
			(await page.run(() => __test.listen())).length === 0, 3000);
		const stats = await page.run(() => __test.inbound());
		ok(stats.some((s) => s.kind === 'video' && s.framesDecoded > 0), 'frames are counted');
		equal(await page.run(() => __test.calls.setRemote), 2, 'descriptions counted');
		equal(await page.run(() => __test.errors), [], 'errors');
		await page.close();
		log(`${browser.name} ${index}`);
	}
}

await scenario('harness', async () => {
	const server = createServer((req, res) => {
		res.setHeader('content-type', 'text/html');
		res.end('<!doctype html><title>plain</title><body>');
	}).listen(0, '127.0.0.1');
	onEnd(() => server.close());
	await new Promise((done) => server.once('listening', done));
	const url = `http://127.0.0.1:${server.address().port}/`;
	await check(await launchChromium(), url);
	await check(await launchFirefox(), url);
}, 150);
