// SPDX-License-Identifier: AGPL-3.0-or-later
// Words. Only the catalogue in use is loaded; all have the same keys (checked by the lint),
// so there is no fallback to mix languages with. Static words are in the markup as
// data-t (text), data-t-label (aria-label) and data-t-title.
import { fileAt } from './dom.js';
import { write } from './state.js';

export const LANGUAGES = { en: 'English', fr: 'Français', es: 'Español' };
const RTL = /^(ar|fa|he|ur)/;

/** @type {Record<string, string>} */
let words = {};
let lang = 'en';
let plurals = new Intl.PluralRules('en');

export const language = () => lang;

/** @param {string} name @returns {Promise<{default: Record<string, string>}>} */
const load = (name) => import(fileAt(`i18n/${name}.js`));

/** @param {string} [to] */
export async function loadLanguage(to) {
	const next = to || document.documentElement.lang; // boot.js has chosen it
	words = (await load(next)).default;
	lang = next;
	plurals = new Intl.PluralRules(next);
	if (to)
		write('palabre-lang', to);
	document.documentElement.lang = lang;
	document.documentElement.dir = RTL.test(lang) ? 'rtl' : 'ltr';
	translate(document);
}

/** @param {string} key @param {Record<string, string|number>} [values] */
export function t(key, values) {
	const text = words[key] ?? key;
	return values ? text.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all)) : text;
}

/** With a number: `key`.one, `key`.other. @param {string} key @param {number} n */
export function tn(key, n) {
	const form = `${key}.${plurals.select(n)}`;
	return t(form in words ? form : `${key}.other`, { n: n.toLocaleString(lang) });
}

/** @param {ParentNode} root */
function translate(root) {
	/** @type {[string, (e: HTMLElement, text: string) => void][]} */
	const places = [
		['t', (e, text) => { e.textContent = text; }],
		['tLabel', (e, text) => e.setAttribute('aria-label', text)],
		['tTitle', (e, text) => { e.title = text; }],
	];
	for (const [name, put] of places) {
		const attribute = `data-${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
		for (const e of root.querySelectorAll(`[${attribute}]`))
			if (e instanceof HTMLElement)
				put(e, t(e.dataset[name] || ''));
	}
}
