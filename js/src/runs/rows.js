// Rows of a run: what is known of it, row by row, from the trait and from what was told since. Pure.

/** @typedef {import("./wire.js").Columns} Columns */
/** @typedef {{from: number, n: number, columns: Columns}} Block  rows from … from + n */

/**
 * Blocks as one: what is later lies over what was there; a row that neither has is not known.
 * @param {Block} under @param {Block} over which begins no later than `under` ends @returns {Block}
 */
export function overlaid(under, over) {
  const from = Math.min(under.from, over.from);
  const n = Math.max(under.from + under.n, over.from + over.n) - from;
  /** @type {Columns} */
  const columns = {};
  for (const name of new Set([...Object.keys(under.columns), ...Object.keys(over.columns)])) {
    const column = new Array(n).fill(Number.NaN);
    for (const block of [under, over])
      block.columns[name]?.forEach((value, i) => {
        column[block.from - from + i] = value;
      });
    columns[name] = column;
  }
  return {from, n, columns};
}

/**
 * What has been told, with what is told now. Rows from 0 begin anew; undefined: rows before these were lost on the way.
 * @param {Block | null} told @param {number} known rows of the trait @param {Block} more @returns {Block | null | undefined}
 */
export function extended(told, known, more) {
  const {from, n, columns} = more;
  if (from === 0) return n ? {from, n, columns} : null;
  if (from > Math.max(known, told ? told.from + told.n : 0)) return undefined;
  if (!told) return {from, n, columns};
  if (from === told.from + told.n) {
    const names = Object.keys(columns);
    // One row more of a long run: the usual case, and the only one that has to be quick.
    if (names.length === Object.keys(told.columns).length && names.every((name) => told.columns[name])) {
      const longer = names.map((name) => [name, told.columns[name].concat(columns[name])]);
      return {from: told.from, n: told.n + n, columns: Object.fromEntries(longer)};
    }
  }
  // Between what was told and what is, the trait's rows may lie.
  return from > told.from + told.n || from + n < told.from ? more : overlaid(told, more);
}

/** The rows of the trait under those that were told. @param {Block} known @param {Block | null} told @returns {Block} */
export function merged(known, told) {
  if (!told) return known;
  // What was told from the first row on is the whole run.
  return told.from === 0 ? told : overlaid(known, told);
}

/**
 * The rows that have a number in each of these columns. @param {Block} block @param {string[]} names @returns {Block}
 */
export function finite({columns, n}, names) {
  if (names.every((name) => columns[name]?.every(Number.isFinite))) return {from: 0, n, columns};
  const bad = (/** @type {number} */ i) => names.some((name) => !Number.isFinite(columns[name]?.[i]));
  /** @type {number[]} */
  const kept = [];
  for (let i = 0; i < n; i++) if (!bad(i)) kept.push(i);
  const picked = Object.entries(columns).map(([name, column]) => [name, kept.map((i) => column[i])]);
  return {from: 0, n: kept.length, columns: Object.fromEntries(picked)};
}
