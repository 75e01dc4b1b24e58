// SPDX-License-Identifier: AGPL-3.0-or-later
// What an organiser does: apt install on a fresh Debian 12, a call, a new certificate and an upgrade in mid-call,
// a purge. The machine is a booted one (machine.mjs); the people are two Chromiums on another one.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { equal, figure, log, ok, onEnd, scenario, sleep, until } from '../browser/lib/check.mjs';
import { launchChromium } from '../browser/lib/chromium.mjs';
import { Net } from '../browser/lib/net.mjs';
import { allHearAndSeeAll, Person } from '../browser/lib/person.mjs';
import { built, Machine, repacked } from './machine.mjs';

// Not private ones: with those Chromium takes no candidate at port 443.
const HERE = '203.0.113.1', THERE = '203.0.113.2';
const SMALL = { width: 320, height: 240, fps: 10 };
const SILENCE_MS = 250; // more than between syllables
const BUSY_MS = 400; // on a machine that is busy otherwise
const AUDIO_LOST_MAX_MS = 3000, IDLE_MAX_KIB = 25 * 1024, EXPOSURE_MAX = 2.0;
const CONF = '/etc/palabre/palabre.conf';

const dir = mkdtempSync(join(tmpdir(), 'palabre-installed-'));
onEnd(() => rmSync(dir, { recursive: true, force: true }));

const linkIn = (text, role) => {
	const found = text.match(new RegExp(`${role} link.*?(https?://\\S+/r/palabre#\\S+)`))?.[1];
	ok(found, `a ${role} link is printed: ${text.slice(-800)}`);
	return found;
};

const install = (machine, deb) => machine.sh(`apt-get -y -q --no-install-recommends install ${deb} 2>&1`);

/** The page, as the machine's own browser would get it. */
const ask = (netns, url) => execFileSync('ip', ['netns', 'exec', netns, process.execPath, '-e',
	`fetch(${JSON.stringify(url)}).then(async (r) => console.log(r.status, await r.text()))`], { encoding: 'utf8', timeout: 10000 });

function certificate(machine) {
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
		'-subj', '/CN=palabre', '-addext', `subjectAltName=IP:${HERE}`, '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')],
	{ stdio: 'ignore' });
	for (const name of ['cert.pem', 'key.pem'])
		copyFileSync(join(dir, name), join(machine.root, 'etc/palabre', name));
	machine.sh('cd /etc/palabre; chgrp _palabre key.pem; chmod 640 key.pem');
	return execFileSync('openssl', ['x509', '-in', join(dir, 'cert.pem'), '-noout', '-fingerprint', '-sha256'], { encoding: 'utf8' }).trim();
}

const served = (netns) => execFileSync('sh', ['-c',
	`ip netns exec ${netns} openssl s_client -connect ${HERE}:443 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256`],
{ encoding: 'utf8' }).trim();

/** Runs `what` in mid-call; how long each has missed the other's voice, ms. */
async function missed(people, name, what, silence = SILENCE_MS) {
	const [a, b] = people;
	await a.watchVoice(b.index);
	await b.watchVoice(a.index);
	await sleep(1500);
	const since = Date.now();
	await what();
	await until(`both hear each other after ${name}`, async () => {
		const saw = [await a.heard(), await b.heard()];
		return { ok: saw[0].includes(b.index) && saw[1].includes(a.index), saw };
	}, 15000);
	await sleep(1500);
	const lost = [];
	for (const who of people) {
		const silences = await who.silences(since, silence);
		log(`${name}: ${who.name}: silences ${JSON.stringify(silences)}`);
		lost.push(silences.reduce((sum, [from, to]) => sum + (to ?? Infinity) - from, 0));
	}
	figure(`audio lost by ${name}`, Math.max(...lost), 'ms');
	return Math.max(...lost);
}

