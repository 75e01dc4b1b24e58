// SPDX-License-Identifier: AGPL-3.0-or-later
// The board as the server tells it. Invariant: while `whole` is true, `items` is what everybody has: asked for once, then
// kept by events, each of which makes the revision one more; a number that was missed means to ask again.
import { ask, changed, leads, myNumber, state, takes } from './page.js';

/** @typedef {import('./page.js').Item & {at: number}} Kept at: when it was asked, ms */

/** @type {Map<number, Kept>} */
export const items = new Map();
export const rules = { hands: true, questions: true, approve: false, anonymous: true, order: 'arrival', limit: 0 };

/** What was told last; mr: to moderators alone. */
const seen = { r: -1, mr: -1 };
/** Questions that are ours, which events to all do not say. @type {Set<number>} */
const own = new Set();
/** Whose they are. */
let viewer = '';
let whole = false;
let asking = false;
let missed = false;
/** @type {number[]} */
let first = [];

export const isWhole = () => whole;
export const comes = () => asking;

/** As soon as somebody looks; who leads has to know what waits for approval. */
export function wantItems() {
	if (!whole && !asking && (state.panel === 'board' || leads()))
		asking = ask({ t: 'board' });
}

/** @param {{r?: number, mr?: number}} e */
function follow(e) {
	for (const k of /** @type {('r'|'mr')[]} */ (['r', 'mr'])) {
		const n = e[k];
		if (n === undefined)
			continue;
		missed ||= n !== seen[k] + 1;
		seen[k] = n;
	}
	if (missed && whole)
		whole = false;
}

/** @param {import('./page.js').Item} item */
function put(item) {
	const before = items.get(item.q);
	items.set(item.q, { ...item, own: item.own || before?.own || own.has(item.q) || !!item.n && item.n === myNumber(),
		voted: item.voted ?? before?.voted, at: Date.now() - (item.age || 0) * 1000 });
}

/** @param {any} e */
function onPart(e) {
	if (e.rules) {
		items.clear();
		own.clear();
		missed = false;
		first = e.items.map((/** @type {Kept} */ item) => item.q);
		Object.assign(rules, e.rules);
		Object.assign(seen, { r: e.r, mr: e.mr ?? seen.mr });
	}
	for (const item of e.items)
		put({ ...item, own: !!item.own, voted: !!item.voted });
	asking = e.more !== undefined && ask({ t: 'board', after: e.more, have: first });
	whole = e.more === undefined && !missed;
}

function countPending() {
	if (leads() && whole)
		state.board.pending = [...items.values()].filter((item) => item.s === 'pending').length;
}

export function followItems() {
	takes({
		welcome(e) {
			asking = false;
			if (state.me.id !== viewer)
				whole = false; // what is ours and what we voted for is another's
			viewer = state.me.id;
			if (e.board && (e.board.r !== seen.r || (e.board.mr ?? seen.mr) !== seen.mr))
				whole = false;
		},
		role() {
			whole = false;
		},
		board(e) {
			onPart(e);
			countPending();
		},
		item(e) {
			const { t: _t, r: _r, mr: _mr, open: _open, ...item } = e;
			follow(e);
			put(item);
			countPending();
		},
		gone(e) {
			follow(e);
			items.delete(e.q);
			countPending();
		},
		votes(e) {
			follow(e);
			for (const [q, v, spoke] of e.v) {
				const item = items.get(q);
				if (item)
					Object.assign(item, { v, spoke });
			}
		},
		boardrules(e) {
			follow(e);
			const { t: _t, r: _r, ...all } = e;
			Object.assign(rules, all);
		},
		own(e) {
			own.add(e.q);
			const item = items.get(e.q);
			if (item)
				item.own = true;
		},
	});
}

/** @param {number} q @param {boolean} on before the server has said how many there are */
export function setVoted(q, on) {
	const item = items.get(q);
	if (item)
		item.voted = on;
	changed();
}

/** How many questions of ours wait. */
export const mine = () => [...items.values()].filter((item) => item.own && !item.hand && item.s !== 'done').length;

/** Those in one state, in order. @param {string} s */
export function sorted(s) {
	const list = [...items.values()].filter((item) => (item.s || 'open') === s);
	if (s === 'done')
		return list.sort((a, b) => b.q - a.q);
	const by = { votes: (/** @type {Kept} */ item) => -(item.v || 0), least: (/** @type {Kept} */ item) => item.spoke || 0 };
	const rank = s === 'open' && rules.order in by ? by[/** @type {'votes'} */ (rules.order)] : () => 0;
	return list.sort((a, b) => rank(a) - rank(b) || a.q - b.q);
}
