// SPDX-License-Identifier: AGPL-3.0-or-later
// The network changes under a phone: it has two addresses, and the one in use goes dead in
// mid-call. Sound must be back in 6 s by the other address alone, in 3 s with the ICE restart
// that the page asks for.
import { figure, log, scenario, sleep, timed, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };
const SERVER = '10.77.0.1';

await scenario('netchange', async () => {
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	net.ip(here, 'addr', 'add', `${SERVER}/32`, 'dev', 'lo');
	const paths = ['10.77.1', '10.77.2'].map((prefix, i) => {
		const [ours, theirs] = net.link(here, `${prefix}.1/24`, there, `${prefix}.2/24`);
		net.ip(there, 'route', 'add', `${SERVER}/32`, 'via', `${prefix}.1`, 'metric', String(10 + i));
		// What is bound to an address leaves by its interface.
		net.ip(there, 'route', 'add', `${SERVER}/32`, 'via', `${prefix}.1`, 'table', String(101 + i));
		net.ip(there, 'rule', 'add', 'from', `${prefix}.2`, 'table', String(101 + i));
		return { ours, theirs, address: `${prefix}.2`, prefix };
	});
	// The far end, who hears: not touched by any of this.
	const calm = net.space('p');
	net.link(here, '10.77.9.1/24', calm, '10.77.9.2/24');
	net.ip(calm, 'route', 'add', `${SERVER}/32`, 'via', '10.77.9.1');
	const server = await Server.start({ netns: here, address: SERVER });
	const phones = await launchChromium({ netns: there, origin: server.origin });
	const desk = await launchChromium({ netns: calm, origin: server.origin });
	const listener = await Person.join(desk, server.link('host'), 1, { ...SMALL, camera: false });

	const cases = [
		// [what, ICE restart allowed, how the address dies, limit]
		['silent, no ICE restart', false, 'silent', 6000],
		['silent, with ICE restart', true, 'silent', 3000],
		['interface gone, no ICE restart', false, 'gone', 6000],
		['interface gone, with ICE restart', true, 'gone', 3000],
	];
	const results = [];
	let index = 2;
	for (const [what, restart, how, limit] of cases) {
		log(what);
		const phone = await Person.join(phones, server.link(), index, SMALL);
		await phone.run((block) => { __test.blockIce = block; }, !restart);
		await listener.hears([index]);
		await phone.hears([1]);
		await sleep(2500); // until the path is settled
		const inUse = await until('the path in use', () => phone.path());
		// The side of the server knows which of the two it is by where packets come from.
		const dying = paths.find((p) => p.address === inUse.local.address) ?? paths[0];
		log(`path ${inUse.local.address} ${inUse.local.protocol}, kills ${dying.address}`);
		if (how === 'silent') {
			net.rules(here, [`iifname ${dying.ours} drop`]);
			net.rules(there, [`iifname ${dying.theirs} drop`]);
		} else {
			net.ip(there, 'link', 'set', dying.theirs, 'down');
		}
		const begin = Date.now();
		await until('the voice stops', async () => !(await listener.heard()).includes(index), 4000, 20)
			.catch(() => log('the voice never stopped'));
		const stopped = Date.now();
		let there2here, here2there;
		try {
			there2here = await timed('the phone is heard', async () =>
				(await listener.heard()).includes(index), 15000) + stopped - begin;
			await phone.hears([1], 15000);
			here2there = Date.now() - begin;
		} catch (error) {
			log(error.message);
		}
		figure(`${what}: heard again after`, there2here ?? 'never', 'ms');
		figure(`${what}: hears again after`, here2there ?? 'never', 'ms');
		results.push([what, Math.max(there2here ?? 1e9, 0), limit]);
		net.rules(here, []);
		net.rules(there, []);
		if (how === 'gone') {
			net.ip(there, 'link', 'set', dying.theirs, 'up');
			const n = paths.indexOf(dying);
			net.ip(there, 'route', 'replace', `${SERVER}/32`, 'via', `${dying.prefix}.1`, 'metric',
				String(10 + n));
			net.ip(there, 'route', 'replace', `${SERVER}/32`, 'via', `${dying.prefix}.1`, 'table',
				String(101 + n));
		}
		await sleep(500);
		await phone.click('leave');
		await until('left', async () => (await listener.people()).length === 1, 15000);
		await phone.close();
		index++;
	}
	const late = results.filter(([, took, limit]) => took > limit);
	if (late.length)
		throw new Error(`too late: ${JSON.stringify(late)}`);
}, 220);
