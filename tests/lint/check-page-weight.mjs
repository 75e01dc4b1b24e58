// SPDX-License-Identifier: AGPL-3.0-or-later
// What the page loads before the call, as it travels (brotli), with headers: at most 60 KB.
// Measured in a browser against the running server, so nothing that is loaded is forgotten.
import { equal, figure, log, ok, onEnd, scenario, sleep } from '../browser/lib/check.mjs';
import { launchChromium } from '../browser/lib/chromium.mjs';
import { Server } from '../browser/lib/server.mjs';

const LIMIT_BYTES = 60 * 1024;

await scenario('page-weight', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const { page, context, goto } = await browser.open(() => {}, null);
	const devtools = await context.newCDPSession(page);
	const loaded = new Map();
	await devtools.send('Network.enable');
	devtools.on('Network.responseReceived', (e) => loaded.set(e.requestId,
		{ url: e.response.url, encoding: e.response.headers['content-encoding'] ??
			e.response.headers['Content-Encoding'] ?? '-', bytes: 0 }));
	devtools.on('Network.loadingFinished', (e) => {
		const entry = loaded.get(e.requestId);
		if (entry)
			entry.bytes = e.encodedDataLength;
	});
	onEnd(() => context.close());
	await goto(server.link());
	await page.waitForSelector('#join', { state: 'visible' });
	await sleep(1500); // the icon and the manifest come late
	const all = [...loaded.values()].filter((x) => /^http/.test(x.url));
	for (const { url, encoding, bytes } of all.sort((a, b) => b.bytes - a.bytes))
		log(`${String(bytes).padStart(6)} ${encoding.padEnd(4)} ${url.replace(server.origin, '')}`);
	const total = all.reduce((sum, x) => sum + x.bytes, 0);
	figure('page before the call', total / 1024, 'KB');
	equal(all.filter((x) => !x.url.startsWith(server.origin)).map((x) => x.url), [],
		'loaded from elsewhere');
	ok(all.some((x) => x.bytes > 10000) && all.some((x) => /i18n/.test(x.url)), 'the page and its words');
	ok(total <= LIMIT_BYTES, `${total} bytes are at most ${LIMIT_BYTES}`);
}, 50);
