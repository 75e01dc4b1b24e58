// SPDX-License-Identifier: AGPL-3.0-or-later
// The valve of an open microphone, in a worker of its own, so that nothing the page does delays a voice: all of the microphone's
// encoded sound goes through it (RTCRtpScriptTransform), and nothing is sent while the gate says that nobody speaks.
// Of digital silence alone a browser's Opus still sends two packets every 400 ms.
//
// Invariants: the gate's word (gate-worklet.js) counts for a second, so that whatever becomes of it, the microphone is
// heard. The last packet before nothing is one that tells receivers of silence, if the browser's Opus makes such. What was
// encoded since the gate opened is sent, even where its word comes late.

const WORD_MS = 1000; // it comes every half second
const REST_MS = 600; // until a packet of silence has passed: they come every 400 ms
const KEEP_MS = 500; // that late a word may be
const SILENCE_BYTES = 2; // a packet of Opus that long or shorter says that nothing follows

/** @typedef {{data: ArrayBuffer}} Frame */

/** @template {Frame} F */
export class Valve {
	constructor() {
		this.until = -Infinity; // the word counts
		this.since = 0;
		this.rests = false;
		/** @type {{frame: F, date: number}[]} */ this.kept = [];
	}

	/**
	 * An encoded frame. @param {F} frame @param {number} now ms @param {number} date ms, as of the word
	 * @returns {F[]} what is to be sent
	 */
	take(frame, now, date) {
		if (now >= this.until) {
			this.rests = false;
			return [frame];
		}
		if (!this.rests) {
			this.rests = frame.data.byteLength <= SILENCE_BYTES || now >= this.since + REST_MS;
			return [frame];
		}
		this.kept = this.kept.filter((k) => k.date > date - KEEP_MS);
		this.kept.push({ frame, date });
		return [];
	}

	/**
	 * The gate's word: nobody speaks, or they do since `at`. @param {boolean} quiet @param {number} at ms @param {number} now ms
	 * @returns {F[]} what is to be sent
	 */
	hear(quiet, at, now) {
		if (quiet) {
			if (now >= this.until)
				this.since = now;
			this.until = now + WORD_MS;
			return [];
		}
		const late = this.kept.filter((k) => k.date >= at).map((k) => k.frame);
		this.kept = [];
		this.until = now;
		return late;
	}
}

/** Of the connection made last. */
/** @type {{valve: Valve<Frame>, writer: WritableStreamDefaultWriter<Frame>}|null} */ let last = null;

/** @param {WritableStreamDefaultWriter<Frame>} writer @param {Frame[]} frames */
function send(writer, frames) {
	for (const frame of frames)
		writer.write(frame).catch(() => {}); // a connection that has been closed
}

/** @param {{readable: ReadableStream<Frame>, writable: WritableStream<Frame>}} transformer */
async function pass({ readable, writable }) {
	const valve = new Valve(), writer = writable.getWriter(), reader = readable.getReader();
	last = { valve, writer };
	for (;;) {
		const { value, done } = await reader.read();
		if (done)
			return;
		send(writer, valve.take(value, performance.now(), Date.now()));
	}
}

const scope = /** @type {any} */ (globalThis);
if ('onrtctransform' in scope) {
	scope.onrtctransform = (/** @type {any} */ { transformer }) => { pass(transformer).catch(() => {}); };
	scope.onmessage = (/** @type {MessageEvent<MessagePort>} */ { data: gate }) => {
		gate.onmessage = ({ data: { quiet, at } }) => {
			if (last)
				send(last.writer, last.valve.hear(quiet, at, performance.now()));
		};
	};
	scope.postMessage(true);
}
