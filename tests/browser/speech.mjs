// SPDX-License-Identifier: AGPL-3.0-or-later
// Natural speech through the relay, on a clean path: what comes out of the other browser is scored.
import { equal, figure, log, ok, scenario, sleep } from './lib/check.mjs';
import { startCapture, stopCapture } from './lib/capture.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Person } from './lib/person.mjs';
import { score } from './lib/score.mjs';
import { Server } from './lib/server.mjs';
import { speechFile } from './lib/speech.mjs';

const LISTEN_S = 20;
const ESTOI = 0.93;
const SETTLE_MS = 2000; // the first packets of a call, and what is concealed before them

await scenario('speech', async () => {
	const server = await Server.start();
	const speech = speechFile(0);
	const browser = await launchChromium({ args: [`--use-file-for-fake-audio-capture=${speech.wav}`] });
	const talker = await Person.join(browser, server.link(), 1, { device: true, camera: false });
	const listener = await Person.join(await launchChromium(), server.link(), 2,
		{ mic: false, camera: false, capture: true });
	equal(await talker.run(() => {
		const { echoCancellation, noiseSuppression, autoGainControl } = __test.pc().getSenders()
			.find((s) => s.track?.kind === 'audio').track.getSettings();
		return { echoCancellation, noiseSuppression, autoGainControl };
	}), { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, 'the microphone');
	await sleep(SETTLE_MS);
	const before = await listener.sums('audio');
	await startCapture(listener);
	await sleep(LISTEN_S * 1000);
	const heard = await stopCapture(listener);
	const after = await listener.sums('audio');
	const got = score({ ...speech, period: speech.seconds }, heard);
	for (const u of got.utterances)
		log(`${speech.utterances[u.index].file}: ${JSON.stringify(u)}`);
	ok(got.seconds > 6, `scored ${got.seconds} s`);
	figure('speech, clean path: ESTOI', got.estoi.toFixed(3));
	figure('speech, clean path: longest gap', got.gapMs, 'ms');
	figure('speech, clean path: concealed', 100 * (after.concealedSamples - before.concealedSamples) /
		(after.totalSamplesReceived - before.totalSamplesReceived), '%');
	ok(got.estoi >= ESTOI, `ESTOI at least ${ESTOI}: ${got.estoi}`);
	equal(await talker.run(() => __test.errors), [], 'errors of the talker');
}, 100);
