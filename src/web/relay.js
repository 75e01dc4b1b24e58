// SPDX-License-Identifier: AGPL-3.0-or-later
// The way out of networks that let only https through: TURN over TLS, where the page came from. It costs a connection
// and some kilobytes, so it is there only once nothing else has come through; from then on at once.

/** @type {{username: string, credential: string}|null} */
let turn = null;
let needed = false;

/** Of the answer to a join. @param {{username: string, credential: string}|undefined} given */
export function setRelay(given) {
	turn = given || null;
}

/** For a new connection. @returns {RTCIceServer[]} */
export function relays() {
	return needed && turn ? [{ ...turn, urls: `turns:${location.hostname}:${location.port || 443}?transport=tcp` }] : [];
}

/** From the next ICE restart on. False: there is none. @param {RTCPeerConnection} pc */
export function needRelay(pc) {
	needed = !!turn;
	if (needed)
		pc.setConfiguration({ ...pc.getConfiguration(), iceServers: relays() });
	return needed;
}
