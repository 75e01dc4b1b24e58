// SPDX-License-Identifier: AGPL-3.0-or-later
// The tiles: who is shown, where, and which of them the server is asked to send.
// Positions are computed (layout.js) and set as logical insets, so right-to-left comes by itself.
import { state, changed, inCall } from './state.js';
import { t, tn } from './i18n.js';
import { box, icon, make, setAttr, setLabel, setText } from './dom.js';
import { bandSize, choose, GAP, grid, gridSize, hue, initials, spotlight, viewList } from './layout.js';
import { media } from './media.js';
import { setView } from './session.js';

/** @typedef {import('./layout.js').Candidate} Candidate */
/** @typedef {import('./layout.js').Rect} Rect */
/** @typedef {{el: HTMLElement, face: HTMLElement, who: HTMLElement, note: HTMLElement, pin: HTMLButtonElement, own: HTMLVideoElement|null}} Tile */

const HUES = 6;
const AWAY_SHOWN_MS = 15000; // long enough for a phone to change its network
const VIEW_DELAY_MS = 200;
const VIEW_LIMIT_MS = 1000;
const HIDDEN_MS = 5000;
/** Of a picture so much must be left when a tile cuts it: less, and heads are gone. */
const LEFT_OF_PICTURE = 0.7;

/** @type {Map<string, Tile>} */
const tiles = new Map();
/** Keys in their places. @type {string[]} */
let places = [];
/** Key of the tile that lies over another one. */
let floating = '';
/** @type {HTMLButtonElement|null} */
let more = null;
/** @type {HTMLElement|null} */
let alone = null;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let viewTimer = undefined;
/** Since when a view waits to be asked for, 0 none. */
let wishedAt = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let awayTimer = undefined;

/** @returns {Candidate[]} */
function candidates() {
	const now = Date.now();
	const meId = state.me.id;
	/** @type {Candidate[]} */
	const list = [];
	const add = (/** @type {string} */ id, /** @type {'camera'|'screen'} */ kind, /** @type {boolean} */ video,
		/** @type {number} */ rank, fixed = false) => list.push({ key: `${id}/${kind}`, id, kind, video, rank, fixed });
	if (media.screen && meId)
		add(meId, 'screen', false, 0);
	for (const p of state.people.values()) {
		if (p.id === meId)
			continue;
		const speaking = state.speakers.includes(p.id);
		if (p.screen && !p.away)
			add(p.id, 'screen', true, 1e14, true);
		if (p.lost && now - p.lost > AWAY_SHOWN_MS)
			continue;
		add(p.id, 'camera', p.camera && !p.away, (speaking ? 4e12 : 0) + p.spoke + (p.camera ? 1e9 : 0) -
			p.since - (p.lost ? 9e12 : 0), state.spotlight.includes(p.id));
	}
	if (meId)
		add(meId, 'camera', false, 2e12, !list.some((c) => c.kind === 'screen'));
	return list;
}

/** Whom a moderator shows to all: their screen, or their face. Oneself one need not see large. @param {Candidate[]} all */
function spotlit(all) {
	const lit = all.filter((c) => c.id !== state.me.id && state.spotlight.includes(c.id));
	return lit.find((c) => c.kind === 'screen') || lit[0] || null;
}

export function renderStage() {
	const stage = box('stage');
	if (!inCall()) {
		clear();
		return;
	}
	const width = stage.clientWidth, height = stage.clientHeight;
	const all = candidates();
	if (state.pinned && !all.some((c) => c.key === state.pinned))
		state.pinned = '';
	const large = all.find((c) => c.key === state.pinned) || spotlit(all) ||
		all.find((c) => c.kind === 'screen' && c.id !== state.me.id) || null;
	const focused = stage.contains(document.activeElement);
	const { keys, rects, hidden } = arrange(all, large, width, height);
	const byKey = new Map(all.map((c) => [c.key, c]));

	for (const [key, tile] of tiles)
		if (!keys.includes(key)) {
			park(tile);
			tile.el.remove();
			tiles.delete(key);
		}
	keys.forEach((key, i) => {
		const c = byKey.get(key);
		if (c)
			renderTile(c, rects[i], large?.key === key, stage);
	});
	renderMore(stage, hidden, rects[keys.length]);
	renderAlone(stage, !large && all.length < 2);
	placeVideos();
	if (focused && !stage.contains(document.activeElement))
		(stage.querySelector('button') || box('call-title')).focus();
	askFor(keys.map((key, i) => ({ c: byKey.get(key), r: rects[i] })), large);
	clearTimeout(awayTimer);
	if (all.some((c) => state.people.get(c.id)?.lost))
		awayTimer = setTimeout(changed, 5000); // their time on the stage ends
}

/**
 * @param {Candidate[]} all @param {Candidate|null} large @param {number} width @param {number} height
 * @returns {{keys: string[], rects: Rect[], hidden: number}} one more rectangle than keys if some are hidden
 */
