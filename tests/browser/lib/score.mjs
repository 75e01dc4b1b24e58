// SPDX-License-Identifier: AGPL-3.0-or-later
// How well was speech understood that came out at the other end? Each sentence of the reference
// is looked for by itself in the recording, by the picture of its third-octave bands; then
// pieces of half a second are aligned anew, since a jitter buffer stretches and shrinks time; then
// ESTOI. All is done at ESTOI's 10 kHz. Positions are in seconds.
import { correlate, levels, quantile, resample } from './dsp.mjs';
import { bands, BANDS, estoi, ESTOI_RATE as RATE, HOP } from './estoi.mjs';

/**
 * @typedef {{utterances: {from: number, samples: Float32Array}[], rate?: number, period?: number,
 *            offset?: number}} Talker  sentences, and when they began; their rate (16000); all repeats
 *          after `period`; when the talker began, on the recording's clock, if known
 * @typedef {{estoi: number, seconds: number, at: number, lateMs: number, gapMs: number, index: number, alike?: number}} Mark
 *          at: where in the recording; index: of the sentence; alike: how sure the place is: 1 for a
 *          copy, below 0.3 by chance
 */

/* ---- where is it? */

const FLOOR_DB = 50; // what lies lower below the loudest says nothing

/** Bands in logarithm, less the floor: 0 is silence. And their sums, and sum of squares, up to each frame. */
function picture(x) {
	const b = bands(x);
	const floor = Math.max(1e-9, b.reduce((most, v) => Math.max(most, v), 0) * 10 ** (-FLOOR_DB / 20));
	const logs = b.map((v) => Math.log(Math.max(v, floor) / floor));
	const frames = logs.length / BANDS;
	const sums = new Float64Array(logs.length + BANDS), squares = new Float64Array(frames + 1);
	for (let i = 0; i < logs.length; i++) {
		sums[i + BANDS] = sums[i] + logs[i];
		squares[Math.floor(i / BANDS) + 1] += logs[i] ** 2;
	}
	for (let f = 0; f < frames; f++)
		squares[f + 1] += squares[f];
	return { logs, frames, sums, squares };
}

/** How alike the sentence and each place of the recording are (−1 … 1), from frame `first` to `last`. */
function likeness(said, heard, first, last) {
	const { frames } = said;
	const out = new Float64Array(Math.max(0, last - first + 1));
	const zero = said.logs.map((v, i) => v - said.sums[frames * BANDS + i % BANDS] / frames);
	const norm = Math.sqrt(zero.reduce((sum, v) => sum + v * v, 0));
	for (let i = 0; i < out.length; i++) {
		const from = first + i, to = from + frames;
		let product = 0;
		for (let j = 0; j < zero.length; j++)
			product += zero[j] * heard.logs[from * BANDS + j];
		let square = heard.squares[to] - heard.squares[from];
		for (let k = 0; k < BANDS; k++)
			square -= (heard.sums[to * BANDS + k] - heard.sums[from * BANDS + k]) ** 2 / frames;
		out[i] = square > 1e-6 ? product / norm / Math.sqrt(square) : 0;
	}
	return out;
}

const highest = (x) => x.reduce((best, v, i) => v > x[best] ? i : best, 0);

/**
 * When the reference began, on the recording's clock: the place on which most sentences agree.
 * @param {{from: number, said: ReturnType<typeof picture>}[]} refs
 */
function vote(refs, heard, period, window) {
	const curves = refs.map(({ said }) => likeness(said, heard, 0, heard.frames - said.frames));
	const near = Math.round(window * RATE / HOP);
	let best = { sum: -1, offset: 0 };
	refs.forEach(({ from }, i) => {
		if (!curves[i].length)
			return;
		const offset = highest(curves[i]) * HOP / RATE - from;
		let sum = 0;
		for (const [j, u] of refs.entries())
			for (const start of turns(u.from + offset, period, heard.frames * HOP / RATE)) {
				const f = Math.round(start * RATE / HOP);
				const part = curves[j].subarray(Math.max(0, f - near), Math.max(0, f + near + 1));
				sum += part.length ? part[highest(part)] ** 2 : 0;
			}
		if (sum > best.sum)
			best = { sum, offset };
	});
	return best.offset;
}

// Of likeness, a second away from where a sentence is expected: it decides where little was heard.
const ASTRAY_COST = 0.1;

