// SPDX-License-Identifier: AGPL-3.0-or-later
// The page's pure functions, in Node:   node tests/browser/page_unit.mjs
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

const at = (/** @type {string} */ f) => new URL(`../../src/web/${f}`, import.meta.url).href;
const { bandSize, choose, grid, gridSize, hue, initials, readLink, retryDelay, roleOf, spotlight,
	viewList } = await import(at('layout.js'));
const { rtpReached, sourceOf, streamOf, Talkers } = await import(at('rtp.js'));
const { FREE, Hold, RUNGS, steerAnswer } = await import(at('voice.js'));
const { steer, LipSync } = await import(at('sync.js'));
const { Climb } = await import(at('climb.js'));
const { forbids, listens, PLAIN, ROLES } = await import(at('roles.js'));
const { layersOf, offerFeedback, Silence, Weakness } = await import(at('peer.js'));

const inside = (r, w, h) => r.x >= 0 && r.y >= 0 && r.x + r.w <= w + 1 && r.y + r.h <= h + 1;
const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

test('roles: what the server would not forward is not offered (person_may_send in src/room/roles.c)', () => {
	const none = { mute: false, audience: false }, mute = { mute: true, audience: false }, audience = { mute: false, audience: true };
	const of = (kind, rules, more = {}) => ROLES.map((role) => forbids(kind, { role, ...more }, rules));
	const silent = ['listener', 'listener'];
	assert.deepEqual(of('mic', none), ['', '', '', '', ...silent]);
	assert.deepEqual(of('mic', mute), ['', '', 'muted', '', ...silent]);
	assert.deepEqual(of('screenaudio', mute), ['', '', 'muted', '', ...silent]);
	assert.deepEqual(of('camera', mute), ['', '', '', '', ...silent]);
	assert.deepEqual(of('camera', audience), ['', '', 'audience', '', ...silent]);
	assert.deepEqual(of('mic', mute, { allowed: true }), ['', '', '', '', ...silent]);
	assert.deepEqual(of('mic', audience, { allowed: true }), ['', '', 'audience', '', ...silent]);
	for (const rules of [mute, audience])
		assert.deepEqual(of('mic', rules, { called: true }), ['', '', '', '', '', '']);
	// What a moderator holds goes before everything, also of who has been called.
	assert.deepEqual(new Set(of('mic', none, { held: ['mic'], called: true })), new Set(['held']));
	assert.deepEqual(of('camera', none, { held: ['mic'] }), ['', '', '', '', ...silent]);
	for (const kind of ['mic', 'screen'])
		assert.equal(forbids('screenaudio', { role: 'host', held: [kind] }, none), 'held');
	// Held is not yet only listening: the button stays, and says why.
	assert.equal(listens({ role: 'speaker', held: ['mic'] }, mute), '');
	assert.deepEqual(PLAIN, ['speaker', 'interpreter', 'captioner', 'listener']);
});

test('layersOf: the smallest alone to begin with, and only those that the server wants', () => {
	const of = (pixels, layers) => layersOf(pixels, layers).map((e) => e.active ? e.scaleResolutionDownBy : 0);
	assert.deepEqual(of(960 * 540, 0), [4, 0, 0]);
	assert.deepEqual(of(0, 0), [4, 0, 0]);
	assert.deepEqual(of(960 * 540, 7), [4, 2, 1]);
	assert.deepEqual(of(1280 * 720, 5), [4, 0, 1]);
	// Browsers make fewer of a small camera, the first of the list.
	assert.deepEqual(of(640 * 360, 7), [2, 1, 0]);
	assert.deepEqual(of(320 * 240, 7), [1, 0, 0]);
	const rates = layersOf(960 * 540, 7).map((e) => e.maxBitrate);
	assert.deepEqual(rates, [66667, 200000, 600000]);
	assert.equal(layersOf(320 * 240, 7)[0].maxBitrate, 600000);
	// A browser refuses less than 1 even of what it does not send.
	assert.ok(layersOf(120, 0).every((e) => e.scaleResolutionDownBy >= 1));
});

test('grid: every tile inside, none over another, of a bearable shape', () => {
	for (const [w, h] of [[320, 420], [390, 720], [740, 280], [1280, 700], [2560, 1300], [900, 900]])
		for (let n = 1; n <= 25; n++) {
			const rects = grid(w, h, n);
			assert.equal(rects.length, n);
			for (const r of rects) {
				assert.ok(inside(r, w, h), `${n} in ${w}x${h}: ${JSON.stringify(r)}`);
				assert.ok(r.w / r.h > 0.78 && r.w / r.h < 1.82, `${n} in ${w}x${h}: shape ${r.w / r.h}`);
			}
			for (let i = 0; i < n; i++)
				for (let j = 0; j < i; j++)
					assert.ok(!overlap(rects[i], rects[j]));
		}
	assert.deepEqual(grid(0, 100, 3), []);
	assert.deepEqual(grid(100, 100, 0), []);
});

test('grid: no lonely last row where there is a better way', () => {
	const rows = new Set(grid(1280, 700, 7).map((r) => r.y));
	assert.equal(rows.size, 2);
});

