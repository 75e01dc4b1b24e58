// SPDX-License-Identifier: AGPL-3.0-or-later
// Board and chat are a bundle of their own (more/), which comes when it is first wanted: whoever only talks does not pay
// for it. It is given what it shares with the page, since a copy of its own of, say, state.js would be another state.
import { state, changed, inCall, leads, myNumber } from './state.js';
import { addWords, figure, language, t, tn, translate } from './i18n.js';
import { box, button, fileAt, get, icon, make, setAttr, setLabel, setNotice, setText } from './dom.js';
import { post } from './api.js';
import { linked, REACTIONS } from './glance.js';
import { say } from './panels.js';
import { ask, takes, wish } from './wish.js';
import { clock, leftOf } from './text.js';
import { whyWords } from './why.js';

/** @typedef {ReturnType<typeof given>} Given */
const given = () => ({ state, changed, inCall, leads, myNumber, figure, language, t, tn, translate, box, button, get, icon, make, setAttr,
	setLabel, setNotice, setText, post, clock, leftOf, linked, REACTIONS, say, ask, takes, wish, whyWords });

/** @type {typeof import('./more/more.js')|null} */
let more = null;
/** @type {Promise<void>|null} */
let loading = null;
let tries = 0;

/** @param {string} retry */
function loadStyle(retry) {
	const link = document.createElement('link');
	link.rel = 'stylesheet';
	link.href = fileAt(`more.css${retry}`);
	return new Promise((done, fail) => {
		link.onload = done;
		link.onerror = () => {
			link.remove();
			fail(new Error('more.css'));
		};
		document.head.append(link);
	});
}

async function load() {
	const retry = tries++ ? `?${tries}` : ''; // some browsers never ask again for a module that did not come
	const [bundle] = await Promise.all([import(fileAt(`more.js${retry}`)), addWords('i18n/more/', retry), loadStyle(retry)]);
	bundle.begin(given());
	more = bundle;
	changed();
}

/** Rejects if it does not come. */
export function wantMore() {
	loading ??= load().catch((e) => {
		loading = null;
		throw e;
	});
	return loading;
}

export const hasMore = () => !!more;

export function renderMore() {
	more?.render();
}