/** Each time at which what repeats every `period` seconds begins, 0 ≤ time < end. */
function turns(start, period, end) {
	if (!period)
		return start < end ? [start] : [];
	const out = [];
	for (let t = start - Math.floor(start / period) * period; t < end; t += period)
		out.push(t);
	return out;
}

/* ---- aligned within */

const PIECE = 0.5 * RATE; // each half over the next
const REACH = 0.4 * RATE; // how far a piece may be from where the sentence as a whole is
const MOVE_COST = 0.1 / (0.01 * RATE); // of likeness 1: 10 ms cost a tenth …
const JUMP_COST = 0.4; // … and no move more than this

// The least cost of coming to each lag from the best one before: [value, from where].
function moved(before) {
	const n = before.length;
	const value = before.slice(), from = Int32Array.from({ length: n }, (_, i) => i);
	const take = (i, j) => {
		if (value[j] - MOVE_COST > value[i]) {
			value[i] = value[j] - MOVE_COST;
			from[i] = from[j];
		}
	};
	for (let i = 1; i < n; i++)
		take(i, i - 1);
	for (let i = n - 2; i >= 0; i--)
		take(i, i + 1);
	const top = highest(before);
	for (let i = 0; i < n; i++)
		if (before[top] - JUMP_COST > value[i]) {
			value[i] = before[top] - JUMP_COST;
			from[i] = top;
		}
	return [value, from];
}

const part = (x, from, length) => {
	const out = new Float32Array(length);
	const first = Math.max(0, from), last = Math.min(x.length, from + length);
	if (last > first)
		out.set(x.subarray(first, last), first - from);
	return out;
};

// The lag of each piece, samples: the path that is most alike and moves least.
function pathOf(ref, cap, at) {
	const starts = [];
	for (let s = 0; s + PIECE <= ref.length || !s; s += PIECE / 2)
		starts.push(s);
	const energies = starts.map((s) => part(ref, s, PIECE).reduce((sum, v) => sum + v * v, 0));
	const usual = quantile(energies, 0.5);
	let best = null;
	const back = [];
	for (const [n, s] of starts.entries()) {
		const piece = part(ref, s, PIECE), room = part(cap, at + s - REACH, PIECE + 2 * REACH);
		const product = correlate(piece, room);
		let square = 0;
		for (let i = 0; i < PIECE; i++)
			square += room[i] ** 2;
		const weight = energies[n] / (energies[n] + usual + 1e-12);
		const here = product.map((p, lag) => {
			const alike = p / Math.sqrt((energies[n] + 1e-9) * (square + 1e-3 * energies[n] + 1e-9));
			square = Math.max(0, square + (room[lag + PIECE] ?? 0) ** 2 - room[lag] ** 2);
			return weight * alike;
		});
		if (best) {
			const [value, from] = moved(best);
			back.push(from);
			best = here.map((v, i) => v + value[i]);
		} else {
			best = here;
		}
	}
	let lag = highest(best);
	const lags = [lag - REACH];
	for (const from of back.reverse()) {
		lag = from[lag];
		lags.unshift(lag - REACH);
	}
	return { starts, lags };
}

/** Pieces of the reference, [from, to), each with its place in the recording, samples. */
function cuts(ref, cap, at) {
	const { starts, lags } = pathOf(ref, cap, at);
	const pieces = [{ from: 0, to: ref.length, at: at + lags[0] }];
	const heard = (lag, s) => cap[at + lag + s] ?? 0;
	for (let n = 1; n < starts.length; n++) {
		if (lags[n] === lags[n - 1])
			continue;
		// Where it is best to leave the one lag for the other.
		const last = pieces[pieces.length - 1];
		const first = Math.max(last.from + 1, starts[n - 1]);
		const end = Math.min(ref.length - 1, starts[n] + PIECE);
		let sum = 0, least = 0, cut = first;
		for (let s = first; s < end; s++) {
			sum += (ref[s] - heard(lags[n - 1], s)) ** 2 - (ref[s] - heard(lags[n], s)) ** 2;
			if (sum < least) {
				least = sum;
				cut = s + 1;
			}
		}
		last.to = cut;
		pieces.push({ from: cut, to: ref.length, at: at + lags[n] });
	}
	return pieces.map((p) => ({ ...p, at: p.at + p.from }));
}

const FADE = 0.004 * RATE;

