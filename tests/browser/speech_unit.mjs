// SPDX-License-Identifier: AGPL-3.0-or-later
// The ear of the speech tests:   node tests/browser/speech_unit.mjs
// Known values come out, and what harms or does not harm speech is told apart.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chance, resample } from './lib/dsp.mjs';
import { estoi } from './lib/estoi.mjs';
import { decodeG722 } from './lib/g722.mjs';
import { score, scoreTogether } from './lib/score.mjs';
import { soundOf, speechOf, SPEECH_RATE, TALKERS } from './lib/speech.mjs';

const near = (got, want, by, what = '') =>
	assert.ok(Math.abs(got - want) <= by, `${what}: ${got}, want ${want} ± ${by}`);

const power = (x) => x.reduce((sum, v) => sum + v * v, 0) / x.length;

function noise(length, seed) {
	const next = chance(seed);
	return Float32Array.from({ length }, () => next() + next() + next() + next() - 2);
}

function withNoise(x, snr, seed) {
	const n = noise(x.length, seed);
	const gain = Math.sqrt(power(x) / power(n) / 10 ** (snr / 10));
	return x.map((v, i) => v + gain * n[i]);
}

// 8 s of hum in syllables, whose overtones wander.
function hum(rate) {
	return Float32Array.from({ length: 8 * rate }, (_, i) => {
		const t = i / rate;
		let v = 0;
		for (let h = 1; h <= 30; h++) {
			const formant = 700 + 500 * Math.sin(2 * Math.PI * 1.3 * t), hz = 120 * h;
			v += Math.sin(2 * Math.PI * hz * t + h * h) / (1 + ((hz - formant) / 300) ** 2);
		}
		return 0.05 * v * Math.max(0, Math.sin(2 * Math.PI * 2.7 * t)) ** 2;
	});
}

const clipped = (x, at) => x.map((v) => Math.max(-at, Math.min(at, v)));
const narrow = (x, rate, to) => {
	const y = resample(resample(x, rate, to), to, rate);
	return x.map((_, i) => y[i] ?? 0);
};

const speech = soundOf(speechOf(0, { seconds: 20 })).slice(0, 20 * SPEECH_RATE);
const man = soundOf(speechOf(1, { seconds: 20 })).slice(0, 20 * SPEECH_RATE);
const wide = resample(speech, SPEECH_RATE, 48000);

// By pystoi 0.4.1: stoi(clean, heard, rate, extended=True).
const KNOWN = [
	['speech, −5 dB', speech, withNoise(speech, -5, 1), SPEECH_RATE, 0.3837],
	['speech, 0 dB', speech, withNoise(speech, 0, 2), SPEECH_RATE, 0.4874],
	['speech, 5 dB', speech, withNoise(speech, 5, 3), SPEECH_RATE, 0.5900],
	['speech, 10 dB', speech, withNoise(speech, 10, 4), SPEECH_RATE, 0.7118],
	['speech, clipped', speech, clipped(speech, 0.01), SPEECH_RATE, 0.5288],
	['speech, to 2 kHz, 40 dB', speech, withNoise(narrow(speech, SPEECH_RATE, 4000), 40, 9), SPEECH_RATE, 0.6634],
	['speech, 48 kHz, 3 dB', wide, withNoise(wide, 3, 5), 48000, 0.6601],
	['man, 0 dB', man, withNoise(man, 0, 6), SPEECH_RATE, 0.5755],
	['man, another speaking', man, man.map((v, i) => v + speech[i]), SPEECH_RATE, 0.6646],
	['hum, 5 dB', hum(16000), withNoise(hum(16000), 5, 7), 16000, 0.5224],
	['hum, 10 kHz, −5 dB', hum(10000), withNoise(hum(10000), -5, 8), 10000, 0.3563],
	['hum, clipped', hum(48000), clipped(hum(48000), 0.01), 48000, 0.7514],
];

test('ESTOI is that of pystoi', () => {
	for (const [what, clean, heard, rate, want] of KNOWN)
		near(estoi(clean, heard, rate), want, 0.01, what);
});

