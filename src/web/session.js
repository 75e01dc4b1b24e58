// SPDX-License-Identifier: AGPL-3.0-or-later
// A stay in a call: joining, staying, coming back, leaving.
//
// There are two halves, and each heals by itself: *events* (the WebSocket, api.js) and *media* (the
// PeerConnection). Media heals in two steps: an ICE restart keeps the leg; where the server has no such
// leg any more (restarted, or away too long) the ticket joins again with a new PeerConnection, while tracks, what
// is switched on, and what is shown stay as they are.
//
// Invariant: at most one join and at most one ICE restart are under way; `peer` is the connection whose
// answer was applied last, and everything about an older one is ignored.
import { state, changed, forbids, keep, forget, inCall, maySend } from './state.js';
import { media, onMedia, openDevices, closeDevice, openScreen, closeScreen, closeAll } from './media.js';
import { ApiError, Events, Patience, post } from './api.js';
import { arrivals, makePeer, offer, readStats, setActive, Silence, Weakness } from './peer.js';
import { addPeople, missPeople, onPerson, setPeople, setSpeakers, wantsPeople } from './people.js';
import { streamOf, Talkers } from './rtp.js';
import { Climb } from './climb.js';
import { onGate, through } from './gate.js';
import { adoptSlots, holdSound, onSlot, releaseSlots, setSpeaker } from './slots.js';
import { LipSync } from './sync.js';
import { openValve } from './valve.js';
import { FREE, Hold, setBitrate, steerAnswer, THRIFT, WAY_FIRST } from './voice.js';
import { browserKey, forgetRules } from './rules.js';
import { sendsBy, tell } from './wish.js';

/** @typedef {import('./state.js').Kind} Kind */
/** @typedef {import('./peer.js').Peer} Peer */

const JOIN_LIMIT_MS = 20000; // an EDGE link may need ten
const ICE_LIMIT_MS = 8000;
const CONNECT_LIMIT_MS = 12000;
const DISCONNECTED_GRACE_MS = 700; // Chromium reports blips that pass by themselves
const DOUBT_MS = 2000; // in a pause of speech something comes in as often, losses included
const RESTART_GAP_MS = 2000;
const RESTART_HOLDS_MS = 4000; // a restart that works takes 20 ms to 3 s
const RESTARTS_MAX = 3;
const STATS_MS = 1000;
const PACE_S = 8;
const KEEP_BYTES = 200_000;
const LISTEN_MS = 300;
const LOSSY = 8; // per cent
const TALK_ENERGY = 1e-4; // a second of one's own voice at -40 dBFS
const BACK_MS = 4000;
const TOLD_MS = 3000; // what the server says of us later than that is no echo of what we said

/** @type {Peer|null} */ let peer = null;
/** @type {Events|null} */ let events = null;
let joining = false;
/** Was the connection made by somebody who may send? */
let talks = false;
let restarting = false;
let restartedAt = 0;
let restarts = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */ let mediaTimer = undefined;
/** @type {ReturnType<typeof setInterval>|undefined} */ let statsTimer = undefined;
/** @type {ReturnType<typeof setInterval>|undefined} */ let listenTimer = undefined;
const patience = new Patience();
let bytesBefore = 0;
let bytesKept = 0;
let sync = new LipSync();
let weakness = new Weakness();
let hold = new Hold();
let climb = new Climb();
let silence = new Silence();
let talkers = new Talkers();
/** When the server told last who talks; what we have said so far, and whether we are talking. */
const talk = { told: 0, said: 0, own: false };
/** Streams that nobody takes, as the server says. @type {Set<Kind>} */
const paused = new Set();
/** Sizes of them that somebody takes, as bits. @type {Map<Kind, number>} */
const layers = new Map();
/** @type {{t: string, show?: object[]}|null} */ let view = null;
/** Everything else comes before the gate. */
let gated = false;

/** What the page hears besides state: for the announcer, for the status line, and when one has to wait. @type {{said: (what: string, name: string) => void, tells: (words: string) => void, waits: () => void}} */
export const listeners = { said: () => {}, tells: () => {}, waits: () => {} };