function arrange(all, large, width, height) {
	const others = large ? all.filter((c) => c !== large) : all;
	const self = `${state.me.id}/camera`;
	floating = '';
	const other = all.find((c) => c.key !== self);
	if (!large && all.length === 1 && !other) {
		places = [self];
		floating = self;
		return { keys: [self], rects: [corner(width, height)], hidden: 0 };
	}
	if (!large && all.length === 2 && other && all.some((c) => c.key === self) && suits(other.key, width / height)) {
		places = [self, other.key];
		floating = self;
		return { keys: [other.key, self], rects: [{ x: 0, y: 0, w: width, h: height }, corner(width, height)], hidden: 0 };
	}
	const shape = large?.kind === 'screen' ? shapeOf(large.key) || 16 / 9 : 0;
	const limit = large ? bandSize(width, height, shape) : gridSize(width, height);
	const room = others.length > limit ? limit - 1 : limit;
	// In a place of their own: those who come take free places at the end.
	places = choose(others, places.filter((key) => key !== large?.key), Math.max(0, room));
	const hidden = others.length - places.length;
	const boxes = places.length + (hidden ? 1 : 0);
	const keys = large ? [large.key, ...places] : places;
	return { keys, rects: large ? spotlight(width, height, boxes, shape) : grid(width, height, boxes), hidden };
}

/** Width : height of the picture, 0 without one. @param {string} key */
function shapeOf(key) {
	const slot = [...state.slots.values()].find((s) => s.kind === 'video' && `${s.p}/${s.k}` === key);
	const video = slot?.el instanceof HTMLVideoElement ? slot.el : tiles.get(key)?.own;
	return video?.videoHeight ? video.videoWidth / video.videoHeight : 0;
}

/** Can a tile of that shape show the picture without cutting off too much? @param {string} key @param {number} tile */
function suits(key, tile) {
	const picture = shapeOf(key) || tile;
	return Math.min(picture / tile, tile / picture) >= LEFT_OF_PICTURE;
}

/** Oneself, small, in a call of two. @param {number} width @param {number} height @returns {Rect} */
function corner(width, height) {
	const tall = width < height;
	const w = Math.round(Math.max(92, Math.min(210, width * (tall ? 0.28 : 0.2))));
	const h = Math.round(tall ? w * 1.25 : w * 0.62);
	return { x: width - w - GAP * 1.5, y: height - h - GAP * 1.5, w, h };
}

/** @param {Candidate} c @param {HTMLElement} stage @returns {Tile} */
function makeTile(c, stage) {
	const face = make('div', 'face');
	face.setAttribute('aria-hidden', 'true');
	const who = make('bdi', 'who');
	const note = make('span', 'hush');
	const pin = make('button', 'pin', icon('pin'));
	pin.type = 'button';
	pin.onclick = () => {
		state.pinned = state.pinned === c.key ? '' : c.key;
		changed();
	};
	const el = make('article', `tile hue${hue(c.id, HUES)}`, face,
		make('p', 'plate', icon('speaking'), icon('mic-off'), icon('away'), who, note), pin);
	el.dataset.person = c.id;
	el.dataset.kind = c.kind;
	/** @type {HTMLVideoElement|null} */
	let own = null;
	if (c.id === state.me.id) {
		own = make('video');
		own.muted = own.autoplay = own.playsInline = true;
		own.onresize = changed;
		el.prepend(own);
		el.classList.add('mine');
	}
	stage.append(el);
	const tile = { el, face, who, note, pin, own };
	tiles.set(c.key, tile);
	return tile;
}

/** @param {Candidate} c @param {Rect} r @param {boolean} large @param {HTMLElement} stage */
function renderTile(c, r, large, stage) {
	const tile = tiles.get(c.key) || makeTile(c, stage);
	const { el } = tile;
	const mine = c.id === state.me.id;
	const p = state.people.get(c.id);
	const name = mine ? state.me.name : p?.name || '';
	const speaking = c.kind === 'camera' && state.speakers.includes(c.id);
	const muted = c.kind === 'camera' && (mine ? !(state.want.mic && media.mic) : !p?.mic);
	setBox(el, r);
	el.classList.toggle('small', r.w < 190);
	el.classList.toggle('large', large);
	el.classList.toggle('floating', floating === c.key);
	setData(el, 'speaking', String(speaking && !muted));
	setData(el, 'muted', String(muted));
	setData(el, 'away', String(!!p?.lost && !mine));
	setText(tile.face, c.kind === 'screen' ? '' : initials(name));
	const shown = c.kind === 'screen' ? (mine ? t('stage.screen.mine') : t('stage.screen', { name }))
		: mine ? t('you') : name;
	setText(tile.who, shown);
	setText(tile.note, [speaking && !muted ? t('people.speaking') : '', muted ? t('people.muted') : '',
		p?.lost && !mine ? t('stage.away') : ''].filter(Boolean).join(', '));
	const pinned = state.pinned === c.key;
	setData(el, 'pinned', String(pinned));
	setLabel(tile.pin, pinned ? t('stage.unpin') : t('stage.pin', { name: shown }));
	setAttr(tile.pin.querySelector('use') || tile.pin, 'href', pinned ? '#i-unpin' : '#i-pin');
	if (tile.own) {
		const track = c.kind === 'screen' ? media.screen : media.camera;
		const now = tile.own.srcObject instanceof MediaStream ? tile.own.srcObject.getTracks()[0] : null;
		if (now !== track)
			tile.own.srcObject = track ? new MediaStream([track]) : null;
		setData(el, 'video', String(!!track));
	}
}

