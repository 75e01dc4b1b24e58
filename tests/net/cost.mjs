// SPDX-License-Identifier: AGPL-3.0-or-later
// What a crowd costs: 300 light listeners on one room's board and chat, each with the bytes of their sockets counted. A vote or a
// message is one small message to each, what comes at once comes together, and whoever joins a full room with a full board
// moves no more than a thin link bears.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { deflateSync } from 'node:zlib';
import { equal, figure, limit, log, ok, onEnd, scenario, sleep, until } from '../browser/lib/check.mjs';
import { Server } from '../browser/lib/server.mjs';

const PEOPLE = 300, QUESTIONS = 200, EACH_ASKS = 2, VOTERS = 150;
const JOIN_BYTES = 60 * 1024;
const VOTES_MS = 1000; // all votes of this time are one message
const offer = readFileSync(new URL('../unit/data/offers/chromium-audio.sdp', import.meta.url), 'utf8')
	.replace(/\r?\n/g, '\r\n');

let port = 0;
const head = (method, path, ...more) => [`${method} /api/1/rooms/palabre/${path} HTTP/1.1`, `Host: localhost:${port}`,
	`Origin: http://localhost:${port}`, ...more, '', ''].join('\r\n');

/** Sends, and takes in all that comes until the other end closes. @returns {Promise<{answer: any, bytes: number}>} both ways */
async function join(token, name) {
	const body = deflateSync(JSON.stringify({ token, name, offer }));
	const request = Buffer.concat([Buffer.from(head('POST', 'join', 'Content-Type: application/json', 'Content-Encoding: deflate',
		`Content-Length: ${body.length}`, 'Connection: close')), body]);
	const parts = [];
	const socket = connect(port, '127.0.0.1', () => socket.write(request));
	socket.on('data', (data) => parts.push(data));
	await limit(new Promise((done, fail) => socket.once('end', done).once('error', fail)), 10000, 'an answer to a join');
	socket.destroy();
	const all = Buffer.concat(parts);
	const [status, text] = [all.toString('latin1', 9, 12), all.subarray(all.indexOf('\r\n\r\n') + 4).toString()];
	equal(status, '201', `${name} joins: ${text.slice(0, 200)}`);
	return { answer: JSON.parse(text), bytes: request.length + all.length };
}

/** A listener without a browser: bytes and messages of the WebSocket are counted as they pass. */
class Light {
	static async come(token, name) {
		const { answer, bytes } = await join(token, name);
		const light = new Light(answer, bytes);
		await light.#open();
		return light;
	}

	constructor(answer, bytes) {
		this.ticket = answer.ticket;
		this.bytes = bytes;
		this.rest = Buffer.alloc(0);
		this.upgraded = false;
		this.forget();
	}

	/** From here on. */
	forget() {
		this.heard = [];
		this.messages = 0;
		this.came = 0;
	}

