// SPDX-License-Identifier: AGPL-3.0-or-later
// What we send: what is switched on and may be, how the voice travels, and what the buttons do.
//
// Invariant: what is wanted is in state, what is there in media; senders and server follow, one change after the other.
import { state, changed, forbids, inCall, keep, maySend } from './state.js';
import { media, onMedia, openDevices, closeDevice, openScreen, closeScreen, closeAll } from './media.js';
import { onGate, through } from './gate.js';
import { line } from './line.js';
import { offer, setActive } from './peer.js';
import { setSpeaker } from './slots.js';
import { openValve } from './valve.js';
import { FREE, setBitrate, steerAnswer, THRIFT } from './voice.js';

/** @typedef {import('./state.js').Kind} Kind */
/** @typedef {import('./peer.js').Peer} Peer */

const TOLD_MS = 3000; // what the server says of us later than that is no echo of what we said

/** Streams that nobody takes, as the server says. @type {Set<Kind>} */
export const paused = new Set();
/** Sizes of them that somebody takes, as bits. @type {Map<Kind, number>} */
export const layers = new Map();
/** Everything else comes before the gate. */
let gated = false;

// ---- how the voice travels ----

/** As was chosen, protected as the server wants it; or all as it wants it: of a voice alone, from thin on. */
function way() {
	if (THRIFT[state.thrift] !== FREE)
		return { rung: THRIFT[state.thrift], red: state.way.red };
	return state.mode === 'voice' ? state.way : { rung: FREE, red: false };
}

/** The server's answer takes effect, with the microphone sent as was chosen. @param {Peer} p */
export async function answered(p) {
	const mid = p.streams.mic;
	const chosen = way();
	const answer = line.climb.put(p.answer);
	await p.pc.setRemoteDescription({ type: 'answer', sdp: mid ? steerAnswer(answer, mid, chosen) : answer });
	if (p.senders.mic)
		await setBitrate(p.senders.mic, chosen);
	if (!same(way(), chosen)) // meanwhile
		travel();
}

/** @param {import('./voice.js').Thrift} thrift */
export function setThrift(thrift) {
	if (thrift === state.thrift)
		return;
	state.thrift = thrift;
	if (inCall()) {
		keep();
		tellThrift();
		travel();
	}
	changed();
}

/** What comes to us. */
export function tellThrift() {
	const rung = THRIFT[state.thrift];
	line.events?.send({ t: 'voice', down: rung !== FREE ? rung : state.mode === 'voice' ? 'auto' : 'all' });
}

/** @param {import('./voice.js').Way} a @param {import('./voice.js').Way} b */
const same = (a, b) => a.rung === b.rung && a.red === b.red;

/** The server's word on how to send. @param {import('./voice.js').Way} next */
export function steer(next) {
	const before = way();
	state.way = { ...next };
	if (!same(way(), before))
		travel();
}

let travelling = Promise.resolve();

/** When what is under way has ended: an offer and its answer belong together. */
export const travelled = () => travelling;

/** What goes from us: the server's answer once more, with another way of sending. One after the other. */
export function travel() {
	travelling = travelling.then(travelNow).catch((e) => console.warn(e));
}

async function travelNow() {
	const p = line.peer;
	if (!p || !p.answer || p.pc.signalingState !== 'stable' || line.restarting)
		return; // the answer that is under way is going to be steered, too
	await offer(p.pc);
	await answered(p);
}

/** What is switched on and also there to be sent. @returns {Record<Kind, boolean>} */
export function switchedOn() {
	const video = mayShow();
	return { mic: !forbids('mic') && state.want.mic && !!media.mic,
		camera: video && !forbids('camera') && state.want.camera && !!media.camera,
		screen: video && !forbids('screen') && !!media.screen,
		screenaudio: video && !forbids('screenaudio') && !!media.screenaudio };
}

/** @returns {Partial<Record<Kind, MediaStreamTrack|null>>} */
export function tracksOn() {
	const kinds = /** @type {[Kind, boolean][]} */ (Object.entries(switchedOn()));
	return Object.fromEntries(kinds.map(([k, on]) => [k, on ? media[k] : null]));
}

let told = '';
let toldAt = 0;
let reconciling = Promise.resolve();

/** The server does not know any more what is switched on. */
export function forgetTold() {
	told = '';
}

/**
 * Makes senders and server agree with what is switched on. One after the other: two replaceTrack of
 * quick fingers must not overtake each other.
 */
export function reconcile() {
	reconciling = reconciling.then(reconcileNow).catch((e) => console.warn(e));
	return reconciling;
}

