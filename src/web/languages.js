// SPDX-License-Identifier: AGPL-3.0-or-later
// What everybody has of languages and captions before more/ is loaded: whether the room has any, and what this person has chosen,
// which a reload and a new connection do not lose.
import { state, changed, inCall, myBooth, read, write } from './state.js';
import { t } from './i18n.js';
import { box, button, setAttr } from './dom.js';
import { note, setTip } from './panels.js';
import { wantMore } from './lazy.js';
import { reconcile } from './sends.js';
import { ask, takes } from './wish.js';

const KEY = 'palabre-captions', HEARS = 'palabre-hears', BOOTH = 'palabre-booth';
/** What a voice of the floor is turned down to behind a channel. */
const FLOORS = { off: 0, '-20': 0.1, '-12': 0.25 };
export const SIZES = ['small', 'medium', 'large'];
export const PLACES = ['below', 'above'];

takes({
	welcome(e) {
		if (!e.board)
			return; // in the lobby, or a server that has just begun
		state.languages = (e.room?.languages || '').split(',').filter(Boolean);
		state.captions.any = !!e.captions;
		if (state.languages.length && !told && state.me.role !== 'interpreter')
			note(t('language.there'));
		told = true;
		follow(e.channels || []);
		again(e.hears);
		if (wants())
			prepare();
	},
	channels(e) {
		follow(e.list);
	},
	captioned() {
		state.captions.any = true;
		if (state.me.role !== 'captioner')
			note(t('captions.begun'));
	},
});

/** That there is something to choose: once. */
let told = false;

/** @param {typeof state.channels} list */
function follow(list) {
	state.channels = list;
	const now = myBooth()?.lang || '';
	if (now === state.booth)
		return;
	keepBooth(now);
	state.want.mic = false; // the server has switched it off
	reconcile();
}

/** What a server that was restarted has forgotten. @param {typeof state.hears|undefined} known */
function again(known) {
	const { lang, floor } = state.hears;
	if (lang && !state.languages.includes(lang))
		state.hears.lang = '';
	else if (known && (known.lang !== lang || lang && known.floor !== floor))
		ask({ t: 'hear', lang, floor });
}

/** @param {string} lang */
function keepBooth(lang) {
	state.booth = lang;
	write(BOOTH, lang);
}

/** @param {Partial<typeof state.hears>} what */
export function keepHears(what) {
	Object.assign(state.hears, what);
	write(HEARS, JSON.stringify(state.hears));
}

/** The floor behind a channel: in one stream the server has turned it down already. */
function turnDown() {
	const { lang, floor } = state.hears;
	const live = state.channels.find((c) => c.lang === lang)?.live;
	const slots = [...state.slots.values()].filter((s) => s.kind === 'audio');
	const isLive = (/** @type {import('./state.js').Slot} */ s) => !!live && s.k === 'mic' && state.people.get(s.p || '')?.n === live;
	const over = !!lang && state.voice.down === 'all' && slots.some(isLive);
	for (const s of slots)
		s.el.volume = over && !isLive(s) ? FLOORS[/** @type {keyof typeof FLOORS} */ (floor)] : 1;
}

const writes = () => ['captioner', 'interpreter'].includes(state.me.role);
const wants = () => state.captions.of !== 'none' || writes();

/** If it does not come, then when the panel is opened. */
function prepare() {
	wantMore().catch(() => {});
}

export function keepCaptions() {
	const { of, size, place, aloud } = state.captions;
	write(KEY, JSON.stringify({ of, size, place, aloud }));
}

export function setupLanguages() {
	try {
		const { of, size, place, aloud } = JSON.parse(read(KEY) || '{}');
		Object.assign(state.captions, { of: typeof of === 'string' ? of : 'none', size: SIZES.includes(size) ? size : 'medium',
			place: PLACES.includes(place) ? place : 'below', aloud: aloud !== false });
		const hears = JSON.parse(read(HEARS) || '{}');
		if (typeof hears.lang === 'string' && hears.floor in FLOORS)
			Object.assign(state.hears, { lang: hears.lang, floor: hears.floor });
		state.booth = read(BOOTH);
	} catch { /* chosen again, then */ }
}

export function renderLanguages() {
	if (!inCall())
		return;
	turnDown();
	const { captions, languages, panel } = state;
	const b = button('language-button');
	b.hidden = !languages.length && !captions.any && captions.of === 'none' && state.me.role !== 'captioner';
	if (b.hidden && panel === 'language') {
		state.panel = '';
		changed();
	}
	setAttr(b, 'aria-expanded', String(panel === 'language'));
	setTip(b, t('bar.language.tip'));
	const strip = box('captions');
	strip.hidden = captions.of === 'none';
	setAttr(strip, 'data-size', captions.size);
	setAttr(strip, 'data-place', captions.place);
	setAttr(box('captions-lines'), 'aria-live', captions.aloud ? 'polite' : 'off');
}
