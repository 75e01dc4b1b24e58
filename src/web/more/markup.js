// SPDX-License-Identifier: AGPL-3.0-or-later
// The panels' markup, without a word in it and without anything that somebody has written.

export const ICONS = `<svg class="sprite" aria-hidden="true" focusable="false">
<symbol id="i-up" viewBox="0 0 24 24"><path d="M12 19V5M6 11l6-6 6 6"/></symbol>
<symbol id="i-send" viewBox="0 0 24 24"><path d="M4 12 20 4l-4 16-4-6.500ZM12 13.500 20 4"/></symbol>
<symbol id="i-tick" viewBox="0 0 24 24"><path d="M5 12.500l4.500 4.500L19 7.500"/></symbol>
</svg>`;

/** @param {string} s a state @param {string} key */
const group = (s, key) => `<section class="group" id="group-${s}" aria-labelledby="group-${s}-title" hidden>
<h3 id="group-${s}-title" data-t="${key}"></h3>
<ul role="list" id="items-${s}"></ul>
<button type="button" class="second wide-button" id="more-${s}" hidden></button>
</section>`;

/** @param {string} name @param {string} key */
const rule = (name, key) => `<label class="check"><input type="checkbox" data-rule="${name}"><span data-t="${key}"></span></label>`;

export const BOARD = `<p class="problem inset" id="board-problem" role="alert" hidden></p>
<div class="lead-bar" id="board-lead" hidden>
<button type="button" class="primary" id="board-next" data-t="board.next"></button>
<button type="button" class="second" id="board-done" data-t="board.done"></button>
</div>
<div class="scroll" id="board-scroll" role="region" aria-labelledby="board-title" tabindex="0">
<p class="fine inset" id="board-empty"></p>
${group('now', 'board.now')}${group('open', 'board.open')}${group('pending', 'board.pending')}${group('done', 'board.was')}
<details class="rules" id="board-rules" hidden>
<summary data-t="board.rules"></summary>
${rule('hands', 'rule.hands')}${rule('questions', 'rule.questions')}${rule('approve', 'rule.approve')}${rule('anonymous', 'rule.anonymous')}
<label class="field"><span data-t="rule.order"></span><select id="board-order"><option value="arrival" data-t="order.arrival"></option><option value="votes" data-t="order.votes"></option><option value="least" data-t="order.least"></option></select></label>
<label class="field"><span data-t="rule.limit"></span><select id="board-limit"></select></label>
<button type="button" class="second" id="board-save" data-t="board.save"></button>
</details>
</div>
<form class="compose" id="ask-form" novalidate>
<label for="ask-text" data-t="ask.label"></label>
<div class="compose-line"><textarea id="ask-text" rows="1" dir="auto" placeholder=" " aria-describedby="ask-hint"></textarea>
<button type="submit" class="primary" id="ask-send" data-t="ask.send"></button></div>
<p class="fine" id="ask-hint"></p>
<label class="check compose-row" id="ask-anonymous-field"><input type="checkbox" id="ask-anonymous"><span data-t="ask.anonymous"></span></label>
</form>`;

/** @param {string} name @param {string} key @param {boolean} first */
const tab = (name, key, first) => `<button type="button" role="tab" id="tab-${name}" aria-controls="part-${name}" aria-selected="${first}"
${first ? '' : 'tabindex="-1"'}><span data-t="${key}"></span><span class="count" id="count-${name}"></span></button>`;

export const CHAT = `<div class="tabs" role="tablist" aria-labelledby="chat-title">${tab('messages', 'chat.messages', true)}${tab('polls', 'polls.title', false)}</div>
<div class="part" role="tabpanel" id="part-messages" aria-labelledby="tab-messages">
<div class="scroll" id="chat-scroll" role="region" aria-labelledby="tab-messages" tabindex="0">
<p class="fine inset" data-t="chat.memory"></p>
<button type="button" class="second wide-button" id="chat-earlier" data-t="chat.earlier" hidden></button>
<ol role="list" id="chat-list"></ol>
</div>
<button type="button" class="second jump" id="chat-jump" data-t="chat.jump" hidden></button>
<p class="problem inset" id="chat-problem" role="alert" hidden></p>
<div class="faces" id="faces" role="group" data-t-label="react.label"></div>
<form class="compose" id="say-form" novalidate>
<label class="hush" for="say-text" data-t="say.label"></label>
<div class="compose-line"><textarea id="say-text" rows="1" dir="auto" placeholder=" " aria-describedby="say-hint"></textarea>
<button type="submit" class="primary" id="say-send" data-t-label="say.send" data-t-title="say.send"><svg class="icon points" aria-hidden="true"><use href="#i-send"/></svg></button></div>
<p class="fine" id="say-hint"></p>
<label class="field compose-row"><span class="hush" data-t="say.to"></span><select id="say-to"><option value="room" data-t="say.to.room"></option><option value="hosts" data-t="say.to.hosts"></option></select></label>
</form>
<details class="rules" id="chat-rules" hidden>
<summary data-t="chat.rules"></summary>
<label class="field"><span data-t="chat.mode"></span><select id="chat-mode"><option value="all" data-t="chat.mode.all"></option><option value="hosts" data-t="chat.mode.hosts"></option><option value="off" data-t="chat.mode.off"></option></select></label>
<form id="pin-form" novalidate>
<label for="pin-text" data-t="pin.edit"></label>
<textarea id="pin-text" rows="2" dir="auto"></textarea>
<div class="compose-row"><button type="button" class="second" id="pin-drop" data-t="pin.drop"></button><button type="submit" class="second" id="pin-set" data-t="pin.set"></button></div>
</form>
</details>
</div>
<div class="part" role="tabpanel" id="part-polls" aria-labelledby="tab-polls" hidden>
<p class="problem inset" id="polls-problem" role="alert" hidden></p>
<div class="scroll" id="polls-scroll" role="region" aria-labelledby="tab-polls" tabindex="0">
<p class="fine inset" data-t="polls.secret"></p>
<p class="fine inset" id="polls-empty" data-t="polls.none"></p>
<details class="rules" id="poll-new" hidden>
<summary data-t="poll.new"></summary>
<form id="poll-form" novalidate>
<label for="poll-text" data-t="poll.question"></label>
<input type="text" id="poll-text" dir="auto" autocomplete="off">
<fieldset><legend data-t="poll.options"></legend><div id="poll-options"></div>
<button type="button" class="word-button" id="poll-add" data-t="poll.add"></button></fieldset>
<label class="check"><input type="checkbox" id="poll-multiple"><span data-t="poll.multiple"></span></label>
<label class="check"><input type="checkbox" id="poll-late"><span data-t="poll.late"></span></label>
<button type="submit" class="primary" id="poll-begin" data-t="poll.begin"></button>
</form>
</details>
<ul role="list" id="polls-list"></ul>
</div>
</div>`;
