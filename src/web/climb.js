// SPDX-License-Identifier: AGPL-3.0-or-later
// How much a camera sends in its first seconds. A browser that may begin with its usual 300 kbit/s fills a thin link's queue at once, and
// one that begins with little takes half a minute to find out that there is more. So it begins with little, and is
// told to take twice as much each second, as long as its own estimate of the link bears that out. Pure.

const FIRST_KBIT = 30; // as the server's answer says
const ENOUGH_KBIT = 480; // its own probes do the rest
const BORNE = 0.85;
const AGAIN_S = 5, AGAIN_MOST_S = 80;
const STEP = 2, STEP_AGAIN = 1.5;
const QUEUE_S = 0.05;

export class Climb {
	constructor() {
		this.kbit = FIRST_KBIT;
		this.step = STEP;
		/** Seconds until it is tried again, and how many they are next time. */
		this.rest = 0;
		this.patience = AGAIN_S;
		/** Round trips, in seconds: the quickest, and the longest since the estimate fell. A queue says that it was too much, and each try would
		 * make another one; without, packets were lost. */
		this.quickest = Infinity;
		this.longest = 0;
		this.full = false;
		this.tried = false;
	}

	/**
	 * Once a second while a camera is sent. @param {number} estimate the browser's, bit/s; 0: it has none
	 * @param {number} rtt s; 0: not known @returns {boolean} there is more to be taken
	 */
	tick(estimate, rtt) {
		this.quickest = Math.min(this.quickest, rtt || Infinity);
		this.longest = Math.max(this.longest, rtt);
		if (this.full || !estimate || estimate >= ENOUGH_KBIT * 1000)
			return false;
		if (this.rest) {
			this.full = --this.rest === 0 && this.longest > this.quickest + QUEUE_S;
			return false;
		}
		if (this.tried && estimate < this.kbit * 1000 * BORNE) {
			this.tried = false;
			this.rest = this.patience;
			this.patience = Math.min(AGAIN_MOST_S, this.patience * 2);
			this.step = STEP_AGAIN;
			this.longest = 0;
			return false;
		}
		const next = Math.min(ENOUGH_KBIT, Math.round(estimate / 1000 * this.step));
		if (next === this.kbit && next === ENOUGH_KBIT)
			return false;
		this.kbit = next === this.kbit ? next + 1 : next; // the same number would be no news
		this.tried = true;
		return true;
	}

	/** @param {string} sdp the server's answer @returns {string} the answer that has the browser begin there */
	put(sdp) {
		return sdp.replace(/x-google-start-bitrate=\d+/g, `x-google-start-bitrate=${this.kbit}`);
	}
}
