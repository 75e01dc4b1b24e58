// SPDX-License-Identifier: AGPL-3.0-or-later
// The eye of the video rows:   node tests/browser/video_unit.mjs
// Known values come out, a picture's number is read from what is left of it, or not at all, and a row that fails leaves nothing behind.
import test from 'node:test';
import assert from 'node:assert/strict';
import { apart, onEnd } from './lib/check.mjs';
import { chance } from './lib/dsp.mjs';
import { FRAMES, readNumber, stripRows, writeNumber } from './lib/face.mjs';
import { below, shrink, ssim } from './lib/ssim.mjs';

const W = 64, H = 48;
const picture = (at, width = W, height = H) =>
	({ data: Uint8Array.from({ length: width * height }, (_, i) => Math.max(0, Math.min(255, at(i % width, Math.floor(i / width), i)))), width, height });

const busy = picture((x, y) => (x * 7 + y * 13 + x * y % 29 * 3) % 256);
const even = picture((x, y) => (x * 3 + y * 2) % 256);
const noise = (k) => (k * k * 31 + k * 17) % 41 - 20;
const changed = ({ data }, how) => picture((x, y, i) => how(data[i], x, y, i));
// The place to the left or above, and at the edge that of the other side.
const of = ({ data }, x, y) => data[(y + H) % H * W + (x + W) % W];

// By scikit-image 0.26.0: structural_similarity(a, b, gaussian_weights=True, sigma=1.5,
// use_sample_covariance=False, data_range=255).
const KNOWN = {
	'noise on a busy picture': [busy, changed(busy, (v, x, y, i) => v + noise(i)), 0.9573132493530296],
	'noise on an even one': [even, changed(even, (v, x, y, i) => v + noise(i)), 0.42180111285255373],
	'lighter': [even, changed(even, (v) => v + 20), 0.9840988345771441],
	'half the contrast': [busy, changed(busy, (v) => Math.floor(v / 2) + 64), 0.7902329999630319],
	'blurred': [busy, changed(busy, (v, x, y) => Math.floor((v + of(busy, x - 1, y) + of(busy, x, y - 1) + of(busy, x - 1, y - 1)) / 4)),
		0.5780360799608399],
	'the negative': [busy, changed(busy, (v) => 255 - v), -0.7810379316659455],
};

for (const [name, [a, b, want]] of Object.entries(KNOWN))
	test(`ssim: ${name}`, () => {
		assert.ok(Math.abs(ssim(a, b) - want) < 1e-6, `${ssim(a, b)}, want ${want}`);
		assert.ok(Math.abs(ssim(b, a) - want) < 1e-6, 'the other way round');
	});

test('ssim: the same picture', () => {
	for (const a of [busy, even])
		assert.ok(Math.abs(ssim(a, { ...a, data: a.data.slice() }) - 1) < 1e-9);
});

test('ssim: sizes that do not fit', () => {
	assert.throws(() => ssim(busy, shrink(busy, W / 2, H / 2)));
	assert.throws(() => ssim(shrink(busy, 10, 10), shrink(busy, 10, 10)));
});

test('shrink: means of areas', () => {
	assert.deepEqual([...shrink({ data: Uint8Array.of(0, 4, 8, 4, 8, 4), width: 3, height: 2 }, 3, 1).data], [2, 6, 6]);
	const thirds = shrink({ data: Uint8Array.of(0, 3, 9), width: 3, height: 1 }, 2, 1).data;
	assert.ok(Math.abs(thirds[0] - 1) < 1e-6 && Math.abs(thirds[1] - 7) < 1e-6, `${thirds}`);
	assert.deepEqual([...shrink(busy, W, H).data], [...busy.data]);
});

test('below: the rows are gone', () => {
	const { data, width, height } = below(busy, 5);
	assert.deepEqual([width, height, data[0], data.length], [W, H - 5, busy.data[5 * W], W * (H - 5)]);
});

test('numbers: all, at the sizes of layers, with noise and little contrast', () => {
	for (const [width, height] of [[640, 360], [320, 180], [160, 90], [480, 270]])
		for (let n = 0; n < FRAMES; n += width > 200 ? 17 : 1) {
			const a = picture(() => 100, width, height), next = chance(n);
			writeNumber(a, n);
			assert.equal(readNumber(a), n);
			assert.equal(readNumber({ ...a, data: a.data.map((v) => 30 + v * 0.6 + 40 * (next() - 0.5)) }), n);
		}
});

test('numbers: of two neighbours, of the last and the first, one block differs', () => {
	for (let n = 0; n < FRAMES; n++) {
		const [a, b] = [n, (n + 1) % FRAMES].map((number) => {
			const p = picture(() => 100, 10, 23);
			writeNumber(p, number);
			return p.data;
		});
		assert.equal(a.filter((v, i) => v !== b[i]).length, 1);
	}
});

test('numbers: between two pictures, and where there is none', () => {
	const [a, b] = [7, 8].map((n) => {
		const p = picture(() => 100, 320, 180);
		writeNumber(p, n);
		return p;
	});
	assert.equal(readNumber({ ...a, data: a.data.map((v, i) => (v + b.data[i]) / 2) }), -1);
	assert.equal(readNumber(shrink(picture(() => 100, 320, 180), 160, 90)), -1);
	assert.ok(stripRows(360) >= 16 && stripRows(90) >= 4);
});

test('apart: what it began is undone once, last things first, whether it fails or not', async () => {
	const undone = [];
	onEnd(() => undone.push('what was there before'));
	const part = (fails) => apart('a part', async () => {
		onEnd(() => undone.push('first'));
		onEnd(() => undone.push('second'));
		if (fails)
			throw new Error('as it should');
		return 7;
	});
	assert.deepEqual(await part(false), { result: 7 });
	assert.equal((await part(true)).error.message, 'as it should');
	assert.deepEqual(undone, ['second', 'first', 'second', 'first']);
});
