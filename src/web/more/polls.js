// SPDX-License-Identifier: AGPL-3.0-or-later
// Polls: asked by moderators, answered once and without a name; counts when they are closed, as text and as bars.
import { act, setWords, sureAct, want } from './acts.js';
import { ask, box, button, changed, figure, get, leads, leftOf, make, setAttr, setLabel, setText, state, t, takes, tn } from './page.js';
import { Rows } from './rows.js';

/**
 * @typedef {{poll: number, text: string, options: string[], open: boolean, multiple: boolean, late: boolean, votes: number,
 *	counts?: number[], voted?: boolean}} Poll
 */

const CHARS = 400, BYTES = 1200, OPTION_CHARS = 80, OPTIONS_MIN = 2, OPTIONS_MAX = 10; // docs/protocol.md
const PROBLEM = 'polls-problem';

/** @type {Map<number, Poll>} */
const polls = new Map();
let whole = false;
let asking = false;
let fresh = false;
/** @type {Rows<Poll>} */
let rows;

export function followPolls() {
	takes({
		welcome() {
			whole = asking = false;
		},
		polls(e) {
			if (!fresh)
				polls.clear();
			fresh = true;
			for (const poll of e.items)
				polls.set(poll.poll, poll);
			asking = !!e.more && ask({ t: 'polls', after: e.items[e.items.length - 1].poll });
			whole = !e.more;
		},
		poll({ t: _t, ...poll }) {
			polls.set(poll.poll, { ...poll, voted: polls.get(poll.poll)?.voted });
		},
		pollvotes(e) {
			const poll = polls.get(e.poll);
			if (poll)
				poll.votes = e.votes;
		},
		pollgone(e) {
			polls.delete(e.poll);
		},
	});
}

export function beginPolls() {
	rows = new Rows(box('polls-list'), makePoll, fillPoll, box('polls-scroll'));
	get('poll-form', HTMLFormElement).onsubmit = begin;
	button('poll-add').onclick = () => {
		addOption().focus();
		changed();
	};
	for (let i = 0; i < OPTIONS_MIN; i++)
		addOption();
}

// ---- one of them ----

/** @param {number} id */
function makePoll(id) {
	const close = act('second', () => want(PROBLEM, { t: 'closepoll', poll: id }));
	const drop = sureAct('second', () => want(PROBLEM, { t: 'droppoll', poll: id }));
	const form = make('form', 'poll-choices');
	form.onsubmit = (e) => {
		e.preventDefault();
		choose(id, form);
	};
	return make('li', 'poll', form, make('ul', 'poll-counts'), make('p', 'fine'), make('div', 'item-acts', close, drop));
}

/** @param {number} id @param {HTMLFormElement} form */
async function choose(id, form) {
	const inputs = [...form.querySelectorAll('input')];
	const choices = inputs.flatMap((input, i) => input.checked ? [i] : []);
	if (!choices.length) {
		inputs[0].focus();
		return;
	}
	const poll = polls.get(id);
	if (!await want(PROBLEM, { t: 'choose', poll: id, choices }) || !poll)
		return;
	const now = polls.get(id);
	if (now)
		now.voted = true;
	changed();
}

/** @param {HTMLElement} row @param {Poll} poll */
function fillPoll(row, poll) {
	const [form, counts, line, acts] = /** @type {HTMLElement[]} */ ([...row.children]);
	const choosing = poll.open && !poll.voted;
	fillChoices(form, poll, choosing);
	fillCounts(counts, poll, choosing);
	const words = [poll.open ? '' : t('poll.closed'), tn('poll.votes', poll.votes), poll.voted && poll.open ? t('poll.voted') : '',
		poll.open ? t('poll.later') : poll.counts ? '' : t('poll.few')];
	setText(line, words.filter(Boolean).join(' '));
	const [close, drop] = /** @type {HTMLElement[]} */ ([...acts.children]);
	acts.hidden = !leads();
	close.hidden = !poll.open;
	setText(close, t('poll.close'));
	setWords(drop, t('act.drop'));
}

