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
	// A device that takes its time over the answer: what it asks to see is never "nobody".
	const slow = new Person(browser, server.link('speaker'), 9, { time: true });
	await slow.open();
	await slow.run(() => {
		const apply = RTCPeerConnection.prototype.setRemoteDescription;
		RTCPeerConnection.prototype.setRemoteDescription = async function (answer) {
			await new Promise((done) => setTimeout(done, 400));
			return apply.call(this, answer);
		};
		const send = WebSocket.prototype.send;
		__test.views = [];
		WebSocket.prototype.send = function (text) {
			const message = JSON.parse(text);
			if (message.t === 'view')
				__test.views.push(message.show.map((v) => v.k));
			return send.call(this, text);
		};
	});
	await slow.enter();
	await slow.sees([1]);
	const views = await until('what is asked for', () => slow.run(() =>
		({ ok: __test.views.length, saw: __test.views })));
	equal([...new Set(views.map(String))], ['camera'], 'what a slow device asks to see');
	await slow.click('leave');
	// The room is idle again: the next picture must come at once, too, so the host is not stuck.
	ok((await host.run(() => __test.errors)).length === 0, 'no errors in the page');
});
