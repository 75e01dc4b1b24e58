// SPDX-License-Identifier: AGPL-3.0-or-later
// A stay in a call: joining, staying, coming back, leaving.
//
// There are two halves, and each heals by itself: *events* (the WebSocket, api.js) and *media* (the
// PeerConnection). Media heals in two steps: an ICE restart keeps the leg; where the server has no such
// leg any more (restarted, or away too long) the ticket joins again with a new PeerConnection, while tracks, what
// is switched on, and what is shown stay as they are.
//
// Invariant: at most one join and at most one ICE restart are under way; `line.peer` is the connection whose
// answer was applied last, and everything about an older one is ignored.
import { state, changed, keep, forget, inCall, maySend } from './state.js';
import { closeAll } from './media.js';
import { ApiError, Events, Patience, post } from './api.js';
import { arrivals, makePeer, offer } from './peer.js';
import { addPeople, missPeople, onPerson, setPeople, wantsPeople } from './people.js';
import { Climb } from './climb.js';
import { line } from './line.js';
import { browserKey, forgetRules } from './rules.js';
import { answered, forgetTold, layers, openGate, paused, reconcile, steer, switchedOn, tellThrift, tracksOn, travelled } from './sends.js';
import { adoptSlots, onSlot, releaseSlots } from './slots.js';
import { WAY_FIRST } from './voice.js';
import { isAlive, isSilent, onTalk, onVoice, stopWatch, watch, watchAnew } from './watch.js';
import { sendsBy, tell } from './wish.js';

/** @typedef {import('./peer.js').Peer} Peer */

const JOIN_LIMIT_MS = 20000; // an EDGE link may need ten
const ICE_LIMIT_MS = 8000;
const CONNECT_LIMIT_MS = 12000;
const DISCONNECTED_GRACE_MS = 700; // Chromium reports blips that pass by themselves
const DOUBT_MS = 2000; // in a pause of speech something comes in as often, losses included
const CONSENT_MS = 12000; // Firefox gives a path up 25 s after it began to call it disconnected, whatever comes on it
const RESTART_GAP_MS = 2000;
const RESTART_HOLDS_MS = 4000; // a restart that works takes 20 ms to 3 s
const RESTARTS_MAX = 3;
const BACK_MS = 4000;

let joining = false;
let restartedAt = 0;
let restarts = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */ let mediaTimer = undefined;
const patience = new Patience();
/** @type {{t: string, show?: object[]}|null} */ let view = null;

/** What the page hears besides state: for the announcer, for the status line, and when one has to wait. @type {{said: (what: string, name: string) => void, tells: (words: string) => void, waits: () => void}} */
export const listeners = { said: () => {}, tells: () => {}, waits: () => {} };

export const currentPc = () => line.peer?.pc || null;

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
	state.pinned = '';
	patience.tries = 0;
	view = null;
	watch();
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
			next = next || await makePeer(state.mode, tracksOn(), maySend());
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
	const old = line.peer;
	line.peer = next;
	restarts = 0;
	line.restarting = false;
	paused.clear();
	layers.clear();
	state.ticket = answer.ticket;
	state.leg = answer.leg;
	state.me = answer.you;
	keep();
	watchPeer(next);
	watchAnew();
	next.answer = answer.answer;
	state.way = { ...WAY_FIRST };
	state.voice = { down: 'all', red: 0, loss: 0, video: true };
	await answered(next);
	old?.pc.close();
	adoptSlots(answer.slots || [], next.pc);
	if (!maySend())
		closeAll();
	patience.tries = 0;
	if (line.events)
		line.events.reopen();
	else
		openEvents();
	arm(CONNECT_LIMIT_MS, () => state.net.media || rejoin());
	await reconcile();
	changed();
	openGate();
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
		if (line.peer !== p)
			return;
		const ice = pc.iceConnectionState;
		const up = pc.connectionState === 'connected';
		if (up && !state.net.media) {
			state.net.media = true;
			isAlive();
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
			doubt(p, DISCONNECTED_GRACE_MS, Date.now());
		weigh();
	};
	pc.onconnectionstatechange = pc.oniceconnectionstatechange = look;
}

