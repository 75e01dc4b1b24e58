// SPDX-License-Identifier: AGPL-3.0-or-later
// Around the tiles: the bar, the line that says how the connection is, what is said aloud, settings, the last page.
import { state, changed, forbids, inCall, listens, maySend, read, write } from './state.js';
import { LANGUAGES, figure, language, loadLanguage, t, tn } from './i18n.js';
import { box, button, get, make, setAttr, setIcon, setText } from './dom.js';
import { chooseDevice, listDevices, media } from './media.js';
import { setCap, setMode, setThrift, toggleCamera, toggleMic, toggleScreen } from './sends.js';
import { togglePeople } from './roster.js';
import { leave, listeners } from './session.js';
import { playSound, setSpeaker, testSound } from './slots.js';
import { deviceProblem, toggleTip } from './prejoin.js';
import { whyWords } from './why.js';

// ---- the bar ----

export function setupPanels() {
	button('mic').onclick = mic;
	button('camera').onclick = camera;
	button('screen').onclick = screen;
	button('leave').onclick = leave;
	button('settings-button').onclick = openSettings;
	button('settings-close').onclick = () => get('settings', HTMLDialogElement).close();
	button('play-sound').onclick = playSound;
	for (const b of document.querySelectorAll('.test-sound'))
		b.addEventListener('click', () => testSound().catch((e) => console.warn(e)));
	state.keys = read('palabre-keys') !== 'off';
	const keys = get('keys-on', HTMLInputElement);
	keys.checked = state.keys;
	keys.onchange = () => {
		state.keys = keys.checked;
		write('palabre-keys', state.keys ? '' : 'off');
		changed();
	};
	// A click beside a sheet closes it, as people expect.
	box('settings').addEventListener('click', (e) => {
		if (e.target === e.currentTarget)
			get('settings', HTMLDialogElement).close();
	});
	for (const e of document.querySelectorAll('select[data-device]'))
		if (e instanceof HTMLSelectElement)
			e.onchange = () => chooseDevice(/** @type {any} */ (e.dataset.device), e.value).then(setSpeaker);
	get('mode-select', HTMLSelectElement).onchange = (e) =>
		setMode(/** @type {HTMLSelectElement} */ (e.target).value === 'voice' ? 'voice' : 'video');
	get('thrift-select', HTMLSelectElement).onchange = (e) =>
		setThrift(/** @type {any} */ (/** @type {HTMLSelectElement} */ (e.target).value));
	get('cap-select', HTMLSelectElement).onchange = (e) =>
		setCap(Number(/** @type {HTMLSelectElement} */ (e.target).value));
	for (const e of document.querySelectorAll('.lang-select')) {
		if (!(e instanceof HTMLSelectElement))
			continue;
		for (const [code, name] of Object.entries(LANGUAGES)) {
			const option = make('option', '', name);
			option.value = code;
			option.lang = code;
			e.append(option);
		}
		e.onchange = () => loadLanguage(e.value).then(changed);
	}
	document.addEventListener('keydown', onKey);
	listeners.said = said;
	for (const kind of /** @type {('hands'|'messages')[]} */ (['hands', 'messages'])) {
		const aloud = get(`aloud-${kind}`, HTMLInputElement);
		aloud.checked = state.aloud[kind] = read(`palabre-aloud-${kind}`) !== 'off';
		aloud.onchange = () => {
			state.aloud[kind] = aloud.checked;
			write(`palabre-aloud-${kind}`, aloud.checked ? '' : 'off');
		};
	}
}

// What a button cannot do is said again with each press.
function mic() {
	hintSince = Date.now();
	if (!explained('mic'))
		toggleMic();
}

function camera() {
	hintSince = Date.now();
	if (!explained('camera'))
		toggleCamera();
}

function screen() {
	hintSince = Date.now();
	if (!explained('screen'))
		toggleScreen();
}

