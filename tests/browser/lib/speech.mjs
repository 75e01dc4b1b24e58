// SPDX-License-Identifier: AGPL-3.0-or-later
// Natural speech for microphones: sentences from Debian's asterisk-core-sounds-{en,fr,it}-g722
// (CC-BY-SA: three people, one of them a man), each talker with sentences of their own, levels
// evened, pauses between. Same talker and seed, same speech.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chance, levels, quantile, resample, writeWav } from './dsp.mjs';
import { decodeG722 } from './g722.mjs';

const SOUNDS = '/usr/share/asterisk/sounds';
const VOICES = ['en_US_f_Allison', 'it_IT_m_Carlo', 'fr_CA_f_June'];
const NOT_SPEECH = /^(silence|tt-|beep|ascending|descending)/;
export const SPEECH_RATE = 16000;
const WAV_RATE = 48000;
const BYTES_PER_S = 8000; // G.722
const SENTENCE_S = [3, 8];
const PAUSE_S = [0.7, 1.5];
const LEVEL = 0.08; // RMS of the loud half of the frames: −22 dBFS
const PEAK = 0.9;
const FRAME = SPEECH_RATE / 100;

/** @typedef {{from: number, to: number, samples: Float32Array, file: string}} Utterance seconds; at 16 kHz */

/** Names of the sentences of a voice. */
function sentencesOf(voice) {
	const dir = join(SOUNDS, voice);
	if (!existsSync(dir))
		throw new Error(`no ${dir}: tests/deps.sh test`);
	const names = /** @type {string[]} */ (readdirSync(dir, { recursive: true }));
	return names.filter((n) => n.endsWith('.g722') && !NOT_SPEECH.test(n)).sort();
}

// Without the silence round it, at the level of all others; null if too short or too long.
function readSentence(path) {
	const bytes = readFileSync(path);
	if (bytes.length < SENTENCE_S[0] * BYTES_PER_S || bytes.length > (SENTENCE_S[1] + 1) * BYTES_PER_S)
		return null;
	const all = Float32Array.from(decodeG722(bytes), (v) => v / 32768);
	const level = levels(all, FRAME, FRAME);
	const loud = quantile(level, 0.9);
	const heard = (l) => l > loud / 100; // −40 dB
	const first = level.findIndex(heard), last = level.findLastIndex(heard);
	const samples = all.slice(first * FRAME, (last + 1) * FRAME);
	const seconds = samples.length / SPEECH_RATE;
	if (!loud || seconds < SENTENCE_S[0] || seconds > SENTENCE_S[1])
		return null;
	const half = level.filter((l) => l > quantile(level, 0.5));
	const rms = Math.sqrt(half.reduce((sum, l) => sum + l * l, 0) / half.length);
	const peak = samples.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
	const gain = Math.min(LEVEL / rms, PEAK / peak);
	return samples.map((v) => v * gain);
}

function shuffle(list, next) {
	for (let i = list.length - 1; i > 0; i--) {
		const j = Math.floor(next() * (i + 1));
		[list[i], list[j]] = [list[j], list[i]];
	}
	return list;
}

/** Two sentences never come from one file, whoever says them: talkers k and k + 3 share a voice. */
const SHARES = 4; // talkers to a voice
export const TALKERS = SHARES * VOICES.length;

/**
 * @param {number} talker  0 … TALKERS − 1
 * @param {{seconds?: number, seed?: number, pause?: number[]}} [o] at least `seconds` of speech and pauses; their length
 */
export function speechOf(talker, { seconds = 60, seed = 1, pause: [least, most] = PAUSE_S } = {}) {
	const voice = VOICES[talker % VOICES.length];
	const next = chance(seed * 1000 + talker);
	const all = shuffle(sentencesOf(voice), chance(seed)); // alike for who shares the voice
	const mine = all.filter((_, i) => i % SHARES === Math.floor(talker / VOICES.length));
	/** @type {Utterance[]} */
	const utterances = [];
	const pause = () => Math.round((least + next() * (most - least)) * SPEECH_RATE);
	let at = pause(); // samples
	for (const file of mine) {
		const samples = readSentence(join(SOUNDS, voice, file));
		if (!samples)
			continue;
		utterances.push({ from: at / SPEECH_RATE, to: (at + samples.length) / SPEECH_RATE, samples, file });
		at += samples.length + pause();
		if (at >= seconds * SPEECH_RATE)
			return { voice, rate: SPEECH_RATE, seconds: at / SPEECH_RATE, utterances };
	}
	throw new Error(`${voice} has no ${seconds} s of speech for talker ${talker}`);
}

/** Evenly spread chance of this level, dBFS: white noise. */
function noiseOf(length, level) {
	const next = chance(7);
	const amplitude = Math.sqrt(3) * 10 ** (level / 20);
	return Float32Array.from({ length }, () => (2 * next() - 1) * amplitude);
}

/** All of it as one signal. */
export function soundOf({ rate, seconds, utterances }) {
	const sound = new Float32Array(Math.round(seconds * rate));
	for (const u of utterances)
		sound.set(u.samples, Math.round(u.from * rate));
	return sound;
}

/**
 * The same, and a WAV file of it for Chromium's --use-file-for-fake-audio-capture, which repeats it.
 * @param {number} talker
 * @param {Parameters<typeof speechOf>[1] & {noise?: number, tail?: number}} [o] noise of a room, dBFS, under all of it,
 *        and for so many seconds alone
 */
export function speechFile(talker, { noise, tail = 0, ...o } = {}) {
	const speech = speechOf(talker, o);
	speech.seconds += tail;
	const dir = join(tmpdir(), 'palabre-speech');
	const wav = join(dir, `${[talker, o.seed ?? 1, ...(o.pause ?? []), noise ?? 0, speech.seconds].join('_')}.wav`);
	const sound = resample(soundOf(speech), SPEECH_RATE, WAV_RATE);
	if (noise !== undefined)
		noiseOf(sound.length, noise).forEach((v, i) => { sound[i] += v; });
	mkdirSync(dir, { recursive: true });
	writeWav(`${wav}.${process.pid}`, sound, WAV_RATE);
	renameSync(`${wav}.${process.pid}`, wav); // whole, or not there
	return { ...speech, wav };
}
