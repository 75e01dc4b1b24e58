// SPDX-License-Identifier: AGPL-3.0-or-later
// A guest with a real ticket and no page: helps themselves to a role, leads what they may not lead, votes as often as they can,
// floods chat and board. All of it is refused, with a reason, and the others' pages go on as if nothing were.
// (What is malformed, and forged tickets of all kinds: tests/net/hostile.)
import { equal, figure, log, ok, scenario, sleep, timed, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const VOICE = { mode: 'voice', camera: false };
const QUESTIONS = 10000, AT_ONCE = 45; // below what closes a socket
const MINE_MAX = 5;

// In the guest's page, whose own socket the first of these replaces.
function arm() {
	const base = `/api/1/rooms/palabre`;
	globalThis.raw = {
		ticket: palabre.call.ticket, me: palabre.call.me.id, socket: null, code: 0, heard: [],
		open(ticket = raw.ticket) {
			return new Promise((done) => {
				const socket = new WebSocket(`${location.origin.replace('http', 'ws')}${base}/events`, 'palabre.1');
				raw.socket = socket;
				socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', ticket }));
				socket.onmessage = (e) => {
					for (const event of JSON.parse(e.data)) {
						raw.heard.push(event);
						if (event.t === 'ticket' || event.t === 'welcome')
							raw.ticket = event.ticket;
					}
					done(0);
				};
				socket.onclose = (e) => {
					raw.code = e.code;
					done(e.code);
				};
			});
		},
		/** Says them all, and gives what came of each: '' done, or why not. */
		async say(wishes) {
			raw.heard.length = 0;
			wishes.forEach((w, ref) => raw.socket.send(JSON.stringify({ ...w, ref: ref + 1 })));
			const answers = () => raw.heard.filter((e) => (e.t === 'ok' || e.t === 'error') && e.ref);
			for (let i = 0; i < 300 && answers().length < wishes.length && raw.socket.readyState === WebSocket.OPEN; i++)
				await new Promise((next) => setTimeout(next, 10));
			return answers().sort((a, b) => a.ref - b.ref).map((e) => e.t === 'ok' ? '' : e.why || e.error);
		},
		async post(path, ticket) {
			const answer = await fetch(`${base}/${path}`, { method: 'POST', body: JSON.stringify({ ticket }) });
			return answer.status;
		},
		/** So many wishes, in sockets of their own. */
		async flood(wish, count, each) {
			const why = {};
			for (let left = count; left > 0; left -= each) {
				raw.socket.close();
				await raw.open();
				const wishes = Array.from({ length: Math.min(each, left) }, (_, i) => ({ ...wish, text: `${wish.text} ${left - i}` }));
				for (const reason of await raw.say(wishes))
					why[reason] = (why[reason] || 0) + 1;
			}
			return why;
		},
	};
	return raw.open();
}

const wishes = (who, list) => who.run((list) => raw.say(list), list);

await scenario('hostile_guest', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const host = await Person.join(browser, server.link('host'), 1, VOICE);
	const good = await Person.join(browser, server.link(), 2, VOICE);
	const evil = await Person.join(browser, server.link(), 3, { ...VOICE, tone: false, mic: false });
	for (const who of [host, good]) {
		await who.click('board-button');
		await until('the board', () => who.run(() => !!document.getElementById('ask-text')), 5000);
	}
	await good.page.page.fill('#ask-text', 'A good question');
	await good.page.page.click('#ask-send');
	await until('it is there', () => host.run(() => document.querySelectorAll('#items-open .item').length === 1), 3000);
	await host.page.page.click('#chat-button');
	await host.page.page.click('#tab-polls');
	await host.page.page.click('#poll-new summary');
	for (const [field, text] of [['#poll-text', 'Tea?'], ['#poll-options input:nth-child(1)', 'Yes'], ['#poll-options input:nth-child(2)', 'No']])
		await host.page.page.fill(field, text);
	await host.page.page.click('#poll-begin');
	await until('a poll', () => host.run(() => document.querySelectorAll('.poll').length === 1), 3000);

	log('leads what is not theirs to lead');
	equal(await evil.run(arm), 0, 'the socket');
	const [me, other] = await evil.run(() => [raw.me, [...__test.people.values()].find((p) => p.role === 'host').id]);
	const lead = [{ t: 'role', p: me, role: 'host' }, { t: 'call', p: me }, { t: 'ban', p: other }, { t: 'remove', p: other },
		{ t: 'rules', lock: true }, { t: 'boardrules', hands: false }, { t: 'answer', q: 1 }, { t: 'answer' }, { t: 'done', q: 1 },
		{ t: 'reopen', q: 1 }, { t: 'approve', q: 1 }, { t: 'drop', q: 1 }, { t: 'chatrules', mode: 'off' }, { t: 'pin', text: 'Buy' },
		{ t: 'poll', text: 'Mine?', options: ['a', 'b'] }, { t: 'closepoll', poll: 1 }, { t: 'droppoll', poll: 1 }];
	const refused = await wishes(evil, lead);
	equal(refused.length, lead.length, 'answers');
	ok(refused.every((why) => /^(role|host|rank|nobody-waits)$/.test(why)), `each is refused: ${refused}`);
	equal(await evil.run(() => raw.post('board', raw.ticket)), 403, 'the board as text');

	log('tickets that were never given out');
	const codes = await evil.run(async () => {
		const { ticket } = raw, list = [];
		for (const i of [0, 7, 9, 12, ticket.length >> 1, ticket.length - 2]) {
			const other = ticket[i] === 'A' ? 'B' : 'A';
			list.push(await raw.open(ticket.slice(0, i) + other + ticket.slice(i + 1)));
		}
		return list;
	});
	equal(codes, codes.map(() => 4401), 'forged tickets');
	equal(await evil.run(() => raw.post('board', `${raw.ticket.slice(0, -4)}AAAA`)), 401, 'for the text');

	log('votes as often as they can');
	await evil.run(() => raw.open());
	equal(await wishes(evil, Array.from({ length: 20 }, () => ({ t: 'vote', q: 1 }))), Array(20).fill(''), 'votes that change nothing');
	await until('one vote', () => good.run(() => document.querySelector('#items-open .vote span').textContent === '1'), 4000);
	equal(await wishes(evil, Array.from({ length: 5 }, () => ({ t: 'choose', poll: 1, choices: [0] }))), ['', ...Array(4).fill('voted')],
		'choices');
	equal(await wishes(evil, [{ t: 'choose', poll: 1, choices: [0, 1] }, { t: 'choose', poll: 1, choices: [9] }]), ['options', 'options'],
		'choices that are none');
	await evil.run(() => { raw.socket.close(); return raw.open(); });
	equal(await wishes(evil, [{ t: 'choose', poll: 1, choices: [1] }]), ['voted'], 'from another socket');
	await until('one choice', () => host.run(() => /1 vote\./.test(document.querySelector('.poll > p').textContent)), 4000);

	log('a flood of messages, and of questions');
	const said = await evil.run((n) => raw.flood({ t: 'say', text: 'Buy' }, n, 45), 450);
	log('messages', said);
	ok(said[''] >= 5 && said[''] <= 15 && said[''] + said.rate === 450, 'at most one in 2 s');
	const started = Date.now();
	const flood = evil.run(([n, each]) => raw.flood({ t: 'question', text: 'Spam' }, n, each), [QUESTIONS, AT_ONCE]);
	const delays = [];
	let over = false;
	const asked = await Promise.all([flood.finally(() => { over = true; }), (async () => {
		while (!over) {
			const before = await good.run(() => document.getElementById('hand').getAttribute('aria-pressed'));
			await good.page.page.click('#hand');
			delays.push(await timed('a hand goes up or down meanwhile', () => good.run((before) =>
				document.getElementById('hand').getAttribute('aria-pressed') !== before, before), 5000, 20));
			await sleep(3500); // as often as the server takes it
		}
	})()]).then(([why]) => why);
	log('questions', asked);
	figure('questions a second', QUESTIONS / ((Date.now() - started) / 1000));
	figure('a hand beside the flood, longest', Math.max(...delays), 'ms');
	ok(asked[''] >= 3 && asked[''] <= MINE_MAX, `three at once, then one in 5 s, five at most: ${asked['']} were taken`);
	equal(Object.values(asked).reduce((sum, n) => sum + n), QUESTIONS, 'answers');
	ok(Math.max(...delays) < 1500, 'the others are served meanwhile');
	await host.hears([2]);
	await good.hears([1]);
	equal(await good.run(() => document.querySelectorAll('#items-open .item').length - Number(!!palabre.call.board.hand)), 1 + asked[''],
		'questions on the board');

	log('too many messages close the socket, and nothing else');
	await evil.run(() => { raw.socket.close(); return raw.open(); });
	await evil.run(() => {
		for (let i = 0; i < 100; i++)
			raw.socket.send('{"t":"vote","q":1}');
	});
	await until('4429', async () => {
		const saw = await evil.run(() => raw.code);
		return { ok: saw === 4429, saw };
	}, 5000);
	await host.page.page.click('#people-button');
	equal(await host.run(() => palabre.call.me.role), 'host', 'the host');
	equal(await good.run(() => [document.getElementById('pinned').hidden, palabre.call.chat.mode, palabre.call.phase]), [true, 'all', 'call'],
		'as it was for the others');
	for (const who of [host, good])
		equal(await who.run(() => __test.errors), [], `errors at ${who.name}'s`);
}, 170);