test('spotlight: the first is largest, the others fit, whatever the shape of a screen', () => {
	for (const [w, h] of [[320, 420], [374, 760], [740, 280], [828, 310], [1264, 712], [1904, 992], [304, 120]])
		for (const shape of [0, 16 / 9, 4 / 3, 21 / 9, 9 / 19])
			for (let n = 0; n <= bandSize(w, h, shape); n++) {
				const what = (r, i) => `${i} of ${n} in ${w}x${h} (${shape}): ${JSON.stringify(r)}`;
				const rects = spotlight(w, h, n, shape);
				assert.equal(rects.length, n + 1);
				for (const [i, r] of rects.entries()) {
					assert.ok(inside(r, w, h) && r.w > 0 && r.h > 0, what(r, i));
					if (i)
						assert.ok(r.w * r.h < rects[0].w * rects[0].h, what(r, i));
					for (let j = 0; j < i; j++)
						assert.ok(!overlap(r, rects[j]), what(r, i));
				}
			}
});

test('spotlight: a screen on an upright phone leaves its room to people, not to black bars', () => {
	const [screen, ...others] = spotlight(374, 760, 9, 16 / 9);
	assert.ok(screen.h < 374 * 9 / 16 + 60, String(screen.h));
	assert.ok(bandSize(374, 760, 16 / 9) >= 9 && bandSize(374, 760, 16 / 9) > 2 * bandSize(374, 760));
	assert.ok(others.every((r) => r.y >= screen.y + screen.h));
	// And few people do not grow larger than the screen.
	assert.ok(spotlight(374, 760, 1, 16 / 9)[1].h < 200);
});

test('roleOf: what the link itself says, and nothing from rubbish', () => {
	assert.equal(roleOf('AQAAAAAAAQUAAAAAcGFsYWJyZaL4LK908gNz-Kny6v-K6uA'), 'listener');
	assert.equal(roleOf('AQAAAAAAAQIAAAAAcGFsYWJyZaL4LK908gNz-Kny6v-K6uA'), 'speaker');
	for (const token of ['', 'abc', '%%%', 'AQAAAAAAAgUAAAAAcGFsYWJyZQ', 'AQAAAAAAAf8AAAAAcGFsYWJyZQ'])
		assert.equal(roleOf(token), '', token);
});

const person = (key, rank, fixed = false) => ({ key, id: key, kind: 'camera', video: true, rank, fixed });

test('choose: everybody who fits, in the order of coming', () => {
	const all = [person('a', 1), person('b', 3), person('c', 2)];
	const first = choose(all, [], 5);
	assert.deepEqual([...first].sort(), ['a', 'b', 'c']);
	assert.deepEqual(choose([...all, person('d', 99)], first, 5), [...first, 'd']);
});

test('choose: a speaker takes one place, nobody else moves', () => {
	const before = ['me', 'a', 'b', 'c'];
	const all = [person('me', 0, true), person('a', 5), person('b', 1), person('c', 4), person('d', 9), person('e', 0.5)];
	assert.deepEqual(choose(all, before, 4), ['me', 'a', 'd', 'c']);
});

test('choose: equal ranks do not swap for ever, oneself stays, those who left go', () => {
	const all = [person('me', -5, true), person('a', 1), person('b', 1), person('c', 1)];
	const shown = choose(all, [], 3);
	assert.deepEqual(choose(all, shown, 3), shown);
	assert.ok(shown.includes('me'));
	assert.deepEqual(choose(all.slice(0, 2), shown, 3).sort(), ['a', 'me']);
	assert.deepEqual(choose(all, ['a', 'b', 'me', 'c'], 2).includes('me'), true);
	assert.deepEqual(choose([], ['x'], 3), []);
});

test('gridSize grows with the window and has an end', () => {
	assert.ok(gridSize(320, 480) >= 4);
	assert.ok(gridSize(1280, 700) > gridSize(390, 700));
	assert.equal(gridSize(9000, 9000), 25);
	assert.equal(gridSize(10, 10), 2);
});

test('viewList: most important first, real pixels in steps of 16, at most 64', () => {
	const list = viewList([{ id: 'a', kind: 'camera', rank: 1, w: 100, h: 60 },
		{ id: 'b', kind: 'screen', rank: 9, w: 801, h: 600 }], 2);
	assert.deepEqual(list, [{ p: 'b', k: 'screen', w: 1616, h: 1200 }, { p: 'a', k: 'camera', w: 208, h: 128 }]);
	assert.equal(viewList(Array.from({ length: 99 }, (_, i) => ({ id: `${i}`, kind: 'camera', rank: i, w: 1, h: 1 })), 1).length, 64);
	assert.equal(viewList([{ id: 'a', kind: 'camera', rank: 1, w: 1e6, h: 1 }], 3)[0].w, 4096);
});

test('rtpReached: with wrap-around', () => {
	assert.ok(rtpReached(100, 100));
	assert.ok(rtpReached(101, 100));
	assert.ok(!rtpReached(99, 100));
	assert.ok(rtpReached(5, 0xfffffff0));
	assert.ok(!rtpReached(0xfffffff0, 5));
	assert.ok(!rtpReached(0, 59 * 90000));
	assert.ok(rtpReached(0, 61 * 90000), 'that is long ago');
	assert.ok(rtpReached(0xc0000000, 0));
});

test('sourceOf: the newest key frame that the frame shown has reached', () => {
	const a = (ts) => ({ source: 5, rtpTimestamp: ts }), b = (ts) => ({ source: 9, rtpTimestamp: ts });
	assert.equal(sourceOf([], 100, null), null);
	assert.equal(sourceOf([{ source: 5 }], 100, null), null, 'a browser that tells no timestamps');
	assert.deepEqual(sourceOf([a(100)], 100, null), { id: 5, ts: 100 });
	assert.equal(sourceOf([a(100)], 99, null), null, 'decoded, but not yet shown');
	assert.deepEqual(sourceOf([a(100), b(200)], 250, null), { id: 9, ts: 200 });
	assert.deepEqual(sourceOf([b(200), a(100)], 250, 100), { id: 9, ts: 200 });
	assert.deepEqual(sourceOf([a(100), b(200)], 150, null), { id: 5, ts: 100 });
	// The next key frame of who is shown is decoded: older ones of others don't come back.
	assert.equal(sourceOf([a(300), b(50)], 290, 100), null);
	assert.equal(sourceOf([a(100)], 290, 100), null, 'known already');
	assert.deepEqual(sourceOf([a(0xfffffff0), b(5)], 9, 0xfffffff0), { id: 9, ts: 5 }, 'wrapped');
});

