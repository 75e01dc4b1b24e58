// SPDX-License-Identifier: AGPL-3.0-or-later
// Sound and picture of a person come out together: by the receiver's own account
// (estimatedPlayoutTimestamp), and by content (a light and a tone that start together).
// Over a path with delay and jitter, in which the two buffers would drift apart.
import { figure, log, median, ok, scenario, sleep } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SKEW_MS = 120;
const SETTLE_MS = 12000;

const skewNow = (who) => who.run(async () => {
	const stats = await __test.inbound();
	const slots = [...__test.slots.values()];
	const playout = (k) => {
		const slot = slots.find((s) => s.k === k && s.p);
		return stats.find((s) => s.mid === slot?.mid)?.estimatedPlayoutTimestamp;
	};
	const [sound, picture] = [playout('mic'), playout('camera')];
	return sound && picture ? picture - sound : null;
});

await scenario('lipsync', async () => {
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	const path = await net.path(here, '10.77.0.1/24', there, '10.77.0.2/24', 'delay=20');
	const server = await Server.start({ netns: here, address: '10.77.0.1' });
	const browser = await launchChromium({ netns: there, origin: server.origin });
	const sender = await Person.join(browser, server.link(), 1,
		{ width: 320, height: 240, fps: 25, flash: true });
	const viewer = await Person.join(browser, server.link(), 2, { tone: false, camera: false });
	for (const [what, settings] of [['calm', 'delay=20 jitter=0'], ['jitter', 'delay=60 jitter=80 reorder=0']]) {
		path.set(settings);
		log(what);
		await sleep(SETTLE_MS);
		const skews = [];
		for (let i = 0; i < 20; i++) {
			const skew = await skewNow(viewer);
			if (skew !== null)
				skews.push(skew);
			await sleep(250);
		}
		const seen = await viewer.run(() => __test.watchFlashes(8));
		figure(`${what}: skew by the receiver's account, median`, median(skews), 'ms');
		figure(`${what}: skew by the receiver's account, worst`, Math.max(...skews.map(Math.abs)), 'ms');
		figure(`${what}: picture after sound by content, median of ${seen.length}`, median(seen), 'ms');
		ok(skews.length >= 10, `the receiver has an account: ${skews.length}`);
		ok(Math.abs(median(skews)) <= SKEW_MS, `${what}: at most ${SKEW_MS} ms: ${skews}`);
	}
	await sender.oneNegotiation();
}, 150);
