// SPDX-License-Identifier: AGPL-3.0-or-later
// Voices that save data: whoever chooses it hears everybody in one thin stream, is sent and sends long packets, and
// is understood by those who chose nothing; changed in mid-call, and kept over a reload.
import { equal, figure, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SECONDS = 8;
const IP_UDP = 28;

/** What went over the wire and how, both ways, in SECONDS. */
async function travel(who) {
	const read = () => who.run(async () => {
		const stats = [...(await __test.pc().getStats()).values()];
		const wire = stats.find((s) => s.type === 'transport');
		const out = stats.find((s) => s.type === 'outbound-rtp' && s.kind === 'audio');
		return { up: wire.bytesSent, upPackets: wire.packetsSent, down: wire.bytesReceived,
			downPackets: wire.packetsReceived, out: out?.packetsSent ?? 0,
			slots: stats.filter((s) => s.type === 'inbound-rtp').map((s) => [s.mid, s.packetsReceived]) };
	});
	const a = await read();
	await sleep(SECONDS * 1000);
	const b = await read();
	const before = new Map(a.slots);
	return {
		up: (b.up - a.up + IP_UDP * (b.upPackets - a.upPackets)) * 8 / SECONDS / 1000,
		down: (b.down - a.down + IP_UDP * (b.downPackets - a.downPackets)) * 8 / SECONDS / 1000,
		packets: [(b.upPackets - a.upPackets) / SECONDS, (b.downPackets - a.downPackets) / SECONDS],
		out: (b.out - a.out) / SECONDS,
		slots: b.slots.map(([mid, n]) => (n - (before.get(mid) ?? 0)) / SECONDS).filter((n) => n > 0.5),
	};
}

const hearAll = async (all, ms) => {
	for (const who of all)
		await who.hears(all.filter((x) => x !== who).map((x) => x.index), ms);
};

await scenario('voice', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const all = [];
	for (let i = 1; i <= 3; i++)
		all.push(await Person.join(browser, server.link(), i, { mode: 'voice' }));
	const [ada, bea, cleo] = all;
	await hearAll(all, 8000);

	log('who chose nothing begins thin and climbs');
	equal(await bea.run(() => __test.events.filter((e) => e.t === 'voice').map((e) => e.down)[0]), 3, 'first rung');
	await until('the top', async () => {
		const saw = await bea.run(() => __test.events.filter((e) => e.t === 'voice').map((e) => [e.down, e.red, e.up, e.upred]));
		return { ok: (saw.at(-1)?.[0] === 5 || saw.at(-1)?.[0] === 'all') && saw.at(-1)?.[2] === 5, saw };
	}, 40000);
	await hearAll(all, 4000);

	log('one saves');
	await ada.chooseSound('least');
	await sleep(2500);
	await hearAll(all, 4000);
	const least = await travel(ada), free = await travel(bea);
	log(JSON.stringify({ least, free }));
	equal(least.slots.length, 1, 'streams that come to who saves');
	ok(least.slots[0] > 7 && least.slots[0] < 9, `packets a second: ${least.slots[0]}`);
	ok(least.out > 7 && least.out < 9, `packets sent a second: ${least.out}`);
	ok(Math.max(...free.slots) > 20 && free.out > 20, `who chose nothing: ${JSON.stringify(free)}`);
	await hearAll(all, 4000);

	log('all save');
	await bea.chooseSound('least');
	await cleo.chooseSound('least');
	await sleep(2500);
	await hearAll(all, 6000);
	const saved = await travel(cleo);
	figure('three talking at once, the least: sent', saved.up, 'kbit/s');
	figure('three talking at once, the least: received', saved.down, 'kbit/s');
	ok(saved.up < 14 && saved.down < 14, `little: ${JSON.stringify(saved)}`);
	// Who talks does not hear themselves.
	for (const who of all)
		ok(!(await who.heard()).includes(who.index), `${who.name} does not hear an echo`);

	log('who talks is told by the sound alone');
	const told = () => Promise.all(all.map((who) => who.run(() =>
		__test.events.filter((e) => e.t === 'speakers' || e.t === 'slot').length)));
	const before = await told();
	for (const talking of [[ada], [bea, cleo], [], [bea]]) {
		await Promise.all(all.map((who) => who.tone(talking.includes(who))));
		for (const who of all)
			await until(`${who.name} sees who talks: ${talking.map((x) => x.name).join() || 'nobody'}`, async () => {
				const saw = await who.run(() => [...document.querySelectorAll('#stage .tile[data-speaking=true]')]
					.map((e) => e.classList.contains('mine') ? 'mine' : e.querySelector('.who').textContent).sort());
				return { ok: saw.join() === talking.map((x) => x === who ? 'mine' : x.name).sort().join(), saw };
			}, 6000);
	}
	equal(await told(), before, 'events of who talks');
	await Promise.all(all.map((who) => who.tone(true)));
	await hearAll(all, 6000);

	log('kept over a reload, and back');
	await cleo.page.reload();
	await cleo.inCall();
	await hearAll(all, 8000);
	await sleep(2000);
	const again = await travel(cleo);
	equal([again.slots.length, Math.round(again.out)], [1, 8], 'after the reload');
	for (const who of all)
		await who.chooseSound('all');
	await until('plain again', async () => {
		const saw = await travel(ada);
		return { ok: saw.slots.some((n) => n > 20) && saw.out > 20, saw };
	}, 40000);
	await hearAll(all, 4000);
	for (const who of all)
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
}, 170);
