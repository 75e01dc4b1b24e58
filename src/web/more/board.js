// SPDX-License-Identifier: AGPL-3.0-or-later
// The panel of the board: one list for everybody, the form to ask, and what moderators decide.
import { act, setWords, sureAct, want } from './acts.js';
import { comes, isWhole, items, mine, rules, setVoted, sorted, wantItems } from './items.js';
import { box, button, changed, clock, figure, get, icon, language, leads, leftOf, make, post, setAttr, setLabel, setNotice, setText, state,
	t, tn, whyWords } from './page.js';
import { Rows } from './rows.js';

/** @typedef {import('./items.js').Kept} Kept */

const CHARS = 400, BYTES = 1200, MINE_MAX = 5; // docs/protocol.md
const TELL_LEFT = 100;
const LIMITS_S = [0, 30, 60, 120, 180, 300, 600, 900];
const PROBLEM = 'board-problem';
/** How many of a group are in the document: more when asked for. @type {Record<string, number>} */
const shown = { now: 1, open: 40, pending: 40, done: 10 };
const MORE = 40;
const EXPORT_MS = 20000;

/** @type {Map<string, Rows<Kept>>} */
const groups = new Map();

export function beginBoard() {
	for (const s of Object.keys(shown)) {
		groups.set(s, new Rows(box(`items-${s}`), makeItem, fillItem, box('board-scroll')));
		button(`more-${s}`).onclick = () => {
			shown[s] += MORE;
			changed();
		};
	}
	get('ask-form', HTMLFormElement).onsubmit = submit;
	get('ask-text', HTMLTextAreaElement).oninput = renderAsk;
	button('board-next').onclick = () => want(PROBLEM, { t: 'answer' });
	button('board-done').onclick = () => want(PROBLEM, { t: 'done' });
	button('board-save').onclick = saveAsText;
	for (const input of ruleInputs())
		input.onchange = () => want(PROBLEM, { t: 'boardrules', [input.dataset.rule || '']: input.checked }).then(changed);
	const order = get('board-order', HTMLSelectElement), limit = get('board-limit', HTMLSelectElement);
	order.onchange = () => want(PROBLEM, { t: 'boardrules', order: order.value }).then(changed);
	limit.onchange = () => want(PROBLEM, { t: 'boardrules', limit: Number(limit.value) }).then(changed);
}

const ruleInputs = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll('input[data-rule]')]);

// ---- an item ----

/** @param {number} q */
function makeItem(q) {
	const vote = act('vote', async () => {
		const on = !items.get(q)?.voted;
		setVoted(q, on);
		if (!await want(PROBLEM, { t: 'vote', q, on }))
			setVoted(q, !on);
	});
	vote.append(icon('up'), make('span'));
	const buttons = ['answer', 'approve', 'done', 'reopen'].map((what) => {
		const b = act('second', () => want(PROBLEM, { t: what, q }));
		b.dataset.act = what;
		return b;
	});
	const drop = sureAct('second', () => want(PROBLEM, { t: 'drop', q }));
	const row = make('li', 'item', make('p', 'item-who', icon('hand'), make('bdi'), make('small')), make('p', 'item-text'),
		make('div', 'item-acts', vote, ...buttons, drop));
	row.children[1].setAttribute('dir', 'auto');
	row.querySelector('svg')?.classList.add('points');
	return row;
}

/** @param {Kept} item */
function nameOf(item) {
	if (item.own)
		return item.name || item.hand ? t('you') : t('item.own.anonymous');
	return item.name || t('board.anonymous');
}

/** Empty if it was just now. @param {number} ms */
function ago(ms) {
	const minutes = Math.floor((Date.now() - ms) / 60000);
	if (minutes < 1)
		return '';
	const words = new Intl.RelativeTimeFormat(`${language()}-u-nu-latn`, { numeric: 'auto', style: 'short' });
	return minutes < 60 ? words.format(-minutes, 'minute') : words.format(-Math.floor(minutes / 60), 'hour');
}

