// SPDX-License-Identifier: AGPL-3.0-or-later
// Firefox ESR and Chromium in one call, both ways.
import { equal, figure, scenario, timed, until } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { launchFirefox } from './lib/firefox.mjs';
import { allHearAndSeeAll, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };

await scenario('firefox', async () => {
	const server = await Server.start();
	const chromium = await launchChromium();
	const firefox = await launchFirefox();
	const ada = await Person.join(chromium, server.link('host'), 1, SMALL);
	const felix = await Person.join(firefox, server.link('speaker'), 2, { ...SMALL, time: true });
	const bea = await Person.join(chromium, server.link('speaker'), 3, SMALL);
	const all = [ada, felix, bea];
	await allHearAndSeeAll(all);
	figure('Firefox: join to first sound', await felix.run(() => __test.first.audio), 'ms');
	figure('Firefox: join to first picture', await felix.run(() => __test.first.video), 'ms');

	// What lip sync goes by is there.
	const skew = await until('Firefox tells sound and picture apart', async () => {
		const saw = await felix.skew(1);
		return { ok: Number.isFinite(saw), saw };
	});
	figure('Firefox: picture after sound by capture times', skew, 'ms');

	figure('Firefox: pictures that name their source', await felix.run(() => __test.pc().getReceivers()
		.filter((r) => r.track.kind === 'video')
		.flatMap((r) => r.getContributingSources?.() || []).length));

	await felix.click('mic');
	figure('Firefox mutes: silence after', await timed('silence', async () =>
		!(await ada.heard()).includes(2), 2000), 'ms');
	await felix.click('mic');
	await ada.hears([2, 3], 3000);
	await felix.click('camera');
	await ada.sees([3], 4000);
	await felix.click('camera');
	await ada.sees([2, 3], 6000);
	await ada.click('screen');
	await felix.sees([1], 8000, 'screen');
	await ada.click('screen');
	for (const who of all) {
		await who.oneNegotiation();
		equal(await who.run(() => __test.errors), [], `errors of ${who.name}`);
	}
	await felix.page.reload();
	await felix.inCall();
	await allHearAndSeeAll(all);
	await felix.oneNegotiation();
	equal(await felix.run(() => __test.errors), [], 'errors after the reload');

	await felix.click('leave');
	await ada.hears([3], 3000);
	await ada.sees([3], 4000);
	await until('Felix has gone for good', async () => {
		const saw = (await ada.people()).map((p) => p.name).sort();
		return { ok: saw.join() === [ada, bea].map((p) => p.name).join(), saw };
	});
}, 150);
