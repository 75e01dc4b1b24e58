// SPDX-License-Identifier: AGPL-3.0-or-later
// Who is in the call: kept in state as the server tells it.
import { state } from './state.js';

let order = 0;

// In a large room the server tells a part of them, and the others when asked. Who shows something must be known. The
// others are wanted for the list of people alone: of a crowd only while that is open, and not more than can be read.
let missed = false;
const SMALL = 300;
const LISTED = 500;

/** Those of a `welcome`: all there are, or of a large room some. @param {{people: import('./state.js').Person[], count?: number, more?: number, shown?: boolean}} e */
export function setPeople({ people, count, more, shown }) {
	const ids = new Set(people.map((p) => p.id));
	for (const id of state.people.keys())
		if (!ids.has(id))
			state.people.delete(id);
	for (const p of people)
		putPerson(p);
	state.count = count ?? people.length;
	state.more = more ?? null;
	missed = shown === false;
}

/** Somebody not known is to be seen or heard. @param {(string|null|undefined)[]} ids */
export function missPeople(ids) {
	missed ||= ids.some((id) => id && !state.people.has(id));
}

/** More of them. @param {{people: import('./state.js').Person[], count: number, more?: number}} e */
export function addPeople({ people, count, more }) {
	for (const p of people)
		putPerson(p);
	state.count = count;
	state.more = more ?? null;
}

/** After which number to ask for more now; null: not. */
export function wantsPeople() {
	const wanted = missed || state.count <= SMALL || (state.peopleOpen && state.people.size < LISTED);
	return wanted ? state.more : null;
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
		if (!state.people.has(e.p.id)) {
			state.count++;
			if (e.p.id !== state.me.id)
				said('joined', e.p.name);
		}
		putPerson(e.p, true);
		break;
	case 'leave':
		if (who && other)
			said('left', who.name);
		state.count = Math.max(0, state.count - 1);
		state.people.delete(e.id);
		state.speakers = state.speakers.filter((id) => id !== e.id);
		break;
	case 'update':
		{
			const { t: _t, ...news } = e;
			if (who && news.screen && !who.screen && other)
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
