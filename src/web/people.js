// SPDX-License-Identifier: AGPL-3.0-or-later
// Who is in the call: kept in state as the server tells it.
import { state } from './state.js';

let order = 0;

/** All of them, once. @param {import('./state.js').Person[]} list */
export function setPeople(list) {
	const ids = new Set(list.map((p) => p.id));
	for (const id of state.people.keys())
		if (!ids.has(id))
			state.people.delete(id);
	for (const p of list)
		putPerson(p);
}

/** @param {import('./state.js').Person} p @param {boolean} [joining] */
function putPerson(p, joining = false) {
	const before = state.people.get(p.id);
	const seen = !p.away || (before ? before.seen : !joining);
	state.people.set(p.id, { ...p, since: before?.since ?? ++order, spoke: before?.spoke ?? 0, seen,
		lost: p.away && seen ? before?.lost || Date.now() : 0 });
}

/**
 * Somebody comes, goes, changes, or speaks.
 * @param {any} e the server's event @param {(what: string, name: string) => void} said for the announcer
 */
export function onPerson(e, said) {
	const who = state.people.get(e.id);
	const other = e.id !== state.me.id;
	switch (e.t) {
	case 'join':
		if (e.p.id !== state.me.id && !state.people.has(e.p.id))
			said('joined', e.p.name);
		putPerson(e.p, true);
		break;
	case 'leave':
		if (who && other)
			said('left', who.name);
		state.people.delete(e.id);
		state.speakers = state.speakers.filter((id) => id !== e.id);
		break;
	case 'update':
		if (who) {
			const { t: _t, ...news } = e;
			if (news.screen && !who.screen && other)
				said('screen', who.name);
			putPerson({ ...who, ...news });
		}
		break;
	case 'speakers':
		setSpeakers(e.ids || []);
		break;
	}
}

/** @param {string[]} ids loudest first */
export function setSpeakers(ids) {
	state.speakers = ids;
	for (const id of ids) {
		const speaker = state.people.get(id);
		if (speaker)
			speaker.spoke = Date.now();
	}
}
