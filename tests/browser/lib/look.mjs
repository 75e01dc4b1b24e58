// SPDX-License-Identifier: AGPL-3.0-or-later
// Looks at the page as people with other eyes, ears and hands do: what is read out, where the
// focus is, what is cut off or covered, what axe finds. Everything here runs in the page.
import { readFileSync } from 'node:fs';

const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe objects to: ["rule: selector", …]. */
export async function axeFinds(page) {
	await page.evaluate(`globalThis.axe || (() => { ${axe} })()`);
	return page.evaluate(async (rules) => {
		const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ['violations'] });
		return violations.flatMap((v) => v.nodes.map((n) =>
			`${v.id}: ${n.target.join(' ')}: ${n.failureSummary?.split('\n').slice(1).join('; ')}`));
	}, RULES);
}

/** Runs before the page: __look keeps what live regions say, and answers questions. */
export function lookInit() {
	const look = globalThis.__look = { said: [] };
	const told = (text) => text.trim() && look.said.push(text.trim());
	document.addEventListener('DOMContentLoaded', () => {
		for (const region of document.querySelectorAll('[role=log], [role=status], [role=alert]')) {
			// What is not rendered is not read out.
			const heard = () => region.getClientRects().length > 0;
			new MutationObserver((changes) => {
				if (region.getAttribute('role') !== 'log')
					return heard() && told(region.textContent);
				for (const node of changes.flatMap((c) => [...c.addedNodes]))
					if (heard())
						told(node.textContent);
			}).observe(region, { childList: true, characterData: true, subtree: true });
		}
	});

	/** Where the focus is, and whether it can be seen. */
	look.focus = () => {
		const e = document.activeElement;
		if (!e || e === document.body)
			return { id: '', lost: true };
		const id = e.id || e.dataset.device || e.className || e.tagName;
		if (/^H[1-6]$/.test(e.tagName))
			return { id, ok: true }; // read out, not operated
		// A radio is seen by the box beside it.
		const style = getComputedStyle(e.type === 'radio' ? e.nextElementSibling : e);
		const r = e.getBoundingClientRect();
		// An outline that is cut off on three sides is none.
		const out = parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth);
		const clips = [{ left: 0, top: 0, right: innerWidth, bottom: innerHeight }];
		for (let p = e.parentElement; p; p = p.parentElement)
			if (getComputedStyle(p).overflow !== 'visible')
				clips.push(p.getBoundingClientRect());
		const sides = ['left', 'top', 'right', 'bottom'].filter((side) => clips.every((c) =>
			/left|top/.test(side) ? r[side] - out >= c[side] - 0.5 : r[side] + out <= c[side] + 0.5));
		const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && sides.length > 1;
		const [x, y] = [(Math.max(0, r.left) + Math.min(innerWidth, r.right)) / 2,
			(Math.max(0, r.top) + Math.min(innerHeight, r.bottom)) / 2];
		const hit = document.elementFromPoint(x, y);
		const top = !!hit && (e.contains(hit) || hit.contains(e));
		const inside = r.width > 1 && r.height > 1 && r.right > 0 && r.left < innerWidth &&
			r.bottom > 0 && r.top < innerHeight;
		return { id, ok: ring && top && inside, ring, top, inside };
	};

	/** Live regions that a reader could not know of yet. */
	look.deaf = () => [...document.querySelectorAll('[role=status], [role=log]')]
		.filter((e) => !e.closest('[hidden], dialog:not([open])') &&
			!e.checkVisibility({ visibilityProperty: true })).map((e) => e.id);

	const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest('.hush, .parked');
	const name = (e) => `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ''}${[...e.classList].map((c) => `.${c}`).join('')} "${
		e.textContent.trim().slice(0, 30)}"`;
	const TARGET_PX = 44;
	// Names of people may be as long as they like: those end in "…", and stand in the list of people; a question on the board; a
	// note has a button for the rest.
	const MAY_END = '.who, .person-name bdi, #now-text, #pinned-text, select, input';

	/** What is left of it where a list has been scrolled. */
	const scrolled = (e, { left, top, right, bottom }) => {
		for (let p = e.parentElement; p; p = p.parentElement)
			if (getComputedStyle(p).overflow !== 'visible') {
				const c = p.getBoundingClientRect();
				[left, top, right, bottom] = [Math.max(left, c.left), Math.max(top, c.top), Math.min(right, c.right), Math.min(bottom, c.bottom)];
			}
		return { left, top, right, bottom };
	};

	/** What is too wide, cut off, over each other, or too small to touch. */
	look.faults = () => {
		const faults = [];
		const modal = document.querySelector('dialog:modal');
		const root = modal || document.body;
		for (const e of [document.scrollingElement, ...document.querySelectorAll('main, dialog, .bar, .card')])
			if ((e === document.scrollingElement || shown(e)) && e.scrollWidth > e.clientWidth + 1)
				faults.push(`scrolls sideways: ${name(e)} ${e.scrollWidth} > ${e.clientWidth}`);
		const controls = [...root.querySelectorAll('button, select, input, summary, a[href]')].filter(shown)
			.map((e) => ({ e, r: (e.closest('label:has(input)') || e).getBoundingClientRect() }))
			.map(({ e, r }) => ({ e, r, seen: scrolled(e, r) }));
		for (const { e, r } of controls) {
			if (r.left < -1 || r.right > innerWidth + 1)
				faults.push(`out of the window: ${name(e)} ${r.left}…${r.right}`);
			if (r.height < TARGET_PX - 0.5 || r.width < TARGET_PX - 0.5)
				faults.push(`too small to touch: ${name(e)} ${r.width}x${r.height}`);
			if (e.closest('.bar') && (r.bottom > innerHeight + 1 || r.top < 0))
				faults.push(`out of the window: ${name(e)} ${r.top}…${r.bottom}`);
		}
		// Of what scrolls, so much as is to be seen.
		for (const c of controls)
			for (let p = c.e.parentElement; p; p = p.parentElement)
				if (/auto|scroll/.test(getComputedStyle(p).overflowY) && p !== document.scrollingElement) {
					const { top, bottom } = p.getBoundingClientRect();
					c.r = new DOMRect(c.r.x, Math.max(top, c.r.top), c.r.width, Math.max(0, Math.min(bottom, c.r.bottom) - Math.max(top, c.r.top)));
				}
		for (const a of controls)
			for (const b of controls) {
				const both = (what) => a.e.closest(what) && b.e.closest(what);
				const over = Math.min(a.seen.right, b.seen.right) - Math.max(a.seen.left, b.seen.left) > 1 &&
					Math.min(a.seen.bottom, b.seen.bottom) - Math.max(a.seen.top, b.seen.top) > 1;
				// Oneself floats over the other one; what stays at the bottom covers what scrolls.
				if (a.e !== b.e && over && !both('#stage') && ![a, b].some(({ e }) => e.id === 'join' ||
					e.closest('.panel-head, .sheet') && e.closest('.panel-head')))
					faults.push(`over each other: ${name(a.e)} and ${name(b.e)}`);
			}
		for (const e of root.querySelectorAll('*')) {
			if (!shown(e) || e.closest(MAY_END) || e.closest('svg') ||
				![...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()))
				continue;
			const style = getComputedStyle(e);
			if (style.clipPath !== 'none')
				continue; // only for the ear
			const range = document.createRange();
			range.selectNodeContents(e);
			const text = range.getBoundingClientRect();
			const box = e.getBoundingClientRect();
			if (style.overflow !== 'visible' && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 2))
				faults.push(`cut off: ${name(e)} ${e.scrollWidth} > ${e.clientWidth}`);
			if (text.left < -1 || text.right > innerWidth + 1)
				faults.push(`words out of the window: ${name(e)} ${Math.round(text.left)}…${Math.round(text.right)}`);
			if (style.display !== 'inline' && (text.right > box.right + 2 || text.left < box.left - 2))
				faults.push(`words out of their box: ${name(e)}`);
		}
		return faults;
	};

	/** What moves by itself or would, of all that is on the page. */
	look.motion = () => [...document.querySelectorAll('*')].flatMap((e) => ['', '::before', '::after'].flatMap((pseudo) => {
		const s = getComputedStyle(e, pseudo || undefined);
		const moves = s.animationName !== 'none' || s.transitionDuration.split(',').some((d) => parseFloat(d) > 0);
		return moves && s.display !== 'none' ? [name(e) + pseudo] : [];
	}));
}
