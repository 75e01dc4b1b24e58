// SPDX-License-Identifier: AGPL-3.0-or-later
// The operator's side on a real server: rooms and links made with palabrectl, kept over a restart and a
// kill; a revoked link, a kick, a drain as those who come see them; who may ask; what Prometheus
// reads; a database that is damaged, or cannot be written.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { equal, figure, limit, log, ok, onEnd, scenario, until } from '../browser/lib/check.mjs';
import { freePort } from '../browser/lib/ports.mjs';
import { Server } from '../browser/lib/server.mjs';

const build = new URL('../../build/dev/', import.meta.url).pathname;
const program = process.env.PALABRED ?? `${build}palabred`;
const palabrectl = process.env.PALABRECTL ?? `${build}palabrectl`;
const audience = process.env.AUDIENCE ?? `${build}tests/audience`;
const stall = process.env.STALL ?? `${build}tests/stall`;
const isRoot = process.getuid() === 0;
const NOBODY = 65534;
const offer = readFileSync(new URL('../unit/data/offers/chromium-audio.sdp', import.meta.url), 'utf8')
	.replace(/\r?\n/g, '\r\n');

const socketOf = (server) => join(server.dir, 'ctl.sock');

function run(server, args, options = {}) {
	const { status, stdout, stderr } = spawnSync(palabrectl, ['--socket', socketOf(server), ...args],
		{ encoding: 'utf8', timeout: 20000, ...options });
	return { status, stdout, stderr };
}

/** What it prints. */
function ctl(server, ...args) {
	const { status, stdout, stderr } = run(server, args);
	equal(status, 0, `palabrectl ${args.join(' ')}: ${stdout}${stderr}`);
	return stdout;
}

const asked = (server, ...args) => JSON.parse(ctl(server, '--json', ...args));

/** Refused, with these words for people. */
function refused(server, words, ...args) {
	const { status, stdout, stderr } = run(server, args);
	ok(status !== 0, `palabrectl ${args.join(' ')} is refused: ${stdout}`);
	ok(stderr.includes(words), `palabrectl ${args.join(' ')} says "${words}": ${stderr}`);
}

async function post(server, room, body) {
	const answer = await fetch(`${server.origin}/api/1/rooms/${room}/join`,
		{ method: 'POST', body: JSON.stringify({ name: 'Asya', offer, ...body }) });
	return { status: answer.status, ...await answer.json() };
}

const tokenOf = (link) => link.trim().split('#')[1];
const come = (server, room, link) => post(server, room, { token: tokenOf(link) });

function listen(link) {
	const child = spawn(audience, [link.trim(), '1'], { stdio: ['ignore', 'pipe', 'inherit'] });
	onEnd(() => child.kill('SIGKILL'));
	return { child, inside: new Promise((done, fail) => {
		child.stdout.on('data', (data) => String(data).includes('in') && done());
		child.once('exit', (code) => fail(new Error(`audience ended with ${code}`)));
	}) };
}

async function rooms(server) {
	ctl(server, 'room', 'add', 'tree', '--title', 'Under the tree – 明', '--description', 'Monthly.\nBring questions.',
		'--zone', 'Africa/Nairobi', '--from', '2026-12-01 18:00', '--until', '2026-12-01 19:30',
		'--languages', 'en,sw', '--retention', '7');
	const room = asked(server, 'room', 'show', 'tree');
	equal([room.title, room.from, room.until, room.lobby], ['Under the tree – 明',
		Date.UTC(2026, 11, 1, 15) / 1000, Date.UTC(2026, 11, 1, 16, 30) / 1000, false], 'what was kept');
	ok(ctl(server, 'room', 'show', 'tree').includes('2026-12-01 18:00'), 'shown in its own zone');
	refused(server, 'already', 'room', 'add', 'tree');
	refused(server, 'no time zone', 'room', 'add', 'b', '--zone', 'Africa/Nirobi');
	refused(server, '--titel is not understood', 'room', 'set', 'tree', '--titel', 'x');
	refused(server, 'a-z, 0-9', 'room', 'add', 'Tree');
	refused(server, 'before it begins', 'room', 'set', 'tree', '--zone', 'UTC', '--until', '2026-11-01 10:00');
	refused(server, 'There is no room', 'link', 'add', 'forest', 'host');
	refused(server, 'a role is', 'link', 'add', 'tree', 'king');
}