test('streamOf: the server numbers streams as person · 4 + kind', () => {
	assert.deepEqual(streamOf(7 << 2 | 1), { n: 7, k: 'camera' });
	assert.deepEqual(streamOf(0xfffffffe), { n: 0x3fffffff, k: 'screen' });
});

test('Talkers: whom the newest packet that says anything names', () => {
	const t = new Talkers();
	const a = (rtpTimestamp) => ({ source: 9, rtpTimestamp, timestamp: 1 });
	const b = (rtpTimestamp) => ({ source: 5, rtpTimestamp, timestamp: 1 });
	const nobody = (rtpTimestamp) => ({ source: 0, rtpTimestamp, timestamp: 1 });
	assert.equal(t.tick([], 1000, 900), null, 'told, and the sound says nothing yet');
	assert.deepEqual(t.tick([], 6000, 900), [], 'that is long ago');
	assert.deepEqual(t.tick([a(0xfffffff0)], 6300, 900), [9]);
	assert.deepEqual(t.tick([a(50), b(50)], 6600, 900), [9, 5], 'over the end of the clock');
	assert.deepEqual(t.tick([b(3000), a(50)], 6900, 900), [5]);
	assert.equal(t.tick([b(3000), a(50)], 7200, 7000), null, 'told anew');
	assert.deepEqual(t.tick([b(5000), a(50)], 7500, 7000), [5]);
	assert.deepEqual(t.tick([nobody(8000), b(5000)], 7800, 7000), []);
	assert.deepEqual(t.tick([a(9000), nobody(8000)], 8100, 7000), [9]);
	assert.deepEqual(t.tick([a(9000)], 13000, 7000), [9]);
	assert.deepEqual(t.tick([a(9000)], 13200, 7000), [], 'nothing more came');
	const old = new Talkers(); // a browser that names no RTP timestamps
	assert.deepEqual(old.tick([{ source: 9, timestamp: 10.5 }, { source: 5, timestamp: 20.5 }], 100, 0), [5]);
});

test('initials: of one, two and many words, of any script', () => {
	assert.equal(initials('Amina Diallo'), 'AD');
	assert.equal(initials('kwame'), 'K');
	assert.equal(initials('María José de la Cruz'), 'MC');
	assert.equal(initials('  Zoë '), 'Z');
	assert.equal(initials('李小龙'), '李');
	assert.equal(initials('أمينة الفاسي'), 'أ', 'two Arabic letters would join to a word');
	assert.equal(initials('Ana الفاسي'), 'A');
	assert.equal(initials('(Ana) Ruiz'), 'AR');
	assert.equal(initials('🙂'), '?');
	assert.equal(initials(''), '?');
});

test('words: the right form for every number, in every language; what runs the other way stays in one piece', async () => {
	const root = { lang: 'en', dir: '', dataset: { web: at('') } };
	globalThis.document = { hidden: false, addEventListener() {}, documentElement: root, querySelectorAll: () => [] };
	const { LANGUAGES, figure, language, loadLanguage, t, tn } = await import(at('i18n.js'));
	for (const lang of Object.keys(LANGUAGES)) {
		await loadLanguage(lang);
		assert.deepEqual([language(), root.lang, root.dir], [lang, lang, lang === 'ar' ? 'rtl' : 'ltr']);
		for (const key of ['people.title', 'people.others', 'stage.more', 'said.joined.many', 'said.left.many'])
			for (const n of [0, 1, 2, 3, 10, 11, 99, 100, 101, 111, 5000, 2e6])
				assert.ok(!tn(key, n).includes(key) && !/[{}]/.test(tn(key, n)), `${lang} ${key} ${n}: ${tn(key, n)}`);
	}
	const bare = (text) => text.replace(/[\u2066-\u2069]/g, '');
	await loadLanguage('ar');
	assert.deepEqual([0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 111].map((n) => bare(tn('people.title', n))), ['لا أحد', 'شخص واحد',
		'شخصان', '3 أشخاص', '10 أشخاص', '11 شخصًا', '99 شخصًا', '100 شخص', '102 شخص', '103 أشخاص', '111 شخصًا']);
	assert.equal(figure(1234.5), '1,234.5');
	assert.equal(t('stage.screen', { name: 'Kwame (Accra)' }), 'شاشة \u2068Kwame (Accra)\u2069');
	await loadLanguage('sw');
	assert.deepEqual([1, 2].map((n) => tn('people.title', n)), ['Mtu 1', 'Watu 2']);
	assert.equal(t('stage.screen', { name: 'Kwame' }), 'Skrini ya Kwame');
	assert.equal(t('stage.screen', { name: 'أمينة' }), 'Skrini ya \u2068أمينة\u2069');
	await loadLanguage('fr');
	assert.deepEqual([0, 1, 2, 2e6].map((n) => tn('people.title', n).replace(/\s/g, ' ')),
		['0 personne', '1 personne', '2 personnes', '2 000 000 personnes']);
	assert.equal(t('prejoin.room'), 'Salle\u00a0:', 'no colon at the begin of a line');
	await loadLanguage('pt');
	assert.equal(tn('people.title', 1), '1 pessoa');
	assert.equal(figure(1234.5), '1.234,5');
});

