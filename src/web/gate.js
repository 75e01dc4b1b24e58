// SPDX-License-Identifier: AGPL-3.0-or-later
// An open microphone in a quiet room costs a fifth of speech: between words it is sent through a gate
// (gate-worklet.js), and where that has been closed for longer nothing at all is sent (valve-worker.js). Loaded in the
// call only, where the voice alone is sent: it is late by 60 ms, which lips would show.
//
// Invariant: whoever asks gets a track that sounds. The gate's own counts only while its clock runs and it has heard
// the microphone; otherwise (no AudioWorklet, a page not touched yet, a phone call on iOS) it is the microphone itself.

import { fileAt } from './dom.js';
import { obey } from './valve.js';

/**
 * @typedef {{context: AudioContext, node: AudioWorkletNode, track: MediaStreamTrack, mic: MediaStreamTrack|null,
 *	source: MediaStreamAudioSourceNode|null, hears: boolean, clock: number, at: number, stands: boolean}} Gate
 */

const WATCH_MS = 2000;

/** @type {Gate|null} */ let gate = null;
let broken = false;
let opening = false;
/** @type {ReturnType<typeof setInterval>|undefined} */ let timer = undefined;
let tell = () => {};

/** @param {() => void} changed another track is to be sent */
export function onGate(changed) {
	tell = changed;
}

/**
 * What is to be sent of this microphone. null: none, and the gate goes away.
 * @param {MediaStreamTrack|null} mic @param {boolean} on false: nothing, from this moment
 */
export function through(mic, on) {
	if (!mic) {
		shut();
		return null;
	}
	if (!gate) {
		if (!broken && !opening)
			open();
		return mic;
	}
	gate.track.enabled = on; // what is in the delay line is not sent either
	if (gate.mic !== mic)
		listen(gate, mic);
	wake();
	return gate.hears && !gate.stands && gate.context.state === 'running' ? gate.track : mic;
}

async function open() {
	opening = true;
	/** @type {AudioContext|null} */ let context = null;
	try {
		context = new AudioContext({ latencyHint: 'interactive' });
		await context.audioWorklet.addModule(fileAt('gate-worklet.js'));
		const node = new AudioWorkletNode(context, 'gate', { numberOfInputs: 1, numberOfOutputs: 1,
			outputChannelCount: [1], channelCount: 1, channelCountMode: 'explicit' });
		const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
		node.connect(out);
		const { port1, port2 } = new MessageChannel();
		node.port.postMessage(port1, [port1]);
		obey(port2);
		const [track] = out.stream.getAudioTracks();
		track.contentHint = 'speech';
		const made = { context, node, track, mic: null, source: null, hears: false, clock: 0, at: 0, stands: false };
		gate = made;
		node.onprocessorerror = fail;
		node.port.onmessage = () => {
			made.hears = true;
			tell();
		};
		context.onstatechange = tell;
		timer = setInterval(watch, WATCH_MS);
		for (const kind of ['click', 'keydown'])
			addEventListener(kind, wake, true);
	} catch (e) {
		console.warn(e);
		broken = true;
		context?.close();
	}
	opening = false;
	tell();
}

/** @param {Gate} g @param {MediaStreamTrack} mic */
function listen(g, mic) {
	try {
		const source = g.context.createMediaStreamSource(new MediaStream([mic]));
		source.connect(g.node);
		g.source?.disconnect();
		g.source = source;
		g.mic = mic;
	} catch (e) { // Firefox: a microphone at another rate
		console.warn(e);
		fail();
	}
}

/** Some browsers let no context run before the page has been touched. */
function wake() {
	if (gate?.context.state === 'suspended' && navigator.userActivation?.hasBeenActive !== false)
		gate.context.resume().catch(() => {});
}

/** Says "running", and stands still? @this {void} */
function watch() {
	if (!gate)
		return;
	const { currentTime } = gate.context, now = performance.now();
	if (now - gate.at < WATCH_MS / 2)
		return; // late, and the next one in time
	const stands = currentTime === gate.clock;
	gate.clock = currentTime;
	gate.at = now;
	if (stands !== gate.stands) {
		gate.stands = stands;
		tell();
	}
}

function fail() {
	broken = true;
	shut();
	tell();
}

function shut() {
	if (!gate)
		return;
	clearInterval(timer);
	for (const kind of ['click', 'keydown'])
		removeEventListener(kind, wake, true);
	gate.context.onstatechange = null;
	gate.context.close().catch(() => {});
	gate = null;
}
