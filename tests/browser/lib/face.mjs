// SPDX-License-Identifier: AGPL-3.0-or-later
// A talking head for Chromium's camera (--use-file-for-fake-video-capture), as the page asks for: a portrait from
// Debian's python-matplotlib-data (a photograph by the US Navy, in the public domain), whose head sways, turns and nods by
// fractions of a pixel before a background that stands still, whose mouth moves as loud as talker 0 (speech.mjs) is, with a sensor's noise. It comes
// round every 256 pictures without a jump. Each picture has its number in a strip at its upper edge, so that who receives it knows
// what it should look like.
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchChromium } from './chromium.mjs';
import { chance, levels, quantile } from './dsp.mjs';
import { soundOf, speechOf } from './speech.mjs';

const PHOTO = '/usr/share/matplotlib/mpl-data/sample_data/grace_hopper.jpg';
export const WIDTH = 640, HEIGHT = 360, FPS = 24, FRAMES = 256;

/* ---- the number: a light and a dark block, then eight bits in Gray code, of which one changes from picture to picture:
   that costs next to nothing of a thin link, and the last picture has the first one as neighbour */

const STRIP = 16; // rows: one of an encoder's blocks
const BITS = 8, BLOCKS = BITS + 2;
const DARK = 48, LIGHT = 208;
/** So many of the upper rows, of a picture so high, are not the camera's. */
export const stripRows = (height) => Math.ceil(height * 1.5 * STRIP / HEIGHT);

const blocksOf = (number) => {
	const gray = number ^ number >> 1;
	return [1, 0, ...Array.from({ length: BITS }, (_, i) => gray >> (BITS - 1 - i) & 1)];
};

/** Writes it into a picture of any size. @param {import('./ssim.mjs').Luma} picture */
export function writeNumber({ data, width, height }, number) {
	const rows = Math.round(height * STRIP / HEIGHT);
	for (const [i, bit] of blocksOf(number).entries())
		for (let y = 0; y < rows; y++)
			data.fill(bit ? LIGHT : DARK, y * width + Math.round(i * width / BLOCKS), y * width + Math.round((i + 1) * width / BLOCKS));
}

/** The number of the picture, or −1 where it cannot be read for sure. @param {import('./ssim.mjs').Luma} picture */
export function readNumber({ data, width, height }) {
	const rows = height * STRIP / HEIGHT;
	const [top, bottom] = [Math.floor(rows * 0.25), Math.ceil(rows * 0.75)];
	const level = Array.from({ length: BLOCKS }, (_, i) => {
		let sum = 0, n = 0;
		for (let y = top; y < bottom; y++)
			for (let x = Math.floor((i + 0.3) * width / BLOCKS); x < (i + 0.7) * width / BLOCKS; x++, n++)
				sum += data[y * width + x];
		return sum / n;
	});
	const [light, dark] = level;
	const sure = (light - dark) / 4, middle = (light + dark) / 2;
	if (light - dark < (LIGHT - DARK) / 2 || level.some((l) => Math.abs(l - middle) < sure))
		return -1;
	let number = 0;
	for (const l of level.slice(2))
		number = number << 1 | ((number & 1) ^ (l > middle ? 1 : 0));
	return number;
}

/* ---- the photograph, as planes with a margin all round, whose sides go on as in a mirror */

const MARGIN = 32; // even: chroma has half of it
const OFFSET = { x: 64, y: -10 }; // where the photograph lies in the picture

async function readPhoto() {
	if (!existsSync(PHOTO))
		throw new Error(`no ${PHOTO}: tests/deps.sh test`);
	const browser = await launchChromium();
	const page = await browser.open(() => {});
	const made = await page.run(async (jpeg) => {
		const blob = new Blob([Uint8Array.from(atob(jpeg), (c) => c.charCodeAt(0))]);
		const bitmap = await createImageBitmap(blob);
		const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
		const g = canvas.getContext('2d');
		g.drawImage(bitmap, 0, 0);
		const { data } = g.getImageData(0, 0, bitmap.width, bitmap.height);
		let text = '';
		for (let i = 0; i < data.length; i += 8192)
			text += String.fromCharCode(...data.subarray(i, i + 8192));
		return { width: bitmap.width, height: bitmap.height, rgba: btoa(text) };
	}, readFileSync(PHOTO).toString('base64'));
	await browser.close();
	return { ...made, rgba: Buffer.from(made.rgba, 'base64') };
}