test('hue: the same for the same, in range', () => {
	assert.equal(hue('p1', 6), hue('p1', 6));
	for (let i = 0; i < 100; i++)
		assert.ok(hue(`x${i}`, 6) >= 0 && hue(`x${i}`, 6) < 6);
});

test('retryDelay: 0.2 s doubling to 5 s, back within 5 s of a server that was away for 3', () => {
	assert.equal(retryDelay(0, 0.5), 200);
	assert.equal(retryDelay(1, 0.5), 400);
	assert.equal(retryDelay(20, 0.5), 5000);
	let sum = 0, n = 0;
	while (sum < 3000)
		sum += retryDelay(n++, 1);
	assert.ok(sum - 3000 < 4000);
});

test('readLink: only links to calls', () => {
	const base = 'https://here.example/';
	assert.equal(readLink('https://a.example/r/room-1#tok', base), 'https://a.example/r/room-1#tok');
	assert.equal(readLink('  /r/abc#t\n', base), 'https://here.example/r/abc#t');
	for (const bad of ['', 'https://a.example/r/room-1', 'https://a.example/x#t', 'javascript:alert(1)#x',
		'javascript:/r/a#t', 'https://a.example/r/ROOM!#t', 'data:/r/a#t'])
		assert.equal(readLink(bad, base), '', bad);
});

test('people: a part of a large room is told, the rest asked for when it is wanted', async () => {
	globalThis.document = { hidden: false, addEventListener() {} }; // state.js looks whether anybody sees it
	const { setPeople, addPeople, missPeople, wantsPeople, onPerson } = await import(at('people.js'));
	const { state } = await import(at('state.js'));
	const part = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => ({ id: `p${from + i}`, name: `P ${from + i}`, role: 'speaker', n: from + i }));
	const said = [];
	const tell = (e) => onPerson(e, (what, name) => said.push(`${what} ${name}`));
	state.me.id = 'p1';
	setPeople({ people: part(1, 100), count: 100 });
	assert.equal(wantsPeople(), null, 'all are known');
	setPeople({ people: part(1, 100), count: 300, more: 100 });
	assert.equal(wantsPeople(), 100, 'a few hundred are asked for at once');
	addPeople({ people: part(101, 200), count: 300, more: 200 });
	assert.equal(wantsPeople(), 200);
	setPeople({ people: part(1, 100), count: 5000, more: 100 });
	assert.equal(state.people.size, 100);
	assert.equal(wantsPeople(), null, 'a crowd is not');
	state.peopleOpen = true;
	for (let n = 100; n < 500; n += 100) {
		assert.equal(wantsPeople(), n, 'but where the list is looked at');
		addPeople({ people: part(n + 1, n + 100), count: 5000, more: n + 100 });
	}
	assert.equal(wantsPeople(), null, 'as far as anybody reads');
	tell({ t: 'join', p: { id: 'new', name: 'New', role: 'speaker', n: 5001 } });
	tell({ t: 'join', p: { id: 'new', name: 'New', role: 'speaker', n: 5001 } });
	tell({ t: 'leave', id: 'p4000' });
	tell({ t: 'leave', id: 'p2' });
	assert.equal(state.count, 4999);
	tell({ t: 'update', id: 'p3000', name: 'P 3000', role: 'speaker', n: 3000, mic: true });
	assert.equal(state.people.get('p3000').mic, true, 'who was not known and speaks is known then');
	assert.deepEqual(said, ['joined New', 'left P 2']);
	state.peopleOpen = false;
	setPeople({ people: part(1, 100), count: 400, more: 0, shown: false });
	assert.equal(wantsPeople(), 0, 'who shows something is asked for, however many there are');
	addPeople({ people: part(101, 200), count: 400, more: 200 });
	assert.equal(wantsPeople(), 200);
	setPeople({ people: part(1, 100), count: 400, more: 100, shown: true });
	missPeople(['p7', null, undefined]);
	assert.equal(wantsPeople(), null);
	missPeople(['p300']);
	assert.equal(wantsPeople(), 100, 'somebody unknown speaks');
	setPeople({ people: [] });
});

test('steer: leaves small skew alone', () => {
	for (const skew of [0, 40, -40])
		assert.deepEqual(steer(skew, { audio: 10, video: 50 }, { audio: 60, video: 60 }), { audio: 10, video: 50 });
	assert.deepEqual(steer(-70, { audio: 0, video: 0 }, { audio: 60, video: 60 }), { audio: 0, video: 0 });
});

// A model of both jitter buffers: a target is a lower bound of the delay, as in libwebrtc.
function settleFrom(audioBase, videoBase) {
	let targets = { audio: 0, video: 0 };
	let skew = 0;
	for (let i = 0; i < 25; i++) {
		const delay = { audio: Math.max(audioBase, targets.audio), video: Math.max(videoBase, targets.video) };
		skew = delay.audio - delay.video; // a longer delay of sound makes the picture early
		targets = steer(skew, targets, delay);
		assert.ok(targets.audio >= 0 && targets.audio <= 300 && targets.video >= 0 && targets.video <= 2000);
	}
	return { skew, targets };
}

