// SPDX-License-Identifier: AGPL-3.0-or-later
// Voices over thin and lossy links, measured: real browsers at both ends, each behind an emulated path, natural
// speech as the microphone, what is heard scored against what was said, every byte counted by the path (WebSocket
// included). One line of the table a link.
//
//   node tests/browser/thin.mjs [name …]     these rows, or those of every run
//   --all                                    all of them; --list: their names
import { figure, log, median, ok, sleep, timed, until } from './lib/check.mjs';
import { startCapture, stopCapture } from './lib/capture.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { Person } from './lib/person.mjs';
import { audience, calm, door, home, rate, rowsOf } from './lib/rows.mjs';
import { score, scoreTogether } from './lib/score.mjs';
import { Server } from './lib/server.mjs';
import { speechFile } from './lib/speech.mjs';

const JOINS = 5;
const LEAST_WAIT_S = 0.1; // of a jitter buffer
const SETTLE_MS = 15000; // the way to the rung and to the protection that the link wants
const LISTEN_S = Number(process.env.LISTEN_S ?? (process.argv.length > 2 ? 60 : 30));

/**
 * talkers: how many at once; others: people besides, who only listen; cameras: so many people with video on good links, one of whom talks, and
 * the listener with video, too; firefox: who uses it instead of Chromium; up, down: settings of the talkers' and the
 * listener's path; thrift: what is chosen by all, thriftDown: by the listener; at: changes of the listener's path, [seconds, settings]; join: it is about joining; and what is to be
 * reached. step: [s, how long after, what]: by then the rung is at most that one, or, without one, what it was at first.
 * @type {Record<string, {talkers?: number, others?: number, cameras?: number, firefox?: 'talks'|'listens', up: string, down: string, thrift: string, thriftDown?: string,
 *	at?: [number, string][], join?: {rttMs: number, kbit: number, rtts: number}, kbitUp?: number, kbitDown?: number, estoi?: number,
 *	gapMs?: number, backMs?: number, step?: [number, number, number?][]}>}
 */
const ROWS = {
	'clean, the least': { up: 'delay=20', down: 'delay=20', thrift: 'least', kbitUp: 12.5, kbitDown: 12.5, estoi: 0.91 },
	'clean, the least, room of 30': { others: 28, up: 'delay=20', down: 'delay=20', thrift: 'least', kbitUp: 12.5, kbitDown: 12.5, estoi: 0.91 },
	'clean, the least, three at once': { talkers: 3, up: 'delay=20', down: 'delay=20', thrift: 'least', kbitDown: 12.5, estoi: 0.87 },
	'clean, three at once, the least at the listener': { talkers: 3, up: 'delay=20', down: 'delay=20', thrift: 'all', thriftDown: 'least',
		kbitDown: 12.5, estoi: 0.87 },
	'20 % lost at the listener, RTT 250': { up: 'delay=20', down: 'delay=125 loss=20', thrift: 'least',
		kbitUp: 17, kbitDown: 17, estoi: 0.90 },
	'clean, the least, Firefox talks': { firefox: 'talks', up: 'delay=20', down: 'delay=20', thrift: 'least',
		kbitUp: 20, kbitDown: 20, estoi: 0.91 },
	'clean, the least, Firefox listens': { firefox: 'listens', up: 'delay=20', down: 'delay=20', thrift: 'least',
		kbitUp: 20, kbitDown: 20, estoi: 0.91 },
	'20 % lost at the listener, RTT 250, Firefox talks': { firefox: 'talks', up: 'delay=20', down: 'delay=125 loss=20',
		thrift: 'least', kbitUp: 27.2, kbitDown: 27.2, estoi: 0.90 },
	'20 % lost at the listener, RTT 250, Firefox listens': { firefox: 'listens', up: 'delay=20', down: 'delay=125 loss=20',
		thrift: 'least', kbitUp: 27.2, kbitDown: 27.2, estoi: 0.90 },
	'20 % lost at both, RTT 250': { up: 'delay=125 loss=20', down: 'delay=125 loss=20', thrift: 'least',
		kbitUp: 17, kbitDown: 17, estoi: 0.87 },
	'20 % lost at the listener, RTT 500': { up: 'delay=20', down: 'delay=250 loss=20', thrift: 'least', kbitDown: 25, estoi: 0.90 },
	'20 % lost at the listener, RTT 1000': { up: 'delay=20', down: 'delay=500 loss=20', thrift: 'least', kbitDown: 29, estoi: 0.89 },
	'bursts, 15 % in threes, RTT 300': { up: 'delay=20', down: 'delay=150 ge=5.9,33', thrift: 'least', kbitDown: 30, estoi: 0.87 },
	'40, 14, 40 kbit/s, RTT 600': { up: 'delay=20', down: 'delay=300 rate=40 queue=3000', thrift: 'all',
		at: [[20, 'rate=14'], [40, 'rate=40']], gapMs: 1200, step: [[20, 2, 1], [40, 5]] },
	'30 kbit/s, nine others with video': { cameras: 9, up: '', down: 'delay=100 rate=30 queue=1000', thrift: 'all',
		kbitDown: 30, estoi: 0.87, gapMs: 1200, backMs: 30000 },
	'dead for 5 s': { up: 'delay=20', down: 'delay=150', thrift: 'all', at: [[20, 'down=1'], [25, 'down=0']], backMs: 2000 },
	'join, RTT 600, 1 % lost, 64 kbit/s': { up: 'delay=20', down: 'delay=300 loss=1 rate=64 queue=3000', thrift: 'all',
		join: { rttMs: 600, kbit: 64, rtts: 7 } },
};

