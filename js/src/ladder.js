// Which isolines a map shows. A line is where it is because of its number alone: levels are global multiples of round
// steps, so that panning, zooming and new tiles never move one.

import {drawn, linthresh} from "./colour.js";

/** @typedef {import("./colour.js").Scale} Scale */

/**
 * @typedef {object} Level
 * @property {number} value in the field's own unit, on either scale
 * @property {boolean} major drawn stronger, and labelled
 * @property {number} opacity 0 to 1
 * @property {number} step what the last digit of its label has to tell apart
 */

/**
 * @typedef {object} Ladder
 * @property {Level[]} levels ascending, at most 64
 * @property {Scale} scale
 * @property {string} rung names the set of levels of which the visible ones are taken; "" when there are none
 * @property {number} step the smallest difference of two neighbours in the set; 0 when there are none
 */

export const MAX_LEVELS = 64;

// Between 8 and 20 lines. 20 / 8 is the largest ratio of neighbours among 1, 2, 5, 10: some step always fits.
const FEWEST = 8;
const MOST = 20;
// Which leaves no room between 2 and 5 for a range that wavers: the lines that are there may be one fewer, or two more.
const KEEP_FEWEST = 7;
const KEEP_MOST = 22;

// Below this many decades round numbers at even distances read better than 1, 2, 5.
const EVEN_DECADES = 0.5;
// As long as what is about straight of a symmetric logarithm, ± 4 c, is most of the range, too.
const STRAIGHT_DECADES = 1.3;
// From this many on, one line per decade is enough.
const SPARSE_DECADES = 7;
// How far a range may drift over a threshold before the ladder changes.
const HYSTERESIS = 0.12;

/** How many minor steps make a major one, for steps of 1, 2 and 5: the majors are 5, 10 and 20. */
const NESTED = {1: 5, 2: 5, 5: 4};

/**
 * Sets of levels within a decade, each holding the next; and up to how many decades each is used.
 * @type {{name: string, mantissas: number[], majors: number[], decades: number}[]}
 */
const DECADES = [
  {
    name: "fine",
    mantissas: [10, 12.5, 15, 17.5, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90],
    majors: [10, 20, 50],
    decades: 2.2,
  },
  // About as far apart as a logarithm shows them.
  {name: "seven", mantissas: [10, 15, 20, 30, 40, 50, 70], majors: [10, 20, 50], decades: 5},
  {name: "five", mantissas: [10, 20, 30, 50, 70], majors: [10, 20, 50], decades: 6},
  {name: "few", mantissas: [10, 20, 50], majors: [10], decades: SPARSE_DECADES},
];

/**
 * The isolines of a range of values. Hand in the ladder shown before as `previous`, so that its set is kept while it
 * still fits: lines do not flicker when the range changes a little. `from` and `to` list lines of that set beyond the range.
 * @param {{lo: number, hi: number, scale: Scale, previous?: Ladder | null, from?: number, to?: number}} range in the
 *   field's own unit
 * @returns {Ladder}
 */
export function ladder({lo, hi, scale, previous = null, from = lo, to = hi}) {
  const none = {levels: [], scale, rung: "", step: 0};
  if (!(Number.isFinite(lo) && Number.isFinite(hi) && hi > lo)) return none;
  // Nothing can lie between neighbouring numbers, and multiples of a step that rounds away would all be the same.
  if (hi - lo < 64 * Number.EPSILON * Math.max(Math.abs(lo), Math.abs(hi)) || !Number.isFinite(hi - lo)) return none;
  const before = previous?.scale === scale ? previous.rung : "";
  const listed = /** @type {Listed} */ ([from, to]);
  if (scale === "linear") return {...even(hi - lo, listed, before), scale};
  if (scale === "log" && !(lo > 0 && from > 0)) return none;
  const decades = (drawn(hi, scale) - drawn(lo, scale)) / Math.LN10;
  const c = linthresh(scale);
  const wasEven = before.startsWith("even");
  const near = shifted(c, wasEven, before !== "");
  const straight = lo < near && hi > -near ? STRAIGHT_DECADES : EVEN_DECADES;
  if (decades < shifted(straight, wasEven, before !== "")) return {...even(hi - lo, listed, before), scale};
  if (scale === "log") return {...logarithmic(decades, listed, before), scale};
  // Beyond ± c the levels of a logarithm to either side, which mirror each other, and 0 between them.
  // Sparse only where one side alone would be.
  const longest = Math.max(Math.log10(Math.max(hi, -lo) / c), SPARSE_DECADES - 1);
  const span = decades < SPARSE_DECADES ? decades : longest;
  const above = logarithmic(span, [Math.max(from, c), to], before);
  const below = logarithmic(span, [Math.max(-to, c), -from], before).levels.reverse();
  const levels = below.map((level) => ({...level, value: -level.value}));
  if (from <= 0 && to >= 0) levels.push({value: 0, major: true, opacity: 1, step: c});
  levels.push(...above.levels);
  return {levels: levels.slice(0, MAX_LEVELS), scale, rung: above.rung, step: levels[0]?.step ?? 0};
}

