// SPDX-License-Identifier: AGPL-3.0-or-later
// Firefox ESR without a driver: it speaks WebDriver BiDi itself. The same shape as chromium.mjs.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { limit, onEnd, onFailure, sleep, until } from './check.mjs';
import { freePort } from './ports.mjs';

const PREFS = {
	'media.navigator.streams.fake': true,
	'media.navigator.permission.disabled': true,
	// A fake device counts as a captured one (see init.mjs: which addresses are gathered).
	'media.navigator.permission.fake': true,
	'media.autoplay.default': 0,
	'media.autoplay.blocking_policy': 0,
	'media.peerconnection.ice.loopback': true,
	'app.update.enabled': false,
	'app.normandy.enabled': false,
	'browser.shell.checkDefaultBrowser': false,
	'browser.safebrowsing.update.enabled': false,
	'datareporting.policy.dataSubmissionEnabled': false,
	'extensions.update.enabled': false,
	'media.gmp-manager.updateEnabled': false,
	'network.captive-portal-service.enabled': false,
	'network.connectivity-service.enabled': false,
	'services.settings.server': 'data:,',
	'toolkit.telemetry.enabled': false,
	// Windows in the background are all there are here.
	'dom.min_background_timeout_value': 4,
	'dom.timeout.enable_budget_timer_throttling': false,
	'widget.windows.window_occlusion_tracking.enabled': false,
};

async function connect(url, port, child) {
	for (let i = 0; i < 120; i++) {
		if (child.exitCode !== null)
			throw new Error(`firefox ended with ${child.exitCode}`);
		const ws = new WebSocket(url, { headers: { Host: `localhost:${port}` } }); // it answers to no other
		const open = await new Promise((done) => {
			ws.once('open', () => done(true));
			ws.once('error', () => done(false));
		});
		if (open)
			return ws;
		await sleep(250);
	}
	throw new Error('firefox does not answer');
}

class Bidi {
	#next = 0;
	#waiting = new Map();
	#listeners = [];

	constructor(ws) {
		this.ws = ws;
		ws.on('message', (data) => {
			const m = JSON.parse(String(data));
			if (m.type === 'event')
				this.#listeners.forEach((l) => l(m.method, m.params));
			else
				this.#waiting.get(m.id)?.(m);
		});
	}

	onEvent(listener) {
		this.#listeners.push(listener);
	}

	send(method, params, ms = 30000) {
		const id = ++this.#next;
		const answer = new Promise((done, fail) => {
			this.#waiting.set(id, (m) => {
				this.#waiting.delete(id);
				if (m.type === 'error')
					fail(new Error(`${method}: ${m.message}`));
				else
					done(m.result);
			});
		});
		this.ws.send(JSON.stringify({ id, method, params }));
		return limit(answer, ms, method);
	}
}

// Its debugger listens on the loopback of its own namespace: in there, one process carries each connection
// to and from a socket of the file system.
async function bridge(netns, port, path) {
	const script = `require('node:net').createServer((a) => {
		const b = require('node:net').connect(${port}, '127.0.0.1');
		for (const [x, y] of [[a, b], [b, a]]) { x.pipe(y); x.on('error', () => y.destroy()); }
	}).listen(${JSON.stringify(path)}, () => console.log('ready'));`;
	const child = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', script],
		{ stdio: ['ignore', 'pipe', 'inherit'] });
	onEnd(() => child.kill());
	process.once('exit', () => child.kill('SIGKILL'));
	await limit(new Promise((done) => child.stdout.once('data', done)), 10000, 'bridge to firefox');
}

