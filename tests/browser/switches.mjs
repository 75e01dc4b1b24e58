// SPDX-License-Identifier: AGPL-3.0-or-later
// A hundred changes of who is in a picture slot, and as many of who is in the voice slots, while
// 5 % of the packets are lost each way: no picture freezes (freezes.mjs).
// The cameras' pictures come from threads of their own: a page that stands still for 0.2 s (five share two cores) is no freeze
// of the relay's.
import { equal, figure, log, median, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { freezes, watchFreezes } from './lib/freezes.mjs';
import { loseUdp, Net } from './lib/net.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SWITCHES = 100;
const GAP_MS = 250; // below the limit of 50 messages in 10 s
// The rate of a camera: a loss is found out by the next packet, and at half the rate two lost in a row
// are a freeze before anybody can know.
const SMALL = { width: 160, height: 120, fps: 30, steady: true, tone: false, viewport: { width: 560, height: 420 } };

/** A hundred changes of whom the viewer sees. @returns {Promise<{lost: number, freezes: number}>} freezes: of the relay */
async function switching(viewer, senders, ids) {
	await watchFreezes(viewer);
	const before = await viewer.sums('video');
	const changes = await viewer.run(() => __test.slotChanges);
	const delays = [];
	for (let n = 0; n < SWITCHES; n++) {
		const target = senders[n % 3 === 2 ? 3 : (n * 2 + 1) % 3];
		const begin = Date.now();
		await viewer.run((p) => __test.show([{ p, k: 'camera', w: 640, h: 480 }]), ids.get(target.name));
		await until(`switch ${n} to ${target.name}`, async () => {
			const saw = await viewer.seen();
			return { ok: saw.join() === String(target.index), saw };
		}, 5000, 30);
		delays.push(Date.now() - begin);
		await sleep(Math.max(0, GAP_MS - (Date.now() - begin)));
	}
	const after = await viewer.sums('video');
	const more = Object.fromEntries(Object.keys(after).map((k) => [k, after[k] - before[k]]));
	figure(`view to picture at 5 % loss, median of ${SWITCHES}`, median(delays), 'ms');
	figure('view to picture at 5 % loss, longest', Math.max(...delays), 'ms');
	figure('slot changes', await viewer.run(() => __test.slotChanges) - changes);
	figure('freezes', more.freezeCount);
	const whose = await freezes(viewer, senders, more.freezeCount);
	figure('freezes in which the camera made no picture', whose.sender);
	figure('frozen', more.totalFreezesDuration * 1000, 'ms');
	figure('picture packets lost', more.packetsLost);
	figure('PLI of the viewer', more.pliCount);
	return { lost: more.packetsLost, freezes: whose.relay };
}

await scenario('switches', async () => {
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	net.link(here, '10.77.0.1/24', there, '10.77.0.2/24');
	// One picture slot: each change of view is a change within it.
	const server = await Server.start({ netns: here, address: '10.77.0.1',
		set: { 'media.video_slots_max': 1 } });
	const browser = await launchChromium({ netns: there, origin: server.origin });
	const link = server.link();
	const senders = [];
	for (let i = 1; i <= 4; i++)
		senders.push(await Person.join(browser, link, i, SMALL));
	const viewer = await Person.join(browser, link, 9, { ...SMALL, camera: false });
	await until('the viewer sees somebody', async () => (await viewer.seen()).length === 1, 10000);
	const ids = new Map(await viewer.run(() => [...__test.people.values()].map((p) => [p.name, p.id])));

	// A camera begins with little: each has been seen for a while before packets get lost, as in a call that stands.
	for (const s of senders) {
		await viewer.run((p) => __test.show([{ p, k: 'camera', w: 640, h: 480 }]), ids.get(s.name));
		await until(`${s.name} sends as much as it may`, async () => {
			const saw = await s.sending();
			return { ok: saw.estimate > 300000, saw };
		}, 15000, 300);
	}
	for (const space of [here, there])
		net.rules(space, loseUdp(server.port, 50));
	const soundBefore = await viewer.sums('audio');
	const { lost, freezes: ours } = await switching(viewer, senders, ids);
	for (const s of senders)
		log(`${s.name} sends ${JSON.stringify(await s.sending())}`);

	log('voices');
	let speaking = [];
	for (let n = 0; n < SWITCHES / 4; n++) {
		const next = [1, 2, 3, 4].filter((i) => i !== n % 4 + 1);
		await Promise.all(speaking.filter((i) => !next.includes(i)).map((i) => senders[i - 1].tone(false)));
		await Promise.all(next.map((i) => senders[i - 1].tone(true)));
		speaking = next;
		await viewer.hears(speaking, 5000);
	}
	const sound = await viewer.sums('audio');
	const total = sound.totalSamplesReceived - soundBefore.totalSamplesReceived;
	const concealed = sound.concealedSamples - soundBefore.concealedSamples -
		(sound.silentConcealedSamples - soundBefore.silentConcealedSamples);
	figure('sound concealed at 5 % loss', 100 * concealed / total, '%');
	const again = await senders[0].run(async () => [...(await palabre.pc().getStats()).values()]
		.filter((x) => x.type === 'outbound-rtp' && x.kind === 'audio')
		.reduce((sum, x) => sum + (x.retransmittedPacketsSent || 0), 0));
	figure('sounds sent again by one', again);
	for (const space of [here, there])
		net.rules(space, []);
	ok(lost > 20, `${lost} packets were lost`);
	equal(ours, 0, 'freezes of the relay');
	ok(concealed / total < 0.03, `at most 3 % concealed: ${concealed} of ${total}`);
	ok(again > 0, 'lost sound is asked for');
	await viewer.oneNegotiation();
}, 280);
