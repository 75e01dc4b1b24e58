// SPDX-License-Identifier: AGPL-3.0-or-later
// A network that blocks UDP: the call comes up over TCP on the same port.
import { equal, figure, scenario } from './lib/check.mjs';
import { launchChromium } from './lib/chromium.mjs';
import { dropUdp, Net } from './lib/net.mjs';
import { allHearAndSeeAll, Person } from './lib/person.mjs';
import { Server } from './lib/server.mjs';

const SMALL = { width: 320, height: 240, fps: 10 };

await scenario('tcp', async () => {
	const net = new Net();
	const [here, there] = [net.space('s'), net.space('c')];
	net.link(here, '10.77.0.1/24', there, '10.77.0.2/24');
	const server = await Server.start({ netns: here, address: '10.77.0.1' });
	net.rules(here, dropUdp(server.port));
	net.rules(there, dropUdp(server.port));
	const browser = await launchChromium({ netns: there, origin: server.origin });
	const ada = await Person.join(browser, server.link(), 1, { ...SMALL, time: true });
	const bea = await Person.join(browser, server.link(), 2, { ...SMALL, time: true });
	await allHearAndSeeAll([ada, bea]);
	for (const who of [ada, bea]) {
		const path = await who.path();
		equal([path.local.protocol, path.remote.protocol], ['tcp', 'tcp'], `path of ${who.name}`);
		figure(`${who.name}: join to connected over TCP`, (await who.run(() => __test.first.connected)), 'ms');
		await who.oneNegotiation();
	}
	// A whole picture with everything at once must fit through, too.
	await bea.click('screen');
	await ada.sees([2], 8000, 'screen');
	await ada.moving([2], 8000);
}, 150);
