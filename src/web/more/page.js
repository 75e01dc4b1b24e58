// SPDX-License-Identifier: AGPL-3.0-or-later
// What the page has given this bundle (lazy.js): one copy of each, so that there is one state.
/** @typedef {import('../lazy.js').Given} Given */
/** @typedef {import('../state.js').Item} Item */

/** @type {Given['state']} */ export let state;
/** @type {Given['changed']} */ export let changed;
/** @type {Given['inCall']} */ export let inCall;
/** @type {Given['leads']} */ export let leads;
/** @type {Given['myNumber']} */ export let myNumber;
/** @type {Given['figure']} */ export let figure;
/** @type {Given['language']} */ export let language;
/** @type {Given['t']} */ export let t;
/** @type {Given['tn']} */ export let tn;
/** @type {Given['translate']} */ export let translate;
/** @type {Given['box']} */ export let box;
/** @type {Given['button']} */ export let button;
/** @type {Given['get']} */ export let get;
/** @type {Given['icon']} */ export let icon;
/** @type {Given['make']} */ export let make;
/** @type {Given['setAttr']} */ export let setAttr;
/** @type {Given['setLabel']} */ export let setLabel;
/** @type {Given['setNotice']} */ export let setNotice;
/** @type {Given['setText']} */ export let setText;
/** @type {Given['post']} */ export let post;
/** @type {Given['clock']} */ export let clock;
/** @type {Given['leftOf']} */ export let leftOf;
/** @type {Given['linked']} */ export let linked;
/** @type {Given['REACTIONS']} */ export let REACTIONS;
/** @type {Given['say']} */ export let say;
/** @type {Given['ask']} */ export let ask;
/** @type {Given['takes']} */ export let takes;
/** @type {Given['wish']} */ export let wish;
/** @type {Given['whyWords']} */ export let whyWords;

/** Before anything else here runs. @param {Given} given */
export function take(given) {
	({ state, changed, inCall, leads, myNumber, figure, language, t, tn, translate, box, button, get, icon, make, setAttr, setLabel,
		setNotice, setText, post, clock, leftOf, linked, REACTIONS, say, ask, takes, wish, whyWords } = given);
}
