// SPDX-License-Identifier: AGPL-3.0-or-later
// An hour of questions and answers among five people, in short, all through the page's own buttons: hands, questions, votes,
// whose turn it is, chat, polls, the note for everybody, reactions; with a reload, a WebSocket that is away for a while, and
// names and texts that would like to be scripts.
import { equal, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { lookInit } from './lib/look.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';
import { speak, suits } from './lib/suits.mjs';

const VOICE = { mode: 'voice', camera: false, tone: false };
const DESK = { width: 1280, height: 800 }, PHONE = { width: 390, height: 760 };
const EVIL = '<img src=x onerror="globalThis.__ran = 1">';
const LIMIT_S = 30;

/** The browser with scripts that run before the page's; while `__cut`, no WebSocket reaches the room. */
const dressed = (browser) => ({
	name: browser.name,
	async open(...args) {
		const opened = await browser.open(...args);
		await opened.page.addInitScript(lookInit);
		await opened.page.addInitScript(() => {
			const Socket = globalThis.WebSocket;
			globalThis.WebSocket = class WebSocket extends Socket {
				constructor(url, protocol) {
					super(globalThis.__cut ? url.replace('/events', '/nowhere') : url, protocol);
				}
			};
		});
		return opened;
	},
});

async function join(browser, link, index, name, viewport) {
	const who = new Person(browser, link, index, { ...VOICE, viewport });
	who.name = name;
	await who.open();
	await who.enter();
	return who;
}

const pageOf = (who) => who.page.page;
const press = (who, selector) => pageOf(who).click(selector, { timeout: 5000 });
const text = (who, id) => who.run((id) => document.getElementById(id).textContent.trim(), id);

/** Waits until `read` in the page gives that. */
const sees = (who, what, read, want, ms = 5000) => until(`${who.name} sees ${what}`, async () => {
	const saw = await who.run(read);
	return { ok: JSON.stringify(saw) === JSON.stringify(want), saw };
}, ms);
const allSee = (people, ...rest) => Promise.all(people.map((who) => sees(who, ...rest)));
const hears = (who, pattern, ms = 5000) => until(`${who.name} is told ${pattern}`, async () => {
	const saw = await who.run(() => __look.said);
	return { ok: saw.some((line) => pattern.test(line)), saw: saw.slice(-6) };
}, ms);

async function open(who, panel) {
	if (!await who.run((panel) => document.getElementById(panel).open, panel))
		await press(who, `#${panel}-button`);
	await pageOf(who).waitForSelector(panel === 'board' ? '#ask-send, #ask-hint' : '.tabs', { timeout: 5000 });
}

async function ask(who, words, anonymous = false) {
	await open(who, 'board');
	await pageOf(who).fill('#ask-text', words);
	if (anonymous)
		await pageOf(who).check('#ask-anonymous');
	await press(who, '#ask-send');
	await sees(who, 'an empty field', () => document.getElementById('ask-text').value, '');
}

async function say(who, words, to = 'room') {
	await open(who, 'chat');
	await press(who, '#tab-messages');
	await pageOf(who).fill('#say-text', words);
	await pageOf(who).selectOption('#say-to', to);
	await press(who, '#say-send');
	await sees(who, 'an empty field', () => document.getElementById('say-text').value, '');
}

/** Waits until somebody's rule is as it should be for all. */
async function rule(host, name, on) {
	await open(host, 'board');
	await host.run(() => { document.getElementById('board-rules').open = true; });
	await pageOf(host).setChecked(`[data-rule=${name}]`, on);
	await host.run(() => { document.getElementById('board-rules').open = false; });
}

// In the page.
const waiting = () => [...document.querySelectorAll('#items-open .item')].map((e) =>
	[e.querySelector('bdi').textContent, e.querySelector('.item-text').textContent, Number(e.querySelector('.vote span').textContent)]);
const messages = () => [...document.querySelectorAll('#chat-list .said')].map((e) =>
	[e.querySelector('bdi').textContent, e.querySelector('.said-text').textContent]);
const loaded = () => performance.getEntriesByType('resource').filter((e) => /more\.(js|css)/.test(e.name)).length;

/** The item of that text. */
const item = (words) => `.item:has-text("${words}")`;

await scenario('ama', async () => {
	const server = await Server.start();
	const browser = dressed(await launchChromium());
	const link = server.link();
	const host = await join(browser, server.link('host'), 1, 'Hawa', DESK);
	const ama = await join(browser, link, 2, 'Ama', PHONE);
	const bo = await join(browser, link, 3, EVIL, PHONE);
	const cleo = await join(browser, link, 4, 'Cleo', PHONE);
	const dia = await join(browser, link, 5, 'Dia', DESK);
	const all = [host, ama, bo, cleo, dia], guests = [ama, bo, cleo, dia];

	log('a hand, before anything of this is loaded');
	await press(ama, '#hand');
	await sees(ama, 'a raised hand', () => document.getElementById('hand').getAttribute('aria-pressed'), 'true');
	await hears(ama, /Your hand is up/);
	await hears(host, /Ama raised a hand/);
	await allSee(all, 'that one waits', () => document.getElementById('board-count').textContent, '1');
	for (const who of all)
		equal(await who.run(loaded), 0, `loaded by ${who.name}`);
	await press(ama, '#hand');
	await allSee(all, 'that nobody waits', () => document.getElementById('board-count').textContent, '');
	await press(ama, '#hand');

	log('what does not come is asked for again');
	let failing = 1;
	await pageOf(dia).route(/more\.js/, (route) => failing-- > 0 ? route.abort('failed') : route.continue());
	await press(dia, '#board-button');
	await hears(dia, /could not be loaded/);
	await open(dia, 'board');
	await sees(dia, 'the hand', waiting, [['Ama', '', 0]]);

	log('questions, one without a name, and votes');
	await open(cleo, 'board');
	await open(host, 'board');
	await ask(bo, `What of ${EVIL}?`);
	await ask(cleo, 'Who decides about the water?', true);
	const q1 = `What of ${EVIL}?`, q2 = 'Who decides about the water?';
	await allSee([host, dia], 'three in their order', waiting, [['Ama', '', 0], [EVIL, q1, 0], ['Anonymous', q2, 0]]);
	await sees(cleo, 'their own', waiting, [['Ama', '', 0], [EVIL, q1, 0], ['You, anonymously', q2, 0]]);
	await hears(host, /New question, from Anonymous/);
	await open(ama, 'board');
	for (const who of [ama, dia])
		await press(who, `${item(q2)} .vote`);
	await press(host, `${item('What of')} .vote`);
	await allSee([host, ama, cleo, dia], 'votes', () => [...document.querySelectorAll('#items-open .vote span')].map((e) => e.textContent),
		['0', '1', '2']);
	equal(await cleo.run(() => document.querySelectorAll('#items-open .vote')[2].getAttribute('aria-disabled')), 'true', 'a vote for oneself');
	await press(ama, `${item(q2)} .vote`); // taken back, and given again
	await sees(host, 'one less', () => document.querySelectorAll('#items-open .vote')[2].textContent, '1');
	await press(ama, `${item(q2)} .vote`);
	await host.run(() => { document.getElementById('board-rules').open = true; });
	await pageOf(host).selectOption('#board-order', 'votes');
	await pageOf(host).selectOption('#board-limit', String(LIMIT_S));
	await host.run(() => { document.getElementById('board-rules').open = false; });
	await allSee([host, dia], 'the most votes first', waiting, [['Anonymous', q2, 2], [EVIL, q1, 1], ['Ama', '', 0]]);
	await sees(bo, 'the same', waiting, [['Anonymous', q2, 2], ['You', q1, 1], ['Ama', '', 0]]);

	log('approved first; closed; too many');
	await rule(host, 'approve', true);
	await sees(dia, 'who reads it first', () => /moderator reads/.test(document.getElementById('ask-hint').textContent), true);
	await ask(dia, 'Is this seen by all?');
	await sees(host, 'what waits for approval', () => document.querySelector('#items-pending .item-text')?.textContent, 'Is this seen by all?');
	await hears(host, /New question, from Dia/);
	await sees(host, 'four on the button', () => document.getElementById('board-count').textContent, '4');
	await sleep(600);
	for (const who of [ama, bo, cleo])
		ok(!await who.run(() => document.getElementById('board').textContent.includes('Is this seen')), `${who.name} sees nothing of it`);
	await press(host, `${item('Is this seen')} [data-act=approve]`);
	await allSee(guests, 'it', () => !!document.querySelector('#items-open').textContent.includes('Is this seen'), true);
	await rule(host, 'approve', false);
	await rule(host, 'questions', false);
	await sees(cleo, 'that it is closed', () => [document.getElementById('ask-text').hidden, document.getElementById('ask-hint').textContent],
		[true, 'Questions are closed at the moment.']);
	await rule(host, 'questions', true);

	log('called');
	await press(host, `${item('raised a hand')} [data-act=answer]`);
	const called = Date.now();
	await allSee(all, 'whose turn it is', () => [document.getElementById('now').hidden, document.getElementById('now-title').textContent],
		[false, 'Has the floor:']);
	equal([await text(dia, 'now-name'), await text(ama, 'now-name')], ['Ama', 'You'], 'who');
	await hears(ama, /It is your turn/);
	await hears(dia, /Ama has the floor/);
	await sees(dia, 'the time', () => /^0:0[3-9] of 0:30$/.test(document.getElementById('now-timer').textContent), true, 8000);

	log('chat: to all, to hosts only, taken back');
	await say(ama, `Good morning ${EVIL}\nhttps://example.org/a?b=(c). javascript:alert(1)`);
	await hears(dia, /New message from Ama/);
	await sees(dia, 'one unread', () => document.getElementById('chat-count').textContent, '1');
	await open(host, 'chat');
	await say(bo, 'Only for you', 'hosts');
	const greeting = `Good morning ${EVIL}\nhttps://example.org/a?b=(c). javascript:alert(1)`;
	await sees(host, 'both', messages, [['Ama', greeting], [EVIL, 'Only for you']]);
	await say(dia, 'Oh');
	await open(cleo, 'chat');
	await allSee([ama, cleo], 'what is for all', () => [...document.querySelectorAll('#chat-list .said-text')].map((e) => e.textContent),
		[greeting, 'Oh']);
	equal(await cleo.run(() => [...document.querySelectorAll('#chat-list a')].map((a) => [a.textContent, a.href, a.rel])),
		[['https://example.org/a?b=(c)', 'https://example.org/a?b=(c)', 'noopener noreferrer nofollow']], 'links');
	const takeBack = `#chat-list .said:has-text("Oh") button`;
	ok(!await pageOf(cleo).isVisible(takeBack), 'nobody takes back what others wrote');
	await press(dia, takeBack);
	await sees(dia, 'the question', () => document.querySelector('#chat-list .said:last-child button').textContent, 'Press again to remove it');
	await press(dia, takeBack);
	await allSee([host, ama, cleo, dia], 'it gone', () => document.getElementById('chat-list').textContent.includes('Oh'), false);

	log('the note, reactions');
	await host.run(() => { document.getElementById('chat-rules').open = true; });
	await pageOf(host).fill('#pin-text', `Notes: https://example.org/notes ${EVIL}`);
	await press(host, '#pin-set');
	await host.run(() => { document.getElementById('chat-rules').open = false; });
	await allSee(all, 'the note', () => [document.getElementById('pinned').hidden, document.querySelector('#pinned a')?.href],
		[false, 'https://example.org/notes']);
	await press(ama, '#faces [data-kind=clap]');
	await press(cleo, '#faces [data-kind=clap]');
	await sees(dia, 'applause', () => /applause/.test(document.getElementById('reactions').textContent), true);
	equal(await dia.run(() => __look.said.some((line) => /applause/.test(line))), false, 'reactions are not read out');

	log('a reload brings everything back');
	await cleo.page.reload();
	await cleo.inCall();
	await allSee([cleo], 'whose turn it still is', () => [document.getElementById('now-name').textContent, document.getElementById('pinned').hidden],
		['Ama', false]);
	const since = await cleo.run(() => Date.now() - palabre.call.board.since);
	ok(Math.abs(since - (Date.now() - called)) < 3000, `the time goes on: ${since} of ${Date.now() - called} ms`);
	await open(cleo, 'board');
	await sees(cleo, 'the board', waiting, [['You, anonymously', q2, 2], [EVIL, q1, 1], ['Dia', 'Is this seen by all?', 0]]);
	await open(cleo, 'chat');
	await sees(cleo, 'the chat', messages, [['Ama', greeting]]);
	await ama.page.reload();
	await ama.inCall();
	await sees(ama, 'a raised hand', () => document.getElementById('hand').getAttribute('aria-pressed'), 'true');
	await open(ama, 'board');
	await sees(ama, 'their vote', () => document.querySelector('#items-open .vote').getAttribute('aria-pressed'), 'true');

	log('what is missed is there afterwards');
	await open(bo, 'board');
	await bo.run(() => {
		globalThis.__cut = true;
		__test.sockets.at(-1).close();
	});
	await until('no events', () => bo.run(() => !palabre.call.net.events), 3000);
	await ask(dia, 'Missed by one?');
	await say(dia, 'Missed as well');
	await press(bo, '#hand');
	await hears(bo, /Reconnecting/);
	await sleep(200);
	equal(await bo.run(() => document.getElementById('hand').getAttribute('aria-pressed')), 'false', 'a hand that could not be raised');
	await press(host, '#board-button');
	await press(host, `${item('Is this seen')} [data-act=answer]`);
	await bo.run(() => { globalThis.__cut = false; });
	await until('events', () => bo.run(() => palabre.call.net.events), 8000);
	await sees(bo, 'all of it', waiting, [['Anonymous', q2, 2], ['You', q1, 1], ['Dia', 'Missed by one?', 0]]);
	await allSee(all, 'what is answered', () => document.getElementById('now-text').textContent, 'Is this seen by all?');
	await sees(bo, 'what is unread', () => document.getElementById('chat-count').textContent, '1');
	await open(bo, 'chat');
	await sees(bo, 'the message', () => document.getElementById('chat-list').textContent.includes('Missed as well'), true);
	await sees(ama, 'a hand that is down', () => document.getElementById('hand').getAttribute('aria-pressed'), 'false');

	log('a poll');
	await open(host, 'chat');
	await press(host, '#tab-polls');
	await press(host, '#poll-new summary');
	await pageOf(host).fill('#poll-text', `Tea ${EVIL}?`);
	await pageOf(host).fill('#poll-options input:nth-child(1)', 'Yes');
	await pageOf(host).fill('#poll-options input:nth-child(2)', EVIL);
	await press(host, '#poll-begin');
	await hears(dia, /New poll: Tea/);
	for (const who of guests) {
		await open(who, 'chat');
		await press(who, '#tab-polls');
		await press(who, `#polls-list label:nth-of-type(${who === dia ? 2 : 1})`);
		await press(who, '#polls-list [type=submit]');
		await sees(who, 'that they have voted', () => /You have voted/.test(document.querySelector('.poll > p').textContent), true);
		equal(await who.run(() => document.querySelector('.poll form').checkVisibility()), false, 'a second vote');
		equal(await who.run(() => document.querySelector('.poll b').textContent), '', 'counts while it goes on');
	}
	await sees(host, 'four votes', () => /4 votes/.test(document.querySelector('.poll > p').textContent), true);
	await press(host, '.poll .item-acts button:first-child');
	await allSee(all, 'the result', () => [...document.querySelectorAll('.poll-option')].map((e) => e.textContent),
		['Yes3 (75%)', `${EVIL}1 (25%)`]);
	await cleo.page.reload();
	await cleo.inCall();
	await open(cleo, 'chat');
	await press(cleo, '#tab-polls');
	await sees(cleo, 'the result', () => document.querySelectorAll('.poll-bar:not([hidden])').length, 2);

	log('over time, done, next, and all of it as text');
	await sleep(Math.max(0, (LIMIT_S + 2) * 1000 - (Date.now() - called))); // of the hand; the question began later
	await until('over time', () => dia.run(() => document.getElementById('now').dataset.over === 'true'), LIMIT_S * 1000);
	ok(/^over time: 0:/.test(await text(dia, 'now-timer')), 'and in words');
	await open(host, 'board');
	await press(host, '#board-done');
	await allSee(all, 'nobody', () => document.getElementById('now').hidden, true);
	await press(host, '#board-next');
	await allSee(all, 'who is next', () => [document.getElementById('now-title').textContent, document.getElementById('now-text').textContent],
		['Answering now:', q2]);
	await press(host, `${item('Missed by one')} .item-acts > button:last-child`);
	await press(host, `${item('Missed by one')} .item-acts > button:last-child`);
	await sees(host, 'what is left', waiting, [[EVIL, q1, 1]]);
	await host.run(() => { document.getElementById('board-rules').open = true; });
	const [download] = await Promise.all([pageOf(host).waitForEvent('download', { timeout: 5000 }), press(host, '#board-save')]);
	const saved = await (await download.createReadStream()).toArray();
	const lines = Buffer.concat(saved).toString('utf8').trim().split('\n');
	log(download.suggestedFilename(), lines);
	ok(/^palabre-.*\.txt$/.test(download.suggestedFilename()), 'its name');
	equal(lines.map((line) => line.replace(/ {2}\d+:\d\d:\d\d( \(\d+:\d\d\))? {2}/, '|')),
		[`▶ +2|–: ${q2}`, `· +1|${EVIL}: ${q1}`, '✓ +0|Dia: Is this seen by all?', '✓ +0|Ama ✋'], 'the text');
	await host.run(() => { document.getElementById('board-rules').open = false; });

	log('for every eye and hand');
	await open(dia, 'board');
	await dia.run(() => document.getElementById('board-button').focus());
	await speak(dia, 'fr');
	await sees(dia, 'French', () => document.getElementById('ask-send').textContent, 'Demander');
	await host.run(() => { palabre.call.chat.pin = ''; palabre.changed(); }); // its link is as high as its line
	await open(host, 'board');
	await suits(host, 'the board');
	await host.run(() => { document.getElementById('board-rules').open = true; });
	await suits(host, 'the rules of the board');
	await open(host, 'chat');
	await press(host, '#tab-polls');
	await suits(host, 'the polls');
	await press(host, '#poll-new summary');
	await suits(host, 'a new poll');
	await press(host, '#tab-messages');
	await host.run(() => document.querySelectorAll('#chat-list a').forEach((a) => a.replaceWith(a.textContent)));
	await suits(host, 'the chat');
	await pageOf(host).keyboard.press('Escape');
	await sees(host, 'the focus on its button', () => document.activeElement.id, 'chat-button');

	for (const who of all) {
		equal(await who.run(() => globalThis.__ran), undefined, `what ran at ${who.name}'s`);
		equal(await who.run(() => document.querySelectorAll('img').length), 0, 'markup that somebody wrote');
		equal(await who.run(() => __test.errors), [], `errors at ${who.name}'s`);
	}
}, 230);
