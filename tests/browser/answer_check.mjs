// SPDX-License-Identifier: AGPL-3.0-or-later
//
// Do real browsers take nego's answers? Each browser makes the offers that the page makes,
// `test_nego_answer --print` answers, the browser applies the answer, and the direction of
// every transceiver must be the one meant.
//
//   node answer_check.mjs --tool build/tests/test_nego_answer [--only chromium|firefox]
//   node answer_check.mjs --capture tests/unit/data/offers     (writes the offers, no check)
//
// playwright-core is looked for in $PALABRE_PW (a folder with node_modules), else /tmp/pw.
// Firefox needs no driver: it speaks WebDriver BiDi itself.
import { createRequire } from 'node:module';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const args = process.argv.slice(2);
const option = (name) => {
	const i = args.indexOf(`--${name}`);
	return i < 0 ? undefined : args[i + 1];
};
const tool = option('tool');
const capture = option('capture');
const only = option('only');
const require = createRequire(join(process.env.PALABRE_PW ?? '/tmp/pw', 'x.js'));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Each offer: how the page makes it, flags for the tool, and the directions meant.
const OFFERS = {
	full: {
		video: 4, camera: true, tool: ['3', '4'],
		want: ['sendonly', 'sendonly', 'sendonly', 'sendonly', ...Array(7).fill('recvonly')],
	},
	audio: { video: 0, camera: false, tool: ['3', '0'],
		 want: ['sendonly', ...Array(3).fill('recvonly')] },
	simulcast: { video: 1, camera: true, simulcast: true, dd: true, tool: ['3', '4'],
		want: ['sendonly', 'sendonly', 'sendonly', 'sendonly', ...Array(4).fill('recvonly')] },
	// Beyond the limits of slots: inactive. A listener who may send nothing: inactive.
	limits: { video: 4, camera: true, tool: ['2', '1', 'listen'], check_only: true,
		want: [...Array(4).fill('inactive'), 'recvonly', 'recvonly', 'inactive',
			'recvonly', ...Array(3).fill('inactive')] },
};

// Runs in the page.
async function makeOffer(shape) {
	const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
	globalThis.pc = pc;
	const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: shape.camera });
	pc.addTransceiver(media.getAudioTracks()[0], { direction: 'sendonly' });
	if (shape.camera) {
		const init = { direction: 'sendonly' };
		if (shape.simulcast)
			init.sendEncodings = [ { rid: 'l', scaleResolutionDownBy: 4 },
				{ rid: 'm', scaleResolutionDownBy: 2 }, { rid: 'h' } ];
		pc.addTransceiver(media.getVideoTracks()[0], init);
		pc.addTransceiver('video', { direction: 'sendonly' });
		pc.addTransceiver('audio', { direction: 'sendonly' });
	}
	for (let i = 0; i < 3; i++)
		pc.addTransceiver('audio', { direction: 'recvonly' });
	for (let i = 0; i < shape.video; i++)
		pc.addTransceiver('video', { direction: 'recvonly' });
	/* What Chromium only offers when asked. */
	for (const t of pc.getTransceivers()) {
		if (!shape.dd || t.receiver.track.kind !== 'video' || !t.setHeaderExtensionsToNegotiate)
			continue;
		const list = t.getHeaderExtensionsToNegotiate();
		for (const e of list)
			if (e.uri.includes('dependency-descriptor'))
				e.direction = 'sendrecv';
		t.setHeaderExtensionsToNegotiate(list);
	}
	await pc.setLocalDescription();
	return pc.localDescription.sdp;
}

// Runs in the page: the same connection offers again.
async function offerAgain(what) {
	if (what.restart)
		pc.restartIce();
	if (what.direction)
		pc.getTransceivers()[0].direction = what.direction;
	await pc.setLocalDescription();
	return pc.localDescription.sdp;
}

