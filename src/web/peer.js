// SPDX-License-Identifier: AGPL-3.0-or-later
// One PeerConnection, one offer: sections to send microphone, camera, screen and its sound (with
// or without a track yet), and slots to receive in. Everything later is replaceTrack().
import { rtpReached } from './rtp.js';
import { openValve, putValve } from './valve.js';
import { setEncoding, setEncodings } from './voice.js';

const AUDIO_SLOTS = 3;
const VIDEO_SLOTS = 4;

/** @typedef {import('./state.js').Kind} Kind */
/**
 * talks: made for somebody who may send.
 * @typedef {{pc: RTCPeerConnection, offer: string, streams: Partial<Record<Kind, string>>, senders: Partial<Record<Kind, RTCRtpSender>>, answer: string, talks: boolean}} Peer
 */

/** @type {Record<Kind, RTCRtpEncodingParameters & {scalabilityMode?: string}>} */
const ENCODINGS = {
	mic: { priority: 'high' },
	camera: { maxBitrate: 600_000, maxFramerate: 24, active: false }, // until the link has shown that it bears the voice
	screen: { maxBitrate: 1_200_000, maxFramerate: 15 },
	screenaudio: { maxBitrate: 64_000 },
};

/** The camera's sizes, smallest first: the server takes for each listener what they need, and says what nobody needs. */
const RIDS = ['q', 'h', 'f'];
/** Pixels of a camera from which on browsers make two of them, or all: what is beyond they leave out without a word. */
const TWO_SIZES = 480 * 270, THREE_SIZES = 960 * 540;

/**
 * How the sizes are sent: of a camera that is small anyhow only one or two of them, the lower ones. Each at a third of the rate of the
 * next. Before the server has asked for more there is the smallest alone, so that no camera begins with what its link may not bear.
 * @param {number} pixels of the camera, 0: it is not known @param {number} layers wanted, as bits, 0: nobody has said
 * @returns {{active: boolean, scaleResolutionDownBy: number, maxBitrate: number}[]}
 */
export function layersOf(pixels, layers) {
	const count = !pixels || pixels >= THREE_SIZES ? 3 : pixels >= TWO_SIZES ? 2 : 1;
	return RIDS.map((_, i) => {
		const below = Math.max(0, count - 1 - i);
		return { active: i < count && !!((layers || 1) >> i & 1), scaleResolutionDownBy: 2 ** below,
			maxBitrate: Math.round((ENCODINGS.camera.maxBitrate || 0) / 3 ** below) };
	});
}

/** @param {MediaStreamTrack|null|undefined} track */
function pixelsOf(track) {
	const { width = 0, height = 0 } = track?.getSettings() || {};
	return width * height;
}

