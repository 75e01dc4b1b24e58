// SPDX-License-Identifier: AGPL-3.0-or-later
// Runs while the page is still coming: asks for the words, in the person's language, and watches it come up. What a
// change of network breaks off, browsers do not ask for again: so the page is loaded anew, which costs only what is
// missing.
{
	const DELAYS_MS = [500, 2000, 5000];
	const root = document.documentElement;
	const pause = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));
	let mending = false;

	const chosen = () => {
		try {
			return localStorage.getItem('palabre-lang') || '';
		} catch {
			return '';
		}
	};
	const languages = root.dataset.languages?.split(' ') ?? [];
	root.lang = [chosen(), ...(navigator.languages || [])].map((tag) => tag.slice(0, 2).toLowerCase())
		.find((tag) => languages.includes(tag)) ?? 'en';
	root.dir = root.lang === 'ar' ? 'rtl' : 'ltr';
	const words = document.createElement('link');
	words.rel = 'modulepreload';
	words.href = `${root.dataset.web}i18n/${root.lang}.js`;
	document.head.append(words);

	const giveUp = () => {
		const button = /** @type {HTMLElement|null} */ (document.getElementById('reload'));
		history.replaceState(null, ''); // whoever reloads has all tries again
		root.dataset.stuck = '';
		if (!button)
			return; // not even that has come
		button.hidden = false;
		for (const e of document.querySelectorAll('#stuck [lang]'))
			e.toggleAttribute('hidden', !e.matches(`[lang=${root.lang}]`));
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

	// Everything the markup asks for has come by then, or failed.
	addEventListener('load', () => {
		if (!('palabre' in globalThis))
			mend();
	});
	addEventListener('unhandledrejection', mend); // the catalogue, which i18n.js imports
}
