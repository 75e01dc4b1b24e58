// SPDX-License-Identifier: AGPL-3.0-or-later
// Coming back: a reload, a lost WebSocket, a lost media path, a server that is killed or
// restarted: the same person, the same role, in time.
import { equal, figure, log, ok, scenario, sleep, timed, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { dropUdp, Net } from './lib/net.mjs';
import { allHearAndSeeAll, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };
const BACK_MS = 5000;

await scenario('resume', async () => {
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	net.link(here, '10.77.0.1/24', there, '10.77.0.2/24');
	const server = await Server.start({ netns: here, address: '10.77.0.1' });
	const browser = await launchChromium({ netns: there, origin: server.origin });
	const ada = await Person.join(browser, server.link('host'), 1, SMALL);
	const bea = await Person.join(browser, server.link('moderator'), 2, SMALL);
	const cleo = await Person.join(browser, server.link('speaker'), 3, SMALL);
	const all = [ada, bea, cleo];
	await allHearAndSeeAll(all);
	const whoIsWho = async () => (await ada.people()).map((p) => [p.id, p.name, p.role])
		.sort((a, b) => a[1].localeCompare(b[1]));
	const before = await whoIsWho();
	const posts = (who, what) => who.run((what) =>
		__test.posts.filter((p) => p.url.endsWith(what)).length, what);
	const same = async (what) => {
		for (const who of all)
			await until(`${who.name} is in the call after ${what}`, () => who.run(() => ({
				ok: document.documentElement.dataset.state === 'call',
				saw: document.documentElement.dataset.state })), BACK_MS);
		await allHearAndSeeAll(all);
		equal(await whoIsWho(), before, `people after ${what}`);
		equal((await ada.people()).filter((p) => p.away), [], `nobody is away after ${what}`);
		for (const who of all)
			equal(await who.run(() => [...__test.elements].filter((e) => e.isConnected &&
				e.tagName === 'AUDIO').length), 3, `voice elements of ${who.name} after ${what}`);
	};
	const heardAgain = (who, index, ms = BACK_MS) => timed(`${who.name} hears ${index}`, async () =>
		(await who.heard()).includes(index), ms);

	log('reload');
	let begin = Date.now();
	await bea.page.reload();
	await bea.inCall(BACK_MS);
	await heardAgain(ada, 2);
	figure('reload to heard', Date.now() - begin, 'ms');
	await same('a reload');

	log('the WebSocket is reset');
	let welcomes = await bea.run(() => __test.welcomes);
	let joins = await posts(bea, '/join');
	net.rules(here, [`tcp dport ${server.port} reject with tcp reset`]);
	await sleep(1500);
	await bea.run(() => __test.sockets.at(-1).close());
	equal((await ada.heard()), [2, 3], 'media goes on meanwhile');
	net.rules(here, []);
	figure('WebSocket back after', await timed('welcome', () =>
		bea.run((n) => __test.welcomes > n, welcomes), BACK_MS), 'ms');
	equal(await posts(bea, '/join'), joins, 'joins for a lost WebSocket');
	await same('a lost WebSocket');

	log('the media path is dropped for 10 s');
	joins = await posts(bea, '/join');
	net.rules(here, dropUdp(server.port));
	await sleep(10000);
	net.rules(here, []);
	figure('media back after', await heardAgain(ada, 2), 'ms');
	await same('a dropped media path');

	for (const [what, end] of [['SIGKILL', () => server.kill()], ['SIGTERM', () => server.stop()]]) {
		log(what);
		await end();
		await sleep(500);
		begin = Date.now();
		await server.run();
		for (const who of all)
			await until(`${who.name} hears the others`, async () => {
				const saw = await who.heard();
				return { ok: saw.length === 2, saw };
			}, BACK_MS - (Date.now() - begin), 50);
		figure(`everybody back after ${what} and a restart`, Date.now() - begin, 'ms');
		await same(what);
	}

	log('leaving is final');
	await cleo.click('leave');
	await until('gone', async () => (await ada.people()).length === 2, 3000);
	await cleo.page.reload();
	await sleep(1000);
	ok((await ada.people()).length === 2, 'a reload after leaving does not come back by itself');
}, 220);