/**
 * Firefox calls a path disconnected as soon as an answer to one of its checks is lost; a restart would tear a hole into what
 * still comes in on it, but a smaller one than if it gave up. @param {Peer} p @param {number} ms @param {number} since
 */
async function doubt(p, ms, since) {
	const seen = await arrivals(p.pc).catch(() => null);
	if (line.peer !== p)
		return;
	arm(ms, async () => {
		const now = await arrivals(p.pc).catch(() => null);
		if (line.peer !== p || p.pc.iceConnectionState !== 'disconnected')
			return;
		if (now === seen || Date.now() - since > CONSENT_MS)
			restartIce();
		else
			doubt(p, DOUBT_MS, since);
	});
}

/** One timer for media: the latest reason counts. @param {number} ms @param {() => unknown} then */
function arm(ms, then) {
	const armed = line.peer;
	clearTimeout(mediaTimer);
	mediaTimer = setTimeout(() => {
		if (armed === line.peer)
			then();
	}, ms);
}

/** As far as we know; the browser believes longer in what it has. */
const lost = () => !state.net.media || isSilent();

/**
 * Media is lost or its path has changed: ask for new candidates, keep the leg. Does no harm if it was not so: media
 * stays where it is until there is something better.
 */
async function restartIce() {
	const p = line.peer;
	if (!p || joining || line.restarting || !inCall())
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
	line.restarting = true;
	restartedAt = Date.now();
	try {
		await travelled();
		const { answer } = await post(state.room, 'ice',
			{ ticket: state.ticket, leg: state.leg, offer: await offer(p.pc, { iceRestart: true }) }, ICE_LIMIT_MS);
		if (line.peer === p) {
			p.answer = answer;
			line.climb = new Climb(); // it may be another link now
		}
		if (line.peer === p && p.pc.signalingState === 'have-local-offer')
			await answered(p);
		line.restarting = false;
		if (line.peer === p)
			arm(RESTART_HOLDS_MS, () => lost() ? restartIce() : restarts = 0);
	} catch (e) {
		line.restarting = false;
		if (line.peer !== p)
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

/** What is shown: sent when it differs from what was sent last. @param {object[]} show */
export function setView(show) {
	const next = { t: 'view', show };
	if (state.mode === 'voice' || JSON.stringify(next) === JSON.stringify(view))
		return;
	view = next;
	line.events?.send(view);
}

/** The page has been hidden or shown, the network has come back: waiting is over. @param {boolean} changedNetwork */
export function hurry(changedNetwork) {
	if (!inCall())
		return;
	patience.hurry();
	if (changedNetwork) {
		// The old socket may hang for minutes on an address that we no longer have.
		line.events?.reopen();
		if (state.net.ever)
			restartIce();
		else // a browser that has just been started finds its network out: the checks may be getting through
			arm(RESTART_GAP_MS, () => state.net.media || restartIce());
		return;
	}
	line.events?.hurry();
	if (!state.net.media)
		restartIce();
}

// ---- events ----

function openEvents() {
	forgetTold();
	sendsBy((message) => !!line.events?.send(message));
	line.events = new Events(state.room, {
		hello: () => ({ ticket: state.ticket, leg: state.leg }),
		on,
		onUp(up) {
			forgetTold();
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
	if (after === null || after === asked || !line.events)
		return;
	asked = after;
	line.events.send({ t: 'people', after });
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
		onTalk();
		if (e.leg === false) {
			rejoin();
		} else {
			for (const slot of e.slots || [])
				onSlot(slot);
		}
		forgetTold();
		reconcile();
		if (view)
			line.events?.send(view);
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
			onTalk();
		onPerson(e, listeners.said);
		missPeople(e.ids || []);
		break;
	case 'slot':
		missPeople([e.p]);
		onSlot(e);
		break;
	case 'voice':
		state.voice = { down: e.down, red: e.red, loss: e.loss, video: e.video !== false };
		onVoice(e.jitter || 0);
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
	line.events?.close();
	line.events = null;
	line.peer?.pc.close();
	line.peer = null;
	clearTimeout(mediaTimer);
	stopWatch();
	releaseSlots();
	closeAll();
	state.net.media = state.net.events = false;
	state.pinned = '';
	forgetRules();
	state.soundBlocked = false;
	patience.hurry();
}

line.restart = restartIce;
line.rejoin = rejoin;
