// SPDX-License-Identifier: AGPL-3.0-or-later
// A download beside a call: one TCP connection over the same path, as fast as it goes.
//
//   node traffic.mjs serve PORT          to everybody who connects, without an end
//   node traffic.mjs fetch HOST PORT     a line with all bytes so far, every 100 ms
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { limit, onEnd } from './check.mjs';

const PORT = 7007; // of the namespaces' own
const BLOCK = Buffer.alloc(65536, 'x');
const TELL_MS = 100;

function serve(port) {
	createServer((socket) => {
		const more = () => {
			while (socket.write(BLOCK));
		};
		socket.on('drain', more).on('error', () => socket.destroy());
		more();
	}).listen(port, () => console.log('ready'));
}

function fetch(host, port) {
	let bytes = 0;
	connect(port, host).on('data', (data) => { bytes += data.length; }).on('error', (error) => { throw error; });
	setInterval(() => console.log(bytes), TELL_MS);
}

const self = fileURLToPath(import.meta.url);

function start(space, args) {
	const child = spawn('ip', ['netns', 'exec', space, process.execPath, self, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
	const ended = new Promise((done) => child.once('exit', done));
	const end = async () => {
		child.kill();
		await ended;
	};
	onEnd(end);
	const first = limit(Promise.race([new Promise((done) => child.stdout.once('data', done)),
		ended.then((code) => { throw new Error(`traffic.mjs ended with ${code}`); })]), 10000, 'traffic.mjs');
	return { child, first, end };
}

/** Begins one, from one namespace to another. @returns {Promise<{bytes: () => number, end: () => Promise<void>}>} bytes: have arrived */
export async function download(from, to, host) {
	const server = start(from, ['serve', String(PORT)]);
	await server.first;
	const client = start(to, ['fetch', host, String(PORT)]);
	let bytes = 0;
	client.child.stdout.on('data', (data) => { bytes = Number(String(data).trim().split('\n').at(-1)); });
	await client.first;
	return {
		bytes: () => bytes,
		async end() {
			await client.end();
			await server.end();
		},
	};
}

if (process.argv[1] === self) {
	const [what, ...args] = process.argv.slice(2);
	if (what === 'serve')
		serve(Number(args[0]));
	else
		fetch(args[0], Number(args[1]));
}
