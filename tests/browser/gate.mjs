// SPDX-License-Identifier: AGPL-3.0-or-later
// An open microphone in voice mode: nothing is sent while nobody speaks, and of what is said nothing is missing, the
// first syllable included, though the page is busy. Beside it the same without an AudioWorklet, where the microphone is sent as it is.
import { equal, figure, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { startCapture, stopCapture } from './lib/capture.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Person } from './lib/person.mjs';
import { score } from './lib/score.mjs';
import { Server } from './lib/server.mjs';
import { speechFile } from './lib/speech.mjs';

const SPEECH = { seconds: 30, pause: [4, 4], noise: -60, tail: 22 };
const SETTLE_MS = 8000; // the voice climbs its ladder, and the gate learns the noise
const ESTOI = 0.93, WORSE = 0.02, GAP_MS = 60;
const UP = 2; // kbit/s
const CLOSES_S = 2.5; // hang, and until nothing at all is sent
const BUSY_MS = 150, BUSY_EVERY_MS = 1000; // the page's own thread
const IP_UDP = 28, CHECK = 124, ANSWER = 92; // bytes; Chromium's STUN request and answer with them

/** Bytes sent so far, in all and by ICE, at which time of the page. */
const sent = (who) => who.run(async () => {
	const stats = [...(await __test.pc().getStats()).values()];
	const wire = stats.find((s) => s.type === 'transport');
	const out = stats.find((s) => s.type === 'outbound-rtp' && s.kind === 'audio');
	const pair = stats.find((s) => s.id === wire.selectedCandidatePairId);
	return { at: Date.now() / 1000, bytes: wire.bytesSent, packets: wire.packetsSent,
		checks: pair.requestsSent, answers: pair.responsesSent,
		steered: __test.events.filter((e) => e.t === 'voice').length,
		voice: out?.packetsSent ?? 0, voiceBytes: (out?.bytesSent ?? 0) + (out?.headerBytesSent ?? 0) };
});
const kbit = (a, b) => (b.bytes - a.bytes + IP_UDP * (b.packets - a.packets)) * 8 / (b.at - a.at) / 1000;
const kbitIce = (a, b) => (CHECK * (b.checks - a.checks) + ANSWER * (b.answers - a.answers)) * 8 / (b.at - a.at) / 1000;

const restarts = (who) => who.run(() => __test.posts.filter((x) => x.url.endsWith('/ice')).length);
const gated = (who) => who.run(() => /Destination/.test(__test.pc().getSenders()
	.find((s) => s.track?.kind === 'audio')?.track.label ?? ''));
const gatedIs = (who, want, why) => until(why, async () => {
	const saw = await gated(who);
	return { ok: saw === want, saw };
}, 5000);
const energy = (who) => who.run(async () => (await __test.inbound())
	.reduce((sum, s) => sum + (s.totalAudioEnergy ?? 0), 0));
const heardAgain = async (who, why, ms = 12000) => {
	const before = await energy(who);
	await until(why, async () => await energy(who) > before + 1e-3, ms); // noise of -60 dBFS: 1e-6 a second
};

/** Two in a room of their own: who has the file as a microphone, and who records. */
async function pair(speech, ...scripts) {
	const server = await Server.start();
	const browser = await launchChromium({ args: [`--use-file-for-fake-audio-capture=${speech.wav}`] });
	const dressed = { ...browser, async open(...args) {
		const opened = await browser.open(...args);
		for (const script of scripts)
			await opened.page.addInitScript(script);
		return opened;
	} };
	const talker = await Person.join(dressed, server.link(), 1, { mode: 'voice', device: true });
	const listener = await Person.join(await launchChromium(), server.link(), 2,
		{ mic: false, camera: false, capture: true }); // in video mode: hears what is sent, and no ladder
	return { talker, listener };
}

/** What is heard of the whole file, and what is sent meanwhile. */
async function listen({ talker, listener }, speech, name) {
	const readings = [];
	await startCapture(listener);
	const began = await listener.run(() => Date.now() / 1000);
	while (Date.now() / 1000 - began < speech.seconds) {
		readings.push(await sent(talker));
		await sleep(250);
	}
	const heard = await stopCapture(listener);
	const got = score({ ...speech, period: speech.seconds }, heard);
	for (const u of got.utterances)
		log(name, `${speech.utterances[u.index].file}: ${JSON.stringify(u)}`);
	figure(`${name}: ESTOI`, got.estoi.toFixed(3));
	figure(`${name}: longest gap`, got.gapMs, 'ms');
	// The stretch of noise at the end of the file, wherever the file was when the recording began.
	const end = speech.seconds, from = end - SPEECH.tail;
	const turn = ((got.offset % end) + end) % end;
	const spans = [turn - end, turn].map((t) => [began + t + from + CLOSES_S, began + t + end - 0.5]
		.map((at) => Math.max(readings[0].at, Math.min(readings.at(-1).at, at))));
	const [a, b] = spans.sort((x, y) => (y[1] - y[0]) - (x[1] - x[0]))[0];
	const inside = readings.filter((r) => r.at >= a && r.at <= b);
	const noise = [inside[0], inside.at(-1)];
	ok(noise[1].at - noise[0].at > 10, `ten seconds of noise alone: ${noise[1].at - noise[0].at}`);
	figure(`${name}: sent in ${(noise[1].at - noise[0].at).toFixed(0)} s of room noise`, kbit(...noise), 'kbit/s');
	figure(`${name}: and for ICE`, kbitIce(...noise), 'kbit/s');
	const rate = (k) => ((noise[1][k] - noise[0][k]) / (noise[1].at - noise[0].at)).toFixed(2);
	log(`a second: ${['packets', 'bytes', 'voice', 'voiceBytes', 'checks', 'answers'].map((k) => `${k} ${rate(k)}`).join(', ')}`);
	figure(`${name}: sent over the whole file`, kbit(readings[0], readings.at(-1)), 'kbit/s');
	return { ...got, up: kbit(...noise) + kbitIce(...noise), voice: noise[1].voice - noise[0].voice,
		steered: noise[1].steered - noise[0].steered };
}

await scenario('gate', async () => {
	const speech = speechFile(0, SPEECH);
	const with_ = await pair(speech, () => {
		const contexts = [];
		globalThis.__context = () => contexts.find((c) => c.audioWorklet === globalThis.__worklet);
		const { addModule } = AudioWorklet.prototype;
		AudioWorklet.prototype.addModule = function(...args) {
			globalThis.__worklet = this;
			return addModule.apply(this, args);
		};
		const Native = globalThis.AudioContext;
		globalThis.AudioContext = class AudioContext extends Native {
			constructor(...args) {
				super(...args);
				contexts.push(this);
			}
		};
	});
	const without = await pair(speech, () => { delete globalThis.AudioWorkletNode; });
	const { talker, listener } = with_;
	await gatedIs(talker, true, 'the gate is in use');
	equal(await gated(without.talker), false, 'without an AudioWorklet the microphone itself is sent');
	await sleep(SETTLE_MS);
	await talker.run(([ms, every]) => {
		globalThis.__busy = setInterval(() => {
			for (const end = performance.now() + ms; performance.now() < end;)
				;
		}, every);
	}, [BUSY_MS, BUSY_EVERY_MS]);
	const [got, raw] = await Promise.all([listen(with_, speech, 'gate'), listen(without, speech, 'no gate')]);
	await talker.run(() => clearInterval(__busy));
	equal(got.voice, 0, 'packets of sound sent while nobody speaks');
	equal(got.steered, 0, 'told to send in another way while nobody speaks');
	ok(got.up <= UP, `at most ${UP} kbit/s: ${got.up}`);
	ok(raw.voice > 0 && raw.up > 2 * got.up, `without the gate noise is sent: ${raw.up}`);
	ok(got.estoi >= Math.max(ESTOI, raw.estoi - WORSE), `ESTOI ${got.estoi}, without the gate ${raw.estoi}`);
	ok(got.gapMs <= Math.max(GAP_MS, raw.gapMs), `longest gap ${got.gapMs} ms, without the gate ${raw.gapMs}`);
	for (const who of [talker, listener])
		equal(await restarts(who), 0, `${who.name} took a silence for a dead path`);

	log('muted, and not');
	await talker.click('mic');
	await sleep(1000);
	const [before, still] = [await energy(listener), await sent(talker)];
	await sleep(speech.seconds / 2 * 1000 > 20000 ? 20000 : 10000);
	ok(await energy(listener) - before < 1e-4, 'nothing is heard of who is muted');
	equal((await sent(talker)).voice - still.voice, 0, 'packets sent while muted');
	await talker.click('mic');
	await gatedIs(talker, true, 'the gate again');
	await heardAgain(listener, 'heard when not muted', 25000);

	log('another microphone; a context that stops');
	await talker.run(() => {
		const select = document.querySelector('#settings select[data-device=mic]');
		select.value = 'fake-mic';
		select.dispatchEvent(new Event('change'));
	});
	await sleep(500);
	equal(await gated(talker), true, 'the gate with another microphone');
	await heardAgain(listener, 'the other microphone is heard', 25000);
	await talker.run(() => {
		__context().resume = async () => {}; // the page tries at once
		return __context().suspend();
	});
	await gatedIs(talker, false, 'the microphone itself, the context being suspended');
	await heardAgain(listener, 'heard without the context', 25000);
	await talker.run(() => {
		delete __context().resume;
		return __context().resume();
	});
	await gatedIs(talker, true, 'the gate, the context running again');
	for (const who of [talker, listener, without.talker, without.listener])
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
}, 220);