await scenario('installed', async () => {
	const deb = built();
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	net.link(here, `${HERE}/24`, there, `${THERE}/24`);
	const machine = await Machine.boot(deb, here);
	const before = machine.files();

	log('install');
	const said = install(machine, `/root/${basename(deb)}`);
	const host = linkIn(said, 'Host');
	ok(host.startsWith('http://localhost:8080/'), `the link serves on the machine itself: ${host}`);
	equal(machine.run('systemctl', 'is-active', 'palabre').trim(), 'active', 'the service');
	ok(/^200 [^]*<title>Palabre/.test(ask(here, host)), 'the printed link leads to the page');
	equal(machine.run('palabred', '--print-link', 'host:palabre').trim(), host, 'root makes the same link');
	const stranger = machine.try('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'palabred', '--print-link', 'host:palabre');
	ok(stranger.status !== 0 && stranger.err.includes('as root') && !stranger.out, 'nobody else makes one');
	equal(machine.sh('stat -c "%U %a" /var/lib/palabre /var/lib/palabre/secret').trim(),
		'_palabre 700\n_palabre 600', 'who may read what signs links');

	const status = machine.run('cat', `/proc/${machine.pid()}/status`);
	const rss = Number(status.match(/VmRSS:\s*(\d+)/)[1]);
	figure('RSS of the idle service', rss / 1024, 'MiB');
	ok(rss <= IDLE_MAX_KIB, `RSS ${rss} KiB`);
	equal(status.match(/CapEff:\s*(\S+)/)[1], '0000000000000400', 'capabilities: to bind ports, no other');
	const exposure = Number(machine.run('systemd-analyze', 'security', 'palabre', '--no-pager').match(/exposure level[^:]*: ([\d.]+)/)[1]);
	figure('exposure by systemd-analyze security', exposure);
	ok(exposure <= EXPOSURE_MAX, `exposure ${exposure}`);
	const journal = machine.sh('journalctl -u palabre -o json --no-pager').trim().split('\n').map((l) => JSON.parse(l));
	const start = journal.find((l) => l.MESSAGE.includes('app.start'));
	equal([start?.PRIORITY, /^INFO app\.start /.test(start?.MESSAGE)], ['6', true], 'priority of a line in the journal');
	ok(!journal.some((l) => l.MESSAGE.includes('/r/')), 'no links in the journal');

	log('by HTTPS, at port 443');
	const first = certificate(machine);
	machine.sh(`sed -i -e 's|^#port = .*|port = 443|' -e 's|^#url =|url = https://${HERE}|' -e 's|^#workers = .*|workers = 1|' \
		-e 's|^#certificate_file =|certificate_file = /etc/palabre/cert.pem|' -e 's|^#key_file =|key_file = /etc/palabre/key.pem|' ${CONF}
		palabred --check; systemctl restart palabre`);
	const edited = machine.run('cat', CONF);
	const link = (role) => machine.run('palabred', '--print-link', `${role}:palabre`).trim();
	equal(link('host'), host.replace('http://localhost:8080', `https://${HERE}`), 'the link, but for the address');
	const browser = await launchChromium({ netns: there, anyCertificate: true });
	const people = [await Person.join(browser, link('host'), 1, SMALL), await Person.join(browser, link('speaker'), 2, SMALL)];
	await allHearAndSeeAll(people);
	equal(served(there), first, 'the certificate');

	log('another certificate');
	const second = certificate(machine);
	const lost = await missed(people, 'reload', async () => {
		await machine.later('systemctl', 'reload', 'palabre');
		equal(served(there), second, 'the certificate after reload');
	}, BUSY_MS);
	equal(lost, 0, 'what reload costs');
	for (const who of people)
		await who.oneNegotiation();
	machine.sh('echo rubbish >/etc/palabre/cert.pem; kill -HUP ' + machine.pid());
	await until('what is wrong is said', () => machine.run('journalctl', '-u', 'palabre', '-p', 'err', '-o', 'cat', '--no-pager')
		.includes('app.reload failed why="certificate /etc/palabre/cert.pem'));
	equal(served(there), second, 'the certificate after one that is none');
	copyFileSync(join(dir, 'cert.pem'), join(machine.root, 'etc/palabre/cert.pem'));

	log('restart');
	const restart = await missed(people, 'systemctl restart', () => machine.later('systemctl', 'restart', 'palabre'));
	ok(restart <= AUDIO_LOST_MAX_MS, `a restart costs ${restart} ms of sound`);

	log('upgrade');
	const newer = repacked(deb, '0.1.0+test1', dir);
	copyFileSync(newer, join(machine.root, 'root', basename(newer)));
	const old = machine.pid();
	const upgrade = await missed(people, 'an upgrade', () =>
		machine.later('apt-get', '-y', '-q', 'install', `/root/${basename(newer)}`));
	ok(machine.pid() !== old, 'the new version runs');
	ok(upgrade <= AUDIO_LOST_MAX_MS, `an upgrade costs ${upgrade} ms of sound`);
	equal(machine.run('dpkg-query', '-W', '-f', '${Version}', 'palabre'), '0.1.0+test1', 'version');
	equal(machine.run('cat', CONF), edited, 'what was edited, after the upgrade');
	equal(link('host'), host.replace('http://localhost:8080', `https://${HERE}`), 'the link after the upgrade');
	equal((await people[0].people()).map((p) => p.role).sort(), ['host', 'speaker'], 'roles after the upgrade');
	await allHearAndSeeAll(people);
	await browser.close();

	log('a server that hangs');
	machine.run('kill', '-STOP', machine.pid());
	await until('the watchdog has it started again', () => {
		const saw = machine.run('systemctl', 'show', '-p', 'NRestarts,ActiveState', 'palabre').trim();
		return { ok: saw === 'NRestarts=1\nActiveState=active', saw };
	}, 40000, 500);

	log('remove, purge');
	machine.run('apt-get', '-y', '-q', 'remove', 'palabre');
	equal(machine.try('systemctl', 'is-active', 'palabre').out.trim(), 'inactive', 'the service after remove');
	equal(machine.run('cat', CONF), edited, 'the configuration after remove');
	machine.sh('rm /etc/palabre/*.pem; apt-get -y -q purge palabre');
	ok(machine.try('getent', 'passwd', '_palabre').status !== 0, 'the user has gone');

	log('answers given beforehand');
	const preseed = (name, contact) => machine.sh(`printf '%s\\n' 'palabre palabre/hostname string ${name}' \
		'palabre palabre/contact string ${contact}' \
		'palabre palabre/acme boolean true' | debconf-set-selections`);
	preseed('call example', 'me@example.org');
	const refused = machine.try('apt-get', '-y', '-q', '--no-install-recommends', 'install', `/root/${basename(deb)}`);
	ok(refused.status !== 0 && /url: "https:\/\/call example" is not the address/.test(refused.out + refused.err),
		`a name that is none is refused: ${refused.out}${refused.err}`);
	preseed('call.example.org', 'me@example.org');
	const configured = machine.sh('dpkg --configure palabre 2>&1');
	ok(linkIn(configured, 'Guest').startsWith('https://call.example.org/r/palabre#'), 'the link has the host name');
	equal(machine.sh(`grep -c "^url = https://call.example.org$\\|^contact = me@example.org$" ${CONF}`).trim(), '2', 'both answers in the file');
	equal(machine.sh(`grep -E '^(acme|redirect_port|port|workers) =' ${CONF}`), 'port = 443\nworkers = 1\n' +
		'acme = https://acme-v02.api.letsencrypt.org/directory\nredirect_port = 80\n', 'what a certificate by itself needs');
	equal(machine.run('systemctl', 'is-active', 'palabre', 'palabre-certificate.timer').trim(), 'active\nactive', 'service and timer');
	await until('the first attempt says what it lacks', () =>
		machine.sh('journalctl -u palabre-certificate -o cat --no-pager').includes('tls.acme needs uacme'), 15000);
	equal(ask(here, 'http://localhost/.well-known/acme-challenge/x').slice(0, 3), '404', 'the authority would be answered');
	ok(ask(here, 'http://localhost:443/.well-known/security.txt').includes('Contact: mailto:me@example.org\n'), 'security.txt');
	machine.sh(`sed -i 's/^url = .*/url = https:\\/\\/other.example.org/; s/^port = .*/port = 8090/' ${CONF}; dpkg-reconfigure -fnoninteractive palabre`);
	ok(machine.sh(`grep -E '^(url|port|contact) =' ${CONF}`) === 'port = 8090\nurl = https://other.example.org\ncontact = me@example.org\n',
		`what was changed by hand holds: ${machine.sh(`grep -E '^(url|port|contact) =' ${CONF}`)}`);
	machine.run('apt-get', '-y', '-q', 'purge', 'palabre');
	machine.run('apt-get', '-y', '-q', 'autoremove', '--purge'); // what it needed

	const now = new Set(machine.files());
	const known = new Set(before);
	equal([...now].filter((f) => !known.has(f)), [], 'files left');
	equal(before.filter((f) => !now.has(f)), [], 'files missing');
	equal(machine.sh('grep -rsl palabre /etc /var/lib --exclude-dir=apt --exclude="*-" || true').trim(), '', 'files that still know of it');
}, 230);
