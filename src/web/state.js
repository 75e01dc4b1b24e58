// SPDX-License-Identifier: AGPL-3.0-or-later
// The one state object. Whoever changes it calls changed(); renderers registered with
// onChange() run once afterwards, however many changes there were.
// Invariant: nothing else keeps a second copy of what is in here.
import * as roles from './roles.js';
import { WAY_FIRST } from './voice.js';

/** @typedef {'start'|'prejoin'|'waiting'|'connecting'|'call'|'reconnecting'|'left'|'error'} Phase */
/** @typedef {'mic'|'camera'|'screen'|'screenaudio'} Kind */
/**
 * @typedef {object} Person
 * @property {string} id
 * @property {string} name
 * @property {string} role
 * @property {boolean} mic
 * @property {boolean} camera
 * @property {boolean} screen
 * @property {boolean} screenaudio
 * @property {boolean} away
 * @property {boolean} [allowed] to speak, though all are muted
 * @property {boolean} [called] to speak, whatever role and rules
 * @property {Kind[]} [held] what a moderator has switched off for them
 * @property {number} n number in the room, never used twice
 */
/**
 * since: order of coming; spoke: ms or 0; lost: ms since when somebody who was there has had no connection, or 0
 * (somebody just joining is `away`, too, but not lost).
 * @typedef {Person & {since: number, spoke: number, seen: boolean, lost: number}} Member
 */
/**
 * A hand or a question, as the server tells it; `s` missing: it waits.
 * @typedef {{q: number, hand?: boolean, text?: string, n?: number, name?: string, s?: 'now'|'pending'|'done', v?: number,
 *	spoke?: number, for?: number, took?: number, age?: number, own?: boolean, voted?: boolean}} Item
 */
/** What has RTP timestamp `ts` was captured at `at` ms of the server's clock. @typedef {{ts: number, at: number}} Clock */
/** @typedef {{mid: string, p: string|null, k?: Kind, ts?: number, at?: number}} SlotEvent */
/**
 * A receiving section. `p` and `k` are what its pictures or sound show *now*; `pending` is what
 * the server announced from a later RTP timestamp on; `clock` is that of the stream shown; `id` is the stream that
 * the pictures named themselves last (0: none), and nothing told of before `since` counts any more.
 * @typedef {object} Slot
 * @property {string} mid
 * @property {'audio'|'video'} kind
 * @property {string|null} p
 * @property {Kind|null} k
 * @property {Clock|null} clock
 * @property {number} turn how often it was given to somebody
 * @property {number} id
 * @property {number|null} since
 * @property {{p: string|null, k: Kind|null, ts: number, clock: Clock|null}[]} pending
 * @property {HTMLMediaElement} el
 * @property {RTCRtpReceiver|null} receiver
 */

export const state = {
	/** @type {Phase} */
	phase: 'start',
	room: '',
	token: '',
	ticket: '',
	leg: '',
	name: '',
	/** @type {'voice'|'video'} */
	mode: 'video',
	/** @type {import('./voice.js').Thrift} */
	thrift: 'all',
	/**
	 * How the voices come to us, as the server says: a rung or 'all', earlier packets in each, loss in per cent; video: pictures may come, too.
	 * @type {{down: number|'all', red: number, loss: number, video: boolean}}
	 */
	voice: { down: 'all', red: 0, loss: 0, video: true },
	/** How the server wants our voice. @type {import('./voice.js').Way} */
	way: { ...WAY_FIRST },
	/** @type {{id: string, name: string, role: string}} */
	me: { id: '', name: '', role: '' },
	/** @type {Map<string, Member>} */
	people: new Map(),
	/** How many there are, who may not all be known. */
	count: 0,
	/** After which number to ask for others, null if all are known. @type {number|null} */
	more: null,
	/** Ids, loudest first. @type {string[]} */
	speakers: [],
	/** @type {Map<string, Slot>} */
	slots: new Map(),
	/** What the person wants to send; what they do send is also a question of devices. */
	want: { mic: true, camera: true, screen: false },
	/** Key of the tile shown large, '' = none. */
	pinned: '',
	peopleOpen: false,
	/** What else is beside the stage, and which part of the chat. @type {''|'board'|'chat'} */
	panel: '',
	/** @type {'messages'|'polls'} */
	tab: 'messages',
	/**
	 * Of the board: how many wait (for approval: as a moderator knows), speaking time in s, one's own hand, who or what is
	 * answered now and since when. @type {{open: number, pending: number, limit: number, hand: number, now: Item|null, since: number}}
	 */
	board: { open: 0, pending: 0, limit: 0, hand: 0, now: null, since: 0 },
	/** Of the chat: the last message, what has not been seen of messages and polls, and what is pinned. */
	chat: { last: 0, unread: 0, polls: 0, mode: 'all', pin: '' },
	/** Said in the status line for a while. */
	notice: { words: '', until: 0 },
	/** What of board and chat is read out. */
	aloud: { hands: true, messages: true },
	/** Single letters are shortcuts: not for everybody (WCAG 2.1.4). */
	keys: true,
	/** What holds for the room. */
	rules: { lock: false, lobby: false, mute: false, audience: false },
	/** Who waits in the lobby, as moderators know. @type {Map<string, {id: string, name: string, role: string}>} */
	lobby: new Map(),
	/** Of one's own waiting: is somebody there who can end it? */
	hosted: false,
	/** Who is to be shown large, ids. @type {string[]} */
	spotlight: [],
	/** What a moderator asks us to switch on. @type {Kind|''} */
	asked: '',
	/** Both halves of the connection, and whether it ever stood. */
	net: { media: false, events: false, ever: false, weak: false, backUntil: 0 },
	soundBlocked: false,
	/** Bytes sent and received in this call, all connections. */
	bytes: 0,
	/** Of them a second, lately. */
	pace: 0,
	/** Video stops at so many megabytes, 0 never: the choice, the bytes at which it does next, and when it did, ms or 0. */
	cap: 0,
	capAt: 0,
	cappedAt: 0,
	/** Why the stay ended or failed: a code of the catalogues' left.* or error.*. */
	reason: '',
	message: '',
};

