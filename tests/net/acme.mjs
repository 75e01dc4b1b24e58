// SPDX-License-Identifier: AGPL-3.0-or-later
// A certificate by itself: Debian's pebble is the authority, uacme asks it, palabred answers it at port 80. The
// first one comes to a server that has none, the next in mid-call. All in one namespace, on its loopback.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { equal, figure, limit, log, ok, onEnd, onFailure, scenario, until } from '../browser/lib/check.mjs';
import { Net } from '../browser/lib/net.mjs';
import { Server } from '../browser/lib/server.mjs';

const root = new URL('../../', import.meta.url).pathname;
const program = resolve(process.env.PALABRED ?? join(root, 'build/dev/palabred'));
const palabrectl = resolve(process.env.PALABRECTL ?? join(dirname(program), 'palabrectl'));
const audience = process.env.AUDIENCE ?? join(root, 'build/dev/tests/audience');
const HOST = 'call.example.org', AUTHORITY = 'https://127.0.0.1:14000/dir';
// Of what the authority gives: less than the month in which uacme renews.
const VALID_S = 20 * 86400;

const dir = mkdtempSync(join(tmpdir(), 'palabre-acme-'));
const net = new Net();
const space = net.space('a');
const inside = (...command) => ['netns', 'exec', space, ...command];

function start(name, args, ready, env = {}) {
	const child = spawn('ip', inside(name, ...args), { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
	const ended = new Promise((done) => child.once('exit', done));
	let said = '';
	onFailure(name, () => said.slice(-3000));
	onEnd(async () => {
		child.kill('SIGKILL');
		await ended;
	});
	return limit(new Promise((done, fail) => {
		for (const stream of [child.stdout, child.stderr])
			stream.on('data', (data) => (said += data).includes(ready) && done(child));
		ended.then((code) => fail(new Error(`${name} ended with ${code}: ${said}`)));
	}), 10000, name);
}

/** The authority's own https, which uacme has to believe: its certificate in place of all others. */
function makeBelieved() {
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
		'-subj', '/CN=authority', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'key.pem', '-out', 'cert.pem'],
	{ cwd: dir, stdio: 'ignore' });
}