/** @returns {Promise<string>} a revoked link */
async function links(server) {
	const host = ctl(server, 'link', 'add', 'tree', 'host');
	const guest = ctl(server, 'link', 'add', 'tree', 'speaker', '--expires', '7d');
	const other = ctl(server, 'link', 'add', 'tree', 'speaker');
	ok(guest !== other, 'each link is one of its own');
	equal((await come(server, 'tree', host)).you.role, 'host', 'the role of the link');
	const person = await come(server, 'tree', guest);
	equal([person.status, person.you.role], [201, 'speaker'], 'a guest comes in');
	const { child, inside } = listen(other);
	await limit(inside, 15000, 'a listener with media');
	const people = () => asked(server, 'people', 'tree').items;
	await until('palabrectl sees the media connection', async () => people().some((p) => p.link === 'up' && p.rung === 1), 5000);
	equal(people().map((p) => p.role), ['host', 'speaker', 'speaker'], 'who is there');
	const metrics = await metricsOf(server);
	equal([metrics.get('palabre_people'), metrics.get('palabre_legs{state="up"}'),
		metrics.get('palabre_legs_voice{step="1"}')], [4, 1, 1], 'the figures of that, and of the one by a printed link');

	ctl(server, 'kick', 'tree', person.you.id);
	ok(!people().some((p) => p.id === person.you.id), 'who was kicked is gone');
	equal((await post(server, 'tree', { ticket: person.ticket })).status, 403, 'their ticket is void');
	refused(server, 'nobody with the id', 'kick', 'tree', person.you.id);

	const list = asked(server, 'link', 'list', 'tree').items;
	const id = list.find((l) => l.url === guest.trim()).link;
	ctl(server, 'link', 'revoke', 'tree', id);
	const late = await come(server, 'tree', guest);
	equal([late.status, late.error], [410, 'expired'], 'a revoked link');
	ok(late.message.includes('withdrawn'), `in words: ${late.message}`);
	equal((await come(server, 'tree', other)).status, 201, 'the other link is as good as before');
	refused(server, 'no such link', 'link', 'revoke', 'tree', '00c0ffee');
	const whip = await fetch(`${server.origin}/whip/tree`, { method: 'POST', body: offer,
		headers: { 'content-type': 'application/sdp', authorization: `Bearer ${tokenOf(guest)}` } });
	equal(whip.status, 410, 'a revoked link publishes nothing');
	child.kill('SIGKILL');
	return guest;
}

/** How a call begins. */
async function rules(server) {
	ctl(server, 'room', 'add', 'hall', '--lobby', '--mute', '--approve');
	const guest = ctl(server, 'link', 'add', 'hall', 'speaker'), host = ctl(server, 'link', 'add', 'hall', 'host');
	equal((await come(server, 'hall', guest)).status, 202, 'they wait in the lobby');
	equal((await come(server, 'hall', host)).status, 201, 'a host does not');
	equal(asked(server, 'people', 'hall').items.map((p) => p.waiting), [false, true], 'palabrectl sees both');
	ok(ctl(server, 'room', 'set', 'hall', '--no-lobby').includes('A call goes on'), 'it says that the call stays');
	equal((await come(server, 'hall', guest)).status, 202, 'the call that goes on is as it was');
	equal(asked(server, 'room', 'remove', 'hall').gone, 3, 'all are sent away');
	equal((await come(server, 'hall', guest)).status, 404, 'the link of a room that is gone');
	ctl(server, 'room', 'add', 'hall', '--lock');
	equal((await come(server, 'hall', guest)).status, 410, 'the link of one that had its name');
	const locked = await come(server, 'hall', ctl(server, 'link', 'add', 'hall', 'speaker'));
	equal([locked.status, locked.error], [403, 'locked'], 'a locked one');
}