	async #open() {
		this.socket = connect(port, '127.0.0.1');
		this.socket.setNoDelay();
		this.socket.on('data', (data) => this.#take(data));
		this.socket.on('error', () => {});
		onEnd(() => this.socket.destroy());
		this.#write(Buffer.from(head('GET', 'events', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
			`Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, 'Sec-WebSocket-Protocol: palabre.1')));
		await until('101', async () => this.upgraded, 5000, 5);
		this.say({ t: 'hello', ticket: this.ticket });
		this.welcome = await this.next('welcome');
	}

	#write(data) {
		this.bytes += data.length;
		this.socket.write(data);
	}

	#take(data) {
		this.bytes += data.length;
		this.rest = Buffer.concat([this.rest, data]);
		if (!this.upgraded) {
			const end = this.rest.indexOf('\r\n\r\n');
			if (end < 0)
				return;
			ok(this.rest.subarray(0, 12).toString() === 'HTTP/1.1 101', this.rest.subarray(0, end).toString());
			this.rest = this.rest.subarray(end + 4);
			this.upgraded = true;
		}
		while (this.#frame());
	}

	/** RFC 6455 §5.2; the server's are never masked, and never in parts. */
	#frame() {
		const { rest } = this;
		if (rest.length < 2)
			return false;
		const [kind, short] = [rest[0] & 15, rest[1] & 127];
		const start = short === 127 ? 10 : short === 126 ? 4 : 2;
		if (rest.length < start)
			return false;
		const length = short === 127 ? Number(rest.readBigUInt64BE(2)) : short === 126 ? rest.readUInt16BE(2) : short;
		if (rest.length < start + length)
			return false;
		const text = rest.subarray(start, start + length);
		this.rest = rest.subarray(start + length);
		if (kind === 1) {
			this.messages++;
			this.came += start + length;
			this.heard.push(...JSON.parse(text.toString()));
		} else if (kind === 9) {
			this.#send(10, text);
		}
		return true;
	}

	#send(kind, text) {
		const mask = randomBytes(4);
		const size = text.length < 126 ? Buffer.from([0x80 | kind, 0x80 | text.length]) :
			Buffer.from([0x80 | kind, 0xfe, text.length >> 8, text.length & 255]);
		this.#write(Buffer.concat([size, mask, text.map((byte, i) => byte ^ mask[i & 3])]));
	}

	say(message) {
		this.#send(1, Buffer.from(JSON.stringify(message)));
	}

	/** @returns {Promise<any>} the first event of that type since `forget` */
	next(type) {
		return until(`an event ${type}`, async () => this.heard.find((e) => e.t === type), 10000, 5);
	}

	count(type) {
		return this.heard.filter((e) => e.t === type).length;
	}
}

/** What `act` brought to each of them, when nothing came for `quietMs`. */
async function costOf(crowd, act, quietMs) {
	crowd.forEach((who) => who.forget());
	await act();
	const sum = () => crowd.reduce((n, who) => n + who.messages, 0);
	for (let before = -1; before !== sum();) {
		before = sum();
		await sleep(quietMs);
	}
	const bytes = crowd.reduce((n, who) => n + who.came, 0);
	return { messages: sum() / crowd.length, bytes: bytes / crowd.length, most: Math.max(...crowd.map((who) => who.messages)) };
}

/** The whole board, as the page asks for it (src/web/more/items.js). */
async function readBoard(who) {
	const items = [];
	let have = null;
	for (let ask = { t: 'board' }; ask;) {
		who.forget();
		who.say(ask);
		const part = await who.next('board');
		items.push(...part.items);
		have ??= part.items.map((item) => item.q);
		ask = part.more === undefined ? null : { t: 'board', after: part.more, have };
	}
	return items;
}

async function readPeople(who) {
	const ids = new Set(who.welcome.people.map((p) => p.id));
	for (let { more } = who.welcome; more !== undefined;) {
		who.forget();
		who.say({ t: 'people', after: more });
		const part = await who.next('people');
		part.people.forEach((p) => ids.add(p.id));
		({ more } = part);
	}
	return ids;
}

/** As long as people write: half of them one line, half of them three. */
const questionOf = (i) => `Question ${i}: how far does the well carry us through the dry months${i % 2 ? '?' :
	', and who decides when the upper fields are closed? Last year we were told of it a day before.'}`;

async function askAll(crowd) {
	const askers = crowd.slice(0, QUESTIONS / EACH_ASKS);
	askers.forEach((who, i) => {
		who.forget();
		for (let k = 0; k < EACH_ASKS; k++)
			who.say({ t: 'question', text: questionOf(i * EACH_ASKS + k), ref: k + 1 });
	});
	await until('all questions are taken', async () => {
		const saw = askers.reduce((n, who) => n + who.count('ok'), 0);
		return { ok: saw === QUESTIONS, saw: [saw, askers[0].heard.find((e) => e.t === 'error')] };
	}, 15000);
}

async function checkActs(crowd) {
	const one = await costOf(crowd, () => crowd[0].say({ t: 'say', text: 'The well is open again from Monday on.' }), 500);
	figure('bytes of a chat message to each of 300', one.bytes, 'B');
	equal([one.messages, one.most], [1, 1], 'a message is one message to each');
	ok(one.bytes <= 200, `and small: ${one.bytes}`);

	const vote = await costOf(crowd, () => crowd[299].say({ t: 'vote', q: 1 }), VOTES_MS + 300);
	figure('bytes of a vote to each of 300', vote.bytes, 'B');
	equal([vote.messages, vote.most], [1, 1], 'a vote is one message to each');
	ok(vote.bytes <= 60, `and small: ${vote.bytes}`);

	const voters = crowd.slice(QUESTIONS / EACH_ASKS, QUESTIONS / EACH_ASKS + VOTERS); // who asked nothing
	const storm = await costOf(crowd, () => voters.forEach((who) => who.say({ t: 'vote', q: 2 })), VOTES_MS + 300);
	figure(`messages of ${VOTERS} votes at once to each of 300`, storm.messages);
	figure(`bytes of ${VOTERS} votes at once to each of 300`, storm.bytes, 'B');
	ok(storm.most <= 2 && storm.bytes <= 120, `votes come together: ${JSON.stringify(storm)}`);
	const told = crowd.map((who) => who.heard.filter((e) => e.t === 'votes').at(-1).v.find(([q]) => q === 2)[1]);
	equal([...new Set(told)], [VOTERS], 'and all are told of all');
}

async function checkJoin(token, crowd) {
	crowd.forEach((who) => who.forget());
	const last = await Light.come(token, 'Zuhura from the hill');
	await until('the others are told', async () => crowd.every((who) => who.count('join')), 5000);
	const heard = crowd.reduce((n, who) => n + who.came, 0) / crowd.length;
	equal(last.welcome.count, PEOPLE + 1, 'people');
	const inside = last.bytes;
	const items = await readBoard(last);
	equal(new Set(items.map((item) => item.q)).size, QUESTIONS, 'questions');
	const board = last.bytes - inside;
	figure(`bytes of joining a room of ${PEOPLE}`, inside, 'B both ways');
	figure(`bytes of its board of ${QUESTIONS} questions`, board, 'B both ways');
	ok(inside + board <= JOIN_BYTES, `joining moves ${inside + board} B of ${JOIN_BYTES}`);
	equal((await readPeople(last)).size, PEOPLE + 1, 'all people, for who opens their list');
	figure('bytes of the people behind the first hundred', last.bytes - inside - board, 'B both ways');
	figure('bytes of one who comes to each of 300', heard, 'B');
	ok(heard > 0 && heard <= 150, `who comes is little to the others: ${heard}`);
}

await scenario('cost', async () => {
	const server = await Server.start({ set: { 'room.joins_per_minute_per_address_max': 1000,
		'http.connections_per_address_max': 1000 } });
	({ port } = server);
	const token = server.token('listener');
	const crowd = [];
	for (let i = 0; i < PEOPLE; i++)
		crowd.push(await Light.come(token, `Mwanaisha ${String(i).padStart(3, '0')}`));
	log(`${PEOPLE} are in`);
	await askAll(crowd);
	await sleep(1500);
	await checkActs(crowd);
	await checkJoin(token, crowd);
}, 100);
