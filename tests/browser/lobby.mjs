// SPDX-License-Identifier: AGPL-3.0-or-later
// A host leads a call of four through the page's own buttons: who waits is let in or turned away, the room is locked,
// people are muted, asked, called, shown large, given another role, sent away. What counts is what is heard and seen.
import { equal, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { lookInit } from './lib/look.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';
import { suits } from './lib/suits.mjs';

const SMALL = { width: 320, height: 240, fps: 8 };

const dressed = (browser) => ({
	name: browser.name,
	async open(...args) {
		const opened = await browser.open(...args);
		await opened.page.addInitScript(lookInit);
		return opened;
	},
});

async function knock(browser, link, index) {
	const who = new Person(browser, link, index, SMALL);
	await who.open();
	await who.enter(false);
	return who;
}

const pageOf = (who) => who.page.page;
const press = (who, selector) => pageOf(who).click(selector, { timeout: 5000 });
/** Playwright does not press what is disabled for a reader; people do. */
const pressAnyway = (who, selector) => pageOf(who).click(selector, { timeout: 5000, force: true });
const phase = (who, want, ms = 10000) => until(`${who.name}: ${want}`, () => who.run(() =>
	document.documentElement.dataset.state).then((saw) => ({ ok: saw === want, saw })), ms);
const sees = (who, what, read, want, ms = 5000) => until(`${who.name} sees ${what}`, async () => {
	const saw = await who.run(read);
	return { ok: JSON.stringify(saw) === JSON.stringify(want), saw };
}, ms);
const hears = (who, pattern, ms = 5000) => until(`${who.name} is told ${pattern}`, async () => {
	const saw = await who.run(() => __look.said);
	return { ok: saw.some((line) => pattern.test(line)), saw: saw.slice(-6) };
}, ms);
const text = (who, id) => who.run((id) => document.getElementById(id).textContent.trim(), id);
const textIs = (who, id, pattern, ms = 5000) => until(`${who.name}: ${id} says ${pattern}`, async () => {
	const saw = await text(who, id);
	return { ok: pattern.test(saw), saw };
}, ms);

async function reload(who) {
	await pageOf(who).reload();
	await until(`${who.name} has reloaded`, () => who.run(() => !!document.documentElement.dataset.ready), 10000);
}

async function openPeople(who) {
	if (!await who.run(() => document.getElementById('people').open))
		await press(who, '#people-button');
	await pageOf(who).waitForSelector('#people[open]', { timeout: 5000 });
}

const row = (about) => `#people-list .person:has(bdi:text-is("${about.name}"))`;

async function openMenu(who, about) {
	await openPeople(who);
	const button = `${row(about)} .acts-button`;
	if (await pageOf(who).getAttribute(button, 'aria-expanded', { timeout: 5000 }) !== 'true')
		await press(who, button);
}

/** By the menu of that person. */
async function act(who, about, name) {
	await openMenu(who, about);
	await press(who, `${row(about)} [data-act=${name}]`);
}

/** By the switches above the list; done when the server has told all. */
async function rule(host, others, name, on) {
	await openPeople(host);
	await host.run(() => { document.getElementById('rules').open = true; });
	await press(host, `#rules label:has([data-rule=${name}])`);
	for (const who of [host, ...others])
		await until(`${who.name}: rule ${name}`, () => who.run(({ name, on }) => palabre.call.rules[name] === on, { name, on }), 3000);
	await host.run(() => { document.getElementById('rules').open = false; });
}

const micState = () => {
	const b = document.getElementById('mic');
	return [b.hidden, b.getAttribute('aria-pressed'), b.getAttribute('aria-disabled')];
};
const OFF = [false, 'false', 'false'], FORBIDDEN = [false, 'false', 'true'], ON = [false, 'true', 'false'];
const large = () => document.querySelector('#stage .tile.large')?.querySelector('.who').textContent ?? '';
const focus = () => {
	const e = document.activeElement;
	return e.dataset.act || e.className || e.id;
};

/** For as long as a page that opens it again by itself would need. */
async function staysSilent(listener, indices, ms = 2000) {
	const end = Date.now() + ms;
	while (Date.now() < end) {
		const heard = await listener.heard();
		ok(!heard.some((i) => indices.includes(i)), `${listener.name} hears none of ${indices}: ${heard}`);
		await sleep(100);
	}
}

await scenario('lobby', async () => {
	const server = await Server.start();
	const browser = dressed(await launchChromium());
	const link = server.link();
	const ada = await Person.join(browser, server.link('host'), 1, SMALL);
	const bea = await Person.join(browser, link, 2, SMALL);

	log('the lobby');
	await rule(ada, [bea], 'lobby', true);
	await press(ada, '#people-close');
	const cleo = await knock(browser, link, 3);
	await phase(cleo, 'waiting');
	await textIs(cleo, 'waiting-name', /Person 03/);
	await textIs(cleo, 'waiting-text', /hosts can see/);
	equal(await cleo.run(() => document.activeElement.id), 'waiting-title', 'focus while waiting');
	await textIs(ada, 'status', /Person 03 waits/); // to be seen where the list is not
	await hears(ada, /Person 03 waits/);
	await sees(ada, 'one who waits', () => document.getElementById('waiting-count').textContent, '1');
	equal(await text(bea, 'waiting-count'), '', 'others know nothing of it');
	await suits(cleo, 'the waiting screen');
	await reload(cleo);
	await phase(cleo, 'waiting');
	await textIs(cleo, 'waiting-name', /Person 03/);
	await openPeople(ada);
	await sees(ada, 'the same one', () => [...document.querySelectorAll('#door-list bdi')].map((e) => e.textContent), ['Person 03']);
	equal(await cleo.run(() => __test.elements.size && __test.listen()), 0, 'nothing comes to who waits');
	await press(ada, '#door-list button');
	await cleo.inCall();
	await sees(ada, 'nobody waiting', () => document.getElementById('door').hidden, true);
	await ada.hears([2, 3]);
	await cleo.hears([1, 2]);

	log('turned away');
	const fay = await knock(browser, link, 5);
	await phase(fay, 'waiting');
	await press(ada, '#door-list button:nth-of-type(2)');
	await phase(fay, 'left');
	await textIs(fay, 'ended-title', /not let in/);
	await fay.close();

	log('locked');
	await rule(ada, [bea, cleo], 'lobby', false);
	await rule(ada, [bea, cleo], 'lock', true);
	const dina = await knock(browser, link, 4);
	await phase(dina, 'error');
	await textIs(dina, 'ended-text', /locked/);
	await rule(ada, [bea, cleo], 'lock', false);
	await press(dina, '#again');
	await phase(dina, 'prejoin');
	await dina.enter();
	await ada.hears([2, 3, 4]);

	log('mute one');
	await act(ada, bea, 'mute');
	await cleo.hears([1, 4], 2000);
	await sees(bea, 'the microphone is held', micState, FORBIDDEN);
	await pressAnyway(bea, '#mic');
	await textIs(bea, 'status', /moderator has switched that off/);
	await staysSilent(cleo, [2]);
	await reload(bea);
	await bea.inCall();
	await sees(bea, 'it is held after a reload', micState, FORBIDDEN);
	await staysSilent(cleo, [2]);

	log('ask');
	await act(ada, bea, 'ask');
	await pageOf(bea).waitForSelector('#asked:not([hidden])', { timeout: 3000 });
	await hears(bea, /asks you to speak/);
	await staysSilent(cleo, [2], 1500); // nobody else opens it
	await press(bea, '#asked-yes');
	await cleo.hears([1, 2, 4]);
	await sees(bea, 'the prompt gone', () => document.getElementById('asked').hidden, true);

	log('mute all, allow one');
	await rule(ada, [bea, cleo, dina], 'mute', true);
	await bea.hears([1], 3000);
	await sees(cleo, 'the microphone is off', micState, FORBIDDEN);
	await act(ada, cleo, 'allow');
	await sees(cleo, 'it may be on', micState, OFF);
	await hears(cleo, /may switch your microphone on/);
	await staysSilent(bea, [2, 3, 4]);
	await press(cleo, '#mic');
	await bea.hears([1, 3]);
	await rule(ada, [bea, cleo, dina], 'mute', false);
	await sees(bea, 'the microphone is free', micState, OFF);
	await staysSilent(cleo, [2]);
	await press(bea, '#mic');
	await press(dina, '#mic');
	await ada.hears([2, 3, 4]);

	log('camera');
	await act(ada, dina, 'uncamera');
	await cleo.sees([1, 2], 4000);
	await pressAnyway(dina, '#camera');
	await textIs(dina, 'status', /moderator has switched that off/);
	await act(ada, dina, 'camera');
	await sees(dina, 'the camera is free', () => document.getElementById('camera').getAttribute('aria-disabled'), 'false');
	await press(dina, '#camera');
	await cleo.sees([1, 2, 4]);

	log('audience');
	await rule(ada, [bea, cleo, dina], 'audience', true);
	await dina.hears([1], 3000);
	await sees(bea, 'nothing to send with', () => ['mic', 'camera', 'listening'].map((id) => document.getElementById(id).hidden),
		[true, true, false]);
	await act(ada, bea, 'call');
	await hears(bea, /may speak now/);
	await sees(bea, 'a microphone, off', micState, OFF);
	await staysSilent(dina, [2]);
	await press(bea, '#mic');
	await dina.hears([1, 2]);
	await reload(bea);
	await bea.inCall();
	await dina.hears([1, 2]);
	await act(ada, bea, 'uncall');
	await dina.hears([1], 3000);
	await sees(bea, 'nothing to send with', () => document.getElementById('mic').hidden, true);
	await rule(ada, [bea, cleo, dina], 'audience', false);
	await sees(bea, 'a microphone', micState, OFF);
	for (const who of [bea, cleo, dina]) {
		await press(who, '#mic');
		await sees(who, 'the microphone on', micState, ON);
	}
	await ada.hears([2, 3, 4]);

	log('large for all');
	await act(ada, dina, 'spot');
	for (const who of [bea, cleo])
		await sees(who, 'Dina large', large, dina.name);
	await pageOf(cleo).click(`#stage .tile[data-kind=camera]:has(.who:text-is("${bea.name}")) .pin`, { timeout: 5000 });
	await sees(cleo, 'her own choice large', large, bea.name);
	await sees(bea, 'Dina large still', large, dina.name);
	await reload(cleo);
	await cleo.inCall();
	await sees(cleo, 'Dina large after a reload', large, dina.name);
	await act(ada, dina, 'unspot');
	await sees(cleo, 'nobody large', large, '');

	log('by keyboard');
	const { keyboard } = pageOf(ada);
	await openMenu(ada, cleo);
	await suits(ada, 'an open menu');
	await pageOf(ada).focus(`${row(cleo)} .acts-button`);
	await keyboard.press('Tab');
	equal(await ada.run(focus), 'mute', 'first in the menu');
	await pageOf(ada).focus(`${row(cleo)} [data-act=ban]`);
	await keyboard.press('Enter');
	await until('the safe answer has the focus', async () => {
		const saw = await ada.run(() => document.activeElement.textContent);
		return { ok: saw === 'Cancel', saw };
	}, 2000);
	await suits(ada, 'the question before a ban');
	await pageOf(ada).focus(`${row(cleo)} .sure .danger`);
	await keyboard.press('Escape');
	await sees(ada, 'the focus where it was', focus, 'ban', 2000);
	await keyboard.press('Escape');
	await sees(ada, 'the menu closed', () => [document.activeElement.classList.contains('acts-button'),
		document.activeElement.getAttribute('aria-expanded')], [true, 'false'], 2000);
	equal(await ada.run(() => document.getElementById('people').open), true, 'the list is still open');

	log('roles');
	const role = async (who, about, to) => {
		await openMenu(who, about);
		await pageOf(who).selectOption(`${row(about)} select`, to);
	};
	await role(ada, bea, 'listener');
	await sees(bea, 'nothing to send with', () => document.getElementById('mic').hidden, true);
	await hears(bea, /Your role is now/);
	await cleo.hears([1, 4], 3000);
	await reload(bea); // by a link that would let her speak
	await bea.inCall();
	await sees(bea, 'nothing to send with after a reload', () => document.getElementById('mic').hidden, true);
	equal(await bea.run(() => __test.opened), 0, 'devices that a listener opens');
	await role(ada, bea, 'moderator');
	await sees(bea, 'a microphone', micState, OFF);
	await press(bea, '#mic');
	await cleo.hears([1, 2, 4]);
	await reload(bea);
	await bea.inCall();
	await openPeople(bea);
	await sees(bea, 'the rules after a reload', () => document.getElementById('rules').hidden, false);
	equal(await bea.run((name) => [...document.querySelectorAll('#people-list .person')].filter((e) =>
		e.querySelector('.acts-button') && e.querySelector('bdi').textContent === name).length, ada.name), 0, 'a moderator has no power over a host');

	log('a no in words');
	await role(ada, ada, 'speaker');
	await textIs(ada, 'people-note', /only host here/);

	log('sent away');
	await act(bea, cleo, 'remove');
	await press(bea, `${row(cleo)} .sure .danger`);
	await phase(cleo, 'left');
	await textIs(cleo, 'ended-title', /removed/);
	await press(cleo, '#again');
	await phase(cleo, 'prejoin');
	cleo.o = { ...cleo.o, camera: false }; // since only the audience was left
	await cleo.enter(); // nothing keeps them from coming again
	await act(bea, dina, 'ban');
	await press(bea, `${row(dina)} .sure .danger`);
	await phase(dina, 'left');
	await textIs(dina, 'ended-text', /excluded/);
	await sees(ada, 'three', () => palabre.call.count, 3);
	await dina.page.goto(link);
	await reload(dina);
	await phase(dina, 'prejoin');
	await dina.enter(false);
	await phase(dina, 'error');
	await textIs(dina, 'ended-text', /excluded/);

	for (const who of [ada, bea, cleo, dina])
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
}, 230);