test('steer: brings a skew of either sign below 120 ms, and takes back what it added', () => {
	for (const [audio, video] of [[400, 40], [900, 60], [60, 250], [60, 350], [100, 100], [20, 60]]) {
		const { skew } = settleFrom(audio, video);
		assert.ok(Math.abs(skew) <= 120, `sound ${audio}, picture ${video}: ${skew}`);
	}
	assert.ok(settleFrom(60, 900).targets.audio === 300, 'sound is never delayed by more than 300 ms');
	assert.deepEqual(steer(-500, { audio: 0, video: 30 }, { audio: 50, video: 50 }).video, 0);
	assert.equal(steer(500, { audio: 120, video: 0 }, { audio: 120, video: 50 }).audio, 0);
});

// A slot that puts out, at time `now`, what was captured `late` ms before (all ms, of one clock).
function lipSlot(mid, kind, k) {
	const rate = kind === 'audio' ? 48 : 90;
	const slot = { mid, kind, p: 'p1', k, turn: 1, pending: [], el: null, clock: { ts: 0xffff0000, at: 5000 },
		receiver: { jitterBufferTarget: null, getSynchronizationSources: () => slot.sources } };
	slot.sources = [];
	slot.put = (now, late) => {
		const rtp = Math.round((now - late - 5000) * rate) + 0xffff0000;
		slot.sources = [{ timestamp: now + 1e12, rtpTimestamp: rtp % 2 ** 32 }];
	};
	return slot;
}
const buffers = (i) => new Map([['4', { delay: i * 5, emitted: i * 100 }], ['7', { delay: i * 1.25, emitted: i * 25 }]]);

test('LipSync: steers the pair of one person by capture times, lets go when the slot changes', () => {
	const a = lipSlot('4', 'audio', 'mic'), v = lipSlot('7', 'video', 'camera');
	const sync = new LipSync();
	for (let i = 1; i <= 3; i++) {
		// Both buffers hold 50 ms; the sound was longer on its way. The first second may still be the one before's.
		a.put(10000 + i * 1000, 400);
		v.put(10000 + i * 1000, 100);
		assert.equal(v.receiver.jitterBufferTarget, null);
		sync.tick(buffers(i), [a, v]);
	}
	// 300 ms are wanted; more than 80 at once would be a freeze.
	assert.equal(v.receiver.jitterBufferTarget, 130);
	assert.equal(a.receiver.jitterBufferTarget, null);
	// The same numbers again say nothing new; nor do those from before the step.
	for (let i = 4; i <= 9; i++)
		sync.tick(buffers(i), [a, v]);
	assert.equal(v.receiver.jitterBufferTarget, 130);
	v.p = 'p2';
	sync.tick(new Map(), [a, v]);
	assert.equal(v.receiver.jitterBufferTarget, null);
	assert.equal(sync.pairs.size, 0);
});

test('LipSync: somebody who was away from the slot in between is not steered', () => {
	const a = lipSlot('4', 'audio', 'mic'), v = lipSlot('7', 'video', 'camera');
	const sync = new LipSync();
	for (let i = 1; i <= 12; i++) {
		a.put(10000 + i * 1000, 400);
		v.put(10000 + i * 1000, 100);
		v.turn += 2 * (i % 2); // another and back, every second second
		sync.tick(buffers(i), [a, v]);
		assert.equal(v.receiver.jitterBufferTarget, null);
	}
});

test('LipSync: a clock gone wrong is not believed; without a clock nothing is done', () => {
	for (const wrong of [(v) => { v.clock.at -= 60000; }, (v) => { v.clock = null; }]) {
		const a = lipSlot('4', 'audio', 'mic'), v = lipSlot('7', 'video', 'camera');
		const sync = new LipSync();
		wrong(v);
		for (let i = 1; i <= 5; i++) {
			a.put(10000 + i * 1000, 100);
			v.put(10000 + i * 1000, 100);
			sync.tick(buffers(i), [a, v]);
		}
		assert.equal(a.receiver.jitterBufferTarget, null);
		assert.equal(v.receiver.jitterBufferTarget, null);
	}
});

test('LipSync: timestamps may turn over, again and again', () => {
	const a = lipSlot('4', 'audio', 'mic'), v = lipSlot('7', 'video', 'camera');
	const sync = new LipSync();
	for (let i = 1; i <= 60; i++) {
		a.put(i * 3600e3, 130);
		v.put(i * 3600e3, 100);
		sync.tick(buffers(i), [a, v]);
		assert.equal(v.receiver.jitterBufferTarget, null, `after ${i} hours`);
		assert.equal(a.receiver.jitterBufferTarget, null, `after ${i} hours`);
	}
});

test('Weakness: slow to cry, slower to forget', () => {
	const w = new Weakness();
	let received = 0, lost = 0;
	const second = (bad) => w.tick({ rtt: 0.1, lostBack: 0, received: received += 50, lost: lost += bad ? 10 : 0 });
	second(false);
	assert.equal(w.clean, false);
	assert.equal(second(true), false);
	assert.equal(second(true), false);
	assert.equal(w.clean, false);
	assert.equal(second(true), true);
	for (let i = 0; i < 7; i++)
		assert.equal(second(false), true);
	assert.equal(second(false), false);
	assert.equal(w.clean, true);
	assert.equal([1, 2, 3].map(() => w.tick({ rtt: 1.2, lostBack: 0, received, lost })).pop(), true);
	assert.equal(w.clean, true); // once and for all
});

