// SPDX-License-Identifier: AGPL-3.0-or-later
// Sound as arrays of samples: resampling, Fourier transform, chance with a seed, WAV files.
import { writeFileSync } from 'node:fs';

/** Chance that comes out alike each time (mulberry32): 0 ≤ x < 1. */
export function chance(seed) {
	let a = seed >>> 0;
	return () => {
		a = (a + 0x6d2b79f5) >>> 0;
		let t = Math.imul(a ^ a >>> 15, a | 1);
		t ^= t + Math.imul(t ^ t >>> 7, t | 61);
		return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
	};
}

const plans = new Map();

function plan(n) {
	if (plans.has(n))
		return plans.get(n);
	const cos = new Float64Array(n / 2), sin = new Float64Array(n / 2);
	for (let i = 0; i < n / 2; i++) {
		cos[i] = Math.cos(2 * Math.PI * i / n);
		sin[i] = Math.sin(2 * Math.PI * i / n);
	}
	const turned = new Uint32Array(n);
	for (let i = 1; i < n; i++)
		turned[i] = turned[i >> 1] >> 1 | (i & 1 ? n >> 1 : 0);
	plans.set(n, { cos, sin, turned });
	return plans.get(n);
}

/** Discrete Fourier transform in place, of a power of two of complex values. */
export function fft(re, im) {
	const n = re.length;
	const { cos, sin, turned } = plan(n);
	for (let i = 0; i < n; i++) {
		const j = turned[i];
		if (j > i) {
			[re[i], re[j]] = [re[j], re[i]];
			[im[i], im[j]] = [im[j], im[i]];
		}
	}
	for (let half = 1, step = n / 2; half < n; half *= 2, step /= 2)
		for (let base = 0; base < n; base += 2 * half)
			for (let k = 0; k < half; k++) {
				const c = cos[k * step], s = sin[k * step];
				const a = base + k, b = a + half;
				const r = re[b] * c + im[b] * s, i = im[b] * c - re[b] * s;
				re[b] = re[a] - r;
				im[b] = im[a] - i;
				re[a] += r;
				im[a] += i;
			}
}

/** Σ a[t]·b[t + lag] for lag = 0 … b.length − a.length. */
export function correlate(a, b) {
	const n = 2 ** Math.ceil(Math.log2(b.length));
	const re = new Float64Array(n), im = new Float64Array(n);
	re.set(b);
	im.set(a);
	fft(re, im);
	// Both spectra out of one transform: B = even part, A = odd part; then B·conj(A).
	const pr = new Float64Array(n), pi = new Float64Array(n);
	for (let k = 0; k < n; k++) {
		const m = (n - k) % n;
		const br = (re[k] + re[m]) / 2, bi = (im[k] - im[m]) / 2;
		const ar = (im[k] + im[m]) / 2, ai = (re[m] - re[k]) / 2;
		pr[k] = br * ar + bi * ai;
		pi[k] = -(bi * ar - br * ai); // conjugate: a forward transform then goes back
	}
	fft(pr, pi);
	return pr.subarray(0, b.length - a.length + 1).map((x) => x / n);
}

const CROSSINGS = 32; // zero crossings of the sinc on each side
const BETA = 8; // Kaiser: 80 dB
const CUTOFF = 0.92; // of the lower Nyquist frequency, where −6 dB lie

function bessel0(x) {
	let sum = 1, term = 1;
	for (let k = 1; term > 1e-12 * sum; k++) {
		term *= (x / (2 * k)) ** 2;
		sum += term;
	}
	return sum;
}

/** @param {Float32Array} x @param {number} from Hz @param {number} to Hz */
export function resample(x, from, to) {
	if (from === to)
		return x;
	let [divisor, rest] = [from, to];
	while (rest)
		[divisor, rest] = [rest, divisor % rest];
	const up = to / divisor, down = from / divisor;
	const band = CUTOFF * Math.min(1, to / from); // of the input's Nyquist frequency
	const half = Math.ceil(CROSSINGS / band);
	const phases = Array.from({ length: up }, (_, p) => Float64Array.from({ length: 2 * half }, (_, i) => {
		const t = i - half + 1 - p / up;
		const angle = Math.PI * band * t;
		const edge = Math.max(0, 1 - (t / half) ** 2);
		return (t ? Math.sin(angle) / angle : 1) * band * bessel0(BETA * Math.sqrt(edge)) / bessel0(BETA);
	}));
	const y = new Float32Array(Math.floor(x.length * up / down));
	for (let n = 0; n < y.length; n++) {
		const taps = phases[n * down % up];
		const first = Math.floor(n * down / up) - half + 1;
		const end = Math.min(2 * half, x.length - first);
		let sum = 0;
		for (let i = Math.max(0, -first); i < end; i++)
			sum += taps[i] * x[first + i];
		y[n] = sum;
	}
	return y;
}

/** Root mean square of each `size` samples, `hop` apart. */
export function levels(x, size, hop) {
	const out = new Float64Array(Math.max(0, Math.floor((x.length - size) / hop) + 1));
	for (let i = 0; i < out.length; i++) {
		let sum = 0;
		for (let j = i * hop; j < i * hop + size; j++)
			sum += x[j] * x[j];
		out[i] = Math.sqrt(sum / size);
	}
	return out;
}

/** The value below which a share of `values` lies. */
export function quantile(values, share) {
	const sorted = Float64Array.from(values).sort();
	return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 0;
}

/** Writes 16-bit mono. */
export function writeWav(path, samples, rate) {
	const data = Buffer.alloc(44 + samples.length * 2);
	data.write('RIFF', 0, 'latin1');
	data.writeUInt32LE(data.length - 8, 4);
	data.write('WAVEfmt ', 8, 'latin1');
	data.writeUInt32LE(16, 16);
	data.writeUInt16LE(1, 20); // PCM
	data.writeUInt16LE(1, 22); // channels
	data.writeUInt32LE(rate, 24);
	data.writeUInt32LE(rate * 2, 28);
	data.writeUInt16LE(2, 32);
	data.writeUInt16LE(16, 34);
	data.write('data', 36, 'latin1');
	data.writeUInt32LE(samples.length * 2, 40);
	for (let i = 0; i < samples.length; i++)
		data.writeInt16LE(Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768))), 44 + 2 * i);
	writeFileSync(path, data);
}
