// SPDX-License-Identifier: AGPL-3.0-or-later
// A workshop in two languages: interpreters into each, one of whom takes another's language as a relay, and a hand-over between two.
// What each listener hears is told by the tones: on a good link as the voices are sent, on a thin one in one stream.
import { equal, figure, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { axeFinds, lookInit } from './lib/look.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const ROOM = 'workshop';
/** A good link without pictures; a voice alone, which follows its link. */
const GOOD = { mode: 'video', camera: false }, THIN = { mode: 'voice', camera: false };
const ADA = 1, INA = 2, JON = 3, KAI = 4;

const dressed = (browser) => ({
	name: browser.name,
	async open(...args) {
		const opened = await browser.open(...args);
		await opened.page.addInitScript(lookInit);
		return opened;
	},
});

const pageOf = (who) => who.page.page;

async function open(who) {
	if (!await who.run(() => document.getElementById('language').open))
		await pageOf(who).click('#language-button', { timeout: 5000 });
	await pageOf(who).waitForSelector('#hear-lang', { timeout: 5000 });
}

async function hear(who, lang, floor) {
	await open(who);
	await pageOf(who).selectOption('#hear-lang', lang);
	if (floor)
		await pageOf(who).selectOption('#hear-floor', floor);
}

/** Sits down, and switches on the microphone, which that has switched off. */
async function interpret(who, lang) {
	await open(who);
	await pageOf(who).selectOption('#booth-lang', lang);
	await until(`${who.name} sits down, silent`, async () => {
		const saw = await who.run(() => [document.getElementById('booth')?.hidden, document.getElementById('mic').getAttribute('aria-pressed')]);
		return { ok: saw[0] === false && saw[1] === 'false', saw };
	}, 4000);
	await who.click('mic');
}

/** The most of a second and a half, dB. */
async function levels(who, indices) {
	let most = indices.map(() => -200);
	for (let i = 0; i < 10; i++) {
		const now = await who.run((indices) => __test.levels(indices), indices);
		most = most.map((level, k) => Math.max(level, now[k] ?? -200));
		await sleep(150);
	}
	return most;
}

/** The voice is so much louder than what is said on the floor. */
async function quieter(who, voice, want, ms = 6000) {
	return until(`${who.name} hears ${voice} over the floor by ${want} dB`, async () => {
		const [channel, floor] = await levels(who, [voice, ADA]);
		return { ok: Math.abs(channel - floor - want) < 5 && channel > -60, saw: [channel, floor] };
	}, ms);
}

/** Packets a second of all sound that comes. */
async function packets(who, ms = 2000) {
	const read = async () => (await who.inbound()).filter((s) => s.kind === 'audio').reduce((sum, s) => sum + s.packetsReceived, 0);
	const before = await read();
	await sleep(ms);
	return (await read() - before) * 1000 / ms;
}

const booth = (who) => who.run(() => document.getElementById('booth-status').textContent);

async function suits(who, where) {
	const { page } = who.page;
	await page.emulateMedia({ reducedMotion: 'reduce' });
	for (const lang of ['ar', 'en']) {
		await who.run((lang) => {
			const select = document.querySelector('.lang-select');
			select.value = lang;
			select.dispatchEvent(new Event('change'));
		}, lang);
		await until(`the page speaks ${lang}`, () => who.run((lang) => document.documentElement.lang === lang, lang), 3000);
		await sleep(150);
		equal(await axeFinds(page), [], `axe on ${where}, ${lang}`);
		equal(await who.run(() => __look.faults()), [], `${where}, ${lang}`);
	}
}

await scenario('workshop', async () => {
	const server = await Server.start();
	server.ctl('room', 'add', ROOM, '--languages', 'en,sw');
	const browser = dressed(await launchChromium());
	const join = async (role, index, o) => {
		const who = new Person(browser, server.link(role, ROOM), index, { ...o, tone: role !== 'listener' });
		await who.open();
		await who.enter();
		return who;
	};
	const small = { viewport: { width: 320, height: 568 } };
	const [ada, ina, jon, kai, lea, mo, neo] = await Promise.all([join('speaker', ADA, GOOD), join('interpreter', INA, { ...GOOD, ...small }),
		join('interpreter', JON, GOOD), join('interpreter', KAI, GOOD), join('listener', 5, GOOD), join('listener', 6, GOOD),
		join('listener', 7, THIN)]);
	for (const who of [ina, jon, kai])
		await who.click('mic'); // until they have their place
	await neo.chooseSound('less');
	for (const who of [lea, mo, neo])
		await who.hears([ADA]);
	const alone = await packets(lea);

	log('one interprets');
	await interpret(ina, 'sw');
	await hear(mo, 'sw');
	await hear(neo, 'sw');
	await mo.hears([ADA, INA]);
	await quieter(mo, INA, 20);
	await quieter(neo, INA, 20);
	await lea.hears([ADA], 500);
	const beside = await packets(lea);
	figure('packets a second to who follows the floor: before, beside a channel', `${alone} ${beside}`);
	ok(Math.abs(beside - alone) < 6, `the floor pays nothing: ${alone}, ${beside}`);
	const thin = await packets(neo);
	ok(thin < 18, `one stream on the thin link: ${thin} packets a second`);

	log('how loud the floor is');
	await pageOf(mo).selectOption('#hear-floor', '-12');
	await pageOf(neo).selectOption('#hear-floor', '-12');
	await quieter(mo, INA, 12);
	await quieter(neo, INA, 12);
	await pageOf(mo).selectOption('#hear-floor', 'off');
	await pageOf(neo).selectOption('#hear-floor', 'off');
	await mo.hears([INA]);
	await neo.hears([INA]);

	log('a relay');
	await hear(kai, 'sw', 'off');
	await kai.hears([INA]);
	await interpret(kai, 'en');
	await hear(lea, 'en', 'off');
	await lea.hears([KAI]);
	await mo.hears([INA], 500);
	await ada.hears([], 500);

	log('a hand-over');
	await interpret(jon, 'sw');
	await sleep(1000);
	await mo.hears([INA], 500);
	ok(/Person 02 is heard in Kiswahili/.test(await booth(jon)), `the desk: ${await booth(jon)}`);
	await suits(ina, 'the desk');
	await suits(mo, 'the choice');
	await pageOf(ina).click('#language-close');
	await jon.run(() => document.getElementById('booth-yes').click());
	await until('she is asked', async () => {
		const saw = await ina.run(() => [document.getElementById('booth-yes').textContent, document.getElementById('booth-no').hidden,
			document.getElementById('status').textContent]);
		return { ok: saw[0] === 'Hand over now' && !saw[1] && /Person 03 asks to relieve you/.test(saw[2]), saw };
	}, 3000);
	await mo.hears([INA], 500); // asking alone does nothing
	const from = Date.now();
	await pageOf(ina).click('#booth-yes', { timeout: 3000 });
	await Promise.all([mo.hears([JON]), neo.hears([JON]), kai.hears([JON])]);
	figure('hand-over until all hear the other alone', Date.now() - from, 'ms');
	ok(/You are heard in Kiswahili/.test(await booth(jon)), `the desk: ${await booth(jon)}`);

	log('in mid-call, from a language to the floor and back');
	await hear(neo, 'sw', '-12');
	await hear(mo, 'sw', '-12');
	await quieter(neo, JON, 12);
	await quieter(mo, JON, 12);
	await Promise.all([mo, neo].map((who) => who.watchVoice(ADA)));
	await sleep(1000);
	const since = Date.now();
	await hear(neo, '');
	await hear(mo, '');
	await Promise.all([mo.hears([ADA]), neo.hears([ADA])]);
	await sleep(500);
	const [broken, thinly] = await Promise.all([mo, neo].map((who) => who.silences(since, 250)));
	figure('silence in the floor at a change: thin link', Math.max(0, ...thinly.map(([a, b]) => (b ?? 0) - a)), 'ms');
	ok(thinly.every(([a, b]) => b !== null && b - a < 700), `the thin link: ${JSON.stringify(thinly)}`);
	equal(broken, [], 'silences on the good link');

	log('after a reload');
	await hear(mo, 'sw', '-20');
	await quieter(mo, JON, 20);
	await pageOf(mo).evaluate(() => { location.reload(); });
	await mo.inCall();
	await quieter(mo, JON, 20, 10000);

	log('after a restart of the server');
	await hear(lea, '');
	await lea.hears([ADA]);
	const heard = [];
	await Promise.all([INA, JON, KAI].map((index) => lea.run((index) => __test.watchVoices(index), index)));
	await server.kill();
	await mo.hears([]);
	await server.run();
	await lea.hears([ADA], 15000);
	await until('one of the two is heard in the language', async () => {
		heard.splice(0, 9, ...await mo.heard());
		return { ok: heard.length === 2 && heard[0] === ADA && [INA, JON].includes(heard[1]), saw: heard };
	}, 15000);
	await quieter(mo, heard[1], 20, 10000);
	equal(await lea.run(() => __test.heardVoices()), [], 'interpreters on the floor');

	log('nobody interprets any more');
	await (heard[1] === INA ? ina : jon).click('mic');
	await until('the floor is as loud as it was', async () => {
		const [floor] = await levels(mo, [ADA]);
		const [plain] = await levels(neo, [ADA]);
		return { ok: floor > plain - 5 && (await mo.heard()).join() === `${ADA}`, saw: [floor, plain] };
	}, 8000);
	for (const who of [ada, ina, jon, kai, lea, mo, neo])
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
}, 110);
