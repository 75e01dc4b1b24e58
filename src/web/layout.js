// SPDX-License-Identifier: AGPL-3.0-or-later
// Pure functions: who is shown, where, and what the server is asked for. No document, no
// clock; tests/browser/page_unit.mjs runs them in Node.
import { ROLES } from './roles.js';

/** @typedef {{x: number, y: number, w: number, h: number}} Rect  x from the inline start, css pixels */
/** @typedef {{key: string, id: string, kind: 'camera'|'screen', video: boolean, rank: number, fixed: boolean}} Candidate
 *  rank: larger is more important; fixed: must be shown */

export const GAP = 8;
const WIDEST = 16 / 9;
/* A phone held upright may show upright tiles; elsewhere they would cut too much off a camera's picture. */
const tallest = (/** @type {number} */ width, /** @type {number} */ height) => width < height ? 4 / 5 : 1.15;

/** Scripts whose letters join: two of them side by side are a word. */
const JOINED = /[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Nko}\p{Script=Adlam}]/u;

/** One or two letters that stand for a name. @param {string} name */
export function initials(name) {
	const parts = name.trim().split(/[\s._-]+/u).filter((w) => /[\p{L}\p{N}]/u.test(w));
	const first = (/** @type {string} */ w) => (w.match(/[\p{L}\p{N}]/u) || [''])[0];
	if (!parts.length)
		return '?';
	const last = parts.length > 1 ? first(parts[parts.length - 1]) : '';
	const one = first(parts[0]);
	return (JOINED.test(one + last) ? one : one + last).toLocaleUpperCase();
}

/** One of `count` colours, the same for the same text. @param {string} text @param {number} count */
export function hue(text, count) {
	let h = 0;
	for (const c of text)
		h = (h * 31 + (c.codePointAt(0) || 0)) >>> 0;
	return h % count;
}

/**
 * The grid whose tiles are largest. Returns n rectangles, centred, the last row too.
 * @param {number} width @param {number} height @param {number} n
 * @returns {Rect[]}
 */
export function grid(width, height, n) {
	if (n < 1 || width <= 0 || height <= 0)
		return [];
	let best = { cols: 1, w: 0, h: 0, score: 0 };
	for (let cols = 1; cols <= n; cols++) {
		const rows = Math.ceil(n / cols);
		let w = (width - (cols - 1) * GAP) / cols;
		let h = (height - (rows - 1) * GAP) / rows;
		if (w <= 0 || h <= 0)
			continue;
		if (w / h > WIDEST)
			w = h * WIDEST;
		else if (w / h < tallest(width, height))
			h = w / tallest(width, height);
		// Holes in the last row count against a grid: 4 + 3 looks better than 3 + 3 + 1.
		const lonely = cols > 2 && n - (rows - 1) * cols === 1;
		const score = w * h * n / (rows * cols) * (lonely ? 0.8 : 1);
		if (score > best.score)
			best = { cols, w: Math.floor(w), h: Math.floor(h), score };
	}
	const rows = Math.ceil(n / best.cols);
	const top = (height - rows * best.h - (rows - 1) * GAP) / 2;
	/** @type {Rect[]} */
	const rects = [];
	for (let i = 0; i < n; i++) {
		const row = Math.floor(i / best.cols);
		const inRow = Math.min(best.cols, n - row * best.cols);
		const start = (width - inRow * best.w - (inRow - 1) * GAP) / 2;
		rects.push({ x: Math.round(start + (i % best.cols) * (best.w + GAP)),
			y: Math.round(top + row * (best.h + GAP)), w: best.w, h: best.h });
	}
	return rects;
}

/** How far a name reaches into a screen; such a margin under it keeps the last line readable. */
const PLATE = 44;

/**
 * One large, the others in a band beside it: below on a tall stage, at the inline end on a wide one. What has a
 * shape of its own (a screen) takes the room that it can fill, and the others get the rest; without one
 * the large tile takes all but one row. The first rectangle is the large one. At most bandSize() others.
 * @param {number} width @param {number} height @param {number} others
 * @param {number} [shape] width : height of what is shown large; 0: any
 * @returns {Rect[]}
 */
export function spotlight(width, height, others, shape = 0) {
	if (!others)
		return [{ x: 0, y: 0, w: width, h: height }];
	const b = band(width, height, shape);
	const rows = Math.ceil(others / b.perRow);
	const thick = Math.min(b.most, rows * (b.across + GAP) - GAP);
	const large = Math.round(Math.min(b.want, (b.tall ? height : width) - GAP - thick));
	const high = shape ? Math.min(height, Math.round(large / shape + PLATE)) : height;
	// What is left over goes to both sides.
	const begin = Math.floor(((b.tall ? height : width) - large - GAP - thick) / 2);
	const at = begin + large + GAP;
	const [x, y] = b.tall ? [0, at] : [at, 0];
	const [w, h] = b.tall ? [width, thick] : [thick, height];
	return [b.tall ? { x: 0, y: begin, w: width, h: large }
		: { x: begin, y: Math.floor((height - high) / 2), w: large, h: high },
	...packed(w, h, others, b).map((r) => ({ ...r, x: r.x + x, y: r.y + y }))];
}

/**
 * Tiles of the band: as a grid where it is thick enough, else close together in its middle.
 * @param {number} width @param {number} height @param {number} n
 * @param {{tall: boolean, across: number, along: number}} b
 */
