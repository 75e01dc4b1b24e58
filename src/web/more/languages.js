// SPDX-License-Identifier: AGPL-3.0-or-later
// Languages: which one hears, and how loud the floor is behind it; and for interpreters, into which they speak, who of two is
// heard, and the hand-over, beside the stage, where it is at hand.
import { want } from './acts.js';
import { box, button, changed, get, keepHears, myBooth, myNumber, nameOf, note, setAttr, setNotice, setText, state, t,
	takes } from './page.js';

const PROBLEM = 'language-problem';

/** @param {number|undefined} n */
const nameAt = (n) => [...state.people.values()].find((p) => p.n === n)?.name || t('booth.colleague');

/** Who asked last, so that it is told once. */
let asked = 0;

export function beginLanguages() {
	const lang = get('hear-lang', HTMLSelectElement), floor = get('hear-floor', HTMLSelectElement);
	lang.onchange = floor.onchange = () => {
		keepHears({ lang: lang.value, floor: floor.value });
		want(PROBLEM, { t: 'hear', lang: lang.value, floor: floor.value });
		changed();
	};
	const booth = get('booth-lang', HTMLSelectElement);
	booth.onchange = () => want(PROBLEM, { t: 'interpret', lang: booth.value }).then(changed);
	button('booth-yes').onclick = () => want(PROBLEM, { t: 'handover', on: myBooth()?.asks !== myNumber() });
	button('booth-no').onclick = () => want(PROBLEM, { t: 'handover', on: false });
	takes({ channels: tellAsked });
}

/** Somebody would like to be relieved, or to relieve. */
function tellAsked() {
	const mine = myBooth();
	const asks = mine?.asks && mine.asks !== myNumber() ? mine.asks : 0;
	if (asks && asks !== asked)
		note(t(mine?.live === asks ? 'booth.gives' : 'booth.takes', { name: nameAt(asks) }));
	asked = asks;
}

/** @param {HTMLSelectElement} select @param {[string, string][]} values with their words */
export function offer(select, values) {
	const key = JSON.stringify(values);
	if (select.dataset.key === key)
		return;
	select.dataset.key = key;
	const { value } = select;
	select.replaceChildren(...values.map(([code, words]) => {
		const option = document.createElement('option');
		option.textContent = words;
		option.value = code;
		if (state.languages.includes(code))
			option.lang = code;
		return option;
	}));
	if (values.some(([code]) => code === value))
		select.value = value;
}

/** @returns {[string, string][]} */
export const languageNames = () => state.languages.map((l) => [l, nameOf(l)]);

/** What an interpreter has to know at each moment. */
function renderBooth() {
	const mine = myBooth(), me = myNumber();
	const strip = box('booth');
	strip.hidden = !mine;
	if (!mine)
		return;
	const other = mine.booth.find((n) => n !== me);
	const live = mine.live === me;
	const on = state.people.get(state.me.id)?.mic;
	const name = nameAt(other);
	setAttr(strip, 'data-live', String(live && !!on));
	setText(box('booth-status'), !live ? t('booth.waits', { name, lang: nameOf(mine.lang) })
		: t(on ? 'booth.live' : 'booth.mute', { lang: nameOf(mine.lang) }));
	const yes = button('booth-yes');
	yes.hidden = !other;
	setText(yes, mine.asks === me ? t('booth.withdraw') : mine.asks ? t(live ? 'booth.give' : 'booth.take')
		: t(live ? 'booth.ask.give' : 'booth.ask.take'));
	button('booth-no').hidden = !mine.asks || mine.asks === me;
}

export function renderLanguage() {
	renderBooth();
	if (state.panel !== 'language')
		return;
	box('language-hear').hidden = !state.languages.length;
	const lang = get('hear-lang', HTMLSelectElement), floor = get('hear-floor', HTMLSelectElement);
	offer(lang, [['', t('language.floor')], ...languageNames()]);
	offer(floor, [['off', t('floor.off')], ['-20', t('floor.low')], ['-12', t('floor.half')]]);
	lang.value = state.hears.lang;
	floor.value = state.hears.floor;
	box('hear-floor-field').hidden = !state.hears.lang;
	const channel = state.channels.find((c) => c.lang === state.hears.lang);
	setNotice(box('hear-nobody'), channel && !channel.live ? t('hear.nobody') : '');
	const desk = box('language-desk');
	desk.hidden = state.me.role !== 'interpreter' || !state.languages.length;
	if (!desk.hidden) {
		const booth = get('booth-lang', HTMLSelectElement);
		offer(booth, [['', t('booth.none')], ...languageNames()]);
		booth.value = myBooth()?.lang || '';
	}
}
