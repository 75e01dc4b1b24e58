// SPDX-License-Identifier: AGPL-3.0-or-later
// The microphone's gate by itself: natural speech in noise of every kind, and noise alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
