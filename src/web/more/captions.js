// SPDX-License-Identifier: AGPL-3.0-or-later
// Captions: the last lines beside the stage, all that have come in the panel, how they look, and the captioner's field.
import { want } from './acts.js';
import { ask, box, changed, get, keepCaptions, language, leftOf, make, nameOf, PLACES, setText, SIZES, state, t, takes, tn } from './page.js';
import { languageNames, offer } from './languages.js';
import { Rows } from './rows.js';

/** @typedef {{c: number, text: string, lang?: string, at: number}} Line */

const CHARS = 300, BYTES = 900; // docs/protocol.md
const TELL_LEFT = 80;
const KEPT = 100;
const SHOWN = 2;
/** What nobody has added to for so long is not what is said now. */
const STALE_MS = 30000;
const PROBLEM = 'caption-problem';

/** @type {Line[]} oldest first */
let lines = [];
/** What was asked for on this connection, '': nothing. */
let asked = '';
/** @type {Rows<Line>} */
let rows;
/** Whoever has gone to the end goes along with it. */
let following = false;

/** @param {any} e @returns {Line} */
const kept = ({ c, text, lang, age }) => ({ c, text, lang, at: Date.now() - (age || 0) * 1000 });

/** @param {Line[]} more */
function add(more) {
	const last = lines[lines.length - 1]?.c ?? 0;
	lines = [...lines, ...more.filter((l) => l.c > last)].slice(-KEPT);
}

function wantLines() {
	const { of } = state.captions;
	if (asked === of || !asked && of === 'none')
		return;
	const again = !asked;
	if (!again)
		lines = []; // of what is not read any more
	if (ask({ t: 'captions', of, after: lines[lines.length - 1]?.c ?? 0 }))
		asked = of;
}

function follow() {
	takes({
		welcome(e) {
			if (!e.board)
				return;
			asked = '';
			wantLines();
		},
		captions(e) {
			if (lines.length && e.last < lines[lines.length - 1].c)
				lines = []; // the server was restarted, and counts anew
			add(e.items.map(kept));
		},
		caption(e) {
			state.captions.any = true;
			add([kept(e)]);
			setTimeout(changed, STALE_MS + 50);
		},
	});
}

/** @param {string} id @param {(value: string) => void} then */
function choice(id, then) {
	get(id, HTMLSelectElement).onchange = (e) => {
		then(/** @type {HTMLSelectElement} */ (e.target).value);
		keepCaptions();
		changed();
	};
}

export function beginCaptions() {
	follow();
	rows = new Rows(box('captions-list'), () => {
		const p = make('p', 'caption-text');
		p.dir = 'auto';
		return make('li', 'caption', make('small'), p);
	}, fillLine, box('language-scroll'));
	choice('captions-of', (of) => {
		state.captions.of = of;
		wantLines();
	});
	choice('captions-size', (size) => { state.captions.size = size; });
	choice('captions-place', (place) => { state.captions.place = place; });
	const aloud = get('captions-aloud', HTMLInputElement);
	aloud.onchange = () => {
		state.captions.aloud = aloud.checked;
		keepCaptions();
		changed();
	};
	box('language-scroll').addEventListener('scroll', () => {
		const e = box('language-scroll');
		following = e.scrollHeight - e.scrollTop - e.clientHeight < 60;
	}, { passive: true });
	get('caption-form', HTMLFormElement).onsubmit = submit;
	const field = get('caption-text', HTMLTextAreaElement);
	field.oninput = renderCompose;
	field.onkeydown = (e) => {
		if (e.key === 'Enter' && !e.isComposing)
			submit(e);
	};
	wantLines();
}

/** @param {HTMLElement} row @param {Line} line */
function fillLine(row, line) {
	const [when, text] = row.children;
	const time = new Date(line.at).toLocaleTimeString(`${language()}-u-nu-latn`, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
	setText(when, [time, line.lang ? nameOf(line.lang) : ''].filter(Boolean).join(' · '));
	setText(text, line.text);
	if (text instanceof HTMLElement && line.lang)
		text.lang = line.lang;
}

// ---- writing ----

/** @param {Event} e */
async function submit(e) {
	e.preventDefault();
	const field = get('caption-text', HTMLTextAreaElement);
	const text = field.value.trim();
	if (!text || leftOf(text, CHARS, BYTES) < 0)
		return;
	const lang = get('caption-lang', HTMLSelectElement).value;
	// Whoever writes along with speech does not wait for the answer.
	field.value = '';
	renderCompose();
	if (!await want(PROBLEM, { t: 'caption', text, lang }) && !field.value)
		field.value = text;
	renderCompose();
}

function renderCompose() {
	const left = leftOf(get('caption-text', HTMLTextAreaElement).value.trim(), CHARS, BYTES);
	setText(box('caption-hint'), left < 0 ? tn('ask.over', -left) : left < TELL_LEFT ? tn('ask.left', left) : t('caption.hint'));
}

// ---- what is shown ----

/** The log keeps its lines, so that a reader reads each once. */
function renderStrip() {
	const log = box('captions-lines');
	const now = state.captions.of === 'none' ? [] : lines.filter((l) => Date.now() - l.at < STALE_MS).slice(-SHOWN);
	const there = new Map([...log.children].map((e) => [e instanceof HTMLElement ? e.dataset.c : '', e]));
	for (const [c, e] of there)
		if (!now.some((l) => String(l.c) === c))
			e.remove();
	for (const line of now) {
		if (there.has(String(line.c)))
			continue;
		const p = make('p', '', line.text);
		p.dir = 'auto';
		p.dataset.c = String(line.c);
		if (line.lang)
			p.lang = line.lang;
		log.append(p);
	}
}

export function renderCaptions() {
	renderStrip();
	if (state.panel !== 'language')
		return;
	const { captions } = state;
	const names = languageNames();
	const of = get('captions-of', HTMLSelectElement);
	offer(of, [['none', t('captions.none')], ['all', t(names.length ? 'captions.all' : 'captions.on')],
		.../** @type {[string, string][]} */ (names.length ? [['floor', t('language.floor')]] : []), ...names]);
	of.value = captions.of;
	offer(get('captions-size', HTMLSelectElement), SIZES.map((s) => [s, t(`captions.${s}`)]));
	offer(get('captions-place', HTMLSelectElement), PLACES.map((s) => [s, t(`captions.${s}`)]));
	get('captions-size', HTMLSelectElement).value = captions.size;
	get('captions-place', HTMLSelectElement).value = captions.place;
	get('captions-aloud', HTMLInputElement).checked = captions.aloud;
	box('captions-look').hidden = captions.of === 'none';
	rows.render(lines.map((l) => [l.c, l]));
	box('captions-past').hidden = !lines.length || captions.of === 'none';
	const form = box('caption-form');
	form.hidden = state.me.role !== 'captioner';
	if (!form.hidden) {
		offer(get('caption-lang', HTMLSelectElement), [['', t('language.floor')], ...names]);
		box('caption-lang-field').hidden = !names.length;
		renderCompose();
	}
	const e = box('language-scroll');
	if (following && lines.length && captions.of !== 'none')
		e.scrollTop = e.scrollHeight;
}
