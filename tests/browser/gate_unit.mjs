// SPDX-License-Identifier: AGPL-3.0-or-later
// The microphone's gate by itself: natural speech in noise of every kind, and noise alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Valve } from '../../src/web/valve-worker.js';
import { Gate } from '../../src/web/gate-worklet.js';
import { chance, resample } from './lib/dsp.mjs';
import { SPEECH_RATE, soundOf, speechOf } from './lib/speech.mjs';

const RATE = 48000, QUANTUM = 128;
const DELAY = 0.06 * RATE;
const KINDS = ['white', 'pink', 'fan'];
const gain = (db) => 10 ** (db / 20);

/** Noise of a room, dBFS: even, falling as in most rooms, or a wobbling fan with hum. */
function noise(kind, seconds, level, rate = RATE) {
	const next = chance(11);
	const x = new Float32Array(Math.round(seconds * rate));
	let [a, b, c, sum] = [0, 0, 0, 0];
	for (let i = 0; i < x.length; i++) {
		const w = next() + next() + next() - 1.5;
		if (kind === 'white') {
			x[i] = w;
		} else if (kind === 'pink') {
			a = 0.99765 * a + 0.099 * w;
			b = 0.963 * b + 0.2965 * w;
			c = 0.57 * c + 1.0527 * w;
			x[i] = a + b + c + 0.1848 * w;
		} else {
			a = 0.985 * a + w;
			x[i] = a * (1 + 0.15 * Math.sin(2 * Math.PI * 3 * i / rate)) + 4 * Math.sin(2 * Math.PI * 100 * i / rate);
		}
		sum += x[i] ** 2;
	}
	const scale = gain(level) / Math.sqrt(sum / x.length);
	return x.map((v) => v * scale);
}

function passed(x, rate = RATE) {
	const gate = new Gate(rate);
	const out = new Float32Array(x.length), gains = new Float32Array(x.length);
	for (let i = 0; i + QUANTUM <= x.length; i += QUANTUM) {
		gate.pass(x.subarray(i, i + QUANTUM), out.subarray(i, i + QUANTUM));
		gains.fill(gate.gain, i, i + QUANTUM);
	}
	return { out, gains };
}

const seconds = (from, to, rate = RATE) => [Math.round(from * rate), Math.round(to * rate)];
const open = (gains, from, to) => gains.subarray(...seconds(from, to)).filter((g) => g > 0).length / RATE;

/** @type {Map<number, {utterances: {from: number}[], seconds: number, sound: Float32Array}>} */
const voices = new Map([0, 1, 2].map((talker) => {
	const speech = speechOf(talker, { seconds: 25 });
	return [talker, { ...speech, sound: resample(soundOf(speech), SPEECH_RATE, RATE) }];
}));

test('noise alone: exact zeros, once it is known', () => {
	for (const kind of KINDS)
		for (const level of [-80, -60, -45, -30]) {
			const { out, gains } = passed(noise(kind, 30, level));
			assert.equal(open(gains, 7, 30 - 0.01), 0, `${kind}, ${level} dBFS`);
			assert.ok(out.subarray(...seconds(7, 30)).every((v) => v === 0), `${kind}, ${level} dBFS: zeros`);
		}
	for (const rate of [16000, 44100]) {
		const { out } = passed(noise('pink', 20, -50, rate), rate);
		assert.ok(out.subarray(...seconds(7, 20, rate)).every((v) => v === 0), `at ${rate} Hz`);
	}
});

test('speech in noise: whole, and its first fifth of a second with it', () => {
	for (const [talker, { utterances, sound }] of voices)
		for (const kind of KINDS)
			for (const [level, speech] of [[-60, 0], [-60, -25], [-45, 0], [-45, -15], [-35, -8], [-30, 0]]) {
				const lead = 10 * RATE;
				const x = noise(kind, 10 + sound.length / RATE + 1, level);
				sound.forEach((v, i) => { x[lead + i] += v * gain(speech); });
				const { gains } = passed(x);
				const share = (from, to) => {
					let [all, through] = [0, 0];
					for (let i = from; i < to; i++) {
						all += sound[i] ** 2;
						through += sound[i] ** 2 * gains[lead + i + DELAY];
					}
					return through / all;
				};
				const name = `talker ${talker}, ${kind} ${level} dBFS, speech ${-22 + speech}`;
				assert.ok(share(0, sound.length) > 0.998, `${name}: ${share(0, sound.length)}`);
				for (const { from } of utterances) {
					const begin = share(...seconds(from, from + 0.2));
					assert.ok(begin > 0.8, `${name}: the beginning at ${from}: ${begin}`);
				}
			}
});

test('who talks without a pause for a minute is no noise', () => {
	for (const [talker, { utterances }] of voices) {
		const all = resample(Float32Array.from(utterances.flatMap((u) => [...u.samples])), SPEECH_RATE, RATE);
		const x = noise('pink', 60, -50);
		x.forEach((_, i) => { x[i] += all[i % all.length] * gain(-15); });
		const { gains } = passed(x);
		assert.ok(open(gains, 1, 59.9) > 58.7, `talker ${talker}: open for ${open(gains, 1, 59.9)} of 58.9 s`);
	}
});

