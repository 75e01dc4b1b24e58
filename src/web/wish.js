// SPDX-License-Identifier: AGPL-3.0-or-later
// What a person wants of the room, and what the room tells: each part of the page takes the events that are its own.
// Needs nothing of the others, so that all may use it.

/** @type {Map<string, ((e: any) => void)[]>} */
const takers = new Map();

/** For each type of event, who is told; `welcome` comes with each new connection. @param {Record<string, (e: any) => void>} handlers */
export function takes(handlers) {
	for (const [type, take] of Object.entries(handlers))
		takers.set(type, [...(takers.get(type) || []), take]);
}

/** @param {any} e the server's event */
export function tell(e) {
	for (const take of takers.get(e.t) || [])
		take(e);
}

/** How a message leaves; false: it cannot now. @type {(message: object) => boolean} */
let leave = () => false;

/** @param {(message: object) => boolean} send */
export function sendsBy(send) {
	leave = send;
}

/** Asks for what is answered by an event of its own. @param {{t: string, [field: string]: any}} message @returns {boolean} whether it left */
export const ask = (message) => leave(message);

const ANSWER_MS = 10000;
let ref = 0;
/** @type {Map<number, (why: string) => void>} */
const waiting = new Map();

/**
 * Asks the room for something. @param {{t: string, [field: string]: any}} message
 * @returns {Promise<string>} '' when it is done; otherwise why not: an id of the server's, or 'unsent', or 'unanswered' (it may have been done)
 */
export function wish(message) {
	const mine = ++ref;
	if (!leave({ ...message, ref: mine }))
		return Promise.resolve('unsent');
	return new Promise((done) => {
		const timer = setTimeout(() => answer(mine, 'unanswered'), ANSWER_MS);
		waiting.set(mine, (why) => {
			clearTimeout(timer);
			done(why);
		});
	});
}

/** @param {number} to the wish's number @param {string} why */
function answer(to, why) {
	waiting.get(to)?.(why);
	waiting.delete(to);
}

takes({
	ok: (e) => answer(e.ref, ''),
	error: (e) => answer(e.ref, e.why || e.error || 'internal'),
});
