// SPDX-License-Identifier: AGPL-3.0-or-later
//
// The page's words: every language has the same keys with the same {placeholders} (where something is
// counted: in the forms that the language has) and no empty, doubled or English text; every key that
// page or markup names exists; none is unused; and no words stand in the markup itself, but for
// those that are shown when no catalogue has come. What is loaded later (more/) has catalogues of its own, with the
// same rules, and may use the page's; the page, which may be without them, not theirs.
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
const scripts = (folder) => readdirSync(join(web, folder)).filter((f) => f.endsWith('.js'));
const js = ['', 'more/'].flatMap((folder) => scripts(folder).map((f) => ({ file: `${folder}${f}`, later: !!folder,
	text: readFileSync(join(web, folder, f), 'utf8').replace(/^\s*(\/\/|\*|\/\*).*$/gm, '') })));

async function cataloguesOf(folder) {
	const words = {};
	for (const f of scripts(folder)) {
		const file = join(web, folder, f);
		words[f.replace('.js', '')] = (await import(pathToFileURL(file))).default;
		const seen = new Set();
		for (const [, key] of readFileSync(file, 'utf8').matchAll(/^\t'([^']+)':/gm)) {
			if (seen.has(key))
				throw new Error(`${folder}/${f}: '${key}' twice`);
			seen.add(key);
		}
	}
	return words;
}
const catalogues = await cataloguesOf('i18n'), later = await cataloguesOf('i18n/more');

// ---- what the page asks for

const named = new Map(); // key → where
const counted = new Map(); // first part of a key that comes in forms for numbers → where
const shapes = []; // of keys that are put together: t(`error.${code}`), tn(`said.${kind}.many`)
const inMarkup = /data-t(?:-label|-title)?="([^"$]*)"/g;
for (const [, key] of html.matchAll(inMarkup))
	named.set(key, { file: 'index.html' });
