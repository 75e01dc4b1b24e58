// SPDX-License-Identifier: AGPL-3.0-or-later
// HTTPS, once by palabred itself and once by nginx in front, configured as docs/proxy.md says: calls come
// up, and the limits of an address hold for people, not for the proxy.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equal, log, ok, onEnd, onFailure, scenario, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { allHearAndSeeAll, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };
const HERE = '10.77.0.1', ADA = '10.77.0.2', OTHER = '10.77.0.3';
const PROXY_PORT = 8443;
const JOINS_MAX = 6;

const dir = mkdtempSync(join(tmpdir(), 'palabre-https-'));
const [certificate, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];

function makeCertificate() {
	onEnd(() => rmSync(dir, { recursive: true, force: true }));
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
		'-days', '2', '-subj', '/CN=palabre', '-addext', `subjectAltName=IP:${HERE}`,
		'-keyout', key, '-out', certificate], { stdio: 'ignore' });
}

/** nginx with what the documentation tells people to write. */
async function nginx(space, port) {
	const text = readFileSync(new URL('../../docs/proxy.md', import.meta.url), 'utf8');
	const location = text.match(/```nginx\n([^]*?)```/)[1].replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`);
	const file = join(dir, 'nginx.conf');
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
		.map((x) => `${x}_temp_path ${dir}/${x};`).join('\n');
	writeFileSync(file, `daemon off;\npid ${dir}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${temporary}
server {\nlisten ${HERE}:${PROXY_PORT} ssl;\nssl_certificate ${certificate};\nssl_certificate_key ${key};
${location}}\n}\n`);
	const child = spawn('ip', ['netns', 'exec', space, 'nginx', '-e', 'stderr', '-c', file],
		{ stdio: ['ignore', 'ignore', 'pipe'] });
	let said = '';
	child.stderr.on('data', (data) => { said += data; });
	const ended = new Promise((done) => child.once('exit', done));
	onFailure('nginx', () => said);
	onEnd(async () => {
		child.kill();
		await ended;
	});
	await Promise.race([until('nginx listens', () => {
		const out = execFileSync('ip', ['netns', 'exec', space, 'ss', '-ltnH'], { encoding: 'utf8' });
		return { ok: out.includes(`:${PROXY_PORT}`), saw: out };
	}), ended.then((code) => { throw new Error(`nginx ended with ${code}: ${said}`); })]);
}

/** Statuses of some joins from an address of the namespace, with a header that means to deceive. */
async function knock(space, from, times, forwarded) {
	const script = `const https = require('https');
const ask = () => new Promise((done, fail) => https.request({ host: '${HERE}', port: ${PROXY_PORT}, localAddress: '${from}',
	path: '/api/1/rooms/palabre/join', method: 'POST', rejectUnauthorized: false,
	headers: { 'content-type': 'application/json', 'x-forwarded-for': '${forwarded}' } },
	(r) => { r.resume(); r.on('end', () => done(r.statusCode)); }).on('error', fail).end('{}'));
(async () => { const all = []; for (let i = 0; i < ${times}; i++) all.push(await ask()); console.log(JSON.stringify(all)); })();`;
	return JSON.parse(execFileSync('ip', ['netns', 'exec', space, process.execPath, '-e', script],
		{ encoding: 'utf8', timeout: 20000 }));
}

async function meet(browser, server) {
	const ada = await Person.join(browser, server.link('host'), 1, SMALL);
	const bea = await Person.join(browser, server.link('speaker'), 2, SMALL);
	await allHearAndSeeAll([ada, bea]);
	for (const who of [ada, bea]) {
		equal(await who.run(() => [location.protocol, isSecureContext, __test.errors.length]),
			['https:', true, 0], `page of ${who.name}`);
		ok((await who.run(() => __test.sockets.at(-1).url)).startsWith('wss:'), 'events by TLS, too');
	}
	return [ada, bea];
}

await scenario('https', async () => {
	makeCertificate();
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	net.link(here, `${HERE}/24`, there, `${ADA}/24`);
	net.ip(there, 'addr', 'add', `${OTHER}/24`, 'dev', 'vb0');
	const browser = await launchChromium({ netns: there, anyCertificate: true });

	log('by palabred itself');
	const alone = await Server.start({ netns: here, address: HERE, scheme: 'https',
		set: { 'tls.certificate_file': certificate, 'tls.key_file': key } });
	for (const who of await meet(browser, alone))
		await who.close();

	log('by nginx');
	const server = await Server.start({ netns: here, address: HERE, set: {
		'server.listen': `${HERE},127.0.0.1`, 'server.url': `https://${HERE}:${PROXY_PORT}`,
		'http.trust_proxy': '127.0.0.1', 'room.joins_per_minute_per_address_max': JOINS_MAX } });
	await nginx(here, server.port);
	const [ada] = await meet(browser, server);
	const { remote } = await ada.path();
	equal([remote.address, remote.port], [HERE, server.port], 'media does not go through the proxy');
	ok(!/candidate:.* 127\.0\.0\.1 /.test(await ada.run(() => __test.pc().remoteDescription.sdp)),
		'who comes through a proxy on our machine is not on our machine');

	// Somebody else uses up their own joins, whoever they pretend to be.
	for (const pretended of [ADA, '127.0.0.1', '203.0.113.7, 127.0.0.1']) {
		const statuses = await knock(there, OTHER, JOINS_MAX, pretended);
		const refused = statuses.filter((s) => s === 429).length;
		equal(refused, pretended === ADA ? 0 : JOINS_MAX, `refused as "${pretended}" of ${statuses}`);
	}
	const cleo = await Person.join(browser, server.link('speaker'), 3, SMALL);
	await ada.hears([2, 3], 6000);
	equal(await cleo.run(() => __test.posts.map((p) => p.status)), [201], 'their own joins are left');
}, 150);
