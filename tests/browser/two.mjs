// SPDX-License-Identifier: AGPL-3.0-or-later
// Two people hear and see each other; and how soon after the request to join.
import { equal, figure, log, median, ok, scenario, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { allHearAndSeeAll, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const JOINS = 5;

await scenario('two', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const host = await Person.join(browser, server.link('host'), 1);
	equal(await host.run(() => __test.you.role), 'host', 'role by the link');
	const times = { connected: [], audio: [], video: [] };
	for (let i = 0; i < JOINS; i++) {
		const guest = await Person.join(browser, server.link('speaker'), 2 + i, { time: true });
		const first = await until('first sound and picture', () => guest.run(() =>
			({ ok: __test.first.audio && __test.first.video, saw: __test.first })), 15000);
		if (i === 0) {
			await allHearAndSeeAll([host, guest]);
			equal((await guest.shown()).map((x) => [x.name, x.video]), [[host.name, true]],
				'what the guest is shown');
			const path = await guest.path();
			equal(path.remote.protocol, 'udp', 'protocol of the path');
			await host.oneNegotiation();
			await guest.oneNegotiation();
		}
		log(`join ${i}: ${JSON.stringify(first)}`);
		for (const key of Object.keys(times))
			times[key].push(first[key]);
		await guest.click('leave');
		await until('the guest is gone', async () => (await host.people()).length === 1, 5000);
		await guest.close();
	}
	for (const key of Object.keys(times))
		figure(`join to ${key === 'connected' ? key : `first ${key} decoded`}, median of ${JOINS}`,
			median(times[key]), 'ms');
	// The room is idle again: the next picture must come at once, too, so the host is not stuck.
	ok((await host.run(() => __test.errors)).length === 0, 'no errors in the page');
});
