// SPDX-License-Identifier: AGPL-3.0-or-later
// Start of the page: reads the link, decides which screen comes first, and ties the parts together.
import { state, changed, kept, onChange } from './state.js';
import { language, loadLanguage, t } from './i18n.js';
import { box, button, get, setNotice } from './dom.js';
import { readLink } from './layout.js';
import { onMedia, openDevices, listDevices } from './media.js';
import { currentPc, enter, hurry } from './session.js';
import { playSound } from './slots.js';
import { openPrejoin, renderPrejoin, setupPrejoin } from './prejoin.js';
import { renderStage, setupStage } from './stage.js';
import { renderBar, renderEnded, renderPeople, renderSettings, renderStatus, setupPanels } from './panels.js';

// For tests and for looking into a call that misbehaves; nothing in the page uses it.
Object.assign(globalThis, { palabre: {
	pc: currentPc,
	call: state,
	get people() { return state.people; },
	get slots() { return state.slots; },
	changed,
} });

let shownPhase = '';

function renderPhase() {
	const { phase } = state;
	if (phase === shownPhase)
		return;
	const ended = phase === 'left' || phase === 'error';
	document.documentElement.dataset.state = phase;
	document.title = state.room && phase !== 'start' ? `${state.room} · Palabre` : 'Palabre';
	const screen = ended ? 'ended' : phase === 'start' || phase === 'prejoin' ? phase : 'call';
	for (const main of document.querySelectorAll('main'))
		main.hidden = main.dataset.screen !== screen;
	box('top').hidden = screen === 'call';
	if (ended)
		box('ended-title').focus();
	shownPhase = phase;
}

/** The last page's one button. */
function again() {
	const { phase, reason, ticket, name } = state;
	if (phase === 'left' && reason === 'replaced' && ticket) {
		openDevices({ mic: true, camera: state.want.camera });
		enter();
	} else if (phase === 'left' && state.token && name) {
		openPrejoin();
	} else {
		location.reload();
	}
}

/** @param {Event} e */
function paste(e) {
	e.preventDefault();
	const link = readLink(get('paste', HTMLInputElement).value, location.href);
	setNotice(box('paste-error'), link ? '' : t('start.bad'));
	if (link)
		location.assign(link);
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
		state.want = { mic: back.mic, camera: back.camera, screen: false };
		// Both at once: the devices join in when they are there.
		openDevices({ mic: true, camera: back.camera && back.mode === 'video' });
		enter();
	} else if (state.token) {
		openPrejoin();
	} else {
		setNotice(box('paste-error'), t('start.incomplete'));
	}
}

async function main() {
	await loadLanguage();
	for (const render of [renderPhase, renderPrejoin, renderStage, renderBar, renderStatus, renderPeople, renderSettings, renderEnded])
		onChange(render);
	setupPrejoin();
	setupStage();
	setupPanels();
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
	// Any touch lets the browser play sound, not only the one on our button.
	addEventListener('pointerdown', () => state.soundBlocked && playSound());
	setInterval(() => state.phase === 'call' && get('settings', HTMLDialogElement).open && changed(), 2000);
	begin();
	listDevices();
	changed();
	document.documentElement.dataset.ready = language();
}

main();
