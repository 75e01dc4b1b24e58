// SPDX-License-Identifier: AGPL-3.0-or-later
// Words. Only the catalogue in use is loaded; all have the same keys (checked by the lint),
// so there is no fallback to mix languages with. Static words are in the markup as
// data-t (text), data-t-label (aria-label) and data-t-title.
import { fileAt } from './dom.js';

export const LANGUAGES = { en: 'English', fr: 'Français', es: 'Español', pt: 'Português', ar: 'العربية', sw: 'Kiswahili' };
/** Letters that run from right to left, those of Fula and N'Ko among them. */
const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** @type {Record<string, string>} */
let words = {};
let lang = 'en';
let plurals = new Intl.PluralRules('en');

export const language = () => lang;

/** A figure as it is written in the language. In Arabic with the digits that bundles are sold by, everywhere. @param {number} n @param {Intl.NumberFormatOptions} [o] */
export const figure = (n, o) => n.toLocaleString(`${lang}-u-nu-latn`, o);

/** Where the words in use come from: a part of the page that is loaded later brings its own. */
const folders = ['i18n/'];

/** Some browsers never ask again for a module that did not come: then under another name. */
let again = '';

/** @param {string} to @returns {Promise<Record<string, string>>} */
async function load(to) {
	const all = await Promise.all(folders.map((folder) => import(fileAt(`${folder}${to}.js${again}`))));
	return Object.assign({}, ...all.map((m) => m.default));
}

/** @param {string} folder of catalogues, in all languages @param {string} retry for the address, '' the first time */
export async function addWords(folder, retry) {
	folders.push(folder);
	again = retry;
	try {
		for (let at = ''; at !== lang;) { // it may be changed meanwhile
			at = lang;
			const all = await load(at);
			if (at === lang)
				words = all;
		}
	} catch (e) {
		folders.pop();
		throw e;
	}
}

/** For longer than this window, unlike all else: it says nothing about anybody. @param {string} to */
function remember(to) {
	try {
		localStorage.setItem('palabre-lang', to);
	} catch { /* chosen again next time, then */ }
}

/** @param {string} [to] */
export async function loadLanguage(to) {
	const next = to || document.documentElement.lang; // boot.js has chosen it
	let count = 0;
	while (count !== folders.length) {
		count = folders.length;
		words = await load(next);
	}
	lang = next;
	plurals = new Intl.PluralRules(next);
	if (to)
		remember(to);
	document.documentElement.lang = lang;
	document.documentElement.dir = FROM_RIGHT.test(words.language) ? 'rtl' : 'ltr';
	translate(document);
}

/** Names and addresses that run the other way than the page stay in one piece (U+2068, U+2069). @param {string|number} value */
function apart(value) {
	const mixed = document.documentElement.dir === 'rtl' || FROM_RIGHT.test(String(value));
	return mixed ? `\u2068${value}\u2069` : String(value);
}

/** @param {string} key @param {Record<string, string|number>} [values] */
export function t(key, values) {
	const text = (words[key] ?? key).replace(/ (?=[:;?!%])/g, '\u00a0'); // no sign begins a line
	return values ? text.replace(/\{(\w+)\}/g, (all, name) => name in values ? apart(values[name]) : all) : text;
}

/** With a number, in the forms of the language (CLDR): `key`.one, `key`.other, … @param {string} key @param {number} n */
export function tn(key, n) {
	const form = `${key}.${plurals.select(n)}`;
	return t(form in words ? form : `${key}.other`, { n: figure(n) }); // a million people have "many" in French
}

/** Whether there are words for that. @param {string} key */
export const has = (key) => key in words;

/** @param {ParentNode} root */
export function translate(root) {
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
