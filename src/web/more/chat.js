// SPDX-License-Identifier: AGPL-3.0-or-later
// The chat: what is kept in the server's memory, the newest below; reactions; and what moderators decide about it.
import { act, setWords, sureAct, want } from './acts.js';
import { ask, box, button, changed, get, icon, language, leads, leftOf, linked, make, myNumber, REACTIONS, setAttr, setLabel, setText, state, t,
	takes, tn } from './page.js';
import { Rows } from './rows.js';

/** @typedef {{m: number, n: number, name: string, text: string, hosts?: boolean, at: number}} Message */

const CHARS = 1000, BYTES = 3000, PIN_CHARS = 500; // docs/protocol.md
const TELL_LEFT = 150;
const KEPT = 200; // as many as the server keeps, and as there are in the document
const PART = 50, PART_BYTES = 12000; // fewer, and smaller: that was all
const NEAR_END_PX = 60;
const PROBLEM = 'chat-problem';

/** @type {Message[]} oldest first */
let messages = [];
let whole = false;
let asking = false;
/** There may be older ones than the first here. */
let older = false;
/** Of the older ones, which come from the first on. @type {Message[]|null} */
let filling = null;
/** @type {Rows<Message>} */
let rows;
/** The newest that has been rendered. */
let last = 0;
/** Whoever has the end before them goes along with it, until they scroll back. */
let following = true;

/** @param {any} m @returns {Message} */
const kept = ({ m, n, name, text, hosts, age }) => ({ m, n, name, text, hosts, at: Date.now() - (age || 0) * 1000 });

/** @param {{items: any[], more?: boolean}} e */
function onPart(e) {
	const list = e.items.map(kept);
	if (filling) {
		filling.push(...list.filter((m) => m.m < (messages[0]?.m ?? Infinity)));
		const on = e.more && list.length && list[list.length - 1].m < (messages[0]?.m ?? 0);
		if (on && ask({ t: 'chat', after: list[list.length - 1].m }))
			return;
		messages = [...filling, ...messages].slice(-KEPT);
		filling = null;
		older = false;
		return;
	}
	messages = list;
	asking = false;
	whole = true;
	older = list.length >= PART || list.reduce((sum, m) => sum + m.text.length, 0) > PART_BYTES;
}

function follow() {
	takes({
		welcome(e) {
			asking = false;
			filling = null;
			// What was taken back meanwhile is not to be seen any more, either.
			if (e.chat)
				whole = false;
			if (e.chat && e.chat.last !== state.chat.last)
				wantMessages(); // glance.js counts what is new among them
		},
		chat: onPart,
		said(e) {
			if (whole)
				messages = [...messages, kept(e)].slice(-KEPT);
		},
		unsaid(e) {
			messages = messages.filter((m) => m.m !== e.m);
		},
		role() {
			whole = false; // what goes to hosts
		},
	});
}

export function beginChat() {
	follow();
	rows = new Rows(box('chat-list'), makeMessage, fillMessage, box('chat-scroll'));
	button('chat-earlier').onclick = () => {
		filling = [];
		if (!ask({ t: 'chat', after: 0 }))
			filling = null;
		box('chat-scroll').focus();
	};
	box('chat-scroll').addEventListener('scroll', () => {
		following = nearEnd();
		if (following)
			box('chat-jump').hidden = true;
	}, { passive: true });
	new ResizeObserver(() => following && toEnd()).observe(box('chat-scroll'));
	button('chat-jump').onclick = () => {
		toEnd();
		box('say-text').focus();
	};
	get('say-form', HTMLFormElement).onsubmit = submit;
	const field = get('say-text', HTMLTextAreaElement);
	field.oninput = renderCompose;
	field.onkeydown = (e) => {
		// On a phone the key for a line end is one.
		if (e.key === 'Enter' && !e.shiftKey && !e.isComposing && matchMedia('(hover: hover)').matches)
			submit(e);
	};
	get('chat-mode', HTMLSelectElement).onchange = (e) =>
		want(PROBLEM, { t: 'chatrules', mode: /** @type {HTMLSelectElement} */ (e.target).value }).then(changed);
	get('pin-form', HTMLFormElement).onsubmit = (e) => {
		e.preventDefault();
		want(PROBLEM, { t: 'pin', text: get('pin-text', HTMLTextAreaElement).value.trim() });
	};
	get('pin-text', HTMLTextAreaElement).maxLength = PIN_CHARS;
	button('pin-drop').onclick = () => want(PROBLEM, { t: 'pin', text: '' }).then((done) => {
		if (done)
			get('pin-text', HTMLTextAreaElement).value = '';
	});
	for (const kind of REACTIONS) {
		const b = act('face-button', () => want(PROBLEM, { t: 'react', k: kind }));
		b.append(icon(kind));
		b.dataset.kind = kind;
		box('faces').append(b);
	}
	/** @type {const} */ (['messages', 'polls']).forEach((tab, i, all) => {
		const b = button(`tab-${tab}`);
		b.onclick = () => show(tab);
		b.onkeydown = (e) => {
			if (e.key !== 'ArrowRight' && e.key !== 'ArrowLeft')
				return;
			show(all[1 - i]);
			button(`tab-${all[1 - i]}`).focus();
		};
	});
}

