// SPDX-License-Identifier: AGPL-3.0-or-later
// Do the tests' own eyes and ears work? Two PeerConnections of a plain page, without palabred:
// what the fake camera shows and the fake microphone says is recognised at the other end, and
// nothing is recognised where there is nothing. The talking head arrives as the camera's file has it.
import { createServer } from 'node:http';
import { equal, log, ok, onEnd, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { faceFile, FPS, FRAMES, readNumber, stripRows } from './lib/face.mjs';
import { launchFirefox } from './lib/firefox.mjs';
import { pageInit } from './lib/init.mjs';
import { below, ssim } from './lib/ssim.mjs';
import { clockOf, sampleEvery, samplesOf, shownBetween, startWatching } from './lib/watch.mjs';

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
	const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
	for (const track of media.getTracks())
		a.addTrack(track);
	await a.setLocalDescription();
	await b.setRemoteDescription(a.localDescription);
	await b.setLocalDescription();
	await a.setRemoteDescription(b.localDescription);
}

/** The face over a call on loopback, whose encoder gets what it wants. */
async function checkFace(url) {
	const face = await faceFile();
	const browser = await launchChromium({ args: [`--use-file-for-fake-video-capture=${face.y4m}`] });
	const page = await browser.open(pageInit, { index: 0, lens: true });
	await page.goto(url);
	await startWatching(page);
	await page.run(callSelf);
	await sleep(5000); // until the bitrate is there
	const from = await clockOf(page);
	await sampleEvery(page, 500);
	await sleep(3000);
	const [shown, samples] = [await shownBetween(page, from, await clockOf(page)), await samplesOf(page)];
	ok(shown.fps > FPS * 0.8 && shown.fps < FPS * 1.2 && shown.stillMs < 400, `the face moves: ${JSON.stringify(shown)}`);
	ok(samples.length >= 4, `${samples.length} pictures are kept`);
	const alike = (sample, number) => {
		const rows = stripRows(sample.height);
		return ssim(below(face.luma(number), rows), below(sample, rows));
	};
	for (const sample of samples) {
		const number = readNumber(sample);
		ok(number >= 0, 'its number is read');
		const [right, wrong] = [alike(sample, number), alike(sample, (number + FRAMES / 4) % FRAMES)];
		log(`picture ${number}: SSIM ${right.toFixed(3)}, with another ${wrong.toFixed(3)}`);
		ok(right > 0.9 && right > wrong + 0.1, `picture ${number} is alike: ${right}, ${wrong}`);
	}
	equal(await page.run(() => __test.errors), [], 'errors');
	await page.close();
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
	await checkFace(url);
}, 200);