/** What a moderator has switched off cannot be switched on: why not. @param {'mic'|'camera'|'screen'} kind */
function explained(kind) {
	const why = forbids(kind);
	if (why)
		note(whyWords(why));
	return !!why;
}

/** What single keys do. @type {Record<string, () => void>} */
export const keys = { m: mic, v: camera, s: screen, p: togglePeople, d: openSettings };

/** @param {KeyboardEvent} e */
function onKey(e) {
	if (e.ctrlKey || e.metaKey || e.altKey || e.repeat || !state.keys || !inCall())
		return;
	if (e.target instanceof HTMLElement && e.target.closest('input, select, textarea, dialog:modal'))
		return;
	const key = e.key.toLowerCase();
	if (!keys[key])
		return;
	e.preventDefault();
	keys[key]();
	// The focus is elsewhere: no button tells what has become of it.
	if (key === 'm' && !forbids('mic'))
		say(t(state.want.mic && media.mic ? 'bar.mic.said' : 'meter.off'));
	if (key === 'v' && !forbids('camera') && state.mode === 'video')
		say(t(state.want.camera ? 'bar.camera.said' : 'preview.off'));
}

export function renderBar() {
	if (!inCall())
		return;
	const video = state.mode === 'video' && maySend();
	toggle('mic', state.want.mic && !!media.mic, maySend());
	toggle('camera', state.want.camera && !!media.camera, video);
	toggle('screen', !!media.screen, video && !!navigator.mediaDevices?.getDisplayMedia);
	const people = button('people-button');
	setAttr(people, 'aria-expanded', String(state.peopleOpen));
	setTip(people, t('bar.people.tip'));
	setText(box('people-count'), state.count ? figure(state.count) : '');
	const waiting = state.lobby.size;
	setText(box('waiting-count'), waiting ? figure(waiting) : '');
	setText(box('waiting-words'), waiting ? tn('door.title', waiting) : '');
	setTip(button('settings-button'), t('bar.settings.tip'));
	setTip(button('leave'), t('bar.leave.tip'));
	box('listening').hidden = maySend();
	setText(box('listening'), listensWords());
	const sound = button('play-sound');
	if (!state.soundBlocked && document.activeElement === sound)
		people.focus();
	sound.hidden = !state.soundBlocked;
	setText(box('call-title'), t('call.title', { room: state.room }));
}

/** @param {'mic'|'camera'|'screen'} id @param {boolean} on @param {boolean} there */
function toggle(id, on, there) {
	const b = button(id);
	const why = forbids(id);
	b.hidden = !there;
	setAttr(b, 'aria-pressed', String(on));
	setAttr(b, 'aria-disabled', String(!!why));
	if (why) {
		setTip(b, whyWords(why));
	} else if (id === 'screen') {
		setTip(b, t(`bar.screen.${on ? 'on' : 'off'}`));
	} else {
		setTip(b, toggleTip(id, on));
		b.dataset.problem = String(state.want[id] && !on && !!media.problem[id]);
	}
	if (id !== 'screen')
		setIcon(b, on ? id : `${id}-off`);
}

/** With the key that does the same. @param {HTMLButtonElement} b @param {string} words */
export function setTip(b, words) {
	const { key } = b.dataset;
	setAttr(b, 'title', key && state.keys ? `${words} (${key.toUpperCase()})` : words);
	if (key && state.keys)
		setAttr(b, 'aria-keyshortcuts', key);
	else
		b.removeAttribute('aria-keyshortcuts');
}

// ---- how the connection is ----

const HINT_MS = 12000;
const CAPPED_MS = 30000; // why there are no pictures any more
let hint = '';
let hintSince = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let hintTimer = undefined;

