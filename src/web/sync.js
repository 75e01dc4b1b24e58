// SPDX-License-Identifier: AGPL-3.0-or-later
// Lip sync. Slots are movable, so each has a msid of its own and the browser does not
// synchronise sound and picture of a person (nor fill in estimatedPlayoutTimestamp): the page does.
//
// The server tells for each slot which capture time, on one clock, an RTP timestamp stands for
// (slot.clock), and getSynchronizationSources() which RTP timestamp was put out when. The
// difference is how late the slot is; the zero of the two clocks is arbitrary but the same for all slots.
// For a person who is in an audio slot and a video slot:
//
//     skew = sound's lateness − picture's      > 0: the picture is early;  < 0: the picture is late
//
// Once a second a skew that has lasted is brought towards 0 with `jitterBufferTarget`:
// picture early → first take back what the sound was delayed, then hold the picture;
// picture late  → first take back what the picture was held, then, beyond 80 ms, delay the
// sound, by at most 300 ms (more would hurt the conversation more than lips do).
// People notice about 120 ms (ITU-R BT.1359: +45/−125 ms detectable), so ±40 ms is left alone.

const DEAD_MS = 40;
const LATE_MS = 80;
const AUDIO_MAX_MS = 300;
const VIDEO_MAX_MS = 2000;
const VIDEO_STEP_MS = 80; // held back by more at once, the picture would be seen to stand still
const SHOWS_S = 1; // a target takes one to two seconds to show

/** @typedef {{audio: number, video: number}} Targets  in ms, 0 = the browser's own choice */

/**
 * @param {number} skew ms
 * @param {Targets} now targets in force
 * @param {{audio: number, video: number}} delay measured delay of each jitter buffer, ms
 * @returns {Targets}
 */
export function steer(skew, now, delay) {
	const next = { ...now };
	if (Math.abs(skew) <= DEAD_MS)
		return next;
	// 0.7: the buffers are still moving by themselves when it is measured; a full step would swing.
	const step = Math.round(Math.min(200, Math.abs(skew) * 0.7));
	if (skew > 0) {
		if (now.audio > 0)
			next.audio = Math.max(0, now.audio - step);
		else // A target below what the buffer holds anyway would do nothing.
			next.video = Math.min(VIDEO_MAX_MS, Math.max(now.video, Math.round(delay.video)) + Math.min(VIDEO_STEP_MS, step));
	} else if (now.video > 0) {
		next.video = now.video - step < 20 ? 0 : now.video - step;
	} else if (skew < -LATE_MS) {
		const from = Math.max(now.audio, Math.min(Math.round(delay.audio), AUDIO_MAX_MS));
		next.audio = Math.min(AUDIO_MAX_MS, from + Math.min(100, step));
	}
	return next;
}

/** `turns`: as its slots' `turn` was. @typedef {{turns: string, audioMid: string, skew: number|null, wait: number, targets: Targets}} Pair */
/** Sums of getStats() on a jitter buffer: seconds, and of how many samples or frames. @typedef {{delay: number, emitted: number}} Sample */

/**
 * How late the slot is, ms on an arbitrary zero; null if nothing new came out since `before`, the
 * RTP timestamp seen last.
 * @param {import('./state.js').Slot} slot @param {number|undefined} before
 */
function lateness(slot, before) {
	const source = slot.receiver?.getSynchronizationSources?.()[0];
	const rtp = source?.rtpTimestamp;
	if (!source || rtp === undefined || rtp === before || !slot.clock)
		return null;
	const at = slot.clock.at + ((rtp - slot.clock.ts) | 0) / (slot.kind === 'audio' ? 48 : 90);
	slot.clock = { ts: rtp, at }; // the 32-bit difference must stay small in a call of hours
	return { rtp, late: source.timestamp - at };
}