export const currentPc = () => peer?.pc || null;

// ---- the phase, as both halves make it ----

function weigh() {
	if (!inCall())
		return;
	const { net } = state;
	const whole = net.media && net.events;
	if (whole && state.phase === 'reconnecting') {
		net.backUntil = Date.now() + BACK_MS;
		setTimeout(changed, BACK_MS + 50);
	}
	if (whole)
		net.ever = true;
	state.phase = whole ? 'call' : net.ever ? 'reconnecting' : 'connecting';
	changed();
}

// ---- joining ----

/** From the pre-join screen, or straight after a reload. */
export async function enter() {
	state.phase = 'connecting';
	state.reason = state.message = '';
	Object.assign(state.net, { media: false, events: false, ever: false, weak: false, backUntil: 0 });
	state.me = { id: '', name: state.name, role: state.me.role };
	setPeople({ people: [] });
	state.speakers = [];
	bytesBefore = bytesKept = state.bytes;
	state.pace = 0;
	state.pinned = '';
	patience.tries = 0;
	view = null;
	clearInterval(statsTimer);
	statsTimer = setInterval(readings, STATS_MS);
	clearInterval(listenTimer);
	listenTimer = setInterval(listen, LISTEN_MS);
	changed();
	await join();
}

/** Joins until it has worked or cannot work. Also the way back when the leg is gone. */
async function join() {
	if (joining || !inCall())
		return;
	joining = true;
	clearTimeout(mediaTimer);
	state.net.media = false;
	weigh();
	/** @type {Peer|null} */
	let next = null;
	while (inCall()) {
		try {
			talks = maySend();
			next = next || await makePeer(state.mode, tracksOn(), talks);
			const answer = await post(state.room, 'join', {
				...(state.ticket ? { ticket: state.ticket } : { token: state.token }),
				name: state.name, offer: next.offer, streams: next.streams, media: switchedOn(), key: browserKey() },
			JOIN_LIMIT_MS);
			if (!inCall()) {
				// Left while the answer was on its way: give the place back.
				post(state.room, 'leave', { ticket: answer.ticket }, ICE_LIMIT_MS).catch(() => {});
				break;
			}
			if (answer.waiting) {
				next.pc.close();
				joining = false;
				wait(answer);
				return;
			}
			await accept(next, answer);
			joining = false;
			return;
		} catch (e) {
			if (!(e instanceof ApiError)) {
				console.error(e);
				next?.pc.close();
				next = null;
				fail('bad-offer', String(e));
				break;
			}
			if (!retryable(e))
				break;
		}
		await patience.wait();
	}
	next?.pc.close();
	joining = false;
}

/** In the lobby (lobby.js) nothing is sent, and nothing heard. @param {any} answer */
function wait({ ticket, you, hosted }) {
	stop();
	Object.assign(state, { phase: 'waiting', ticket, me: you, hosted });
	keep();
	changed();
	listeners.waits();
}

/** @param {ApiError} e */
function retryable(e) {
	if (e.code === 'network' || e.code === 'too-many')
		return true;
	// The stay is forgotten, but the link may still open the door.
	if (state.ticket && state.token && (e.status === 401 || e.status === 403 || e.status === 410 ||
		e.code === 'expired' || e.code === 'bad-token')) {
		state.ticket = '';
		return true;
	}
	// In mid-call an error of the server may be a server that is just starting.
	if (state.net.ever && e.status >= 500)
		return true;
	fail(e.code, e.message);
	return false;
}

