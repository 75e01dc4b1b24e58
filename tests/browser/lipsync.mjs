// SPDX-License-Identifier: AGPL-3.0-or-later
// Sound and picture of a person come out together: by what the server says of capture times,
// and by content (a light and a tone that start together). Over a path with delay and jitter, in
// which the two buffers drift apart by 150 ms and more if nobody aligns them.
import { figure, log, median, ok, scenario, sleep } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SKEW_MS = 120;
const SETTLE_MS = 12000;
const WATCH_S = 10;

const targets = (who) => who.run(() => [...__test.slots.values()].filter((s) => s.p)
	.map((s) => [s.k, __test.pc().getTransceivers().find((x) => x.mid === s.mid)
		.receiver.jitterBufferTarget]).join(' '));

function check(what, skews, least) {
	ok(skews.length >= least, `${what}: measured ${skews.length} times, at least ${least}`);
	figure(`${what}, median of ${skews.length}`, median(skews), 'ms');
	figure(`${what}, worst`, Math.max(...skews.map(Math.abs)), 'ms');
	ok(Math.abs(median(skews)) <= SKEW_MS, `${what}: at most ${SKEW_MS} ms: ${skews}`);
}

await scenario('lipsync', async () => {
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	const path = await net.path(here, '10.77.0.1/24', there, '10.77.0.2/24', 'delay=20');
	const server = await Server.start({ netns: here, address: '10.77.0.1' });
	const browser = await launchChromium({ netns: there, origin: server.origin });
	const sender = await Person.join(browser, server.link(), 1,
		{ width: 320, height: 240, fps: 25, flash: true });
	const viewer = await Person.join(browser, server.link(), 2, { tone: false, camera: false });
	await viewer.sees([1]);
	for (const [what, settings] of [['calm', 'delay=20 jitter=0'], ['jitter', 'delay=60 jitter=80 reorder=0']]) {
		path.set(settings);
		await sleep(SETTLE_MS);
		const watching = viewer.run((s) => __test.watchFlashes(s), WATCH_S);
		const told = [];
		for (let i = 0; i < WATCH_S * 2; i++) {
			told.push(await viewer.skew(1));
			await sleep(450);
		}
		log(`${what}: the page's targets: ${await targets(viewer)}`);
		log(`${what}: ${JSON.stringify(await server.counters())}`);
		check(`${what}: picture after sound by capture times`, told.filter(Number.isFinite), WATCH_S * 2);
		check(`${what}: picture after sound by content`, await watching, WATCH_S - 2);
	}
	await sender.oneNegotiation();
}, 150);