test('Hold: more than the server says while repeats come too late, and speech is missing', () => {
	const h = new Hold();
	const heard = { samples: 0, missing: 0, late: 0 };
	const second = (missing, late) => {
		heard.samples += 48000;
		heard.missing += missing;
		heard.late += late;
		return h.tick({ ...heard });
	};
	assert.equal(second(0, 0), false);
	assert.equal(second(9000, 0), false); // lost for good: waiting would not help
	assert.equal(second(1000, 3), false); // RED's copies, of what was there
	assert.equal(second(9000, 3), true);
	assert.equal(h.ms, 200);
	h.ms = 900; // the server's word
	assert.equal(second(9000, 1), true);
	assert.equal(h.ms, 1100);
	for (let i = 0; i < 9; i++)
		second(9000, 1);
	assert.equal(h.ms, 1600);
	assert.equal(second(9000, 1), false);
});

/** When Silence tells, ms, for arrivals at these times; looked at every 300 ms until `end`. */
function told(silence, arrivals, end, expected = () => true) {
	const times = [];
	for (let now = 0; now <= end; now += 300)
		if (silence.tick(expected(now) ? arrivals.filter((t) => t <= now).length : null, now))
			times.push(now);
	return times;
}
const each = (ms, from, to) => Array.from({ length: Math.ceil((to - from) / ms) }, (_, i) => from + i * ms);

test('Silence: a voice that stops, a report a second that stops', () => {
	const voice = each(20, 0, 10000);
	assert.deepEqual(told(new Silence(), voice, 20000), [11700]); // once
	const reports = told(new Silence(), each(1000, 0, 10000), 20000);
	assert.equal(reports.length, 1);
	assert.ok(reports[0] - 9000 <= 2400, `after ${reports[0] - 9000} ms`);
	// A voice ends, the reports go on: nothing has died.
	assert.deepEqual(told(new Silence(), [...voice, ...each(1000, 10050, 20000)], 20000), []);
});

test('Silence: only where there was something regular, and something to expect', () => {
	assert.deepEqual(told(new Silence(), [0, 200], 10000), []);
	assert.deepEqual(told(new Silence(), each(2500, 0, 60000), 60000), []); // an idle browser's pings
	assert.deepEqual(told(new Silence(), each(5000, 0, 60000), 60000), []); // an idle leg's reports
	assert.deepEqual(told(new Silence(), [], 60000), []);
	const voice = each(20, 0, 10000);
	assert.deepEqual(told(new Silence(), voice, 30000, (now) => now < 9900), []); // muted
	assert.deepEqual(told(new Silence(), voice, 30000, (now) => now < 9900 || now > 12000), []);
});

test('Silence: pauses of a thin link are learned', () => {
	// Bursts: 1.8 s of nothing every 4 s.
	const bursts = each(20, 0, 60000).filter((t) => t % 4000 < 2200);
	assert.ok(told(new Silence(), bursts, 60000).length <= 1);
	// Every fifth report lost, by chance (a fixed one).
	let x = 1;
	const lossy = each(1000, 0, 120000).filter(() => (x = x * 16807 % 2147483647) % 5);
	const s = new Silence();
	const times = told(s, lossy, 120000);
	assert.ok(times.length <= 4, `${times}`);
	// And a death is still noticed after a quiet minute.
	const voice = [...lossy, ...each(20, 120000, 180000)];
	assert.deepEqual(told(new Silence(), voice, 190000).filter((t) => t > 180000), [181500]);
});

test('offerFeedback: for Opus and video, of a browser that obeys', async () => {
	const offer = (name) => readFile(new URL(`../unit/data/offers/${name}.sdp`, import.meta.url), 'utf8');
	const chromium = await offer('chromium-full');
	const changed = offerFeedback(chromium);
	const sections = (sdp, kind) => sdp.split(/^(?=m=)/m).filter((m) => m.startsWith(`m=${kind}`));
	assert.ok(sections(changed, 'audio').length > 3 && sections(changed, 'video').length > 3);
	for (const section of sections(changed, 'audio'))
		assert.equal(section.match(/^a=rtpmap:111 opus.48000.2\r\na=rtcp-fb:111 nack\r\n/gm)?.length, 1);
	for (const section of sections(changed, 'video')) {
		const pts = [...section.matchAll(/^a=rtpmap:(\d+) (?!rtx|red|ulpfec|flexfec)/gm)].map((m) => m[1]);
		assert.ok(pts.length);
		assert.deepEqual([...section.matchAll(/^a=rtcp-fb:(\d+) rrtr\r$/gm)].map((m) => m[1]), pts);
	}
	assert.equal(changed.replaceAll(/a=rtcp-fb:(111 nack|\d+ rrtr)\r\n/g, ''), chromium);
	assert.equal(offerFeedback(changed), changed);
	const firefox = await offer('firefox-full');
	assert.equal(offerFeedback(firefox), firefox);
});

const ANSWER = ['v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0',
	'm=audio 9 UDP/TLS/RTP/SAVPF 111 63', 'a=mid:0', 'a=recvonly', 'a=rtpmap:111 opus/48000/2',
	'a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1', 'a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111',
	'm=audio 9 UDP/TLS/RTP/SAVPF 111 63', 'a=mid:10', 'a=sendonly', 'a=rtpmap:111 opus/48000/2',
	'a=fmtp:111 minptime=10;useinbandfec=1', 'a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111', ''].join('\r\n');

