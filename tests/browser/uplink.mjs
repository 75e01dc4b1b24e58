// SPDX-License-Identifier: AGPL-3.0-or-later
// Somebody with a camera joins over a thin uplink: what the camera's first seconds do to its queue and to the voice.
// A real browser behind an emulated path, natural speech as the microphone, a good listener who sees and hears.
//
//   node tests/browser/uplink.mjs [kbit/s [queue, ms]]     100 and 2000
import { figure, log, ok, scenario, sleep, until } from './lib/check.mjs';
import { startCapture, stopCapture } from './lib/capture.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { Net } from './lib/net.mjs';
import { Person } from './lib/person.mjs';
import { score } from './lib/score.mjs';
import { Server } from './lib/server.mjs';
import { speechFile } from './lib/speech.mjs';

const [KBIT, QUEUE_MS] = [Number(process.argv[2] ?? 100), Number(process.argv[3] ?? 2000)];
const SECONDS = Number(process.env.LISTEN_S ?? 40), FIRST_S = 10, EVERY_MS = 500;
const SEES_MS = 30000;

/** What the browser says of its camera and its link. */
const sending = (who) => who.run(async () => {
	const all = [...(await __test.pc().getStats()).values()];
	const of = (kind) => all.find((s) => s.type === 'outbound-rtp' && s.kind === kind && s.bytesSent > 0);
	const pair = all.find((s) => s.type === 'candidate-pair' && s.nominated);
	const [video, audio] = [of('video'), of('audio')];
	return { video: video?.bytesSent ?? 0, target: video?.targetBitrate ?? 0, fps: video?.framesPerSecond ?? 0, again: video?.retransmittedBytesSent ?? 0,
		audio: audio?.bytesSent ?? 0, bwe: pair?.availableOutgoingBitrate ?? 0, rtt: pair?.currentRoundTripTime ?? 0 };
});

await scenario('uplink', async () => {
	const net = new Net();
	const [here, far, near] = [net.space('s'), net.space('f'), net.space('n')];
	const server = await Server.start({ netns: here, address: '10.77.1.1', set: { 'server.listen': '*' } });
	const way = await net.path(here, '10.77.1.1/24', far, '10.77.1.2/24', 'delay=20');
	net.link(here, '10.77.2.1/24', near, '10.77.2.2/24');
	const door = (n) => [`http://10.77.${n}.1:${server.port}`, server.link().replace(server.origin, `http://10.77.${n}.1:${server.port}`)];
	const [[farOrigin, farLink], [origin, link]] = [door(1), door(2)];
	const speech = speechFile(0, { pause: [0.3, 0.6] });
	const small = { viewport: { width: 480, height: 360 }, tone: false };
	const browser = await launchChromium({ netns: near, origin });
	const listener = await Person.join(browser, link, 2, { ...small, mic: false, camera: false, capture: true });
	const farBrowser = await launchChromium({ netns: far, origin: farOrigin, args: [`--use-file-for-fake-audio-capture=${speech.wav}`] });
	const talker = new Person(farBrowser, farLink, 1, { ...small, device: true, width: 640, height: 360, fps: 15 });
	await talker.open();
	way.set(`ba.rate=${KBIT} ba.queue=${QUEUE_MS}`);
	await sleep(300);
	await talker.enter();
	await startCapture(listener);
	const begin = Date.now(), lines = [];
	let before = null, queueMost = 0, sentMost = 0, firstPicture = 0;
	while (Date.now() < begin + SECONDS * 1000) {
		const [count, stats] = [await way.counts(), await sending(talker)];
		const at = (Date.now() - begin) / 1000;
		// What was dropped came in, too: reckoned as long as the others.
		const queue = Math.max(0, (count.ba.in_bytes - count.ba.out_bytes - count.ba.queue_drops_pkts * count.ba.in_bytes / count.ba.in_pkts) * 8 / KBIT - 20);
		if (before) {
			const s = count.seconds - before.count.seconds;
			const rate = (key) => (stats[key] - before.stats[key]) * 8 / s / 1000;
			const offered = (count.ba.in_bytes - before.count.ba.in_bytes) * 8 / s / 1000;
			sentMost = at <= FIRST_S ? Math.max(sentMost, offered) : sentMost;
			lines.push([at.toFixed(1), offered.toFixed(0), ((count.ba.out_bytes - before.count.ba.out_bytes) * 8 / s / 1000).toFixed(0),
				queue.toFixed(0), count.ba.queue_drops_pkts, rate('video').toFixed(0), rate('audio').toFixed(0),
				(stats.target / 1000).toFixed(0), (stats.bwe / 1000).toFixed(0), stats.fps, (stats.rtt * 1000).toFixed(0)]);
		}
		queueMost = Math.max(queueMost, count.ba.queue_max_ms);
		before = { count, stats };
		if (!firstPicture && (await listener.sums('video')).framesDecoded > 0)
			firstPicture = at;
		await sleep(Math.max(0, EVERY_MS - (Date.now() - begin - at * 1000)));
	}
	const heard = await stopCapture(listener);
	console.log('| s | offered, kbit/s | carried | queue, ms | dropped | camera | voice | target | estimate | fps | RTT |');
	for (const cells of lines)
		console.log(`| ${cells.join(' | ')} |`);
	const got = score({ ...speech, period: speech.seconds }, heard);
	const [sound, video, count] = [await listener.sums('audio'), await listener.sums('video'), await way.counts()];
	const mean = (key, from, to) => {
		const of = lines.filter(([at]) => at > from && at <= to);
		return of.reduce((sum, line) => sum + Number(line[key]), 0) / of.length;
	};
	figure(`uplink of ${KBIT} kbit/s, ${QUEUE_MS} ms`, `offered in the first ${FIRST_S} s ${mean(1, 0, FIRST_S).toFixed(0)} kbit/s, at most ${sentMost.toFixed(0)}; queue at most ${queueMost.toFixed(0)} ms, ` +
		`mean ${mean(3, 0, FIRST_S).toFixed(0)} then ${mean(3, FIRST_S, SECONDS).toFixed(0)}, dropped ${count.ba.queue_drops_pkts}; camera ${mean(5, FIRST_S, SECONDS).toFixed(0)} kbit/s after that; ` +
		`first picture after ${firstPicture.toFixed(1)} s, ${video.framesDecoded} frames, freezes ${video.freezeCount} (${video.totalFreezesDuration.toFixed(1)} s); ` +
		`voice: ESTOI ${got.estoi.toFixed(3)} of ${got.seconds.toFixed(0)} s, longest gap ${got.gapMs} ms, concealed ` +
		`${(100 * sound.concealedSamples / sound.totalSamplesReceived).toFixed(1)} %`);
	log(`sentences: ${(got.utterances ?? []).map((u) => `${u.at.toFixed(1)}: ${u.estoi.toFixed(3)} (${u.gapMs} ms, late ${u.lateMs?.toFixed?.(0)})`).join(', ')}`);
	log(JSON.stringify(count));
	log(JSON.stringify(await server.counters()));
	await until('pictures of the talker', async () => {
		const saw = await listener.seen();
		return { ok: saw.includes(1), saw };
	}, SEES_MS);
	ok(got.gapMs <= 200, `longest gap ${got.gapMs} ms`);
	ok(queueMost < QUEUE_MS / 2, `the queue has never been half full: ${queueMost.toFixed(0)} ms`);
	for (const who of [talker, listener])
		await who.close();
	await server.stop();
}, 150);
