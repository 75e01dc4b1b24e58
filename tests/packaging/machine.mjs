// SPDX-License-Identifier: AGPL-3.0-or-later
// A Debian 12 that debootstrap made, booted by systemd-nspawn in a network namespace: its own init, journal and
// users on our kernel. It has no network but that namespace.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { limit, log, onEnd, onFailure, until } from '../browser/lib/check.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const trees = join(here, '../../build/chroot');

/** What killed runs left behind. */
function sweep() {
	for (const name of existsSync(trees) ? readdirSync(trees) : []) {
		const pid = name.match(/^machine\.(\d+)/)?.[1];
		if (pid && !existsSync(`/proc/${pid}`))
			rmSync(join(trees, name), { recursive: true, force: true });
	}
}

export class Machine {
	/** @param {string} deb @param {string} netns */
	static async boot(deb, netns) {
		sweep();
		const machine = new Machine(join(trees, `machine.${process.pid}`), netns);
		onEnd(() => machine.#end());
		execFileSync(join(here, 'tree'), [deb, machine.root], { stdio: ['ignore', 'inherit', 'inherit'], timeout: 120000 });
		await machine.#start();
		return machine;
	}

	constructor(root, netns) {
		this.root = root;
		this.netns = netns;
	}

	async #start() {
		const out = openSync(`${this.root}.log`, 'w');
		this.nspawn = spawn('systemd-nspawn', ['--quiet', '--directory', this.root, '--boot', '--register=no', '--keep-unit',
			'--hostname=installed', '--resolv-conf=off', `--network-namespace-path=/run/netns/${this.netns}`, '--console=pipe'],
		{ stdio: ['ignore', out, out], detached: true });
		this.ended = new Promise((done) => this.nspawn.once('exit', done));
		onFailure('console', () => readFileSync(`${this.root}.log`, 'utf8').slice(-3000));
		onFailure('journal', () => this.try('journalctl', '--no-pager', '-n', '40').out);
		await until('the machine has booted', () => {
			const { pid } = this.nspawn;
			[this.leader] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
			const { out: saw } = this.leader ? this.try('systemctl', 'is-system-running') : { out: 'no process' };
			return { ok: saw.trim() === 'running', saw };
		}, 40000);
		log('booted');
	}

	#command(args) {
		return ['-t', this.leader, '-m', '-u', '-i', '-n', '-p', '--wdns=/', '--', 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
			'LC_ALL=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive', 'TERM=dumb', ...args];
	}

	/** Runs a program there; gives its status and what it said. */
	try(...args) {
		const r = spawnSync('nsenter', this.#command(args), { encoding: 'utf8', timeout: 60000, maxBuffer: 1 << 26 });
		return { status: r.status, out: r.stdout, err: r.stderr };
	}

	run(...args) {
		const r = this.try(...args);
		if (r.status !== 0)
			throw new Error(`${args.join(' ')}: ${r.status}\n${r.out}${r.err}`);
		return r.out;
	}

	sh(script) {
		return this.run('sh', '-ec', script);
	}

	/** As run(), without holding up who waits for browsers meanwhile. */
	async later(...args) {
		const child = spawn('nsenter', this.#command(args), { stdio: ['ignore', 'pipe', 'pipe'] });
		let said = '';
		for (const stream of [child.stdout, child.stderr])
			stream.on('data', (data) => { said += data; });
		const code = await limit(new Promise((done) => child.once('close', done)), 60000, args.join(' '));
		if (code !== 0)
			throw new Error(`${args.join(' ')}: ${code}\n${said}`);
		return said;
	}

	/** The process of the service. */
	pid() {
		return this.run('systemctl', 'show', '-p', 'MainPID', '--value', 'palabre').trim();
	}

	/** Every file of the tree but what the system writes by itself, and what is of packages that are installed. */
	files() {
		const owned = new Set(this.sh('cat /var/lib/dpkg/info/*.list').split('\n'));
		const all = this.sh(`find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root \
			-o -path /var/tmp -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \
			-o -path /var/lib/systemd/catalog \\) -prune -o -print`).split('\n');
		return all.filter((f) => f && !owned.has(f) && !owned.has(f.replace(/^\/usr(?=\/(s?bin|lib))/, ''))).sort();
	}

	async #end() {
		if (this.nspawn && this.nspawn.exitCode === null) {
			this.nspawn.kill('SIGTERM'); // the machine shuts down
			await limit(this.ended, 8000, 'shutting down').catch(() => {
				this.nspawn.kill('SIGKILL');
				return this.ended;
			});
		}
		rmSync(this.root, { recursive: true, force: true, maxRetries: 3 });
		rmSync(`${this.root}.log`, { force: true });
	}
}

/** The newest package that packaging/build has made. */
export function built() {
	const dir = join(here, '../../build/package');
	const deb = existsSync(dir) && readdirSync(dir).find((f) => /^palabre_.*\.deb$/.test(f));
	if (!deb)
		throw new Error(`there is no package in ${dir}; packaging/build makes it`);
	return join(dir, deb);
}

/** The same with another version: what an upgrade is made of. */
export function repacked(deb, version, dir) {
	const tree = join(dir, 'palabre');
	const out = join(dir, basename(deb).replace(/_[^_]*_/, `_${version}_`));
	execFileSync('dpkg-deb', ['-R', deb, tree]);
	execFileSync('sed', ['-i', `s/^Version: .*/Version: ${version}/`, join(tree, 'DEBIAN/control')]);
	execFileSync('dpkg-deb', ['--root-owner-group', '-b', tree, out], { stdio: 'ignore' });
	return out;
}
