// SPDX-License-Identifier: AGPL-3.0-or-later
// What a host or a moderator does, in the list of people: who waits, the rules of the room, and what may be done about each
// person. Only buttons: the server decides, and a no is told in words.
import { state, changed, forbids, inCall, leads, listens } from './state.js';
import { t, tn } from './i18n.js';
import { box, button, icon, make, setAttr, setLabel, setText } from './dom.js';
import { note, say } from './panels.js';
import { PLAIN, ROLES } from './roles.js';
import { toggleCamera, toggleMic, toggleScreen } from './sends.js';
import { listeners } from './session.js';
import { whyWords } from './why.js';
import { wish } from './wish.js';

/** @typedef {import('./state.js').Member} Member */
/** @typedef {import('./state.js').Kind} Kind */
/** @typedef {{name: string, fits: (p: Member) => boolean, message: object, sure?: boolean}} Act */

/** What the server says to those who may not speak, who leads reads in other words. @type {Record<string, string>} */
const OTHER_WORDS = { listener: 'uncalled', audience: 'uncalled' };

/** @param {string} words */
function setNote(words) {
	setText(box('people-note'), words);
}

/** @param {object} message @returns {Promise<boolean>} done */
async function want(message) {
	const why = await wish(/** @type {any} */ (message));
	setNote(why ? whyWords(OTHER_WORDS[why] || why) : '');
	return !why;
}

/** What had the focus has gone, or is hidden. @param {HTMLElement} within */
const astray = (within) => !within.contains(document.activeElement) || !!document.activeElement?.closest('[hidden]');

// ---- who waits, and the rules ----

export function setupModeration() {
	button('door-all').onclick = () => want({ t: 'admit', all: true });
	for (const e of document.querySelectorAll('[data-rule]'))
		if (e instanceof HTMLInputElement)
			e.onchange = async () => {
				e.dataset.busy = 'true';
				await want({ t: 'rules', [e.dataset.rule || '']: e.checked });
				delete e.dataset.busy;
				changed();
			};
	button('asked-yes').onclick = comply;
	button('asked-no').onclick = () => {
		state.asked = '';
		changed();
		button('mic').focus();
	};
	listeners.tells = note;
}

/** @type {Map<string, HTMLLIElement>} */
const waiting = new Map();

/** @param {{id: string, name: string}} p */
function makeWaiting(p) {
	const row = make('li', 'person', make('bdi', 'person-name'), make('button', 'second admit'), make('button', 'second'));
	row.querySelectorAll('button').forEach((b, i) => {
		b.type = 'button';
		b.onclick = () => want({ t: 'admit', p: p.id, on: !i });
	});
	waiting.set(p.id, row);
	return row;
}

/** Beside the list of people, above it. */
export function renderDoor() {
	const lead = leads();
	const door = box('door');
	const focused = door.contains(document.activeElement);
	door.hidden = !lead || !state.lobby.size;
	box('rules').hidden = !lead;
	if (!lead)
		setNote('');
	for (const e of document.querySelectorAll('[data-rule]'))
		if (e instanceof HTMLInputElement && !e.dataset.busy)
			e.checked = state.rules[/** @type {keyof typeof state.rules} */ (e.dataset.rule)];
	setText(box('door-title'), tn('door.title', state.lobby.size));
	button('door-all').hidden = state.lobby.size < 2;
	for (const [id, row] of waiting)
		if (!state.lobby.has(id)) {
			row.remove();
			waiting.delete(id);
		}
	for (const p of state.lobby.values()) {
		const row = waiting.get(p.id) || makeWaiting(p);
		if (!row.parentElement)
			box('door-list').append(row);
		const [name, yes, no] = row.children;
		setText(name, p.name);
		setText(yes, t('door.admit'));
		setText(no, t('door.deny'));
		setAttr(yes, 'aria-label', `${t('door.admit')}: ${p.name}`);
		setAttr(no, 'aria-label', `${t('door.deny')}: ${p.name}`);
	}
	if (focused && astray(door))
		box(door.hidden ? 'people-list' : 'door-title').focus();
}

// ---- what may be done about somebody ----

