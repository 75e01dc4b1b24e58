// SPDX-License-Identifier: AGPL-3.0-or-later
// What is said, as text: a captioner writes in the page, a program posts to the server, and everybody may read: who comes late, who
// comes back, and who gets no sound at all. In a room of two languages, each reader those lines they have chosen.
import { equal, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { axeFinds, lookInit } from './lib/look.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const VOICE = { mode: 'voice', camera: false, tone: false, mic: false };
const ROOM = 'workshop';
const EVIL = '<img src=x onerror="globalThis.__ran = 1">';

/** The browser, with scripts that run before the page's. Without sound, no packet of media finds its way. */
const dressed = (browser, sound = true) => ({
	name: browser.name,
	async open(...args) {
		const opened = await browser.open(...args);
		await opened.page.addInitScript(lookInit);
		if (!sound)
			await opened.page.addInitScript(() => {
				const set = RTCPeerConnection.prototype.setRemoteDescription;
				RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
					return set.call(this, { type, sdp: sdp.replace(/^a=candidate:.*\r\n/gm, '') });
				};
			});
		return opened;
	},
});

const pageOf = (who) => who.page.page;
const press = (who, selector) => pageOf(who).click(selector, { timeout: 5000 });

/** Waits until `read` in the page gives that. */
const sees = (who, what, read, want, ms = 5000) => until(`${who.name} sees ${what}`, async () => {
	const saw = await who.run(read);
	return { ok: JSON.stringify(saw) === JSON.stringify(want), saw };
}, ms);

// In the page.
const strip = () => document.getElementById('captions').hidden ? null :
	[...document.querySelectorAll('#captions-lines p')].map((e) => e.textContent);
const written = () => [...document.querySelectorAll('#captions-list .caption-text')].map((e) => e.textContent);

async function open(who) {
	if (!await who.run(() => document.getElementById('language').open))
		await press(who, '#language-button');
	await pageOf(who).waitForSelector('#captions-of', { timeout: 5000 });
}

async function read(who, of) {
	await open(who);
	await pageOf(who).selectOption('#captions-of', of);
}

async function write(who, text, lang = '') {
	await pageOf(who).selectOption('#caption-lang', lang);
	await pageOf(who).fill('#caption-text', text);
	await pageOf(who).press('#caption-text', 'Enter');
	await sees(who, 'an empty field', () => document.getElementById('caption-text').value, '');
}

async function speak(who, lang) {
	await who.run((lang) => {
		const select = document.querySelector('.lang-select');
		select.value = lang;
		select.dispatchEvent(new Event('change'));
	}, lang);
	await until(`the page speaks ${lang}`, () => who.run((lang) => document.documentElement.lang === lang, lang), 3000);
	await sleep(100);
}

/** For every eye and hand, in both directions of writing. */
async function suits(who, where) {
	const { page } = who.page;
	const before = page.viewportSize();
	await page.emulateMedia({ reducedMotion: 'reduce' });
	for (const lang of ['ar', 'en']) {
		await speak(who, lang);
		for (const colorScheme of ['light', 'dark']) {
			await page.emulateMedia({ colorScheme });
			equal(await axeFinds(page), [], `axe on ${where}, ${lang}, ${colorScheme}`);
		}
		await page.setViewportSize({ width: 320, height: 568 });
		await sleep(200);
		equal(await who.run(() => __look.faults()), [], `${where} at 320, ${lang}`);
		await page.setViewportSize(before);
	}
	equal(await who.run(() => __look.deaf()), [], `live regions on ${where}`);
}

