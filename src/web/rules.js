// SPDX-License-Identifier: AGPL-3.0-or-later
// What moderators decide, as the server tells it: the rules of the room, who waits, who is shown large; and what of it
// concerns oneself. The server enforces all of it: here it is only believed.
import { state, changed, forbids, keep, leads, listens } from './state.js';
import { t } from './i18n.js';
import { obey } from './sends.js';
import { listeners } from './session.js';
import { takes } from './wish.js';

/** How we stood when we were told last. */
let stood = { listens: '', mic: '' };

/** A new stay begins with nothing known. */
export function forgetRules() {
	state.rules = { lock: false, lobby: false, mute: false, audience: false };
	state.lobby.clear();
	state.spotlight = [];
	state.asked = '';
	stood = { listens: '', mic: '' };
}

/** By which the server knows this browser should it be banned: random, and nothing else is known by it. */
export function browserKey() {
	try {
		const key = localStorage.getItem('palabre-key') || [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(36)).join('');
		localStorage.setItem('palabre-key', key);
		return key;
	} catch { // no storage
		return undefined;
	}
}

/** @param {{id: string, name: string, role: string}[]} waiting */
function setWaiting(waiting) {
	for (const p of waiting)
		if (!state.lobby.has(p.id))
			listeners.said('waiting', p.name);
	state.lobby = new Map(waiting.map((p) => [p.id, p]));
}

/** What has changed for oneself. @param {any} [mine] what the server says of us @param {boolean} [first] then it is no news */
function follow(mine, first = false) {
	const now = { listens: listens(), mic: forbids('mic') };
	if (!first && now.listens !== stood.listens)
		listeners.tells(t(now.listens ? `why.${now.listens}` : 'told.called'));
	else if (!first && now.mic !== stood.mic)
		listeners.tells(t(now.mic ? `why.${now.mic}` : 'told.allowed'));
	stood = now;
	obey(mine);
}

takes({
	welcome(e) {
		if (!e.rules)
			return; // of a server that does not know us yet
		state.rules = e.rules;
		state.spotlight = e.spotlight || [];
		setWaiting(e.waiting || []);
		follow(undefined, true);
	},
	rules(e) {
		const { t: _t, ...rules } = e;
		if (rules.mute !== state.rules.mute)
			for (const p of state.people.values()) {
				p.allowed = false;
				p.held = p.held?.filter((k) => k !== 'mic');
			}
		state.rules = rules;
		follow();
	},
	off(e) {
		for (const p of state.people.values())
			for (const k of /** @type {import('./state.js').Kind[]} */ (['mic', 'camera', 'screen', 'screenaudio']))
				if (e[k]?.includes(p.n))
					p[k] = false;
	},
	update(e) {
		if (e.id === state.me.id)
			follow(e);
	},
	asked(e) {
		state.asked = e.k === 'screenaudio' ? 'screen' : e.k;
		obey(); // it may be on already
		if (state.asked)
			listeners.tells(''); // the prompt says it all
	},
	role(e) {
		state.me.role = e.role;
		state.ticket = e.ticket || state.ticket;
		keep();
		setWaiting(leads() ? e.waiting || [] : []);
		follow();
		listeners.tells(t('told.role', { role: t(`role.${e.role}`) }));
	},
	spotlight(e) {
		state.spotlight = e.ids || [];
	},
	waiting(e) {
		if (!state.lobby.has(e.p.id))
			listeners.said('waiting', e.p.name);
		state.lobby.set(e.p.id, e.p);
		changed();
	},
	waited(e) {
		state.lobby.delete(e.id);
	},
	join(e) {
		state.lobby.delete(e.p.id);
	},
});
