// From drawn values to colours: scales, the colour domain, lookup tables.
import colormaps from "./colormaps.json" with {type: "json"};
import {splineRows} from "./spline.js";

/** @typedef {"linear" | "log" | `symlog:${number}`} Scale  a symmetric logarithm carries its c in its name */

/**
 * Of a symmetric logarithm the c within which it is as good as linear, for values of both signs; NaN of the others.
 * @param {string} scale
 */
export const linthresh = (scale) => Number(scale.split(":")[1]);

/**
 * What is drawn of a value: itself, its natural logarithm, or arsinh(v / 2c), which is ± ln(|v| / c) far from 0 and
 * v / 2c near it. Grids, domains and levels hold drawn values; a value that has no logarithm becomes non-finite and is
 * drawn as such.
 * @param {number} value
 * @param {Scale} scale
 */
export function drawn(value, scale) {
  if (scale === "linear") return value;
  return scale === "log" ? Math.log(value) : Math.asinh(value / linthresh(scale) / 2);
}

/**
 * The value that is drawn as w.
 * @param {number} w
 * @param {Scale} scale
 */
export function undrawn(w, scale) {
  if (scale === "linear") return w;
  return scale === "log" ? Math.exp(w) : 2 * linthresh(scale) * Math.sinh(w);
}

/** Values that span more than this read better as logarithms. */
const LOG_FROM = 20;

/** @typedef {"linear" | "log" | "symlog"} Kind */
/** @typedef {{kind: Kind, c: number, positive: boolean}} Chosen  positive: whether all values have a logarithm */

/** @param {string} scale */
export const kindOf = (scale) => scale.split(":")[0];

/**
 * The scale that suits values: logarithms where they span much, of both signs where half of them are small beside the
 * largest; and a c between a thousandth and a hundredth of that. What was chosen last stays while it is not far off.
 * @param {number[]} all @param {{kind: Kind, c: number}} last c: 0 where there is none
 * @returns {Chosen}
 */
export function autoScale(all, {kind: before, c}) {
  const values = Float64Array.from(all.filter(Number.isFinite)).sort();
  const sizes = values.map(Math.abs).sort();
  const most = sizes.at(-1) ?? 0;
  const ratio = most / c;
  const next = ratio > 30 && ratio < 3000 ? c : most && Number(`1e${Math.floor(Math.log10(most)) - 2}`);
  const [min] = values;
  const max = values.at(-1) ?? 0;
  const kind = min < 0 ? "symlog" : "log";
  const span = min < 0 && max > 0 ? most / sizes[sizes.length >> 1] : min > 0 ? most / min : 0;
  return {kind: span > (before === kind ? LOG_FROM / 2 : LOG_FROM) ? kind : "linear", c: next, positive: min > 0};
}

/** Whether a colour map has a middle, which stands for 0. @param {string} name */
export const isDiverging = (name) => name === "vik";

/**
 * A colour map as 256 entries of red, green, blue. Kept are few, at equal distances over each of its smooth parts, which
 * end at the entry named after them or at the last; the splines through them are right to one step of 255. viridis and
 * magma: van der Walt and Smith 2015; cividis: Nuñez, Anderton and Renslow 2018; batlow and vik: Crameri 2018,
 * doi 10.5281/zenodo.1243862 (MIT).
 * @param {string} [name]
 * @returns {Uint8Array} (768,)
 */
export function lookupTable(name = "viridis") {
  /** @type {Record<string, string>} */
  const maps = colormaps;
  if (!Object.hasOwn(maps, name)) {
    throw new RangeError(`There is no colour map "${name}". Take one of: ${Object.keys(maps).join(", ")}.`);
  }
  const table = new Float64Array(768);
  let from = 0;
  for (const part of maps[name].split(" ")) {
    const [digits, to = 255] = part.split(":");
    const kept = Float64Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    splineRows(kept, kept.length / 3, 3, Number(to) - from + 1, table.subarray(3 * from));
    from = Number(to);
  }
  return new Uint8Array(Uint8ClampedArray.from(table).buffer);
}

/**
 * The colour at t, between 0 and 1 and clamped to it; linear between the entries.
 * @param {Uint8Array} lut
 * @param {number} t
 * @returns {[number, number, number]} 0 to 255, not rounded
 */
export function colourAt(lut, t) {
  const x = Math.min(Math.max(t, 0), 1) * 255;
  const entry = Math.min(Math.floor(x), 254);
  const rest = x - entry;
  /** @param {number} channel */
  const mixed = (channel) => lut[3 * entry + channel] * (1 - rest) + lut[3 * entry + 3 + channel] * rest;
  return [mixed(0), mixed(1), mixed(2)];
}

/**
 * The range of drawn values that gets the colours.
 *
 * At the top the 99.5 % quantile: a loss shoots up at the rim of a map, and the few highest samples would leave the rest
 * in one colour. At the bottom the minimum, for that is what one looks for; but its logarithm falls without end where a
 * loss reaches 0, so on a log scale the bottom is at most a quarter of the range below the 0.5 % quantile. Whatever lies
 * outside takes the colour at the end.
 * @param {Iterable<ArrayLike<number>>} grids drawn values; those that are not finite do not count
 * @param {{scale?: Scale}} [options]
 * @returns {[number, number] | null} equal numbers when all samples are equal, null when there is no sample
 */
export function domainOf(grids, {scale = "linear"} = {}) {
  let count = 0;
  for (const grid of grids) count += grid.length;
  const sorted = new Float64Array(count);
  count = 0;
  for (const grid of grids) {
    for (let i = 0; i < grid.length; i++) if (Number.isFinite(grid[i])) sorted[count++] = grid[i];
  }
  if (count === 0) return null;
  const samples = sorted.subarray(0, count).sort();
  const high = quantile(samples, 0.995);
  const few = quantile(samples, 0.005);
  const low = scale === "log" ? Math.max(samples[0], few - (high - few) / 4) : samples[0];
  // Flat but for a few samples: they are then all there is to see.
  return low < high ? [low, high] : [samples[0], samples[count - 1]];
}

/**
 * Whether drawn values in sight lie beyond the colour domain, whose ends then stand for more than their own value; by so little
 * that no bar shows it does not count.
 * @param {{lo: number, hi: number} | null} sight @param {readonly number[] | null} domain
 */
export function beyond(sight, domain) {
  if (sight === null || domain === null) return {above: false, below: false};
  const slack = 0.002 * (domain[1] - domain[0]);
  return {above: sight.hi > domain[1] + slack, below: sight.lo < domain[0] - slack};
}

/**
 * @param {Float64Array} sorted not empty
 * @param {number} share
 */
function quantile(sorted, share) {
  const x = share * (sorted.length - 1);
  const below = Math.floor(x);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (x - below);
}