/** @param {HTMLElement} el @param {string} name @param {string} value */
function setData(el, name, value) {
	if (el.dataset[name] !== value)
		el.dataset[name] = value;
}

/** @param {HTMLElement} el @param {Rect} r */
function setBox(el, r) {
	const { style } = el;
	style.insetInlineStart = `${r.x}px`;
	style.insetBlockStart = `${r.y}px`;
	style.inlineSize = `${r.w}px`;
	style.blockSize = `${r.h}px`;
	style.setProperty('--short', `${Math.min(r.w, r.h)}px`);
}

/** @param {HTMLElement} stage @param {number} hidden @param {Rect|undefined} r */
function renderMore(stage, hidden, r) {
	if (!hidden || !r) {
		more?.remove();
		more = null;
		return;
	}
	if (!more) {
		more = make('button', 'tile more-tile');
		more.type = 'button';
		more.onclick = () => {
			state.peopleOpen = true;
			changed();
		};
		stage.append(more);
	}
	setBox(more, r);
	setText(more, `+ ${tn('stage.more', hidden)}`);
}

/** @param {HTMLElement} stage @param {boolean} show */
function renderAlone(stage, show) {
	if (!show) {
		alone?.remove();
		alone = null;
		return;
	}
	if (!alone) {
		const tree = icon('tree');
		tree.setAttribute('class', 'emblem');
		alone = make('div', 'alone', tree, make('p'));
		stage.prepend(alone);
	}
	// Until there is a connection nobody knows who is there.
	setData(alone, 'busy', String(state.phase !== 'call'));
	setText(alone.children[1], state.phase === 'call' ? t('stage.alone') : '');
}

/**
 * Puts each slot's element into the tile of whom it shows. Moving an element within one task does not
 * interrupt it.
 */
function placeVideos() {
	const used = new Set();
	for (const slot of state.slots.values()) {
		if (slot.kind !== 'video')
			continue;
		const key = `${slot.p}/${slot.k}`;
		const p = slot.p ? state.people.get(slot.p) : null;
		const tile = tiles.get(key);
		const shows = state.voice.video && p && slot.k && p[slot.k];
		const home = tile && shows && !used.has(key) ? tile.el : box('parking');
		if (tile && home === tile.el)
			used.add(key);
		if (slot.el.parentElement !== home) {
			home.prepend(slot.el);
			if (slot.el.paused)
				slot.el.play().catch(() => {});
		}
	}
	for (const [key, tile] of tiles)
		if (!tile.own)
			setData(tile.el, 'video', String(used.has(key)));
}

/** @param {Tile} tile */
function park(tile) {
	for (const slot of state.slots.values())
		if (slot.el.parentElement === tile.el)
			box('parking').append(slot.el);
}

/**
 * When the stage has been still for a moment; but a lively call must not put it off for ever, least of all
 * that a hidden page asks for nothing.
 * @param {{c: Candidate|undefined, r: Rect}[]} shown @param {Candidate|null} large
 */
function askFor(shown, large) {
	clearTimeout(viewTimer);
	if (!state.me.id)
		return; // nobody is known yet: that is not "show nobody"
	wishedAt ||= Date.now();
	const since = Date.now() - wishedAt;
	viewTimer = setTimeout(() => {
		wishedAt = 0;
		if (!inCall())
			return;
		const list = document.hidden ? [] : shown.flatMap(({ c, r }) => c?.video ? [{ id: c.id,
			kind: c.kind, rank: c.rank + (c === large ? 1e15 : 0), w: r.w, h: r.h }] : []);
		setView(viewList(list, devicePixelRatio || 1));
	}, Math.max(0, document.hidden ? HIDDEN_MS - since : Math.min(VIEW_DELAY_MS, VIEW_LIMIT_MS - since)));
}

function forgetWish() {
	clearTimeout(viewTimer);
	wishedAt = 0;
}

function clear() {
	for (const tile of tiles.values())
		tile.el.remove();
	tiles.clear();
	more?.remove();
	alone?.remove();
	more = alone = null;
	places = [];
	forgetWish();
}

export function setupStage() {
	new ResizeObserver(changed).observe(box('stage'));
	// Somebody who looks elsewhere does not pay for pictures.
	document.addEventListener('visibilitychange', () => {
		forgetWish();
		changed();
	});
}
