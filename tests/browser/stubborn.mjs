// SPDX-License-Identifier: AGPL-3.0-or-later
// A network that lets nothing out but TCP to port 443, and there only what begins as https does: a middlebox reads
// the ClientHello with its SNI before it forwards a byte. Two people meet through TURN over TLS on the page's port.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equal, figure, limit, log, ok, onEnd, onFailure, scenario, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { allHearAndSeeAll, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };
// Not private ones: with those Chromium takes no candidate at port 443.
const SERVER = '203.0.113.1', BOX = '203.0.113.2', PEOPLE = '198.51.100.2', GATE = '198.51.100.1';
const HOST = 'call.example.org';
const CONNECT_MAX_MS = 12000;

const dir = mkdtempSync(join(tmpdir(), 'palabre-stubborn-'));

function makeCertificate() {
	onEnd(() => rmSync(dir, { recursive: true, force: true }));
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
		'-subj', '/CN=palabre', '-addext', `subjectAltName=DNS:${HOST}`, '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')],
	{ stdio: 'ignore' });
}

/** Forwards what begins with a ClientHello for a name, and counts the others. */
const MIDDLEBOX = `
const net = require('net');
const sni = (b) => { // null: not a ClientHello; '': without a name; undefined: more is needed
	if (b[0] !== 0x16 || (b.length > 5 && b[5] !== 1)) return null;
	if (b.length < 5 || b.length < 5 + b.readUInt16BE(3)) return b.length > 16384 ? null : undefined;
	let at = 5 + 4 + 2 + 32;
	at += 1 + b[at];
	at += 2 + b.readUInt16BE(at);
	at += 1 + b[at];
	const end = at + 2 + b.readUInt16BE(at);
	for (at += 2; at + 4 <= end; at += 4 + b.readUInt16BE(at + 2))
		if (b.readUInt16BE(at) === 0) return b.toString('latin1', at + 9, at + 9 + b.readUInt16BE(at + 7));
	return '';
};
const refused = [];
net.createServer((inner) => {
	let begun = Buffer.alloc(0);
	inner.on('error', () => {});
	inner.on('data', function first(data) {
		begun = Buffer.concat([begun, data]);
		const name = sni(begun);
		if (name === undefined) return;
		if (name !== '${HOST}') {
			console.log('refused ' + begun.subarray(0, 8).toString('hex') + ' ' + name);
			inner.destroy();
			return;
		}
		console.log('forwarded');
		inner.off('data', first).pause();
		const outer = net.connect(443, '${SERVER}', () => { outer.write(begun); inner.pipe(outer).pipe(inner); });
		outer.setNoDelay(true);
		inner.setNoDelay(true);
		outer.on('error', () => inner.destroy());
		outer.on('close', () => inner.destroy());
		inner.on('close', () => outer.destroy());
	});
}).listen(443, '0.0.0.0', () => console.log('ready'));
`;

async function middlebox(space) {
	const child = spawn('ip', ['netns', 'exec', space, process.execPath, '-e', MIDDLEBOX], { stdio: ['ignore', 'pipe', 'inherit'] });
	const ended = new Promise((done) => child.once('exit', done));
	let said = '';
	onFailure('middlebox', () => said.slice(-2000));
	onEnd(async () => {
		child.kill();
		await ended;
	});
	await limit(new Promise((done) => child.stdout.on('data', (data) => (said += data).includes('ready') && done(true))), 5000, 'middlebox');
	const count = (word) => said.split('\n').filter((l) => l.startsWith(word)).length;
	return { forwarded: () => count('forwarded'), refused: () => count('refused') };
}

/** What the name leads to, as "ip netns exec" shows it: --host-resolver-rules does not count for TURN. */
function nameIn(space) {
	const etc = `/etc/netns/${space}`;
	onEnd(() => rmSync(etc, { recursive: true, force: true }));
	mkdirSync(etc, { recursive: true });
	writeFileSync(join(etc, 'hosts'), `127.0.0.1 localhost\n${SERVER} ${HOST}\n`);
}

