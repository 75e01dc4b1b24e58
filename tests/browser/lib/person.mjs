// SPDX-License-Identifier: AGPL-3.0-or-later
// Somebody in the call, in either browser, through the real page. What is checked is what
// arrives: bar codes in pictures, tones in sound (init.mjs), and what the page shows.
import { figure, limit, log, onFailure, until } from './check.mjs';
import { pageInit } from './init.mjs';
import { soundOf } from './speech.mjs';

const pad = (i) => String(i).padStart(2, '0');
/** The name of the person with this bar code and tone. */
export const nameOf = (index) => `Person ${pad(index)}`;
export const NAME_PATTERN = 'Person %';

export class Person {
	/**
	 * Opens the page and joins.
	 * @param {Awaited<ReturnType<typeof import('./chromium.mjs').launchChromium>>} browser
	 * @param {string} link
	 * @param {number} index  0…31: name, bar code, tone
	 * @param {Partial<import('./init.mjs').Fake> & {mode?: 'voice'|'video', camera?: boolean,
	 *         mic?: boolean, viewport?: {width: number, height: number}, capture?: boolean, patience?: number}} [o]
	 *         capture: to be recorded by capture.mjs, whose script the page's own policy forbids; patience: ms until the page is there
	 */
	static async join(browser, link, index, o = {}) {
		const person = new Person(browser, link, index, o);
		await person.open();
		await person.enter();
		return person;
	}

	constructor(browser, link, index, o) {
		Object.assign(this, { browser, link, index, o });
		this.name = nameOf(index);
	}

	async open() {
		const { index, o } = this;
		const fake = { index, width: o.width, height: o.height, fps: o.fps, tone: o.tone,
			flash: o.flash, time: o.time, device: o.device, lens: o.lens, steady: o.steady };
		this.page = await this.browser.open(pageInit, fake,
			{ viewport: o.viewport, bypassCSP: o.capture || o.steady });
		const { page } = this;
		onFailure(`${this.name} (${this.browser.name})`, async () => {
			const lines = page.lines.slice(-10).join('\n');
			const state = await limit(page.run(() => __test.summary()), 3000, 'summary')
				.catch((e) => e.message);
			return `${lines}\n${JSON.stringify(state, null, 1)}`;
		});
		await page.goto(this.link, o.patience);
		await until(`${this.name}: the page is ready to join`, () => page.run(() =>
			({ ok: document.documentElement.dataset.state === 'prejoin',
				saw: document.documentElement.dataset.state })), o.patience);
	}

	/** Fills in the form and joins; returns when media and events are up. */
	async enter(wait = true) {
		const { mode = 'video', camera = true, mic = true } = this.o;
		// The page changes its toggles when the devices are there.
		await until(`${this.name}: devices`, () => this.page.run((o) => {
			const radio = document.querySelector(`input[name=mode][value=${o.mode}]`);
			if (!radio.checked)
				radio.click();
			const pressed = (id) => document.getElementById(id).getAttribute('aria-pressed');
			const wrong = [['pre-mic', o.mic], ['pre-camera', o.camera && o.mode === 'video']]
				.filter(([id, want]) => !document.getElementById(id).hidden &&
					(pressed(id) === 'true') !== want);
			for (const [id, want] of wrong)
				if (!want)
					document.getElementById(id).click();
			return { ok: !wrong.length, saw: wrong };
		}, { mode, camera, mic }));
		await this.page.run((name) => {
			const input = document.getElementById('name');
			input.value = name;
			input.dispatchEvent(new Event('input', { bubbles: true }));
			document.getElementById('join').click();
		}, this.name);
		if (wait)
			await this.inCall();
	}

	inCall(ms = 15000) {
		return until(`${this.name} is in the call`, () => this.page.run(() => ({
			ok: document.documentElement.dataset.state === 'call' && !!__test.you &&
				__test.pc()?.connectionState === 'connected',
			saw: [document.documentElement.dataset.state, __test.pc()?.connectionState,
				__test.posts.slice(-2), document.querySelector('#status')?.textContent],
		})), ms);
	}

	run(fn, value) {
		return this.page.run(fn, value);
	}

	click(id) {
		return this.run((id) => document.getElementById(id).click(), id);
	}

	close() {
		return this.page.close();
	}

	tone(on) {
		return this.run((on) => __test.tone(on), on);
	}

	heard() {
		return this.run(() => __test.listen());
	}

	/** Listens to one voice from now on; what silences() tells is about that. */
	watchVoice(index) {
		return this.run((index) => __test.watchVoice(index), index);
	}

	silences(since, ms) {
		return this.run((o) => __test.silences(o), { since, ms });
	}

	pictures() {
		return this.run(() => __test.pictures());
	}

	inbound() {
		return this.run(() => __test.inbound());
	}

	path() {
		return this.run(() => __test.path());
	}

	/** Whose pictures are to be seen now: [index, …] sorted; wrong names or colours throw. */
	async seen(kind = 'camera') {
		const pictures = (await this.pictures()).filter((x) =>
			x.visible && x.picture && x.picture.kind === kind && x.p);
		for (const { picture, name } of pictures) {
			if (name !== nameOf(picture.index))
				throw new Error(`${this.name} sees picture ${picture.index} as ${name}`);
			if (!picture.colours)
				throw new Error(`${this.name}: picture ${picture.index} has wrong colours`);
		}
		return [...new Set(pictures.map((x) => x.picture.index))].sort((a, b) => a - b);
	}