// The recording on the reference's time, with fades where pieces meet.
function assembled(pieces, cap, length) {
	const out = new Float32Array(length);
	for (const p of pieces)
		for (let s = p.from - (p.from ? FADE : 0); s < p.to; s++) {
			const v = cap[p.at + s - p.from] ?? 0;
			const share = Math.min(1, (s - p.from + FADE) / FADE);
			if (s >= 0)
				out[s] = p.from && s < p.from ? out[s] * (1 - share) + v * share : v;
		}
	return out;
}

/* ---- gaps */

const LEVEL = 0.01 * RATE; // levels of 10 ms …
const STEP = LEVEL / 2; // … every 5
const SPEAKS_DB = -25; // under the loud parts of the sentence
const GONE_DB = -30; // under what was said there
const dB = (level) => 20 * Math.log10(level + 1e-9);

/**
 * The longest time the recording is silent while the reference speaks, ms. Measured on the
 * recording's clock: what is said later, after a hole, is a hole all the same.
 */
function longestGap(ref, cap, pieces, gain) {
	const said = levels(ref, LEVEL, STEP);
	const speaks = dB(quantile(said, 0.9)) + SPEAKS_DB;
	// The softest of 30 ms: stops and ends of words are no gaps.
	const local = said.map((_, i) => dB(Math.min(...said.subarray(Math.max(0, i - 2), i + 3))));
	let run = 0, longest = 0, end = pieces[0].at;
	for (const [n, p] of pieces.entries()) {
		const next = pieces[n + 1]?.at ?? p.at + p.to - p.from;
		for (let c = Math.max(end, p.at); c < next; c += STEP) {
			end = c + STEP;
			const s = Math.min(p.from + c - p.at, p.to); // beyond: inserted
			const level = local[Math.max(0, Math.min(local.length - 1, Math.round(s / STEP)))];
			const heard = dB(levels(part(cap, c, LEVEL), LEVEL, LEVEL)[0] / gain);
			const silent = heard < Math.max(level, speaks) + GONE_DB;
			if (!silent) {
				run = 0;
			} else if (run || level > speaks) {
				run++; // begins in speech, and ends in it:
				if (level > speaks)
					longest = Math.max(longest, run);
			}
		}
	}
	return longest ? ((longest - 1) * STEP + LEVEL) * 1000 / RATE : 0;
}

/* ---- marks */

// Aligns, and marks each of `found`: {ref, at: samples, index, expected: samples}.
function mark(found, cap) {
	const done = found.map((f) => {
		const pieces = cuts(f.ref, cap, f.at);
		return { ...f, pieces, heard: assembled(pieces, cap, f.ref.length) };
	});
	const loud = (key) => quantile(done.flatMap((d) => [...levels(d[key], LEVEL, LEVEL)]), 0.9);
	const gain = loud('heard') / loud('ref') || 1;
	return done.map(({ ref, heard, pieces, index, expected, alike }) => {
		const lags = pieces.flatMap((p) => Array(Math.ceil((p.to - p.from) / LEVEL)).fill(p.at - p.from));
		return { index, alike, estoi: estoi(ref, heard, RATE), seconds: ref.length / RATE,
			at: pieces[0].at / RATE, lateMs: (quantile(lags, 0.5) - expected) * 1000 / RATE,
			gapMs: longestGap(ref, cap, pieces, gain) };
	});
}

/** @param {Mark[]} marks */
function summary(marks, offset) {
	if (!marks.length)
		throw new Error('no sentence lies in the recording as a whole');
	const seconds = marks.reduce((sum, m) => sum + m.seconds, 0);
	return { utterances: marks, seconds, offset,
		estoi: marks.reduce((sum, m) => sum + m.estoi * m.seconds, 0) / seconds,
		gapMs: Math.max(0, ...marks.map((m) => m.gapMs)),
		lateMs: quantile(marks.map((m) => m.lateMs), 0.5) };
}

/**
 * Each sentence (each time it comes) that lies in the recording as a whole, and where.
 * @param {Talker} talker @param {ReturnType<typeof picture>} heard the picture of `cap`
 */
