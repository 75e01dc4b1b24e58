// SPDX-License-Identifier: AGPL-3.0-or-later
// Does what is on the screen suit everybody? In both directions, light and dark, on the smallest screen and magnified.
import { equal, sleep, until } from './check.mjs';
import { axeFinds } from './look.mjs';

const SMALLEST = { width: 320, height: 568 };
/** 1280 x 800 magnified twice. */
const TWICE = { width: 640, height: 400 };

/** As by the page's own choice of language. */
export async function speak(who, lang) {
	await who.run((lang) => {
		const select = document.querySelector('.lang-select');
		select.value = lang;
		select.dispatchEvent(new Event('change'));
	}, lang);
	await until(`the page speaks ${lang}`, () => who.run((lang) => document.documentElement.lang === lang, lang), 3000);
	await sleep(100);
}

/** For every eye and hand, in both directions. */
export async function suits(who, where) {
	const { page } = who.page;
	const before = page.viewportSize();
	await page.emulateMedia({ reducedMotion: 'reduce' });
	for (const lang of ['ar', 'en']) {
		await speak(who, lang);
		for (const colorScheme of ['light', 'dark']) {
			await page.emulateMedia({ colorScheme });
			equal(await axeFinds(page), [], `axe on ${where}, ${lang}, ${colorScheme}`);
		}
		await page.emulateMedia({ colorScheme: 'light' });
		for (const viewport of [SMALLEST, TWICE]) {
			await page.setViewportSize(viewport);
			await sleep(200);
			equal(await who.run(() => __look.faults()), [], `${where} at ${viewport.width}x${viewport.height}, ${lang}`);
		}
		await page.setViewportSize(before);
	}
	equal(await who.run(() => __look.deaf()), [], `live regions on ${where}`);
	equal(await who.run(() => __look.motion()), [], `what moves on ${where}`);
	await page.emulateMedia({ reducedMotion: 'no-preference' });
}