/** Nobody says anything: open microphones in rooms that are not silent, and the same people muted. */
const SILENT = 'everybody silent';
const SILENT_KBIT = 2;
const ROOM = { seconds: 12, noise: -60, tail: 150 }; // they have talked before
const QUIET_MS = 30000; // from the last word on, for all that follows it

/** In every run. */
const FEW = ['clean, the least', '20 % lost at the listener, RTT 250', '20 % lost at the listener, RTT 500'];

/** @type {string[][]} */
const table = [['link', 'talker up, kbit/s', 'listener down', 'up', 'ESTOI', 'longest gap, ms', 'concealed, %', 'buffer, ms', 'rung + RED']];
let rows = 0;

/** How long until something arrives again, ms, and goes on arriving. */
async function comesBack(listener) {
	const begin = Date.now();
	const before = (await listener.sums('audio')).packetsReceived;
	await until('sound after the silence', async () => {
		const now = (await listener.sums('audio')).packetsReceived;
		return { ok: now > before + 3, saw: now - before };
	}, 10000);
	return Date.now() - begin;
}

/** Waits in the page for the first sound that is no concealment; there, since its events cross no thin link. */
const firstSound = (who) => who.run(async () => {
	const begin = performance.now();
	for (;;) {
		const heard = (await __test.inbound()).some((s) => s.kind === 'audio' &&
			s.totalSamplesReceived > s.concealedSamples && s.totalAudioEnergy > 1e-6);
		if (heard || performance.now() - begin > 60000)
			return heard;
		await new Promise((done) => setTimeout(done, 20));
	}
});

