// SPDX-License-Identifier: AGPL-3.0-or-later
// The page as a blind person, somebody without a mouse, with a small phone, with no devices, or with a browser
// that forbids things meets it.
import { equal, figure, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { axeFinds, lookInit } from './lib/look.mjs';
import { Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const DESK = { width: 1000, height: 700 }, PHONE = { width: 320, height: 568 };
/** 1280 x 1024 magnified fourfold (WCAG 1.4.10). */
const MAGNIFIED = { width: 320, height: 256 };
const SMALL = { width: 320, height: 240, fps: 8 };
const LONG = 'María José Fernández de la Vega y Quiñones-Balbontín del Río 123';

/** Every request of every page, and what the browser forbade. */
const asked = [];
const forbidden = [];

/** The browser with scripts that run before the page's. */
const dressed = (browser, ...scripts) => ({
	name: browser.name,
	async open(init, arg, o) {
		const opened = await browser.open(init, arg, o);
		const { page } = opened;
		page.on('request', (r) => asked.push(r.url()));
		page.on('websocket', (w) => asked.push(w.url()));
		page.on('console', (m) => /Content Security Policy/i.test(m.text()) && forbidden.push(m.text()));
		await page.addInitScript(lookInit);
		for (const script of scripts)
			await page.addInitScript(script);
		return opened;
	},
});

// ---- what the browser may refuse: these run in the page

const noStorage = () => {
	for (const name of ['localStorage', 'sessionStorage'])
		Object.defineProperty(globalThis, name, { get() { throw new DOMException('no', 'SecurityError'); } });
};
const noDevices = () => {
	navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('none', 'NotFoundError'); };
	navigator.mediaDevices.enumerateDevices = async () => [];
};
const denied = () => {
	navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };
};
const insecure = () => Object.defineProperty(navigator, 'mediaDevices', { value: undefined });
const manyDevices = () => {
	const devices = navigator.mediaDevices, open = devices.getUserMedia;
	globalThis.__asked = [];
	globalThis.__sinks = [];
	const idOf = (wish) => wish?.deviceId?.exact || '';
	devices.getUserMedia = async (want) => {
		__asked.push({ mic: idOf(want.audio), camera: idOf(want.video), audio: !!want.audio });
		if (globalThis.__unplugged)
			throw new DOMException('none', 'NotFoundError');
		const stream = await open(want);
		for (const track of stream.getTracks()) {
			const id = idOf(track.kind === 'audio' ? want.audio : want.video);
			const settings = track.getSettings;
			track.getSettings = () => ({ ...settings(), ...(id ? { deviceId: id } : {}) });
		}
		return stream;
	};
	devices.enumerateDevices = async () => ['audioinput', 'videoinput', 'audiooutput'].flatMap((kind) =>
		[1, 2].map((i) => ({ kind, deviceId: `${kind}${i}`, label: `${kind} ${i}`, groupId: '' })));
	HTMLMediaElement.prototype.setSinkId = async function(id) {
		__sinks.push(id);
		Object.defineProperty(this, 'sinkId', { value: id, configurable: true });
	};
};
const untouched = () => {
	const { play } = HTMLMediaElement.prototype;
	globalThis.__played = 0;
	addEventListener('keydown', (e) => { globalThis.__touched ||= e.isTrusted; }, true);
	HTMLMediaElement.prototype.play = async function() {
		if (this instanceof HTMLAudioElement && !globalThis.__touched)
			throw new DOMException('touch me first', 'NotAllowedError');
		__played += this instanceof HTMLAudioElement;
		return play.call(this);
	};
};
const counted = () => {
	globalThis.__awake = 0;
	globalThis.__sent = [];
	navigator.wakeLock.request = async () => {
		__awake++;
		return { release: async () => { __awake--; }, addEventListener() {} };
	};
	const { send } = WebSocket.prototype;
	WebSocket.prototype.send = function(text) {
		__sent.push(JSON.parse(text));
		return send.call(this, text);
	};
};

