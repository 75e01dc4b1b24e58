// SPDX-License-Identifier: AGPL-3.0-or-later
// HTTP and WebSocket as docs/protocol.md says. Knows addresses, codes and time limits, and
// nothing of rooms or media.
import { retryDelay } from './layout.js';

const CHECK_MS = 4000; // a thin link has pauses of two seconds

/** An answer that says no. Code 'network': there was no answer. */
export class ApiError extends Error {
	/** @param {string} code @param {number} status @param {string} message */
	constructor(code, status, message) {
		super(message);
		this.code = code;
		this.status = status;
	}
}

/** @param {string} room */
const base = (room) => `/api/1/rooms/${encodeURIComponent(room)}`;

/** @param {string} text @returns {Promise<{body: BodyInit, headers: Record<string, string>}>} */
async function pack(text) {
	const headers = { 'Content-Type': 'application/json' };
	// Nine tenths of an offer are repetition: on a thin link this is a second.
	if (text.length > 1000 && 'CompressionStream' in globalThis) {
		const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('deflate'));
		return { body: await new Response(stream).arrayBuffer(),
			headers: { ...headers, 'Content-Encoding': 'deflate' } };
	}
	return { body: text, headers };
}

/**
 * @param {string} room @param {string} path @param {object} message @param {number} limit_ms
 * @returns {Promise<any>}
 */
export async function post(room, path, message, limit_ms) {
	/** @type {Response} */
	let response;
	const stop = new AbortController();
	const timer = setTimeout(() => stop.abort(), limit_ms);
	try {
		const { body, headers } = await pack(JSON.stringify(message));
		response = await fetch(`${base(room)}/${path}`, { method: 'POST', headers, body,
			signal: stop.signal, cache: 'no-store', credentials: 'omit', keepalive: path === 'leave' });
		if (response.status === 204)
			return {};
		if (response.ok)
			return await (/json/.test(response.headers.get('Content-Type') || '') ? response.json() : response.text());
	} catch {
		throw new ApiError('network', 0, 'no answer');
	} finally {
		clearTimeout(timer);
	}
	const why = await response.json().catch(() => ({}));
	// 502…504 come from a proxy before a server that is just restarting.
	const code = why.error || (response.status >= 502 ? 'network' : 'internal');
	throw new ApiError(code, response.status, why.message || `HTTP ${response.status}`);
}

/** Waits that can be cut short: by `online`, and by the page being looked at again. */
export class Patience {
	constructor() {
		this.tries = 0;
		/** @type {(() => void)|null} */
		this.wake = null;
	}

	async wait() {
		const ms = retryDelay(this.tries++, Math.random());
		await new Promise((done) => {
			const timer = setTimeout(done, ms);
			this.wake = () => {
				clearTimeout(timer);
				done(undefined);
			};
		});
		this.wake = null;
	}

	hurry() {
		this.tries = 0;
		this.wake?.();
	}
}

/**
 * The events' WebSocket, reopened until close() is called.
 * @typedef {object} EventsOps
 * @property {() => object} hello the first message, asked for at each opening
 * @property {(event: any) => void} on
 * @property {(up: boolean) => void} onUp
 * @property {(code: number) => boolean} onClosed false: do not open again
 */
export class Events {
	/** @param {string} room @param {EventsOps} ops */
	constructor(room, ops) {
		this.url = Object.assign(new URL(`${base(room)}/events`, location.href),
			{ protocol: location.protocol === 'https:' ? 'wss:' : 'ws:', hash: '' }).href;
		this.ops = ops;
		/** @type {WebSocket|null} */
		this.socket = null;
		this.up = false;
		this.over = false;
		this.patience = new Patience();
		/** @type {ReturnType<typeof setTimeout>|undefined} */
		this.limit = undefined;
		this.#open();
	}

	#open() {
		const socket = new WebSocket(this.url, 'palabre.1');
		this.socket = socket;
		// A network that swallows packets would keep the browser trying for minutes.
		this.limit = setTimeout(() => socket === this.socket && !this.up && this.#lost(0), 6000);
		socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', ...this.ops.hello() }));
		socket.onmessage = (e) => {
			if (socket !== this.socket)
				return;
			/** @type {any} */
			let list;
			try {
				list = JSON.parse(e.data);
			} catch {
				return;
			}
			clearTimeout(this.limit);
			if (!this.up) {
				this.up = true;
				this.patience.tries = 0;
				this.ops.onUp(true);
			}
			for (const event of Array.isArray(list) ? list : [list])
				if (event && typeof event.t === 'string' && socket === this.socket)
					this.ops.on(event);
		};
		socket.onclose = (e) => socket === this.socket && this.#lost(e.code);
	}

	/** @param {number} code */
	async #lost(code) {
		this.#detach();
		if (this.up) {
			this.up = false;
			this.ops.onUp(false);
		}
		if (this.over || !this.ops.onClosed(code))
			return;
		await this.patience.wait();
		if (!this.over && !this.socket)
			this.#open();
	}

	#detach() {
		clearTimeout(this.limit);
		const socket = this.socket;
		this.socket = null;
		if (socket) {
			socket.onopen = socket.onmessage = socket.onclose = null;
			socket.close();
		}
	}

	/** A new socket now: the network has changed, or the leg is another one. */
	reopen() {
		if (this.over)
			return;
		this.#detach();
		if (this.up) {
			this.up = false;
			this.ops.onUp(false);
		}
		if (this.patience.wake)
			this.patience.hurry();
		else
			this.#open();
	}

	/** The way may have died: is anybody there? A browser would not find out, perhaps ever. */
	check() {
		const { socket } = this;
		if (!this.up)
			return;
		this.send({ t: 'ping' });
		clearTimeout(this.limit);
		this.limit = setTimeout(() => socket === this.socket && this.reopen(), CHECK_MS);
	}

	hurry() {
		if (!this.socket)
			this.patience.hurry();
	}

	/** @param {object} message @returns {boolean} whether it left */
	send(message) {
		if (!this.up || this.socket?.readyState !== WebSocket.OPEN)
			return false;
		this.socket.send(JSON.stringify(message));
		return true;
	}

	close() {
		this.over = true;
		this.#detach();
	}
}