	/** How much later the picture of `index` is put out than the sound, ms (init.mjs). */
	skew(index) {
		return this.run((name) => __test.skew(name), nameOf(index));
	}

	/** Waits until exactly these are heard. */
	hears(indices, ms = 10000) {
		const want = [...indices].sort((a, b) => a - b).join();
		return until(`${this.name} hears ${want || 'nobody'}`, async () => {
			const saw = await this.heard();
			return { ok: saw.join() === want, saw };
		}, ms, 50);
	}

	/** Waits until exactly these are seen. */
	sees(indices, ms = 15000, kind = 'camera') {
		const want = [...indices].sort((a, b) => a - b).join();
		return until(`${this.name} sees ${kind} of ${want || 'nobody'}`, async () => {
			const saw = await this.seen(kind);
			return { ok: saw.join() === want, saw };
		}, ms);
	}

	/** Waits until the pictures on the stage move on. */
	async moving(indices, ms = 5000) {
		const counts = async () => new Map((await this.pictures())
			.filter((x) => x.visible && x.p && x.picture && x.picture.kind === x.k)
			.map((x) => [x.picture.index, x.picture.count]));
		const before = await counts();
		await until(`${this.name}: pictures ${indices} move`, async () => {
			const now = await counts();
			return { ok: indices.every((i) => now.has(i) && now.get(i) !== before.get(i)),
				saw: [...now] };
		}, ms);
	}

	/** Names the page shows on its stage, without one's own. */
	shown() {
		return this.run(() => [...document.querySelectorAll('#stage .tile[data-person]')]
			.filter((e) => !e.classList.contains('mine'))
			.map((e) => ({ name: e.querySelector('.who')?.textContent, kind: e.dataset.kind,
				video: e.dataset.video === 'true', muted: e.dataset.muted === 'true',
				away: e.dataset.away === 'true' })));
	}

	/** People as the server says. */
	people() {
		return this.run(() => [...__test.people.values()]);
	}

	/**
	 * Fails if the page negotiated more than once per connection. @param {boolean} [mends] on a machine so full that pages hear nothing
	 * for seconds: ICE restarts are no news about that
	 */
	async oneNegotiation(mends = false) {
		const calls = await this.run(() => ({ ...__test.calls, pcs: __test.pcs.length,
			restarts: __test.posts.filter((x) => x.url.endsWith('/ice') && x.status === 200).length }));
		if (calls.negotiationneeded || calls.setRemote !== calls.pcs + (mends ? calls.restarts : 0) || calls.pcs !== 1)
			throw new Error(`${this.name} negotiated again: ${JSON.stringify(calls)}`);
		return calls.restarts;
	}

	/** Speech of lib/speech.mjs from now on, as the microphone of who joined with `tone: false`. */
	say({ rate, ...speech }) {
		const sound = Int16Array.from(soundOf({ rate, ...speech }), (v) => Math.round(v * 32767));
		return this.run((o) => __test.say(o), { rate, pcm: Buffer.from(sound.buffer).toString('base64') });
	}

	/** In the settings. @param {'all'|'less'|'least'} thrift */
	chooseSound(thrift) {
		return this.run((thrift) => {
			const select = document.getElementById('thrift-select');
			select.value = thrift;
			select.dispatchEvent(new Event('change'));
		}, thrift);
	}

	/** What the browser says of its camera's encoder and of its link. */
	sending() {
		return this.run(async () => {
			const all = [...(await __test.pc().getStats()).values()];
			const video = all.find((s) => s.type === 'outbound-rtp' && s.kind === 'video' && s.bytesSent > 0);
			const pair = all.find((s) => s.type === 'candidate-pair' && s.nominated);
			return { target: video?.targetBitrate ?? 0, fps: video?.framesPerSecond ?? 0, frames: video?.framesEncoded ?? 0, keys: video?.keyFramesEncoded ?? 0,
				limited: video?.qualityLimitationReason, bytes: video?.bytesSent ?? 0, estimate: pair?.availableOutgoingBitrate ?? 0 };
		});
	}

	/** Sums over the inbound streams of a kind. */
	async sums(kind) {
		const keys = ['freezeCount', 'totalFreezesDuration', 'framesDecoded', 'framesDropped',
			'concealedSamples', 'silentConcealedSamples', 'totalSamplesReceived',
			'jitterBufferDelay', 'jitterBufferEmittedCount', 'packetsDiscarded', 'concealmentEvents',
			'insertedSamplesForDeceleration', 'removedSamplesForAcceleration',
			'packetsReceived', 'packetsLost', 'nackCount', 'pliCount', 'keyFramesDecoded'];
		const sums = Object.fromEntries(keys.map((k) => [k, 0]));
		for (const s of await this.inbound())
			if (s.kind === kind)
				for (const k of keys)
					sums[k] += s[k] ?? 0;
		return sums;
	}
}

/** Everybody of `people` hears and sees all others (small calls). */
export async function allHearAndSeeAll(people, ms = 20000) {
	for (const person of people) {
		const others = people.filter((p) => p !== person).map((p) => p.index);
		await person.hears(others, ms);
		await person.sees(others, ms);
		await person.moving(others, ms);
	}
	log(`${people.length} people hear and see each other`);
}

export { figure };
