// SPDX-License-Identifier: AGPL-3.0-or-later
// Board, chat and polls: what they look like beside the stage. A bundle of its own, see ../lazy.js.
import { beginBoard, renderBoard } from './board.js';
import { beginChat, renderChat } from './chat.js';
import { followItems } from './items.js';
import { BOARD, CHAT, ICONS } from './markup.js';
import { box, changed, inCall, state, take, translate } from './page.js';
import { beginPolls, followPolls, renderPolls } from './polls.js';

const AGES_MS = 20000;

/** @param {import('./page.js').Given} given */
export function begin(given) {
	take(given);
	document.body.insertAdjacentHTML('afterbegin', ICONS);
	box('board-body').innerHTML = BOARD;
	box('chat-body').innerHTML = CHAT;
	translate(document);
	followItems();
	followPolls();
	beginBoard();
	beginChat();
	beginPolls();
	setInterval(() => state.panel && changed(), AGES_MS);
}

export function render() {
	if (!inCall())
		return;
	renderBoard();
	renderChat();
	renderPolls();
}