const mirrored = (x, n) => x < 0 ? -1 - x : x >= n ? 2 * n - 1 - x : x;

// ITU-R BT.601, limited range.
function planesOf({ width, height, rgba }) {
	const w = WIDTH + 2 * MARGIN, h = HEIGHT + 2 * MARGIN;
	const plane = () => ({ data: new Float32Array(w * h), width: w, height: h });
	const [y, u, v] = [plane(), plane(), plane()];
	for (let row = 0; row < h; row++)
		for (let col = 0; col < w; col++) {
			const at = 4 * (mirrored(row - MARGIN - OFFSET.y, height) * width + mirrored(col - MARGIN - OFFSET.x, width));
			const [r, g, b] = rgba.subarray(at, at + 3);
			const i = row * w + col;
			y.data[i] = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255;
			u.data[i] = 128 + (-37.797 * r - 74.203 * g + 112 * b) / 255;
			v.data[i] = 128 + (112 * r - 93.786 * g - 18.214 * b) / 255;
		}
	return { y, u: halved(u), v: halved(v) };
}

function halved({ data, width, height }) {
	const w = width / 2, h = height / 2;
	const out = new Float32Array(w * h);
	for (let y = 0; y < h; y++)
		for (let x = 0; x < w; x++) {
			const i = 2 * y * width + 2 * x;
			out[y * w + x] = (data[i] + data[i + 1] + data[i + width] + data[i + width + 1]) / 4;
		}
	return { data: out, width: w, height: h };
}

