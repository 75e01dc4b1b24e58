// SPDX-License-Identifier: AGPL-3.0-or-later
// Debian's Chromium by playwright-core: one browser, a context for each person.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { onEnd } from './check.mjs';

// Each window would start two hidden pages of the address bar: a second of CPU a person. The rest
// is Playwright's own list, which this one replaces.
const FEATURES_OFF = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'WebUIOmniboxFullPopup',
	'GlobalMediaControls', 'DestroyProfileOnBrowserClose', 'MediaRouter', 'DialMediaRouteProvider',
	'AcceptCHFrame', 'Translate', 'HttpsUpgrades', 'PaintHolding', 'OptimizationHints'];

const ARGS = [
	'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
	'--disable-background-networking', '--disable-component-update', '--disable-sync',
	'--autoplay-policy=no-user-gesture-required',
	`--disable-features=${FEATURES_OFF}`,
	'--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
];

/**
 * @param {{netns?: string, origin?: string, args?: string[], anyCertificate?: boolean}} [o]  netns: runs in that network
 * namespace; origin: a plain-http origin to be taken for secure
 */
export async function launchChromium(o = {}) {
	const dir = mkdtempSync(join(tmpdir(), 'palabre-chromium-'));
	let executablePath = '/usr/bin/chromium';
	if (o.netns) {
		executablePath = join(dir, 'chromium');
		writeFileSync(executablePath,
			`#!/bin/sh\nexec ip netns exec ${o.netns} /usr/bin/chromium "$@"\n`);
		chmodSync(executablePath, 0o755);
	}
	const args = [...ARGS, ...(o.args ?? [])];
	if (o.origin)
		args.push(`--unsafely-treat-insecure-origin-as-secure=${o.origin}`);
	const browser = await chromium.launch({ executablePath, args, timeout: 60000 });
	onEnd(async () => {
		await browser.close();
		rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
	});
	return {
		name: 'chromium',
		close: () => browser.close(),
		/** A new page in a context of its own. */
		async open(init, arg, { viewport, locale, bypassCSP } = {}) {
			const context = await browser.newContext({ locale: locale ?? 'en-GB',
				ignoreHTTPSErrors: o.anyCertificate, bypassCSP,
				viewport: viewport ?? { width: 1000, height: 700 } });
			await context.grantPermissions(['microphone', 'camera']);
			const page = await context.newPage();
			await page.addInitScript(init, arg);
			const lines = [];
			page.on('console', (m) => lines.push(`${m.type()}: ${m.text()}`));
			page.on('pageerror', (e) => lines.push(`pageerror: ${e.message}`));
			return {
				lines, page, context,
				goto: (url, timeout = 15000) => page.goto(url, { timeout }),
				reload: () => page.reload({ timeout: 15000 }),
				run: (fn, value) => page.evaluate(fn, value),
				close: () => context.close(),
				screenshot: (path) => page.screenshot({ path }),
			};
		},
	};
}