// Runs in the page: "" or what went wrong; then the directions and what was agreed on.
async function applyAnswer(answer) {
	const tracks = [];
	pc.ontrack = (e) => tracks.push(`${e.transceiver.mid}:${e.streams.map((s) => s.id)}`);
	try {
		await pc.setRemoteDescription({ type: 'answer', sdp: answer });
	} catch (e) {
		return { error: String(e) };
	}
	const out = { error: '', directions: pc.getTransceivers().map((t) => t.currentDirection), tracks };
	out.codecs = pc.getTransceivers().map((t) => t.sender.getParameters().codecs
		.map((c) => c.mimeType.replace(/^.*\//, '')).join(','));
	out.dd = pc.getTransceivers().map((t) => t.getNegotiatedHeaderExtensions?.()
		.some((e) => e.uri.includes('dependency-descriptor') && e.direction !== 'stopped'));
	return out;
}

async function closeOffer() {
	pc.close();
	return '';
}

const server = createServer((req, res) => {
	res.setHeader('content-type', 'text/html');
	res.end('<!doctype html><title>offers</title>');
}).listen(0, '127.0.0.1');
await new Promise((done) => server.once('listening', done));
const url = `http://127.0.0.1:${server.address().port}/`;

async function startChromium() {
	const { chromium } = require('playwright-core');
	const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: [
		'--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
		'--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync' ] });
	const page = await browser.newPage();
	await page.goto(url);
	return { run: (fn, arg) => page.evaluate(fn, arg), stop: () => browser.close() };
}

async function startFirefox() {
	const WebSocket = globalThis.WebSocket ?? require('playwright-core/lib/utilsBundle').ws;
	const profile = mkdtempSync(join(tmpdir(), 'palabre-ff-'));
	const prefs = { 'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true,
		'media.autoplay.default': 0, 'media.peerconnection.ice.loopback': true,
		'app.update.enabled': false, 'datareporting.policy.dataSubmissionEnabled': false };
	writeFileSync(join(profile, 'user.js'), Object.entries(prefs)
		.map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`).join(''));
	const port = 20000 + process.pid % 20000;
	const child = spawn('firefox-esr', ['--headless', '--no-remote', '--profile', profile,
		'--remote-debugging-port', String(port)], { stdio: 'ignore' });
	let ws;
	for (let i = 0; i < 120 && !ws; i++) {
		await sleep(500);
		const tryWs = new WebSocket(`ws://127.0.0.1:${port}/session`);
		ws = await new Promise((done) => {
			tryWs.onopen = () => done(tryWs);
			tryWs.onerror = () => done(undefined);
		});
	}
	if (!ws)
		throw new Error('firefox does not answer');
	const waiting = new Map();
	ws.onmessage = (m) => {
		const r = JSON.parse(m.data);
		waiting.get(r.id)?.(r);
	};
	let id = 0;
	const command = (method, params) => new Promise((done, fail) => {
		const n = ++id;
		waiting.set(n, (r) => r.type === 'error' ? fail(new Error(r.message)) : done(r.result));
		ws.send(JSON.stringify({ id: n, method, params }));
	});
	await command('session.new', { capabilities: {} });
	const context = (await command('browsingContext.getTree', {})).contexts[0].context;
	await command('browsingContext.navigate', { context, url, wait: 'complete' });
	return {
		run: async (fn, arg) => {
			const r = await command('script.evaluate', { awaitPromise: true,
				target: { context }, expression:
				`(${fn})(${JSON.stringify(arg)}).then(JSON.stringify)` });
			if (r.type !== 'success')
				throw new Error(JSON.stringify(r.exceptionDetails.text));
			return JSON.parse(r.result.value);
		},
		stop: async () => {
			ws.close();
			child.kill();
			await Promise.race([new Promise((done) => child.once('exit', done)), sleep(5000)]);
			rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
		},
	};
}

// The answering program: offers and answers end with a NUL byte.
function startTool(toolArgs) {
	const child = spawn(tool, ['--print', ...toolArgs], { stdio: ['pipe', 'pipe', 'inherit'] });
	let text = '', waiting, ended = false;
	const look = () => {
		const end = text.indexOf('\0');
		if (waiting && (end >= 0 || ended)) {
			waiting(end >= 0 ? text.slice(0, end) : '');
			text = text.slice(end + 1);
			waiting = undefined;
		}
	};
	child.stdout.on('data', (d) => { text += d; look(); });
	child.stdout.on('end', () => { ended = true; look(); });
	child.stdin.on('error', () => {});
	return {
		ask: (offer) => new Promise((done) => {
			waiting = done;
			child.stdin.write(`${offer}\0`);
			look();
		}),
		stop: () => child.stdin.end(),
	};
}

// One offer, answered and applied: true if the directions are as meant.
async function check(browser, answerer, name, offer, want) {
	const answer = await answerer.ask(offer);
	const got = answer ? await browser.run(applyAnswer, answer) : { error: 'no answer' };
	const good = !got.error && JSON.stringify(got.directions) === JSON.stringify(want);
	console.log(`${good ? 'ok' : 'FAILED'} ${name} ${got.error || got.directions.join(' ')}`);
	if (args.includes('--verbose'))
		console.log(got);
	return { good, got };
}

let failed = 0;
for (const [name, start] of [['chromium', startChromium], ['firefox', startFirefox]]) {
	if (only && only !== name)
		continue;
	const browser = await start();
	try {
		for (const [what, shape] of Object.entries(OFFERS)) {
			if (capture && shape.check_only)
				continue;
			const offer = await browser.run(makeOffer, shape);
			if (capture) {
				writeFileSync(join(capture, `${name}-${what}.sdp`), offer);
				console.log(`${name} ${what}: ${offer.length} bytes`);
			} else {
				const answerer = startTool(shape.tool);
				const again = async (how, change, want) => {
					const next = await browser.run(offerAgain, change);
					failed += !(await check(browser, answerer,
						`${name} ${what} ${how}`, next, want)).good;
				};
				const first = await check(browser, answerer, `${name} ${what}`, offer,
					shape.want);
				failed += !first.good;
				/* The camera's section and the last, a video slot. */
				if (shape.dd && offer.includes('#dependency-descriptor') &&
				    (first.got.dd[1] === false || first.got.dd.at(-1) === false)) {
					console.log(`FAILED ${name} ${what} dependency descriptor`);
					failed++;
				}
				await again('restart', { restart: true }, shape.want);
				if (shape.want[0] === 'sendonly') {
					await again('pause', { direction: 'inactive' },
						['inactive', ...shape.want.slice(1)]);
					await again('resume', { direction: 'sendonly' }, shape.want);
				}
				answerer.stop();
			}
			await browser.run(closeOffer);
		}
	} finally {
		await browser.stop();
	}
}
server.close();
process.exit(failed ? 1 : 0);
