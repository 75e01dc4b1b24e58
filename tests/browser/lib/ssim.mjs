// SPDX-License-Identifier: AGPL-3.0-or-later
// Structural similarity of two pictures of luma: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From
// Error Visibility to Structural Similarity", IEEE Trans. Image Processing 13(4), 2004: a Gaussian window of 11 x 11, σ 1.5, K1 0.01,
// K2 0.03, the mean of all places at which the window lies within the picture.

/** @typedef {{data: Uint8Array|Float32Array, width: number, height: number}} Luma rows without gaps, 0 … 255 */

const RADIUS = 5, SIGMA = 1.5;
const C1 = (0.01 * 255) ** 2, C2 = (0.03 * 255) ** 2;

const WINDOW = (() => {
	const weights = Array.from({ length: 2 * RADIUS + 1 }, (_, i) => Math.exp(-((i - RADIUS) ** 2) / (2 * SIGMA ** 2)));
	const sum = weights.reduce((s, w) => s + w, 0);
	return weights.map((w) => w / sum);
})();

/** Weighted means of `at(i)` in each window. */
function means(at, width, height) {
	const w = width - 2 * RADIUS, h = height - 2 * RADIUS;
	const rows = new Float64Array(w * height), out = new Float64Array(w * h);
	for (let y = 0; y < height; y++)
		for (let x = 0; x < w; x++) {
			let sum = 0;
			for (let k = 0; k <= 2 * RADIUS; k++)
				sum += WINDOW[k] * at(y * width + x + k);
			rows[y * w + x] = sum;
		}
	for (let y = 0; y < h; y++)
		for (let x = 0; x < w; x++) {
			let sum = 0;
			for (let k = 0; k <= 2 * RADIUS; k++)
				sum += WINDOW[k] * rows[(y + k) * w + x];
			out[y * w + x] = sum;
		}
	return out;
}

/** −1 … 1, and 1 for the same picture. @param {Luma} a @param {Luma} b of the same size, at least 11 x 11 */
export function ssim(a, b) {
	const { width, height } = a;
	if (b.width !== width || b.height !== height || Math.min(width, height) < 2 * RADIUS + 1)
		throw new Error(`ssim of ${width} x ${height} and ${b.width} x ${b.height}`);
	const [x, y] = [a.data, b.data];
	const mx = means((i) => x[i], width, height), my = means((i) => y[i], width, height);
	const xx = means((i) => x[i] * x[i], width, height), yy = means((i) => y[i] * y[i], width, height);
	const xy = means((i) => x[i] * y[i], width, height);
	let sum = 0;
	for (let i = 0; i < mx.length; i++) {
		const product = mx[i] * my[i], squares = mx[i] ** 2 + my[i] ** 2;
		sum += (2 * product + C1) * (2 * (xy[i] - product) + C2) /
			((squares + C1) * (xx[i] + yy[i] - squares + C2));
	}
	return sum / mx.length;
}

// Which share of each old place lies in the new ones: [first, [share, …]] each.
function shares(from, to) {
	return Array.from({ length: to }, (_, i) => {
		const begin = i * from / to, end = (i + 1) * from / to;
		const first = Math.floor(begin), list = [];
		for (let p = first; p < end - 1e-9; p++)
			list.push((Math.min(end, p + 1) - Math.max(begin, p)) * to / from);
		return [first, list];
	});
}

/** The picture at a smaller size (or the same): each place is the mean of the area that it covers. @param {Luma} a @returns {Luma} */
export function shrink({ data, width, height }, toWidth, toHeight) {
	const rows = new Float32Array(toWidth * height), out = new Float32Array(toWidth * toHeight);
	for (const [x, [first, list]] of shares(width, toWidth).entries())
		for (let y = 0; y < height; y++)
			rows[y * toWidth + x] = list.reduce((sum, s, k) => sum + s * data[y * width + first + k], 0);
	for (const [y, [first, list]] of shares(height, toHeight).entries())
		for (let x = 0; x < toWidth; x++)
			out[y * toWidth + x] = list.reduce((sum, s, k) => sum + s * rows[(first + k) * toWidth + x], 0);
	return { data: out, width: toWidth, height: toHeight };
}

/** Without the first rows. @param {Luma} a @returns {Luma} */
export const below = ({ data, width, height }, rows) =>
	({ data: data.subarray(rows * width), width, height: height - rows });
