// SPDX-License-Identifier: AGPL-3.0-or-later
// The network changes under a phone: it has two addresses, and the one in use dies in mid-call:
// silently (packets vanish, new connections go by the other), or with its interface. Sound must be back in 6 s by
// the server alone, in 3 s with the ICE restart that the page asks for.
//
// Measured by ear at both ends, from the moment the address dies to the end of the last silence.
import { equal, figure, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };
const SERVER = '10.77.0.1';
const WATCH_MS = 8000; // after the address has died
const SILENCE_MS = 300; // between syllables are 120

/** One phone with two ways to the server, and a desk with one of its own. */
class World {
	constructor() {
		const net = this.net = new Net();
		[this.here, this.there] = [net.space('s'), net.space('c')];
		net.ip(this.here, 'addr', 'add', `${SERVER}/32`, 'dev', 'lo');
		this.paths = ['10.77.1', '10.77.2'].map((prefix, i) => {
			const [ours, theirs] = net.link(this.here, `${prefix}.1/24`, this.there, `${prefix}.2/24`);
			net.ip(this.there, 'rule', 'add', 'from', `${prefix}.2`, 'table', String(101 + i));
			return { ours, theirs, address: `${prefix}.2`, via: `${prefix}.1`, table: String(101 + i),
				metric: String(10 + i) };
		});
		this.desk = net.space('p');
		net.link(this.here, '10.77.9.1/24', this.desk, '10.77.9.2/24');
		net.ip(this.desk, 'route', 'add', `${SERVER}/32`, 'via', '10.77.9.1');
		this.mend();
	}

	/** Both ways work, the first is the default; what is bound to an address leaves by its interface. */
	mend() {
		for (const space of [this.here, this.there])
			this.net.rules(space, []);
		for (const { theirs, address, via, table, metric } of this.paths) {
			this.net.ip(this.there, 'addr', 'replace', `${address}/24`, 'dev', theirs);
			this.net.ip(this.there, 'link', 'set', theirs, 'up');
			this.net.ip(this.there, 'route', 'replace', `${SERVER}/32`, 'via', via, 'metric', metric);
			this.net.ip(this.there, 'route', 'replace', `${SERVER}/32`, 'via', via, 'table', table);
		}
	}

	/** @param {'silent'|'gone'} how */
	kill(path, how) {
		if (how === 'gone') {
			// As a DHCP client does when the cable is out.
			this.net.ip(this.there, 'link', 'set', path.theirs, 'down');
			this.net.ip(this.there, 'addr', 'flush', 'dev', path.theirs);
			return;
		}
		this.net.rules(this.here, [`iifname ${path.ours} counter drop`]);
		this.net.rules(this.there, [`iifname ${path.theirs} counter drop`]);
		this.net.ip(this.there, 'route', 'del', `${SERVER}/32`, 'via', path.via, 'metric', path.metric);
	}

	/** Packets that have vanished so far: at the server, at the phone. */
	vanished() {
		return [this.here, this.there].map((space) => this.net.counted(space));
	}
}

/** The end of the last silence that `who` heard, ms; 0: there was none; null: it lasts. */
async function back(who, since) {
	const silences = await who.silences(since, SILENCE_MS);
	log(`${who.name}: silences ${JSON.stringify(silences)}`);
	return silences.length ? silences.at(-1)[1] : 0;
}

/** The phone talks with the listener over one of the two paths; gives that. */
async function settle(world, listener, phone) {
	await listener.hears([phone.index]);
	await phone.hears([listener.index]);
	await listener.watchVoice(phone.index);
	await phone.watchVoice(listener.index);
	await sleep(4000); // both ways must be regular before anything can be missed
	const { local } = await phone.path();
	const path = world.paths.find((p) => p.address === local.address);
	ok(path, `the path in use is one of the two: ${JSON.stringify(local)}`);
	await phone.run(() => { __test.posts.length = 0; });
	return path;
}

/** The status of each ICE restart that the page has asked for since settle(). */
const restarts = (phone) => phone.run(() => __test.posts.filter((p) => p.url.endsWith('/ice')).map((p) => p.status));

/** What happens here reaches the phone's page: its WebSocket is not left on the dead way. */
async function eventsReach(phone, listener) {
	const muted = async () => [...await phone.people()].find((p) => p.name === listener.name).mic !== true;
	await listener.click('mic');
	await until(`${phone.name} sees ${listener.name} muted`, muted, 6000);
	await listener.click('mic');
}

async function change(world, listener, phone, { how, restart, limit, what }) {
	await phone.run((block) => { __test.blockIce = block; }, !restart);
	const path = await settle(world, listener, phone);
	const since = Date.now();
	world.kill(path, how);
	log(`${what}: ${path.address} dies`);
	await sleep(WATCH_MS);
	const took = { heard: await back(listener, since), hears: await back(phone, since) };
	figure(`${what}: heard again after`, took.heard ?? 'never', 'ms');
	figure(`${what}: hears again after`, took.hears ?? 'never', 'ms');

	ok(took.heard !== 0 && took.hears !== 0, 'it was silent meanwhile');
	const { local } = await phone.path();
	ok(local.address !== path.address, `another address is in use: ${JSON.stringify(local)}`);
	if (how === 'silent') {
		const vanished = world.vanished();
		ok(vanished.every((n) => n > 20), `packets have vanished both ways: ${vanished}`);
	}
	equal((await restarts(phone)).slice(0, 1), restart ? [200] : [], 'restarts of ICE');
	await eventsReach(phone, listener);
	return [took.heard, took.hears].every((ms) => ms !== null && ms <= limit);
}

/** Nothing comes for two seconds, but what the phone sends arrives: the restart must not interrupt that. */
async function falseAlarm(world, listener, phone) {
	const path = await settle(world, listener, phone);
	const since = Date.now();
	world.net.rules(world.there, [`iifname ${path.theirs} meta l4proto udp drop`]);
	await sleep(2200);
	world.net.rules(world.there, []);
	await sleep(WATCH_MS - 2200);
	equal(await restarts(phone), [200], 'one restart');
	equal(await back(listener, since), 0, 'the phone was heard all the time');
	const hears = await back(phone, since);
	ok(hears > 0 && hears < 3000, `the phone hears again: ${hears}`);
}

await scenario('netchange', async () => {
	const world = new World();
	const server = await Server.start({ netns: world.here, address: SERVER });
	const phones = await launchChromium({ netns: world.there, origin: server.origin });
	const desk = await launchChromium({ netns: world.desk, origin: server.origin });
	const listener = await Person.join(desk, server.link('host'), 1, { ...SMALL, camera: false });
	const late = [];
	let index = 2;
	const withPhone = async (run) => {
		const phone = await Person.join(phones, server.link(), index++, SMALL);
		await run(phone);
		await phone.click('leave');
		await until('left', async () => (await listener.people()).length === 1, 5000);
		await phone.close();
		world.mend();
		await sleep(1000); // a browser gives up what it loads when an interface comes
	};
	for (const how of ['silent', 'gone'])
		for (const restart of [false, true]) {
			const what = `${how}, ${restart ? 'with' : 'no'} ICE restart`;
			const limit = restart ? 3000 : 6000;
			await withPhone(async (phone) => {
				if (!await change(world, listener, phone, { how, restart, what, limit }))
					late.push(what);
			});
		}
	equal(late, [], 'too late');
	await withPhone((phone) => falseAlarm(world, listener, phone));
}, 220);