/** What the person should know once, and not have in the picture for ever. @returns {string} words */
function hints() {
	const capped = justCapped();
	const mute = state.want.mic && !media.opening.mic && (!media.mic || media.mic.muted);
	const words = capped ? cappedWords() : !maySend() ? listensWords() : state.message ? t('problem.screen')
		: deviceProblem() || (mute ? t('status.unheard') : '');
	if (words !== hint) {
		hint = words;
		hintSince = Date.now();
	}
	const left = (capped ? state.cappedAt + CAPPED_MS : hintSince + HINT_MS) - Date.now();
	clearTimeout(hintTimer);
	if (!words || left <= 0)
		return '';
	hintTimer = setTimeout(changed, left + 50);
	return words;
}

const listensWords = () => t(listens() === 'audience' ? 'status.audience' : 'status.listener');

const justCapped = () => state.cappedAt + CAPPED_MS > Date.now();
const cappedWords = () => t('status.capped', { mb: megabytes(state.capAt) });

/** @returns {[string, string]} words, and the kind of line: '', busy, warn, good */
function status() {
	const { net, phase } = state;
	if (phase === 'connecting')
		return [t('status.connecting'), 'busy'];
	if (phase === 'reconnecting')
		return [t(navigator.onLine === false ? 'status.offline' : 'status.reconnecting'), 'busy'];
	if (justCapped())
		return [hints(), 'warn'];
	if (state.notice.until > Date.now())
		return [state.notice.words, 'warn'];
	if (net.backUntil > Date.now())
		return [t('status.back'), 'good'];
	if (!state.voice.video)
		return [t('status.unseen'), 'warn'];
	if (net.weak)
		return [t('status.weak'), 'warn'];
	return [hints(), maySend() ? 'warn' : ''];
}

export function renderStatus() {
	const [words, kind] = inCall() ? status() : ['', ''];
	const line = box('status');
	setText(line, words);
	line.dataset.kind = kind;
}

// ---- what is said aloud ----

/** @type {Map<string, string[]>} */
const heard = new Map();
/** @type {ReturnType<typeof setTimeout>|undefined} */
let sayTimer = undefined;

/** What does not happen to many at once. */
const SINGLE = ['screen', 'turn', 'answering', 'poll', 'pin'];
/** What is to be seen, too, where the list is not: a reader hears it by the status line. */
const SEEN = ['waiting'];

/** Collected for a second and a half: fifty people arriving are one sentence. @param {string} what @param {string} name */
function said(what, name) {
	heard.set(what, [...(heard.get(what) || []), name]);
	sayTimer = sayTimer || setTimeout(() => {
		sayTimer = undefined;
		/** @type {string[]} */
		const lines = [];
		for (const [kind, names] of heard) {
			const words = names.length > 2 && !SINGLE.includes(kind) ? tn(`said.${kind}.many`, names.length)
				: names.map((n) => t(`said.${kind}`, { name: n })).join('. ');
			if (SEEN.includes(kind) && !state.peopleOpen)
				note(words);
			else
				lines.push(words);
		}
		heard.clear();
		if (lines.length)
			say(lines.join('. '));
	}, 1500);
}

/** What the person should know now, for a while. @param {string} words '': nothing any more */
export function note(words) {
	state.notice = { words, until: words ? Date.now() + HINT_MS : 0 };
	setTimeout(changed, HINT_MS + 50);
	changed();
}

/** @param {string} words */
export function say(words) {
	const log = box('announcer');
	// A line of its own each time: the same words twice are said twice.
	log.append(make('p', '', words));
	if (log.children.length > 5)
		log.firstElementChild?.remove();
}

// ---- settings ----

function openSettings() {
	listDevices();
	const dialog = get('settings', HTMLDialogElement);
	if (!dialog.open)
		dialog.showModal();
	changed();
}

const megabytes = (bytes = state.bytes) => figure(bytes / 1e6, { maximumFractionDigits: bytes < 1e7 ? 1 : 0 });

