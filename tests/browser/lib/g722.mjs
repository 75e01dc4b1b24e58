// SPDX-License-Identifier: AGPL-3.0-or-later
// G.722 at 64 kbit/s, decoding only: the blocks and tables of ITU-T G.722 §4 and §6 (09/2012).

const QM2 = [-7408, -1616, 7408, 1616];
const QM4 = [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200,
	20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
const QM6 = [-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192,
	-10232, -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
	-2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192,
	10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032,
	1688, 1360, 1040, 728, 432, 136, -432, -136];
const WL = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const WH = [798, -214, 798, -214];
const ILB = [2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774,
	2834, 2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008];
const QMF = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

const clamp = (x, low, high) => x < low ? low : x > high ? high : x;
const saturate = (x) => clamp(x, -32768, 32767);

/** One of the two bands: its adaptive predictor and quantizer step. */
class Band {
	s = 0;
	sz = 0;
	nb = 0;
	a1 = 0;
	a2 = 0;
	p1 = 0;
	p2 = 0;
	r1 = 0;
	d = new Int32Array(7);
	b = new Int32Array(7);

	constructor(det, shift, top) {
		Object.assign(this, { det, shift, top });
	}

	/** Takes in the dequantized difference; `w` moves the step. */
	adapt(difference, w) {
		const { d, b } = this;
		this.nb = clamp((this.nb * 127 >> 7) + w, 0, this.top);
		const down = this.shift - (this.nb >> 11), base = ILB[this.nb >> 6 & 31];
		this.det = (down < 0 ? base << -down : base >> down) << 2;

		const p0 = saturate(this.sz + difference);
		const like1 = p0 >> 15 === this.p1 >> 15, like2 = p0 >> 15 === this.p2 >> 15;
		const four = saturate(this.a1 << 2);
		const a2 = clamp((like2 ? 128 : -128) + ((like1 ? Math.min(-four, 32767) : four) >> 7) +
			(this.a2 * 32512 >> 15), -12288, 12288);
		const most = saturate(15360 - a2);
		const a1 = clamp(saturate((like1 ? 192 : -192) + (this.a1 * 32640 >> 15)), -most, most);
		for (let i = 1; i < 7; i++) {
			const step = difference === 0 ? 0 : d[i] >> 15 === difference >> 15 ? 128 : -128;
			b[i] = saturate(step + (b[i] * 32640 >> 15));
		}
		d[0] = difference;
		d.copyWithin(1, 0, 6);
		const r0 = saturate(this.s + difference);
		const poles = saturate((a1 * saturate(2 * r0) >> 15) + (a2 * saturate(2 * this.r1) >> 15));
		let zeros = 0;
		for (let i = 6; i > 0; i--)
			zeros += b[i] * saturate(2 * d[i]) >> 15;
		this.a1 = a1;
		this.a2 = a2;
		this.p2 = this.p1;
		this.p1 = p0;
		this.r1 = r0;
		this.sz = saturate(zeros);
		this.s = saturate(poles + this.sz);
	}
}

/** @param {Uint8Array} bytes @returns {Int16Array} at 16 kHz */
export function decodeG722(bytes) {
	const low = new Band(32, 8, 18432), high = new Band(8, 10, 22528);
	const x = new Int32Array(24);
	const out = new Int16Array(bytes.length * 2);
	for (let n = 0; n < bytes.length; n++) {
		const code = bytes[n];
		const rlow = clamp(low.s + (low.det * QM6[code & 63] >> 15), -16384, 16383);
		low.adapt(low.det * QM4[code >> 2 & 15] >> 15, WL[code >> 2 & 15]);
		const dhigh = high.det * QM2[code >> 6] >> 15;
		const rhigh = clamp(high.s + dhigh, -16384, 16383);
		high.adapt(dhigh, WH[code >> 6]);

		x.copyWithin(0, 2);
		x[22] = rlow + rhigh;
		x[23] = rlow - rhigh;
		let even = 0, odd = 0;
		for (let i = 0; i < 12; i++) {
			even += x[2 * i] * QMF[i];
			odd += x[2 * i + 1] * QMF[11 - i];
		}
		out[2 * n] = saturate(odd >> 11);
		out[2 * n + 1] = saturate(even >> 11);
	}
	return out;
}
