// SPDX-License-Identifier: AGPL-3.0-or-later
// Networks for tests: namespaces of our own, joined by veth pairs or an emulated path, with
// nft rules for loss and for what is blocked. Names hold our process id, so that what a killed
// run left behind is swept away by the next one.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { limit, onEnd, until } from './check.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const run = (file, ...args) => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const ip = (...args) => run('ip', ...args);

function sweep() {
	if (!existsSync('/run/netns'))
		return;
	for (const name of readdirSync('/run/netns')) {
		const pid = name.match(/^pal(\d+)/)?.[1];
		if (pid && !existsSync(`/proc/${pid}`))
			ip('netns', 'del', name);
	}
}

export class Net {
	#links = 0;

	constructor() {
		sweep();
		this.spaces = [];
		onEnd(() => this.close());
	}

	/** A new namespace; gives its name. */
	space(label) {
		const name = `pal${process.pid}${label}`;
		ip('netns', 'add', name);
		this.spaces.push(name);
		ip('-n', name, 'link', 'set', 'lo', 'up');
		return name;
	}

	/** Joins two namespaces: addresses as "10.0.0.1/24". Gives the two interfaces' names. */
	link(a, addressA, b, addressB) {
		const n = this.#links++;
		const [ifA, ifB] = [`va${n}`, `vb${n}`];
		ip('link', 'add', ifA, 'netns', a, 'type', 'veth', 'peer', 'name', ifB, 'netns', b);
		for (const [space, dev, address] of [[a, ifA, addressA], [b, ifB, addressB]]) {
			ip('-n', space, 'addr', 'add', address, 'dev', dev);
			// No link-local address: it would appear a second later, and Chromium then gives up what it loads.
			ip('-n', space, 'link', 'set', dev, 'addrgenmode', 'none');
			ip('-n', space, 'link', 'set', dev, 'up');
		}
		return [ifA, ifB];
	}

	/** An emulated path (tests/net/pathemu.c) in place of a link. */
	async path(a, addressA, b, addressB, ...settings) {
		const name = `path${this.#links++}`;
		const program = process.env.PATHEMU ?? join(root, 'build/dev/tests/pathemu');
		const dir = mkdtempSync(join(tmpdir(), 'palabre-path-'));
		const [control, out] = [join(dir, 'control'), join(dir, 'counts.json')];
		const child = spawn(program, ['-a', `${a},${name},${addressA}`, '-b', `${b},${name},${addressB}`,
			'-c', control, '-o', out, ...settings], { stdio: ['ignore', 'pipe', 'inherit'] });
		const ended = new Promise((done) => child.once('exit', done));
		onEnd(async () => {
			child.kill();
			await ended;
			rmSync(dir, { recursive: true, force: true });
		});
		await limit(Promise.race([new Promise((done) => child.stdout.once('data', done)),
			ended.then((code) => { throw new Error(`pathemu ended with ${code}`); })]),
		5000, 'pathemu');
		return {
			/** "loss=20 delay=100": in force after 0.1 s. */
			set: (line) => writeFileSync(control, `${line}\n`),
			async counts() {
				rmSync(out, { force: true });
				child.kill('SIGUSR1');
				return until('counters of pathemu', () =>
					existsSync(out) && JSON.parse(readFileSync(out, 'utf8')), 3000);
			},
		};
	}

	ip(space, ...args) {
		return ip('-n', space, ...args);
	}

	/** Rules of the namespace, whole: each line goes into an input chain; [] lets all pass. */
	rules(space, lines) {
		const text = `table inet pal\ndelete table inet pal\ntable inet pal {\nchain in {\n` +
			`type filter hook input priority 0;\n${lines.join('\n')}\n}\n}\n`;
		execFileSync('ip', ['netns', 'exec', space, 'nft', '-f', '-'], { input: text });
	}

	/** Packets counted by the rules with "counter". */
	counted(space) {
		return [...run('ip', 'netns', 'exec', space, 'nft', 'list', 'table', 'inet', 'pal')
			.matchAll(/counter packets (\d+)/g)].reduce((sum, m) => sum + Number(m[1]), 0);
	}

	close() {
		for (const name of this.spaces.splice(0))
			ip('netns', 'del', name);
	}
}

export const dropUdp = (port) => [`udp dport ${port} drop`, `udp sport ${port} drop`];
/** Loses a share of the packets of a UDP port, in per mille. */
export const loseUdp = (port, perMille) => ['dport', 'sport'].map((side) =>
	`udp ${side} ${port} numgen random mod 1000 < ${perMille} drop`);
