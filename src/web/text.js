// SPDX-License-Identifier: AGPL-3.0-or-later
// What people have written, and times: pure, tested without a browser.

const LINK = /\bhttps?:\/\/[^\s<>"'`\u00ab\u00bb\u201c\u201d]+/giu;
/** What ends a sentence and not an address. */
const END = /[.,;:!?\u2026\u060c\u061b\u061f]+$/u;

/** @param {string} found @returns {string} without what belongs to the sentence around it */
function trimmed(found) {
	let text = found.replace(END, '');
	while (text.endsWith(')') && text.split(')').length > text.split('(').length)
		text = text.slice(0, -1).replace(END, '');
	return text;
}

/** Only what is plainly an address: with a name in it, "https://bank@elsewhere" leads elsewhere. @param {string} text */
function addressOf(text) {
	try {
		const url = new URL(text);
		return /^https?:$/.test(url.protocol) && url.hostname && !url.username && !url.password ? url.href : '';
	} catch {
		return '';
	}
}

/** Text in pieces: those with `href` are links. @param {string} text @returns {{text: string, href?: string}[]} */
export function pieces(text) {
	/** @type {{text: string, href?: string}[]} */
	const list = [];
	let at = 0;
	for (const match of text.matchAll(LINK)) {
		const link = trimmed(match[0]);
		const href = addressOf(link);
		if (!href)
			continue;
		if (match.index > at)
			list.push({ text: text.slice(at, match.index) });
		list.push({ text: link, href });
		at = match.index + link.length;
	}
	if (at < text.length)
		list.push({ text: text.slice(at) });
	return list;
}

/** m:ss, or h:mm:ss. @param {number} seconds */
export function clock(seconds) {
	const s = Math.max(0, Math.floor(seconds));
	const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
	const hours = Math.floor(s / 3600), minutes = Math.floor(s / 60) % 60;
	return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

/** Length as the server counts it: letters, and bytes as UTF-8. @param {string} text @param {number} chars @param {number} bytes */
export function leftOf(text, chars, bytes) {
	const used = [...text].length, weight = new TextEncoder().encode(text).length;
	return Math.min(chars - used, Math.floor((bytes - weight) / 3));
}
