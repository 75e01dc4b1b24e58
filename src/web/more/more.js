// SPDX-License-Identifier: AGPL-3.0-or-later
// Board, chat, polls, languages, captions: what they look like beside the stage. A bundle of its own, see ../lazy.js.
import { beginBoard, renderBoard } from './board.js';
import { beginCaptions, renderCaptions } from './captions.js';
import { beginChat, renderChat } from './chat.js';
import { followItems } from './items.js';
import { beginLanguages, renderLanguage } from './languages.js';
import { BOARD, BOOTH, CHAT, ICONS, LANGUAGE } from './markup.js';
import { box, changed, inCall, state, take, translate } from './page.js';
import { beginPolls, followPolls, renderPolls } from './polls.js';

const AGES_MS = 20000;

/** @param {import('./page.js').Given} given */
export function begin(given) {
	take(given);
	document.body.insertAdjacentHTML('afterbegin', ICONS);
	box('board-body').innerHTML = BOARD;
	box('chat-body').innerHTML = CHAT;
	box('language-body').innerHTML = LANGUAGE;
	box('notes').insertAdjacentHTML('beforeend', BOOTH);
	translate(document);
	followItems();
	followPolls();
	beginBoard();
	beginChat();
	beginPolls();
	beginLanguages();
	beginCaptions();
	setInterval(() => state.panel && changed(), AGES_MS);
}

export function render() {
	if (!inCall())
		return;
	renderBoard();
	renderChat();
	renderPolls();
	renderLanguage();
	renderCaptions();
}