/** From the link to the first sound, without the time that a person takes for the form; nothing is cached. */
async function joining(name, r) {
	const net = new Net();
	const here = net.space(`${rows++}s`);
	const server = await Server.start({ netns: here, address: '10.77.1.1', set: { 'server.listen': '*' } });
	const to = async (n, settings, args) => {
		const space = net.space(`${rows}c${n}`), { origin, link } = door(server, `10.77.${n}.1`);
		const path = await net.path(here, `10.77.${n}.1/24`, space, `10.77.${n}.2/24`, ...settings.split(' '));
		return { path, link, browser: await launchChromium({ netns: space, origin, args }) };
	};
	const talks = await to(1, r.up, [`--use-file-for-fake-audio-capture=${speechFile(0, { pause: [0.1, 0.1] }).wav}`]);
	const talker = await Person.join(talks.browser, talks.link, 1, { mode: 'voice', device: true, tone: false, camera: false });
	const { path, link, browser } = await to(2, r.down);
	const times = [];
	for (let i = 0; i < JOINS; i++) {
		net.ip(here, 'tcp_metrics', 'flush'); // a stranger
		const who = new Person(browser, link, 9, { mode: 'voice', mic: false, camera: false, patience: 60000 });
		const before = await path.counts();
		await who.open();
		const ready = Date.now(), page = await path.counts();
		const begin = await who.run(() => performance.timeOrigin); // without the browser's own start
		await who.enter(false);
		const click = Date.now();
		ok(await firstSound(who), 'sound within a minute');
		const end = Date.now(), after = await path.counts();
		const bytes = after.ab.out_bytes - before.ab.out_bytes;
		// Besides what comes: the offer and the handshake's flights go up while nothing comes.
		const sent = after.ba.out_bytes - page.ba.out_bytes, transfer = (bytes + sent) * 8 / r.join.kbit;
		const ms = ready - begin + end - click, most = r.join.rtts * r.join.rttMs + transfer;
		times.push({ ms, most, bytes });
		log(`the page ${(ready - begin).toFixed(0)} ms, ${page.ab.out_bytes - before.ab.out_bytes} bytes down and ${page.ba.out_bytes - before.ba.out_bytes} up; ` +
			`then the first sound after ${end - click} ms; in all ${ms.toFixed(0)} ms, ${bytes} bytes down, ${after.ba.out_bytes - before.ba.out_bytes} up: ` +
			`${((ms - transfer) / r.join.rttMs).toFixed(1)} RTT besides the transfer`);
		await who.click('leave'); // or the server goes on sending for a while
		await sleep(4000);
		await who.close();
	}
	const middle = median(times.map((t) => t.ms - t.most));
	const mid = times.find((t) => t.ms - t.most === middle);
	figure(name, `first sound after ${mid.ms.toFixed(0)} ms, ${mid.bytes} bytes, ` +
		`${(r.join.rtts + middle / r.join.rttMs).toFixed(1)} RTT besides the transfer`);
	await talker.close();
	await server.stop();
	return middle > 0 ? [`${name}: ${mid.ms.toFixed(0)} ms > ${mid.most.toFixed(0)}`] : [];
}

/** When who joined last was sent which rung (-1: the voices as they are), by the server's log: the page hears of it later. @returns {[number, number][]} */
function stepsOf(server, begin) {
	const lines = server.lines.map((l) => l.match(/^(\S+) DEBUG call\.voice leg=(\d+) rung=(-?\d+)/)).filter(Boolean);
	const last = [...new Set(lines.map(([, , leg]) => leg))].at(-1);
	return lines.filter(([, , leg]) => leg === last).map(([, at, , rung]) => [(Date.parse(at) - begin) / 1000, Number(rung)]);
}

/** When the server sent the sentences that were heard: less the way and what was the least wait. */
const saidAt = (utterances, down) => utterances.map((u) =>
	({ from: u.at - u.lateMs / 1000 - Number(down.match(/delay=(\d+)/)[1]) / 1000 - LEAST_WAIT_S, seconds: u.seconds }));

/** How much of the time between the two something was said: in a pause nothing is sent that could tell of a link. */
const saidBetween = (said, from, to) => said.reduce((sum, u) =>
	sum + Math.max(0, Math.min(to, u.from + u.seconds) - Math.max(from, u.from)), 0);

/**
 * The rung was what it should be, so long after. @param {[number, number][]} steps
 * @param {[number, number, number?][]} wanted @param {{from: number, seconds: number}[]} said
 */
function stepsLate(steps, wanted, name, said) {
	const rank = (rung) => rung < 0 ? 99 : rung;
	const at = (s) => rank(steps.filter(([t]) => t <= s).at(-1)[1]);
	return wanted.flatMap(([s, later, most]) => {
		const old = at(wanted[0][0]);
		const what = most === undefined ? 'back at the old step' : 'at the right step';
		const first = steps.find(([t, rung]) => t > s && (most === undefined ? rank(rung) >= old : rank(rung) <= most))?.[0] ?? Infinity;
		const sound = saidBetween(said, s, first);
		figure(`${name}: ${what} after`, `${(first - s).toFixed(1)} s, in which something was said for ${sound.toFixed(1)} s`);
		return first - s <= later ? [] : [`${what} after ${(first - s).toFixed(1)} s > ${later}`];
	});
}