/** Times, for those who may come. */
async function calendar(server, revoked) {
	const ask = (room, link) => fetch(`${server.origin}/api/1/rooms/${room}/calendar`,
		{ method: 'POST', body: JSON.stringify({ token: tokenOf(link) }) });
	const link = ctl(server, 'link', 'add', 'tree', 'listener');
	const answer = await ask('tree', link), text = await answer.text();
	equal([answer.status, answer.headers.get('content-type')], [200, 'text/calendar; charset=utf-8'], text);
	ok(text.includes('\r\nDTSTART:20261201T150000Z\r\n') && text.includes('\r\nSUMMARY:Under the tree – 明\r\n'), text);
	equal((await ask('tree', revoked)).status, 410, 'nothing for a revoked link');
	equal((await ask('hall', link)).status, 404, "nothing of another room");
	equal((await ask('hall', ctl(server, 'link', 'add', 'hall', 'host'))).status, 404, 'a room without a time');
}

async function drain(server) {
	const link = ctl(server, 'link', 'add', 'tree', 'listener');
	const inside = await come(server, 'tree', link);
	equal((await fetch(`${server.origin}/health`)).status, 200, 'health');
	ctl(server, 'drain');
	const late = await come(server, 'tree', link);
	equal([late.status, late.error], [503, 'server-full'], 'nobody new');
	ok(late.message.includes('nobody new'), `in words: ${late.message}`);
	equal((await post(server, 'tree', { ticket: inside.ticket })).status, 201, 'who is here comes back');
	const health = await fetch(`${server.origin}/health`);
	equal([health.status, (await health.text()).includes('draining')], [503, true], 'health says so');
	equal(run(server, ['health']).status, 1, 'palabrectl health, too');
	ctl(server, 'drain', '--off');
	equal((await come(server, 'tree', link)).status, 201, 'open again');
	ctl(server, 'health');
}

/** Many at once, and what comes back is on the disk. @returns {Promise<string[]>} */
async function crowd(server) {
	const names = [...Array(24).keys()].map((i) => `room-${i}`);
	const started = Date.now();
	const codes = await Promise.all(names.map((name) => new Promise((done) => {
		const child = spawn(palabrectl, ['--socket', socketOf(server), 'room', 'add', name, '--title', name]);
		child.once('exit', done);
	})));
	ok(codes.every((code) => code === 0), `rooms made at once: ${codes}`);
	figure('24 palabrectl at once', Date.now() - started, 'ms');
	return names;
}

async function keptOver(server, names, revoked) {
	const has = () => asked(server, 'rooms').items.map((r) => r.room);
	ok(names.every((name) => has().includes(name)), 'all are there');
	await server.kill();
	await server.run();
	ok(names.every((name) => has().includes(name)), 'all are there after a kill');
	equal((await come(server, 'tree', revoked)).status, 410, 'a revoked link stays so');
	equal(await server.stop(), 0, 'a stop');
	ok(!existsSync(socketOf(server)), 'the socket goes with the server');
	equal(run(server, ['status']).status, 3, 'no server');
	await server.run();
	equal(asked(server, 'room', 'show', 'tree').languages, 'en,sw', 'the room is as it was made');
	const states = asked(server, 'link', 'list', 'tree').items.map((l) => l.state);
	equal(states.filter((s) => s === 'revoked').length, 1, `links: ${states}`);
	equal((await come(server, 'tree', revoked)).status, 410, 'a revoked link after a restart');
}

/** One line, raw. */
const raw = (server, text) => limit(new Promise((done, fail) => {
	const socket = connect(socketOf(server), () => socket.write(text));
	let got = '';
	socket.on('data', (data) => {
		got += data;
		if (got.endsWith('\n'))
			socket.end();
	});
	socket.on('close', () => done(got));
	socket.on('error', fail);
}), 5000, `an answer to ${text.slice(0, 60)}`);