// The page's own come last: what both use has to be in its catalogues.
for (const from of [...js].sort((a, b) => b.later - a.later)) {
	const { file, text } = from;
	for (const pattern of [inMarkup, /\bt\(\s*'([^']+)'/g, /\bt\([^,)`]*?[?:]\s*'([^']+)'/g, /\bt\([^,)`]*:\s*'([^']+)'/g])
		for (const [, key] of text.matchAll(pattern))
			named.set(key, from);
	if (file.endsWith('markup.js'))
		for (const [, key] of text.matchAll(/'([a-z]+(?:\.[a-z]+)+)'/g))
			named.set(key, from);
	for (const [, key] of text.matchAll(/\btn\(\s*'([^']+)'/g))
		counted.set(key, from);
	for (const [, n, shape] of text.matchAll(/\bt(n?)\(\s*`([^`]+)`/g))
		shapes.push({ file, text: shape, counts: !!n, shape: new RegExp(`^${shape.replace(/\$\{[^}]*\}/g, '\0')
			.replace(/[.]/g, '\\.').replace(/\0/g, '[a-z-]+')}$`) });
}

const COUNTED_TO = 10000; // of the forms of "many" that French has for a million, nobody sees one
const FORM = /\.(zero|one|two|few|many|other)$/;

const known = new Map();

/** The forms a language has (CLDR), and whether there is one number only of which each is said. */
function formsOf(lang) {
	const forms = known.get(lang) ?? new Map();
	if (forms.size)
		return forms;
	known.set(lang, forms);
	const rules = new Intl.PluralRules(lang);
	for (let n = 0; n < COUNTED_TO; n++)
		forms.set(rules.select(n), !forms.has(rules.select(n)));
	return forms;
}

const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort().join();

/** What a catalogue must have: key → [its placeholders, may {n} be a word in the text]. */
function wanted(en, lang) {
	const keys = new Map();
	const bases = new Map([...counted].filter(([base]) => `${base}.other` in en));
	for (const key of Object.keys(en)) {
		const base = key.replace(FORM, '');
		if (FORM.test(key) && shapes.some((s) => s.counts && s.shape.test(base)))
			bases.set(base, 'shape');
		if (!bases.has(base) || !FORM.test(key))
			keys.set(key, [holes(en[key]), false]);
	}
	for (const base of bases.keys())
		for (const [form, single] of formsOf(lang))
			keys.set(`${base}.${form}`, [holes(en[`${base}.other`] ?? '{n}'), single]);
	return keys;
}

/** Of the text itself. */
function faults(text, english) {
	const found = [];
	if (!text.trim())
		found.push('is empty');
	else if (text.trim() !== text || / {2}/.test(text))
		found.push('has spaces too many');
	if (text.match(/[\u2066-\u2068]/g)?.length !== text.match(/\u2069/g)?.length)
		found.push('opens an isolate and does not close it');
	if (text === english && text.split(' ').length > 3)
		found.push('is still English');
	return found;
}

function check(words, more = later) {
	return [...checkForms(words), ...checkForms(more).map((p) => `more/${p}`), ...checkUse(words.en, more.en)];
}

function checkForms(words) {
	const problems = [];
	const { en } = words;
	for (const [lang, list] of Object.entries(words)) {
		const keys = wanted(en, lang);
		for (const [key, [places, single]] of keys)
			if (!(key in list))
				problems.push(`${lang}: '${key}' is missing`);
			else if (holes(list[key]) !== places && !(single && holes(list[key]) === ''))
				problems.push(`${lang}: '${key}' has other placeholders than English`);
		for (const [key, text] of Object.entries(list)) {
			if (!keys.has(key))
				problems.push(`${lang}: '${key}' is not in English`);
			problems.push(...faults(text, lang === 'en' ? '' : en[key]).map((fault) => `${lang}: '${key}' ${fault}`));
		}
	}
	return problems;
}

function checkUse(own, more) {
	const problems = [];
	const en = { ...more, ...own };
	for (const [base, from] of counted)
		for (const form of formsOf('en').keys())
			named.set(`${base}.${form}`, from);
	for (const [key, from] of named)
		if (!(key in (from.later ? en : own)))
			problems.push(`${from.file}: '${key}' is in no catalogue`);
	for (const key of Object.keys(more))
		if (key in own)
			problems.push(`'${key}' is in both catalogues`);
	const fits = (s, key) => s.shape.test(s.counts ? key.replace(FORM, '') : key);
	for (const s of shapes)
		if (!Object.keys(en).some((key) => fits(s, key)))
			problems.push(`${s.file}: nothing matches \`${s.text}\``);
	for (const key of Object.keys(en)) {
		// A key may also be picked first and translated later: then it stands in quotes somewhere.
		const used = named.has(key) || shapes.some((s) => fits(s, key)) ||
			js.some(({ text }) => text.includes(`'${key}'`));
		if (!used)
			problems.push(`'${key}' is not used`);
	}
	return problems;
}

/** Who may be offered which: boot.js goes by the markup, the settings by i18n.js; and who gets no catalogue reads #stuck. */
const stuck = html.slice(html.indexOf('<main id="stuck"'), html.indexOf('</main>', html.indexOf('<main id="stuck"')));
const offered = {
	'#stuck, in words,': [...stuck.matchAll(/<p lang="(\w+)"/g)].map((m) => m[1]),
	'#stuck, on its button,': [...stuck.matchAll(/<span lang="(\w+)"/g)].map((m) => m[1]),
	'index.html': html.match(/data-languages="([^"]*)"/)[1].split(' '),
	'i18n.js': [...js.find(({ file }) => file === 'i18n.js').text.match(/LANGUAGES = \{(.*?)\}/)[1].matchAll(/(\w+):/g)].map((m) => m[1]),
};

function checkOffers(words) {
	const have = Object.keys(words).sort().join();
	offered['i18n/more'] = Object.keys(later);
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
		const copy = structuredClone(catalogues), more = structuredClone(later);
		change(copy, more);
		return [...check(copy, more), ...checkOffers(copy)];
	};
	const expect = (name, change, pattern) => {
		const found = broken(change);
		report(`finds ${name}`, found.some((p) => pattern.test(p)) ? [] : [`not found: ${pattern}`]);
	};
	for (const lang of Object.keys(catalogues).filter((l) => l !== 'en'))
		expect(`what is missing in ${lang}`, (c) => { delete c[lang].meter; }, new RegExp(`^${lang}: 'meter' is missing`));
	expect('a key missing in one language', (c) => { delete c.fr.close; }, /^fr: 'close' is missing/);
	expect('a key missing in all', (c) => { for (const l of Object.values(c)) delete l['prejoin.join']; }, /index.html: 'prejoin.join' is in no catalogue/);
	expect('a language that is offered and not there', (c) => { delete c.fr; }, /^index.html offers en,fr,es/);
	expect('an unused key', (c) => { for (const l of Object.values(c)) l['nobody.uses.this'] = 'x'; }, /'nobody.uses.this' is not used/);
	expect('other placeholders', (c) => { c.es['said.joined'] = 'Alguien ha entrado'; }, /^es: 'said.joined' has other/);
	expect('a placeholder that a form needs', (c) => { c.ar['people.title.few'] = 'أشخاص'; }, /^ar: 'people.title.few' has other/);
	expect('a form missing in Arabic', (c) => { delete c.ar['said.left.many.two']; }, /^ar: 'said.left.many.two' is missing/);
	expect('a form that a language has not', (c) => { c.sw['people.title.few'] = 'Watu {n}'; }, /^sw: 'people.title.few' is not in/);
	expect('a key in one language only', (c) => { c.pt.hello = 'Olá'; }, /^pt: 'hello' is not in/);
	expect('what was left in English', (c) => { c.sw['left.left'] = c.en['left.left']; }, /^sw: 'left.left' is still English/);
	expect('an isolate left open', (c) => { c.ar['start.bad'] = c.ar['start.bad'].replace('\u2069', ''); }, /^ar: 'start.bad' opens/);
	expect('an empty text', (c) => { c.es.close = ' '; }, /^es: 'close' is empty/);
	expect('what is missing of what comes later', (c, m) => { delete m.sw['ask.send']; }, /^more\/sw: 'ask.send' is missing/);
	expect('what nobody has of it', (c, m) => { for (const l of Object.values(m)) delete l['ask.send']; }, /^more\/markup.js: 'ask.send' is in no/);
	expect('what of it nobody uses', (c, m) => { for (const l of Object.values(m)) l['nobody.uses.this'] = 'x'; }, /'nobody.uses.this' is not used/);
	expect('what the page may be without', (c, m) => { for (const l of Object.keys(c)) { m[l]['bar.hand'] = c[l]['bar.hand']; delete c[l]['bar.hand']; } }, /^index.html: 'bar.hand' is in no/);
	expect('the same twice', (c, m) => { for (const l of Object.keys(c)) m[l].close = c[l].close; }, /'close' is in both/);
	expect('a plural without other', (c) => { for (const l of Object.values(c)) delete l['people.title.other']; }, /people.title.other' is in no/);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