/** What two people cost of whom nobody says anything. */
async function silence() {
	const k = rows++;
	const net = new Net();
	const here = net.space(`${k}s`);
	const server = await Server.start({ netns: here, address: '10.77.1.1', set: { 'server.listen': '*' } });
	const speech = speechFile(0, ROOM);
	const homes = [await home(net, here, server, k, 0, 'delay=20', { speech }),
		await home(net, here, server, k, 1, 'delay=20', { speech })];
	const people = await Promise.all(homes.map(({ browser, link }, i) =>
		Person.join(browser, link, i + 1, { mode: 'voice', device: true, camera: false })));
	const misses = [];
	const told = () => Promise.all(people.map((who) => who.run(() => __test.events.length)));
	const measure = async (name) => {
		const events = await told();
		const before = await Promise.all(homes.map(({ path }) => path.counts()));
		await sleep(LISTEN_S * 1000);
		const after = await Promise.all(homes.map(({ path }) => path.counts()));
		const [up, down] = ['ba', 'ab'].map((way) => Math.max(...homes.map((_, i) => rate(before[i], after[i], way))));
		const packets = homes.map((_, i) => ['ba', 'ab'].map((way) => after[i][way].out_pkts - before[i][way].out_pkts));
		figure(`${SILENT}, ${name}`, `up ${up.toFixed(2)}, down ${down.toFixed(2)} kbit/s`);
		log(`packets up and down: ${JSON.stringify(packets)}`);
		for (const [i, who] of people.entries())
			log(`${who.name} was told ${JSON.stringify(await who.run((n) => __test.events.slice(n), events[i]))}`);
		table.push([`${SILENT}, ${name}`, up.toFixed(2), down.toFixed(2), ...Array(6).fill('')]);
		if (up > SILENT_KBIT || down > SILENT_KBIT)
			misses.push(`${SILENT}, ${name}: up ${up.toFixed(2)}, down ${down.toFixed(2)} > ${SILENT_KBIT}`);
	};
	await sleep(ROOM.seconds * 1000 + QUIET_MS);
	for (const who of people)
		ok(await who.run(() => /Destination/.test(__test.pc().getSenders()[0].track?.label ?? '')), `${who.name} uses the gate`);
	await measure('microphones open');
	for (const who of people)
		await who.click('mic');
	await sleep(SETTLE_MS);
	await measure('muted');
	for (const who of people) {
		log(JSON.stringify(await who.run(() => __test.errors)));
		await who.close();
	}
	await server.stop();
	return misses;
}