export function renderSettings() {
	const dialog = get('settings', HTMLDialogElement);
	if (dialog.open && !inCall())
		dialog.close();
	for (const e of document.querySelectorAll('select[data-device]'))
		if (e instanceof HTMLSelectElement)
			fillDevices(e, /** @type {import('./media.js').Device} */ (e.dataset.device));
	for (const e of document.querySelectorAll('.mic-field, .camera-field'))
		if (e instanceof HTMLElement)
			e.hidden = !maySend() || state.mode === 'voice' && e.classList.contains('camera-field');
	for (const e of document.querySelectorAll('.speaker-field'))
		if (e instanceof HTMLElement)
			e.hidden = !('setSinkId' in HTMLMediaElement.prototype) || !media.devices.speaker.length;
	get('mode-select', HTMLSelectElement).value = state.mode;
	get('thrift-select', HTMLSelectElement).value = state.thrift;
	const cap = get('cap-select', HTMLSelectElement);
	cap.value = String(state.cap);
	for (const option of cap.options)
		setText(option, option.value === '0' ? t('cap.never') : t('cap.at', { mb: option.value }));
	setText(box('data-capped'), state.cappedAt ? cappedWords() : '');
	for (const e of document.querySelectorAll('.lang-select'))
		if (e instanceof HTMLSelectElement)
			e.value = language();
	setText(box('settings-problem'), deviceProblem());
	setText(box('data-used'), t('data.used', { mb: megabytes() }));
	const round = (/** @type {number} */ n) => figure(n, { maximumFractionDigits: n < 10 ? 1 : 0 });
	setText(box('data-pace'), state.pace ? t('data.pace', { kbit: round(state.pace * 8 / 1000), mb: round(state.pace * 3600 / 1e6) }) : '');
	setText(box('data-lost'), state.voice.loss ? t('data.lost', { n: state.voice.loss }) : '');
}

/** @param {HTMLSelectElement} select @param {import('./media.js').Device} kind */
function fillDevices(select, kind) {
	const list = media.devices[kind];
	const key = list.map((d) => d.deviceId + d.label).join() + language();
	if (select.dataset.key !== key) {
		select.dataset.key = key;
		select.replaceChildren(...list.map((d, i) => {
			const option = make('option', '', d.label || t('devices.numbered', { n: i + 1 }));
			option.value = d.deviceId;
			return option;
		}));
		if (!list.some((d) => d.deviceId === 'default')) {
			const option = make('option', '', t(list.length ? 'devices.default' : 'devices.none'));
			option.value = '';
			select.prepend(option);
		}
	}
	const inUse = kind === 'speaker' ? '' : media[kind]?.getSettings().deviceId || '';
	const value = media.device[kind] || inUse;
	if (document.activeElement !== select && [...select.options].some((o) => o.value === value))
		select.value = value;
	select.disabled = !list.length;
}

// ---- the end ----

/** Codes of the server that have words of their own. */
const KNOWN = ['locked', 'banned', 'gone', 'bad-token', 'expired', 'no-such-room', 'not-allowed', 'room-full', 'server-full', 'bad-name', 'bad-offer', 'browser'];

/** Trying again would not help: it takes another link. */
export const BAD_LINK = ['expired', 'bad-token', 'no-such-room'];

export function renderEnded() {
	const { phase, reason } = state;
	if (phase !== 'left' && phase !== 'error')
		return;
	const left = phase === 'left';
	setText(box('ended-title'), left ? t(`left.${reason}.title`) : t('error.title'));
	setText(box('ended-text'), left ? t(`left.${reason}`)
		: KNOWN.includes(reason) ? t(`error.${reason}`) : t('error.other', { message: state.message || reason }));
	const again = button('again');
	setText(again, left ? t(reason === 'replaced' ? 'left.here' : 'left.again')
		: t(BAD_LINK.includes(reason) ? 'error.link' : 'error.retry'));
	again.hidden = reason === 'browser' || reason === 'banned';
	setText(box('ended-data'), state.bytes ? t('data.total', { mb: megabytes() }) : '');
}
