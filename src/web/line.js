// SPDX-License-Identifier: AGPL-3.0-or-later
// The line to the server as it is now: session.js makes it, sends.js sends on it, watch.js looks how it is.
import { Climb } from './climb.js';
import { Weakness } from './peer.js';

export const line = {
	/** The connection whose answer was applied last. @type {import('./peer.js').Peer|null} */
	peer: null,
	/** @type {import('./api.js').Events|null} */
	events: null,
	/** An ICE restart is under way. */
	restarting: false,
	/** What it bears. */
	climb: new Climb(),
	weakness: new Weakness(),
	/** session.js's: asks for new candidates; makes a new connection, as the same person. */
	restart: () => {},
	rejoin: () => {},
};
