// SPDX-License-Identifier: AGPL-3.0-or-later
// Watches the page come up. What a change of network breaks off, browsers do not ask for again, and a module
// that has failed stays failed as long as the document lives: so the page is loaded anew, which
// costs only what is missing. Not a module, so that it waits for none.
{
	const DELAYS_MS = [500, 2000, 5000];
	const root = document.documentElement;
	const pause = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));
	const styled = () => !!getComputedStyle(root).getPropertyValue('--accent');
	let mending = false;

	const giveUp = () => {
		const button = /** @type {HTMLElement} */ (document.getElementById('reload'));
		history.replaceState(null, ''); // whoever reloads has all tries again
		root.dataset.stuck = '';
		button.hidden = false;
		button.onclick = () => location.reload();
		button.parentElement?.focus();
	};

	/** The tries so far are in history.state, which a reload keeps and nobody forbids. */
	const mend = async () => {
		if (mending || root.dataset.ready)
			return;
		mending = true;
		for (let n = history.state?.tries || 0; n < DELAYS_MS.length; n++) {
			await pause(DELAYS_MS[n]);
			// Without this the browser's own page about the network might replace ours.
			const there = await fetch(location.pathname, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
			if (there?.ok) {
				history.replaceState({ tries: n + 1 }, '');
				location.reload();
				return;
			}
		}
		giveUp();
	};

	/** A style sheet is asked for again when its element is a new one. */
	const dress = async () => {
		for (const ms of DELAYS_MS) {
			if (styled())
				return;
			await pause(ms);
			const link = document.querySelector('link[rel=stylesheet]');
			link?.replaceWith(link.cloneNode());
		}
	};

	// Everything the markup asks for has come by then, or failed.
	addEventListener('load', () => {
		dress();
		if (!('palabre' in globalThis))
			mend();
	});
	addEventListener('unhandledrejection', mend); // the catalogue, which i18n.js imports
}
