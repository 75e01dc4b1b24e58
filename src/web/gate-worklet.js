// SPDX-License-Identifier: AGPL-3.0-or-later
// The gate of an open microphone, on the audio thread, which no browser slows down when the page is hidden: exact
// zeros while nobody speaks, since only those make a browser's Opus send next to nothing (DTX).
//
//	in ─┬─ levels → open? ──┬──────────────→ valve (valve-worker.js)
//	    └─ delay line ──────× → out      what opened the gate passes it later, whole
//
// A level is that of a syllable or of a sentence, in one of three bands: vowels, consonants, hiss. The floor of each is
// what lies below nearly all that was heard in the last seconds: there are gaps in anybody's speech, and none in a
// fan's noise. So a fan is learned, and whoever talks on and on is not. When in doubt it is open.

const DELAY_S = 0.06; // an attack, and the 20 ms in which it is noticed
const HANG_S = 0.5; // longer than the stops within a sentence
const RAMP_S = 0.005; // a shorter one clicks
const FRAME_S = 0.01;
const QUIET_S = 1, AGAIN_S = 0.5; // closed for so long, it says so, and again
const BANDS_HZ = [450, 1800, 5500];
const BAND_Q = 0.7;
/** A soft voice in loud noise shows in its mean over a tenth of a second; that of noise hardly varies. */
const SLOW_S = 0.1;
const FAST_DB = 9, SLOW_DB = 4; // over the floor; simulated (page_unit.mjs): noise alone opens nothing
const STAY_DB = 2; // less, to stay open
const LEAST_DB = -75; // below, nothing is speech
const LEVELS = 76;
const MEMORY_S = 4, SHARE = 0.08; // noise that begins is learned in 4 s · ln(1 / 0.08) = 10 s
const UNKNOWN = 0.2; // at the start, in 5 s

/** What lies below all but SHARE of the levels lately heard. */
class Floor {
	constructor() {
		this.bins = new Float32Array(LEVELS);
		this.bins[0] = UNKNOWN * MEMORY_S / FRAME_S; // open, to begin with
	}

	/** @param {number} db @returns {number} dB */
	heard(db) {
		const { bins } = this;
		let all = 1, i = 0;
		for (; i < LEVELS; i++)
			all += bins[i] *= 1 - FRAME_S / MEMORY_S;
		bins[Math.max(0, Math.min(LEVELS - 1, Math.round(db - LEAST_DB)))] += 1;
		for (i = 0, all *= SHARE; i < LEVELS - 1 && all >= bins[i]; i++)
			all -= bins[i];
		return LEAST_DB + i;
	}
}

const decibel = (/** @type {number} */ power) => 10 * Math.log10(power + 1e-12);

class Band {
	/** @param {number} hz @param {number} rate */
	constructor(hz, rate) {
		const w = 2 * Math.PI * hz / rate, alpha = Math.sin(w) / 2 / BAND_Q;
		this.b = alpha / (1 + alpha);
		this.a1 = -2 * Math.cos(w) / (1 + alpha);
		this.a2 = (1 - alpha) / (1 + alpha);
		this.x1 = this.x2 = this.y1 = this.y2 = 0;
		this.power = this.before = this.slow = 0;
		this.floors = [new Floor(), new Floor()];
	}

	/** @param {number} x */
	hear(x) {
		const y = this.b * (x - this.x2) - this.a1 * this.y1 - this.a2 * this.y2;
		this.x2 = this.x1;
		this.x1 = x;
		this.y2 = this.y1;
		this.y1 = y;
		this.power += y * y;
	}

	/** At the end of a frame of `n` samples. @param {number} n @param {number} less dB */
	speaks(n, less) {
		const power = this.power / n;
		this.slow += (power - this.slow) * FRAME_S / SLOW_S;
		const fast = decibel((power + this.before) / 2), slow = decibel(this.slow);
		this.before = power;
		this.power = 0;
		if (this.y1 * this.y1 < 1e-30)
			this.y1 = this.y2 = 0; // in digital silence it would fade into numbers that processors are slow with
		const over = [fast - this.floors[0].heard(fast), slow - this.floors[1].heard(slow)];
		return over[0] > FAST_DB - less || over[1] > SLOW_DB - less;
	}
}

export class Gate {
	/** @param {number} rate samples a second */
	constructor(rate) {
		this.frame = Math.round(FRAME_S * rate);
		this.count = 0;
		this.bands = BANDS_HZ.map((hz) => new Band(hz, rate));
		this.line = new Float32Array(Math.round(DELAY_S * rate));
		this.at = 0;
		this.hang = 0;
		this.closed = 0; // seconds
		this.gain = 0;
		this.step = 1 / (RAMP_S * rate);
	}

	/** @param {Float32Array|undefined} input nothing: silence @param {Float32Array} output as long */
	pass(input, output) {
		const { bands, line, step } = this;
		for (let i = 0; i < output.length; i++) {
			const x = input ? input[i] : 0;
			for (const band of bands)
				band.hear(x);
			if (++this.count === this.frame)
				this.#decide();
			this.gain = this.hang > 0 ? Math.min(1, this.gain + step) : Math.max(0, this.gain - step);
			output[i] = line[this.at] * this.gain;
			line[this.at] = x;
			this.at = (this.at + 1) % line.length;
		}
	}

	#decide() {
		let speaks = false;
		for (const band of this.bands)
			if (band.speaks(this.count, this.hang > 0 ? STAY_DB : 0))
				speaks = true; // each of them goes on learning
		this.hang = speaks ? HANG_S + DELAY_S : this.hang - FRAME_S;
		this.closed = this.hang > 0 ? 0 : this.closed + FRAME_S;
		this.count = 0;
	}

	/** Changes when there is something to say to the valve; 0: speech may come. */
	get word() {
		return this.closed < QUIET_S ? 0 : 1 + Math.floor((this.closed - QUIET_S) / AGAIN_S);
	}
}

const scope = /** @type {any} */ (globalThis);
if (scope.registerProcessor)
	scope.registerProcessor('gate', class extends scope.AudioWorkletProcessor {
		gate = new Gate(scope.sampleRate);
		heard = 0;
		word = 0;
		/** @type {MessagePort|null} */ valve = null;

		constructor() {
			super();
			this.port.onmessage = (/** @type {MessageEvent} */ { data }) => { this.valve = data; };
		}

		/** @param {Float32Array[][]} inputs @param {Float32Array[][]} outputs */
		process([input], [output]) {
			this.gate.pass(input[0], output[0]);
			// The line is full: from now on it can stand for the microphone.
			if (input[0] && this.heard < this.gate.line.length && (this.heard += input[0].length) >= this.gate.line.length)
				this.port.postMessage(true);
			const { word } = this.gate;
			if (word !== this.word)
				this.valve?.postMessage({ quiet: word > 0, at: Date.now() });
			this.word = word;
			return true;
		}
	});
