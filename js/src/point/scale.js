// The axes of a spectrum. Most eigenvalues lie near 0 and a few far out: the axis of values bends, as asinh does, where
// a straight one would show either the one or the other.

import {formatLevel, ticks} from "../ladder.js";

/** @typedef {{lo: number, hi: number, bend: number | null}} Domain  bend: where the axis bends; null: it is straight */
/** @typedef {{at: number, text: string}} Tick */

/** A straight axis gives the bulk less than so much of it: then it bends. */
const LEAST_SHARE = 1 / 8;
/** Shares of all eigenvalues that are not the bulk, on either side. */
const TAIL = 0.02;
/** Pixels that a label takes at least. */
const LABEL = 34;

/** The power of two that is next above. @param {number} value */
const rounded = (value) => 2 ** Math.ceil(Math.log2(value));

/**
 * Where the bulk of a density lies: all but 2 % on either side.
 * @param {ArrayLike<number>} grid @param {ArrayLike<number>} values @returns {[number, number]}
 */
export function bulkOf(grid, values) {
  const mass = [0];
  for (let i = 1; i < grid.length; i++)
    mass.push(mass[i - 1] + ((values[i] + values[i - 1]) / 2) * (grid[i] - grid[i - 1]));
  const total = mass[mass.length - 1];
  const from = mass.findIndex((value) => value > TAIL * total);
  const to = mass.findIndex((value) => value >= (1 - TAIL) * total);
  return [grid[Math.max(from - 1, 0)], grid[Math.max(to, 0)]];
}

/**
 * What an axis spans, with some air at both ends, and whether it bends.
 * @param {number} lo @param {number} hi @param {[number, number]} bulk @param {Domain | null} [last] which it stays near to
 * @returns {Domain}
 */
export function domainOf(lo, hi, bulk, last = null) {
  const range = hi - lo || Math.abs(hi) || 1;
  const inner = Math.max(bulk[1] - bulk[0], range * 1e-6);
  // A domain that is a little too wide is better than one that moves with every product.
  const keeps = last !== null && last.lo <= lo && last.hi >= hi && last.hi - last.lo < 1.6 * range;
  const bends = inner < LEAST_SHARE * range;
  const bend = bends ? rounded(Math.max(Math.abs(bulk[0]), Math.abs(bulk[1]), inner) / 2) : null;
  if (keeps && (last.bend === null) === (bend === null)) return last;
  const air = 0.06;
  if (bend === null) return {lo: lo - air * range, hi: hi + air * range, bend};
  const bent = (/** @type {number} */ x) => Math.asinh(x / bend);
  const more = air * (bent(hi) - bent(lo));
  return {lo: bend * Math.sinh(bent(lo) - more), hi: bend * Math.sinh(bent(hi) + more), bend};
}

/** From an eigenvalue to pixels. @param {Domain} domain @param {number} left @param {number} width @returns {(x: number) => number} */
export function scaleOf({lo, hi, bend}, left, width) {
  const bent = (/** @type {number} */ x) => (bend === null ? x : Math.asinh(x / bend));
  const [from, to] = [bent(lo), bent(hi)];
  return (x) => left + (width * (bent(x) - from)) / (to - from || 1);
}

/** @param {Domain} domain @param {number} left @param {number} width @returns {Tick[]} */
export function valueTicks(domain, left, width) {
  const {lo, hi, bend} = domain;
  const x = scaleOf(domain, left, width);
  if (bend === null) {
    const values = ticks(lo, hi, Math.max(2, width / 64));
    return values.map((value) => ({at: x(value), text: formatLevel(value)}));
  }
  // 0 before all, then what is furthest out: the powers of ten between them where there is room.
  const values = [0];
  const least = Math.floor(Math.log10(bend));
  for (let power = Math.floor(Math.log10(Math.max(hi, -lo, bend))); power >= least; power--)
    for (const value of [10 ** power, -(10 ** power)]) if (value > lo && value < hi) values.push(value);
  /** @type {Tick[]} */
  const kept = [];
  for (const value of values) {
    const at = x(value);
    if (kept.every((other) => Math.abs(other.at - at) >= LABEL)) kept.push({at, text: formatLevel(value)});
  }
  return kept.sort((a, b) => a.at - b.at);
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** 10 to a power, in words. @param {number} power */
export const powerOfTen = (power) =>
  `10${[...String(power)].map((digit) => (digit === "-" ? "⁻" : SUPERSCRIPT[Number(digit)])).join("")}`;