async function row(name, r) {
	const k = rows++;
	const net = new Net();
	const here = net.space(`${k}s`);
	const server = await Server.start({ netns: here, address: '10.77.1.1',
		set: { 'server.listen': '*', ...r.step && { 'server.log_level': 'debug' } } });
	const people = [], paths = [], speeches = [];
	for (let i = 0; i <= (r.talkers ?? 1); i++) {
		const listens = i === (r.talkers ?? 1);
		const firefox = r.firefox === (listens ? 'listens' : 'talks');
		const speech = listens ? null : speechFile(i);
		const { path, link, browser } = await home(net, here, server, k, i, calm(listens ? r.down : r.up), { firefox, speech });
		paths.push(path);
		if (listens) {
			people.push(await Person.join(browser, link, 9, { mode: 'voice', mic: false, camera: false, capture: true }));
			continue;
		}
		people.push(await Person.join(browser, link, i + 1, { mode: 'voice', device: !firefox, tone: false, camera: false }));
		if (firefox)
			await people.at(-1).say(speech);
		speeches.push(speech);
	}
	const listener = people.at(-1);
	if (r.others)
		await audience(here, server, r.others);
	for (const who of people)
		await who.chooseSound(who === listener && r.thriftDown || r.thrift);
	paths.forEach((p, i) => p.set(i === paths.length - 1 ? r.down : r.up));
	await sleep(SETTLE_MS);
	await startCapture(listener);
	const from = await listener.run(() => Math.round(performance.now() / 100) / 10);
	const [before, sound] = [await Promise.all(paths.map((p) => p.counts())), await listener.sums('audio')];
	const begin = Date.now();
	let backMs = 0;
	for (const [at, settings] of r.at ?? []) {
		await sleep(begin + at * 1000 - Date.now());
		paths.at(-1).set(settings);
		if (r.backMs && settings === 'down=0')
			backMs = await comesBack(listener);
	}
	await sleep(begin + LISTEN_S * 1000 - Date.now());
	const heard = await stopCapture(listener);
	const [after, soundAfter] = [await Promise.all(paths.map((p) => p.counts())), await listener.sums('audio')];
	const talkers = speeches.map((s) => ({ ...s, period: s.seconds }));
	const got = talkers.length > 1 ? scoreTogether(talkers, heard) : score(talkers[0], heard);
	const up = median(paths.slice(0, -1).map((_, i) => rate(before[i], after[i], 'ba')));
	const down = rate(before.at(-1), after.at(-1), 'ab'), back = rate(before.at(-1), after.at(-1), 'ba');
	const concealed = 100 * (soundAfter.concealedSamples - sound.concealedSamples) /
		(soundAfter.totalSamplesReceived - sound.totalSamplesReceived);
	const waits = 1000 * (soundAfter.jitterBufferDelay - sound.jitterBufferDelay) /
		(soundAfter.jitterBufferEmittedCount - sound.jitterBufferEmittedCount);
	const steps = await listener.run(() => __test.events.filter((e) => e.t === 'voice')
		.map((e) => [Math.round(e.at / 100) / 10, e.down, e.red, e.jitter, e.loss]));
	const [talker] = people;
	const talks = await talker.run(() => __test.events.filter((e) => e.t === 'voice')
		.map((e) => [Math.round(e.at / 100) / 10, e.up, e.upred]));
	const last = steps.at(-1)?.slice(1, 3).join(' + ') ?? '-';
	table.push([name, up.toFixed(1), down.toFixed(1), back.toFixed(1), got.estoi.toFixed(3), String(got.gapMs),
		concealed.toFixed(1), waits.toFixed(0), last]);
	figure(name, `talker up ${up.toFixed(1)} kbit/s, listener down ${down.toFixed(1)} and up ${back.toFixed(1)}, ` +
		`ESTOI ${got.estoi.toFixed(3)} of ${got.seconds.toFixed(0)} s, longest gap ${got.gapMs} ms, ` +
		`concealed ${concealed.toFixed(1)} %, asked for ${soundAfter.nackCount - sound.nackCount}, buffer ${waits.toFixed(0)} ms, rung ${last}`);
	if (r.backMs)
		figure(`${name}: back after`, backMs, 'ms');
	log(`steps: ${JSON.stringify(steps)}; of the talker: ${JSON.stringify(talks)}`);
	const misses = [
		r.kbitUp && up > r.kbitUp ? `talker up ${up.toFixed(1)} > ${r.kbitUp}` : '',
		r.kbitDown && down > r.kbitDown ? `listener down ${down.toFixed(1)} > ${r.kbitDown}` : '',
		r.estoi && got.estoi < r.estoi ? `ESTOI ${got.estoi.toFixed(3)} < ${r.estoi}` : '',
		r.gapMs && got.gapMs > r.gapMs ? `gap ${got.gapMs} > ${r.gapMs}` : '',
		...r.step ? stepsLate(stepsOf(server, begin), r.step, name, saidAt(got.utterances, r.down)) : [],
		r.backMs && backMs > r.backMs ? `back after ${backMs} ms > ${r.backMs}` : '',
	].filter(Boolean);
	log(`sentences: ${(got.utterances ?? []).map((u) => `${u.at.toFixed(1)}: ${u.estoi.toFixed(3)} (${u.gapMs} ms)`).join(', ')}`);
	log(`talker: ${JSON.stringify(await talker.run(async () => {
		const [s] = __test.pc().getSenders().filter((s) => s.track?.kind === 'audio');
		const out = [...(await s.getStats()).values()].find((x) => x.type === 'outbound-rtp');
		return { ...s.getParameters().encodings[0], target: out.targetBitrate, bytes: out.bytesSent, packets: out.packetsSent,
			repeated: out.retransmittedPacketsSent, errors: __test.errors, fmtp: __test.pc().remoteDescription.sdp.match(/a=fmtp:111.*|a=ptime.*/g) };
	}))}`);
	log(`listener: ${JSON.stringify(Object.fromEntries(Object.keys(sound).map((k) => [k, soundAfter[k] - sound[k]]).filter(([, v]) => v)))}` +
		`, by ${JSON.stringify(await listener.path())}, asked for ${JSON.stringify(await listener.run(() =>
			__test.posts.map((p) => [p.url.split('/').pop(), Math.round(p.at / 100) / 10, p.status])))}; captured from ${from}, states ${JSON.stringify(await listener.run(() =>
			__test.states))}`);
	log(JSON.stringify(await server.counters()));
	for (const who of people)
		await who.close();
	await server.stop();
	return misses.map((m) => `${name}: ${m}`);
}