/** @type {Set<() => void>} */
const renderers = new Set();
let due = false;

/** @param {() => void} render */
export function onChange(render) {
	renderers.add(render);
}

function renderAll() {
	due = false;
	for (const render of renderers)
		render();
}

export function changed() {
	if (due)
		return;
	due = true;
	// A hidden page gets no animation frames, but its state must stay true.
	if (document.hidden)
		setTimeout(renderAll, 0);
	else
		requestAnimationFrame(() => due && renderAll());
}

document.addEventListener('visibilitychange', () => {
	if (due)
		renderAll();
});

export const inCall = () => state.phase === 'call' || state.phase === 'connecting' ||
	state.phase === 'reconnecting';
/** May lead the board, the chat and the polls. */
export const leads = () => state.me.role === 'host' || state.me.role === 'moderator';
/** One's number in the room, 0 if it is not known yet. */
export const myNumber = () => state.people.get(state.me.id)?.n || 0;

/** What the server knows of us; the role may be newer. @returns {roles.Standing} */
const mine = () => ({ ...state.people.get(state.me.id), role: state.me.role });
/** Why somebody only listens, '' if they do not. @param {roles.Standing} [p] oneself, if missing */
export const listens = (p = mine()) => roles.listens(p, state.rules);
/** Why somebody may not send that, '' if they may. @param {Kind} kind @param {roles.Standing} [p] oneself, if missing */
export const forbids = (kind, p = mine()) => roles.forbids(kind, p, state.rules);
export const maySend = () => !listens();

// What survives a reload, in sessionStorage: the ticket makes it the same person.
const storeKey = () => `palabre:${state.room}`;

/**
 * @typedef {{token: string, ticket: string, name: string, mode: 'voice'|'video', role?: string, thrift?: import('./voice.js').Thrift,
 *	cap?: number, capAt?: number, bytes?: number, mic: boolean, camera: boolean}} Kept
 */

export function keep() {
	const { token, ticket, name, mode, me, thrift, cap, capAt, bytes, want } = state;
	write(storeKey(), JSON.stringify({ token, ticket, name, mode, role: me.role, thrift, cap, capAt, bytes, mic: want.mic, camera: want.camera }));
}

/** @returns {Kept|null} */
export function kept() {
	try {
		return JSON.parse(read(storeKey()) || 'null');
	} catch {
		return null;
	}
}

export function forget() {
	write(storeKey(), '');
}

// sessionStorage throws where the browser blocks storage; the call must work all the same.
/** @param {string} key */
export function read(key) {
	try {
		return sessionStorage.getItem(key) || '';
	} catch {
		return '';
	}
}

/** @param {string} key @param {string} value */
export function write(key, value) {
	try {
		if (value)
			sessionStorage.setItem(key, value);
		else
			sessionStorage.removeItem(key);
	} catch { /* nothing is remembered then */ }
}

/** Renders at once: for what must show with the very next frame. */
export function flush() {
	renderAll();
}
