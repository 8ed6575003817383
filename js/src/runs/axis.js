// Axes of learning curves: what they span, whether they are logarithms, and where their ticks stand. Pure.

import {formatLevel, tickStep, ticks} from "../ladder.js";

/** @typedef {{lo: number, hi: number, log: boolean}} Domain */
/** @typedef {{at: number, text: string}} Tick */

/** Positive values that span more decades than this are drawn by their logarithm. */
const DECADES = 1.5;
/** Of what is spanned, beyond either end. */
const AIR = 0.06;

/** The lowest and the highest of the finite ones; null where there is none. @param {readonly (readonly number[])[]} lists @returns {[number, number] | null} */
export function extent(lists) {
  let [lo, hi] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const list of lists)
    for (const value of list)
      if (Number.isFinite(value)) {
        if (value < lo) lo = value;
        if (value > hi) hi = value;
      }
  return lo <= hi ? [lo, hi] : null;
}

/** @param {readonly (readonly number[])[]} lists @param {number} [air] @returns {Domain | null} null where nothing is finite */
export function domainOf(lists, air = AIR) {
  const found = extent(lists);
  if (!found) return null;
  const [lo, hi] = found;
  if (lo > 0 && hi / lo > 10 ** DECADES) {
    const room = (hi / lo) ** air;
    return {lo: lo / room, hi: hi * room, log: true};
  }
  const range = hi - lo || Math.abs(hi) * 0.2 || 1;
  const room = hi > lo ? air * range : range / 2;
  return {lo: lo - room, hi: hi + room, log: false};
}

/** From a value to pixels; NaN where it has no logarithm. @param {Domain} domain @param {number} from @param {number} to @returns {(x: number) => number} */
export function scaleOf({lo, hi, log}, from, to) {
  const drawn = log ? Math.log : Number;
  const [a, b] = [drawn(lo), drawn(hi)];
  return (x) => from + ((to - from) * (drawn(x) - a)) / (b - a || 1);
}

/** Round numbers, about so many. @param {Domain} domain @param {(x: number) => number} scale @param {number} count @returns {Tick[]} */
export function ticksOf({lo, hi, log}, scale, count) {
  if (!log) {
    const step = tickStep(lo, hi, count);
    return ticks(lo, hi, count).map((value) => ({at: scale(value), text: formatLevel(value, step)}));
  }
  const [first, last] = [Math.ceil(Math.log10(lo)), Math.floor(Math.log10(hi))];
  const every = Math.max(1, Math.ceil((last - first + 1) / count));
  const mantissas = last - first + 1 >= 3 ? [1] : [1, 3];
  const values = [];
  for (let power = first - 1; power <= last; power++)
    for (const mantissa of mantissas) {
      const value = Number(`${mantissa}e${power}`);
      if (value >= lo && value <= hi && (power - first) % every === 0) values.push(value);
    }
  return values.map((value) => ({at: scale(value), text: formatLevel(value)}));
}

/**
 * A curve of as many points as there are pixels: in each column its first, lowest, highest and last. What is not finite is left
 * out, and what is on either side of it joined: it may be a quantity that is recorded now and then.
 * @param {readonly number[]} xs pixels, ascending @param {readonly number[]} ys pixels @returns {[number, number][]}
 */
export function thinned(xs, ys) {
  /** @type {[number, number][]} */
  const kept = [];
  let start = -1;
  let [low, high, last] = [0, 0, 0];
  const close = () => {
    if (start < 0) return;
    for (const i of [...new Set([start, low, high, last])].sort((a, b) => a - b)) kept.push([xs[i], ys[i]]);
  };
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(ys[i]) || !Number.isFinite(xs[i])) continue;
    if (start < 0 || Math.floor(xs[i]) !== Math.floor(xs[start])) {
      close();
      start = low = high = last = i;
    }
    if (ys[i] < ys[low]) low = i;
    if (ys[i] > ys[high]) high = i;
    last = i;
  }
  close();
  return kept;
}
