// SPDX-License-Identifier: AGPL-3.0-or-later
// Buttons that want something of the room, and what is said when it says no.
import { box, make, say, setNotice, setText, t, whyWords, wish } from './page.js';

const SURE_MS = 5000;

/** @param {string} problem id of the line for what went wrong @param {{t: string, [field: string]: any}} message @returns {Promise<boolean>} done */
export async function want(problem, message) {
	const why = await wish(message);
	setNotice(box(problem), why ? whyWords(why) : '');
	return !why;
}

/** @param {string} className @param {() => void} onclick */
export function act(className, onclick) {
	const b = make('button', className);
	b.type = 'button';
	b.onclick = onclick;
	return b;
}

/** What cannot be undone wants a second press. @param {string} className @param {() => void} then */
export function sureAct(className, then) {
	/** @type {ReturnType<typeof setTimeout>|undefined} */
	let timer = undefined;
	const b = act(className, () => {
		if (b.dataset.sure) {
			calm();
			then();
			return;
		}
		b.dataset.sure = b.textContent || '';
		setText(b, t('sure'));
		say(t('sure'));
		timer = setTimeout(calm, SURE_MS);
	});
	const calm = () => {
		clearTimeout(timer);
		if (b.dataset.sure)
			setText(b, b.dataset.sure);
		delete b.dataset.sure;
	};
	return b;
}

/** Words of a button that may just be asking whether one is sure. @param {HTMLElement} b @param {string} words */
export function setWords(b, words) {
	if (!b.dataset.sure)
		setText(b, words);
}