/** Firefox sends one. @param {Kind} k @param {MediaStreamTrack|null|undefined} track */
function encodingsOf(k, track) {
	if (k !== 'camera' || /Firefox\//.test(navigator.userAgent))
		return [{ ...ENCODINGS[k] }];
	return layersOf(pixelsOf(track), 0).map((layer, i) =>
		({ ...ENCODINGS.camera, ...layer, active: false, rid: RIDS[i], scalabilityMode: 'L1T3' }));
}

/**
 * @param {RTCPeerConnection} pc @param {Kind} k @param {'audio'|'video'} media
 * @param {MediaStreamTrack|null|undefined} track
 */
function addSending(pc, k, media, track) {
	const sendEncodings = encodingsOf(k, track);
	try {
		return pc.addTransceiver(track || media, { direction: 'sendonly', sendEncodings });
	} catch { // a browser that cannot do that
		return pc.addTransceiver(track || media, { direction: 'sendonly', sendEncodings: [{ ...ENCODINGS[k] }] });
	}
}

/**
 * Fewer codecs make a smaller offer, and VP8 first makes the one that every device can do.
 * @param {RTCRtpTransceiver} transceiver @param {'audio'|'video'} kind @param {boolean} sends
 */
function cutCodecs(transceiver, kind, sends) {
	if (!('setCodecPreferences' in transceiver))
		return;
	const source = sends ? RTCRtpSender : RTCRtpReceiver;
	const all = source.getCapabilities?.(kind)?.codecs || [];
	const fmtp = (/** @type {RTCRtpCodec} */ c) => c.sdpFmtpLine || '';
	/** @type {((c: RTCRtpCodec) => boolean)[]} */
	const order = kind === 'audio' ? [
		(c) => /\/opus$/i.test(c.mimeType),
		(c) => /\/red$/i.test(c.mimeType),
	] : [
		(c) => /\/VP8$/i.test(c.mimeType),
		(c) => /\/VP9$/i.test(c.mimeType) && !/profile-id=[1-9]/.test(fmtp(c)),
		(c) => /\/AV1$/i.test(c.mimeType) && !/profile=[1-9]/.test(fmtp(c)),
		(c) => /\/H264$/i.test(c.mimeType) && /packetization-mode=1/.test(fmtp(c)),
		(c) => /\/rtx$/i.test(c.mimeType),
	];
	const list = order.flatMap((want) => all.filter(want));
	try {
		if (list.length)
			transceiver.setCodecPreferences(list);
	} catch { /* then the browser's own list */ }
}

/**
 * What Chromium and Safari do but do not offer (Firefox never does): send sound again that an RTCP NACK asks for, and measure the round
 * trip though they send no video. Without that they ask again for a missing packet of video 100 ms later, however short or long the way.
 * @param {string} sdp an offer
 */
export function offerFeedback(sdp) {
	const add = (/** @type {string} */ line, /** @type {string} */ what) => sdp.includes(what) ? line : `${line}\r\n${what}`;
	return /^o=mozilla/m.test(sdp) ? sdp :
		sdp.replace(/^a=rtpmap:(\d+) (\w+)\/.*$/gm, (line, pt, codec) => /^opus$/i.test(codec) ? add(line, `a=rtcp-fb:${pt} nack`) :
			/^(VP8|VP9|AV1|H264)$/i.test(codec) ? add(line, `a=rtcp-fb:${pt} rrtr`) : line);
}

/** @param {RTCPeerConnection} pc @param {RTCOfferOptions} [options] @returns {Promise<string>} what is offered */
export async function offer(pc, options) {
	const made = await pc.createOffer(options);
	try {
		await pc.setLocalDescription({ type: 'offer', sdp: offerFeedback(made.sdp || '') });
	} catch { // a browser that lets nothing be changed
		await pc.setLocalDescription(made);
	}
	return offerFeedback(pc.localDescription?.sdp || '');
}

/**
 * @param {'voice'|'video'} mode
 * @param {Partial<Record<Kind, MediaStreamTrack|null>>} tracks to begin with
 * @param {boolean} talks may do so
 * @returns {Promise<Peer>}
 */
export async function makePeer(mode, tracks, talks) {
	const valve = mode === 'voice' && talks;
	if (valve)
		await openValve();
	const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' });
	/** @type {Kind[]} */
	const kinds = mode === 'voice' ? ['mic'] : ['mic', 'camera', 'screen', 'screenaudio'];
	/** @type {Map<Kind, RTCRtpTransceiver>} */
	const sending = new Map();
	for (const k of kinds) {
		const media = k === 'mic' || k === 'screenaudio' ? 'audio' : 'video';
		const transceiver = addSending(pc, k, media, tracks[k]);
		if (valve)
			putValve(transceiver.sender);
		cutCodecs(transceiver, media, true);
		sending.set(k, transceiver);
	}
	for (let i = 0; i < AUDIO_SLOTS; i++)
		cutCodecs(pc.addTransceiver('audio', { direction: 'recvonly' }), 'audio', false);
	for (let i = 0; mode === 'video' && i < VIDEO_SLOTS; i++)
		cutCodecs(pc.addTransceiver('video', { direction: 'recvonly' }), 'video', false);
	const sdp = await offer(pc);
	// No waiting for candidates: the server is ICE-lite and learns ours from our checks.
	/** @type {Peer} */
	const peer = { pc, offer: sdp, streams: {}, senders: {}, answer: '', talks };
	for (const [k, transceiver] of sending) {
		peer.streams[k] = transceiver.mid || '';
		peer.senders[k] = transceiver.sender;
	}
	return peer;
}

/**
 * `pause` of the server: who takes this stream, and which sizes of it.
 * @param {RTCRtpSender} sender @param {boolean} active somebody does @param {number} layers as bits, 0: nobody has said
 */
export async function setActive(sender, active, layers) {
	const now = sender.getParameters().encodings || [];
	if (now.length < 2) {
		if (now[0] && now[0].active !== active)
			await setEncoding(sender, (e) => { e.active = active; });
		return;
	}
	const next = layersOf(pixelsOf(sender.track), layers);
	const same = (/** @type {RTCRtpEncodingParameters} */ e, /** @type {typeof next[0]} */ n) => e.active === (active && n.active) &&
		e.scaleResolutionDownBy === n.scaleResolutionDownBy && e.maxBitrate === n.maxBitrate;
	if (!now.every((e, i) => same(e, next[i])))
		await setEncodings(sender, (all) => all.forEach((e, i) => Object.assign(e, next[i], { active: active && next[i].active })));
}

/** Has this receiver already played RTP timestamp `ts`? @param {RTCRtpReceiver|null} receiver @param {number} ts */
export function played(receiver, ts) {
	const source = receiver?.getSynchronizationSources?.()[0];
	return !!source && source.rtpTimestamp !== undefined && rtpReached(source.rtpTimestamp, ts);
}

/**
 * What the page uses of getStats(), once a second.
 * @typedef {{bytes: number, rtt: number, estimate: number, sent: number, lostBack: number, received: number, lost: number, said: number,
 *	sound: import('./voice.js').Played, samples: Map<string, import('./sync.js').Sample>}} Readings
 * @param {RTCPeerConnection} pc @returns {Promise<Readings>}
 */
export async function readStats(pc) {
	/** @type {Readings} */
	const r = { bytes: 0, rtt: 0, estimate: 0, sent: 0, lostBack: 0, received: 0, lost: 0, said: 0, sound: { samples: 0, missing: 0, late: 0 }, samples: new Map() };
	let pairs = 0;
	for (const s of /** @type {Iterable<any>} */ ((await pc.getStats()).values())) {
		if (s.type === 'transport') {
			r.bytes += (s.bytesSent || 0) + (s.bytesReceived || 0);
		} else if (s.type === 'candidate-pair') {
			pairs += (s.bytesSent || 0) + (s.bytesReceived || 0);
			if (s.nominated && s.currentRoundTripTime)
				r.rtt = s.currentRoundTripTime;
			if (s.nominated && s.availableOutgoingBitrate)
				r.estimate = s.availableOutgoingBitrate;
		} else if (s.type === 'inbound-rtp') {
			if (s.kind === 'audio') {
				r.received += s.packetsReceived || 0;
				r.lost += s.packetsLost || 0;
				r.sound.samples += s.totalSamplesReceived || 0;
				r.sound.missing += (s.concealedSamples || 0) - (s.silentConcealedSamples || 0);
				r.sound.late += s.packetsDiscarded || 0;
			}
			r.samples.set(s.mid, { delay: s.jitterBufferDelay || 0, emitted: s.jitterBufferEmittedCount || 0 });
		} else if (s.type === 'media-source' && s.kind === 'audio') {
			r.said += s.totalAudioEnergy || 0;
		} else if (s.type === 'remote-inbound-rtp' && s.kind === 'audio') {
			r.lostBack = Math.max(r.lostBack, s.fractionLost || 0);
		}
	}
	r.bytes = r.bytes || pairs; // Firefox counts them per pair only
	return r;
}

/**
 * Weak or not, from the readings of each second. Three bad seconds of the last four say weak, eight
 * good ones in a row say well again: it must not flicker.
 */
export class Weakness {
	constructor() {
		this.weak = false;
		this.bad = 0;
		this.good = 0;
		/** Two good seconds in a row have been: pictures may be sent beside the voice. */
		this.clean = false;
		this.before = { received: 0, lost: 0 };
	}

	/** @param {Pick<Readings, 'rtt'|'lostBack'|'received'|'lost'>} r */
	tick(r) {
		const got = r.received - this.before.received;
		const lost = Math.max(0, r.lost - this.before.lost);
		this.before = { received: r.received, lost: r.lost };
		// 8 % is where plain Opus begins to be hard to follow; 0.8 s where people talk over each other.
		const bad = r.rtt > 0.8 || r.lostBack > 0.08 || (got >= 0 && lost > 1 && lost / (got + lost) > 0.08);
		this.bad = bad ? Math.min(4, this.bad + 1) : Math.max(0, this.bad - 1);
		this.good = bad ? 0 : this.good + 1;
		this.clean ||= this.good >= 2;
		if (this.bad >= 3)
			this.weak = true;
		else if (this.good >= 8)
			this.weak = false;
		return this.weak;
	}
}

/**
 * A number that grows with whatever comes in on the path in use, STUN included; null: there is none.
 * @param {RTCPeerConnection} pc @returns {Promise<number|null>}
 */
export async function arrivals(pc) {
	const stats = /** @type {Map<string, any>} */ (/** @type {unknown} */ (await pc.getStats()));
	let pair = null;
	for (const s of stats.values()) {
		if (s.type === 'transport' && s.selectedCandidatePairId)
			pair = stats.get(s.selectedCandidatePairId);
		else if (s.type === 'candidate-pair' && s.selected) // Firefox
			pair = s;
	}
	return pair && (pair.bytesReceived || 0) + (pair.responsesReceived || 0) + (pair.requestsReceived || 0);
}

const SILENT_MS = 1500; // the server reports every second
const UNUSUAL_MS = 600;
const USUAL_MAX_MS = 3000; // beyond, the browser is as fast
const REGULAR = 3;

/**
 * Has the path in use died? Browsers say so after 3 to 5 s. On a thin link pauses are part of life, so what counts is a
 * silence longer than those of the last minute, after regular arrivals.
 */
export class Silence {
	constructor() {
		/** @type {number|null} */ this.seen = null;
		this.since = 0;
		this.usual = 0;
		this.regular = 0;
		/** It has died, and nothing has come since. */
		this.dead = false;
	}

	/** True once for each silence. @param {number|null} seen arrivals(), null: none to be expected @param {number} now ms */
	tick(seen, now) {
		const lasted = now - this.since;
		if (seen !== null && seen === this.seen) {
			const long = lasted >= Math.max(SILENT_MS, this.usual + UNUSUAL_MS);
			const news = long && !this.dead && this.regular >= REGULAR;
			this.dead ||= news;
			return news;
		}
		if (seen === null || this.seen === null) {
			this.regular = 0;
		} else {
			this.regular = lasted <= SILENT_MS ? this.regular + 1 : 0;
			this.usual = Math.max(Math.min(USUAL_MAX_MS, lasted), this.usual * 0.99);
		}
		this.seen = seen;
		this.since = now;
		this.dead = false;
		return false;
	}
}