/** A ladder of levels that somebody chose. @param {readonly number[]} values ascending @param {Scale} scale @returns {Ladder} */
export const rungsOf = (values, scale) => ({
  levels: values.slice(0, MAX_LEVELS).map((value) => ({value, major: true, opacity: 1, step: 0})),
  scale,
  rung: values.join(),
  step: 0,
});

/** @typedef {[from: number, to: number]} Listed */

/**
 * @param {number} decades of the range
 * @param {Listed} listed positive
 * @param {string} before
 */
function logarithmic(decades, listed, before) {
  const wasSparse = before.startsWith("sparse");
  if (decades >= shifted(SPARSE_DECADES, !wasSparse, before !== "")) return sparse(decades, listed, before);
  const place = DECADES.findIndex(({name}) => name === before);
  const index = DECADES.findIndex((set, i) => decades < shifted(set.decades, place >= 0 && place <= i, place >= 0));
  return withinDecades(listed, DECADES[index < 0 ? DECADES.length - 1 : index]);
}

/**
 * A threshold, further away from the side where the range was before.
 * @param {number} threshold
 * @param {boolean} below
 * @param {boolean} known
 */
function shifted(threshold, below, known) {
  if (!known) return threshold;
  return threshold * (below ? 1 + HYSTERESIS : 1 - HYSTERESIS);
}

/**
 * @param {Listed} listed
 * @param {(typeof DECADES)[number]} set
 */
function withinDecades([lo, hi], {name, mantissas, majors}) {
  const levels = [];
  const last = Math.floor(Math.log10(hi));
  for (let decade = Math.floor(Math.log10(lo)); decade <= last; decade++) {
    for (const mantissa of mantissas) {
      const value = decimal(mantissa, decade - 1);
      if (value < lo || value > hi) continue;
      levels.push({
        value,
        major: majors.includes(mantissa),
        opacity: 1,
        step: decimal(mantissa % 10 === 0 ? 10 : mantissa % 1 === 0 ? 1 : 0.1, decade - 1),
      });
    }
  }
  return {levels: levels.slice(0, MAX_LEVELS), rung: name, step: levels[0]?.step ?? 0};
}

/**
 * One line per decade or fewer: an even ladder of exponents.
 * @param {number} decades
 * @param {Listed} listed
 * @param {string} before
 */
function sparse(decades, [from, to], before) {
  const exponents = even(decades, [Math.log10(from), Math.log10(to)], before.replace("sparse", "even"), 0);
  const levels = exponents.levels.map((level) => {
    const value = decimal(1, level.value);
    return {...level, value, step: value};
  });
  return {...exponents, levels, rung: exponents.rung.replace("even", "sparse")};
}

/**
 * @param {number} range
 * @param {Listed} listed
 * @param {string} before
 * @param {number} [finest] the smallest power of ten allowed as a step
 */
function even(range, [lo, hi], before, finest = Number.NEGATIVE_INFINITY) {
  const rung = fittingRung(range, before, finest);
  const {unit, power} = rung;
  const nested = NESTED[unit];
  const levels = [];
  const step = decimal(unit, power);
  const last = Math.floor(hi / step + 1e-9);
  for (let k = Math.ceil(lo / step - 1e-9); k <= last && levels.length < MAX_LEVELS; k++) {
    const value = decimal(k * unit, power);
    if (value < lo || value > hi) continue;
    levels.push({value, major: k % nested === 0, opacity: 1, step});
  }
  return {levels, rung: `even ${unit} ${power}`, step};
}

/** @typedef {{unit: 1 | 2 | 5, power: number}} Rung a step of unit · 10^power */

/**
 * The step from before while it fits, else the one whose number of lines is nearest to the middle.
 * @param {number} range
 * @param {string} before
 * @param {number} finest
 * @returns {Rung}
 */
function fittingRung(range, before, finest) {
  const [, unit, power] = /^even ([125]) (-?\d+)$/.exec(before) ?? [];
  if (unit) {
    const kept = /** @type {Rung} */ ({unit: Number(unit), power: Number(power)});
    const lines = range / decimal(kept.unit, kept.power);
    if (lines >= KEEP_FEWEST && lines < KEEP_MOST && kept.power >= finest) return kept;
  }
  const wanted = range / Math.sqrt(FEWEST * MOST);
  const guess = Math.floor(Math.log10(wanted));
  /** @type {Rung[]} */
  const rungs = [guess, guess + 1].flatMap((exponent) => {
    const decade = Math.max(exponent, finest);
    return /** @type {const} */ ([1, 2, 5]).map((one) => ({unit: one, power: decade}));
  });
  /** @param {Rung} one */
  const miss = (one) => Math.abs(Math.log(decimal(one.unit, one.power) / wanted));
  return rungs.reduce((best, one) => (miss(one) < miss(best) ? one : best));
}

