// SPDX-License-Identifier: AGPL-3.0-or-later
// What somebody in the call hears, as samples: all received voices at equal gain, at 48 kHz. The
// audio thread records, the page keeps it, and the test fetches it at the end. In Firefox, whose pages keep
// their policy, the page records itself.

export const CAPTURE_RATE = 48000;
const BLOCK = 4800; // samples a message from the audio thread
const PIECE = 100; // blocks fetched at once: 1.9 MB

const RECORDER = `registerProcessor('recorder', class extends AudioWorkletProcessor {
	block = new Float32Array(${BLOCK});
	length = 0;
	process([input]) {
		const heard = input[0] ?? new Float32Array(128); // no channel: nothing is connected, or silent
		for (let i = 0; i < heard.length; i++) {
			this.block[this.length++] = heard[i];
			if (this.length === ${BLOCK}) {
				this.port.postMessage(this.block);
				this.length = 0;
			}
		}
		return true;
	}
});`;

// In the page.
async function begin({ script, rate }) {
	const context = new AudioContext({ sampleRate: rate, latencyHint: 'playback' });
	const blocks = [];
	// What it takes to start is no loss.
	const take = (block) => {
		__test.capture.began ??= performance.now() - block.length / rate * 1000;
		blocks.push(block);
	};
	const worklet = async () => {
		const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
		await context.audioWorklet.addModule(url);
		URL.revokeObjectURL(url);
		const node = new AudioWorkletNode(context, 'recorder',
			{ channelCount: 1, channelCountMode: 'explicit', numberOfOutputs: 1 });
		node.port.onmessage = (e) => take(e.data);
		return node;
	};
	const processor = () => {
		const node = context.createScriptProcessor(4096, 1, 1);
		node.onaudioprocess = (e) => take(e.inputBuffer.getChannelData(0).slice());
		return node;
	};
	const firefox = navigator.userAgent.includes('Firefox');
	__test.capture = { context, blocks };
	const recorder = firefox ? processor() : await worklet();
	recorder.connect(context.destination); // puts out silence; unconnected it would not run
	const sources = new Map();
	__test.capture.sources = sources;
	const listen = () => {
		const tracks = __test.pc().getReceivers().map((r) => r.track).filter((track) => track.kind === 'audio');
		for (const [track, source] of sources)
			if (!tracks.includes(track)) {
				source.disconnect();
				sources.delete(track);
			}
		for (const track of tracks)
			if (!sources.has(track)) {
				sources.set(track, context.createMediaStreamSource(new MediaStream([track])));
				sources.get(track).connect(recorder);
			}
	};
	listen();
	__test.capture.timer = setInterval(listen, 100); // the page may make itself another connection
	await context.resume();
	if (firefox) {
		// All its sound stops for a moment as this context begins, and what has come meanwhile is played faster.
		await new Promise((done) => setTimeout(done, 3000));
		blocks.length = 0;
		__test.capture.began = undefined;
	}
	return sources.size;
}

async function end() {
	const { context, blocks, began, timer } = __test.capture;
	clearInterval(timer);
	const seconds = (performance.now() - began) / 1000;
	await context.close();
	return { samples: blocks.reduce((n, b) => n + b.length, 0), blocks: blocks.length, seconds };
}

// Blocks as base64.
function give({ from, to }) {
	let binary = '';
	for (const block of __test.capture.blocks.slice(from, to)) {
		const bytes = new Uint8Array(block.buffer);
		for (let i = 0; i < bytes.length; i += 8192)
			binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
	}
	return btoa(binary);
}

/** @param {import('./person.mjs').Person} person in the call, joined with `capture` */
export async function startCapture(person) {
	const voices = await person.run(begin, { script: RECORDER, rate: CAPTURE_RATE });
	if (!voices)
		throw new Error(`${person.name} receives no sound at all`);
}

/**
 * Everything since startCapture(). @param {number} [share] that may be missing: on a machine full of browsers, where it is the score that suffers
 * @returns {Promise<Float32Array>}
 */
export async function stopCapture(person, share = 0) {
	const { blocks, samples: count, seconds } = await person.run(end);
	const recorded = count / CAPTURE_RATE;
	// An audio thread that gets no CPU loses sound which had arrived: that is no figure.
	if (recorded < seconds * (1 - share) - 0.5)
		throw new Error(`recorded ${recorded} s in ${seconds.toFixed(1)} s: the machine is too busy`);
	const samples = new Float32Array(count);
	for (let from = 0, at = 0; from < blocks; from += PIECE) {
		const piece = Buffer.from(await person.run(give, { from, to: from + PIECE }), 'base64');
		const part = new Float32Array(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
		samples.set(part, at);
		at += part.length;
	}
	return samples;
}