/** Made once, so that what is being chosen stays. @param {HTMLElement} form @param {Poll} poll @param {boolean} choosing */
function fillChoices(form, poll, choosing) {
	if (!form.firstChild) {
		const legend = make('legend', 'poll-text', poll.text);
		legend.dir = 'auto';
		const choices = poll.options.map((option) => {
			const input = make('input');
			input.type = poll.multiple ? 'checkbox' : 'radio';
			input.name = `poll-${poll.poll}`;
			const words = make('span', '', option);
			words.dir = 'auto';
			return make('label', 'check', input, words);
		});
		const send = make('button', 'primary');
		send.type = 'submit';
		form.append(make('fieldset', '', legend, make('p', 'fine'), ...choices), send);
	}
	form.hidden = !choosing;
	const [fieldset, send] = form.children;
	setText(fieldset.children[1], poll.multiple ? t('poll.several') : '');
	setText(send, t('poll.vote'));
}

/** @param {HTMLElement} list @param {Poll} poll @param {boolean} choosing */
function fillCounts(list, poll, choosing) {
	list.hidden = choosing;
	if (!list.firstChild) {
		const head = make('li', 'poll-text', poll.text);
		head.dir = 'auto';
		list.append(head, ...poll.options.map((option) => {
			const name = make('span', '', option);
			name.dir = 'auto';
			return make('li', 'poll-option', name, make('b'), make('span', 'poll-bar', make('span')));
		}));
	}
	poll.options.forEach((_option, i) => {
		const [, figures, bar] = list.children[i + 1].children;
		const count = poll.counts?.[i];
		setText(figures, count === undefined ? '' : t('poll.count', { n: figure(count), share: figure(share(count, poll), { style: 'percent' }) }));
		if (bar instanceof HTMLElement) {
			bar.hidden = count === undefined;
			bar.style.setProperty('--share', String(share(count || 0, poll)));
		}
	});
}

/** @param {number} count @param {Poll} poll */
const share = (count, poll) => poll.votes ? count / poll.votes : 0;

// ---- a new one ----

const options = () => [...box('poll-options').querySelectorAll('input')];

function addOption() {
	const input = make('input');
	input.type = 'text';
	input.maxLength = OPTION_CHARS;
	input.dir = 'auto';
	input.autocomplete = 'off';
	box('poll-options').append(input);
	return input;
}

/** @param {Event} e */
async function begin(e) {
	e.preventDefault();
	const field = get('poll-text', HTMLInputElement);
	const text = field.value.trim();
	const given = options().map((input) => input.value.trim()).filter(Boolean);
	if (!text || leftOf(text, CHARS, BYTES) < 0) {
		field.focus();
		return;
	}
	if (new Set(given).size < OPTIONS_MIN) {
		(options().find((input) => !input.value.trim()) || options()[0]).focus();
		return;
	}
	const multiple = get('poll-multiple', HTMLInputElement), late = get('poll-late', HTMLInputElement);
	if (!await want(PROBLEM, { t: 'poll', text, options: given, multiple: multiple.checked, late: late.checked }))
		return;
	field.value = '';
	multiple.checked = late.checked = false;
	box('poll-options').replaceChildren();
	for (let i = 0; i < OPTIONS_MIN; i++)
		addOption();
	get('poll-new', HTMLDetailsElement).open = false;
	box('polls-scroll').focus();
	changed();
}

// ---- all of it ----

export function renderPolls() {
	if (state.panel !== 'chat' || state.tab !== 'polls')
		return;
	if (!whole && !asking) {
		fresh = false;
		asking = ask({ t: 'polls' });
	}
	rows.render([...polls.values()].sort((a, b) => b.poll - a.poll).map((poll) => [poll.poll, poll]));
	box('polls-empty').hidden = !whole || polls.size > 0;
	box('poll-new').hidden = !leads();
	options().forEach((input, i) => setLabel(input, t('poll.option', { n: i + 1 }), ''));
	box('poll-add').hidden = options().length >= OPTIONS_MAX;
	setAttr(get('poll-text', HTMLInputElement), 'maxlength', String(CHARS));
}
