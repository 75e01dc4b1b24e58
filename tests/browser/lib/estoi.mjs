// SPDX-License-Identifier: AGPL-3.0-or-later
// ESTOI, the extended short-time objective intelligibility: J. Jensen, C. H. Taal, "An Algorithm
// for Predicting the Intelligibility of Speech Masked by Modulated Noise Maskers", IEEE/ACM
// TASLP 24(11), 2016. 1 for a perfect copy, about 0 for what has nothing of it. It compares; it is
// no absolute mark. Both signals must be aligned: score.mjs does that.
import { fft, resample } from './dsp.mjs';

export const ESTOI_RATE = 10000;
export const FRAME = 256;
export const HOP = FRAME / 2;
export const BANDS = 15;
const SIZE = 512; // of the transform
const LOWEST_HZ = 150; // centre of the lowest third-octave band
const SEGMENT = 30; // frames, 384 ms
const RANGE_DB = 40; // frames of the clean signal below its loudest one by more are silence
const TINY = 1e-12;

const WINDOW = Float64Array.from({ length: FRAME }, (_, i) =>
	0.5 - 0.5 * Math.cos(2 * Math.PI * (i + 1) / (FRAME + 1)));

const binOf = (hz) => Math.round(hz * SIZE / ESTOI_RATE);
const EDGES = Array.from({ length: BANDS }, (_, k) => [
	binOf(LOWEST_HZ * 2 ** ((2 * k - 1) / 6)), binOf(LOWEST_HZ * 2 ** ((2 * k + 1) / 6))]);

/** How many whole frames a signal has. */
const framesIn = (x) => Math.max(0, Math.floor((x.length - FRAME - 1) / HOP) + 1);

/** Third-octave bands, frame after frame: BANDS amplitudes each. @param {Float32Array} x at 10 kHz */
export function bands(x) {
	const frames = framesIn(x);
	const out = new Float64Array(frames * BANDS);
	const re = new Float64Array(SIZE), im = new Float64Array(SIZE);
	for (let f = 0; f < frames; f++) {
		re.fill(0);
		im.fill(0);
		for (let i = 0; i < FRAME; i++)
			re[i] = WINDOW[i] * x[f * HOP + i];
		fft(re, im);
		EDGES.forEach(([from, to], k) => {
			let sum = 0;
			for (let b = from; b < to; b++)
				sum += re[b] * re[b] + im[b] * im[b];
			out[f * BANDS + k] = Math.sqrt(sum);
		});
	}
	return out;
}

// Both signals without the frames in which the clean one is silent.
function withoutSilence(clean, heard) {
	const energy = Float64Array.from({ length: framesIn(clean) }, (_, f) => {
		let sum = 0;
		for (let i = 0; i < FRAME; i++)
			sum += (WINDOW[i] * clean[f * HOP + i]) ** 2;
		return sum;
	});
	const least = energy.reduce((a, b) => Math.max(a, b), 0) * 10 ** (-RANGE_DB / 10);
	const kept = [...energy.keys()].filter((f) => energy[f] > least);
	return [clean, heard].map((x) => {
		const out = new Float64Array(kept.length ? (kept.length - 1) * HOP + FRAME : 0);
		kept.forEach((f, n) => {
			for (let i = 0; i < FRAME; i++)
				out[n * HOP + i] += WINDOW[i] * x[f * HOP + i];
		});
		return out;
	});
}

// `count` values, `step` apart: mean 0, norm 1.
function normalize(m, first, step, count) {
	let mean = 0, square = 0;
	for (let i = 0; i < count; i++)
		mean += m[first + i * step] / count;
	for (let i = 0; i < count; i++)
		square += (m[first + i * step] -= mean) ** 2;
	const norm = Math.sqrt(square);
	for (let i = 0; i < count; i++)
		m[first + i * step] = norm > TINY ? m[first + i * step] / norm : 0;
}

function normalizedSegment(all, frame) {
	const m = all.slice(frame * BANDS, (frame + SEGMENT) * BANDS);
	for (let k = 0; k < BANDS; k++)
		normalize(m, k, BANDS, SEGMENT);
	for (let f = 0; f < SEGMENT; f++)
		normalize(m, f * BANDS, 1, BANDS);
	return m;
}

/**
 * NaN if there are less than 0.4 s of speech.
 * @param {Float32Array} clean @param {Float32Array} heard of the same length, aligned
 * @param {number} rate Hz
 */
export function estoi(clean, heard, rate) {
	if (clean.length !== heard.length)
		throw new Error(`two lengths: ${clean.length} and ${heard.length}`);
	const [x, y] = withoutSilence(resample(clean, rate, ESTOI_RATE), resample(heard, rate, ESTOI_RATE))
		.map(bands);
	const segments = x.length / BANDS - SEGMENT + 1;
	let sum = 0;
	for (let m = 0; m < segments; m++) {
		const a = normalizedSegment(x, m), b = normalizedSegment(y, m);
		for (let i = 0; i < a.length; i++)
			sum += a[i] * b[i];
	}
	return segments > 0 ? sum / SEGMENT / segments : NaN;
}
