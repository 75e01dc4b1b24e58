// SPDX-License-Identifier: AGPL-3.0-or-later
// Who may send what, as the server decides it (src/room/roles.c): so that the page offers nothing that would be refused.
// Pure; tests/browser/page_unit.mjs runs it in Node.

/** @typedef {import('./state.js').Kind} Kind */
/** @typedef {{role: string, called?: boolean, allowed?: boolean, held?: Kind[]}} Standing of a person */
/** @typedef {{mute: boolean, audience: boolean}} Rules of the room */

/** As a link's eighth byte numbers them. */
export const ROLES = ['host', 'moderator', 'speaker', 'interpreter', 'captioner', 'listener'];
/** Those that a moderator may give, and whom they lead. */
export const PLAIN = ROLES.slice(2);
/** Who speaks also while all are muted, or only those called may speak. */
const STAGE = ['host', 'moderator', 'interpreter'];

/** Who only listens, and why: 'listener', 'audience', or ''. @param {Standing} p @param {Rules} rules */
export function listens(p, rules) {
	if (p.called || STAGE.includes(p.role))
		return '';
	return p.role === 'listener' || p.role === 'captioner' ? 'listener' : rules.audience ? 'audience' : '';
}

/** Why somebody may not send that: also 'held' or 'muted'; '' if they may. @param {Kind} kind @param {Standing} p @param {Rules} rules */
export function forbids(kind, p, rules) {
	const { held = [] } = p;
	if (held.includes(kind) || kind === 'screenaudio' && (held.includes('mic') || held.includes('screen')))
		return 'held';
	const sound = kind === 'mic' || kind === 'screenaudio';
	const free = p.called || p.allowed || STAGE.includes(p.role);
	return listens(p, rules) || (sound && rules.mute && !free ? 'muted' : '');
}