/** @type {Act[]} */
const ACTS = [
	{ name: 'mute', fits: (p) => p.mic, message: { t: 'mute', k: 'mic' } },
	{ name: 'ask', fits: (p) => !p.mic && !listens(p) && other(p), message: { t: 'ask', k: 'mic' } },
	{ name: 'allow', fits: (p) => ['held', 'muted'].includes(forbids('mic', p)) && !listens(p) && other(p), message: { t: 'allow', k: 'mic' } },
	{ name: 'uncamera', fits: (p) => p.camera, message: { t: 'mute', k: 'camera' } },
	{ name: 'camera', fits: (p) => forbids('camera', p) === 'held' && !listens(p) && other(p), message: { t: 'allow', k: 'camera' } },
	{ name: 'unscreen', fits: (p) => p.screen, message: { t: 'mute', k: 'screen' } },
	{ name: 'screen', fits: (p) => forbids('screen', p) === 'held' && !listens(p) && other(p), message: { t: 'allow', k: 'screen' } },
	{ name: 'call', fits: (p) => !!listens(p) && other(p), message: { t: 'call' } },
	{ name: 'uncall', fits: (p) => !!p.called && other(p), message: { t: 'call', on: false } },
	{ name: 'spot', fits: (p) => !state.spotlight.includes(p.id), message: { t: 'spotlight', on: true } },
	{ name: 'unspot', fits: (p) => state.spotlight.includes(p.id), message: { t: 'spotlight', on: false } },
	{ name: 'remove', fits: other, message: { t: 'remove' }, sure: true },
	{ name: 'ban', fits: other, message: { t: 'ban' }, sure: true },
];

/** @param {Member} p */
function other(p) {
	return p.id !== state.me.id;
}

/** Hosts to everybody, moderators to those who are neither. @param {Member} p */
const mayLead = (p) => leads() && (state.me.role === 'host' || !other(p) || PLAIN.includes(p.role));

/** Whose menu is open, and what is about to be done for good. */
let open = '';
/** @type {Act|null} */
let sure = null;

/** @param {string} id @param {HTMLElement} row */
function toggleMenu(id, row) {
	open = open === id ? '' : id;
	sure = null;
	changed();
	if (open)
		requestAnimationFrame(() => row.scrollIntoView({ block: 'nearest' }));
}

/** @param {string} className @param {() => void} onclick */
function makeButton(className, onclick) {
	const b = make('button', className);
	b.type = 'button';
	b.onclick = onclick;
	return b;
}

/** @param {HTMLElement} row @param {string} id */
function makeMenu(row, id) {
	const more = makeButton('plain acts-button', () => toggleMenu(id, row));
	more.append(icon('more'));
	const menu = make('div', 'acts');
	menu.id = `acts-${id}`;
	menu.setAttribute('role', 'group');
	more.setAttribute('aria-controls', menu.id);
	for (const act of ACTS) {
		const b = makeButton('second', () => press(act, id));
		b.dataset.act = act.name;
		menu.append(b);
	}
	const select = make('select');
	select.onchange = () => want({ t: 'role', p: id, role: select.value }).then(changed);
	const field = make('label', 'field', make('span'), select);
	menu.insertBefore(field, menu.querySelector('[data-act=remove]'));
	const yes = makeButton('second danger', () => sure && settle(sure, id));
	const no = makeButton('second', () => back(menu));
	const ask = make('div', 'sure', make('p'), yes, no);
	ask.setAttribute('role', 'group');
	menu.append(ask);
	row.append(more, menu);
	row.addEventListener('keydown', (e) => {
		if (e.key !== 'Escape' || open !== id)
			return;
		e.stopPropagation(); // the list stays
		e.preventDefault();
		if (sure) {
			back(menu);
		} else {
			toggleMenu(id, row);
			more.focus();
		}
	});
	return menu;
}

/** @param {Act} act @param {string} id */
async function press(act, id) {
	if (act.sure) {
		sure = act;
		changed();
		return;
	}
	if (await want({ ...act.message, p: id }))
		say(t('act.carried'));
}

