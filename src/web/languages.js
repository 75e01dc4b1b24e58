// SPDX-License-Identifier: AGPL-3.0-or-later
// What everybody has of languages and captions before more/ is loaded: whether the room has any, and what this person has chosen,
// which a reload and a new connection do not lose.
import { state, changed, inCall, read, write } from './state.js';
import { t } from './i18n.js';
import { box, button, setAttr } from './dom.js';
import { note, setTip } from './panels.js';
import { wantMore } from './lazy.js';
import { takes } from './wish.js';

const KEY = 'palabre-captions';
export const SIZES = ['small', 'medium', 'large'];
export const PLACES = ['below', 'above'];

takes({
	welcome(e) {
		if (!e.board)
			return; // in the lobby, or a server that has just begun
		state.languages = (e.room?.languages || '').split(',').filter(Boolean);
		state.captions.any = !!e.captions;
		if (wants())
			prepare();
	},
	captioned() {
		state.captions.any = true;
		note(t('captions.begun'));
	},
});

const writes = () => state.me.role === 'captioner';
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
	} catch { /* chosen again, then */ }
}

export function renderLanguages() {
	if (!inCall())
		return;
	const { captions, languages, panel } = state;
	const b = button('language-button');
	b.hidden = !languages.length && !captions.any && !wants();
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