function packed(width, height, n, b) {
	if ((b.tall ? height : width) > b.across * 1.5)
		return grid(width, height, n);
	const total = n * (b.along + GAP) - GAP;
	const begin = Math.max(0, ((b.tall ? width : height) - total) / 2);
	return Array.from({ length: n }, (_, i) => {
		const at = Math.round(begin + i * (b.along + GAP));
		return b.tall ? { x: at, y: 0, w: b.along, h: height } : { x: 0, y: at, w: width, h: b.along };
	});
}

/**
 * The band: tiles of `across` × `along`, `perRow` of them in a row of it, `most` its greatest thickness;
 * `want` what the large tile can use.
 * @param {number} width @param {number} height @param {number} shape
 */
function band(width, height, shape) {
	const tall = width < height * 1.15;
	const across = Math.round(tall ? Math.min(130, Math.max(76, height * 0.16))
		: Math.min(230, Math.max(112, width * 0.16)));
	const along = Math.round(tall ? across * 0.95 : across * 0.68);
	const perRow = Math.max(1, Math.floor(((tall ? width : height) + GAP) / (along + GAP)));
	const want = !shape ? Infinity
		: tall ? Math.max(width / shape + PLATE, height * 0.3) : Math.max(height * shape, width * 0.4);
	const most = Math.max(across, (tall ? height : width) - GAP - want);
	const rows = Math.max(1, Math.floor((most + GAP) / (across + GAP)));
	return { tall, across, along, perRow, want, most, fits: perRow * rows };
}

/** How many tiles the band takes. @param {number} width @param {number} height @param {number} [shape] */
export const bandSize = (width, height, shape = 0) => band(width, height, shape).fits;

/** How many tiles of a readable size fit. @param {number} width @param {number} height */
export function gridSize(width, height) {
	const wide = width >= 700;
	const [w, h] = wide ? [200, 140] : [132, 104];
	const cols = Math.max(1, Math.floor((width + GAP) / (w + GAP)));
	const rows = Math.max(1, Math.floor((height + GAP) / (h + GAP)));
	return Math.max(2, Math.min(25, cols * rows));
}

/**
 * The keys to show, in order. Tiles keep their places: somebody new takes the place of the least
 * important one, and nobody moves because somebody else speaks.
 * @param {Candidate[]} all @param {string[]} before @param {number} limit
 * @returns {string[]}
 */
export function choose(all, before, limit) {
	/** @type {Map<string, Candidate>} */
	const byKey = new Map(all.map((c) => [c.key, c]));
	const rank = (/** @type {string} */ key) => {
		const c = byKey.get(key);
		return c ? (c.fixed ? Infinity : c.rank) : -Infinity;
	};
	const shown = before.filter((key) => byKey.has(key));
	const rest = all.filter((c) => !shown.includes(c.key));
	while (shown.length > limit) {
		let worst = shown.length - 1;
		for (let i = worst; i >= 0; i--)
			if (rank(shown[i]) < rank(shown[worst]))
				worst = i;
		rest.push(/** @type {Candidate} */ (byKey.get(shown.splice(worst, 1)[0])));
	}
	rest.sort((a, b) => rank(b.key) - rank(a.key) || 0);
	for (const c of rest) {
		if (shown.length < limit) {
			shown.push(c.key);
			continue;
		}
		let worst = 0;
		for (let i = 1; i < shown.length; i++)
			if (rank(shown[i]) <= rank(shown[worst]))
				worst = i;
		if (rank(c.key) > rank(shown[worst]))
			shown[worst] = c.key;
	}
	return shown;
}

/**
 * What to ask the server for: the tiles with pictures, most important first, in real pixels
 * rounded up to 16 so that a window being dragged does not send a message per pixel.
 * @param {{id: string, kind: 'camera'|'screen', rank: number, w: number, h: number}[]} tiles
 * @param {number} ratio devicePixelRatio
 */
export function viewList(tiles, ratio) {
	const pixels = (/** @type {number} */ css) => Math.min(4096, Math.ceil(css * ratio / 16) * 16);
	return [...tiles].sort((a, b) => b.rank - a.rank).slice(0, 64)
		.map((v) => ({ p: v.id, k: v.kind, w: pixels(v.w), h: pixels(v.h) }));
}

/** The role that a link gives, '' if it cannot be read. Only a hint: the server decides. @param {string} token */
export function roleOf(token) {
	try {
		const bytes = atob(token.replace(/-/g, '+').replace(/_/g, '/'));
		return bytes.charCodeAt(6) === 1 && ROLES[bytes.charCodeAt(7)] || '';
	} catch {
		return '';
	}
}

/** Delay before try number `n` (0, 1, …): 0.2 s, doubling to 5 s. @param {number} n @param {number} random 0…1 */
export function retryDelay(n, random) {
	// ± 15 %: five hundred pages that lost the same server must not knock in the same instant.
	return Math.min(5000, 200 * 2 ** Math.min(n, 10)) * (0.85 + 0.3 * random);
}

/**
 * @param {string} text a pasted link
 * @param {string} base address of this page
 * @returns {string} the link if it is one to a call, else ''
 */
export function readLink(text, base) {
	try {
		const url = new URL(text.trim(), base);
		const ok = /^https?:$/.test(url.protocol) && /^\/r\/[a-z0-9-]{1,64}\/?$/.test(url.pathname);
		return ok && url.hash.length > 1 ? url.href : '';
	} catch {
		return '';
	}
}