/** @param {Peer} next @param {any} answer */
async function accept(next, answer) {
	const old = peer;
	peer = next;
	restarts = 0;
	restarting = false;
	paused.clear();
	layers.clear();
	state.ticket = answer.ticket;
	state.leg = answer.leg;
	state.me = answer.you;
	keep();
	watchPeer(next);
	bytesBefore = state.bytes;
	sync = new LipSync();
	weakness = new Weakness();
	hold = new Hold();
	climb = new Climb();
	talkers = new Talkers();
	next.answer = answer.answer;
	state.way = { ...WAY_FIRST };
	state.voice = { down: 'all', red: 0, loss: 0, video: true };
	await answered(next);
	old?.pc.close();
	adoptSlots(answer.slots || [], next.pc);
	if (!maySend())
		closeAll();
	patience.tries = 0;
	if (events)
		events.reopen();
	else
		openEvents();
	arm(CONNECT_LIMIT_MS, () => state.net.media || rejoin());
	await reconcile();
	changed();
	openGate();
}

/** Who sends a voice alone needs it. */
function openGate() {
	if (gated || state.mode !== 'voice' || !maySend())
		return;
	gated = true;
	onGate(reconcile);
	reconcile();
}

function rejoin() {
	if (inCall() && !joining)
		join();
}

// ---- media ----

/** @param {Peer} p */
function watchPeer(p) {
	const { pc } = p;
	const look = () => {
		if (peer !== p)
			return;
		const ice = pc.iceConnectionState;
		const up = pc.connectionState === 'connected';
		if (up && !state.net.media) {
			state.net.media = true;
			silence = new Silence();
			restarts = 0;
			clearTimeout(mediaTimer);
		} else if (!up && state.net.media) {
			state.net.media = false;
		}
		if (pc.connectionState === 'failed' && ice !== 'failed')
			rejoin(); // DTLS is broken: no restart mends that
		else if (ice === 'failed')
			restartIce();
		else if (ice === 'disconnected')
			doubt(p, DISCONNECTED_GRACE_MS);
		weigh();
	};
	pc.onconnectionstatechange = pc.oniceconnectionstatechange = look;
}

/**
 * Firefox calls a path disconnected as soon as an answer to one of its checks is lost; a restart would tear a hole into what
 * still comes in on it. @param {Peer} p @param {number} ms
 */
async function doubt(p, ms) {
	const seen = await arrivals(p.pc).catch(() => null);
	if (peer !== p)
		return;
	arm(ms, async () => {
		const now = await arrivals(p.pc).catch(() => null);
		if (peer !== p || p.pc.iceConnectionState !== 'disconnected')
			return;
		if (now === seen)
			restartIce();
		else
			doubt(p, DOUBT_MS);
	});
}

/** One timer for media: the latest reason counts. @param {number} ms @param {() => unknown} then */
function arm(ms, then) {
	const armed = peer;
	clearTimeout(mediaTimer);
	mediaTimer = setTimeout(() => {
		if (armed === peer)
			then();
	}, ms);
}

/** As far as we know; the browser believes longer in what it has. */
const lost = () => !state.net.media || silence.dead;

/** Whoever sends or is sent something gets the server's reports. A weak link loses too many of them to judge by. */
function expectant() {
	if (state.net.weak || state.voice.loss >= LOSSY) // where copies fill the holes only the server knows
		return false;
	// Of voices nothing comes while all are silent, and reports are rare.
	if (soundOnly())
		return state.speakers.some((id) => id !== state.me.id);
	const sends = Object.entries(switchedOn()).some(([k, on]) => on && !paused.has(/** @type {Kind} */ (k)));
	return sends || [...state.slots.values()].some((slot) => slot.p);
}

/** Chosen, or as far as the link goes. */
const soundOnly = () => state.mode === 'voice' || !state.voice.video;

/** All voices come in one stream, which names itself who talks; the server tells it nowhere else. */
const atRung = () => soundOnly() && state.voice.down !== 'all';

function hearTalkers() {
	if (!atRung())
		return;
	const sound = [...state.slots.values()].find((slot) => slot.kind === 'audio');
	const ids = talkers.tick(sound?.receiver?.getContributingSources?.() || [], Date.now(), talk.told);
	if (!ids)
		return;
	const numbers = new Set(ids.map((id) => streamOf(id).n));
	const now = [...state.people.values()]
		.filter((p) => p.id === state.me.id ? talk.own : numbers.has(p.n)).map((p) => p.id);
	const same = now.length === state.speakers.length && now.every((id) => state.speakers.includes(id));
	setSpeakers(same ? state.speakers : now);
	if (!same)
		changed();
}

