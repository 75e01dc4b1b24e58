// SPDX-License-Identifier: AGPL-3.0-or-later
// Twelve people, four picture slots, three voices: whoever speaks is heard by everybody and
// seen under the right name; views change what is in the slots.
import { equal, figure, log, ok, scenario, sleep, timed, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { nameOf, NAME_PATTERN, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 160, height: 120, fps: 8, tone: false, viewport: { width: 560, height: 420 } };
// A name is put right at the next frame that the browser shows: on a machine full of browsers some turns later.
const LIE_MS = 120, LIE_TURNS = 5;
const LAG_MS = 8000; // more than a picture takes on a busy machine

await scenario('twelve', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const link = server.link();
	const all = [];
	for (let i = 1; i <= 12; i++)
		all.push(await Person.join(browser, link, i, SMALL));
	log('all twelve are in the call');
	for (const person of all)
		await until(`${person.name} has a list of twelve`, async () =>
			(await person.people()).length === 12, 5000);
	const watchers = [all[0], all[5], all[11]];
	for (const w of watchers)
		await w.run((o) => __test.watchNames('#stage .tile[data-person]', '.who', o), NAME_PATTERN);

	let before = [];
	const delays = [];
	for (const speakers of [[2], [9], [3, 7], [4, 8, 10], [1, 12], [5, 6, 11], [2]]) {
		await Promise.all(before.filter((i) => !speakers.includes(i)).map((i) => all[i - 1].tone(false)));
		await Promise.all(speakers.map((i) => all[i - 1].tone(true)));
		const begin = Date.now();
		await all[0].hears(speakers.filter((i) => i !== 1), 8000);
		delays.push(Date.now() - begin);
		for (const person of all)
			await person.hears(speakers.filter((i) => i !== person.index), 12000);
		for (const w of watchers)
			await until(`${w.name} sees the speakers ${speakers}`, async () => {
				const saw = await w.seen();
				return { ok: speakers.every((i) => i === w.index || saw.includes(i)), saw };
			}, 15000);
		await until('the server names the speakers', async () => {
			const saw = await all[0].run(() => __test.speakers.map((id) => __test.people.get(id)?.name));
			return { ok: speakers.every((i) => saw.includes(nameOf(i))), saw };
		}, 3000);
		log(`speaking: ${speakers}`);
		before = speakers;
	}
	figure('speaking to heard, longest', Math.max(...delays), 'ms');

	/** Pins somebody who is on the stage without a picture; how long the picture takes. */
	const pin = async (w) => {
		await w.run(() => document.querySelector('#stage .tile[data-pinned=true] .pin')?.click());
		const hidden = await until(`${w.name} shows somebody without a picture`, async () =>
			(await w.shown()).find((x) => !x.video && x.name.startsWith('Person')), 5000);
		const index = Number(hidden.name.slice(-2));
		await w.run((name) => [...document.querySelectorAll('#stage .tile[data-person]')]
			.find((e) => e.querySelector('.who')?.textContent === name)
			.querySelector('.pin').click(), hidden.name);
		return timed('pinned picture', async () => (await w.seen()).includes(index), 12000);
	};
	log('views');
	for (const w of watchers)
		figure(`${w.name} pins: to picture`, await pin(w), 'ms');
	log('the events stall, the pictures do not');
	for (const w of watchers) {
		await w.run((ms) => { __test.lag = ms; }, LAG_MS);
		const took = await pin(w);
		figure(`${w.name} pins, events ${LAG_MS} ms late: to picture`, took, 'ms');
		ok(took < LAG_MS, 'the picture itself says whose it is');
		await w.run(() => { __test.lag = 0; });
	}
	await sleep(LAG_MS + 1000);
	for (const w of watchers) {
		const { samples, lies } = await w.run(() => __test.stopWatching());
		const longest = Math.max(0, ...lies.map((l) => l.ms));
		figure(`${w.name}: pictures under a wrong name (of ${samples} looks), longest ms, turns`,
			[lies.length, longest.toFixed(0), Math.max(0, ...lies.map((l) => l.turns))].join(', '));
		ok(samples > 100, 'there was something to look at');
		equal(lies.filter((l) => l.ms >= LIE_MS && l.turns >= LIE_TURNS), [], 'pictures under a wrong name');
	}
	// Late for want of a turn is not late for want of a link.
	equal((await server.counters()).video_off ?? 0, 0, 'pictures withheld');
	let restarts = 0;
	for (const person of all) {
		restarts += await person.oneNegotiation(true);
		equal(await person.run(() => __test.errors), [], `errors of ${person.name}`);
	}
	figure('ICE restarts of all twelve', restarts);
}, 380);
