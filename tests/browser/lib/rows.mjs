// SPDX-License-Identifier: AGPL-3.0-or-later
// What the tables of links have in common (thin.mjs, thinvideo.mjs): homes behind emulated paths, and rows chosen
// by name, measured one after the other, printed as one table.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apart, limit, log, ok, onEnd, scenario } from './check.mjs';
import { launchChromium } from './chromium.mjs';
import { launchFirefox } from './firefox.mjs';

const END_S = 60; // what else a row may take, and to end it
const build = join(dirname(fileURLToPath(import.meta.url)), '../../../build/dev/tests');

/** The way as it is, but nothing lost and no limit: so people join, who do so with 15 s of patience. */
export const calm = (settings) => settings.split(' ').filter((s) => s.startsWith('delay=')).join(' ');

/** kbit/s of a direction between two readings. */
export const rate = (a, b, way) => (b[way].out_bytes - a[way].out_bytes) * 8 / (b.seconds - a.seconds) / 1000;

/** The link that a server prints, and its origin, by an address of the server's own namespace. */
export function door(server, host) {
	const origin = `http://${host}:${server.port}`;
	return { origin, link: server.link().replace(server.origin, origin) };
}

/**
 * A browser behind a path of its own to the server: the i-th home of the k-th row.
 * @param {{firefox?: boolean, speech?: {wav: string}|null, face?: {y4m: string}}} [o] for Chromium's microphone and camera
 */
export async function home(net, here, server, k, i, settings, { firefox, speech, face } = {}) {
	const space = net.space(`${k}c${i}`);
	const host = `10.77.${i + 1}`;
	const path = await net.path(here, `${host}.1/24`, space, `${host}.2/24`, ...settings.split(' '));
	const { origin, link } = door(server, `${host}.1`);
	const args = [...speech ? [`--use-file-for-fake-audio-capture=${speech.wav}`] : [],
		...face ? [`--use-file-for-fake-video-capture=${face.y4m}`] : []];
	const browser = firefox ? await launchFirefox({ netns: space, origin }) :
		await launchChromium({ netns: space, origin, args });
	return { space, path, link, browser };
}

/** So many people who only listen, without pages: two cores have none for them. */
export async function audience(space, server, count) {
	const program = process.env.AUDIENCE ?? join(build, 'audience');
	const link = server.link().replace(server.origin, `http://localhost:${server.port}`);
	const child = spawn('ip', ['netns', 'exec', space, program, link, String(count)], { stdio: ['ignore', 'pipe', 'inherit'] });
	onEnd(() => child.kill());
	await limit(Promise.race([new Promise((done) => child.stdout.once('data', done)),
		new Promise((_, failed) => child.once('exit', (code) => failed(new Error(`audience ended with ${code}`))))]), 30000, 'audience');
}

/**
 * Runs the rows that the command line names (--all: all; --list prints their names; none: `few`), prints the table, and fails if one has failed or missed
 * what it is to reach.
 * @param {string} name of the scenario
 * @param {{names: string[], few: string[], table: string[][], run: (name: string) => Promise<string[]>, seconds: (name: string) => number}} o
 *        run: gives what was missed; seconds: what a row may take
 */
export async function rowsOf(name, { names, few, table, run, seconds }) {
	const wanted = process.argv.slice(2);
	if (wanted.includes('--list')) {
		console.log(names.join('\n'));
		return;
	}
	const chosen = wanted.includes('--all') ? names : wanted.length ? wanted : few;
	const unknown = chosen.filter((row) => !names.includes(row));
	if (unknown.length) {
		console.error(`${name}: there is no row '${unknown.join("', '")}'`);
		process.exitCode = 2;
		return;
	}
	await scenario(name, async () => {
		const misses = [];
		for (const row of chosen) {
			log(row);
			const { result, error } = await apart(row, () => limit(run(row), (seconds(row) + END_S) * 1000, 'the row as a whole'));
			misses.push(...result ?? [`${row}: ${error.message}`]);
		}
		for (const cells of table)
			console.log(`| ${cells.join(' | ')} |`);
		ok(!misses.length, misses.join('; '));
	}, chosen.reduce((sum, row) => sum + seconds(row) + 2 * END_S, 0));
}