/** A few times a second. */
async function listen() {
	const p = peer;
	if (!p || !state.net.media)
		return;
	hearTalkers();
	const seen = expectant() ? await arrivals(p.pc).catch(() => null) : null;
	if (p === peer && silence.tick(seen, Date.now())) {
		events?.check();
		restartIce();
	}
}

/**
 * Media is lost or its path has changed: ask for new candidates, keep the leg. Does no harm if it was not so: media
 * stays where it is until there is something better.
 */
async function restartIce() {
	const p = peer;
	if (!p || joining || restarting || !inCall())
		return;
	const early = restartedAt + RESTART_GAP_MS - Date.now();
	if (early > 0) {
		arm(early, () => lost() && restartIce());
		return;
	}
	if (++restarts > RESTARTS_MAX) {
		rejoin();
		return;
	}
	restarting = true;
	restartedAt = Date.now();
	try {
		await travelling; // its offer and answer belong together
		const { answer } = await post(state.room, 'ice',
			{ ticket: state.ticket, leg: state.leg, offer: await offer(p.pc, { iceRestart: true }) }, ICE_LIMIT_MS);
		if (peer === p) {
			p.answer = answer;
			climb = new Climb(); // it may be another link now
		}
		if (peer === p && p.pc.signalingState === 'have-local-offer')
			await answered(p);
		restarting = false;
		if (peer === p)
			arm(RESTART_HOLDS_MS, () => lost() ? restartIce() : restarts = 0);
	} catch (e) {
		restarting = false;
		if (peer !== p)
			return;
		// No answer is no verdict on the leg; any other no is.
		if (e instanceof ApiError && (e.code === 'network' || e.code === 'too-many')) {
			restarts--;
			arm(RESTART_GAP_MS, () => lost() && restartIce());
		} else {
			rejoin();
		}
	}
}

// ---- how the voice travels ----

/** As was chosen, protected as the server wants it; or all as it wants it: of a voice alone, from thin on. */
function way() {
	if (THRIFT[state.thrift] !== FREE)
		return { rung: THRIFT[state.thrift], red: state.way.red };
	return state.mode === 'voice' ? state.way : { rung: FREE, red: false };
}

/** The server's answer takes effect, with the microphone sent as was chosen. @param {Peer} p */
async function answered(p) {
	const mid = p.streams.mic;
	const chosen = way();
	const answer = climb.put(p.answer);
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
function tellThrift() {
	const rung = THRIFT[state.thrift];
	events?.send({ t: 'voice', down: rung !== FREE ? rung : state.mode === 'voice' ? 'auto' : 'all' });
}

/** @param {import('./voice.js').Way} a @param {import('./voice.js').Way} b */
const same = (a, b) => a.rung === b.rung && a.red === b.red;

/** The server's word on how to send. @param {import('./voice.js').Way} next */
function steer(next) {
	const before = way();
	state.way = { ...next };
	if (!same(way(), before))
		travel();
}

let travelling = Promise.resolve();

/** What goes from us: the server's answer once more, with another way of sending. One after the other. */
function travel() {
	travelling = travelling.then(travelNow).catch((e) => console.warn(e));
}

async function travelNow() {
	const p = peer;
	if (!p || !p.answer || p.pc.signalingState !== 'stable' || restarting)
		return; // the answer that is under way is going to be steered, too
	await offer(p.pc);
	await answered(p);
}

/** What is switched on and also there to be sent. @returns {Record<Kind, boolean>} */
function switchedOn() {
	const video = mayShow();
	return { mic: !forbids('mic') && state.want.mic && !!media.mic,
		camera: video && !forbids('camera') && state.want.camera && !!media.camera,
		screen: video && !forbids('screen') && !!media.screen,
		screenaudio: video && !forbids('screenaudio') && !!media.screenaudio };
}

/** @returns {Partial<Record<Kind, MediaStreamTrack|null>>} */
function tracksOn() {
	const kinds = /** @type {[Kind, boolean][]} */ (Object.entries(switchedOn()));
	return Object.fromEntries(kinds.map(([k, on]) => [k, on ? media[k] : null]));
}

let told = '';
let toldAt = 0;
let reconciling = Promise.resolve();

/**
 * Makes senders and server agree with what is switched on. One after the other: two replaceTrack of
 * quick fingers must not overtake each other.
 */
function reconcile() {
	reconciling = reconciling.then(reconcileNow).catch((e) => console.warn(e));
	return reconciling;
}

async function reconcileNow() {
	const p = peer;
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
		const ready = k !== 'camera' || weakness.clean;
		await setActive(sender, ready && !paused.has(k), layers.get(k) || 0);
	}
}