// ---- questions

const PAGE = /\/r\/palabre/, WORDS = /\/i18n\/en\.js$/;
const phase = (who, want, ms = 15000) => until(`${who.name}: ${want}`, () => who.run(() =>
	document.documentElement.dataset.state).then((saw) => ({ ok: saw === want, saw })), ms);
const textOf = (who, id) => who.run((id) => document.getElementById(id).textContent.trim(), id);
const pressed = (who, id) => who.run((id) => document.getElementById(id).getAttribute('aria-pressed'), id);
const pressedIs = (who, id, want, why) => until(why, async () => {
	const saw = await pressed(who, id);
	return { ok: saw === want, saw };
}, 2000);
const focus = (who) => who.run(() => __look.focus());
const said = (who) => who.run(() => __look.said);
const says = (who, pattern, ms = 5000) => until(`${who.name} is told ${pattern}`, async () => {
	const saw = await said(who);
	return { ok: saw.some((line) => pattern.test(line)), saw: saw.slice(-6) };
}, ms);
const tileOf = async (who, about) => (await who.shown()).find((x) => x.name === about.name && x.kind === 'camera');

/** As by the page's own choice of language. */
async function speak(who, lang) {
	await who.run(async (lang) => {
		const select = document.querySelector('.lang-select');
		const begin = performance.now();
		document.documentElement.dir = ''; // the page sets it, even for the language that it has
		select.value = lang;
		select.dispatchEvent(new Event('change'));
		while (!document.documentElement.dir && performance.now() - begin < 2000)
			await new Promise((done) => setTimeout(done, 10));
	}, lang);
	equal(await who.run(() => [document.documentElement.lang, document.documentElement.dir]),
		[lang, lang === 'ar' ? 'rtl' : 'ltr'], 'language and direction');
}

async function axeClean(who, where) {
	equal(await who.run(() => __look.deaf()), [], `live regions out of the tree on ${where}`);
	// A page that does not come up has no choice of language.
	const langs = await who.run(() => 'ready' in document.documentElement.dataset) ? ['ar', 'en'] : ['en'];
	for (const lang of langs) {
		if (langs.length > 1)
			await speak(who, lang);
		for (const colorScheme of ['light', 'dark']) {
			await who.page.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' }); // no colours half-way
			equal(await axeFinds(who.page.page), [], `axe on ${where}, ${lang}, ${colorScheme}`);
		}
	}
	await who.page.page.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' });
}

/** Tab until there; the focus must be seen at every stop. */
async function tabTo(who, id, most = 30) {
	const stops = [];
	for (let i = 0; i < most; i++) {
		await who.page.page.keyboard.press('Tab');
		const at = await focus(who);
		stops.push(at.id);
		if (!at.lost) // after the last stop the browser's own controls come
			ok(at.ok, `the focus is to be seen: ${JSON.stringify(at)}`);
		if (at.id === id)
			return stops.length;
	}
	throw new Error(`Tab does not come to ${id}: ${stops}`);
}

const key = async (who, ...keys) => {
	for (const k of keys)
		await who.page.page.keyboard.press(k);
};
const focusIs = (who, id) => until(`the focus is on ${id}`, async () => {
	const saw = await focus(who);
	return { ok: saw.id === id && saw.ok, saw };
}, 3000);

/** In each language, both directions: nothing cut off, covered, too small, or out of the window. */
async function fits(who, where, viewport = PHONE) {
	const { page } = who.page;
	await page.emulateMedia({ reducedMotion: 'reduce' }); // nothing half-way
	await page.setViewportSize(viewport);
	for (const lang of ['ar', 'pt', 'sw', 'es', 'fr', 'en'])
		for (const dir of /ar|pt|sw/.test(lang) ? [''] : ['ltr', 'rtl']) {
			await speak(who, lang);
			await who.run(async (dir) => {
				document.documentElement.dir = dir || document.documentElement.dir;
				await new Promise((done) => setTimeout(done, 60)); // rendered
			}, dir);
			equal(await who.run(() => __look.faults()), [],
				`${where} at ${viewport.width}x${viewport.height}, ${lang}, ${dir}`);
		}
	await speak(who, 'en');
	await page.setViewportSize(DESK);
	await page.emulateMedia({ reducedMotion: 'no-preference' });
}

