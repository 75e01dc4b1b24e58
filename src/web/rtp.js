// SPDX-License-Identifier: AGPL-3.0-or-later
// RTP timestamps, and what a frame says of whose it is. Pure.

/** In the order of the server's numbers: a stream's id is its person's number · 4 + this. @type {import('./state.js').Kind[]} */
const KINDS = ['mic', 'camera', 'screen', 'screenaudio'];

/**
 * Has a frame with RTP timestamp `frame` reached `ts`? Both wrap at 2^32. A switch is announced at most
 * seconds ahead: a `ts` more than a minute ahead is one from long ago (90 kHz wraps in 13 hours).
 * @param {number} frame @param {number} ts
 */
export function rtpReached(frame, ts) {
	const ahead = (ts - frame) | 0;
	return ahead <= 0 || ahead > 60 * 90000;
}

/**
 * Whose picture a frame is, by the CSRCs of the key frames up to it; null if none says more than is
 * known since `since`. @param {{source: number, rtpTimestamp?: number}[]} sources
 * @param {number} frame @param {number|null} since
 * @returns {{id: number, ts: number}|null}
 */
export function sourceOf(sources, frame, since) {
	/** @type {{id: number, ts: number}|null} */
	let best = null;
	for (const { source, rtpTimestamp: ts } of sources) {
		const after = best ? best.ts : since;
		if (ts !== undefined && rtpReached(frame, ts) && (after === null || ((ts - after) | 0) > 0))
			best = { id: source, ts };
	}
	return best;
}

const TALK_LASTS_MS = 5000; // it is said again every two seconds, while there is sound

/**
 * Who talks, as the sound itself says: its packets name their speakers as CSRCs now and then, 0 if there are none.
 */
export class Talkers {
	constructor() {
		/** @type {number|null} */ this.ts = null;
		/** @type {number[]} */ this.ids = [];
		this.at = 0;
	}

	/**
	 * Streams that talk; null: what was told at `told` is newer.
	 * @param {{source: number, rtpTimestamp?: number, timestamp: number}[]} sources of the sound's receiver
	 * @param {number} now ms @param {number} told ms
	 * @returns {number[]|null}
	 */
	tick(sources, now, told) {
		const at = (/** @type {typeof sources[0]} */ s) => s.rtpTimestamp ?? s.timestamp;
		const newest = sources.reduce((/** @type {typeof sources[0]|null} */ best, s) =>
			best && (s.rtpTimestamp === undefined ? s.timestamp <= best.timestamp : ((at(s) - at(best)) | 0) <= 0) ? best : s, null);
		if (newest && at(newest) !== this.ts) {
			this.ts = at(newest);
			this.ids = sources.filter((s) => at(s) === this.ts && s.source).map((s) => s.source);
			this.at = now;
		}
		if (this.at <= told)
			return now - told < TALK_LASTS_MS ? null : [];
		return now - this.at < TALK_LASTS_MS ? this.ids : [];
	}
}

/** @param {number} id */
export const streamOf = (id) => ({ n: id >>> 2, k: KINDS[id & 3] });
