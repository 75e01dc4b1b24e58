// SPDX-License-Identifier: AGPL-3.0-or-later
// The screen before the call: name, a look at oneself, level of the microphone, devices, and the choice
// between voice and video. Nothing here is needed to join: without any device one listens.
import { state, changed, kept, read, write } from './state.js';
import { t } from './i18n.js';
import { box, button, get, setIcon, setLabel, setAttr, setNotice, setText } from './dom.js';
import { initials } from './layout.js';
import { media, openDevices, measureMic } from './media.js';
import { enter, setMode, toggleCamera, toggleMic } from './session.js';

/** @type {(() => void)|null} */
let stopMeter = null;

/** A first choice that does not cost a thin link or a small bundle much. @returns {'voice'|'video'} */
function firstMode() {
	const link = /** @type {any} */ (navigator).connection;
	return link?.saveData || /2g/.test(link?.effectiveType || '') ? 'voice' : 'video';
}

export function openPrejoin() {
	const before = kept();
	state.phase = 'prejoin';
	state.mode = before?.mode || firstMode();
	state.want = { mic: before?.mic ?? true, camera: state.mode === 'video' && (before?.camera ?? true), screen: false };
	const name = get('name', HTMLInputElement);
	name.value = before?.name || read('palabre-name');
	ask();
	if (!name.value && matchMedia('(hover: hover)').matches)
		name.focus(); // on a phone the keyboard would cover the page
	changed();
}

function ask() {
	openDevices({ mic: true, camera: state.want.camera });
	if (!stopMeter)
		stopMeter = measureMic(showLevel);
}

let shownLevel = -1;
/** @param {number} level */
function showLevel(level) {
	const percent = state.want.mic ? Math.round(level * 20) * 5 : 0;
	if (percent === shownLevel)
		return;
	shownLevel = percent;
	const meter = box('meter');
	meter.style.setProperty('--level', String(percent / 100));
	setAttr(meter, 'aria-valuenow', String(percent));
}

/** @param {Event} e */
function submit(e) {
	e.preventDefault();
	const input = get('name', HTMLInputElement);
	const name = input.value.trim();
	setNotice(box('name-error'), name ? '' : t('prejoin.name.missing'));
	setAttr(input, 'aria-invalid', String(!name));
	if (!name) {
		input.focus();
		return;
	}
	state.name = name;
	write('palabre-name', name);
	stopMeter?.();
	stopMeter = null;
	enter();
	box('call-title').focus();
}

export function setupPrejoin() {
	get('join-form', HTMLFormElement).addEventListener('submit', submit);
	get('name', HTMLInputElement).addEventListener('input', changed);
	button('pre-mic').onclick = toggleMic;
	button('pre-camera').onclick = toggleCamera;
	for (const radio of document.querySelectorAll('input[name=mode]')) {
		radio.addEventListener('change', () => {
			const mode = radio instanceof HTMLInputElement && radio.value === 'video' ? 'video' : 'voice';
			setMode(mode);
			if (mode === 'video' && !media.camera)
				toggleCamera();
		});
	}
}

/** What is wrong with the devices, in plain words. */
export function deviceProblem() {
	const { mic, camera } = media.problem;
	return [mic ? t(`problem.mic.${mic}`) : '',
		camera && state.want.camera && state.mode === 'video' ? t(`problem.camera.${camera}`) : '']
		.filter(Boolean).join(' ');
}

export function renderPrejoin() {
	if (state.phase !== 'prejoin') {
		stopMeter?.();
		stopMeter = null;
		return;
	}
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
	setText(box('preview-face'), name ? initials(name) : '');
	const asking = media.opening.camera ? 'preview.wait.both' : media.opening.mic ? 'preview.wait' : '';
	setText(box('preview-note'), asking ? t(asking) : voice ? t('preview.voice')
		: seen ? '' : t('preview.off'));
	renderToggle(button('pre-mic'), 'mic', state.want.mic && !!media.mic);
	renderToggle(button('pre-camera'), 'camera', state.want.camera && !!media.camera);
	button('pre-camera').hidden = voice;
	setNotice(box('device-problem'), deviceProblem());
}

/** @param {HTMLButtonElement} b @param {'mic'|'camera'} kind @param {boolean} on */
function renderToggle(b, kind, on) {
	setAttr(b, 'aria-pressed', String(on));
	setIcon(b, on ? kind : `${kind}-off`);
	setLabel(b, t(`bar.${kind}.${on ? 'on' : 'off'}`));
}