test('steerAnswer: packet length and bitrate of the one section, RED first or last', () => {
	const lines = (/** @type {string} */ sdp) => sdp.split('\r\n');
	const thin = lines(steerAnswer(ANSWER, '0', { rung: 1, red: false }));
	assert.equal(thin[4], 'm=audio 9 UDP/TLS/RTP/SAVPF 111 63');
	assert.ok(thin.includes(`a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1;maxaveragebitrate=9000;maxplaybackrate=8000`));
	assert.ok(lines(steerAnswer(ANSWER, '0', { rung: 1, red: true })).some((l) => l.endsWith(';maxaveragebitrate=8000;maxplaybackrate=8000')));
	assert.ok(lines(steerAnswer(ANSWER, '0', { rung: 3, red: false })).some((l) => l.endsWith(`;maxaveragebitrate=${RUNGS[3][0]}`)));
	assert.equal(thin.filter((l) => l === 'a=ptime:120').length, 1);
	assert.equal(thin.filter((l) => l === 'a=maxptime:120').length, 1);
	assert.ok(thin.indexOf('a=ptime:120') < thin.indexOf('a=mid:10'));
	assert.ok(!thin.slice(thin.indexOf('a=mid:10')).some((l) => /maxaverage|ptime:/.test(l) && !/minptime/.test(l)));
	assert.equal(thin.at(-1), '');
	assert.ok(!thin.slice(0, -1).includes(''), 'no empty line');
	assert.equal(lines(steerAnswer(ANSWER, '0', { rung: FREE, red: true }))[4], 'm=audio 9 UDP/TLS/RTP/SAVPF 63 111');
	assert.equal(steerAnswer(ANSWER, '0', { rung: FREE, red: false }), ANSWER);
	assert.equal(steerAnswer(ANSWER, '7', { rung: 0, red: true }), ANSWER, 'no such section');
	// The last section, and another one's mid that begins alike.
	const last = lines(steerAnswer(ANSWER, '10', { rung: 5, red: false }));
	assert.equal(last.filter((l) => l === 'a=ptime:20').length, 1);
	assert.ok(last.indexOf('a=ptime:20') > last.indexOf('a=mid:10'));
});

test('wishes: each has its own answer, whatever the order, and none is waited for that did not leave', async () => {
	const { sendsBy, takes, tell, wish } = await import(at('wish.js'));
	assert.equal(await wish({ t: 'hand' }), 'unsent');
	/** @type {any[]} */
	const left = [];
	sendsBy((/** @type {any} */ m) => !!left.push(m));
	const first = wish({ t: 'hand' }), second = wish({ t: 'vote', q: 7 });
	assert.deepEqual(left.map(({ ref: _, ...m }) => m), [{ t: 'hand' }, { t: 'vote', q: 7 }]);
	tell({ t: 'error', error: 'not-allowed', why: 'own', ref: left[1].ref });
	tell({ t: 'ok', ref: left[0].ref });
	tell({ t: 'ok', ref: 999 });
	assert.equal(await first, '');
	assert.equal(await second, 'own');
	const third = wish({ t: 'hand' });
	tell({ t: 'error', error: 'too-many', ref: left[2].ref });
	assert.equal(await third, 'too-many');
	/** @type {string[]} */
	const heard = [];
	takes({ item: () => heard.push('a') });
	takes({ item: () => heard.push('b'), gone: () => heard.push('c') });
	tell({ t: 'item' });
	tell({ t: 'unknown' });
	assert.deepEqual(heard, ['a', 'b']);
});

test('Climb: twice as much each second while the browser believes it; else again after a while, by less, if no queue has been', () => {
	const good = new Climb();
	const answer = 'a=fmtp:96 x-google-start-bitrate=30\r\na=fmtp:98 profile-id=0;x-google-start-bitrate=30\r\n';
	assert.equal(good.put(answer), answer);
	const took = [];
	for (let s = 0, estimate = 30000; s < 10; s++, estimate = good.kbit * 1000)
		if (good.tick(estimate, 0.05))
			took.push(good.kbit);
	assert.deepEqual(took, [60, 120, 240, 480]);
	assert.equal(good.put('x-google-start-bitrate=30;x'), 'x-google-start-bitrate=480;x');
	const thin = new Climb();
	assert.equal(thin.tick(31000, 0.05), true);
	assert.equal(thin.tick(62000, 0.05), true);
	assert.equal(thin.kbit, 124);
	assert.equal(thin.tick(95000, 0.05), false, 'it has found the end');
	assert.equal(thin.kbit, 124, 'a changed number would be taken for a new beginning');
	const at = [];
	for (let s = 1; s < 200; s++) // it bears 80, and each time is found out in a second
		if (thin.tick(thin.kbit > 80 ? 60000 : thin.kbit * 1000, 0.05))
			at.push([s, thin.kbit]);
	assert.deepEqual(at.map(([s]) => s), [6, 18, 40, 82, 164]);
	assert.ok(at.every(([, kbit]) => kbit === 90 || kbit === 91));
	const full = new Climb();
	assert.equal(full.tick(31000, 0.05), true);
	assert.equal(full.tick(62000, 0.06), true);
	assert.equal(full.tick(40000, 0.06), false);
	for (let s = 0; s < 200; s++) // the round trip is measured but now and then
		assert.equal(full.tick(40000, s === 3 ? 0.27 : 0.07), false, 'its queue has been seen');
	const nearly = new Climb();
	assert.deepEqual([30000, 250000, 470000, 470000, 470000].map((bps) => nearly.tick(bps, 0.05)), [true, true, false, false, false]);
	const found = new Climb();
	assert.equal(found.tick(700000, 0.05), false, 'by itself');
	const none = new Climb();
	assert.equal(none.tick(0, 0.05), false);
	assert.equal(none.tick(30000, 0.05), true);
});

const { clock, leftOf, pieces } = await import(at('text.js'));

