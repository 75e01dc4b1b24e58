// SPDX-License-Identifier: AGPL-3.0-or-later
// How much a camera sends in its first seconds. A browser that may begin with its usual 300 kbit/s fills a thin link's queue at once, and
// one that begins with little takes half a minute to find out that there is more. So it begins with little, and is
// told to take twice as much each second, as long as its own estimate of the link bears that out. Pure.

const FIRST_KBIT = 30; // as the server's answer says
const ENOUGH_KBIT = 480; // its own probes do the rest
const BORNE = 0.85;

export class Climb {
	constructor() {
		this.kbit = FIRST_KBIT;
		this.over = false;
	}

	/** Once a second while a camera is sent. @param {number} estimate the browser's, bit/s; 0: it has none @returns {boolean} there is more to be taken */
	tick(estimate) {
		if (this.over || !estimate)
			return false;
		this.over = estimate < this.kbit * 1000 * BORNE || estimate >= ENOUGH_KBIT * 1000 || this.kbit >= ENOUGH_KBIT;
		if (!this.over)
			this.kbit = Math.min(ENOUGH_KBIT, Math.round(Math.max(this.kbit, estimate / 1000) * 2));
		return !this.over;
	}

	/** @param {string} sdp the server's answer @returns {string} the answer that has the browser begin there */
	put(sdp) {
		return sdp.replace(/x-google-start-bitrate=\d+/g, `x-google-start-bitrate=${this.kbit}`);
	}
}
