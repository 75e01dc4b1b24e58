// SPDX-License-Identifier: AGPL-3.0-or-later
// A cap on the data of a call, set in the page's settings: video stops there by itself and says so, the voice goes on;
// video chosen again lasts for as much again; all of it kept over a reload.
import { equal, figure, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { lookInit } from './lib/look.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const LEAST_MB = 0.4; // the smallest that the page offers would take minutes: one more in its own list
const SECOND_MB = 0.2; // between two readings of the page

const choose = (who, id, value) => who.run(([id, value]) => {
	const select = document.getElementById(id);
	if (![...select.options].some((o) => o.value === value))
		select.append(new Option('', value));
	select.value = value;
	select.dispatchEvent(new Event('change'));
}, [id, value]);
const used = (who) => who.run(() => palabre.call.bytes / 1e6);
const stops = (who, ms) => until('video stops by itself', () => who.run(() =>
	({ ok: palabre.call.mode === 'voice' && palabre.call.phase === 'call', saw: [palabre.call.mode, palabre.call.bytes] })), ms);
const textOf = (who, id) => who.run((id) => document.getElementById(id).textContent, id);

await scenario('cap', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const dressed = { ...browser, async open(...args) {
		const opened = await browser.open(...args);
		await opened.page.addInitScript(lookInit);
		return opened;
	} };
	const bo = await Person.join(browser, server.link(), 2, { width: 320, height: 240 });
	const ada = await Person.join(dressed, server.link(), 1, { width: 320, height: 240 });
	await ada.sees([2]);
	await bo.sees([1]);
	equal(await ada.run(() => [...document.getElementById('cap-select').options].map((o) => o.value)),
		['20', '50', '100', '250', '0'], 'what can be chosen');
	equal(await ada.run(() => document.getElementById('cap-select').value), '0', 'without a choice: no cap');

	log('it stops');
	await choose(ada, 'cap-select', String(LEAST_MB));
	await stops(ada, 40000);
	const first = await used(ada);
	figure('megabytes used when video had stopped', first);
	ok(first >= LEAST_MB && first < LEAST_MB + SECOND_MB, `stopped at ${first}`);
	await until('it says so', async () => {
		const saw = await textOf(ada, 'status');
		return { ok: /Video has stopped: 0\.4 MB/.test(saw), saw };
	}, 3000);
	await until('aloud, too', () => ada.run(() => __look.said.some((l) => /Video has stopped/.test(l))), 2000);
	ok(/Video has stopped/.test(await textOf(ada, 'data-capped')), 'and in the settings');
	await bo.hears([1]);
	await ada.hears([2]);
	await bo.sees([]);
	equal([await ada.seen(), await ada.run(() => [palabre.call.want.camera, document.getElementById('camera').hidden])],
		[[], [false, true]], 'no pictures, no camera');
	ok(await bo.run(() => palabre.call.mode === 'video'), 'for the other one nothing has changed');

	log('chosen again: as much again');
	await choose(ada, 'mode-select', 'video');
	await ada.sees([2]);
	equal(await textOf(ada, 'data-capped'), '', 'the words are gone');
	const again = await used(ada);
	await ada.page.reload();
	await ada.inCall();
	await ada.sees([2]);
	const back = await used(ada);
	ok(back > again - 0.25, `what was used is known after a reload: ${again}, ${back}`);
	equal(await ada.run(() => palabre.call.cap), LEAST_MB, 'the cap after a reload');
	await stops(ada, 60000);
	const second = await used(ada);
	figure('megabytes used when it had stopped once more', second);
	ok(second > first + LEAST_MB && second < again + LEAST_MB + SECOND_MB, `as much again: ${first}, ${again}, ${second}`);
	await ada.hears([2]);
	await bo.hears([1]);

	log('a higher cap, none, and another call');
	await choose(ada, 'mode-select', 'video');
	await choose(ada, 'cap-select', '0');
	await ada.sees([2]);
	await sleep(2500);
	equal(await ada.run(() => [palabre.call.mode, palabre.call.capAt]), ['video', 0], 'without a cap');
	await choose(ada, 'cap-select', '50');
	await ada.click('leave');
	await ada.click('again');
	equal(await ada.run(() => [palabre.call.bytes, palabre.call.cap, palabre.call.capAt]), [0, 50, 50e6],
		'another call counts from nothing');
	for (const who of [ada, bo])
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
}, 150);
