// SPDX-License-Identifier: AGPL-3.0-or-later
// Microphone, camera and screen of this device: opening, closing, choosing, level.
// Invariant: a track in `media` is live; whoever is told by onMedia() looks at what is there.

/** lost: it was there and is gone. @typedef {'denied'|'missing'|'busy'|'unsupported'|'lost'|''} Problem */
/** @typedef {'mic'|'camera'|'speaker'} Device */

export const media = {
	/** @type {MediaStreamTrack|null} */ mic: null,
	/** @type {MediaStreamTrack|null} */ camera: null,
	/** @type {MediaStreamTrack|null} */ screen: null,
	/** @type {MediaStreamTrack|null} */ screenaudio: null,
	/** @type {{mic: Problem, camera: Problem}} */ problem: { mic: '', camera: '' },
	/** Being asked for at the moment. */
	opening: { mic: false, camera: false, screen: false },
	/** deviceId chosen, '' = the browser's choice. */
	device: { mic: '', camera: '', speaker: '' },
	/** @type {{mic: MediaDeviceInfo[], camera: MediaDeviceInfo[], speaker: MediaDeviceInfo[]}} */
	devices: { mic: [], camera: [], speaker: [] },
};

/** @type {Set<() => void>} */
const listeners = new Set();
/** @param {() => void} f */
export function onMedia(f) {
	listeners.add(f);
}
function tell() {
	for (const f of listeners)
		f();
}

const audioWish = () => ({
	// One channel: voice, and half the data where a browser would send two.
	channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true,
	...(media.device.mic ? { deviceId: { exact: media.device.mic } } : {}),
});
const videoWish = () => ({
	width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24, max: 24 },
	...(media.device.camera ? { deviceId: { exact: media.device.camera } } : { facingMode: 'user' }),
});

/** @param {unknown} e @returns {Problem} */
function problemOf(e) {
	const name = e instanceof Error || e instanceof DOMException ? e.name : '';
	if (name === 'NotAllowedError' || name === 'SecurityError')
		return 'denied';
	if (name === 'NotFoundError' || name === 'OverconstrainedError')
		return 'missing';
	return 'busy';
}

/** What is given up while the browser still asks for it is closed as soon as it comes. */
const wanted = { mic: false, camera: false };

/**
 * Opens what is asked for. One question for both where possible; if that fails each alone, so
 * that a missing camera does not cost the microphone.
 * @param {{mic?: boolean, camera?: boolean}} what
 */
export async function openDevices({ mic = false, camera = false }) {
	wanted.mic ||= mic;
	wanted.camera ||= camera;
	mic = mic && !media.mic && !media.opening.mic;
	camera = camera && !media.camera && !media.opening.camera;
	if (!mic && !camera)
		return;
	if (!navigator.mediaDevices?.getUserMedia) {
		if (mic)
			media.problem.mic = 'unsupported';
		if (camera)
			media.problem.camera = 'unsupported';
		tell();
		return;
	}
	if (mic)
		media.opening.mic = true;
	if (camera)
		media.opening.camera = true;
	tell();
	try {
		take(await ask(mic, camera));
		if (mic)
			media.problem.mic = '';
		if (camera)
			media.problem.camera = '';
	} catch (e) {
		if (mic && camera) {
			await openAlone('mic');
			await openAlone('camera');
		} else {
			await openAlone(mic ? 'mic' : 'camera', e);
		}
	}
	if (mic)
		media.opening.mic = false;
	if (camera)
		media.opening.camera = false;
	tell();
	listDevices();
}

/** @param {boolean} mic @param {boolean} camera */
const ask = (mic, camera) => navigator.mediaDevices.getUserMedia({
	...(mic ? { audio: audioWish() } : {}), ...(camera ? { video: videoWish() } : {}) });

/** @param {'mic'|'camera'} kind @param {unknown} [failed] */
async function openAlone(kind, failed) {
	try {
		if (failed && !media.device[kind])
			throw failed;
		// The device chosen may have been unplugged: then whichever there is.
		if (failed)
			media.device[kind] = '';
		take(await ask(kind === 'mic', kind === 'camera'));
		media.problem[kind] = '';
	} catch (e) {
		media.problem[kind] = problemOf(e);
	}
}

/** @param {MediaStream} stream */
function take(stream) {
	for (const track of stream.getTracks()) {
		const kind = track.kind === 'audio' ? 'mic' : 'camera';
		if (!wanted[kind]) {
			track.stop();
			continue;
		}
		media[kind]?.stop();
		media[kind] = track;
		track.contentHint = kind === 'mic' ? 'speech' : 'motion';
		// Unplugged, or taken back in the browser's own controls.
		track.onended = () => {
			if (media[kind] !== track)
				return;
			media[kind] = null;
			media.problem[kind] = 'lost';
			media.device[kind] = '';
			tell();
			// Another microphone goes on; another camera might show what it should not.
			if (kind === 'mic')
				openDevices({ mic: true });
		};
		// A phone call, or a switch on the headset.
		track.onmute = track.onunmute = tell;
	}
}