await scenario('captions', async () => {
	const server = await Server.start();
	server.ctl('room', 'add', ROOM, '--languages', 'en,sw');
	const chromium = await launchChromium();
	const browser = dressed(chromium);
	const join = async (role, index, o) => {
		const who = new Person(browser, server.link(role, ROOM), index, { ...VOICE, ...o });
		await who.open();
		await who.enter();
		return who;
	};
	const writer = await join('captioner', 1, { viewport: { width: 1280, height: 800 } });
	const ada = await join('listener', 2, { viewport: { width: 390, height: 760 } });
	const bea = await join('speaker', 3, { viewport: { width: 390, height: 760 } });

	log('a captioner writes');
	await open(writer);
	ok(await ada.run(() => document.getElementById('captions').hidden), 'nothing is shown before one wants it');
	await write(writer, 'Good morning, all.');
	await until('who does not read is told that there is something', async () => {
		const saw = await ada.run(() => [document.getElementById('status').textContent, __look.said.slice(-3)]);
		return { ok: /Captions are being written/.test(saw[0]), saw };
	}, 4000);
	equal(await ada.run(() => __test.events.filter((e) => e.t === 'caption').length), 0, 'lines that nobody asked for');
	await read(ada, 'all');
	await sees(ada, 'the line before', strip, ['Good morning, all.']);
	await write(writer, EVIL);
	await sees(ada, 'text that stays text', strip, ['Good morning, all.', EVIL]);
	ok(!await ada.run(() => globalThis.__ran), 'no script ran');

	log('each reads their own');
	await read(bea, 'sw');
	await write(writer, 'Habari za asubuhi.', 'sw');
	await sees(bea, 'her language alone', strip, ['Habari za asubuhi.']);
	await sees(ada, 'all', strip, [EVIL, 'Habari za asubuhi.']);
	await write(writer, 'To the floor.');
	await sees(ada, 'all', written, ['Good morning, all.', EVIL, 'Habari za asubuhi.', 'To the floor.']);
	await sees(bea, 'her language alone', written, ['Habari za asubuhi.']);
	await until('a reader says it', async () => {
		const saw = await ada.run(() => __look.said);
		return { ok: saw.includes('To the floor.'), saw };
	}, 2000);

	log('size, place, and silence');
	const before = await ada.run(() => parseFloat(getComputedStyle(document.querySelector('#captions-lines p')).fontSize));
	await pageOf(ada).selectOption('#captions-size', 'large');
	await pageOf(ada).selectOption('#captions-place', 'above');
	await pageOf(ada).uncheck('#captions-aloud');
	const look = () => {
		const log = document.getElementById('captions-lines');
		return [log.getAttribute('aria-live'), log.getBoundingClientRect().bottom < document.getElementById('language').getBoundingClientRect().top + 1];
	};
	await sees(ada, 'lines above, silent', look, ['off', true]);
	const after = await ada.run(() => parseFloat(getComputedStyle(document.querySelector('#captions-lines p')).fontSize));
	ok(after > before * 1.3, `larger letters: ${before}, ${after}`);
	await suits(ada, 'captions');
	await suits(writer, 'the captioner’s desk');

	log('a program writes');
	const post = (token, text, room = ROOM) => fetch(`${server.origin}/api/1/rooms/${room}/caption`,
		{ method: 'POST', body: JSON.stringify({ token, text }) }).then((r) => r.status);
	equal(await post(server.token('captioner', ROOM), 'From a machine.'), 204, 'a captioner’s link');
	await sees(ada, 'the machine’s line', strip, ['To the floor.', 'From a machine.']);
	equal(await post(server.token('host', ROOM), 'x'), 403, 'another link');
	equal(await post('nothing', 'x'), 401, 'no link');
	equal(await post(server.token('captioner', 'other'), 'x'), 403, 'a link for another room');

	log('who comes back has what was missed, and everything as it was');
	await pageOf(ada).evaluate(() => { location.reload(); });
	await ada.inCall();
	await sees(ada, 'the last lines', strip, ['To the floor.', 'From a machine.'], 8000);
	await sees(ada, 'lines above, silent', () => [document.getElementById('captions').dataset.place, document.getElementById('captions').dataset.size,
		document.getElementById('captions-lines').getAttribute('aria-live')], ['above', 'large', 'off']);

	log('who gets no sound follows by text');
	const mute = new Person(dressed(chromium, false), server.link('listener', ROOM), 5, VOICE);
	await mute.open();
	await mute.enter(false);
	await until('the events are there', async () => {
		const saw = await mute.run(() => [__test.pc()?.connectionState, document.getElementById('language-button').hidden]);
		return { ok: saw[0] !== 'connected' && saw[1] === false, saw };
	}, 8000);
	await read(mute, 'floor');
	await sees(mute, 'what was said before', strip, ['To the floor.', 'From a machine.']);
	await write(writer, 'Can you hear me?');
	await sees(mute, 'what is said', strip, ['From a machine.', 'Can you hear me?']);
	await read(mute, 'none');
	await sees(mute, 'nothing any more', strip, null);

	log('a flood is refused, and the rest goes on');
	const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => post(server.token('captioner', ROOM), `line ${i}`)));
	ok(answers.includes(204) && answers.includes(429), `answers: ${answers}`);
	await sleep(3000);
	await write(writer, 'After the flood.');
	await until('it is there', async () => {
		const saw = await ada.run(strip);
		return { ok: saw?.at(-1) === 'After the flood.', saw };
	}, 3000);
	for (const who of [writer, ada, bea, mute])
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
}, 80);
