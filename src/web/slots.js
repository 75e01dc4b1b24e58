// SPDX-License-Identifier: AGPL-3.0-or-later
// Slots: receiving sections in which the server moves people about. Each has one element that
// plays it for as long as the connection lives; the *element* moves into the tile of whoever is in
// it, so a change shows neither a gap nor, for a single frame, a face under a wrong name.
//
// Invariant: slot.p and slot.k are what the element shows. Two tell, and on a thin link either may be
// seconds late: the server over the WebSocket, whose announced change waits in `pending` until a frame
// with its RTP timestamp is shown; and the pictures themselves, whose key frames name their stream (CSRC).
import { state, changed, flush } from './state.js';
import { box } from './dom.js';
import { media } from './media.js';
import { played } from './peer.js';
import { rtpReached, sourceOf, streamOf } from './rtp.js';

/** @typedef {import('./state.js').Slot} Slot */
/** @typedef {import('./state.js').SlotEvent} SlotEvent */
/** @typedef {import('./state.js').Kind} Kind */

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
		const slot = { mid, kind, p: null, k: null, clock: null, turn: 0, pending: [], id: 0, since: null, el, receiver };
		state.slots.set(mid, slot);
		if (el instanceof HTMLVideoElement)
			eachFrame(slot, el);
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

/** What the sound's buffers hold at least: what is lost and repeated must still come in time. @param {number} ms 0: as the browser likes */
export function holdSound(ms) {
	for (const slot of state.slots.values()) {
		const receiver = /** @type {any} */ (slot.receiver);
		if (slot.kind === 'audio' && receiver && 'jitterBufferTarget' in receiver)
			receiver.jitterBufferTarget = ms || null;
	}
}

/** @param {SlotEvent} event */
export function onSlot({ mid, p, k, ts, at }) {
	const slot = state.slots.get(mid);
	if (!slot)
		return;
	const next = { p: p ?? null, k: k ?? null, ts: (ts ?? 0) >>> 0,
		clock: p && ts !== undefined && at !== undefined ? { ts: ts >>> 0, at } : null };
	const last = slot.pending[slot.pending.length - 1] || slot;
	if (last.p === next.p && (p === null || last.k === k)) {
		last.clock = next.clock;
		return;
	}
	if (slot.since !== null && ts !== undefined && ((next.ts - slot.since) | 0) < 0 && !named(slot, next))
		return; // the pictures have moved on since
	slot.pending.push(next);
	settle(slot, undefined, false);
	if (slot.pending.length && slot.el instanceof HTMLVideoElement)
		watch(slot, slot.el);
}

/** Is it what the pictures say that they are? @param {Slot} slot @param {{p: string|null, k: Kind|null}} event */
function named(slot, { p, k }) {
	const { n, k: kind } = streamOf(slot.id);
	return !!slot.id && !!p && state.people.get(p)?.n === n && kind === k;
}

const PRECISE = typeof HTMLVideoElement.prototype.requestVideoFrameCallback === 'function';

/** Looks at each frame shown, for as long as the slot lives. @param {Slot} slot @param {HTMLVideoElement} video */
function eachFrame(slot, video) {
	if (!PRECISE)
		return;
	const onFrame = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ meta) => {
		if (state.slots.get(slot.mid) !== slot)
			return;
		video.requestVideoFrameCallback(onFrame);
		if (meta.rtpTimestamp !== undefined)
			heed(slot, meta.rtpTimestamp);
		settle(slot, meta.rtpTimestamp, meta.rtpTimestamp === undefined);
	};
	video.requestVideoFrameCallback(onFrame);
}

/** What the frame shown says of whose it is. @param {Slot} slot @param {number} frame RTP timestamp */
function heed(slot, frame) {
	const sources = slot.receiver?.getContributingSources?.() || [];
	const found = sourceOf(sources, frame, slot.since);
	if (!found)
		return;
	const { n, k } = streamOf(found.id);
	const p = [...state.people.values()].find((x) => x.n === n)?.id ?? null;
	// Of what was announced the frame is past all, and what was announced of its own stream holds.
	const own = slot.pending.filter((x) => x.p === p && x.k === k && rtpReached(found.ts, x.ts)).pop();
	slot.pending = slot.pending.filter((x) => !rtpReached(found.ts, x.ts));
	slot.id = found.id;
	slot.since = found.ts;
	if (own)
		slot.clock = own.clock;
	if (p === slot.p && (p === null || k === slot.k))
		return;
	slot.p = p;
	slot.k = p ? k : null;
	slot.turn++;
	slot.clock = own?.clock ?? null;
	flush();
}

/** @type {WeakSet<Slot>} */
const watched = new WeakSet();

/**
 * A still screen may send no further frame, and a hidden page is told of none: looks now and then
 * while a change is awaited. @param {Slot} slot @param {HTMLVideoElement} video
 */
function watch(slot, video) {
	if (watched.has(slot))
		return;
	watched.add(slot);
	const timer = setInterval(() => {
		const blind = !PRECISE && video.readyState >= 2 && !slot.receiver?.getSynchronizationSources?.().length;
		settle(slot, undefined, blind);
		if (slot.pending.length && state.slots.get(slot.mid) === slot)
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
		slot.turn++;
		slot.clock = next.clock;
		if (slot.id)
			slot.since = next.ts;
		moved = true;
	}
	if (moved)
		flush();
}
