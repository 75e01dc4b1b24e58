// SPDX-License-Identifier: AGPL-3.0-or-later
// What somebody sees of the others, as the browser puts it out: when each picture came, and, once in a while, its luma.
// For who has no camera: every picture with a track from the connection counts. Functions that are given to run() are the page's.

const LOOK_MS = 20; // a new element is found so soon
const STILL_MS = 1000;
const PIECE = 4; // pictures fetched at once: 1.2 MB

function begin({ lookMs }) {
	const watch = { shown: [], samples: [], everyMs: 0, sampledAt: 0, errors: [], elements: new Set() };
	__test.watch = watch;
	const received = (e) => e.srcObject instanceof MediaStream && e.srcObject.getVideoTracks()
		.some((track) => __test.pc()?.getReceivers().some((r) => r.track.id === track.id));
	const sample = async (e, at) => {
		const frame = new VideoFrame(e);
		try {
			const { width, height } = frame.visibleRect;
			if (!/^(I420|NV12)/.test(frame.format ?? ''))
				throw new Error(`a picture as ${frame.format}`);
			const buffer = new Uint8Array(frame.allocationSize());
			const [{ offset, stride }] = await frame.copyTo(buffer);
			const luma = new Uint8Array(width * height);
			for (let y = 0; y < height; y++)
				luma.set(buffer.subarray(offset + y * stride, offset + y * stride + width), y * width);
			watch.samples.push({ at, width, height, luma });
		} finally {
			frame.close();
		}
	};
	const follow = (e) => e.requestVideoFrameCallback((now, { width, height, presentedFrames }) => {
		follow(e);
		if (!received(e))
			return;
		watch.shown.push([now, width, height, presentedFrames]);
		if (watch.everyMs && now - watch.sampledAt >= watch.everyMs) {
			watch.sampledAt = now;
			sample(e, now).catch((error) => watch.errors.push(String(error)));
		}
	});
	setInterval(() => {
		for (const e of __test.elements)
			if (e instanceof HTMLVideoElement && !watch.elements.has(e)) {
				watch.elements.add(e);
				follow(e);
			}
	}, lookMs);
}

function give({ from, to }) {
	return __test.watch.samples.slice(from, to).map(({ luma, ...rest }) => {
		let text = '';
		for (let i = 0; i < luma.length; i += 8192)
			text += String.fromCharCode(...luma.subarray(i, i + 8192));
		return { ...rest, luma: btoa(text) };
	});
}

/** From now on; before the person joins. @param {import('./person.mjs').Person} person opened, without a camera */
export const startWatching = (person) => person.run(begin, { lookMs: LOOK_MS });

/** ms from the request to join to the first picture, or null: there is none yet. */
export const firstPicture = (person) => person.run(() => {
	const joined = __test.posts.find((p) => p.url.endsWith('/join'));
	const [first] = __test.watch.shown;
	return first && joined ? first[0] - joined.at : null;
});

/** Keeps a picture in so many ms from now on; 0: no more. */
export const sampleEvery = (person, ms) => person.run((ms) => { __test.watch.everyMs = ms; }, ms);

/** The page's clock, ms. */
export const clockOf = (person) => person.run(() => performance.now());

/**
 * What was shown between two times of the page's clock.
 * @returns {Promise<{fps: number, stillMs: number, stills: number, size: string, series: number[]}>} stillMs: the longest time without a new
 *          picture; stills: times longer than a second; size: the most frequent one; series: pictures in each second
 */
export async function shownBetween(person, from, to) {
	const all = await person.run(() => __test.watch.shown);
	const shown = all.filter(([at]) => at >= from && at < to);
	const times = shown.map(([at]) => at);
	const last = all.filter(([at]) => at < from).at(-1)?.[0] ?? from;
	const ends = [Math.max(last, from - 1000), ...times, to];
	const sizes = new Map();
	for (const [, width, height] of shown)
		sizes.set(`${width}x${height}`, (sizes.get(`${width}x${height}`) ?? 0) + 1);
	const series = Array.from({ length: Math.ceil((to - from) / 1000) }, (_, s) =>
		times.filter((at) => at >= from + 1000 * s && at < from + 1000 * (s + 1)).length);
	const distances = ends.slice(1).map((at, i) => at - ends[i]);
	return { fps: times.length * 1000 / (to - from), series,
		stillMs: Math.max(...distances), stills: distances.filter((ms) => ms > STILL_MS).length,
		size: [...sizes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '-' };
}

/** The pictures that were kept. @returns {Promise<(import('./ssim.mjs').Luma & {at: number})[]>} */
export async function samplesOf(person) {
	const { count, errors } = await person.run(() => ({ count: __test.watch.samples.length, errors: __test.watch.errors }));
	if (errors.length)
		throw new Error(`${errors.length} pictures were not kept: ${errors[0]}`);
	const samples = [];
	for (let from = 0; from < count; from += PIECE)
		for (const { luma, ...rest } of await person.run(give, { from, to: from + PIECE }))
			samples.push({ ...rest, data: new Uint8Array(Buffer.from(luma, 'base64')) });
	return samples;
}
