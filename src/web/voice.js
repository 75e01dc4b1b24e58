// SPDX-License-Identifier: AGPL-3.0-or-later
// How a voice travels on a thin link: rungs, from poor to rich, as the server has them. Packet length and
// redundancy are what the *remote* description asks of a browser's encoder, so the page applies the server's answer
// again, changed; the bitrate is a parameter of the sender.

/** Bits per second, milliseconds a packet. @type {[number, number][]} */
export const RUNGS = [[6000, 120], [8000, 120], [8000, 60], [12000, 60], [16000, 40], [24000, 20]];

// The least that most are on. Where several speak at once what is heard has been encoded twice, so it is a little more
// than what the server makes (ESTOI .878 of three instead of .870), unless redundancy takes the room.
const KNEE = 1;
const KNEE_MORE = 1000;
/** Up to there wide band would cost clearness. */
const NARROW = 9000;

/** @param {Way} way */
export const bitrateOf = ({ rung, red }) => RUNGS[rung][0] + (rung === KNEE && !red ? KNEE_MORE : 0);

/** Nothing is asked of the encoder: as the browser would send. */
export const FREE = -1;

/** @typedef {{rung: number, red: boolean}} Way */
/** Until the server has seen what the link bears. @type {Way} */
export const WAY_FIRST = { rung: 3, red: false };

/**
 * The answer with the section `mid` as this way of sending wants it.
 * @param {string} sdp the server's answer @param {string} mid @param {Way} way
 */
export function steerAnswer(sdp, mid, { rung, red }) {
	return sdp.split(/(?=^m=)/m).map((section) => {
		if (!new RegExp(`^a=mid:${mid}\r?$`, 'm').test(section))
			return section;
		const opus = section.match(/^a=rtpmap:(\d+) opus\//im)?.[1];
		const again = section.match(/^a=rtpmap:(\d+) red\//im)?.[1];
		if (!opus)
			return section;
		if (again)
			section = section.replace(/^(m=\S+ \S+ \S+) .*?(\r?)$/m, `$1 ${red ? `${again} ${opus}` : `${opus} ${again}`}$2`);
		if (rung === FREE)
			return section;
		const bitrate = bitrateOf({ rung, red }), packet = RUNGS[rung][1];
		const asked = `;maxaveragebitrate=${bitrate}${bitrate <= NARROW ? ';maxplaybackrate=8000' : ''}`;
		return section
			.replace(new RegExp(`^(a=fmtp:${opus} .*?)(\r?)$`, 'm'), `$1${asked}$2`)
			.replace(/(\r?\n)?$/, `\r\na=ptime:${packet}\r\na=maxptime:${packet}\r\n`);
	}).join('');
}

/** @param {RTCRtpSender} sender @param {Way} way */
export function setBitrate(sender, way) {
	return setEncoding(sender, (encoding) => {
		if (way.rung === FREE)
			delete encoding.maxBitrate;
		else
			encoding.maxBitrate = bitrateOf(way);
	});
}

const TRIES = 3;

/**
 * Changes how a stream is sent. A browser refuses what another change has overtaken: then it is read and changed anew.
 * @param {RTCRtpSender} sender @param {(encoding: RTCRtpEncodingParameters) => void} change
 */
export const setEncoding = (sender, change) => setEncodings(sender, ([encoding]) => change(encoding));

/** The same for all of its sizes. @param {RTCRtpSender} sender @param {(encodings: RTCRtpEncodingParameters[]) => void} change */
export async function setEncodings(sender, change) {
	for (let i = 0; i < TRIES; i++) {
		const parameters = sender.getParameters();
		if (!parameters.encodings?.length)
			return;
		change(parameters.encodings);
		try {
			await sender.setParameters(parameters);
			return;
		} catch (e) {
			console.warn('palabre: setParameters:', e);
		}
	}
}

/** Of all that was heard so far: samples, those made up in mid-speech, and packets that came too late. @typedef {{samples: number, missing: number, late: number}} Played */

const HOLD_STEP_MS = 200;
const HOLD_MOST_MS = 1600;
const MISSING_PART = 0.08;

/**
 * What the sound's buffers hold at least, in ms: what the server says, and more while repeats come too late for that. Its word may be what does
 * not come through: where a fifth is lost, each hundredth message waits for ten seconds and more.
 */
export class Hold {
	constructor() {
		this.ms = 0;
		/** @type {Played} */
		this.before = { samples: 0, missing: 0, late: 0 };
	}

	/** Once a second; true: it is more. @param {Played} now */
	tick(now) {
		const { samples, missing, late } = this.before;
		this.before = now;
		if (now.late <= late || now.missing - missing <= (now.samples - samples) * MISSING_PART || this.ms >= HOLD_MOST_MS)
			return false;
		this.ms = Math.min(this.ms + HOLD_STEP_MS, HOLD_MOST_MS);
		return true;
	}
}

/** What the person chose to spend: of a voice, how it comes and goes. @typedef {'all'|'less'|'least'} Thrift */
/** @type {Record<Thrift, number>} */
export const THRIFT = { all: FREE, less: 3, least: 1 };