/** @param {'messages'|'polls'} tab */
function show(tab) {
	state.tab = tab;
	changed();
}

// ---- messages ----

const scroller = () => box('chat-scroll');
const nearEnd = () => scroller().scrollHeight - scroller().scrollTop - scroller().clientHeight < NEAR_END_PX;

function toEnd() {
	following = true;
	scroller().scrollTop = scroller().scrollHeight;
	box('chat-jump').hidden = true;
}

/** @param {number} m */
function makeMessage(m) {
	const unsay = sureAct('word-button', () => want(PROBLEM, { t: 'unsay', m }));
	const text = make('p', 'said-text');
	text.dir = 'auto';
	return make('li', 'said', make('div', 'said-who', make('bdi'), make('small'), unsay), text);
}

/** @param {HTMLElement} row @param {Message} m */
function fillMessage(row, m) {
	const [who, text] = row.children;
	const unsay = who.children[2];
	const own = m.n === myNumber();
	row.dataset.own = String(own);
	setText(who.children[0], own ? t('you') : m.name);
	const time = new Date(m.at).toLocaleTimeString(`${language()}-u-nu-latn`, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
	setText(who.children[1], [time, m.hosts ? t('said.hosts') : ''].filter(Boolean).join(' · '));
	row.dataset.hosts = String(!!m.hosts);
	if (text.textContent !== m.text)
		linked(text, m.text);
	if (unsay instanceof HTMLElement) {
		unsay.hidden = !own && !leads();
		setWords(unsay, t(own ? 'said.unsay' : 'act.drop'));
	}
}

function wantMessages() {
	if (!whole && !asking)
		asking = ask({ t: 'chat' });
}

function renderMessages() {
	wantMessages();
	const height = scroller().scrollHeight, top = scroller().scrollTop;
	const before = last, first = rows.rows.keys().next().value;
	rows.render(messages.map((m) => [m.m, m]));
	box('chat-earlier').hidden = !older || !!filling;
	const newest = messages[messages.length - 1];
	last = newest?.m ?? 0;
	if (following || !before || newest?.n === myNumber() && last !== before)
		toEnd();
	else if (messages[0] && first !== undefined && messages[0].m < first)
		scroller().scrollTop = top + scroller().scrollHeight - height; // older ones came in above
	else if (last !== before)
		box('chat-jump').hidden = false;
}

// ---- writing ----

/** Whom one may write to now: everybody, hosts, nobody. */
const mayWrite = () => leads() ? 'all' : state.chat.mode;

function renderCompose() {
	const may = mayWrite();
	const to = get('say-to', HTMLSelectElement);
	if (may === 'hosts')
		to.value = 'hosts';
	to.disabled = may === 'hosts';
	const left = leftOf(get('say-text', HTMLTextAreaElement).value.trim(), CHARS, BYTES);
	const words = left < 0 ? tn('ask.over', -left) : left < TELL_LEFT ? tn('ask.left', left) : '';
	setText(box('say-hint'), may === 'off' ? t('chat.closed') : [may === 'hosts' ? t('chat.hosts') : '', words].filter(Boolean).join(' '));
	box('say-text').hidden = box('say-send').hidden = may === 'off';
	to.hidden = may === 'off';
	box('faces').hidden = may === 'off';
	button('say-send').disabled = left < 0;
}

/** @param {Event} e */
async function submit(e) {
	e.preventDefault();
	const field = get('say-text', HTMLTextAreaElement);
	const text = field.value.trim();
	if (!text || leftOf(text, CHARS, BYTES) < 0) {
		field.focus();
		return;
	}
	if (!await want(PROBLEM, { t: 'say', text, to: get('say-to', HTMLSelectElement).value }))
		return;
	if (field.value.trim() === text)
		field.value = '';
	field.focus();
	renderCompose();
}

// ---- all of it ----

export function renderChat() {
	if (state.panel !== 'chat')
		return;
	for (const tab of /** @type {const} */ (['messages', 'polls'])) {
		const on = state.tab === tab;
		setAttr(button(`tab-${tab}`), 'aria-selected', String(on));
		button(`tab-${tab}`).tabIndex = on ? 0 : -1;
		box(`part-${tab}`).hidden = !on;
	}
	state.chat[state.tab === 'polls' ? 'polls' : 'unread'] = 0;
	setText(box('count-messages'), state.chat.unread ? String(state.chat.unread) : '');
	setText(box('count-polls'), state.chat.polls ? String(state.chat.polls) : '');
	if (state.tab !== 'messages')
		return;
	renderMessages();
	renderCompose();
	for (const b of box('faces').children)
		if (b instanceof HTMLElement)
			setLabel(b, t(`react.${b.dataset.kind || ''}`));
	box('chat-rules').hidden = !leads();
	get('chat-mode', HTMLSelectElement).value = state.chat.mode;
	const pin = get('pin-text', HTMLTextAreaElement);
	if (pin.dataset.pin !== state.chat.pin && document.activeElement !== pin) {
		pin.dataset.pin = state.chat.pin;
		pin.value = state.chat.pin;
	}
	box('pin-drop').hidden = !state.chat.pin;
}
