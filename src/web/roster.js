// SPDX-License-Identifier: AGPL-3.0-or-later
// The list of people: who is here, who speaks; and for those who lead, who waits and what may be done (moderate.js).
import { state, changed, inCall } from './state.js';
import { language, t, tn } from './i18n.js';
import { box, button, get, icon, make, setText } from './dom.js';
import { hue, initials } from './layout.js';
import { renderActs, renderDoor } from './moderate.js';
import { askPeople } from './session.js';

export function setupRoster() {
	button('people-button').onclick = togglePeople;
	button('people-close').onclick = closePeople;
	box('people').addEventListener('keydown', (e) => {
		if (e.key === 'Escape')
			closePeople();
	});
}

export function togglePeople() {
	if (state.peopleOpen)
		closePeople();
	else
		state.peopleOpen = true;
	changed();
}

function closePeople() {
	state.peopleOpen = false;
	changed();
	button('people-button').focus();
}

/** @type {Map<string, HTMLLIElement>} */
const rows = new Map();

export function renderPeople() {
	const dialog = get('people', HTMLDialogElement);
	const open = state.peopleOpen && inCall();
	document.documentElement.dataset.people = String(open);
	if (!open) {
		if (dialog.open)
			dialog.close();
		return;
	}
	renderDoor();
	setText(box('people-title'), tn('people.title', state.count));
	const order = new Intl.Collator(language(), { sensitivity: 'base' });
	const group = (/** @type {import('./state.js').Member} */ p) => p.id === state.me.id ? 0 : p.lost ? 3 : p.mic ? 1 : 2;
	const list = [...state.people.values()].sort((a, b) => group(a) - group(b) || order.compare(a.name, b.name));
	const ids = new Set(list.map((p) => p.id));
	for (const [id, row] of rows)
		if (!ids.has(id)) {
			row.remove();
			rows.delete(id);
		}
	const ul = box('people-list');
	list.forEach((p, i) => {
		const row = rows.get(p.id) || makeRow(p.id);
		if (ul.children[i] !== row)
			ul.insertBefore(row, ul.children[i] || null);
		renderRow(row, p);
	});
	askPeople();
	const others = state.count - list.length;
	setText(box('people-others'), state.more !== null && others > 0 ? tn('people.others', others) : '');
	if (!dialog.open)
		dialog.show();
}

/** @param {string} id */
function makeRow(id) {
	const row = make('li', `person hue${hue(id, 6)}`, make('span', 'face'), make('span', 'person-name', make('bdi'), make('small')),
		make('span', 'marks'));
	row.firstElementChild?.setAttribute('aria-hidden', 'true');
	rows.set(id, row);
	return row;
}

/** @param {HTMLLIElement} row @param {import('./state.js').Member} p */
function renderRow(row, p) {
	const mine = p.id === state.me.id;
	const speaking = state.speakers.includes(p.id) && p.mic;
	const [face, name, marks] = row.children;
	setText(face, initials(p.name));
	setText(name.children[0], p.name);
	const plain = p.role === 'speaker' || !p.role;
	setText(name.children[1], [mine ? t('you') : '', plain ? '' : t(`role.${p.role}`),
		p.lost && !mine ? t('people.away') : ''].filter(Boolean).join(' · '));
	renderActs(row, p);
	row.dataset.speaking = String(speaking);
	row.dataset.away = String(!!p.lost);
	/** @type {[string, string][]} */
	const list = [];
	if (p.screen)
		list.push(['screen', t('people.screen')]);
	if (p.camera)
		list.push(['camera', t('people.camera')]);
	if (p.role !== 'listener')
		list.push(speaking ? ['speaking', t('people.speaking')] : p.mic ? ['mic', t('people.mic')] : ['mic-off', t('people.muted')]);
	const key = list.map(([i]) => i).join() + language();
	if (marks instanceof HTMLElement && marks.dataset.key !== key) {
		marks.dataset.key = key;
		marks.replaceChildren(...list.map(([i, words]) => {
			const mark = make('span', `mark ${i}`, icon(i), make('span', 'hush', words));
			mark.title = words;
			return mark;
		}));
	}
}