/** Stops the device, so that its light goes out. @param {'mic'|'camera'} kind */
export function closeDevice(kind) {
	wanted[kind] = false;
	media[kind]?.stop();
	media[kind] = null;
	if (media.problem[kind] === 'lost')
		media.problem[kind] = '';
	tell();
}

/** @param {Device} kind @param {string} id */
export async function chooseDevice(kind, id) {
	media.device[kind] = id;
	if (kind === 'speaker' || kind === 'camera' && !media.camera) {
		tell(); // a camera that is off: the next time it is switched on
		return;
	}
	if (kind === 'mic' && media.mic) {
		// The new one first, so that the others hear no gap and see no sign of muting.
		const stream = await ask(true, false).catch(() => null);
		if (media.device.mic !== id) {
			stream?.getTracks().forEach((track) => track.stop());
			return; // meanwhile something else was chosen
		}
		if (stream) {
			take(stream);
			tell();
			return;
		}
	}
	media[kind]?.stop();
	media[kind] = null;
	await openDevices({ [kind]: true });
}

/** False: it was refused, but not by the person, whose "cancel" is not worth a word. */
export async function openScreen() {
	if (media.opening.screen)
		return true;
	let stream;
	media.opening.screen = true;
	try {
		stream = await navigator.mediaDevices.getDisplayMedia({
			video: { frameRate: { ideal: 10, max: 15 } }, audio: true });
	} catch (e) { // the system's refusal has the same name
		return e instanceof DOMException && e.name === 'NotAllowedError' && !/system/i.test(e.message);
	} finally {
		media.opening.screen = false;
	}
	media.screen = stream.getVideoTracks()[0] || null;
	media.screenaudio = stream.getAudioTracks()[0] || null;
	if (media.screen) {
		const track = media.screen;
		track.contentHint = 'detail';
		track.onended = () => media.screen === track && closeScreen();
	}
	if (media.screenaudio) {
		const track = media.screenaudio;
		track.contentHint = 'music';
		track.onended = () => {
			if (media.screenaudio === track)
				media.screenaudio = null;
			tell();
		};
	}
	tell();
	return true;
}

export function closeScreen() {
	media.screen?.stop();
	media.screenaudio?.stop();
	media.screen = media.screenaudio = null;
	tell();
}

export function closeAll() {
	closeScreen();
	closeDevice('camera');
	closeDevice('mic');
}

export async function listDevices() {
	try {
		const all = await navigator.mediaDevices.enumerateDevices();
		const of = (/** @type {string} */ kind) => all.filter((d) => d.kind === kind && d.deviceId);
		media.devices = { mic: of('audioinput'), camera: of('videoinput'), speaker: of('audiooutput') };
		if (!media.devices.speaker.some((d) => d.deviceId === media.device.speaker))
			media.device.speaker = ''; // unplugged: back to the browser's choice
	} catch { /* an old browser: nothing to choose from */ }
	tell();
}

navigator.mediaDevices?.addEventListener?.('devicechange', () => {
	listDevices();
	// A headset plugged in after "none found".
	if (media.problem.mic === 'missing' && wanted.mic)
		openDevices({ mic: true });
});

/** Calls `show` with 0…1 about 12 times a second while a microphone is open. Returns how to stop it. @param {(level: number) => void} show */
export function measureMic(show) {
	/** @type {AudioContext|null} */ let context = null;
	/** @type {MediaStreamTrack|null} */ let track = null;
	/** @type {AnalyserNode|null} */ let node = null;
	/** @type {Float32Array<ArrayBuffer>} */ let samples = new Float32Array(512);
	const timer = setInterval(() => {
		if (media.mic !== track) {
			track = media.mic;
			context?.close();
			context = node = null;
			if (track && 'AudioContext' in globalThis) {
				context = new AudioContext();
				node = context.createAnalyser();
				node.fftSize = 512;
				context.createMediaStreamSource(new MediaStream([track])).connect(node);
			}
		}
		if (!node) {
			show(0);
			return;
		}
		// Before the page has been touched some browsers do not let it run.
		if (context?.state === 'suspended' && navigator.userActivation?.hasBeenActive !== false)
			context.resume();
		node.getFloatTimeDomainData(samples);
		let sum = 0;
		for (const s of samples)
			sum += s * s;
		// −60 dB…−12 dB over the whole width: what speech covers.
		const db = 10 * Math.log10(sum / samples.length + 1e-9);
		show(Math.max(0, Math.min(1, (db + 60) / 48)));
	}, 80);
	return () => {
		clearInterval(timer);
		context?.close();
	};
}