// Without a sound card its AudioContext never runs, and with its own stand-in for one (media.cubeb.force_mock_context)
// all sound is 8 % too slow: a sound server with nothing behind it keeps time.
async function soundServer(dir) {
	const socket = join(dir, 'pulse');
	writeFileSync(join(dir, 'pulse.pa'), 'load-module module-null-sink rate=48000\n' +
		`load-module module-native-protocol-unix auth-anonymous=1 socket=${socket}\n`);
	const child = spawn('pulseaudio', ['-n', '-F', join(dir, 'pulse.pa'), '--daemonize=no', '--exit-idle-time=-1',
		'--use-pid-file=no'], { stdio: ['ignore', 'ignore', 'pipe'],
		env: { ...process.env, HOME: dir, XDG_RUNTIME_DIR: dir, PULSE_RUNTIME_PATH: dir } });
	const said = [];
	child.stderr.on('data', (data) => said.push(String(data)));
	onFailure('pulseaudio, last words', () => said.slice(-20).join(''));
	child.once('error', (error) => said.push(String(error)));
	process.once('exit', () => child.kill('SIGKILL'));
	await until('the sound server', () => existsSync(socket));
	return { PULSE_SERVER: `unix:${socket}`, end: () => child.kill() };
}

/** @param {{netns?: string, origin?: string}} [o] as of launchChromium */
export async function launchFirefox({ netns, origin } = {}) {
	const profile = mkdtempSync(join(tmpdir(), 'palabre-firefox-'));
	const prefs = !origin ? PREFS : { ...PREFS, 'dom.securecontext.allowlist': new URL(origin).hostname,
		'media.devices.insecure.enabled': true, 'media.getusermedia.insecure.enabled': true };
	writeFileSync(join(profile, 'user.js'), Object.entries(prefs)
		.map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`).join(''));
	const port = await freePort();
	const [file, ...first] = [...netns ? ['ip', 'netns', 'exec', netns] : [], 'firefox-esr'];
	const { PULSE_SERVER, end } = await soundServer(profile);
	const child = spawn(file, [...first, '--headless', '--no-remote', '--profile', profile,
		'--remote-debugging-port', String(port)],
	{ stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, PULSE_SERVER } });
	const said = [];
	child.stderr.on('data', (data) => said.splice(0, said.push(String(data)) - 40));
	onFailure('firefox, last words', () => said.join(''));
	process.once('exit', () => child.kill('SIGKILL')); // whatever happens to us
	let bidi;
	const close = async () => {
		bidi?.ws.close();
		if (child.exitCode === null && child.signalCode === null) {
			child.kill();
			await Promise.race([new Promise((done) => child.once('exit', done)), sleep(5000)]);
			child.kill('SIGKILL');
		}
		end();
		rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
	};
	onEnd(close);
	const socket = join(profile, 'bidi');
	if (netns)
		await bridge(netns, port, socket);
	bidi = new Bidi(await connect(netns ? `ws+unix://${socket}:/session` : `ws://127.0.0.1:${port}/session`, port, child));
	// Answered when the browser is up: 3 s, 15 with four programs to a core.
	await bidi.send('session.new', { capabilities: {} }, 60000);
	await bidi.send('session.subscribe', { events: ['log.entryAdded'] });
	return {
		name: 'firefox',
		close,
		async open(init, arg) {
			const { userContext } = await bidi.send('browser.createUserContext', {});
			const { context } = await bidi.send('browsingContext.create',
				{ type: 'tab', userContext });
			await bidi.send('script.addPreloadScript', { contexts: [context],
				functionDeclaration: `() => { (${init})(${JSON.stringify(arg)}) }` });
			const lines = [];
			bidi.onEvent((method, e) => {
				if (method === 'log.entryAdded' && e.source?.context === context)
					lines.push(`${e.level}: ${e.text}`);
			});
			return {
				lines,
				goto: (url) => bidi.send('browsingContext.navigate',
					{ context, url, wait: 'complete' }),
				reload: () => bidi.send('browsingContext.reload', { context, wait: 'complete' }),
				async run(fn, value) {
					const given = value === undefined ? '' : JSON.stringify(value);
					const r = await bidi.send('script.evaluate', { awaitPromise: true,
						userActivation: true, target: { context }, expression:
						`Promise.resolve((${fn})(${given})).then((v) => JSON.stringify(v))` });
					if (r.type !== 'success')
						throw new Error(r.exceptionDetails.text);
					return r.result.value === undefined ? undefined : JSON.parse(r.result.value);
				},
				close: () => bidi.send('browsingContext.close', { context }),
			};
		},
	};
}
