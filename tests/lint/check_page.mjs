// SPDX-License-Identifier: AGPL-3.0-or-later
// The page's style goes by the direction of the writing and not by left and right, so that an Arabic page is
// laid out as an Arabic page without rules of its own.
//
//   node tests/lint/check_page.mjs [--self-test]
//
// --self-test checks that each of the things that it refuses is found.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = fileURLToPath(new URL('../../src/web', import.meta.url));

/** Properties that have a logical one in their place. */
const PHYSICAL = [
	/^(min-|max-)?(width|height)$/, // inline-size, block-size
	/^(left|right|top|bottom)$/, // inset-inline-start, …
	/^(margin|padding|border|scroll-margin|scroll-padding)-(left|right|top|bottom)(-\w+)?$/,
	/^border-(top|bottom)-(left|right)-radius$/,
];
/** Properties whose values name a side, or move to one. */
const SIDED = /^(text-align|float|clear|caption-side|resize|object-position|background-position|transform-origin|transform|translate)$/;
const SIDE = /\b(left|right)\b|translate(X|3d)?\(\s*[^0)]|^-?[1-9]/i;
/** Four values go round from the top: the second is the right, the fourth the left. */
const ROUND = /^(margin|padding|inset|border-width|border-style|border-color|border-radius|scroll-padding|scroll-margin)$/;

/** Values at the top level: "0 max(8px, 1vw)" has two. @param {string} value */
function valuesOf(value) {
	const list = [''];
	let depth = 0;
	for (const c of value.trim()) {
		depth += c === '(' ? 1 : c === ')' ? -1 : 0;
		if (/\s/.test(c) && !depth && list.at(-1))
			list.push('');
		else
			list[list.length - 1] += c;
	}
	return list;
}

/** The screen's own sides, where a phone has its camera, and what turns or draws a picture, are as they are. */
const isOfTheScreen = (value) => /safe-area-inset-(left|right)/.test(value);

/** @param {string} property @param {string} value */
function objection(property, value) {
	if (PHYSICAL.some((p) => p.test(property)))
		return 'has a logical property in its place';
	if (SIDED.test(property) && SIDE.test(value))
		return 'names a side';
	const four = valuesOf(value.replace(/!important/, ''));
	if (ROUND.test(property) && four.length === 4 && four[1] !== four[3] && !isOfTheScreen(value))
		return 'has different sides: say so with the logical properties';
	return '';
}

function checkStyle(css) {
	const problems = [];
	css.split('\n').forEach((line, i) => {
		// Media queries and containers have no logical names in the browsers we serve.
		const rules = line.replace(/\/\*.*?\*\//g, '').replace(/@(media|container)[^{]*\{/, '');
		for (const [, property, value] of rules.matchAll(/(?<=^|[{;]\s*|\s)([a-z-]+):\s*([^;{}]+)(?=[;}]|$)/g)) {
			const why = objection(property, value.trim());
			// An arrow is drawn with two of its sides and turned.
			if (why && !(property === 'border-width' && /rotate\(/.test(line)))
				problems.push(`style.css:${i + 1}: ${property}: ${value.trim()} ${why}`);
		}
	});
	return problems;
}

function checkScript(file, text) {
	const problems = [];
	text.split('\n').forEach((line, i) => {
		for (const [what] of line.matchAll(/\bstyle\.(left|right|top|bottom|width|height|margin(Left|Right)|padding(Left|Right)|transform)\b/g))
			problems.push(`${file}:${i + 1}: ${what} has a logical property in its place`);
	});
	return problems;
}

let failed = 0, passed = 0;
function report(name, problems) {
	if (problems.length)
		failed++;
	else
		passed++;
	console.log(`${problems.length ? 'not ok' : 'ok'} ${name}`);
	for (const p of problems)
		console.log(`   ${p}`);
}

const css = readFileSync(join(web, 'style.css'), 'utf8');
report('style of what comes later', checkStyle(readFileSync(join(web, 'more/more.css'), 'utf8')));
report('style', [...checkStyle(css), ...(checkStyle(`${css}\na { left: 0; }`).length ? [] : ['the sheet cannot be read'])]);
report('scripts', ['', 'more/'].flatMap((folder) => readdirSync(join(web, folder)).filter((f) => f.endsWith('.js'))
	.flatMap((f) => checkScript(f, readFileSync(join(web, folder, f), 'utf8')))));

if (process.argv.includes('--self-test')) {
	for (const bad of ['margin-left: 1px', 'padding-right: 0', 'left: 0', 'text-align: right', 'float: left', 'width: 1px',
		'max-height: 2px', 'border-left: 0', 'border-top-left-radius: 3px', 'padding: 1px 2px 3px 4px', 'inset: 0 auto 0 0',
		'border-radius: 9px 0 0 9px', 'transform: translateX(-50%)', 'translate: 4px', 'object-position: left'])
		report(`finds ${bad}`, checkStyle(`.a { color: red; ${bad}; }`).length === 1 ? [] : ['not found']);
	for (const good of ['margin-inline-start: 1px', 'padding: 1px 2px 3px 2px', 'text-align: start', 'inset: 0', 'max-inline-size: 1px',
		'padding: 0 max(1px, env(safe-area-inset-right)) 0 max(1px, env(safe-area-inset-left))', 'transform: translateY(-2px)',
		'transform: scaleX(-1)', 'object-position: top', 'inset-inline: 0 4px'])
		report(`leaves ${good}`, checkStyle(`@media (max-width: 9px) { .a { ${good}; } }`));
	report('finds a side in a script', checkScript('x.js', '\te.style.left = 0;').length === 1 ? [] : ['not found']);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
