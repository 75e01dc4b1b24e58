// SPDX-License-Identifier: AGPL-3.0-or-later
// The screen before the call: name, a look at oneself, level of the microphone, devices, and the choice
// between voice and video. Nothing here is needed to join: without any device one listens.
import { state, changed, inCall, kept, maySend, read, write } from './state.js';
import { t } from './i18n.js';
import { box, button, get, setIcon, setLabel, setAttr, setNotice, setText } from './dom.js';
import { initials } from './layout.js';
import { media, openDevices, measureMic } from './media.js';
import { prepareVoice, setMode, toggleCamera, toggleMic } from './sends.js';
import { enter } from './session.js';

/** @type {(() => void)|null} */
let stopMeter = null;

/** The microphone that has been heard here: it works. @type {MediaStreamTrack|null} */
let heard = null;
const NAME_BYTES = 96; // as UTF-8, docs/protocol.md
const HEARD = 35; // % of the bar: −43 dB, above the noise of a room

/** A first choice that does not cost a thin link or a small bundle much. @returns {'voice'|'video'} */
export function firstMode() {
	const link = /** @type {any} */ (navigator).connection;
	return link?.saveData || /2g/.test(link?.effectiveType || '') ? 'voice' : 'video';
}

export function openPrejoin() {
	const before = kept();
	state.phase = 'prejoin';
	state.mode = before?.mode || state.mode;
	state.thrift = before?.thrift || state.thrift;
	state.cap = before?.cap ?? state.cap;
	state.capAt = state.cap * 1e6;
	state.bytes = state.cappedAt = 0;
	state.want = { mic: before?.mic ?? state.want.mic, screen: false,
		camera: state.mode === 'video' && (before?.camera ?? state.want.camera) };
	const name = get('name', HTMLInputElement);
	name.value = before?.name || state.name || read('palabre-name');
	if (maySend())
		openDevices({ mic: true, camera: state.want.camera });
	if (state.mode === 'voice')
		prepareVoice();
	changed();
}

/** Where somebody begins who has no pointer. Called when the screen is there. */
export function focusPrejoin() {
	const name = get('name', HTMLInputElement);
	if (name.value)
		box('prejoin-title').focus();
	else if (matchMedia('(hover: hover)').matches)
		name.focus(); // on a phone the keyboard would cover the page
}

/** The meter runs while one is to be seen. */
export function renderMeter() {
	const shown = maySend() && (state.phase === 'prejoin' || inCall() && get('settings', HTMLDialogElement).open);
	if (shown && !stopMeter)
		stopMeter = measureMic(showLevel);
	if (!shown) {
		stopMeter?.();
		stopMeter = null;
	}
}

let shownLevel = -1;
/** @param {number} level */
function showLevel(level) {
	const percent = state.want.mic ? Math.round(level * 20) * 5 : 0;
	if (percent === shownLevel)
		return;
	shownLevel = percent;
	for (const meter of document.querySelectorAll('.meter'))
		if (meter instanceof HTMLElement) {
			meter.style.setProperty('--level', String(percent / 100));
			setAttr(meter, 'aria-valuenow', String(percent));
		}
	if (percent >= HEARD && heard !== media.mic) {
		heard = media.mic;
		changed();
	}
}

function meterWords() {
	if (!media.mic)
		return '';
	return t(!state.want.mic ? 'meter.off' : heard === media.mic ? 'meter.heard' : 'meter.try');
}

/** @param {string} text */
function setNameProblem(text) {
	setNotice(box('name-error'), text);
	setAttr(get('name', HTMLInputElement), 'aria-invalid', String(!!text));
}

/** @param {Event} e */
function submit(e) {
	e.preventDefault();
	const input = get('name', HTMLInputElement);
	const name = input.value.trim();
	const long = new TextEncoder().encode(name).length > NAME_BYTES;
	setNameProblem(long ? t('error.bad-name') : name ? '' : t('prejoin.name.missing'));
	if (!name || long) {
		input.focus();
		return;
	}
	state.name = name;
	write('palabre-name', name);
	enter();
}

export function setupPrejoin() {
	get('join-form', HTMLFormElement).addEventListener('submit', submit);
	get('name', HTMLInputElement).addEventListener('input', () => {
		setNameProblem('');
		changed();
	});
	button('pre-mic').onclick = toggleMic;
	button('pre-camera').onclick = toggleCamera;
	for (const radio of document.querySelectorAll('input[name=mode]')) {
		radio.addEventListener('change', () => {
			const mode = radio instanceof HTMLInputElement && radio.value === 'video' ? 'video' : 'voice';
			setMode(mode);
			if (mode === 'video' && !media.camera && maySend())
				toggleCamera();
		});
	}
}

/** What is wrong with the devices, in plain words. */
export function deviceProblem() {
	const { mic } = media.problem;
	const camera = state.want.camera && state.mode === 'video' ? media.problem.camera : '';
	if (mic && mic === camera && mic !== 'lost')
		return t(`problem.both.${mic}`);
	return [mic ? t(`problem.mic.${mic}`) : '', camera ? t(`problem.camera.${camera}`) : '']
		.filter(Boolean).join(' ');
}

export function renderPrejoin() {
	if (state.phase !== 'prejoin')
		return;
	setText(box('prejoin-room'), state.room);
	for (const radio of document.querySelectorAll('input[name=mode]'))
		if (radio instanceof HTMLInputElement)
			radio.checked = radio.value === state.mode;
	const voice = state.mode === 'voice';
	const preview = box('preview');
	const seen = !voice && !!media.camera;
	preview.dataset.video = String(seen);
	const video = get('preview-video', HTMLVideoElement);
	const shown = video.srcObject instanceof MediaStream ? video.srcObject.getTracks()[0] : null;
	if (shown !== media.camera)
		video.srcObject = media.camera ? new MediaStream([media.camera]) : null;
	const name = get('name', HTMLInputElement).value.trim();
	const face = box('preview-face');
	face.dataset.name = String(!!name);
	setText(face.children[0], name ? initials(name) : '');
	const asking = media.opening.camera ? 'preview.wait.both' : media.opening.mic ? 'preview.wait' : '';
	setText(box('preview-note'), !maySend() ? t('status.listener') : asking ? t(asking)
		: voice ? t('preview.voice') : seen ? '' : t('preview.off'));
	renderToggle(button('pre-mic'), 'mic', state.want.mic && !!media.mic);
	renderToggle(button('pre-camera'), 'camera', state.want.camera && !!media.camera);
	button('pre-mic').hidden = box('hearing').hidden = !maySend();
	button('pre-camera').hidden = voice || !maySend();
	setText(box('devices-choose'), t(maySend() ? 'devices.choose' : 'devices.speaker'));
	setText(box('meter-words'), meterWords());
	setText(box('device-problem'), deviceProblem());
}

/** @param {HTMLButtonElement} b @param {'mic'|'camera'} kind @param {boolean} on */
function renderToggle(b, kind, on) {
	setAttr(b, 'aria-pressed', String(on));
	setIcon(b, on ? kind : `${kind}-off`);
	setLabel(b, t(`devices.${kind}`), toggleTip(kind, on));
}

/** What pressing would do. @param {'mic'|'camera'} kind @param {boolean} on */
export function toggleTip(kind, on) {
	const how = on ? 'on' : media.problem[kind] ? 'none' : 'off';
	return t(`bar.${kind}.${how}`);
}
