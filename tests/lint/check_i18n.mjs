// SPDX-License-Identifier: AGPL-3.0-or-later
//
// The page's words: every language has the same keys with the same {placeholders} and no empty or
// doubled text; every key that page or markup names exists; none is unused; and no words
// stand in the markup itself, but for those that are shown when no catalogue has come.
//
//   node tests/lint/check_i18n.mjs [folder of the page] [--self-test]
//
// --self-test breaks copies of the catalogues and checks that each break is found.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const args = process.argv.slice(2);
const web = args.find((a) => !a.startsWith('--')) ||
	fileURLToPath(new URL('../../src/web', import.meta.url));

const html = readFileSync(join(web, 'index.html'), 'utf8');
const js = readdirSync(web).filter((f) => f.endsWith('.js'))
	.map((f) => ({ file: f, text: readFileSync(join(web, f), 'utf8').replace(/^\s*(\/\/|\*|\/\*).*$/gm, '') }));
const catalogues = {};
for (const f of readdirSync(join(web, 'i18n')).filter((f) => f.endsWith('.js'))) {
	const file = join(web, 'i18n', f);
	catalogues[f.replace('.js', '')] = (await import(pathToFileURL(file))).default;
	const seen = new Set();
	for (const [, key] of readFileSync(file, 'utf8').matchAll(/^\t'([^']+)':/gm)) {
		if (seen.has(key))
			throw new Error(`${f}: '${key}' twice`);
		seen.add(key);
	}
}

function check(words) {
	const problems = [];
	const en = words.en;
	const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort().join();
	for (const [lang, list] of Object.entries(words)) {
		for (const key of Object.keys(en))
			if (!(key in list))
				problems.push(`${lang}: '${key}' is missing`);
			else if (holes(list[key]) !== holes(en[key]))
				problems.push(`${lang}: '${key}' has other placeholders than English`);
		for (const [key, text] of Object.entries(list)) {
			if (!(key in en))
				problems.push(`${lang}: '${key}' is not in English`);
			if (!text.trim())
				problems.push(`${lang}: '${key}' is empty`);
		}
	}
	const named = new Map(); // key → where
	const prefixes = [];
	for (const [, key] of html.matchAll(/data-t(?:-label|-title)?="([^"]*)"/g))
		named.set(key, 'index.html');
	for (const { file, text } of js) {
		for (const [, key] of text.matchAll(/\bt\(\s*'([^']+)'/g))
			named.set(key, file);
		for (const [, key] of text.matchAll(/\btn\(\s*'([^']+)'/g)) {
			named.set(`${key}.one`, file);
			named.set(`${key}.other`, file);
		}
		// t(`error.${code}`), and t(`left.${reason}.title`): all keys of that shape.
		for (const [, shape] of text.matchAll(/\bt\(\s*`([^`]+)`/g))
			prefixes.push({ file, shape: new RegExp(`^${shape.replace(/\$\{[^}]*\}/g, '\0').replace(/[.]/g, '\\.')
				.replace(/\0/g, '[a-z-]+')}$`), text: shape });
	}
	for (const [key, where] of named)
		if (!(key in en))
			problems.push(`${where}: '${key}' is in no catalogue`);
	for (const p of prefixes)
		if (!Object.keys(en).some((key) => p.shape.test(key)))
			problems.push(`${p.file}: nothing matches \`${p.text}\``);
	for (const key of Object.keys(en)) {
		// A key may also be picked first and translated later: then it stands in quotes somewhere.
		const used = named.has(key) || prefixes.some((p) => p.shape.test(key)) ||
			js.some(({ text }) => text.includes(`'${key}'`));
		if (!used)
			problems.push(`'${key}' is not used`);
	}
	return problems;
}

/** Who may be offered which: boot.js goes by the markup, the settings by i18n.js. */
const offered = {
	'index.html': html.match(/data-languages="([^"]*)"/)[1].split(' '),
	'i18n.js': [...js.find(({ file }) => file === 'i18n.js').text.match(/LANGUAGES = \{(.*?)\}/)[1].matchAll(/(\w+):/g)].map((m) => m[1]),
};

function checkOffers(words) {
	const have = Object.keys(words).sort().join();
	return Object.entries(offered).filter(([, list]) => [...list].sort().join() !== have)
		.map(([file, list]) => `${file} offers ${list.join()}, and the catalogues are ${have}`);
}

function checkMarkup() {
	const body = html.slice(html.indexOf('<body')).replace(/<!--[\s\S]*?-->/g, '')
		.replace(/<noscript>[\s\S]*?<\/noscript>/, '').replace(/<main id="stuck"[\s\S]*?<\/main>/, '');
	return [...body.matchAll(/>([^<]*\p{L}[^<]*)</gu)].map((m) => m[1].trim())
		.filter((text) => text !== 'Palabre').map((text) => `index.html: words outside the catalogues: ${text}`);
}

const problems = [...check(catalogues), ...checkOffers(catalogues), ...checkMarkup()];
let passed = 0, failed = 0;
const report = (name, list) => {
	if (list.length)
		failed++;
	else
		passed++;
	console.log(`${list.length ? 'not ok' : 'ok'} ${name}`);
	for (const p of list)
		console.log(`   ${p}`);
};
report('catalogues', problems);

if (args.includes('--self-test')) {
	const broken = (change) => {
		const copy = structuredClone(catalogues);
		change(copy);
		return [...check(copy), ...checkOffers(copy)];
	};
	const expect = (name, change, pattern) => {
		const found = broken(change);
		report(`finds ${name}`, found.some((p) => pattern.test(p)) ? [] : [`not found: ${pattern}`]);
	};
	expect('a key missing in one language', (c) => { delete c.fr.close; }, /^fr: 'close' is missing/);
	expect('a key missing in all', (c) => { for (const l of Object.values(c)) delete l['prejoin.join']; }, /index.html: 'prejoin.join' is in no catalogue/);
	expect('a language that is offered and not there', (c) => { delete c.fr; }, /^index.html offers en,fr,es/);
	expect('an unused key', (c) => { for (const l of Object.values(c)) l['nobody.uses.this'] = 'x'; }, /'nobody.uses.this' is not used/);
	expect('other placeholders', (c) => { c.es['said.joined'] = 'Alguien ha entrado'; }, /^es: 'said.joined' has other/);
	expect('an empty text', (c) => { c.es.close = ' '; }, /^es: 'close' is empty/);
	expect('a plural without other', (c) => { for (const l of Object.values(c)) delete l['people.title.other']; }, /people.title.other' is in no/);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