async function reconcileNow() {
	const p = line.peer;
	const on = switchedOn();
	// Mute before anything that could wait; the server then drops the stream by itself.
	if (media.mic)
		media.mic.enabled = on.mic;
	const voice = (gated && through(state.mode === 'voice' ? media.mic : null, on.mic)) || media.mic;
	if (!p || p.pc.signalingState === 'closed')
		return;
	tellMedia(on);
	for (const k of /** @type {Kind[]} */ (Object.keys(p.senders))) {
		const sender = p.senders[k];
		if (!sender)
			continue;
		const track = !on[k] ? null : k === 'mic' ? voice : media[k];
		if (sender.track !== track)
			await sender.replaceTrack(track);
		const ready = k !== 'camera' || line.weakness.clean;
		await setActive(sender, ready && !paused.has(k), layers.get(k) || 0);
	}
}

/** @param {Record<Kind, boolean>} on */
function tellMedia(on) {
	const text = JSON.stringify(on);
	if (text === told || !line.events?.up)
		return;
	told = text;
	toldAt = Date.now();
	line.events.send({ t: 'media', ...on });
	const mine = state.people.get(state.me.id);
	if (mine)
		Object.assign(mine, on);
	changed();
}

onMedia(() => {
	if (inCall()) {
		if (!media.screen)
			state.want.screen = false;
		reconcile();
		setSpeaker();
	}
	changed();
});

/** Who sends a voice alone needs it. */
export function openGate() {
	if (gated || state.mode !== 'voice' || !maySend())
		return;
	gated = true;
	onGate(reconcile);
	reconcile();
}

// ---- what the buttons do ----

export function toggleMic() {
	if (inCall() && !maySend())
		return;
	state.want.mic = media.mic ? !state.want.mic : true;
	if (state.want.mic && !media.mic)
		openDevices({ mic: true });
	wanted();
}

export function toggleCamera() {
	if (state.mode === 'voice' || inCall() && !maySend())
		return;
	state.want.camera = media.camera || media.opening.camera ? !state.want.camera : true;
	if (state.want.camera)
		openDevices({ camera: true });
	else
		closeDevice('camera');
	wanted();
}

const mayShow = () => state.mode === 'video' && maySend();

export async function toggleScreen() {
	if (!mayShow())
		return;
	state.message = '';
	if (media.screen)
		closeScreen();
	else if (!await openScreen())
		state.message = 'problem.screen';
	if (!inCall() || !mayShow())
		closeScreen(); // left while the browser was still asking
	state.want.screen = !!media.screen;
	wanted();
}

function wanted() {
	if (inCall()) {
		keep();
		reconcile();
	}
	changed();
}

/**
 * What one may not send (any more) is switched off, and stays so until the person switches it on.
 * @param {Partial<Record<Kind, boolean>>} [mine] what the server says is on
 */
export function obey(mine) {
	const off = (/** @type {'mic'|'camera'|'screen'} */ k) => !!forbids(k) ||
		mine?.[k] === false && JSON.parse(told || '{}')[k] && Date.now() - toldAt > TOLD_MS;
	if (off('mic'))
		state.want.mic = false;
	if (state.want.camera && off('camera')) {
		state.want.camera = false;
		closeDevice('camera');
	}
	if (media.screen && off('screen'))
		closeScreen();
	if (!maySend())
		closeAll();
	else if (state.mode === 'voice' && line.peer && !line.peer.talks) { // a voice alone goes another way
		prepareVoice();
		line.rejoin();
	}
	if (state.asked && (forbids(state.asked) || switchedOn()[state.asked]))
		state.asked = '';
	wanted();
}

/** What a voice alone is sent through has to be there when it begins. */
export function prepareVoice() {
	if (maySend())
		openValve();
}

/** Voice or video in mid-call: a new connection with other sections, as the same person. @param {'voice'|'video'} mode */
export function setMode(mode) {
	if (mode === state.mode)
		return;
	state.mode = mode;
	if (mode === 'voice') {
		prepareVoice();
		closeDevice('camera');
		closeScreen();
		state.want.camera = false;
	} else {
		state.cappedAt = 0;
		if (state.capAt && state.bytes >= state.capAt) // who chooses it now wants as much again
			state.capAt = state.bytes + state.cap * 1e6;
	}
	if (inCall()) {
		keep();
		line.rejoin();
	}
	changed();
}

/** Where video stops by itself. @param {number} megabytes of the call as a whole, 0: nowhere */
export function setCap(megabytes) {
	state.cap = megabytes;
	state.capAt = megabytes * 1e6;
	state.cappedAt = 0;
	if (inCall())
		keep();
	changed();
}