test('ESTOI: a copy, whatever its level; nothing; too little', () => {
	near(estoi(speech, speech, SPEECH_RATE), 1, 1e-6, 'copy');
	near(estoi(speech, speech.map((v) => v * 0.01), SPEECH_RATE), 1, 1e-3, 'softer');
	near(estoi(speech, new Float32Array(speech.length), SPEECH_RATE), 0, 1e-6, 'silence');
	assert.ok(Number.isNaN(estoi(speech.slice(0, 1600), speech.slice(0, 1600), SPEECH_RATE)));
	assert.throws(() => estoi(speech, speech.slice(1), SPEECH_RATE), /two lengths/);
});

test('resampling: a tone stays, and what the new rate cannot hold goes', () => {
	const tone = (hz, rate) => Float32Array.from({ length: rate }, (_, i) => Math.sin(2 * Math.PI * hz * i / rate));
	for (const [from, to, hz] of [[48000, 10000, 4000], [16000, 48000, 6000], [16000, 10000, 440], [44100, 48000, 1000]]) {
		const got = resample(tone(hz, from), from, to), want = tone(hz, to);
		assert.equal(got.length, to);
		const error = got.map((v, i) => v - want[i]).slice(to / 10, -to / 10);
		assert.ok(power(error) < 1e-6, `${hz} Hz from ${from} to ${to}: ${power(error)}`);
	}
	assert.ok(power(resample(tone(6000, 48000), 48000, 10000).slice(1000, -1000)) < 1e-7);
});

