// SPDX-License-Identifier: AGPL-3.0-or-later
// Waiting to be let in: a screen and a WebSocket, no media. It ends with a ticket that opens the door, with a no, or with
// somebody who does not want to wait any longer. The ticket is kept, so a reload goes on waiting in the same place.
import { state, changed, keep, maySend } from './state.js';
import { t } from './i18n.js';
import { box, button, setText } from './dom.js';
import { Events } from './api.js';
import { openDevices } from './media.js';
import { enter, leave, listeners, onBye } from './session.js';

const ASK_MS = 60000; // whether somebody has come who can let one in

/** @type {Events|null} */
let events = null;
/** @type {ReturnType<typeof setInterval>|undefined} */
let asking = undefined;
let cut = false;

function wait() {
	stop();
	events = new Events(state.room, {
		hello: () => ({ ticket: state.ticket }),
		on,
		onUp(up) {
			cut = !up;
			changed();
		},
		onClosed(code) {
			if (code === 4401)
				goIn(); // that place is gone; the link may still be good
			else if (code === 4409)
				over('replaced');
			return !!events;
		},
	});
	asking = setInterval(() => !state.hosted && events?.send({ t: 'hello', ticket: state.ticket }), ASK_MS);
}

function stop() {
	clearInterval(asking);
	events?.close();
	events = null;
	cut = false;
}

/** @param {any} e */
function on(e) {
	switch (e.t) {
	case 'welcome':
		state.ticket = e.ticket || state.ticket;
		state.hosted = !!e.hosted;
		keep();
		if (!e.waiting)
			goIn(); // let in while the connection was away; or the server is a new one
		break;
	case 'ticket':
	case 'admitted':
		state.ticket = e.ticket;
		keep();
		if (e.t === 'admitted')
			goIn();
		break;
	case 'bye':
		if (e.reason === 'expired')
			goIn(); // the link may still be good
		else if (e.reason !== 'closing')
			over(e.reason, e.why);
		break;
	}
	changed();
}

/** Devices and connection at once, as after a reload. */
function goIn() {
	stop();
	if (maySend())
		openDevices({ mic: true, camera: state.want.camera && state.mode === 'video' });
	enter();
}

/** @param {string} reason @param {string} [why] */
function over(reason, why) {
	stop();
	onBye(reason, why);
}

export function setupLobby() {
	listeners.waits = wait;
	button('waiting-leave').onclick = () => {
		stop();
		leave();
	};
	addEventListener('online', () => events?.reopen());
	document.addEventListener('visibilitychange', () => document.hidden || events?.hurry());
}

export function renderLobby() {
	if (state.phase !== 'waiting')
		return;
	setText(box('waiting-room'), state.room);
	setText(box('waiting-name'), t('waiting.name', { name: state.me.name || state.name }));
	setText(box('waiting-text'), t(cut ? 'status.reconnecting' : state.hosted ? 'waiting.hosted' : 'waiting.alone'));
}