test('links: only http and https, without what is not of the address, and the text stays whole', () => {
	const linksOf = (/** @type {string} */ text) => pieces(text).filter((p) => p.href).map((p) => p.href);
	for (const [text, want] of /** @type {[string, string[]][]} */ ([
		['see https://example.org/a.', ['https://example.org/a']],
		['(https://example.org/a_(b)) and http://x.test:81/?q=1&r=2#s, yes', ['https://example.org/a_(b)', 'http://x.test:81/?q=1&r=2#s']],
		['javascript:alert(1) data:text/html,x ftp://a.test mailto:a@b.test', []],
		['https://bank.example@evil.test/ https://a:b@evil.test', []],
		['xhttps://a.test https:// https://? http://[', []],
		['<a href="https://a.test/x">https://b.test</a>', ['https://a.test/x', 'https://b.test/']],
		['«https://a.test/é»، https://a.test؟', ['https://a.test/%C3%A9', 'https://a.test/']],
		['', []]])) {
		assert.deepEqual(linksOf(text), want, text);
		assert.equal(pieces(text).map((p) => p.text).join(''), text);
	}
	const long = 'https://'.repeat(100000);
	const begin = performance.now();
	assert.equal(pieces(long).map((p) => p.text).join(''), long);
	assert.equal(pieces(`https://a.test/${')'.repeat(3000)}`).map((p) => p.text).join('').length, 3015);
	assert.ok(performance.now() - begin < 1000, 'whatever somebody writes');
});

test('times and lengths', () => {
	assert.deepEqual([0, 9.9, 61, 3599, 3661, -3].map(clock), ['0:00', '0:09', '1:01', '59:59', '1:01:01', '0:00']);
	assert.equal(leftOf('', 400, 1200), 400);
	assert.equal(leftOf('a'.repeat(401), 400, 1200), -1);
	assert.equal(leftOf('😀'.repeat(300), 400, 1200), 0, 'four bytes each');
	assert.ok(leftOf('😀'.repeat(301), 400, 1200) < 0);
});

test('the board: kept by events, asked for again when a number is missed, in the order of the server', async () => {
	const { sendsBy, ask, takes, tell } = await import(at('wish.js'));
	const { take } = await import(at('more/page.js'));
	const { followItems, isWhole, items, mine, sorted, wantItems } = await import(at('more/items.js'));
	/** @type {any[]} */
	let left = [];
	sendsBy((/** @type {any} */ m) => !!left.push(m));
	const state = { panel: 'board', me: { id: 'me' }, board: { pending: 0 } };
	let leading = false;
	take(/** @type {any} */ ({ state, ask, takes, changed: () => {}, leads: () => leading, myNumber: () => 7 }));
	followItems();
	tell({ t: 'welcome', board: { r: 10 } });
	wantItems();
	wantItems();
	assert.deepEqual(left, [{ t: 'board' }], 'once');
	const rules = { hands: true, questions: true, approve: false, anonymous: true, order: 'votes', limit: 0 };
	tell({ t: 'board', r: 10, rules, items: [{ q: 3, text: 'c', v: 2 }, { q: 1, hand: true, n: 7, name: 'Me' }], more: 0 });
	assert.deepEqual(left[1], { t: 'board', after: 0, have: [3, 1] });
	assert.equal(isWhole(), false);
	tell({ t: 'board', r: 10, items: [{ q: 2, text: 'b', s: 'done', own: true, voted: true }] });
	assert.equal(isWhole(), true);
	tell({ t: 'item', q: 4, text: 'd', n: 7, name: 'Me', r: 11, open: 3 });
	tell({ t: 'votes', v: [[1, 5, 9]], r: 12 });
	assert.deepEqual(sorted('open').map((/** @type {any} */ i) => i.q), [1, 3, 4]);
	tell({ t: 'item', q: 2, text: 'b', s: 'now', r: 13, open: 3 });
	assert.deepEqual([items.get(2).own, items.get(2).voted, items.get(4).own, mine()], [true, true, true, 2]);
	tell({ t: 'gone', q: 3, r: 14, open: 2 });
	assert.equal(items.has(3), false);
	assert.equal(isWhole(), true);
	left = [];
	tell({ t: 'item', q: 9, text: 'i', r: 16, open: 3 });
	assert.equal(isWhole(), false, 'a number is missing');
	wantItems();
	assert.deepEqual(left, [{ t: 'board' }]);
	tell({ t: 'board', r: 16, rules, items: [{ q: 9, text: 'i' }] });
	assert.deepEqual([...items.keys()], [9]);
	tell({ t: 'welcome', board: { r: 16 } });
	assert.equal(isWhole(), true, 'nothing has happened meanwhile');
	tell({ t: 'welcome', board: { r: 17 } });
	assert.equal(isWhole(), false);
	// While a part is on its way another number is missed.
	wantItems();
	tell({ t: 'board', r: 17, rules, items: [{ q: 9, text: 'i' }], more: 9 });
	tell({ t: 'gone', q: 9, r: 19, open: 0 });
	tell({ t: 'board', r: 19, items: [] });
	assert.equal(isWhole(), false);
	leading = true;
	wantItems();
	tell({ t: 'board', r: 19, mr: 4, rules, items: [{ q: 9, text: 'i', s: 'pending' }] });
	tell({ t: 'item', q: 12, text: 'x', s: 'pending', mr: 5, open: 0 });
	assert.deepEqual([isWhole(), state.board.pending], [true, 2]);
	tell({ t: 'item', q: 13, text: 'y', s: 'pending', mr: 7, open: 0 });
	assert.equal(isWhole(), false, 'of those that moderators are told');
});