/** @param {HTMLElement} row @param {Kept} item */
function fillItem(row, item) {
	const [who, text, acts] = row.children;
	const s = item.s || 'open';
	row.dataset.state = s;
	setAttr(who.querySelector('use') || who, 'href', item.hand ? '#i-hand' : '#i-question');
	setText(who.children[1], nameOf(item));
	setText(who.children[2], [item.hand ? t('item.hand') : '', s === 'pending' && !leads() ? t('item.pending') : '', ago(item.at),
		item.took ? t('item.took', { time: clock(item.took) }) : '',
		s === 'open' && rules.order === 'least' && item.spoke ? t('item.spoke', { time: clock(item.spoke) }) : ''].filter(Boolean).join(' · '));
	setText(text, item.text || '');
	const [vote, ...buttons] = /** @type {HTMLButtonElement[]} */ ([...acts.children]);
	const votes = item.v || 0;
	vote.hidden = s === 'pending' || !votes && (item.own || s !== 'open');
	setText(vote.children[1], figure(votes));
	setAttr(vote, 'aria-pressed', String(!!item.voted));
	const tip = t(item.own ? 'item.vote.own' : 'item.vote.off');
	setLabel(vote, `${figure(votes)}, ${tip}`, tip); // whoever speaks to it says what they see
	setAttr(vote, 'aria-disabled', String(!!item.own || s !== 'open'));
	const drop = buttons.pop();
	const leading = leads();
	/** @type {Record<string, boolean>} */
	const may = { answer: s === 'open', approve: s === 'pending', done: s === 'open', reopen: s === 'done' || s === 'now' };
	for (const b of buttons) {
		b.hidden = !leading || !may[b.dataset.act || ''];
		setText(b, t(`act.${b.dataset.act || ''}`));
	}
	if (drop) {
		drop.hidden = !leading && (!item.own || s === 'done');
		setWords(drop, t(item.own ? 'act.withdraw' : 'act.drop'));
	}
}

// ---- asking ----

/** What one should know before one asks, not after. @returns {string} */
function hint() {
	const left = leftOf(get('ask-text', HTMLTextAreaElement).value.trim(), CHARS, BYTES);
	if (mine() >= MINE_MAX)
		return t('ask.full', { n: MINE_MAX });
	return [left < 0 ? tn('ask.over', -left) : left < TELL_LEFT ? tn('ask.left', left) : '', rules.approve && !leads() ? t('ask.approve') : '',
		mine() >= MINE_MAX - 2 ? t('ask.mine', { n: mine(), max: MINE_MAX }) : ''].filter(Boolean).join(' ');
}

function renderAsk() {
	const open = rules.questions || leads();
	setText(box('ask-hint'), open ? hint() : t('ask.closed'));
	box('ask-text').hidden = box('ask-send').hidden = !open;
	box('ask-anonymous-field').hidden = !open || !rules.anonymous;
	const left = leftOf(get('ask-text', HTMLTextAreaElement).value.trim(), CHARS, BYTES);
	button('ask-send').disabled = mine() >= MINE_MAX || left < 0;
}

/** @param {Event} e */
async function submit(e) {
	e.preventDefault();
	const field = get('ask-text', HTMLTextAreaElement), anonymous = get('ask-anonymous', HTMLInputElement);
	const text = field.value.trim();
	if (!text || leftOf(text, CHARS, BYTES) < 0) {
		field.focus();
		return;
	}
	if (!await want(PROBLEM, { t: 'question', text, anonymous: rules.anonymous && anonymous.checked }))
		return;
	if (field.value.trim() === text)
		field.value = '';
	anonymous.checked = false;
	field.focus();
	changed();
}

// ---- moderators ----

async function saveAsText() {
	const { room, ticket } = state;
	/** @type {string} */
	let text;
	try {
		text = await post(room, 'board', { ticket }, EXPORT_MS);
	} catch {
		setNotice(box(PROBLEM), whyWords('internal'));
		return;
	}
	const link = make('a');
	link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
	link.download = `${room}-${new Date().toISOString().slice(0, 16).replace(/[T:]/g, '-')}.txt`;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function renderRules() {
	box('board-rules').hidden = !leads();
	if (!leads())
		return;
	for (const input of ruleInputs())
		input.checked = rules[/** @type {'hands'} */ (input.dataset.rule)];
	get('board-order', HTMLSelectElement).value = rules.order;
	const limit = get('board-limit', HTMLSelectElement);
	const values = [...new Set([...LIMITS_S, rules.limit])].sort((a, b) => a - b);
	const key = values.join() + language();
	if (limit.dataset.key !== key) {
		limit.dataset.key = key;
		limit.replaceChildren(...values.map((s) => {
			const option = make('option', '', s ? clock(s) : t('rule.limit.none'));
			option.value = String(s);
			return option;
		}));
	}
	limit.value = String(rules.limit);
}

// ---- all of it ----

export function renderBoard() {
	wantItems();
	if (state.panel !== 'board')
		return;
	for (const [s, rows] of groups) {
		const list = sorted(s);
		box(`group-${s}`).hidden = !list.length;
		rows.render(list.slice(0, shown[s]).map((item) => [item.q, item]));
		const rest = list.length - shown[s];
		const more = button(`more-${s}`);
		more.hidden = rest <= 0;
		if (rest > 0)
			setText(more, tn('board.rest', rest));
	}
	setText(box('board-empty'), items.size ? '' : isWhole() ? t('board.empty') : comes() ? t('more.coming') : '');
	box('board-lead').hidden = !leads();
	button('board-next').disabled = !state.board.open;
	button('board-done').disabled = !state.board.now;
	renderAsk();
	renderRules();
}