const SMALL = { width: 160, height: 120, fps: 5, tone: false, viewport: { width: 480, height: 360 } };
// Of the others; the rest are muted, ask for no pictures and draw nothing: two cores are not enough for all.
const WATCHERS = [1, 2];
const GOES_MS = 5000; // until the voice is there again

/** Frames a second that each has decoded in that time, the fewest, and packets of sound. */
async function watched(people, ms) {
	const read = () => Promise.all(people.map(async (who) => [(await who.sums('video')).framesDecoded, (await who.sums('audio')).packetsReceived]));
	const [a, begin] = [await read(), Date.now()];
	await sleep(ms);
	const [b, seconds] = [await read(), (Date.now() - begin) / 1000];
	return { fps: Math.min(...a.map(([frames], i) => (b[i][0] - frames) / seconds)),
		voice: Math.min(...a.map(([, packets], i) => (b[i][1] - packets) / seconds)) };
}

/** A room full of cameras; the link of one who watches becomes thin, and good again. */
async function cameras(name, r) {
	const k = rows++;
	const net = new Net();
	const here = net.space(`${k}s`), hall = net.space(`${k}h`), far = net.space(`${k}f`);
	const server = await Server.start({ netns: here, address: '10.77.1.1', set: { 'server.listen': '*' } });
	net.link(here, '10.77.1.1/24', hall, '10.77.1.2/24');
	const path = await net.path(here, '10.77.2.1/24', far, '10.77.2.2/24', calm(r.down));
	const { origin, link } = door(server, '10.77.1.1'), { origin: farOrigin, link: farLink } = door(server, '10.77.2.1');
	const speech = speechFile(0);
	const browser = await launchChromium({ netns: hall, origin, args: [`--use-file-for-fake-audio-capture=${speech.wav}`] });
	const others = [];
	for (let i = 1; i <= r.cameras; i++) {
		others.push(await Person.join(browser, link, i, { ...SMALL, device: i === 1, mic: i === 1 || WATCHERS.includes(i - 1) }));
		if (WATCHERS.includes(i - 1))
			continue;
		await others.at(-1).run((talks) => {
			__test.show([]);
			document.body.style.visibility = 'hidden';
			if (!talks)
				__test.audio?.context.suspend();
		}, i === 1);
	}
	const farBrowser = await launchChromium({ netns: far, origin: farOrigin });
	const listener = await Person.join(farBrowser, farLink, 20, { ...SMALL, mic: false, camera: false, capture: true });
	await until('pictures at the listener', async () => {
		const saw = await listener.seen();
		return { ok: saw.length >= 4, saw };
	}, 20000);
	await sleep(SETTLE_MS);
	const told = () => listener.run(() => __test.events.filter((e) => e.t === 'voice').map((e) => [Math.round(e.at / 100) / 10, e.down, e.red, e.video ?? true]));
	const early = await told();
	const wide = await path.counts();
	const watchers = WATCHERS.map((i) => others[i]);
	const before = await watched(watchers, 5000);
	const wide2 = await path.counts();
	await startCapture(listener);
	await sleep(2000);
	path.set(r.down);
	await sleep(GOES_MS);
	const [from, sound, seenBefore] = [await path.counts(), await listener.sums('audio'), await listener.sums('video')];
	const during = await watched(watchers, LISTEN_S * 1000);
	const [after, soundAfter, seenAfter] = [await path.counts(), await listener.sums('audio'), await listener.sums('video')];
	const page = await listener.run(() => ({ status: document.getElementById('status').textContent,
		pictures: document.querySelectorAll('#stage .tile[data-video=true]').length, faces: [...document.querySelectorAll('#stage .tile .face')].map((e) => e.textContent).join(' ') }));
	const heard = (await stopCapture(listener, 0.03)).slice(-LISTEN_S * 48000), thin = await told();
	path.set('rate=0');
	const backMs = await timed('video comes back', async () => {
		const now = await listener.sums('video');
		return now.framesDecoded > seenAfter.framesDecoded + 10 &&
			await listener.run(() => document.querySelectorAll('#stage .tile[data-video=true]').length > 0 && palabre.call.voice.video);
	}, 90000);
	const got = score({ ...speech, period: speech.seconds }, heard);
	const down = rate(from, after, 'ab'), back = rate(from, after, 'ba');
	const steps = await told(), thinAt = await listener.run(() => performance.now()) - backMs - LISTEN_S * 1000 - GOES_MS;
	const waits = 1000 * (soundAfter.jitterBufferDelay - sound.jitterBufferDelay) /
		(soundAfter.jitterBufferEmittedCount - sound.jitterBufferEmittedCount);
	const last = thin.at(-1)?.slice(1, 3).join(' + ') ?? '-';
	const packets = seenAfter.packetsReceived - seenBefore.packetsReceived;
	table.push([name, '-', down.toFixed(1), back.toFixed(1), got.estoi.toFixed(3), String(got.gapMs), '-', waits.toFixed(0), last]);
	figure(name, `listener down ${down.toFixed(1)} (of ${rate(wide, wide2, 'ab').toFixed(0)} with video) and up ${back.toFixed(1)} kbit/s, ESTOI ${got.estoi.toFixed(3)} ` +
		`of ${got.seconds.toFixed(0)} s, longest gap ${got.gapMs} ms, ${packets} video packets, rung ${last}`);
	figure(`${name}: at the others frames a second before and during, packets of sound`, JSON.stringify([before, during]));
	figure(`${name}: video is back after`, backMs, 'ms');
	log(`early: ${JSON.stringify(early)}; thin at about ${(thinAt / 1000).toFixed(1)}; steps: ${JSON.stringify(steps)}; page: ${JSON.stringify(page)}`);
	log(`sentences: ${(got.utterances ?? []).map((u) => `${u.estoi.toFixed(3)} (${u.gapMs} ms)`).join(', ')}`);
	log(`counts: ${JSON.stringify([from, after])}`);
	log(JSON.stringify(await server.counters()));
	const misses = [
		early.some(([, , , video]) => !video) ? 'video was off before the link was thin' : '',
		packets ? `${packets} video packets` : '',
		page.pictures ? `${page.pictures} pictures are shown still` : '',
		/video/.test(page.status) ? '' : `the page says: ${page.status}`,
		during.fps < before.fps / 2 || during.voice < before.voice / 2 ? 'the others get less' : '',
		r.kbitDown && down > r.kbitDown ? `listener down ${down.toFixed(1)} > ${r.kbitDown}` : '',
		r.estoi && got.estoi < r.estoi ? `ESTOI ${got.estoi.toFixed(3)} < ${r.estoi}` : '',
		r.gapMs && got.gapMs > r.gapMs ? `gap ${got.gapMs} > ${r.gapMs}` : '',
		r.backMs && backMs > r.backMs ? `video back after ${backMs} ms > ${r.backMs}` : '',
	].filter(Boolean);
	for (const who of [...others, listener])
		await who.close();
	await server.stop();
	return misses.map((m) => `${name}: ${m}`);
}

await rowsOf('thin', { names: [...Object.keys(ROWS), SILENT], few: FEW, table,
	run: (name) => (name === SILENT ? silence : ROWS[name].join ? joining : ROWS[name].cameras ? cameras : row)(name, ROWS[name]),
	seconds: (name) => LISTEN_S + (name === SILENT ? LISTEN_S + 120 : ROWS[name].join || ROWS[name].cameras ? 300 : 60) });
