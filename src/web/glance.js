// SPDX-License-Identifier: AGPL-3.0-or-later
// What everybody sees of board and chat without opening them: how many wait, what is unread, whose turn it is and for how
// long, what is pinned, reactions; and the hand, up or down with one press. Only counted here: the lists are more/'s.
import { state, changed, inCall, leads, myNumber } from './state.js';
import { figure, t, tn } from './i18n.js';
import { box, button, get, icon, make, setAttr, setIcon, setText } from './dom.js';
import { listeners } from './session.js';
import { keys, note, say, setTip } from './panels.js';
import { hasMore, renderMore, wantMore } from './lazy.js';
import { clock, pieces } from './text.js';
import { ask, takes, wish } from './wish.js';
import { whyWords } from './why.js';

/** @typedef {import('./state.js').Item} Item */

/** In the order in which they are offered. Drawn, since not every device has letters for them. */
export const REACTIONS = ['clap', 'heart', 'laugh', 'wow', 'yes', 'no'];
const REACTION_MS = 5000;
const PIN_SHORT = 90; // letters that fit in the line

// ---- what is told ----

takes({
	welcome(e) {
		if (!e.board || !e.chat)
			return; // in the lobby, or a server that has just begun
		const { open, pending = 0, limit, hand = 0, now = null } = e.board;
		Object.assign(state.board, { open, pending, limit, hand });
		setNow(now);
		const missed = state.chat.last && e.chat.last !== state.chat.last;
		if (missed && !hasMore())
			ask({ t: 'chat', after: state.chat.last });
		if (!missed)
			state.chat.last = e.chat.last;
		Object.assign(state.chat, { mode: e.chat.mode, pin: e.chat.pin || '' });
		if (pending)
			prepare();
	},
	item(e) {
		// What waits for approval is told with its own numbers, and changes nothing that all see.
		if (e.s !== 'pending')
			state.board.open = e.open;
		else if (leads())
			prepare();
		if (e.hand)
			onHand(e);
		else if ((!e.s || e.s === 'pending' && leads()) && (!e.n || e.n !== myNumber()))
			aloud('hands', 'question', e.name || t('board.anonymous'));
		if (e.s === 'now' && state.board.now?.q !== e.q)
			announceTurn(e);
		if (e.s === 'now')
			setNow(e);
		else if (state.board.now?.q === e.q)
			setNow(null);
	},
	gone(e) {
		state.board.open = e.open;
		if (state.board.hand === e.q)
			state.board.hand = 0;
		if (state.board.now?.q === e.q)
			setNow(null);
	},
	boardrules(e) {
		state.board.limit = e.limit;
	},
	said: onMessage,
	chat(e) {
		for (const m of e.items || [])
			if (m.m > state.chat.last)
				onMessage(m);
	},
	chatrules(e) {
		state.chat.mode = e.mode;
	},
	pin(e) {
		state.chat.pin = e.text;
		if (e.text)
			aloud('messages', 'pin', e.text);
	},
	poll(e) {
		if (!e.open || state.panel === 'chat' && state.tab === 'polls')
			return;
		state.chat.polls++;
		aloud('messages', 'poll', e.text);
	},
	reactions: showReactions,
});

/** @param {Item} hand */
function onHand(hand) {
	const up = !hand.s || hand.s === 'now';
	if (hand.n && hand.n === myNumber())
		state.board.hand = up ? hand.q : 0;
	else if (!hand.s)
		aloud('hands', 'hand', hand.name || '');
}

/** @param {Item|null} item */
function setNow(item) {
	const own = item?.q === state.board.now?.q && state.board.now?.own; // events to all do not say it
	state.board.now = item && { ...item, own: item.own || own };
	state.board.since = item ? Date.now() - (item.for || 0) * 1000 : 0;
	if (item)
		overSaid = (item.for || 0) > state.board.limit;
}

/** @param {Item} item */
function announceTurn(item) {
	if (item.hand && item.n === myNumber())
		say(t('now.yours'));
	else if (item.hand)
		aloud('hands', 'turn', item.name || '');
	else
		aloud('hands', 'answering', item.text || '');
}

/** @param {{m: number, n: number, name: string, text: string}} m */
function onMessage(m) {
	state.chat.last = m.m;
	if (m.n === myNumber())
		return;
	if (state.panel === 'chat' && state.tab === 'messages') {
		if (state.aloud.messages)
			say(t('said.message.text', { name: m.name, text: m.text }));
		return;
	}
	state.chat.unread++;
	aloud('messages', 'message', m.name);
}

/** @param {'hands'|'messages'} kind @param {string} what @param {string} name */
function aloud(kind, what, name) {
	if (state.aloud[kind])
		listeners.said(what, name);
}

// ---- reactions: how many, and not of whom ----

/** @type {Map<string, {el: HTMLElement, count: number, timer: ReturnType<typeof setTimeout>}>} */
const shown = new Map();

/** @param {any} e */
function showReactions(e) {
	for (const kind of REACTIONS) {
		if (!e[kind])
			continue;
		const before = shown.get(kind);
		clearTimeout(before?.timer);
		const el = before?.el || make('span', 'reaction');
		const count = (before?.count || 0) + e[kind];
		el.replaceChildren(icon(kind), make('span', '', count > 1 ? figure(count) : ''), make('span', 'hush', t(`react.${kind}`)));
		if (!before)
			box('reactions').append(el);
		const timer = setTimeout(() => {
			el.remove();
			shown.delete(kind);
		}, REACTION_MS);
		shown.set(kind, { el, count, timer });
	}
}

