// SPDX-License-Identifier: AGPL-3.0-or-later
// Slots: receiving sections in which the server moves people about. Each has one element that
// plays it for as long as the connection lives; the *element* moves into the tile of whoever is in
// it, so a change shows neither a gap nor, for a single frame, a face under a wrong name.
//
// Invariant: slot.p and slot.k are what the element shows. An announced change waits in `pending`
// until a frame with its RTP timestamp is shown.
import { state, changed, flush } from './state.js';
import { box } from './dom.js';
import { media } from './media.js';
import { played } from './peer.js';
import { rtpReached } from './layout.js';

/** @typedef {import('./state.js').Slot} Slot */
/** @typedef {import('./state.js').SlotEvent} SlotEvent */

/** Slots of a new connection take the place of the old ones. @param {{mid: string, kind: 'audio'|'video'}[]} list @param {RTCPeerConnection} pc */
export function adoptSlots(list, pc) {
	for (const slot of state.slots.values())
		release(slot);
	state.slots.clear();
	for (const { mid, kind } of list) {
		const receiver = pc.getTransceivers().find((x) => x.mid === mid)?.receiver || null;
		const el = document.createElement(kind);
		el.autoplay = true;
		if (el instanceof HTMLVideoElement) {
			el.playsInline = true;
			el.muted = true;
			el.onresize = changed; // where it is shown depends on its shape
		}
		if (receiver)
			el.srcObject = new MediaStream([receiver.track]);
		box(kind === 'audio' ? 'sound' : 'parking').append(el);
		/** @type {Slot} */
		const slot = { mid, kind, p: null, k: null, clock: null, pending: [], el, receiver };
		state.slots.set(mid, slot);
		if (kind === 'audio')
			play(el);
	}
	setSpeaker();
	changed();
}

/** @param {Slot} slot */
function release(slot) {
	slot.el.srcObject = null;
	slot.el.remove();
	slot.pending = [];
}

export function releaseSlots() {
	for (const slot of state.slots.values())
		release(slot);
	state.slots.clear();
}

/** A browser may refuse sound until the page is touched. @param {HTMLMediaElement} el */
async function play(el) {
	try {
		await el.play();
	} catch (e) {
		if (e instanceof DOMException && e.name === 'NotAllowedError') {
			state.soundBlocked = true;
			changed();
		}
	}
}

export function playSound() {
	state.soundBlocked = false;
	for (const slot of state.slots.values())
		if (slot.kind === 'audio')
			play(slot.el);
	changed();
}

/** Two notes out of the loudspeaker chosen: so loud are the others going to be. */
export async function testSound() {
	const context = new AudioContext();
	const out = context.createMediaStreamDestination();
	const el = /** @type {any} */ (new Audio());
	el.srcObject = out.stream;
	if (el.setSinkId)
		await el.setSinkId(media.device.speaker).catch(() => {});
	await Promise.all([context.resume(), el.play()]);
	const begin = context.currentTime + 0.1;
	for (const [i, hz] of [523, 784].entries()) {
		const tone = context.createOscillator(), gain = context.createGain();
		const at = begin + i * 0.35;
		tone.frequency.value = hz;
		gain.gain.setValueAtTime(0, at);
		gain.gain.linearRampToValueAtTime(0.25, at + 0.03);
		gain.gain.exponentialRampToValueAtTime(0.001, at + 0.6);
		tone.connect(gain).connect(out);
		tone.start(at);
		tone.stop(at + 0.6);
	}
	setTimeout(() => context.close(), 2000);
}

export function setSpeaker() {
	for (const slot of state.slots.values()) {
		const el = /** @type {any} */ (slot.el);
		if (slot.kind === 'audio' && el.setSinkId && (el.sinkId || '') !== media.device.speaker)
			el.setSinkId(media.device.speaker).catch(() => {});
	}
}

/** @param {SlotEvent} event */
export function onSlot({ mid, p, k, ts, at }) {
	const slot = state.slots.get(mid);
	if (!slot)
		return;
	const clock = p && at !== undefined ? { ts: ts >>> 0, at } : null;
	const last = slot.pending[slot.pending.length - 1] || slot;
	if (last.p === (p ?? null) && (p === null || last.k === k)) {
		last.clock = clock;
		return;
	}
	slot.pending.push({ p: p ?? null, k: k ?? null, ts: ts >>> 0, clock });
	settle(slot, undefined, false);
	if (slot.pending.length && slot.el instanceof HTMLVideoElement)
		watch(slot, slot.el);
}

/** @type {WeakSet<Slot>} */
const watched = new WeakSet();

/** @param {Slot} slot @param {HTMLVideoElement} video */
function watch(slot, video) {
	if (watched.has(slot))
		return;
	watched.add(slot);
	const precise = typeof HTMLVideoElement.prototype.requestVideoFrameCallback === 'function';
	/** @param {number|undefined} frame @param {boolean} blind */
	const look = (frame, blind) => {
		settle(slot, frame, blind);
		return slot.pending.length > 0 && state.slots.get(slot.mid) === slot;
	};
	const onFrame = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ meta) => {
		if (look(meta.rtpTimestamp, meta.rtpTimestamp === undefined))
			video.requestVideoFrameCallback(onFrame);
		else
			watched.delete(slot);
	};
	if (precise)
		video.requestVideoFrameCallback(onFrame);
	// A still screen may send no further frame, and a hidden page gets no callback: look now and then.
	const timer = setInterval(() => {
		const blind = !precise && video.readyState >= 2 && !slot.receiver?.getSynchronizationSources?.().length;
		if (look(undefined, blind))
			return;
		clearInterval(timer);
		watched.delete(slot);
	}, 250);
}

/**
 * Carries out the announced changes whose time has come. Until then the old name stays with the old
 * picture, and an empty slot stays out of sight: both are true.
 * @param {Slot} slot @param {number|undefined} frame RTP timestamp of the frame shown now, if known
 * @param {boolean} blind this browser names no timestamps: change at once
 */
function settle(slot, frame, blind) {
	let moved = false;
	while (slot.pending.length) {
		const next = slot.pending[0];
		const due = blind || slot.kind === 'audio' || next.p === null ||
			(frame !== undefined ? rtpReached(frame, next.ts) : played(slot.receiver, next.ts));
		if (!due)
			break;
		slot.pending.shift();
		slot.p = next.p;
		slot.k = next.k;
		slot.clock = next.clock;
		moved = true;
	}
	if (moved)
		flush();
}
