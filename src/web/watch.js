// SPDX-License-Identifier: AGPL-3.0-or-later
// Looks how the line is: whether anything still comes, who talks in it, what it bears, what it costs.
import { state, changed, keep } from './state.js';
import { arrivals, readStats, Silence, Weakness } from './peer.js';
import { setSpeakers } from './people.js';
import { Climb } from './climb.js';
import { line } from './line.js';
import { streamOf, Talkers } from './rtp.js';
import { paused, reconcile, setMode, switchedOn, travel } from './sends.js';
import { holdSound } from './slots.js';
import { LipSync } from './sync.js';
import { Hold } from './voice.js';

/** @typedef {import('./state.js').Kind} Kind */

const STATS_MS = 1000;
const PACE_S = 8;
const KEEP_BYTES = 200_000;
const LISTEN_MS = 300;
const LOSSY = 8; // per cent
const TALK_ENERGY = 1e-4; // a second of one's own voice at -40 dBFS

/** @type {ReturnType<typeof setInterval>|undefined} */ let statsTimer = undefined;
/** @type {ReturnType<typeof setInterval>|undefined} */ let listenTimer = undefined;
let bytesBefore = 0;
let bytesKept = 0;
let sync = new LipSync();
let hold = new Hold();
let silence = new Silence();
let talkers = new Talkers();
/** When the server told last who talks; what we have said so far, and whether we are talking. */
const talk = { told: 0, said: 0, own: false };

/** A stay begins. */
export function watch() {
	bytesBefore = bytesKept = state.bytes;
	state.pace = 0;
	stopWatch();
	statsTimer = setInterval(readings, STATS_MS);
	listenTimer = setInterval(listen, LISTEN_MS);
}

export function stopWatch() {
	clearInterval(statsTimer);
	clearInterval(listenTimer);
}

/** It is another connection: nothing is known of it. */
export function watchAnew() {
	bytesBefore = state.bytes;
	sync = new LipSync();
	line.weakness = new Weakness();
	hold = new Hold();
	line.climb = new Climb();
	talkers = new Talkers();
}

/** Something comes. */
export function isAlive() {
	silence = new Silence();
}

/** Nothing comes any more, though the browser may still believe in it. */
export const isSilent = () => silence.dead;

/** The server has told who talks. */
export function onTalk() {
	talk.told = Date.now();
}

/** The server has told how the voices come. @param {number} jitter_ms what the sound's buffers are to hold */
export function onVoice(jitter_ms) {
	if (!state.voice.video)
		sync = new LipSync(); // the sound's buffers are the server's business now
	hold.ms = jitter_ms;
	holdSound(hold.ms);
}

/** Whoever sends or is sent something gets the server's reports. A weak link loses too many of them to judge by. */
function expectant() {
	if (state.net.weak || state.voice.loss >= LOSSY) // where copies fill the holes only the server knows
		return false;
	// Of voices nothing comes while all are silent, and reports are rare.
	if (soundOnly())
		return state.speakers.some((id) => id !== state.me.id);
	const sends = Object.entries(switchedOn()).some(([k, on]) => on && !paused.has(/** @type {Kind} */ (k)));
	return sends || [...state.slots.values()].some((slot) => slot.p);
}

/** Chosen, or as far as the link goes. */
const soundOnly = () => state.mode === 'voice' || !state.voice.video;

/** All voices come in one stream, which names itself who talks; the server tells it nowhere else. */
const atRung = () => soundOnly() && state.voice.down !== 'all';

function hearTalkers() {
	if (!atRung())
		return;
	const sound = [...state.slots.values()].find((slot) => slot.kind === 'audio');
	const ids = talkers.tick(sound?.receiver?.getContributingSources?.() || [], Date.now(), talk.told);
	if (!ids)
		return;
	const numbers = new Set(ids.map((id) => streamOf(id).n));
	const now = [...state.people.values()]
		.filter((p) => p.id === state.me.id ? talk.own : numbers.has(p.n)).map((p) => p.id);
	const same = now.length === state.speakers.length && now.every((id) => state.speakers.includes(id));
	setSpeakers(same ? state.speakers : now);
	if (!same)
		changed();
}

/** A few times a second. */
async function listen() {
	const p = line.peer;
	if (!p || !state.net.media)
		return;
	hearTalkers();
	const seen = expectant() ? await arrivals(p.pc).catch(() => null) : null;
	if (p === line.peer && silence.tick(seen, Date.now())) {
		line.events?.check();
		line.restart();
	}
}

/** Once a second. */
async function readings() {
	const p = line.peer;
	if (!p || p.pc.connectionState === 'closed')
		return;
	const r = await readStats(p.pc).catch(() => null);
	if (!r || p !== line.peer)
		return;
	const bytes = bytesBefore + r.bytes;
	if (bytes > state.bytes && state.bytes)
		state.pace += ((bytes - state.bytes) / (STATS_MS / 1000) - state.pace) / PACE_S;
	state.bytes = bytes;
	if (bytes - bytesKept > KEEP_BYTES) {
		bytesKept = bytes;
		keep();
	}
	if (state.capAt && bytes >= state.capAt && state.mode === 'video') {
		state.cappedAt = Date.now();
		setMode('voice');
	}
	talk.own = r.said - talk.said > TALK_ENERGY;
	talk.said = r.said;
	if (!soundOnly())
		sync.tick(r.samples, [...state.slots.values()]);
	else if (hold.tick(r.sound))
		holdSound(hold.ms);
	if (p.senders.camera?.track && line.weakness.clean && !paused.has('camera') && line.climb.tick(r.estimate, r.rtt))
		travel();
	const before = line.weakness.clean;
	const weak = state.net.media && line.weakness.tick(r);
	if (line.weakness.clean !== before)
		reconcile();
	if (weak !== state.net.weak) {
		state.net.weak = weak;
		changed();
	}
}
