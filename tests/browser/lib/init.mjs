// SPDX-License-Identifier: AGPL-3.0-or-later
// pageInit() runs in each page before its scripts. It replaces camera, microphone and screen
// by pictures and tones that tell whose they are, and watches, without changing it, what the
// page does with RTCPeerConnection, fetch, WebSocket and media elements. Its own state is
// `__test`; the functions below it are called by person.mjs. It is sent as text: it may use
// nothing from outside.

/**
 * @typedef {{index: number, width?: number, height?: number, fps?: number, tone?: boolean,
 *            flash?: boolean, time?: boolean, device?: boolean, lens?: boolean, steady?: boolean}} Fake
 *          device: the browser's own microphone speaks, unprocessed, and not the tone; lens: it is the browser's own camera;
 *          steady: the camera's pictures come from a thread of their own, as a camera's do (Chromium; the page's policy must be bypassed)
 */

/** @param {Fake} o */
export function pageInit(o) {
	const t = {
		index: o.index,
		pcs: [], sockets: [], elements: new Set(),
		calls: { setRemote: 0, negotiationneeded: 0 },
		posts: [], events: [], errors: [], states: [],
		people: new Map(), slots: new Map(), speakers: [], you: null,
		first: {}, blockIce: false, lag: 0, ownViews: true, slotChanges: 0, opened: 0,
	};
	globalThis.__test = t;
	globalThis.addEventListener?.('error', (e) => t.errors.push(String(e.message)));
	globalThis.addEventListener?.('unhandledrejection', (e) => t.errors.push(String(e.reason)));

	/* ---- the picture: a bar code of black and white blocks over two colours of the person */

	const CELLS = 10;
	const TONE_HZ = (i) => 400 + 150 * i;
	const hue = (i) => (i * 137) % 360;
	const bitsOf = (value, n) => Array.from({ length: n }, (_, i) => value >> (n - 1 - i) & 1);
	const withFrame = (bits) => [1, 0, ...bits, bits.reduce((a, b) => a ^ b, 1), 1];

	function paint(canvas, screen, count) {
		const g = canvas.getContext('2d', { alpha: false });
		const { width: w, height: h } = canvas;
		g.fillStyle = `hsl(${hue(o.index)} 90% 45%)`;
		g.fillRect(0, 0, w / 2, h);
		g.fillStyle = `hsl(${(hue(o.index) + 120) % 360} 90% 45%)`;
		g.fillRect(w / 2, 0, w / 2, h);
		const rows = [withFrame([...bitsOf(o.index, 5), screen ? 1 : 0]),
			withFrame(bitsOf(count & 63, 6))];
		rows.forEach((row, y) => row.forEach((bit, x) => {
			g.fillStyle = bit ? '#fff' : '#000';
			g.fillRect(x * w / CELLS, h * (1 + 3 * y) / 8, w / CELLS + 1, h / 4);
		}));
		g.fillStyle = '#888';
		g.fillRect(count * 7 % w, h * 7 / 8, w / 10, h / 8);
	}

	function readPicture(video) {
		if (!video.videoWidth || video.readyState < 2)
			return null;
		const w = 160, h = 120;
		t.canvas ??= Object.assign(document.createElement('canvas'), { width: w, height: h });
		const g = t.canvas.getContext('2d', { alpha: false, willReadFrequently: true });
		g.drawImage(video, 0, 0, w, h);
		const pixels = g.getImageData(0, 0, w, h).data;
		const mean = (x, y, r) => {
			const sum = [0, 0, 0];
			for (let dy = -r; dy <= r; dy++)
				for (let dx = -r; dx <= r; dx++)
					for (let c = 0; c < 3; c++)
						sum[c] += pixels[((y + dy) * w + x + dx) * 4 + c];
			return sum.map((s) => s / (2 * r + 1) ** 2);
		};
		const readRow = (y) => {
			const levels = Array.from({ length: CELLS }, (_, i) => {
				const [red, green, blue] = mean(Math.round((i + 0.5) * w / CELLS), y, 2);
				return red * 0.3 + green * 0.59 + blue * 0.11;
			});
			if (levels.some((l) => l > 95 && l < 160))
				return null; // between two pictures, or a poor one
			const bits = levels.map((l) => l > 128 ? 1 : 0);
			const value = bits.slice(2, 8);
			return bits.join() === withFrame(value).join() ? value : null;
		};
		const number = (bits) => bits.reduce((n, b) => n * 2 + b, 0);
		const who = readRow(30);
		const count = readRow(75);
		if (!who)
			return null;
		const index = number(who.slice(0, 5));
		const hueOf = ([r, gr, b]) => {
			const max = Math.max(r, gr, b), d = max - Math.min(r, gr, b);
			if (d < 40)
				return -1;
			const sector = max === r ? ((gr - b) / d + 6) % 6 :
				max === gr ? (b - r) / d + 2 : (r - gr) / d + 4;
			return sector * 60;
		};
		const near = (got, want) => got >= 0 &&
			Math.abs((got - want + 540) % 360 - 180) < 30;
		const colours = near(hueOf(mean(40, 6, 3)), hue(index)) &&
			near(hueOf(mean(120, 6, 3)), (hue(index) + 120) % 360);
		return { index, kind: who[5] ? 'screen' : 'camera', colours,
			count: count ? number(count) : -1 };
	}

	/** The bar code as a PNG, for senders that are no browser. */
	t.portrait = (width, height) => {
		const canvas = Object.assign(document.createElement('canvas'), { width, height });
		paint(canvas, false, 0);
		return canvas.toDataURL('image/png').split(',')[1];
	};

	function newPicture(screen, width, height, fps) {
		const canvas = Object.assign(document.createElement('canvas'), { width, height });
		let count = 0;
		const draw = () => {
			paint(canvas, screen, ++count);
			if (o.flash && t.flashing) {
				const g = canvas.getContext('2d', { alpha: false });
				g.fillStyle = '#fff';
				g.fillRect(0, 0, width, height);
			}
		};
		draw();
		const timer = setInterval(draw, 1000 / fps);
		const track = canvas.captureStream(fps).getVideoTracks()[0];
		return dressed(track, () => clearInterval(timer), { screen, width, height, fps });
	}

	function dressed(track, end, { screen, width, height, fps }) {
		const stop = track.stop.bind(track);
		track.stop = () => { end(); stop(); };
		// A canvas track knows no device: the page may ask.
		const settings = track.getSettings.bind(track);
		track.getSettings = () => ({ deviceId: screen ? 'fake-screen' : 'fake-camera',
			width, height, frameRate: fps, ...settings() });
		return track;
	}

	/** A camera that a busy page does not stop. */
	function steadyPicture(width, height, fps) {
		const lines = [`const o = ${JSON.stringify({ index: o.index })}, CELLS = ${CELLS}`,
			`hue = ${hue}`, `bitsOf = ${bitsOf}`, `withFrame = ${withFrame}`];
		const script = `${lines.join(', ')};\n${paint}\nonmessage = ${({ data }) => {
			const canvas = new OffscreenCanvas(data.width, data.height);
			canvas.getContext('2d', { alpha: false, willReadFrequently: true });
			const writer = data.writable.getWriter();
			let count = 0;
			setInterval(() => {
				paint(canvas, false, ++count);
				const frame = new VideoFrame(canvas, { timestamp: performance.now() * 1000 });
				writer.write(frame).catch(() => globalThis.close());
			}, 1000 / data.fps);
		}}`;
		const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
		worker.onerror = (e) => t.errors.push(`camera: ${e.message}`);
		const track = new MediaStreamTrackGenerator({ kind: 'video' });
		worker.postMessage({ writable: track.writable, width, height, fps }, [track.writable]);
		return dressed(track, () => worker.terminate(), { screen: false, width, height, fps });
	}

	/* ---- every picture that the browser made of the camera and gave to its connection */

	/** @type {{at: number, ts: number, ssrc: number, key: boolean}[]} as in `shown` */
	t.made = [];
	const MADE_MAX = 20000;

	function counter() {
		const script = `const made = [];\nonrtctransform = ${({ transformer }) =>
			transformer.readable.pipeThrough(new TransformStream({ transform(frame, to) {
				const about = frame.getMetadata();
				made.push({ at: performance.timeOrigin + performance.now(), ts: about.rtpTimestamp / 90,
					ssrc: about.synchronizationSource, key: frame.type === 'key' });
				to.enqueue(frame);
			} })).pipeTo(transformer.writable)};
			setInterval(() => postMessage(made.splice(0)), 100);`;
		const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
		worker.onerror = (e) => t.errors.push(`counter: ${e.message}`);
		worker.onmessage = ({ data }) => t.made.push(...data.slice(0, MADE_MAX - t.made.length));
		return worker;
	}

	/* ---- the sound: a tone of the person, on and off by __test.tone(bool). In syllables: who
	   hums without a pause is noise to a voice detector, and rightly so. The audio thread makes
	   them: with a dozen pages on two cores, a timer of the page may be late by seconds. */

	const LOUD = 0.25, BETWEEN = 0.002, SYLLABLE_S = 0.4, PAUSE_S = 0.09, RAMP_S = 0.012;

	function syllables(context) {
		const rate = context.sampleRate;
		const shape = context.createBuffer(1, Math.round(SYLLABLE_S * rate), rate);
		const data = shape.getChannelData(0);
		const smooth = (s) => Math.min(1, Math.max(0, s / RAMP_S)); // 0 … 1 in RAMP_S
		for (let i = 0; i < data.length; i++)
			data[i] = BETWEEN + (LOUD - BETWEEN) *
				Math.min(smooth(i / rate), smooth(SYLLABLE_S - PAUSE_S - i / rate));
		const source = context.createBufferSource();
		source.buffer = shape;
		source.loop = true;
		source.start();
		return source;
	}

	function sound() {
		if (t.audio)
			return t.audio;
		// Fewer, longer turns of the audio thread; but a flash and its beep must leave together.
		const context = new AudioContext({ latencyHint: o.flash ? 'interactive' : 'playback' });
		const gain = context.createGain();
		const tone = context.createOscillator();
		tone.frequency.value = TONE_HZ(o.index);
		tone.start();
		if (o.flash) {
			tone.connect(gain);
			startFlashes(context, gain);
		} else {
			const voice = context.createGain();
			voice.gain.value = 0;
			syllables(context).connect(voice.gain);
			tone.connect(voice).connect(gain);
			gain.gain.value = (o.tone ?? true) ? 1 : 0;
		}
		t.audio = { context, gain, said: context.createGain() };
		return t.audio;
	}

	// Light and sound at the same moment, once a second, for 150 ms.
	function startFlashes(context, gain) {
		gain.gain.value = 0;
		setInterval(() => {
			t.flashing = true;
			gain.gain.setValueAtTime(0.5, context.currentTime);
			gain.gain.setValueAtTime(0, context.currentTime + 0.15);
			setTimeout(() => { t.flashing = false; }, 150);
		}, 1000);
	}

	function newTone() {
		const { context, gain, said } = sound();
		const out = context.createMediaStreamDestination();
		out.channelCount = 1;
		gain.connect(out);
		said.connect(out);
		const track = out.stream.getAudioTracks()[0];
		const settings = track.getSettings.bind(track);
		track.getSettings = () => ({ ...settings(), deviceId: 'fake-mic' });
		return track;
	}

	async function fromDevice(open) {
		const stream = await open({ audio: { channelCount: 1, echoCancellation: false,
			noiseSuppression: false, autoGainControl: false } });
		const [track] = stream.getAudioTracks();
		const settings = track.getSettings.bind(track);
		track.getSettings = () => ({ ...settings(), deviceId: 'fake-mic' });
		return track;
	}

	async function fromLens(open, { deviceId, facingMode, ...want }) {
		const [track] = (await open({ video: want })).getVideoTracks();
		const settings = track.getSettings.bind(track);
		track.getSettings = () => ({ ...settings(), deviceId: 'fake-camera' });
		return track;
	}

	t.tone = (on) => {
		const { context, gain } = sound();
		gain.gain.setTargetAtTime(on ? 1 : 0, context.currentTime, RAMP_S);
		return context.state;
	};

	/** Says this again and again: 16-bit samples as base64. For who has no microphone to put a file in. */
	t.say = ({ pcm, rate }) => {
		const { context, said } = sound();
		const samples = new Int16Array(Uint8Array.from(atob(pcm), (c) => c.charCodeAt(0)).buffer);
		const buffer = context.createBuffer(1, samples.length, rate);
		buffer.copyToChannel(Float32Array.from(samples, (v) => v / 32768), 0);
		const source = context.createBufferSource();
		source.buffer = buffer;
		source.loop = true;
		source.connect(said);
		source.start();
	};

	if (navigator.mediaDevices) {
		const devices = navigator.mediaDevices;
		// Firefox gathers addresses other than the default route's (here: loopback) only for a page
		// that captures at that moment; Chromium asks the permission, which is granted.
		if (navigator.userAgent.includes('Firefox'))
			t.capturing = devices.getUserMedia({ audio: true }).then((held) => { t.held = held; },
				(error) => { t.errors.push(`held: ${error}`); });
		const open = devices.getUserMedia.bind(devices);
		devices.getUserMedia = async (want = {}) => {
			t.opened++;
			const tracks = [];
			if (want.audio)
				tracks.push(o.device ? await fromDevice(open) : newTone());
			if (want.video && o.lens)
				tracks.push(await fromLens(open, want.video));
			else if (want.video)
				tracks.push(o.steady ? steadyPicture(o.width ?? 320, o.height ?? 240, o.fps ?? 12)
					: newPicture(false, o.width ?? 320, o.height ?? 240, o.fps ?? 12));
			return new MediaStream(tracks);
		};
		devices.getDisplayMedia = async () =>
			new MediaStream([newPicture(true, 640, 360, 5)]);
		devices.enumerateDevices = async () =>
			[['audioinput', 'fake-mic'], ['videoinput', 'fake-camera']].map(([kind, id]) =>
				({ kind, deviceId: id, groupId: '', label: id, toJSON() { return this; } }));
	}

	/* ---- what the page does */

	// It has to run before a sender is made.
	const counting = o.steady && o.camera !== false ? counter() : null;
	const NativePc = globalThis.RTCPeerConnection;
	globalThis.RTCPeerConnection = class RTCPeerConnection extends NativePc {
		constructor(...args) {
			super(...args);
			t.pcs.push(this);
			// Only what comes after the answer is a renegotiation.
			this.addEventListener('negotiationneeded', () => {
				if (this.remoteDescription)
					t.calls.negotiationneeded++;
			});
			const number = t.pcs.length;
			for (const kind of ['iceConnectionState', 'connectionState'])
				this.addEventListener(kind.toLowerCase() + 'change', () =>
					t.states.push([number, Math.round(performance.now() / 100) / 10, this[kind]]));
		}

		addTransceiver(what, init) {
			const made = super.addTransceiver(what, init);
			if (counting && init?.direction === 'sendonly' && made.sender.track?.kind === 'video')
				made.sender.transform = new RTCRtpScriptTransform(counting);
			return made;
		}

		async setLocalDescription(...args) {
			await t.capturing;
			return super.setLocalDescription(...args);
		}

		setRemoteDescription(...args) {
			// The same answer with another number to begin at (climb.js) is no negotiation.
			const said = args[0]?.sdp?.replace(/x-google-start-bitrate=\d+/g, '');
			t.calls.setRemote += said !== this.heard;
			this.heard = said;
			return super.setRemoteDescription(...args);
		}
	};

	/** The pictures that were shown since watchShown(), as freezes.mjs reads them; times in ms, since 1970 but for `ts`, the line of time they are on. */
	t.shown = [];
	t.watchShown = () => {
		const video = [...document.querySelectorAll('video')].find((e) => e.videoWidth && !e.muted) ??
			[...document.querySelectorAll('video')].find((e) => e.videoWidth);
		const { timeOrigin } = performance;
		const next = (now, m) => {
			t.shown.push({ at: timeOrigin + m.presentationTime, ts: m.rtpTimestamp / 90,
				got: timeOrigin + (m.receiveTime ?? 0), n: m.presentedFrames });
			video.requestVideoFrameCallback(next);
		};
		video.requestVideoFrameCallback(next);
	};

	const nativeFetch = globalThis.fetch;
	globalThis.fetch = async (what, init) => {
		const url = String(what?.url ?? what);
		const post = { url: url.replace(/^.*\/api\/1/, ''), at: performance.now(), status: 0 };
		if (t.blockIce && post.url.endsWith('/ice'))
			throw new TypeError('blocked by the test');
		if ((init?.method ?? what?.method) === 'POST') {
			t.posts.push(post);
			if (post.url.endsWith('/join') && o.time)
				watchFirst(post.at);
		}
		const answer = await nativeFetch(what, init);
		post.status = answer.status;
		post.took = performance.now() - post.at;
		return answer;
	};

	const NativeSocket = globalThis.WebSocket;
	/** Asks for these pictures instead of the page, which from now on asks for none. */
	t.shows = [];
	t.show = (show) => {
		t.shows.push(performance.now());
		t.ownViews = false;
		NativeSocket.prototype.send.call(t.sockets.at(-1), JSON.stringify({ t: 'view', show }));
	};
	globalThis.WebSocket = class WebSocket extends NativeSocket {
		send(data) {
			if (t.ownViews || JSON.parse(data).t !== 'view')
				super.send(data);
		}

		// The page gets what the server says `lag` ms late, as where TCP stalls.
		set onmessage(f) {
			super.onmessage = f && ((e) => t.lag ? setTimeout(() => f.call(this, e), t.lag) : f.call(this, e));
		}

		constructor(...args) {
			super(...args);
			t.sockets.push(this);
			this.addEventListener('message', (e) => {
				try {
					JSON.parse(e.data).forEach(onEvent);
				} catch (error) {
					t.errors.push(`socket: ${error}`);
				}
			});
			this.addEventListener('close', (e) =>
				t.events.push({ t: '(closed)', code: e.code, at: performance.now() }));
		}
	};

	function onEvent(e) {
		t.events.push({ ...e, at: performance.now() });
		if (t.events.length > 500)
			t.events.shift();
		if (e.t === 'welcome' && e.people) {
			t.you = e.you;
			t.people = new Map(e.people.map((p) => [p.id, p]));
			t.slots = new Map(e.slots.map((s) => [s.mid, s]));
			t.speakers = e.speakers;
			t.welcomes = (t.welcomes ?? 0) + 1;
		} else if (e.t === 'people') {
			e.people.forEach((p) => t.people.set(p.id, p));
		} else if (e.t === 'join') {
			t.people.set(e.p.id, e.p);
		} else if (e.t === 'leave') {
			t.people.delete(e.id);
		} else if (e.t === 'update') {
			t.people.set(e.id, { ...t.people.get(e.id), ...e });
		} else if (e.t === 'slot') {
			t.slots.set(e.mid, e);
			t.slotChanges++;
		} else if (e.t === 'speakers') {
			t.speakers = e.ids;
		}
	}

	const described = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, 'srcObject');
	Object.defineProperty(HTMLMediaElement.prototype, 'srcObject', {
		...described,
		set(stream) {
			t.elements.add(this);
			described.set.call(this, stream);
		},
	});

	/* ---- questions from the test */

	t.pc = () => t.pcs.filter((pc) => pc.connectionState !== 'closed').at(-1);

	// The first sound and picture decoded after the request to join, ms.
	async function watchFirst(begin) {
		t.first = {};
		while (performance.now() - begin < 20000 && !(t.first.audio && t.first.video)) {
			await new Promise((done) => setTimeout(done, 20));
			for (const s of await t.inbound()) {
				if (s.kind === 'audio' ? s.jitterBufferEmittedCount > 0 : s.framesDecoded > 0)
					t.first[s.kind] ??= performance.now() - begin;
			}
			if (t.pc()?.connectionState === 'connected')
				t.first.connected ??= performance.now() - begin;
		}
	}

	t.inbound = async () => {
		const pc = t.pc();
		const found = [];
		if (pc)
			for (const s of (await pc.getStats()).values())
				if (s.type === 'inbound-rtp')
					found.push(s);
		return found;
	};

	t.path = async () => {
		const stats = [...(await t.pc().getStats()).values()];
		const transport = stats.find((s) => s.type === 'transport');
		const pair = stats.find((s) => transport?.selectedCandidatePairId ?
			s.id === transport.selectedCandidatePairId :
			s.type === 'candidate-pair' && s.selected);
		const side = (id) => {
			const c = stats.find((s) => s.id === id);
			return c && { type: c.candidateType, protocol: c.protocol, address: c.address,
				port: c.port };
		};
		return pair && { rtt: pair.currentRoundTripTime, sent: pair.bytesSent,
			received: pair.bytesReceived, local: side(pair.localCandidateId),
			remote: side(pair.remoteCandidateId) };
	};

	const midOf = (track) => t.pc()?.getTransceivers()
		.find((x) => x.receiver.track.id === track.id)?.mid ?? null;

	// How much later a person's picture is put out than the sound, ms, by capture times on the
	// server's clock; NaN if they are not in two slots.
	t.skew = (name) => {
		const late = (k, rate) => {
			const slot = [...t.slots.values()].find((s) =>
				s.k === k && t.people.get(s.p)?.name === name);
			const source = t.pc().getTransceivers().find((x) => x.mid === slot?.mid)
				?.receiver.getSynchronizationSources()[0];
			return source && source.timestamp - slot.at -
				((source.rtpTimestamp - slot.ts) | 0) / rate;
		};
		return late('camera', 90) - late('mic', 48);
	};

	const isVisible = (e) => {
		// The page parks what nobody is to see.
		if (!e.isConnected || e.closest('.parked'))
			return false;
		const r = e.getBoundingClientRect();
		const style = getComputedStyle(e);
		return r.width > 8 && r.height > 8 && style.visibility !== 'hidden' &&
			style.display !== 'none' && r.right > 0 && r.bottom > 0 &&
			r.left < innerWidth && r.top < innerHeight;
	};

	// Received pictures: what each video element holds, who the server says it is.
	t.pictures = () => [...t.elements].filter((e) => e.srcObject instanceof MediaStream)
		.flatMap((e) => e.srcObject.getVideoTracks()
			.filter((track) => midOf(track) !== null)
			.map((track) => {
				const mid = midOf(track);
				const slot = t.slots.get(mid);
				return { mid, picture: readPicture(e), visible: isVisible(e),
					p: slot?.p ?? null, k: slot?.k ?? null,
					name: t.people.get(slot?.p)?.name ?? null };
			}));

	// An analyser on every element that really sounds; the finer `fftSize`, the coarser the time.
	function listenTo(listener, fftSize) {
		listener.context ??= new AudioContext();
		listener.taps ??= new Map();
		const { context, taps } = listener;
		if (context.state !== 'running')
			context.resume();
		const found = [];
		for (const e of t.elements) {
			if (!(e.srcObject instanceof MediaStream) || e.muted || !e.volume || e.paused)
				continue;
			for (const track of e.srcObject.getAudioTracks()) {
				if (midOf(track) === null || !track.enabled || track.readyState !== 'live')
					continue;
				if (!taps.has(track.id)) {
					const analyser = context.createAnalyser();
					analyser.fftSize = fftSize;
					analyser.smoothingTimeConstant = 0;
					const source = context.createMediaStreamSource(new MediaStream([track]));
					source.connect(analyser);
					taps.set(track.id, { analyser, source });
				}
				found.push(taps.get(track.id).analyser);
			}
		}
		return found;
	}

	// Level of a frequency, dB.
	function spectrum(analyser) {
		const data = new Float32Array(analyser.frequencyBinCount);
		analyser.getFloatFrequencyData(data);
		const bin = (hz) => Math.round(hz * analyser.fftSize / analyser.context.sampleRate);
		return (hz, width) => Math.max(...data.slice(bin(hz) - width, bin(hz) + width + 1));
	}

	// Who is heard.
	t.listen = () => {
		const levels = new Map();
		t.ears ??= {};
		for (const analyser of listenTo(t.ears, 8192)) {
			const peak = spectrum(analyser);
			for (let i = 0; i < 32; i++) {
				const level = peak(TONE_HZ(i), 2);
				const floor = Math.max(peak(TONE_HZ(i) - 75, 2), peak(TONE_HZ(i) + 75, 2));
				if (level > -65 && level > floor + 12)
					levels.set(i, Math.max(level, levels.get(i) ?? -200));
			}
		}
		const loudest = Math.max(...levels.values());
		return [...levels].filter(([, level]) => level > loudest - 35)
			.map(([i]) => i).sort((a, b) => a - b);
	};

	// When the voice of `index` sounds, looked at every 20 ms (of 43 ms), by Date.now().
	t.watchVoice = (index) => {
		const ears = {};
		const loud = [];
		clearInterval(t.voiceTimer);
		t.voiceTimer = setInterval(() => {
			if (listenTo(ears, 2048).some((a) => spectrum(a)(TONE_HZ(index), 1) > -45))
				loud.push(Date.now());
		}, 20);
		t.voice = loud;
	};

	// The silences since `since` that are longer than `ms`, as [from, to] in ms after it; the last
	// one may still last. Between syllables are about 120 ms.
	t.silences = ({ since, ms }) => {
		const now = Date.now();
		const times = [...t.voice, now];
		return times.map((to, i) => [times[i - 1] ?? since, to])
			.filter(([from, to]) => to > since && to - from > ms)
			.map(([from, to]) => [from - since, to === now ? null : to - since]);
	};

	// Names on the stage that are not those of the picture beside them, sampled until
	// stopped. Several samples in a row with the same lie are one, with its duration.
	t.watchNames = (tileSelector, nameSelector, nameOf) => {
		const lies = [];
		const present = new Map();
		let samples = 0, turns = 0;
		// A page can put a name right only when the browser lets it draw.
		const turn = () => {
			turns++;
			frame = requestAnimationFrame(turn);
		};
		let frame = requestAnimationFrame(turn);
		const look = () => {
			for (const tile of document.querySelectorAll(tileSelector)) {
				const video = tile.querySelector('video');
				if (!video || !isVisible(video) || !video.srcObject)
					continue;
				const picture = readPicture(video);
				const shown = tile.querySelector(nameSelector)?.textContent ?? '';
				if (!picture || picture.index === o.index)
					continue;
				samples++;
				const want = nameOf.replace('%', String(picture.index).padStart(2, '0'));
				if (shown.includes(want)) {
					present.delete(video);
					continue;
				}
				const now = performance.now();
				if (!present.has(video)) {
					present.set(video, { shown, want, at: now, turn: turns, ms: 0, turns: 0 });
					lies.push(present.get(video));
				}
				const lie = present.get(video);
				Object.assign(lie, { ms: now - lie.at, turns: turns - lie.turn });
			}
		};
		const timer = setInterval(look, 40);
		t.stopWatching = () => {
			clearInterval(timer);
			cancelAnimationFrame(frame);
			return { samples, lies };
		};
	};

	// When the light of a picture goes on, and the sound with it, as they come out: skew of each
	// pair in ms, > 0 when the picture is late.
	t.watchFlashes = async (seconds) => {
		const video = [...t.elements].find((e) => e instanceof HTMLVideoElement && isVisible(e) &&
			e.srcObject?.getVideoTracks().some((track) => midOf(track) !== null));
		const sound = [...t.elements].filter((e) => e instanceof HTMLAudioElement && e.srcObject);
		const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
		const g = canvas.getContext('2d', { willReadFrequently: true });
		const lights = [], beeps = [];
		let bright = true, watching = true;
		const onFrame = (now, meta) => {
			if (!watching)
				return;
			// The row with the bar code's first black cell: white only in a flash.
			g.drawImage(video, video.videoWidth * 0.11, video.videoHeight * 0.2,
				video.videoWidth * 0.08, video.videoHeight * 0.1, 0, 0, 8, 8);
			const is = g.getImageData(4, 4, 1, 1).data[1] > 128;
			if (is && !bright)
				lights.push(meta.expectedDisplayTime);
			bright = is;
			video.requestVideoFrameCallback(onFrame);
		};
		video.requestVideoFrameCallback(onFrame);
		const context = new AudioContext();
		await context.resume();
		for (const e of sound) {
			const node = context.createScriptProcessor(256, 1, 1);
			context.createMediaStreamSource(e.srcObject).connect(node);
			node.connect(context.destination);
			let quiet = 0; // blocks of 5 ms
			node.onaudioprocess = (event) => {
				const loud = event.inputBuffer.getChannelData(0).some((x) => Math.abs(x) > 0.03);
				if (loud && quiet > 40)
					beeps.push(performance.now());
				quiet = loud ? 0 : quiet + 1;
			};
		}
		await new Promise((done) => setTimeout(done, seconds * 1000));
		watching = false;
		await context.close();
		return lights.map((l) => beeps.map((b) => l - b)
			.reduce((best, d) => Math.abs(d) < Math.abs(best) ? d : best, 9999))
			.filter((d) => Math.abs(d) < 500);
	};

	t.summary = async () => ({
		state: document.documentElement.dataset.state,
		status: document.querySelector('#status')?.textContent,
		you: t.you, people: [...t.people.values()], slots: [...t.slots.values()],
		calls: t.calls, posts: t.posts.slice(-6), errors: t.errors.slice(-10),
		connection: t.pcs.map((pc) => `${pc.connectionState}/${pc.iceConnectionState}`),
		sockets: t.sockets.map((s) => s.readyState),
		events: t.events.slice(-15).map((e) => JSON.stringify(e).slice(0, 200)),
		heard: t.listen(), pictures: t.pictures(),
		inbound: (await t.inbound()).map((s) => ({ mid: s.mid, kind: s.kind,
			packets: s.packetsReceived, lost: s.packetsLost, decoded: s.framesDecoded,
			key: s.keyFramesDecoded, pli: s.pliCount, concealed: s.concealedSamples })),
	});
}