/** @param {Record<Kind, boolean>} on */
function tellMedia(on) {
	const text = JSON.stringify(on);
	if (text === told || !events?.up)
		return;
	told = text;
	toldAt = Date.now();
	events.send({ t: 'media', ...on });
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
	else if (state.mode === 'voice' && peer && !talks) { // a voice alone goes another way
		prepareVoice();
		rejoin();
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
		rejoin();
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

/** What is shown: sent when it differs from what was sent last. @param {object[]} show */
export function setView(show) {
	const next = { t: 'view', show };
	if (state.mode === 'voice' || JSON.stringify(next) === JSON.stringify(view))
		return;
	view = next;
	events?.send(view);
}

/** The page has been hidden or shown, the network has come back: waiting is over. @param {boolean} changedNetwork */
export function hurry(changedNetwork) {
	if (!inCall())
		return;
	patience.hurry();
	if (changedNetwork) {
		// The old socket may hang for minutes on an address that we no longer have.
		events?.reopen();
		if (state.net.ever)
			restartIce();
		else // a browser that has just been started finds its network out: the checks may be getting through
			arm(RESTART_GAP_MS, () => state.net.media || restartIce());
		return;
	}
	events?.hurry();
	if (!state.net.media)
		restartIce();
}

// ---- events ----

function openEvents() {
	told = '';
	sendsBy((message) => !!events?.send(message));
	events = new Events(state.room, {
		hello: () => ({ ticket: state.ticket, leg: state.leg }),
		on,
		onUp(up) {
			told = '';
			state.net.events = up;
			weigh();
		},
		onClosed(code) {
			if (joining)
				return true;
			if (code === 4401) {
				// The ticket is void; the link may still be good, join() finds out.
				state.ticket = '';
				if (!state.token) {
					fail('expired', '');
					return false;
				}
				rejoin();
				return false; // which opens a new one
			}
			if (code === 4409) {
				end('replaced');
				return false;
			}
			return inCall();
		},
	});
}

/** What has been asked for and not come. @type {number|null} */
let asked = null;

/** One part at a time: the next is asked for when it has come, so a thin link has it as it can. */
export function askPeople() {
	const after = wantsPeople();
	if (after === null || after === asked || !events)
		return;
	asked = after;
	events.send({ t: 'people', after });
}

/** @param {any} e */
function on(e) {
	switch (e.t) {
	case 'welcome':
		state.ticket = e.ticket || state.ticket;
		state.me = e.you || state.me;
		keep();
		asked = null;
		// A server that has just been restarted knows nobody yet: the answer to our join tells.
		if (e.people)
			setPeople(e);
		state.speakers = e.speakers || [];
		talk.told = Date.now();
		if (e.leg === false) {
			rejoin();
		} else {
			for (const slot of e.slots || [])
				onSlot(slot);
		}
		told = '';
		reconcile();
		if (view)
			events?.send(view);
		if (state.thrift !== 'all' || state.mode === 'voice')
			tellThrift();
		break;
	case 'people':
		addPeople(e);
		asked = null;
		break;
	case 'ticket':
		state.ticket = e.ticket;
		keep();
		break;
	case 'join':
	case 'leave':
	case 'update':
	case 'speakers':
		if (e.t === 'speakers')
			talk.told = Date.now();
		onPerson(e, listeners.said);
		missPeople(e.ids || []);
		break;
	case 'slot':
		missPeople([e.p]);
		onSlot(e);
		break;
	case 'voice':
		state.voice = { down: e.down, red: e.red, loss: e.loss, video: e.video !== false };
		if (!state.voice.video)
			sync = new LipSync(); // the sound's buffers are the server's business now
		hold.ms = e.jitter || 0;
		holdSound(hold.ms);
		steer(e.up === undefined ? WAY_FIRST : { rung: e.up, red: !!e.upred });
		break;
	case 'pause':
		paused[e.on ? 'add' : 'delete'](e.k);
		layers.set(e.k, e.layers || 0);
		reconcile();
		break;
	case 'link':
		if (joining)
			break;
		if (e.state === 'gone')
			rejoin();
		else if (e.state === 'suspended')
			restartIce();
		break;
	case 'bye':
		onBye(e.reason, e.why);
		break;
	case 'error':
		console.warn('palabre:', e.error, e.message);
		break;
	}
	tell(e);
	askPeople();
	changed();
}

/** @param {string} reason @param {string} [why] */
export function onBye(reason, why) {
	if (reason === 'closing' || (reason === 'replaced' && joining))
		return; // the socket closes by itself and opens again
	if (reason === 'expired') {
		state.ticket = '';
		if (state.token)
			rejoin();
		else
			fail('expired', '');
		return;
	}
	end(why === 'banned' || why === 'denied' ? why : reason === 'replaced' || reason === 'removed' ? reason : 'left');
}

// ---- once a second ----

async function readings() {
	const p = peer;
	if (!p || p.pc.connectionState === 'closed')
		return;
	const r = await readStats(p.pc).catch(() => null);
	if (!r || p !== peer)
		return;
	const bytes = bytesBefore + r.bytes;
	if (bytes > state.bytes && state.bytes)
		state.pace += ((bytes - state.bytes) / (STATS_MS / 1000) - state.pace) / PACE_S;
	state.bytes = bytes;
	if (bytes - bytesKept > KEEP_BYTES) {
		bytesKept = bytes;
		keep();
	}
	if (state.capAt && bytes >= state.capAt && state.mode === 'video') {
		state.cappedAt = Date.now();
		setMode('voice');
	}
	talk.own = r.said - talk.said > TALK_ENERGY;
	talk.said = r.said;
	if (!soundOnly())
		sync.tick(r.samples, [...state.slots.values()]);
	else if (hold.tick(r.sound))
		holdSound(hold.ms);
	if (p.senders.camera?.track && weakness.clean && !paused.has('camera') && climb.tick(r.estimate, r.rtt))
		travel();
	const before = weakness.clean;
	const weak = state.net.media && weakness.tick(r);
	if (weakness.clean !== before)
		reconcile();
	if (weak !== state.net.weak) {
		state.net.weak = weak;
		changed();
	}
}

// ---- the end ----

export async function leave() {
	const { ticket, room } = state;
	end('left');
	if (ticket)
		await post(room, 'leave', { ticket }, ICE_LIMIT_MS).catch(() => {});
}

/** @param {'left'|'removed'|'banned'|'denied'|'replaced'} reason */
function end(reason) {
	stop();
	// After `replaced` the ticket is still good: the other window has it too.
	if (reason !== 'replaced') {
		state.ticket = '';
		forget();
	}
	state.phase = 'left';
	state.reason = reason;
	changed();
}

/** @param {string} code @param {string} message */
function fail(code, message) {
	stop();
	if (code === 'expired' || code === 'bad-token') {
		state.ticket = '';
		forget();
	}
	state.phase = 'error';
	state.reason = code;
	state.message = message;
	changed();
}

function stop() {
	events?.close();
	events = null;
	peer?.pc.close();
	peer = null;
	clearTimeout(mediaTimer);
	clearInterval(statsTimer);
	clearInterval(listenTimer);
	releaseSlots();
	closeAll();
	state.net.media = state.net.events = false;
	state.pinned = '';
	forgetRules();
	state.soundBlocked = false;
	patience.hurry();
}
