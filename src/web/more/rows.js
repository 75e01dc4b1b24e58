// SPDX-License-Identifier: AGPL-3.0-or-later
// Rows of a list: each made once, moved only when its place has changed. Whoever has the focus on one keeps it, and is
// not thrown out of the list when it goes.

/** @template T */
export class Rows {
	/**
	 * @param {HTMLElement} list @param {(key: number) => HTMLElement} make @param {(row: HTMLElement, value: T) => void} fill
	 * @param {HTMLElement} home gets the focus of a row that goes
	 */
	constructor(list, make, fill, home) {
		this.list = list;
		this.make = make;
		this.fill = fill;
		this.home = home;
		/** @type {Map<number, HTMLElement>} */
		this.rows = new Map();
	}

	/** @param {[number, T][]} entries in order */
	render(entries) {
		const focus = document.activeElement;
		const here = focus instanceof HTMLElement && this.list.contains(focus);
		const keys = new Set(entries.map(([key]) => key));
		for (const [key, row] of this.rows)
			if (!keys.has(key)) {
				row.remove();
				this.rows.delete(key);
			}
		entries.forEach(([key, value], i) => {
			let row = this.rows.get(key);
			if (!row) {
				row = this.make(key);
				this.rows.set(key, row);
			}
			if (this.list.children[i] !== row)
				this.list.insertBefore(row, this.list.children[i] || null);
			this.fill(row, value);
		});
		if (here && document.activeElement !== focus)
			(focus.isConnected && focus.checkVisibility() ? focus : this.home).focus();
	}
}