function find({ utterances, rate = 16000, period = 0, offset: known }, cap, heard, window) {
	const refs = utterances.map(({ from, samples }) => {
		const ref = resample(samples, rate, RATE);
		return { from, ref, said: picture(ref) };
	});
	const offset = known ?? vote(refs, heard, period, window);
	const found = [], torn = [];
	for (const [index, { from, ref, said }] of refs.entries()) {
		const starts = turns(from + offset, period, cap.length / RATE);
		if (period && starts.length)
			starts.unshift(starts[0] - period); // it may end within the recording
		for (const start of starts) {
			const expected = Math.round(start * RATE);
			const last = Math.floor((cap.length - ref.length) / HOP);
			if (start < 0 || expected / HOP > last) {
				torn.push({ from: expected, to: expected + ref.length });
				continue;
			}
			const first = Math.max(0, Math.round((start - window) * RATE / HOP));
			const alike = likeness(said, heard, first, Math.min(Math.round((start + window) * RATE / HOP),
				heard.frames - said.frames));
			const best = highest(alike.map((v, i) => v - ASTRAY_COST * Math.abs((first + i) * HOP / RATE - start)));
			found.push({ ref, index, expected, at: (first + best) * HOP, alike: alike[best] });
		}
	}
	return { found, torn, offset };
}

/**
 * Sentences that are only partly in the recording are not marked. Late is against `offset`; where
 * that is not given, against the earliest sentence.
 * @param {Talker} talker
 * @param {Float32Array} recording
 * @param {{rate?: number, window?: number}} [o] rate of the recording (48000); window: a sentence
 *        may be so many seconds from where it is expected (2)
 */
export function score(talker, recording, { rate = 48000, window = 2 } = {}) {
	const cap = resample(recording, rate, RATE);
	const { found, offset } = find(talker, cap, picture(cap), window);
	const marks = mark(found, cap);
	const earliest = talker.offset === undefined ? Math.min(...marks.map((m) => m.lateMs)) : 0;
	return summary(marks.map((m) => ({ ...m, lateMs: m.lateMs - earliest })), offset + earliest / 1000);
}

/**
 * Several talkers at once: each voice is looked for by itself, and the reference is the sum of them
 * where they were found, cut where nobody speaks, and where somebody's sentence is only partly in the recording. Alignment within is common to all voices.
 * @param {Talker[]} talkers who may not be heard at all needs an offset
 * @param {Float32Array} recording @param {Parameters<typeof score>[2]} [o]
 */
export function scoreTogether(talkers, recording, { rate = 48000, window = 2 } = {}) {
	const cap = resample(recording, rate, RATE);
	const heard = picture(cap);
	const sum = new Float32Array(cap.length);
	const spans = [], torn = [];
	for (const talker of talkers) {
		const one = find(talker, cap, heard, window);
		torn.push(...one.torn);
		for (const { ref, at } of one.found) {
			const from = finer(ref, cap, at);
			for (let s = 0; s < ref.length; s++)
				if (from + s >= 0 && from + s < sum.length)
					sum[from + s] += ref[s];
			spans.push({ from, to: from + ref.length });
		}
	}
	const joined = [];
	for (const span of spans.sort((a, b) => a.from - b.from)) {
		const last = joined[joined.length - 1];
		if (last && span.from <= last.to)
			last.to = Math.max(last.to, span.to);
		else
			joined.push({ ...span });
	}
	const whole = joined.flatMap((j) => without(j, torn)).filter((j) => j.from >= 0 && j.to <= cap.length);
	return summary(mark(whole.map(({ from, to }, index) =>
		({ ref: sum.slice(from, to), at: from, expected: from, index })), cap), 0);
}

const ASTRAY = 0.3 * RATE; // how far from its place what was not looked for may be
const LEAST = RATE; // what is shorter says little

/** What is left of a span where sentences lie of which the recording has only a part: the sum lacks them. */
function without(span, torn) {
	const out = [];
	let { from } = span;
	for (const t of [...torn].sort((a, b) => a.from - b.from)) {
		if (t.to + ASTRAY <= from || t.from - ASTRAY >= span.to)
			continue;
		out.push({ from, to: t.from - ASTRAY });
		from = Math.max(from, t.to + ASTRAY);
	}
	out.push({ from, to: span.to });
	return out.filter((s) => s.to - s.from >= LEAST);
}

// To the sample, by the wave, within two frames.
function finer(ref, cap, at) {
	const room = part(cap, at - 2 * HOP, ref.length + 4 * HOP);
	return at - 2 * HOP + highest(correlate(ref, room));
}