/** @param {Act} act @param {string} id */
async function settle(act, id) {
	sure = null;
	open = '';
	changed();
	box('people-list').focus();
	if (await want({ ...act.message, p: id }))
		say(t('act.carried'));
}

/** Not for good, then. @param {HTMLElement} menu */
function back(menu) {
	const name = sure?.name;
	sure = null;
	changed();
	requestAnimationFrame(() => {
		const b = menu.querySelector(`[data-act=${name}]`);
		if (b instanceof HTMLElement)
			b.focus();
	});
}

/** @param {HTMLElement} row @param {Member} p */
export function renderActs(row, p) {
	let menu = row.querySelector('.acts');
	const more = row.querySelector('.acts-button');
	const may = mayLead(p);
	if (!may && menu && more) {
		menu.remove();
		more.remove();
		return;
	}
	if (!may)
		return;
	menu = menu || makeMenu(row, p.id);
	const b = row.querySelector('.acts-button');
	if (!(menu instanceof HTMLElement) || !(b instanceof HTMLElement))
		return;
	const shown = open === p.id;
	setLabel(b, t('act.menu', { name: p.name }));
	setAttr(b, 'aria-expanded', String(shown));
	setAttr(menu, 'aria-label', t('act.menu', { name: p.name }));
	menu.hidden = !shown;
	if (shown)
		renderMenu(menu, p, b);
}

/** @param {HTMLElement} menu @param {Member} p @param {HTMLElement} more */
function renderMenu(menu, p, more) {
	const focused = menu.contains(document.activeElement);
	for (const act of ACTS) {
		const b = menu.querySelector(`[data-act=${act.name}]`);
		if (!(b instanceof HTMLElement))
			continue;
		b.hidden = !!sure || !act.fits(p);
		setText(b, t(`act.${act.name}`));
	}
	renderRole(menu, p);
	const ask = menu.querySelector('.sure');
	const [words, yes, no] = ask?.children || [];
	if (!(ask instanceof HTMLElement) || !(no instanceof HTMLElement))
		return;
	ask.hidden = !sure;
	if (sure) {
		setText(words, t(`act.${sure.name}.sure`, { name: p.name }));
		setText(yes, t(`act.${sure.name}`));
		setText(no, t('act.cancel'));
		setAttr(ask, 'aria-label', words.textContent || '');
	}
	if (focused && astray(menu))
		(sure ? no : more).focus();
}

/** @param {HTMLElement} menu @param {Member} p */
function renderRole(menu, p) {
	const select = menu.querySelector('select');
	const field = menu.querySelector('.field');
	if (!select || !(field instanceof HTMLElement))
		return;
	field.hidden = !!sure;
	setText(field.children[0], t('act.role'));
	const list = state.me.role === 'host' || p.role === 'moderator' ? ROLES : PLAIN;
	const key = list.map((role) => t(`role.${role}`)).join();
	if (select.dataset.key !== key) {
		select.dataset.key = key;
		select.replaceChildren(...list.map((role) => {
			const option = make('option', '', t(`role.${role}`));
			option.value = role;
			return option;
		}));
	}
	if (document.activeElement !== select || select.dataset.role !== p.role) {
		select.dataset.role = p.role;
		select.value = p.role;
	}
}

// ---- what one is asked to switch on ----

function comply() {
	const kind = state.asked;
	state.asked = '';
	if (kind === 'mic' && !state.want.mic)
		toggleMic();
	else if (kind === 'camera' && !state.want.camera)
		toggleCamera();
	else if (kind === 'screen' || kind === 'screenaudio')
		toggleScreen();
	changed();
	button(kind === 'camera' ? 'camera' : 'mic').focus();
}

/** What has been read out. */
let readOut = '';

export function renderAsked() {
	const { asked } = state;
	const shown = inCall() && !!asked && !(asked !== 'mic' && state.mode === 'voice');
	box('asked').hidden = !shown;
	if (shown && readOut !== asked)
		say(t(`asked.${asked}`));
	readOut = shown ? asked : '';
	if (!shown)
		return;
	setText(box('asked-text'), t(`asked.${asked}`));
	setText(button('asked-yes'), t(`asked.${asked}.yes`));
}
