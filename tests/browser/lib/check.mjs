// SPDX-License-Identifier: AGPL-3.0-or-later
// What every scenario needs: bounded waits, checks that say what they saw, figures, and an
// end that always cleans up. A scenario is one process; ctest reads its exit code.

/** @type {{name: string, tell: () => unknown}[]} what to print when the scenario fails */
const tellers = [];
/** @type {(() => unknown)[]} undone in reverse order, whatever happens */
const cleanups = [];
let cleaning = false;
/** @type {Error|null} something without which the scenario cannot go on */
let fatal = null;
const started = Date.now();

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
export const onFailure = (name, tell) => tellers.push({ name, tell });
export const onEnd = (undo) => cleanups.push(undo);

/** From now on every wait fails with this. */
export function giveUp(why) {
	fatal ??= new Error(why);
}

export function log(...words) {
	console.log(`[${((Date.now() - started) / 1000).toFixed(1).padStart(5)}]`, ...words);
}

/** A number that CI keeps: one line, easy to grep. */
export function figure(name, value, unit = '') {
	console.log(`figure: ${name} = ${typeof value === 'number' ? +value.toFixed(2) : value} ${unit}`);
}

export function ok(condition, what) {
	if (!condition)
		throw new Error(`not so: ${what}`);
}

export function equal(got, want, what) {
	const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
	if (g !== w)
		throw new Error(`${what}: got ${g}, want ${w}`);
}

export function median(numbers) {
	const sorted = [...numbers].sort((a, b) => a - b);
	const half = sorted.length >> 1;
	return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * Polls `probe` until it gives something true and returns that. `probe` may return
 * `{ok, saw}`; what it saw last, or threw, is in the message.
 */
export async function until(what, probe, ms = 10000, every = 100) {
	const begin = Date.now();
	let saw;
	for (;;) {
		if (fatal)
			throw fatal;
		try {
			const result = await limit(probe(), Math.max(1000, ms), what);
			const structured = result && typeof result === 'object' && 'ok' in result;
			if (structured ? result.ok : result)
				return structured ? result.saw ?? true : result;
			saw = structured ? result.saw : result;
		} catch (error) {
			saw = `threw ${error.message}`;
		}
		if (Date.now() - begin > ms)
			throw new Error(`waited ${ms} ms for: ${what}; saw last: ${JSON.stringify(saw)}`);
		await sleep(every);
	}
}

/** How long `until` took, ms. */
export async function timed(what, probe, ms, every = 50) {
	const begin = Date.now();
	await until(what, probe, ms, every);
	return Date.now() - begin;
}

export function limit(promise, ms, what) {
	let timer;
	const late = new Promise((_, fail) => {
		timer = setTimeout(() => fail(new Error(`no answer in ${ms} ms: ${what}`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function undoAll(list) {
	for (const undo of list.reverse()) {
		try {
			await limit(Promise.resolve(undo()), 10000, 'cleaning up');
		} catch (error) {
			console.log(`cleaning up: ${error.message}`);
		}
	}
}

async function cleanUp() {
	if (cleaning)
		return;
	cleaning = true;
	await undoAll(cleanups.splice(0));
}

async function tellAll(list) {
	for (const { name, tell } of list) {
		console.log(`\n--- ${name}`);
		try {
			const told = await limit(Promise.resolve(tell()), 5000, name);
			console.log(typeof told === 'string' ? told : JSON.stringify(told, null, 1));
		} catch (error) {
			console.log(`(${error.message})`);
		}
	}
}

/**
 * A part of a scenario that may fail without the others: what it began is undone. @template T @param {() => Promise<T>} run
 * @returns {Promise<{result?: T, error?: Error}>} an error that has been told
 */
export async function apart(name, run) {
	const [begun, known] = [cleanups.length, tellers.length];
	try {
		return { result: await run() };
	} catch (error) {
		console.log(`\nFAILED ${name}: ${error.stack ?? error}`);
		await tellAll(tellers.slice(known));
		return { error };
	} finally {
		tellers.splice(known);
		await undoAll(cleanups.splice(begun));
	}
}

/** Runs the scenario, within `seconds`, and ends the process. */
export async function scenario(name, run, seconds = 120) {
	for (const signal of ['SIGINT', 'SIGTERM'])
		process.once(signal, () => cleanUp().finally(() => process.exit(3)));
	process.stdout.on('error', () => cleanUp().finally(() => process.exit(3))); // a reader gone
	let code = 0;
	try {
		await limit(run(), seconds * 1000, `${name} as a whole`);
		log(`ok ${name}`);
	} catch (error) {
		code = 1;
		console.log(`\nFAILED ${name}: ${error.stack ?? error}`);
		await tellAll(tellers);
	}
	await cleanUp();
	process.exit(code || process.exitCode); // a cleanup may have found something, too
}
