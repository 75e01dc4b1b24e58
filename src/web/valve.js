// SPDX-License-Identifier: AGPL-3.0-or-later
// The page's side of the valve (valve-worker.js), through which a voice alone is sent. Chromium asks of a sender that it
// has it from the moment it is made, so the worker runs before; a connection made without it sends what Opus makes.
import { fileAt } from './dom.js';

const WAIT_MS = 300;

/** It runs. @type {Worker|null} */ let worker = null;
/** @type {Promise<unknown>|null} */ let opening = null;

/** Runs it, and waits for that, but not for long. */
export function openValve() {
	if (!('RTCRtpScriptTransform' in globalThis))
		return Promise.resolve();
	opening ??= new Promise((done) => {
		const made = new Worker(fileAt('valve-worker.js'), { type: 'module' });
		made.onmessage = () => done(worker = made);
		made.onerror = (e) => {
			if (!worker)
				opening = null; // it could not be loaded: the next connection tries again
			done(e);
		};
	});
	return Promise.race([opening, new Promise((done) => setTimeout(done, WAIT_MS))]);
}

/** In the turn in which the sender is made. @param {RTCRtpSender} sender */
export function putValve(sender) {
	try {
		if (worker)
			sender.transform = new RTCRtpScriptTransform(worker);
	} catch (e) {
		console.warn(e);
	}
}

/** Whose word it goes by. @param {MessagePort} gate */
export function obey(gate) {
	opening?.then(() => worker?.postMessage(gate, [gate]));
}