/**
 * The number nearest to digits · 10^power. A division by a power of ten is exact where a product with its inverse is
 * not: 3 / 10 is 0.3, 3 * 0.1 is not.
 * @param {number} digits exact in binary
 * @param {number} power whole
 */
function decimal(digits, power) {
  if (Math.abs(power) > 22) return Number(`${digits}e${power}`);
  return power < 0 ? digits / 10 ** -power : digits * 10 ** power;
}

/**
 * Levels on their way from one ladder to the next: those of both stay as they are, new ones fade in, old ones out.
 * @param {Level[]} from
 * @param {Level[]} to
 * @param {number} t 0 to 1
 * @returns {Level[]} ascending, at most 64
 */
export function fade(from, to, t) {
  if (t >= 1) return to;
  const old = new Map(from.map((level) => [level.value, level]));
  const levels = to.map((level) => {
    const before = old.get(level.value);
    old.delete(level.value);
    const opacity = (before?.opacity ?? 0) * (1 - t) + level.opacity * t;
    // A line takes its new rank where it is seen least: halfway.
    return {...level, opacity, major: before && t < 0.5 ? before.major : level.major};
  });
  const leaving = [...old.values()].map((level) => ({...level, opacity: level.opacity * (1 - t)}));
  return [...levels, ...leaving.slice(0, Math.max(0, MAX_LEVELS - levels.length))].sort((a, b) => a.value - b.value);
}

/**
 * The range to list lines for: the one before while it still suits this one, else a new one with some room.
 * @param {{lo: number, hi: number}} range @param {{lo: number, hi: number} | null} last
 */
export function widened({lo, hi}, last) {
  const width = hi - lo;
  if (last !== null && last.lo <= lo && last.hi >= hi && last.hi - last.lo <= 1.5 * width) return last;
  return {lo: lo - 0.15 * width, hi: hi + 0.15 * width};
}

/**
 * Round numbers for an axis or a colour bar, about `count` of them, between lo and hi (either may be the larger).
 * @param {number} lo
 * @param {number} hi
 * @param {number} count
 * @returns {number[]} ascending
 */
export function ticks(lo, hi, count) {
  const [from, to] = lo < hi ? [lo, hi] : [hi, lo];
  const step = tickStep(from, to, count);
  if (step === 0) return [];
  const power = Math.floor(Math.log10(step) + 1e-9);
  const unit = Math.round(step / decimal(1, power));
  const values = [];
  const last = Math.floor(to / step + 1e-9);
  for (let k = Math.ceil(from / step - 1e-9); k <= last && values.length < 1000; k++) {
    values.push(k === 0 ? 0 : decimal(k * unit, power));
  }
  return values;
}

/**
 * The distance of those ticks, for `formatLevel`; 0 when there can be none.
 * @param {number} lo
 * @param {number} hi
 * @param {number} count
 */
export function tickStep(lo, hi, count) {
  const range = Math.abs(hi - lo);
  if (!(range > 0 && Number.isFinite(range) && count > 0)) return 0;
  if (range < 64 * Number.EPSILON * Math.max(Math.abs(lo), Math.abs(hi))) return 0;
  const wanted = range / count;
  const power = Math.floor(Math.log10(wanted));
  const rest = wanted / decimal(1, power);
  // The thresholds are the geometric means of neighbouring steps.
  const unit = rest < Math.SQRT2 ? 1 : rest < Math.sqrt(10) ? 2 : rest < Math.sqrt(50) ? 5 : 10;
  return decimal(unit, power);
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * A number with just the digits that tell it from its neighbours `step` away, with a true minus sign; as a power of ten
 * where it is very small or large.
 * @param {number} value
 * @param {number} [step] without it: the shortest text that is this number
 * @returns {string}
 */
export function formatLevel(value, step = 0) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0 || size < step * 1e-6) return "0";
  const sign = value < 0 ? "−" : "";
  const decimals = step > 0 ? decimalsOf(step) : null;
  if (size >= 1e-4 && size < 1e6) {
    const text = decimals === null ? String(size) : size.toFixed(Math.min(Math.max(decimals, 0), 100));
    return Number(text) === 0 ? "0" : sign + text;
  }
  const exponent = Math.floor(Math.log10(size) + 1e-12);
  const digits = decimals === null ? undefined : Math.min(Math.max(decimals + exponent, 0), 20);
  const [mantissa, power] = size.toExponential(digits).split("e");
  const raised = [...String(Math.abs(Number(power)))].map((digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return `${sign}${mantissa}×10${Number(power) < 0 ? "⁻" : ""}${raised}`;
}

/**
 * How many digits after the point the multiples of a step need: 2 for 0.25, −1 for 20.
 * @param {number} step
 */
function decimalsOf(step) {
  const lead = -Math.floor(Math.log10(step) + 1e-9);
  for (let more = 0; more < 3; more++) {
    const scaled = step / decimal(1, -(lead + more));
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return lead + more;
  }
  return lead + 1;
}