export class LipSync {
	constructor() {
		/** One per video slot. @type {Map<string, Pair>} */
		this.pairs = new Map();
		/** Of the last second, by mid. @type {Map<string, Sample>} */
		this.last = new Map();
		/** RTP timestamp seen last, by mid. @type {Map<string, number>} */
		this.seen = new Map();
	}

	/**
	 * @param {Map<string, Sample>} samples by mid
	 * @param {import('./state.js').Slot[]} slots
	 */
	tick(samples, slots) {
		const paired = new Set();
		for (const video of slots) {
			if (video.kind !== 'video' || !video.p || !video.k)
				continue;
			const audioKind = video.k === 'screen' ? 'screenaudio' : 'mic';
			const audio = slots.find((s) => s.kind === 'audio' && s.p === video.p && s.k === audioKind);
			if (!audio)
				continue;
			paired.add(video.mid);
			this.#align(video, audio, samples);
		}
		for (const [mid, pair] of this.pairs)
			if (!paired.has(mid))
				this.#drop(mid, pair, slots);
		this.last = samples;
	}

	/**
	 * @param {import('./state.js').Slot} video @param {import('./state.js').Slot} audio
	 * @param {Map<string, Sample>} samples
	 */
	#align(video, audio, samples) {
		let pair = this.pairs.get(video.mid);
		// Two seconds with another person between them agree upon nothing: what was measured last may have been that one's.
		const turns = `${video.turn} ${audio.turn}`;
		if (!pair || pair.turns !== turns || pair.audioMid !== audio.mid) {
			pair = { turns, audioMid: audio.mid, skew: null, wait: SHOWS_S, targets: { audio: 0, video: 0 } };
			this.pairs.set(video.mid, pair);
			setTarget(video, 0);
			setTarget(audio, 0);
		}
		const a = this.#late(audio), v = this.#late(video);
		if (a === null || v === null || pair.wait-- > 0)
			return;
		// What two seconds agree upon.
		const [one, two] = [pair.skew ?? 0, a - v];
		const skew = one * two <= 0 ? 0 : Math.abs(one) < Math.abs(two) ? one : two;
		pair.skew = two;
		// More than could be mended: a sender's clock has gone wrong.
		if (Math.abs(skew) > VIDEO_MAX_MS)
			return;
		const delay = { audio: this.#delay(audio.mid, samples), video: this.#delay(video.mid, samples) };
		const next = steer(skew, pair.targets, delay);
		if (next.audio === pair.targets.audio && next.video === pair.targets.video)
			return;
		setTarget(audio, next.audio);
		setTarget(video, next.video);
		pair.targets = next;
		pair.skew = null;
		pair.wait = SHOWS_S;
	}

	/** @param {import('./state.js').Slot} slot */
	#late(slot) {
		const now = lateness(slot, this.seen.get(slot.mid));
		if (now)
			this.seen.set(slot.mid, now.rtp);
		return now && now.late;
	}

	/** Mean delay in the jitter buffer over the last second, ms. @param {string} mid @param {Map<string, Sample>} samples */
	#delay(mid, samples) {
		const before = this.last.get(mid), now = samples.get(mid);
		const n = before && now ? now.emitted - before.emitted : 0;
		return before && now && n > 0 ? Math.max(0, (now.delay - before.delay) / n * 1000) : 0;
	}

	/** @param {string} mid @param {Pair} pair @param {import('./state.js').Slot[]} slots */
	#drop(mid, pair, slots) {
		this.pairs.delete(mid);
		for (const s of slots)
			if (s.mid === mid || s.mid === pair.audioMid)
				setTarget(s, 0);
	}
}

/** @param {import('./state.js').Slot} slot @param {number} ms */
function setTarget(slot, ms) {
	const receiver = /** @type {any} */ (slot.receiver);
	try {
		if (receiver && 'jitterBufferTarget' in receiver)
			receiver.jitterBufferTarget = ms || null;
	} catch { /* the receiver is gone with its connection */ }
}
