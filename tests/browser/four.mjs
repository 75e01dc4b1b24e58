// SPDX-License-Identifier: AGPL-3.0-or-later
// Four people: everybody gets everybody; muting, cameras, a shared screen, leaving; and all of
// it without any negotiation after the first.
import { equal, figure, log, ok, scenario, sleep, timed, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { allHearAndSeeAll, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };

await scenario('four', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const link = server.link();
	const all = [];
	for (let i = 1; i <= 4; i++)
		all.push(await Person.join(browser, link, i, SMALL));
	const [ada, bea, cleo, dina] = all;
	const told = (who, about) => who.run((name) =>
		[...__test.people.values()].find((p) => p.name === name), about.name);
	const tile = async (who, about) => (await who.shown())
		.find((x) => x.name === about.name && x.kind === 'camera');

	await allHearAndSeeAll(all);

	log('mute');
	await bea.click('mic');
	figure('mute to silence at the others', await timed('silence', async () =>
		!(await ada.heard()).includes(2) && !(await dina.heard()).includes(2), 1000), 'ms');
	await until('it is shown', async () => (await tile(ada, bea))?.muted, 1000);
	equal((await told(cleo, bea)).mic, false, 'told');
	await sleep(1500); // and nothing comes back
	await ada.hears([3, 4], 500);
	await bea.click('mic');
	figure('unmute to sound', await timed('sound', async () => (await ada.heard()).includes(2), 2000),
		'ms');
	await until('it is shown', async () => !(await tile(ada, bea))?.muted, 1000);

	log('camera');
	await cleo.click('camera');
	await ada.sees([2, 4], 3000);
	await until('no picture in the tile', async () => !(await tile(ada, cleo))?.video, 2000);
	await cleo.click('camera');
	figure('camera on to picture', await timed('picture', async () =>
		(await ada.seen()).includes(3), 6000), 'ms');
	await dina.sees([1, 2, 3]);

	log('screen');
	await dina.click('screen');
	for (const who of [ada, bea, cleo])
		await who.sees([4], 8000, 'screen');
	await ada.sees([2, 3, 4]); // the cameras stay
	await dina.click('screen');
	await ada.sees([], 4000, 'screen');

	log('leave');
	await cleo.click('leave');
	for (const who of [ada, bea, dina]) {
		await until('off the list', async () => (await who.people()).length === 3, 3000);
		ok(!(await told(who, cleo)), 'gone');
		await until('out of the slots', () => who.run((name) => {
			const held = [...__test.slots.values()].filter((s) => s.p && !__test.people.has(s.p));
			return { ok: !held.length, saw: [name, held] };
		}, cleo.name), 3000);
		await until('off the stage', async () => !(await tile(who, cleo)), 3000);
	}
	await allHearAndSeeAll([ada, bea, dina]);
	for (const who of [ada, bea, dina]) {
		await who.oneNegotiation();
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
	}
}, 150);
