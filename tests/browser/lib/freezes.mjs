// SPDX-License-Identifier: AGPL-3.0-or-later
// Freezes of a picture, and whose they are. Chromium calls it a freeze when a picture comes later than
// max(3 a, a + 150 ms) after the one before, a being the mean distance of the last thirty. Where the camera's own encoder
// made no picture in between (VP8 leaves some out after a key frame, to keep to its rate) everything it made was shown, and
// the freeze is the sender's; any other is the relay's.
import { log } from './check.mjs';

const MEAN_OF = 30, ADDED_MS = 150;
const NEAR_MS = 25; // what a page sees of a picture's moment differs by that from what the browser counts
const SAME_MS = 2; // timestamps are of 1/90 ms, and rounded once
const NEIGHBOURS_MS = 700; // that far around it is told of
const WAY_MS = 600; // from encoder to viewer, asked for again and twice lost included

export const watchFreezes = (viewer) => viewer.run(() => __test.watchShown());

/** What all senders made: one list a layer, in order. */
async function layersOf(senders) {
	const layers = new Map();
	for (const sender of senders)
		for (const frame of await sender.run(() => __test.made)) {
			if (!layers.has(frame.ssrc))
				layers.set(frame.ssrc, []);
			layers.get(frame.ssrc).push(frame);
		}
	return [...layers.values()];
}

/** Two pictures with nothing made between them, the later of which can be the one that came at `got`. */
const leftOut = (layers, distance, got) => layers.some((frames) => frames.some((f, i) => i > 0 &&
	got > f.at - 20 && got < f.at + WAY_MS && Math.abs(f.ts - frames[i - 1].ts - distance) < SAME_MS));

const tell = (shown, i) => shown.slice(Math.max(0, i - 6), i + 5)
	.map((f) => ['at', 'ts', 'got'].map((k) => Math.round(f[k] - shown[i][k])).join('/') + `#${f.n}`).join(' ');

/**
 * Since watchFreezes(): whose the `counted` freezes are, the longest pauses that there were. Every one is logged.
 * @param {number} counted freezeCount @returns {Promise<{relay: number, sender: number}>}
 */
export async function freezes(viewer, senders, counted) {
	const shown = await viewer.run(() => __test.shown);
	const asked = await viewer.run(() => __test.shows.map((at) => performance.timeOrigin + at));
	const layers = await layersOf(senders);
	const pauses = [];
	for (let i = 2; i < shown.length; i++) {
		const first = Math.max(0, i - 1 - MEAN_OF);
		const mean = (shown[i - 1].at - shown[first].at) / (i - 1 - first);
		const over = shown[i].at - shown[i - 1].at - Math.max(3 * mean, mean + ADDED_MS);
		if (over > -NEAR_MS)
			pauses.push({ i, over, own: leftOut(layers, shown[i].ts - shown[i - 1].ts, shown[i].got) });
	}
	pauses.sort((a, b) => b.over - a.over);
	const near = (list, at) => list.filter((ms) => Math.abs(ms - at) < NEIGHBOURS_MS).map((ms) => Math.round(ms - at));
	for (const { i, over, own } of pauses) {
		log(`no picture for ${Math.round(shown[i].at - shown[i - 1].at)} ms, ${Math.round(over)} more than may be, ` +
			`${own ? 'none was made' : 'of the relay'}: ${tell(shown, i)}; views asked for at ${near(asked, shown[i].at).join(' ')}`);
		for (const layer of own ? [] : layers)
			log(`made at ${near(layer.map((f) => f.at), shown[i].got).join(' ')}, key at ${near(layer.filter((f) => f.key).map((f) => f.at), shown[i].got).join(' ')}`);
	}
	const sender = pauses.slice(0, counted).filter((p) => p.own).length;
	return { sender, relay: counted - sender };
}