// Catmull-Rom: as sharp as the photograph.
const cubic = (t) => [((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1,
	((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t];

function sample({ data, width }, x, y) {
	const [left, top] = [Math.floor(x), Math.floor(y)];
	const [across, down] = [cubic(x - left), cubic(y - top)];
	let sum = 0;
	for (let j = 0; j < 4; j++) {
		const i = (top + j - 1) * width + left - 1;
		sum += down[j] * (across[0] * data[i] + across[1] * data[i + 1] + across[2] * data[i + 2] + across[3] * data[i + 3]);
	}
	return sum;
}

/* ---- how it moves; places are those of the picture */

const HEAD = { x: 329, y: 185, across: 118, down: 175, fades: 1.5 }; // an ellipse, and where nothing of it moves any more
const NECK = { x: 329, y: 330 }; // it turns about
const MOUTH = { x: 331, y: 265, half: 36, open: 9, chin: 338 };
const CAVITY = { y: 42, u: 122, v: 142 };
const SWAY = { x: 5, y: 3, turn: 0.03, size: 0.012, light: 1 }; // pixels, radians, share, levels: of the slowest part
const NOISE = { y: 1.5, c: 0.8 }; // σ

/** Slow and less slow parts, each of which comes round: up to 0.75 Hz. */
function wander(next, size) {
	const parts = Array.from({ length: 8 }, (_, k) => ({ turns: k + 1, phase: next() * 2 * Math.PI, size: size / (k + 1) }));
	return (n) => parts.reduce((sum, p) => sum + p.size * Math.sin(2 * Math.PI * p.turns * n / FRAMES + p.phase), 0);
}

/** 0 … 1 for each picture; shut where it comes round. */
function mouthOf() {
	const speech = speechOf(0);
	const frame = Math.floor(speech.rate / FPS);
	const level = levels(soundOf(speech).subarray(0, (FRAMES + 1) * frame), 2 * frame, frame).slice(0, FRAMES);
	const loud = quantile(level, 0.9);
	return Array.from({ length: FRAMES }, (_, n) =>
		Math.min(1, level[n] / loud) * Math.min(1, n / 4, (FRAMES - 1 - n) / 4));
}

const smooth = (t) => t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t);

/** Where what is seen at (x, y) comes from; null: from within the mouth. */
function source(x, y, at) {
	const r = Math.hypot((x - HEAD.x) / HEAD.across, (y - HEAD.y) / HEAD.down);
	const weight = smooth((HEAD.fades - r) / (HEAD.fades - 1));
	if (!weight)
		return [x, y];
	const [dx, dy] = [x - NECK.x, y - NECK.y];
	const sx = x - weight * (at.x + at.size * dx - at.turn * dy);
	const sy = y - weight * (at.y + at.size * dy + at.turn * dx);
	const across = 1 - ((sx - MOUTH.x) / MOUTH.half) ** 2;
	if (across <= 0 || sy <= MOUTH.y || sy >= MOUTH.chin)
		return [sx, sy];
	const open = at.open * MOUTH.open * across;
	if (sy < MOUTH.y + open)
		return null;
	// The jaw as a whole, and below it the skin stretches.
	return [sx, sy - open * (1 - smooth((sy - MOUTH.y) / (MOUTH.chin - MOUTH.y)))];
}

/** One plane of a picture, whose places lie `step` apart. */
function paint(out, width, height, plane, step, at, inside) {
	for (let y = 0; y < height; y++)
		for (let x = 0; x < width; x++) {
			const from = source(step * x, step * y, at);
			const value = from ? sample(plane, (from[0] + MARGIN) / step, (from[1] + MARGIN) / step) : inside;
			out[y * width + x] = Math.round(Math.max(16, Math.min(240, value + at.light + at.noise())));
		}
}

function gauss(next) {
	const pool = Float32Array.from({ length: 1 << 20 }, () =>
		Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));
	let i = 0;
	return {
		shuffle: () => { i = Math.floor(next() * pool.length); },
		next: () => pool[i = (i + 1) & (pool.length - 1)],
	};
}

const LUMA = WIDTH * HEIGHT, SIZE = LUMA * 3 / 2;
const HEADER = `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FPS}:1 Ip A1:1 C420jpeg\n`, BEFORE = 'FRAME\n';

async function make(path) {
	const { y, u, v } = planesOf(await readPhoto());
	const next = chance(1), noise = gauss(next), mouth = mouthOf();
	const ways = Object.fromEntries(Object.entries(SWAY).map(([k, size]) => [k, wander(next, size)]));
	const file = openSync(path, 'w');
	writeSync(file, HEADER);
	for (let n = 0; n < FRAMES; n++) {
		const at = { open: mouth[n], ...Object.fromEntries(Object.entries(ways).map(([k, way]) => [k, way(n)])) };
		const frame = Buffer.alloc(SIZE);
		noise.shuffle();
		paint(frame, WIDTH, HEIGHT, y, 1, { ...at, noise: () => NOISE.y * noise.next() }, CAVITY.y);
		for (const [i, plane] of [u, v].entries())
			paint(frame.subarray(LUMA * (4 + i) / 4), WIDTH / 2, HEIGHT / 2, plane, 2,
				{ ...at, light: 0, noise: () => NOISE.c * noise.next() }, i ? CAVITY.v : CAVITY.u);
		writeNumber({ data: frame.subarray(0, LUMA), width: WIDTH, height: HEIGHT }, n);
		writeSync(file, BEFORE);
		writeSync(file, frame);
	}
	closeSync(file);
}

/** The file, made if it is not there, and what its pictures are. */
export async function faceFile() {
	const version = createHash('sha256').update(readFileSync(fileURLToPath(import.meta.url))).digest('hex').slice(0, 12);
	const dir = join(tmpdir(), 'palabre-face');
	const y4m = join(dir, `${version}.y4m`);
	if (!existsSync(y4m)) {
		mkdirSync(dir, { recursive: true });
		await make(`${y4m}.${process.pid}`);
		renameSync(`${y4m}.${process.pid}`, y4m); // whole, or not there
	}
	return {
		y4m,
		/** Picture n. @returns {import('./ssim.mjs').Luma} */
		luma(n) {
			const file = openSync(y4m, 'r'), data = new Uint8Array(LUMA);
			readSync(file, data, 0, LUMA, HEADER.length + n * (BEFORE.length + SIZE) + BEFORE.length);
			closeSync(file);
			return { data, width: WIDTH, height: HEIGHT };
		},
	};
}