async function authority() {
	writeFileSync(join(dir, 'pebble.json'), JSON.stringify({ pebble: { listenAddress: '127.0.0.1:14000',
		managementListenAddress: '127.0.0.1:15000', certificate: 'cert.pem', privateKey: 'key.pem', httpPort: 80, tlsPort: 443,
		ocspResponderURL: '', externalAccountBindingRequired: false, certificateValidityPeriod: VALID_S } }));
	await start('pebble-challtestsrv', ['-http01', '', '-https01', '', '-tlsalpn01', '', '-dns01', '127.0.0.1:8053',
		'-management', '127.0.0.1:8055', '-defaultIPv4', '127.0.0.1', '-defaultIPv6', ''], 'Starting');
	await start('pebble', ['-config', 'pebble.json', '-strict', '-dnsserver', '127.0.0.1:8053'], 'Listening',
		{ PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' });
}

/** The service, as systemd runs it. */
function certificate(server) {
	const { status, stdout, stderr } = spawnSync('ip', inside('unshare', '--mount', 'sh', '-c',
		'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"', join(dir, 'cert.pem'),
		join(root, 'packaging/certificate'), ...server.args), { encoding: 'utf8', timeout: 30000, env: { ...process.env,
		PATH: `${dirname(program)}:${dirname(palabrectl)}:${process.env.PATH}`, STATE_DIRECTORY: server.dir, RUNTIME_DIRECTORY: server.dir } });
	return { status, said: stdout + stderr };
}

/** What comes back for a GET: status, headers, body. */
const ask = (scheme, path) => JSON.parse(execFileSync('ip', inside(process.execPath, '-e', `require('${scheme}').get({
	host: '127.0.0.1', path: ${JSON.stringify(path)}, headers: { host: 'elsewhere.example' }, rejectUnauthorized: false }, (r) => {
	let body = ''; r.on('data', (d) => { body += d; });
	r.on('end', () => console.log(JSON.stringify({ status: r.statusCode, headers: r.headers, body })));
}).on('error', (e) => console.log(JSON.stringify({ error: e.code })))`), { encoding: 'utf8', timeout: 10000 }));

const served = () => execFileSync('sh', ['-c', `ip netns exec ${space} openssl s_client -connect 127.0.0.1:443 -servername ${HOST} \
	</dev/null 2>/dev/null | openssl x509 -noout -serial -issuer -ext subjectAltName`], { encoding: 'utf8' });

function ctl(server, ...args) {
	return spawnSync(palabrectl, ['--socket', join(server.dir, 'ctl.sock'), ...args], { encoding: 'utf8', timeout: 10000 });
}

async function reload(server) {
	const from = server.lines.length;
	server.child.kill('SIGHUP');
	await until('the reload', () => {
		const saw = server.lines.slice(from).find((l) => l.includes('app.reload'));
		return { ok: saw?.includes('done tls=yes'), saw };
	});
}

function challenges(server) {
	const text = 'a-token_0.thumb-print';
	equal(ask('http', '/.well-known/acme-challenge/a-token_0').status, 404, 'a token that nobody has given');
	equal(ctl(server, 'challenge', 'add', '--', text).status, 0, 'a challenge is taken');
	const { status, body } = ask('http', '/.well-known/acme-challenge/a-token_0');
	equal([status, body], [200, text], 'what is found there');
	for (const wrong of ['A-token_0', 'a-token_', 'a-token_0.thumb-print', '..%2Fsecret', '..'])
		ok(ask('http', `/.well-known/acme-challenge/${wrong}`).status !== 200, `nothing is found at ${wrong}`);
	for (const wrong of ['../secret.x', 'a', 'a.', '.b', 'a.b.c', `${'a'.repeat(200)}.${'b'.repeat(60)}`])
		equal(ctl(server, 'challenge', 'add', '--', wrong).status, 1, `no challenge: ${wrong}`);
	equal(ctl(server, 'challenge', 'remove', '--', text).status, 0, 'it is taken back');
	equal(ask('http', '/.well-known/acme-challenge/a-token_0').status, 404, 'and gone');
	equal(ctl(server, 'challenge', 'remove', '--', text).status, 1, 'only once');
}

await scenario('acme', async () => {
	onEnd(() => rmSync(dir, { recursive: true, force: true }));
	chmodSync(dir, 0o755);
	const server = await Server.start({ netns: space, set: { 'server.port': 443, 'server.workers': 1, 'server.listen': '127.0.0.1',
		'server.url': `https://${HOST}`, 'server.contact': 'me@example.org', 'tls.acme': AUTHORITY, 'tls.redirect_port': 80 } });
	ok(server.lines.some((l) => l.includes('app.certificate https=no')), 'it says that there is no certificate yet');
	ok(ask('https', '/').error, 'no https without one');

	log('port 80');
	for (const [path, place] of [['/', '/'], ['/r/village?lang=fr', '/r/village?lang=fr'], ['//evil.example/', '//evil.example/'],
		[`/r/x?${'x'.repeat(2000)}`, '/'], ['/api/1/rooms/palabre/join', '/api/1/rooms/palabre/join']]) {
		const { status, headers } = ask('http', path);
		equal([status, headers.location, headers['strict-transport-security']], [308, `https://${HOST}${place}`, undefined], `http ${path}`);
	}
	challenges(server);

	log('the first certificate');
	makeBelieved();
	await authority();
	// As a first attempt that was cut off has left it: a key for an account that there is not.
	mkdirSync(join(server.dir, 'acme/private'), { recursive: true });
	execFileSync('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256',
		'-out', join(server.dir, 'acme/private/key.pem')], { stdio: 'ignore' });
	const began = Date.now();
	const first = certificate(server);
	equal(first.status, 0, `the first: ${first.said}`);
	figure('a certificate from the authority', (Date.now() - began) / 1000, 's');
	equal(statSync(join(server.dir, 'acme/private', HOST, 'key.pem')).mode & 0o77, 0, 'who else may read the key');
	await reload(server);
	const one = served();
	ok(/issuer=.*Pebble/.test(one) && one.includes(`DNS:${HOST}`), `the certificate: ${one}`);
	const page = ask('https', '/');
	equal([page.status, page.headers['strict-transport-security']], [200, 'max-age=15552000'], 'the page, by https from now on');

	log('the next one, in mid-call');
	const link = server.link('listener').replace(`https://${HOST}`, 'http://localhost:443');
	const people = await start(audience, [link, '2'], 'in');
	const who = () => JSON.parse(ctl(server, '--json', 'people', 'palabre').stdout).items.map((p) => `${p.id} ${p.link}`).sort();
	const before = who();
	equal(before.map((p) => p.split(' ')[1]), ['up', 'up'], 'two are here');
	const next = certificate(server);
	equal(next.status, 0, `the next: ${next.said}`);
	await reload(server);
	const two = served();
	ok(/issuer=.*Pebble/.test(two) && two.match(/serial=.*/)[0] !== one.match(/serial=.*/)[0], `another certificate: ${two}`);
	equal([who(), people.exitCode], [before, null], 'nobody has noticed');

	log('one that is damaged');
	const file = join(server.dir, 'acme', HOST, 'cert.pem');
	const good = readFileSync(file);
	writeFileSync(file, 'rubbish');
	server.child.kill('SIGHUP');
	await until('it is said', () => server.lines.some((l) => l.includes('app.reload failed why="certificate')));
	equal(served(), two, 'and changes nothing');
	await server.stop();
	await server.run();
	ok(ask('https', '/').error && ask('http', '/').status === 308, 'a start with it is one without https, but it can be mended');
	writeFileSync(file, good);
	await reload(server);
	equal(served(), two, 'mended');
}, 100);