test('G.722 is that of ffmpeg 8.0, to the bit', () => {
	let x = 1;
	const bytes = Uint8Array.from({ length: 4000 }, () => (x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 24);
	const pcm = Buffer.alloc(16000);
	decodeG722(bytes).forEach((v, i) => pcm.writeInt16LE(v, 2 * i));
	assert.equal(createHash('sha256').update(pcm).digest('hex'),
		'085e002a8c7617e194b63bb9b73ef06abba181a57eca905bbadfcad3e1326f70');
});

test('speech: a minute for each talker, nobody says what another says', () => {
	const said = new Set();
	for (const k of [0, 1, 3, TALKERS - 1]) {
		const { voice, seconds, utterances } = speechOf(k);
		assert.ok(seconds >= 60, `${k}: ${seconds} s`);
		utterances.forEach(({ from, to, samples, file }, i) => {
			assert.ok(to - from >= 3 && to - from <= 8, `${file}: ${to - from} s`);
			const pause = from - (utterances[i - 1]?.to ?? 0);
			assert.ok(pause >= 0.69 && pause <= 1.51, `${file}: after ${pause} s`);
			near(10 * Math.log10(power(samples)), -24, 3, `${voice}/${file}: level, dB`);
			assert.ok(!said.has(`${voice}/${file}`), `${file} twice`);
			said.add(`${voice}/${file}`);
		});
	}
	const short = { seconds: 5 };
	assert.deepEqual(speechOf(4, short), speechOf(4, short));
	assert.notDeepEqual(speechOf(4, { ...short, seed: 2 }), speechOf(4, short));
});

/* ---- recordings, at 48 kHz */

const RATE = 48000;
const talkers = [0, 1, 2].map((k) => speechOf(k, { seconds: 18 }));
const [spoken] = talkers;
const voices = talkers.map((t) => resample(soundOf(t), t.rate, RATE));
const [voice] = voices;

function joined(parts) {
	const out = new Float32Array(parts.reduce((sum, p) => sum + p.length, 0));
	let at = 0;
	for (const p of parts) {
		out.set(p, at);
		at += p.length;
	}
	return out;
}

// `change(before, after)` at every `every` seconds gives what lies there.
function changed(x, every, change) {
	const parts = [];
	for (let at = 0; at < x.length; at += every * RATE)
		parts.push(change(x.subarray(at, at + every * RATE)));
	return joined(parts);
}

const MS = RATE / 1000;
const silence = (ms) => new Float32Array(ms * MS);
const holes = (x, ms, every) => changed(x, every, (p) => joined([silence(ms), p.subarray(ms * MS)]));

test('score: a copy is perfect, wherever it lies', () => {
	const same = score(spoken, voice);
	near(same.estoi, 1, 0.001);
	assert.equal(same.gapMs, 0);
	assert.equal(same.utterances.length, spoken.utterances.length);
	const late = score({ ...spoken, offset: 0 }, joined([silence(700), voice]));
	assert.ok(late.estoi >= 0.97, String(late.estoi));
	for (const u of late.utterances)
		near(u.lateMs, 700, 2, `sentence ${u.index}`);
	const found = score(spoken, joined([silence(5300), voice]));
	assert.ok(found.estoi >= 0.97, String(found.estoi));
	near(found.offset, 5.3, 0.01);
});

test('score: time cut out or put in every 3 s does no harm', () => {
	const cut = score(spoken, changed(voice, 3, (p) => p.subarray(20 * MS)));
	assert.ok(cut.estoi >= 0.97, `cut: ${cut.estoi}`);
	const twice = score(spoken, changed(voice, 3, (p) => joined([p.subarray(0, 20 * MS), p])));
	assert.ok(twice.estoi >= 0.97, `put in: ${twice.estoi}`);
	assert.ok(twice.gapMs <= 20, `gap: ${twice.gapMs}`);
	near(twice.utterances.at(-1).lateMs - twice.utterances[0].lateMs, 100, 25, 'ever later');
});

test('score: holes are heard and measured, also if all is said after them', () => {
	const hole = score(spoken, holes(voice, 200, 1));
	assert.ok(hole.estoi < 0.85 && hole.estoi > 0.6, String(hole.estoi));
	near(hole.gapMs, 200, 30, 'hole');
	const pause = score(spoken, changed(voice, 3, (p) => joined([silence(200), p])));
	assert.ok(pause.estoi >= 0.97, String(pause.estoi));
	near(pause.gapMs, 200, 30, 'pause');
});

test('score: somebody else, or noise, is not taken for the talker', () => {
	for (const [what, x] of [['another', voices[1]], ['the same voice', resample(soundOf(speechOf(3)), 16000, RATE)],
		['noise', noise(voice.length, 7)], ['silence', new Float32Array(voice.length)]]) {
		const { estoi: mark } = score(spoken, x);
		assert.ok(mark < 0.2, `${what}: ${mark}`);
	}
});

test('score: a piece of what repeats: whole sentences only', () => {
	const { seconds, utterances } = spoken;
	const [begin, length] = [10, 16];
	const piece = joined([voice, voice]).subarray(begin * RATE, (begin + length) * RATE);
	const got = score({ ...spoken, period: seconds }, piece);
	near(got.estoi, 1, 0.01);
	const whole = [0, seconds].flatMap((turn) => utterances.map((u) => [u.from + turn - begin, u.to + turn - begin]))
		.filter(([from, to]) => from >= 0 && to <= length);
	assert.deepEqual(got.utterances.map((u) => u.at.toFixed(1)).sort(), whole.map(([at]) => at.toFixed(1)).sort());
	assert.throws(() => score(spoken, voice.subarray(0, RATE)), /no sentence/);
});

test('score: several at once, each with a delay of its own', () => {
	const delays = [0, 130, 310];
	const all = new Float32Array(Math.max(...voices.map((v) => v.length)) + 500 * MS);
	voices.forEach((v, k) => v.forEach((_, i) => { all[i + delays[k] * MS] += v[i]; }));
	const together = scoreTogether(talkers, all);
	assert.ok(together.estoi >= 0.97, String(together.estoi));
	near(scoreTogether(talkers, holes(all, 200, 1)).gapMs, 200, 30, 'hole');
	const one = joined([voice, silence(5000)]);
	const alone = scoreTogether(talkers.map((t) => ({ ...t, offset: 0 })), one);
	assert.ok(alone.estoi < 0.8, `two of three missing: ${alone.estoi}`);
});

test('score: several at once, from the middle of their sentences', () => {
	const period = Math.max(...talkers.map((t) => t.seconds)) + 0.5;
	const turn = new Float32Array(Math.round(period * RATE));
	voices.forEach((v) => v.forEach((x, i) => { turn[i] += x; }));
	const twice = joined([turn, turn]);
	for (const begin of [6.3, 7.9, 11.2]) {
		const { utterances } = scoreTogether(talkers.map((t) => ({ ...t, period })), twice.subarray(begin * RATE, (begin + 20) * RATE));
		for (const u of utterances)
			assert.ok(u.estoi >= 0.97, `from ${begin} s, at ${u.at.toFixed(1)}: ${u.estoi}`);
	}
});
