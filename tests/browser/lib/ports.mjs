// SPDX-License-Identifier: AGPL-3.0-or-later
import { createServer } from 'node:net';

/** A TCP port that is free now; palabred uses the same number for UDP. */
export function freePort(address = '127.0.0.1') {
	return new Promise((done, fail) => {
		const probe = createServer();
		probe.once('error', fail);
		probe.listen(0, address, () => {
			const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address());
			probe.close(() => done(port));
		});
	});
}