// ---- the buttons ----

async function hand() {
	const on = !state.board.hand;
	const why = await wish({ t: 'hand', on });
	if (why)
		note(whyWords(why));
	else
		say(t(on ? 'hand.up' : 'hand.down'));
}

/** @param {'board'|'chat'} which */
function toggle(which) {
	if (state.panel === which)
		close();
	else
		open(which);
}

/** @param {'board'|'chat'} which */
function open(which) {
	state.peopleOpen = false;
	state.panel = which;
	changed();
	wantMore().catch(() => {
		if (state.panel !== which)
			return;
		close();
		note(t('more.failed'));
	});
}

function close() {
	const { panel } = state;
	state.panel = '';
	changed();
	if (panel)
		button(`${panel}-button`).focus();
}

/** It is likely to be wanted; if it does not come, then when it is. */
function prepare() {
	wantMore().catch(() => {});
}

export function setupGlance() {
	button('hand').onclick = hand;
	for (const which of /** @type {('board'|'chat')[]} */ (['board', 'chat'])) {
		button(`${which}-button`).onclick = () => toggle(which);
		button(`${which}-close`).onclick = close;
		box(which).addEventListener('keydown', (e) => {
			if (e.key === 'Escape')
				close();
		});
	}
	Object.assign(keys, { h: hand, q: () => toggle('board'), c: () => toggle('chat') });
	button('pinned-more').onclick = () => {
		pinOpen = !pinOpen;
		changed();
	};
	setInterval(() => state.board.now && inCall() && renderNow(), 1000);
}

// ---- rendering ----

let pinOpen = false;
let pinned = '';
let overSaid = false;

export function renderGlance() {
	if (!inCall()) {
		state.panel = '';
		Object.assign(state.chat, { last: 0, unread: 0, polls: 0, pin: '' });
		state.board.now = null;
	}
	if (state.peopleOpen)
		state.panel = ''; // people were opened later
	renderPanels();
	renderButtons();
	renderPin();
	renderNow();
	renderMore();
}

function renderPanels() {
	document.documentElement.dataset.panel = state.panel;
	for (const which of ['board', 'chat']) {
		const dialog = get(which, HTMLDialogElement);
		if (dialog.open && state.panel !== which)
			dialog.close();
		else if (!dialog.open && state.panel === which)
			dialog.show();
	}
}

function renderButtons() {
	const { board, chat, panel } = state;
	const up = !!board.hand;
	setAttr(button('hand'), 'aria-pressed', String(up));
	setTip(button('hand'), t(up ? 'bar.hand.on' : 'bar.hand.off'));
	const waiting = board.open + board.pending;
	badge('board', waiting, waiting ? tn('bar.board.waiting', waiting) : t('bar.board.tip'));
	const unread = chat.unread + chat.polls;
	badge('chat', unread, unread ? tn('bar.chat.unread', unread) : t('bar.chat.tip'));
	for (const which of ['board', 'chat'])
		setAttr(button(`${which}-button`), 'aria-expanded', String(panel === which));
}

/** @param {'board'|'chat'} which @param {number} count @param {string} tip */
function badge(which, count, tip) {
	setText(box(`${which}-count`), count > 99 ? '99+' : count ? figure(count) : '');
	setTip(button(`${which}-button`), tip);
}

/** Names and text never become markup. @param {Element} e @param {string} text */
export function linked(e, text) {
	e.replaceChildren(...pieces(text).map((piece) => {
		if (!piece.href)
			return piece.text;
		const a = make('a', '', piece.text);
		a.href = piece.href;
		a.target = '_blank';
		a.rel = 'noopener noreferrer nofollow';
		a.dir = 'ltr';
		return a;
	}));
}

function renderPin() {
	const { pin } = state.chat;
	const text = box('pinned-text');
	if (pin !== pinned) {
		pinned = pin;
		pinOpen = false;
		linked(text, pin);
	}
	box('pinned').hidden = !pin;
	const more = button('pinned-more');
	more.hidden = pin.length < PIN_SHORT && !pin.includes('\n');
	setAttr(more, 'aria-expanded', String(pinOpen));
	setText(more, t(pinOpen ? 'pin.less' : 'pin.more'));
	box('pinned').dataset.open = String(pinOpen);
}

function renderNow() {
	const { now, since, limit } = state.board;
	const strip = box('now');
	strip.hidden = !now;
	if (!now)
		return;
	setIcon(strip, now.hand ? 'hand' : 'question');
	setText(box('now-title'), t(now.hand ? 'now.speaking' : 'now.answering'));
	const mine = now.own || now.n === myNumber();
	setText(box('now-name'), mine ? t('you') : now.name || t('board.anonymous'));
	setText(box('now-text'), now.text || '');
	const took = Math.floor((Date.now() - since) / 1000);
	const over = limit > 0 && took > limit;
	strip.dataset.over = String(over);
	const timer = box('now-timer');
	setText(timer, !limit ? clock(took) : over ? t('now.over', { time: clock(took - limit) })
		: t('now.of', { time: clock(took), limit: clock(limit) }));
	setAttr(timer, 'aria-label', t('now.timer', { time: timer.textContent || '' }));
	if (over && !overSaid && mine)
		say(t('now.over.yours'));
	overSaid ||= over;
}