// ---- the scenario

await scenario('page', async () => {
	const server = await Server.start();
	const browser = await launchChromium();
	const link = server.link();

	log('start page, a link that is none, a link that is void');
	const lost = new Person(dressed(browser), '', 9, {});
	lost.page = await lost.browser.open(() => {}, null, { viewport: DESK });
	await lost.page.goto(`${server.origin}/`);
	await phase(lost, 'start');
	await axeClean(lost, 'the start page');
	await fits(lost, 'the start page');
	await lost.page.page.fill('#paste', 'hello');
	await key(lost, 'Enter');
	await focusIs(lost, 'paste');
	await says(lost, /not a link/);
	await lost.page.goto(`${server.origin}/r/palabre#abcdefgh`);
	await phase(lost, 'prejoin');
	await lost.page.page.fill('#name', 'Nobody');
	await key(lost, 'Enter');
	await phase(lost, 'error');
	await focusIs(lost, 'ended-title');
	await axeClean(lost, 'the error page');
	await lost.run(() => {
		document.body.append(document.createElement('button'));
	});
	ok((await axeFinds(lost.page.page)).some((f) => f.startsWith('button-name')), 'axe finds what is wrong');
	await lost.close();

	log('what a change of network breaks off; where the page may talk to');
	const isUp = (page) => until('the page is up', () => page.run(() =>
		document.documentElement.dataset.state === 'prejoin' &&
		getComputedStyle(document.getElementById('join')).borderRadius !== '0px' &&
		!document.getElementById('stuck').getClientRects().length), 12000);
	/** The first n times nothing of it comes, or of the page the first half. */
	const breaks = async (page, pattern, n) => {
		const count = { asked: 0 };
		await page.page.route(pattern, async (route) => {
			if (route.request().method() !== 'GET' || count.asked++ >= n)
				return route.continue();
			if (pattern === WORDS)
				return route.abort('failed');
			const response = await route.fetch(), body = await response.text();
			return route.fulfill({ response, body: body.slice(0, body.length / 2) });
		});
		return count;
	};
	for (const pattern of [PAGE, WORDS]) {
		const page = await browser.open(() => {}, null, { viewport: DESK });
		const count = await breaks(page, pattern, 1);
		await page.goto(link);
		await isUp(page);
		ok(count.asked > 1, `${pattern} was asked for again`);
		equal(await page.run(() => [history.state, location.hash.length > 20]), [null, true], 'history and link');
		await page.close();
	}
	const strict = await browser.open(() => {}, null, { viewport: DESK });
	await strict.goto(link);
	equal(await strict.run(() => new Promise((done) => {
		document.addEventListener('securitypolicyviolation', (e) => done(e.effectiveDirective));
		setTimeout(done, 2000, 'nothing');
		try {
			new WebSocket('ws://127.0.0.1:9/');
		} catch { /* some throw */ }
	})), 'connect-src', 'what stops a WebSocket to elsewhere');
	await strict.close();
	const stuck = new Person(dressed(browser), link, 9, {});
	stuck.page = await stuck.browser.open(() => {}, null, { viewport: PHONE });
	const count = await breaks(stuck.page, WORDS, Infinity);
	await stuck.page.goto(link);
	await until('the page says so', () => stuck.run(() =>
		document.getElementById('reload').getClientRects().length > 0), 15000);
	ok(count.asked >= 4 && count.asked <= 8, `four loads: ${count.asked}`);
	ok(await stuck.run(() => /rechargez/.test(document.activeElement.textContent)), 'the words have the focus');
	await axeClean(stuck, 'a page that does not come up');
	equal(await stuck.run(() => __look.faults()), [], 'a page that does not come up');
	await stuck.page.page.unroute(WORDS);
	await tabTo(stuck, 'reload', 2);
	await key(stuck, 'Enter');
	await isUp(stuck.page);
	await stuck.close();

	log('the language of the browser, another one, and that one again next time');
	const lea = new Person(browser, link, 9, {});
	lea.page = await lea.browser.open(() => {}, null, { viewport: PHONE, locale: 'ar-EG' });
	await lea.page.goto(link);
	await phase(lea, 'prejoin');
	const spoken = () => lea.run(() => [document.documentElement.lang, document.documentElement.dir,
		document.getElementById('join').textContent, document.querySelector('.lang-select').value]);
	equal(await spoken(), ['ar', 'rtl', 'الانضمام إلى المكالمة', 'ar'], 'an Arabic browser');
	const sides = () => lea.run(() => ['.brand', '.top .lang-select'].map((s) => document.querySelector(s).getBoundingClientRect().left));
	let [brand, choice] = await sides();
	ok(brand > choice, `from the right: ${brand}, ${choice}`);
	await speak(lea, 'sw');
	await until('Swahili, as chosen', async () => {
		const saw = await spoken();
		return { ok: saw.join() === 'sw,ltr,Jiunge na mkutano,sw', saw };
	}, 2000);
	[brand, choice] = await sides();
	ok(brand < choice, `from the left: ${brand}, ${choice}`);
	equal(await lea.run(() => [document.cookie, sessionStorage.getItem('palabre-lang')]), ['', null], 'no cookie');
	const next = await lea.page.context.newPage(); // another window, another day
	await next.goto(link);
	await next.waitForFunction(() => document.documentElement.dataset.ready === 'sw', null, { timeout: 5000 });
	await lea.close();

	log('before the call, by keyboard');
	const bo = await Person.join(dressed(browser), link, 2, SMALL);
	const ada = new Person(dressed(browser, counted), link, 1, SMALL);
	await ada.open();
	await ada.page.page.click('.devices summary');
	await axeClean(ada, 'the screen before the call');
	await fits(ada, 'before the call');
	await ada.page.page.click('.devices summary');
	await ada.page.page.setViewportSize(PHONE);
	await ada.run(() => document.querySelector('.brand').focus());
	await tabTo(ada, 'join'); // what stays at the bottom covers none of the stops
	await ada.page.page.setViewportSize(DESK);
	await says(ada, /microphone works/i);
	await ada.run(() => document.getElementById('name').focus());
	await key(ada, 'Enter');
	await says(ada, /write your name/);
	await focusIs(ada, 'name');
	await ada.page.page.keyboard.type(ada.name);
	equal(await textOf(ada, 'name-error'), '', 'the complaint about the name, once there is one');
	await tabTo(ada, 'join');
	await key(ada, 'Enter');
	await ada.inCall();
	await focusIs(ada, 'call-title');
	equal(await ada.page.page.title(), 'palabre · Palabre', 'title of the window');
	equal(await ada.run(() => __awake), 1, 'the device is kept awake');

	log('in the call, by keyboard');
	ok(await tabTo(ada, 'mic') <= 2, 'the microphone is the first stop');
	await key(ada, 'Space');
	await pressedIs(ada, 'mic', 'false', 'muted');
	await until('shown to the other', async () => (await tileOf(bo, ada))?.muted, 3000);
	await tabTo(ada, 'camera', 1);
	await key(ada, 'Enter');
	await until('camera off at the other', async () => (await tileOf(bo, ada))?.video === false, 3000);
	await key(ada, 'Enter');
	await tabTo(ada, 'people-button', 5); // past screen, hand, questions, chat
	await key(ada, 'Enter');
	await until('the focus is in the list', () => ada.run(() =>
		document.activeElement.closest('#people') && __look.focus().ok), 3000);
	await tabTo(ada, 'people-list', 1);
	await key(ada, 'Escape');
	await focusIs(ada, 'people-button');
	await until('the list is closed', () => ada.run(() => !document.getElementById('people').open), 2000);
	await tabTo(ada, 'settings-button', 1);
	await key(ada, 'Enter');
	await until('settings', () => ada.run(() => document.getElementById('settings').open), 2000);
	for (let i = 0; i < 12; i++) {
		await key(ada, 'Tab');
		const at = await focus(ada);
		ok(at.lost || at.ok && await ada.run(() => !!document.activeElement.closest('#settings')),
			`the focus stays in the settings: ${JSON.stringify(at)}`);
	}
	await ada.run(() => document.getElementById('keys-on').focus());
	await key(ada, 'Space', 'Escape');
	await focusIs(ada, 'settings-button');
	await key(ada, 'm');
	await sleep(100);
	equal(await pressed(ada, 'mic'), 'false', 'the microphone, keys being switched off');
	await key(ada, 'Enter');
	await ada.run(() => document.getElementById('keys-on').focus());
	await key(ada, 'Space', 'Escape', 'm');
	await pressedIs(ada, 'mic', 'true', 'keys are switched on');
	await says(ada, /microphone is on/i);
	await key(ada, 'm');
	await says(ada, /microphone is off/i);
	await key(ada, 'm');

	log('axe, and a small window');
	const cleo = new Person(dressed(browser), link, 3, SMALL);
	cleo.name = LONG;
	await cleo.open();
	await cleo.enter();
	await says(ada, new RegExp(`^${LONG} joined`));
	await ada.sees([2, 3]).catch(async (e) => {
		// The long name is not that of the picture: seen() says so, and that is all.
		if (!/sees picture 3 as/.test(e.message))
			throw e;
	});
	await axeClean(ada, 'the call');
	await fits(ada, 'the call');
	await fits(ada, 'the call', MAGNIFIED);
	await ada.click('people-button');
	await axeClean(ada, 'the list of people');
	await fits(ada, 'the list of people');
	await ada.click('people-close');
	await ada.click('settings-button');
	await axeClean(ada, 'the settings');
	await fits(ada, 'the settings');
	await ada.click('settings-close');
	await cleo.click('screen');
	await says(ada, /shares the screen/);
	await fits(ada, 'a shared screen');
	await cleo.run(() => palabre.pc().getSenders()[2].track.dispatchEvent(new Event('ended'))); // "stop sharing" of the browser's
	await until('the share has ended', async () => await pressed(cleo, 'screen') === 'false' &&
		!(await ada.shown()).some((x) => x.kind === 'screen'), 5000);

	log('a tile has the focus and goes');
	await ada.run((name) => [...document.querySelectorAll('#stage .tile')].find((e) =>
		e.querySelector('.who').textContent === name).querySelector('.pin').focus(), LONG);
	await key(ada, 'Enter');
	await until('large', () => ada.run(() => !!document.querySelector('.tile.large')), 2000);
	ok(!(await focus(ada)).lost, 'the focus stays with a tile that grows');
	await cleo.click('leave');
	await says(ada, new RegExp(`^${LONG} left`));
	ok(!(await focus(ada)).lost, 'the focus is not lost with a tile');

	log('hidden, and without movement');
	ok((await ada.run(() => __look.motion())).length > 5, 'things move');
	await ada.page.page.emulateMedia({ reducedMotion: 'reduce' });
	equal(await ada.run(() => __look.motion()), [], 'what moves for somebody who does not want it');
	// However much goes on in the call meanwhile.
	await ada.run(() => {
		const stage = document.getElementById('stage');
		globalThis.__busy = setInterval(() => {
			stage.style.marginBottom = stage.style.marginBottom ? '' : '1px';
		}, 700);
		Object.defineProperty(document, 'hidden', { value: true, configurable: true });
		document.dispatchEvent(new Event('visibilitychange'));
	});
	equal(await ada.run(() => __awake), 0, 'a hidden page keeps nothing awake');
	await until('nothing is asked for by a hidden page', () => ada.run(() =>
		__sent.findLast((m) => m.t === 'view')?.show.length === 0), 8000);
	await ada.run(() => {
		clearInterval(__busy);
		delete document.hidden;
		document.dispatchEvent(new Event('visibilitychange'));
	});
	await until('pictures are asked for again', () => ada.run(() =>
		__sent.findLast((m) => m.t === 'view').show.length > 0), 3000);

	log('the connection goes and comes');
	await ada.run(() => { __look.said.length = 0; });
	await server.kill();
	await says(ada, /Reconnecting/);
	ok((await ada.page.page.title()).startsWith('Reconnecting'), 'the title says so');
	await server.run();
	await says(ada, /back in the call/, 10000);

	log('leaving and coming back, by keyboard');
	await ada.run(() => document.getElementById('call-title').focus());
	await tabTo(ada, 'leave');
	await key(ada, 'Enter');
	await focusIs(ada, 'ended-title');
	equal(await ada.run(() => __awake), 0, 'nothing is kept awake after the call');
	await axeClean(ada, 'the last page');
	await fits(ada, 'the last page');
	await tabTo(ada, 'again');
	await key(ada, 'Enter');
	await phase(ada, 'prejoin');
	await focusIs(ada, 'prejoin-title');
	equal(await ada.run(() => [palabre.call.want.mic, document.getElementById('name').value]), [true, ada.name],
		'as it was before');
	equal(await ada.run(() => __test.errors), [], 'errors in the page');
	await ada.close();

	log('storage refused');
	const dia = await Person.join(dressed(browser, noStorage), link, 4, SMALL);
	await dia.hears([2]);
	equal(await dia.run(() => __test.errors), [], 'errors without storage');
	await dia.close();

	log('no devices, permission denied, no access at all');
	for (const [i, script, words, inCallWords] of [
		[5, noDevices, /No microphone and no camera were found.*listen/, /No microphone/],
		[6, denied, /does not let this page use the microphone and the camera.*icon beside/, /does not let/],
		[7, insecure, /gives no access.*https/, /gives no access/]]) {
		const eva = new Person(dressed(browser, script), link, i, { ...SMALL, mic: false, camera: false });
		await eva.open();
		await says(eva, words);
		if (script === denied)
			await fits(eva, 'before the call, permission denied');
		await eva.page.page.fill('#name', eva.name);
		await key(eva, 'Enter');
		await eva.inCall();
		await says(eva, inCallWords);
		await eva.hears([2]);
		equal(await eva.run(() => [document.getElementById('mic').getAttribute('aria-pressed'),
			document.getElementById('mic').dataset.problem]), ['false', 'true'], 'the button says so');
		await until('muted at the other', async () => (await tileOf(bo, eva))?.muted, 3000);
		equal(await eva.run(() => __test.errors), [], 'errors without devices');
		await eva.close();
	}

	log('choosing devices, and losing them');
	const flo = new Person(dressed(browser, manyDevices), link, 8, SMALL);
	await flo.open();
	const choose = (kind, id) => flo.run(([kind, id]) => {
		for (const select of document.querySelectorAll(`select[data-device=${kind}]`)) {
			select.value = id;
			select.dispatchEvent(new Event('change'));
		}
	}, [kind, id]);
	const lastAsked = (what) => flo.run((what) => __asked.findLast((a) => a[what])?.[what], what);
	await until('devices are listed', () => flo.run(() =>
		document.querySelectorAll('select[data-device=speaker] option[value=audiooutput2]').length), 5000);
	await until('the bar moves', () => flo.run(() =>
		Number(document.getElementById('meter').getAttribute('aria-valuenow')) > 30), 5000);
	await choose('mic', 'audioinput2');
	await choose('camera', 'videoinput2');
	await choose('speaker', 'audiooutput2');
	await until('both asked for', async () => await lastAsked('mic') === 'audioinput2' &&
		await lastAsked('camera') === 'videoinput2', 3000);
	await flo.run(() => document.querySelector('.test-sound').click());
	await until('the test sounds where it was chosen', () => flo.run(() => __sinks.includes('audiooutput2')), 3000);
	await flo.enter();
	await until('voices sound there, too', () => flo.run(() =>
		[...document.querySelectorAll('#sound audio')].every((e) => e.sinkId === 'audiooutput2')), 3000);
	await bo.hears([8]);
	const heardOff = () => bo.run((name) => __test.events.filter((e) => e.t === 'update' && e.mic === false &&
		__test.people.get(e.id)?.name === name).length, flo.name);
	await flo.click('settings-button');
	await choose('mic', 'audioinput1');
	await until('the other microphone is in use', () => flo.run(() =>
		palabre.pc().getSenders()[0].track?.getSettings().deviceId === 'audioinput1'), 3000);
	equal(await heardOff(), 0, 'signs of muting while changing the microphone');
	await choose('speaker', 'audiooutput1');
	await until('voices sound elsewhere', () => flo.run(() =>
		[...document.querySelectorAll('#sound audio')].every((e) => e.sinkId === 'audiooutput1')), 3000);
	await flo.click('settings-close');
	const pull = (n) => flo.run((n) => {
		const { track } = palabre.pc().getSenders()[n];
		track.stop();
		track.dispatchEvent(new Event('ended'));
	}, n);
	await pull(0);
	await until('another microphone takes over', () => flo.run(() =>
		palabre.pc().getSenders()[0].track?.readyState === 'live' &&
		document.getElementById('mic').getAttribute('aria-pressed') === 'true'), 3000);
	await pull(1);
	await says(flo, /camera is gone/);
	await until('no picture at the other', async () => (await tileOf(bo, flo))?.video === false, 3000);
	await flo.run(() => { globalThis.__unplugged = true; });
	await pull(0);
	await says(flo, /No microphone was found/);
	await until('muted at the other', async () => (await tileOf(bo, flo))?.muted, 3000);
	equal(await flo.run(() => __test.errors), [], 'errors with devices that go');
	await flo.close();

	log('a listener; a browser that wants to be touched first');
	const gil = new Person(dressed(browser, manyDevices, untouched), server.link('listener'), 10,
		{ ...SMALL, mic: false, camera: false });
	await gil.open();
	await gil.enter();
	equal(await gil.run(() => __asked.length), 0, 'devices that a listener was asked for');
	await until('the button for sound', () => gil.run(() => !document.getElementById('play-sound').hidden), 3000);
	equal(await gil.run(() => __played), 0, 'nothing plays before');
	await gil.run(() => document.getElementById('play-sound').focus());
	await key(gil, 'Shift');
	await until('the button is gone', () => gil.run(() => document.getElementById('play-sound').hidden), 3000);
	ok(await gil.run(() => __played) >= 3, 'all voices play');
	await gil.hears([2]);
	ok(!(await focus(gil)).lost, 'the focus is not lost with the button');
	equal(await gil.run(() => ['mic', 'camera', 'screen'].filter((id) => !document.getElementById(id).hidden)), [],
		'buttons that a listener has no use for');

	const foreign = asked.filter((url) => !/^(data|blob):/.test(url) && new URL(url).host !== new URL(server.origin).host);
	equal(foreign, [], 'requests to others');
	ok(asked.some((url) => url.startsWith('ws')) && asked.length > 50, 'requests were watched');
	figure('requests, all to our server', asked.length);
	equal(forbidden, [], 'what the content security policy had to stop');
}, 150);