test('a fan that begins is let through, and learned; silence after it is', () => {
	const x = new Float32Array(30 * RATE);
	x.set(noise('pink', 10, -65));
	x.set(noise('fan', 20, -35), 10 * RATE);
	const { gains } = passed(x);
	assert.equal(open(gains, 7, 10), 0);
	assert.ok(open(gains, 10, 22) > 5, 'it might be speech');
	assert.equal(open(gains, 23, 29.9), 0);
});

test('what passes is late by 60 ms and otherwise as it was; begins and ends without a click', () => {
	const x = new Float32Array(12 * RATE);
	for (let i = 0; i < RATE; i++)
		x[10 * RATE + i] = 0.3 * Math.sin(2 * Math.PI * 300 * i / RATE);
	const { out, gains } = passed(x);
	assert.ok(out.subarray(0, 10 * RATE).every((v) => v === 0));
	for (let i = 0; i < RATE; i++)
		assert.equal(out[10 * RATE + DELAY + i], x[10 * RATE + i]);
	assert.ok(out.subarray(...seconds(11.7, 12)).every((v) => v === 0));
	for (let i = 1; i < gains.length; i++)
		assert.ok(Math.abs(gains[i] - gains[i - 1]) <= QUANTUM / (0.005 * RATE) + 1e-6, `at ${i}`);
	new Gate(RATE).pass(undefined, new Float32Array(QUANTUM)); // no microphone yet
});

test('the gate says so when it has been closed for a second, again and again, and when it opens', () => {
	const x = new Float32Array(16 * RATE);
	for (let i = 0; i < RATE; i++)
		x[10 * RATE + i] = 0.3 * Math.sin(2 * Math.PI * 300 * i / RATE);
	const gate = new Gate(RATE);
	const words = [];
	for (let i = 0; i + QUANTUM <= x.length; i += QUANTUM) {
		gate.pass(x.subarray(i, i + QUANTUM), new Float32Array(QUANTUM));
		if (gate.word !== (words.at(-1)?.word ?? 0))
			words.push({ word: gate.word, at: i / RATE, gain: gate.gain });
	}
	const opens = words.findIndex((w) => !w.word);
	assert.ok(Math.abs(words[opens].at - 10) < 0.021, 'before what was said comes out of the delay line');
	for (const list of [words.slice(0, opens), words.slice(opens + 1)]) {
		assert.ok(list.length > 2 && list.every((w) => w.gain === 0));
		for (let i = 1; i < list.length; i++)
			assert.ok(Math.abs(list[i].at - list[i - 1].at - 0.5) < 0.02, `${i}: ${list[i].at}`);
	}
	assert.ok(words[opens + 1].at > 11 + 0.5 + 1 && words[opens + 1].at < 14, String(words[opens + 1].at));
});

const frame = (bytes, name = '') => ({ data: new ArrayBuffer(bytes), name });

test('valve: nothing is sent while nobody speaks, after a packet that says so', () => {
	const valve = new Valve();
	const take = (bytes, now) => valve.take(frame(bytes), now, now).length;
	assert.equal(take(60, 0), 1);
	valve.hear(true, 100, 100);
	assert.equal(take(30, 200), 1, 'not yet');
	assert.equal(take(1, 260), 1, 'it tells of silence');
	assert.equal(take(30, 400), 0);
	for (let now = 600; now < 60000; now += 500) {
		valve.hear(true, now, now);
		assert.equal(take(30, now + 100) + take(1, now + 160), 0);
	}
	valve.hear(false, 60000, 60000);
	assert.equal(take(60, 60001), 1);
	valve.hear(true, 61000, 61000);
	assert.equal(take(30, 61100), 1, 'each time');
	// A browser whose Opus knows no silence.
	for (let now = 61200, n = 1; now < 70000; now += 100, n++) {
		if (n % 5 === 0)
			valve.hear(true, now, now);
		assert.equal(take(30, now), now < 61600 || now === 61600 ? 1 : 0, `at ${now}`);
	}
});

test('valve: a gate that says no more holds nobody back', () => {
	const valve = new Valve();
	valve.hear(true, 0, 0);
	valve.take(frame(1), 10, 10);
	assert.equal(valve.take(frame(30), 990, 990).length, 0);
	assert.equal(valve.take(frame(30), 1000, 1000).length, 1);
});

test('valve: a word that comes late, and what was said meanwhile', () => {
	const valve = new Valve();
	valve.hear(true, 5000, 0);
	valve.take(frame(1), 10, 5010);
	for (let t = 60; t <= 900; t += 60)
		assert.deepEqual(valve.take(frame(30, `${t}`), t, 5000 + t), []);
	const names = valve.hear(false, 5000 + 600, 910).map((f) => f.name);
	assert.deepEqual(names, ['600', '660', '720', '780', '840', '900']);
	assert.equal(valve.take(frame(30), 960, 5960).length, 1);
	assert.deepEqual(valve.hear(false, 5000, 970), [], 'once');
	// No more than half a second is held, however late.
	valve.hear(true, 6000, 1000);
	valve.take(frame(1), 1010, 6010);
	for (let t = 1060; t <= 1900; t += 60)
		valve.take(frame(30, `${t}`), t, 5000 + t);
	assert.equal(valve.hear(false, 0, 1910).length, 9);
});