/** What a plain connection to the gate gets: nothing. */
const knock = (space, hex) => execFileSync('ip', ['netns', 'exec', space, process.execPath, '-e', `
	const s = require('net').connect(443, '${SERVER}', () => s.write(Buffer.from('${hex}', 'hex')));
	let n = 0; s.on('data', (d) => { n += d.length; }); s.on('close', () => console.log(n)); s.on('error', () => {});`],
{ encoding: 'utf8', timeout: 5000 }).trim();

/** A stranger who asks for TURN, again and again, without a name: how many bytes that got until the end. */
const flood = (space) => Number(execFileSync('ip', ['netns', 'exec', space, process.execPath, '-e', `
	const ask = Buffer.from('000300082112a442' + '74726e73616374696f6e2121' + '0019000411000000', 'hex');
	const s = require('tls').connect({ host: '${SERVER}', port: 443, servername: '${HOST}', rejectUnauthorized: false }, () => {
		for (let i = 0; i < 1000; i++) s.write(ask);
	});
	let n = 0; s.on('data', (d) => { n += d.length; }); s.on('close', () => console.log(n)); s.on('error', () => {});`],
{ encoding: 'utf8', timeout: 5000 }).trim());

await scenario('stubborn', async () => {
	makeCertificate();
	const net = new Net();
	const [here, box, there] = [net.space('s'), net.space('m'), net.space('c')];
	net.link(here, `${SERVER}/24`, box, `${BOX}/24`);
	net.link(box, `${GATE}/24`, there, `${PEOPLE}/24`);
	net.ip(there, 'route', 'add', 'default', 'via', GATE);
	net.ip(here, 'route', 'add', 'default', 'via', BOX);
	// What is for port 443, wherever, ends at the gate; all else is dropped.
	execFileSync('ip', ['netns', 'exec', box, 'nft', '-f', '-'], { input: `table inet pal {
		chain gate { type nat hook prerouting priority -100; iifname "va1" tcp dport 443 redirect to :443; }
		chain in { type filter hook input priority 0; iifname "va1" tcp dport 443 accept; iifname "va1" counter drop; }
		chain through { type filter hook forward priority 0; counter drop; }
		}` });
	execFileSync('ip', ['netns', 'exec', box, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
	const gate = await middlebox(box);
	const server = await Server.start({ netns: here, address: SERVER, scheme: 'https', set: { 'server.port': 443,
		'server.url': `https://${HOST}`, 'tls.certificate_file': join(dir, 'cert.pem'), 'tls.key_file': join(dir, 'key.pem') } });
	nameIn(there);
	const browser = await launchChromium({ netns: there, anyCertificate: true,
		args: ['--ignore-certificate-errors'] });

	equal(knock(there, '003800010034'), '0', 'ICE-TCP does not pass');
	equal(knock(there, '474554202f20485454502f312e310d0a0d0a'), '0', 'nor does plain HTTP');
	await until('the gate says so', () => gate.refused() === 2, 3000);

	const people = [await Person.join(browser, server.link('host'), 1, SMALL), await Person.join(browser, server.link('speaker'), 2, SMALL)];
	await allHearAndSeeAll(people);
	for (const who of people) {
		const { local, remote } = await who.path();
		log(`${who.name}: ${JSON.stringify(local)} ${JSON.stringify(remote)}`);
		equal([local.candidateType, local.relayProtocol, remote.address, remote.port], ['relay', 'tls', SERVER, 443], `path of ${who.name}`);
		const connected = await who.run(() => __test.first.connected);
		figure(`${who.name}: join to connected where only https gets out`, connected, 'ms');
		ok(connected <= CONNECT_MAX_MS, `${who.name} waited ${connected} ms`);
	}
	const counters = await server.counters();
	ok(counters.turn_allocated >= 2 && !counters.turn_bad, `counters: ${JSON.stringify(counters)}`);
	ok(net.counted(box) > 0 && gate.refused() > 2, 'UDP and ICE-TCP have been tried, in vain');
	const before = counters.turn_refused;
	ok(flood(there) <= 17 * 100, 'a flood of requests without a name has an end');
	equal((await server.counters()).turn_refused - before, 17, 'refusals until then');
	await people[1].click('screen');
	await people[0].sees([2], 8000, 'screen');
	await people[0].moving([2], 8000);
}, 120);
