// SPDX-License-Identifier: AGPL-3.0-or-later
// Start of the page: reads the link, decides which screen comes first, and ties the parts together.
import { state, changed, inCall, kept, maySend, onChange } from './state.js';
import { language, loadLanguage, t } from './i18n.js';
import { box, button, get, setAttr, setNotice } from './dom.js';
import { readLink, roleOf } from './layout.js';
import { onMedia, openDevices, listDevices } from './media.js';
import { currentPc, enter, hurry } from './session.js';
import { playSound } from './slots.js';
import { firstMode, focusPrejoin, openPrejoin, renderMeter, renderPrejoin, setupPrejoin } from './prejoin.js';
import { renderGlance, setupGlance } from './glance.js';
import { renderStage, setupStage } from './stage.js';
import { renderLobby, setupLobby } from './lobby.js';
import { renderAsked, setupModeration } from './moderate.js';
import { renderPeople, setupRoster } from './roster.js';
import { BAD_LINK, renderBar, renderEnded, renderSettings, renderStatus, setupPanels } from './panels.js';

// For tests and for looking into a call that misbehaves; of the page, only boot.js looks whether it is there.
Object.assign(globalThis, { palabre: {
	pc: currentPc,
	call: state,
	get people() { return state.people; },
	get slots() { return state.slots; },
	changed,
} });

let shownScreen = '';

function renderPhase() {
	const { phase } = state;
	document.documentElement.dataset.state = phase;
	document.title = [phase === 'reconnecting' ? t('status.reconnecting') : '', phase === 'start' ? '' : state.room,
		'Palabre'].filter(Boolean).join(' · ');
	const screen = phase === 'left' || phase === 'error' ? 'ended' : inCall() ? 'call' : phase;
	if (screen === shownScreen)
		return;
	shownScreen = screen;
	for (const main of document.querySelectorAll('main'))
		main.hidden = main.dataset.screen !== screen;
	box('top').hidden = screen === 'call';
	// What had the focus is out of sight: a reader and a keyboard go on at the new heading.
	if (screen === 'prejoin')
		focusPrejoin();
	else if (screen !== 'start')
		box(`${screen}-title`).focus();
}

/** @type {WakeLockSentinel|null} */
let awake = null;
let awakeAsked = false;

/** A phone that falls asleep drops out of the call. Browsers take the lock back when the page is hidden. */
function renderAwake() {
	const want = (inCall() || state.phase === 'waiting') && !document.hidden;
	if (!want) {
		awake?.release();
		awake = null;
		awakeAsked = false;
	} else if (!awakeAsked) {
		awakeAsked = true;
		navigator.wakeLock?.request('screen').then((lock) => {
			awake = lock;
			if (!inCall() && state.phase !== 'waiting')
				renderAwake();
		}, () => {}); // saving its battery: then not
	}
}

/** The last page's one button. */
function again() {
	const { phase, reason, ticket, name } = state;
	if (phase === 'left' && reason === 'replaced' && ticket) {
		if (maySend())
			openDevices({ mic: true, camera: state.want.camera });
		enter();
	} else if (phase === 'left' && state.token && name) {
		openPrejoin();
	} else if (BAD_LINK.includes(reason)) {
		location.assign('/');
	} else {
		location.reload();
	}
}

/** @param {Event} e */
function paste(e) {
	e.preventDefault();
	const input = get('paste', HTMLInputElement);
	const link = readLink(input.value, location.href);
	setNotice(box('paste-error'), link ? '' : t('start.bad'));
	setAttr(input, 'aria-invalid', String(!link));
	if (link)
		location.assign(link);
	else
		input.focus();
}

function begin() {
	const [, room] = location.pathname.match(/^\/r\/([a-z0-9-]{1,64})\/?$/) || [];
	if (!room) {
		state.phase = 'start';
		return;
	}
	state.room = room;
	state.token = decodeURIComponent(location.hash.slice(1));
	const before = kept();
	// A new link in the same window is a new person; the same one, or none, is a reload.
	const back = before?.ticket && (!state.token || state.token === before.token) ? before : null;
	if (!('RTCPeerConnection' in globalThis)) {
		state.phase = 'error';
		state.reason = 'browser';
	} else if (back) {
		state.token = back.token;
		state.ticket = back.ticket;
		state.name = back.name;
		state.mode = back.mode;
		state.thrift = back.thrift || 'all';
		state.cap = back.cap || 0;
		state.capAt = back.capAt || 0;
		state.bytes = back.bytes || 0;
		state.want = { mic: back.mic, camera: back.camera, screen: false };
		state.me.role = back.role || roleOf(back.token);
		// Both at once: the devices join in when they are there.
		if (maySend())
			openDevices({ mic: true, camera: back.camera && back.mode === 'video' });
		enter();
	} else if (state.token) {
		state.me.role = roleOf(state.token);
		state.mode = firstMode();
		openPrejoin();
	} else {
		setNotice(box('paste-error'), t('start.incomplete'));
	}
}

async function main() {
	await loadLanguage();
	for (const render of [renderPhase, renderAwake, renderPrejoin, renderMeter, renderLobby, renderGlance, renderStage, renderBar, renderStatus, renderAsked, renderPeople, renderSettings, renderEnded])
		onChange(render);
	setupPrejoin();
	setupStage();
	setupPanels();
	setupRoster();
	setupGlance();
	setupLobby();
	setupModeration();
	onMedia(changed);
	button('again').onclick = again;
	get('paste-form', HTMLFormElement).addEventListener('submit', paste);
	box('call-title').tabIndex = -1;

	addEventListener('online', () => hurry(true));
	addEventListener('offline', changed);
	document.addEventListener('visibilitychange', () => document.hidden || hurry(false));
	// Only a change of kind: Chromium reports every new estimate of speed here, too.
	const link = /** @type {any} */ (navigator).connection;
	let kind = link?.type;
	link?.addEventListener?.('change', () => {
		if (link.type !== kind && link.type !== 'none')
			hurry(true);
		kind = link.type;
	});
	addEventListener('hashchange', () => location.reload());
	// Any touch or key lets the browser play sound, not only the one on our button.
	for (const kind of ['click', 'keydown'])
		addEventListener(kind, () => state.soundBlocked && playSound(), true);
	setInterval(() => state.phase === 'call' && get('settings', HTMLDialogElement).open && changed(), 2000);
	begin();
	listDevices();
	changed();
	document.documentElement.dataset.ready = language();
	if (history.state)
		history.replaceState(null, ''); // boot.js may try as often again
}

main();
