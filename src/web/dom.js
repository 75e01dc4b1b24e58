// SPDX-License-Identifier: AGPL-3.0-or-later
// Small helpers for the document. Setters write only what differs, so that rendering
// everything again is cheap and a screen reader hears nothing twice.

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function get(id, type) {
	const e = document.getElementById(id);
	if (!(e instanceof type))
		throw new Error(`no #${id}`);
	return e;
}

/** Address of a file that is not in the page itself. @param {string} name */
export const fileAt = (name) => `${document.documentElement.dataset.web}${name}`;

/** @param {string} id */
export const box = (id) => get(id, HTMLElement);
/** @param {string} id */
export const button = (id) => get(id, HTMLButtonElement);

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {...(Node|string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, ...children) {
	const e = document.createElement(tag);
	if (className)
		e.className = className;
	e.append(...children);
	return e;
}

/** @param {string} name */
export function icon(name) {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	svg.setAttribute('class', 'icon');
	svg.setAttribute('aria-hidden', 'true');
	const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
	use.setAttribute('href', `#i-${name}`);
	svg.append(use);
	return svg;
}

/** @param {Element} inside @param {string} name */
export function setIcon(inside, name) {
	const use = inside.querySelector('use');
	if (use && use.getAttribute('href') !== `#i-${name}`)
		use.setAttribute('href', `#i-${name}`);
}

/** @param {Element} e @param {string} text */
export function setText(e, text) {
	if (e.textContent !== text)
		e.textContent = text;
}

/** @param {Element} e @param {string} name @param {string} value */
export function setAttr(e, name, value) {
	if (e.getAttribute(name) !== value)
		e.setAttribute(name, value);
}

/** Name and tooltip of a control. @param {HTMLElement} e @param {string} text @param {string} [tip] */
export function setLabel(e, text, tip = text) {
	setAttr(e, 'aria-label', text);
	setAttr(e, 'title', tip);
}

/** A line that is hidden when empty. @param {HTMLElement} e @param {string} text */
export function setNotice(e, text) {
	setText(e, text);
	e.hidden = !text;
}