async function mayAsk(server) {
	equal(statSync(socketOf(server)).mode & 0o777, 0o600, 'the mode of the socket');
	ok((await raw(server, 'GET / HTTP/1.1\n')).includes('bad-request'), 'HTTP is refused');
	ok((await raw(server, `{"do":"status","x":"${'x'.repeat(20000)}`)).includes('too-large'), 'a line without end');
	ok((await raw(server, `${'['.repeat(5000)}\n`)).includes('bad-request'), 'deep nesting');
	equal((await raw(server, '{"do":"log"}\n{"do":"log"}\n')).split('\n').length, 3, 'two requests, two answers');
	if (!isRoot)
		return;
	chmodSync(server.dir, 0o711);
	const as = { uid: NOBODY, gid: NOBODY };
	ok(run(server, ['status'], as).stderr.includes('only root'), 'another user cannot connect');
	chmodSync(socketOf(server), 0o666);
	const { status, stderr } = run(server, ['status'], as);
	equal([status, stderr.includes('Only root and the user')], [1, true], `nor ask, if they could: ${stderr}`);
	chmodSync(socketOf(server), 0o600);
	chmodSync(server.dir, 0o700);
}

/** Strictly: HELP, TYPE, then samples of that family alone, no name or label set twice. */
function parseMetrics(text) {
	const seen = new Map(), families = new Set();
	let family = '', type = '';
	for (const line of text.trimEnd().split('\n')) {
		const [, what, name, rest] = line.match(/^# (HELP|TYPE) (\w+) (.+)$/) ?? [];
		if (what === 'HELP') {
			ok(!families.has(name) && rest.length > 5, `a family comes once, and is explained: ${line}`);
			families.add(name);
			[family, type] = [name, ''];
			continue;
		}
		if (what === 'TYPE') {
			ok(name === family && !type && /^(counter|gauge)$/.test(rest), `TYPE after HELP: ${line}`);
			ok((rest === 'counter') === name.endsWith('_total'), `counters are called so: ${line}`);
			type = rest;
			continue;
		}
		const sample = line.match(/^(palabre_[a-z0-9_]+)(\{[a-z]+="[^"\\]*"\})? (\d+)$/);
		ok(sample && sample[1] === family && type, `a sample of its family: ${line}`);
		ok(!seen.has(sample[1] + (sample[2] ?? '')), `once: ${line}`);
		seen.set(sample[1] + (sample[2] ?? ''), Number(sample[3]));
	}
	return seen;
}

async function metricsOf(server) {
	const answer = await fetch(`${server.origin}/metrics`);
	equal([answer.status, answer.headers.get('content-type')], [200, 'text/plain; version=0.0.4; charset=utf-8'], 'metrics');
	return parseMetrics(await answer.text());
}

async function metrics(server) {
	const all = await metricsOf(server), text = ctl(server, 'metrics');
	const header = readFileSync(new URL('../../include/palabre/base.h', import.meta.url), 'utf8');
	const counters = [...header.match(/#define STATS_LIST\(X\)([\s\S]*?)\n\/\*/)[1].matchAll(/X\((\w+)\)/g)].map((m) => m[1]);
	ok(counters.length > 80, 'the list of counters');
	for (const name of counters)
		ok([`palabre_${name.replace(/_s$/, '_seconds')}_total`, `palabre_drops_total{reason="${name}"}`,
			`palabre_limit_hits_total{limit="${name}"}`].filter((key) => all.has(key)).length === 1, `${name} is there once`);
	ok(all.get('palabre_rx_pkts_total') > 0 && all.get('palabre_rooms_kept') > 20, 'they count');
	ok(!/tree|hall|room-1|Asya/.test(text), 'no room and nobody is named');
	const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
	if (promtool.error)
		log('no promtool here: only our own parser has read it');
	else
		equal([promtool.status, promtool.stderr], [0, ''], 'promtool');
	const board = JSON.parse(readFileSync(new URL('../../packaging/grafana/palabre.json', import.meta.url), 'utf8'));
	const names = new Set([...all.keys()].map((key) => key.replace(/{.*/, '')));
	const used = board.panels.flatMap((panel) => panel.targets ?? []).flatMap((t) => t.expr.match(/palabre_\w+/g));
	equal(used.filter((name) => !names.has(name)), [], 'what the dashboard asks for and is not there');
	ok(used.length > 40, 'the dashboard');
	figure('metrics', text.length, 'bytes');
	for (const headers of [{ 'x-forwarded-for': '192.0.2.7' }, { forwarded: 'for=192.0.2.7' }])
		for (const page of ['metrics', 'health'])
			equal((await fetch(`${server.origin}/${page}`, { headers })).status, 404, 'a stranger behind a proxy');
}

/** What bash would offer behind these words. */
function completed(server, ...words) {
	const script = `source packaging/completion/palabrectl; COMP_WORDS=(palabrectl "$@"); COMP_CWORD=$#
		_palabrectl; printf '%s\\n' "\${COMPREPLY[@]}"`;
	const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8',
		cwd: new URL('../..', import.meta.url), env: { ...process.env, PALABRE_SOCKET: socketOf(server),
			PATH: `${dirname(palabrectl)}:${process.env.PATH}` } });
	equal(stderr, '', `completing ${words}`);
	return stdout.trim().split('\n');
}

/** Help, manual and completion know the same commands. */
function known(server) {
	const commands = [...ctl(server, '--help').matchAll(/^ {4}([a-z]+)(?: ([a-z]+))?/gm)];
	const manual = readFileSync(new URL('../../packaging/man/palabrectl.1', import.meta.url), 'utf8').replaceAll('\\-', '-');
	ok(commands.length > 14, 'commands in the help');
	for (const [, first, second] of commands) {
		ok(new RegExp(`^\\.B[IR]? "?${first}${second ? ` ${second}` : ''}\\b`, 'm').test(manual), `the manual has ${first} ${second ?? ''}`);
		ok(completed(server, '').includes(first), `completion has ${first}`);
		ok(!second || completed(server, first, '').includes(second), `completion has ${first} ${second}`);
	}
	const sorted = (words) => [...words].sort();
	equal(sorted(completed(server, 'people', 'room-2')), sorted(['room-2', 'room-20', 'room-21', 'room-22', 'room-23']), 'rooms');
	equal(completed(server, 'room', 'set', 'tree', '--no-lob'), ['--no-lobby'], 'options');
	equal(completed(server, 'link', 'add', 'tree', 'sp'), ['speaker'], 'roles');
	equal(completed(server, 'room', 'set', 'tree', '--zone', 'Africa/Nairob'), ['Africa/Nairobi'], 'zones');
	const ids = asked(server, 'link', 'list', 'tree').items.map((l) => l.link);
	equal(sorted(completed(server, 'link', 'revoke', 'tree', '')), sorted(ids), 'links');
}

async function stuck(server) {
	const child = spawn(stall, [String(server.pid)], { stdio: ['pipe', 'pipe', 'pipe'] });
	onEnd(() => child.kill('SIGKILL'));
	const [held, why] = await limit(new Promise((done) => {
		child.stdout.once('data', () => done([true, '']));
		child.stderr.once('data', (data) => done([false, String(data)]));
	}), 5000, 'a worker that stands still');
	if (!held) { // a container without the right to trace
		log(`not tried: a worker that is stuck (${why.trim()})`);
		return;
	}
	const sick = await fetch(`${server.origin}/health`);
	equal([sick.status, await sick.text()], [503, 'Worker 0 has not answered for 2 s.\n'], 'a stuck worker');
	ok(ctl(server, 'status').includes('media connections'), 'the rest goes on');
	child.stdin.end();
	await until('it answers again', async () => (await fetch(`${server.origin}/health`)).status === 200, 5000);
}

/** Starts one that must not start. */
async function cannotStart(dir, words, options = {}, set = {}) {
	const args = Object.entries({ 'server.port': await freePort(), 'server.listen': '127.0.0.1', 'server.workers': 1,
		'server.state_dir': dir, 'server.runtime_dir': dir, ...set }).flatMap(([k, v]) => ['--set', `${k}=${v}`]);
	const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 10000, ...options });
	equal(status, 1, `it does not start: ${stderr}`);
	ok(words.every((w) => stderr.includes(w)), `and says ${words}: ${stderr}`);
}

async function databases(server) {
	const dir = mkdtempSync(join(tmpdir(), 'palabre-state-'));
	onEnd(() => rmSync(dir, { recursive: true, force: true }));
	await cannotStart(server.dir, ['rooms.db', 'another palabred uses it']); // another palabred has it
	await cannotStart(dir, ['another palabred', 'server.runtime_dir'], {}, { 'server.runtime_dir': server.dir });
	await server.stop();
	for (const file of readdirSync(server.dir))
		copyFileSync(join(server.dir, file), join(dir, file));
	writeFileSync(join(dir, 'rooms.db'), 'this is no database '.repeat(1000));
	rmSync(join(dir, 'rooms.db-wal'), { force: true });
	await cannotStart(dir, ['rooms.db', 'not a database', 'move it away']);
	if (!isRoot)
		return;
	copyFileSync(join(server.dir, 'rooms.db'), join(dir, 'rooms.db'));
	for (const file of ['', ...readdirSync(dir)])
		chownSync(join(dir, file), NOBODY, NOBODY);
	chmodSync(join(dir, 'rooms.db'), 0o400);
	await cannotStart(dir, ['rooms.db', 'Permission denied', 'belong to the user'], { uid: NOBODY, gid: NOBODY });
}

/** Without rooms by link: only what palabrectl made. */
async function notByLink(first) {
	const server = await Server.start({ set: { 'room.by_link': 'no' } });
	equal((await post(server, 'palabre', { token: 'x' })).status, 401, 'no token');
	equal(spawnSync(program, [...server.args, '--print-link', 'host:palabre'], { encoding: 'utf8' }).status, 1,
		'no link is printed');
	// One that was printed before.
	copyFileSync(join(first.dir, 'secret'), join(server.dir, 'secret'));
	const old = first.link('host', 'palabre'), room = first.link('host', 'one');
	await server.stop();
	await server.run();
	const gone = await come(server, 'palabre', old);
	equal([gone.status, gone.error], [404, 'no-such-room'], 'a room that nobody made');
	ctl(server, 'room', 'add', 'one');
	equal((await come(server, 'one', room)).status, 401, 'a link that cannot be revoked');
	const inside = await come(server, 'one', ctl(server, 'link', 'add', 'one', 'host'));
	equal(inside.status, 201, "the room's own link");
	ctl(server, 'room', 'remove', 'one');
	equal((await post(server, 'one', { ticket: inside.ticket })).status, 404, 'a ticket of a room that is gone');
	await server.stop();
}

await scenario('admin', async () => {
	const server = await Server.start();
	equal((await come(server, 'palabre', server.link('host'))).status, 201, 'a printed link');
	ok(ctl(server, 'status').includes('kept on disk'), 'status');
	await rooms(server);
	const revoked = await links(server);
	await rules(server);
	await calendar(server, revoked);
	await drain(server);
	const names = await crowd(server);
	await keptOver(server, names, revoked);
	await mayAsk(server);
	known(server);
	const link = ctl(server, 'link', 'add', 'tree', 'listener');
	const { child, inside } = listen(link);
	await limit(inside, 15000, 'a listener');
	await metrics(server);
	child.kill('SIGKILL');
	await stuck(server);
	await notByLink(server);
	await databases(server);
});
