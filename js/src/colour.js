// From drawn values to colours: scales, the colour domain, lookup tables.
import colormaps from "./colormaps.json" with {type: "json"};
import {splineRows} from "./spline.js";

/** @typedef {"linear" | "log"} Scale */

/**
 * What is drawn of a value: itself, or its natural logarithm. Grids, domains and levels hold drawn values; a value that
 * has no logarithm becomes non-finite and is drawn as such.
 * @param {number} value
 * @param {Scale} scale
 */
export function drawn(value, scale) {
  return scale === "log" ? Math.log(value) : value;
}

/**
 * The value that is drawn as w.
 * @param {number} w
 * @param {Scale} scale
 */
export function undrawn(w, scale) {
  return scale === "log" ? Math.exp(w) : w;
}

/**
 * A colour map as 256 entries of red, green, blue: every 17th is kept, the spline through them is right to one step of 255.
 * @param {string} [name]
 * @returns {Uint8Array} (768,)
 */
export function lookupTable(name = "viridis") {
  /** @type {Record<string, string>} */
  const maps = colormaps;
  if (!Object.hasOwn(maps, name)) {
    throw new RangeError(`There is no colour map "${name}". Take one of: ${Object.keys(maps).join(", ")}.`);
  }
  const kept = Float64Array.from(maps[name].match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const table = new Float64Array(768);
  splineRows(kept, 16, 3, 256, table);
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
 * @param {Float64Array} sorted not empty
 * @param {number} share
 */
function quantile(sorted, share) {
  const x = share * (sorted.length - 1);
  const below = Math.floor(x);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (x - below);
}
