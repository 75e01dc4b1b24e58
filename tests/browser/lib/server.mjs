// SPDX-License-Identifier: AGPL-3.0-or-later
// A palabred of our own: free port, state in a temporary directory, embedded defaults.
// $PALABRED names the program; by default that of the dev build.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { giveUp, limit, onEnd, onFailure, until } from './check.mjs';
import { freePort } from './ports.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const program = process.env.PALABRED ?? join(root, 'build/dev/palabred');
const LOG_LINES = 4000;

export class Server {
	/** @param {{netns?: string, address?: string, scheme?: string, set?: Record<string, string|number>}} [o] */
	static async start(o = {}) {
		if (!existsSync(program))
			throw new Error(`there is no ${program}: build it, or set PALABRED`);
		const server = new Server(o, await freePort());
		onEnd(() => server.#end());
		onFailure(`palabred, last lines`, () => server.lines.slice(-40).join('\n'));
		await server.run();
		return server;
	}

	constructor(o, port) {
		this.o = o;
		this.port = port;
		this.lines = [];
		this.dir = mkdtempSync(join(tmpdir(), 'palabre-state-'));
		this.origin = `${o.scheme ?? 'http'}://${o.address ?? 'localhost'}:${port}`;
		const set = { 'server.port': port, 'server.state_dir': this.dir, 'server.runtime_dir': this.dir, 'server.workers': 1,
			'server.log_level': process.env.PALABRE_LOG ?? 'info', ...o.set };
		if (o.address) {
			set['server.listen'] ??= o.address;
			set['server.url'] ??= this.origin;
		} else {
			set['server.listen'] ??= '127.0.0.1,::1';
		}
		this.args = Object.entries(set).flatMap(([k, v]) => ['--set', `${k}=${v}`]);
	}

	#command(args) {
		return this.o.netns ? ['ip', ['netns', 'exec', this.o.netns, program, ...args]] :
			[program, args];
	}

	/** Starts it (again), and waits until it answers. */
	async run() {
		const [file, args] = this.#command(this.args);
		this.ending = false;
		this.child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
		const { child } = this;
		process.once('exit', () => child.kill('SIGKILL')); // whatever happens to us
		this.ended = new Promise((done) => child.once('exit', (code, signal) => {
			this.lines.push(`(ended: ${signal ?? code})`);
			if (!this.ending)
				giveUp(`palabred ended by itself with ${signal ?? code}`);
			done(code ?? signal);
		}));
		let begun;
		const ready = new Promise((done, fail) => {
			begun = done;
			this.ended.then((why) => fail(new Error(
				`palabred ended with ${why} at the start: ${this.lines.slice(-5).join(' | ')}`)));
		});
		for (const stream of [child.stdout, child.stderr]) {
			let rest = '';
			stream.on('data', (data) => {
				const parts = (rest + data).split('\n');
				rest = parts.pop() ?? '';
				this.lines.push(...parts);
				this.lines.splice(0, this.lines.length - LOG_LINES);
				if (parts.some((l) => /https?:\/\/[^ ]*\/r\/|palabrectl room add/.test(l)))
					begun();
			});
		}
		await limit(ready, 10000, 'the link that palabred prints');
	}

	/** A link into a room, with a role. */
	link(role = 'speaker', room = 'palabre') {
		const made = spawnSync(program, [...this.args, '--print-link', `${role}:${room}`],
			{ encoding: 'utf8', timeout: 5000 });
		const link = made.stdout.match(/https?:\/\/\S+/)?.[0];
		if (!link)
			throw new Error(`no link: ${made.stdout}${made.stderr}`);
		return link;
	}

	/** The token alone, for WHIP and raw requests. */
	token(role, room) {
		return this.link(role, room).split('#')[1];
	}

	get pid() {
		return this.child.pid;
	}

	/** Those that are not zero. @returns {Promise<Record<string, number>>} */
	async counters() {
		const from = this.lines.length;
		this.child.kill('SIGUSR1');
		await until('counters', () => this.lines.slice(from).some((l) => l.includes('app.counters')), 3000);
		return Object.fromEntries(this.lines.slice(from).flatMap((l) => [...l.matchAll(/app\.counter .*?(\w+)=(\d+)/g)])
			.map(([, name, n]) => [name, Number(n)]));
	}

	/** Without a chance to say goodbye. */
	async kill() {
		this.ending = true;
		this.child.kill('SIGKILL');
		await limit(this.ended, 5000, 'the end of palabred by SIGKILL');
	}

	/** As the service manager does; gives the exit code. */
	async stop() {
		this.ending = true;
		this.child.kill('SIGTERM');
		return limit(this.ended, 10000, 'the end of palabred by SIGTERM');
	}

	async #end() {
		if (this.child && this.child.exitCode === null && this.child.signalCode === null) {
			const code = await this.stop().catch(() => this.kill());
			if (code !== 0) {
				console.log(`palabred ended with ${code}:\n${this.lines.slice(-60).join('\n')}`);
				process.exitCode = 1;
			}
		}
		rmSync(this.dir, { recursive: true, force: true });
	}
}
