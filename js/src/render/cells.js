// A quad drawn cell by cell: what shade.js says of each pixel, at a fraction of the cost. A cell of the grid is about two
// pixels wide, so the values at its corners, the knots, are made first; every row of knots becomes a row of pixels once;
// and a pixel is then one product and one look into a table, which has its colour and how far away the next line is.
// Only the few that a line can touch are asked for their slope. Light is made at the knots too: one more product a pixel.
import {SIZE} from "../spline.js";
import {FINE, SHADES, shadesOf, whitened} from "./relief.js";
import {lineAlpha, walk} from "./shade.js";

/** @typedef {import("./shade.js").Quad} Quad */
/** @typedef {import("./shade.js").Patch} Patch */
/** @typedef {import("./shade.js").Paint} Paint */
/** @typedef {import("./shade.js").Area} Area */

const LAST = SIZE - 1;
/** The widest picture, device pixels. */
const WIDEST = 8192;
const MOST_BINS = 8192;

// Room for one quad, used again by each: a frame makes no garbage. Constants, for then the engine knows where they are.
const knots = new Float64Array(SIZE * SIZE);
/** Shades of light on the knots. */
const lights = new Float64Array(SIZE * SIZE);
/** Least and greatest knot of each row; NaN where there is a hole. */
const leastOf = new Float64Array(SIZE);
const mostOf = new Float64Array(SIZE);
const cellOf = new Int32Array(SIZE);
const shareOf = new Float64Array(SIZE);
/** Of each bin of the quad's values: the entry of its colour, and how many bins away from it the next line is at least. */
const colours = new Uint32Array(MOST_BINS);
const tints = new Int32Array(MOST_BINS);
const distance = new Float64Array(MOST_BINS);
/** Column of cells of each pixel, and how far in it is. */
const columnOf = new Int32Array(WIDEST);
const partOf = new Float64Array(WIDEST);
/** Bins along a row of knots, their slope per pixel, and the light. */
const makePlaces = () => ({
  bin: new Float64Array(WIDEST),
  slope: new Float64Array(WIDEST),
  light: new Float64Array(WIDEST),
});
const places = [makePlaces(), makePlaces()];
/** How many bins around a pixel's own a line can be that touches it, and the pixels where one is. */
const reach = new Float64Array(WIDEST);
const candidates = new Int32Array(WIDEST);

/** @param {number} value @param {number} lo @param {number} hi */
const clamp = (value, lo, hi) => (value < lo ? lo : value > hi ? hi : value);

/**
 * Draw the pixels of a quad that lie in an area, as far as that can be done by cells.
 * @param {Quad} quad
 * @param {Area} area pixels of the quad, not empty
 * @param {Paint} paint
 * @param {Uint32Array} pixels
 * @param {(area: Area) => void} general draws what cannot: what is next to a hole, and tiles that do not nest
 */
export function paintCells(quad, {x0, y0, x1, y1}, paint, pixels, general) {
  if (x1 > WIDEST) return general({x0, y0, x1, y1});
  const from = quad.t < 1 ? quad.from : null;
  const [fine, coarse] = from === null ? [quad.to, null] : byFineness(quad.to, from);
  const {x: startX, y: startY, stepX, stepY} = walk(fine, quad.rect, x0, y0);
  const cell = (/** @type {number} */ at) => clamp(Math.floor(at), 0, LAST - 1);
  const left = cell(startX);
  const columns = cell(startX + (x1 - 1 - x0) * stepX) - left + 1;
  // b points up and y down: the last row of pixels lies in the lowest row of cells.
  const lower = cell(startY + (y1 - 1 - y0) * stepY);
  const end = cell(startY) + 2;
  const t = Math.max(quad.t, 0);
  const weight = fine === quad.to ? t : 1 - t;
  const {perSlope} = paint;
  if (perSlope > 0) {
    const {to, from: before} = shadesOf(quad, perSlope);
    const [one, other] = fine === quad.to ? [to, before] : [/** @type {Patch} */ (before), to];
    readKnots(one, coarse && other, weight, left, columns + 1, lower, end);
    lights.set(knots);
  }
  if (!readKnots(fine, coarse, weight, left, columns + 1, lower, end)) return general({x0, y0, x1, y1});
  for (let x = x0; x < x1; x++) {
    const at = startX + (x - x0) * stepX - left;
    const column = clamp(Math.floor(at), 0, columns - 1);
    columnOf[x] = column;
    partOf[x] = clamp(at - column, 0, 1);
  }

  const {least, perBin} = fillBins(end - lower, paint);
  const {width, widest} = paint;
  let [under, over] = places;
  let row = -1;
  for (let y = y0; y < y1; ) {
    const next = cell(startY + (y - y0) * stepY);
    let stop = y + 1;
    while (stop < y1 && cell(startY + (stop - y0) * stepY) === next) stop++;
    const j = next - lower;
    if (Number.isNaN(leastOf[j] + leastOf[j + 1])) {
      general({x0, y0: y, x1, y1: stop});
      row = -1;
    } else {
      if (row === next + 1) [under, over] = [over, under];
      else placeRow((j + 1) * SIZE, least, perBin, stepX, x0, x1, perSlope > 0, over);
      placeRow(j * SIZE, least, perBin, stepX, x0, x1, perSlope > 0, under);
      row = next;
      reachOut(under, over, widest, Math.abs(stepY), x0, x1);
      for (let at = y; at < stop; at++) {
        const part = clamp(startY + (at - y0) * stepY - next, 0, 1);
        const found = colourRow(under, over, part, x0, x1, paint, pixels, at * width);
        drawLines(found, j * SIZE, part, stepX, stepY, at * width, paint, pixels);
      }
    }
    y = stop;
  }
}

/**
 * Cut the values of the quad into bins, each finer than a colour, and say of each what there is to know.
 * @param {number} rows of knots @param {Paint} paint
 */
function fillBins(rows, {levels, table, lowest, perTint}) {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < rows; j++) {
    if (leastOf[j] < least) least = leastOf[j];
    if (mostOf[j] > most) most = mostOf[j];
  }
  const range = most - least;
  const bins = range > 0 ? clamp(Math.ceil(range * perTint), FINE, MOST_BINS) : 1;
  const perBin = range > 0 ? (bins - 1) / range : 0;
  const {count, value} = levels;
  let k = 0;
  let before = Number.NEGATIVE_INFINITY;
  let after = count > 0 ? (value[0] - least) * perBin : Number.POSITIVE_INFINITY;
  for (let i = 0; i < bins; i++) {
    const entry = (least - lowest) * perTint + (perBin > 0 ? (i / perBin) * perTint : 0) + 0.5;
    tints[i] = entry <= 0 ? 0 : entry >= FINE ? FINE - 1 : entry | 0;
    colours[i] = table[tints[i]];
    while (k < count && after <= i) {
      before = after;
      k++;
      after = k < count ? (value[k] - least) * perBin : Number.POSITIVE_INFINITY;
    }
    // Half a bin to either side, and a little for rounding.
    distance[i] = Math.min(i - before, after - i) - 0.501;
  }
  return {least, perBin};
}

/** The patch with more cells across first. @param {Patch} to @param {Patch} from @returns {[Patch, Patch]} */
const byFineness = (to, from) => (from.uv[2] - from.uv[0] > to.uv[2] - to.uv[0] ? [from, to] : [to, from]);

/**
 * Knots of one patch, or of two mixed. @param {Patch} fine @param {Patch | null} coarse @param {number} weight of the fine one
 * @param {number} left @param {number} count @param {number} lower @param {number} end @returns {boolean} whether it is done
 */
function readKnots(fine, coarse, weight, left, count, lower, end) {
  if (coarse !== null) return blendKnots(fine, coarse, weight, left, count, lower, end);
  const {grid, offset} = fine;
  for (let j = lower; j < end; j++) {
    const from = j * SIZE + left;
    const to = (j - lower) * SIZE;
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    let holes = 0;
    for (let i = 0; i < count; i++) {
      const value = grid[from + i] + offset;
      knots[to + i] = value;
      holes += value - value;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    leastOf[j - lower] = least + holes; // a number plus NaN is NaN
    mostOf[j - lower] = most + holes;
  }
  return true;
}

/**
 * Knots of two patches, mixed at the corners of the finer one's cells. That is the mixture everywhere, for the cells of
 * tiles nest: a fine one lies in one coarse one. Where they do not nest, or there is a hole, it is not done.
 * @param {Patch} fine @param {Patch} coarse @param {number} weight of the fine one
 * @param {number} left @param {number} count @param {number} lower @param {number} end
 */
function blendKnots(fine, coarse, weight, left, count, lower, end) {
  const [u0, v0, u1, v1] = fine.uv;
  const [s0, t0, s1, t1] = coarse.uv;
  const ratioX = (s1 - s0) / (u1 - u0);
  const ratioY = (t1 - t0) / (v1 - v0);
  const firstX = (s0 - u0 * ratioX) * LAST;
  const firstY = (t0 - v0 * ratioY) * LAST;
  // So many fine cells make a coarse one, and a border of the coarse ones is a border of the fine ones.
  const whole = [1 / ratioX, 1 / ratioY, firstX / ratioX, firstY / ratioY];
  if (whole.some((number) => Math.abs(number - Math.round(number)) > 1e-9 * Math.max(1, Math.abs(number))))
    return false;
  for (let i = 0; i < count; i++) {
    const at = firstX + (left + i) * ratioX;
    // The last knot ends its cell, rather than beginning one that may lie outside.
    cellOf[i] = clamp(i === count - 1 ? Math.ceil(at - 1e-9) - 1 : Math.floor(at + 1e-9), 0, LAST - 1);
    shareOf[i] = clamp(at - cellOf[i], 0, 1);
  }
  const {grid} = coarse;
  const shift = fine.offset - coarse.offset;
  let holes = 0;
  for (let j = lower; j < end; j++) {
    const at = firstY + j * ratioY;
    const cell = clamp(j === end - 1 ? Math.ceil(at - 1e-9) - 1 : Math.floor(at + 1e-9), 0, LAST - 1);
    const share = clamp(at - cell, 0, 1);
    const from = j * SIZE + left;
    const to = (j - lower) * SIZE;
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const corner = cell * SIZE + cellOf[i];
      const near = grid[corner] + shareOf[i] * (grid[corner + 1] - grid[corner]);
      const above = corner + SIZE;
      const far = grid[above] + shareOf[i] * (grid[above + 1] - grid[above]);
      const old = near + share * (far - near);
      const value = old + weight * (fine.grid[from + i] + shift - old) + coarse.offset;
      knots[to + i] = value;
      holes += value - value;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    leastOf[j - lower] = least;
    mostOf[j - lower] = most;
  }
  return holes === 0;
}

/**
 * Where the pixels along a row of knots are among the bins.
 * @param {number} first knot @param {number} least @param {number} perBin @param {number} stepX
 * @param {number} x0 @param {number} x1 @param {boolean} lit @param {(typeof places)[number]} row
 */
function placeRow(first, least, perBin, stepX, x0, x1, lit, {bin, slope, light}) {
  const perPixel = perBin * stepX;
  for (let x = x0; x < x1; x++) {
    const at = first + columnOf[x];
    const value = knots[at];
    const rise = knots[at + 1] - value;
    bin[x] = (value + partOf[x] * rise - least) * perBin + 0.5;
    slope[x] = Math.abs(rise * perPixel);
    if (lit) light[x] = lights[at] + partOf[x] * (lights[at + 1] - lights[at]);
  }
}

/**
 * How far a line can be that touches a pixel of this row of cells: the slope along x lies between those below and above,
 * that along y is the same all the way up, and their sum is at least the slope.
 * @param {(typeof places)[number]} under @param {(typeof places)[number]} over @param {number} widest
 * @param {number} stepY @param {number} x0 @param {number} x1
 */
function reachOut(under, over, widest, stepY, x0, x1) {
  const [lowBin, lowSlope, highBin, highSlope] = [under.bin, under.slope, over.bin, over.slope];
  for (let x = x0; x < x1; x++) {
    const steep = lowSlope[x] > highSlope[x] ? lowSlope[x] : highSlope[x];
    reach[x] = widest * (steep + stepY * Math.abs(highBin[x] - lowBin[x]));
  }
}

/**
 * Colour a row of pixels, and list those that a line can touch.
 * @param {(typeof places)[number]} under @param {(typeof places)[number]} over @param {number} part
 * @param {number} x0 @param {number} x1 @param {Paint} paint @param {Uint32Array} pixels @param {number} line
 * @returns {number} how many are listed
 */
function colourRow(under, over, part, x0, x1, {table, perSlope}, pixels, line) {
  const [lowBin, lowLight, highBin, highLight] = [under.bin, under.light, over.bin, over.light];
  let found = 0;
  for (let x = x0; x < x1; x++) {
    const low = lowBin[x];
    const bin = (low + part * (highBin[x] - low)) & (MOST_BINS - 1);
    if (perSlope > 0) {
      const dark = lowLight[x];
      pixels[line + x] = table[((dark + part * (highLight[x] - dark)) & (SHADES - 1)) * FINE + tints[bin]];
    } else pixels[line + x] = colours[bin];
    if (distance[bin] < reach[x]) candidates[found++] = x;
  }
  return found;
}

/**
 * The lines in a row of pixels, over its colours.
 * @param {number} found candidates @param {number} first knot @param {number} part @param {number} stepX
 * @param {number} stepY @param {number} line @param {Paint} paint @param {Uint32Array} pixels
 */
function drawLines(found, first, part, stepX, stepY, line, {levels, pixelRatio}, pixels) {
  const {count, value} = levels;
  let k = 0;
  for (let i = 0; i < found; i++) {
    const x = candidates[i];
    const at = first + columnOf[x];
    const v00 = knots[at];
    const v10 = knots[at + 1];
    const climb = knots[at + SIZE] - v00;
    const twist = knots[at + SIZE + 1] - v10 - climb;
    const rise = v10 - v00 + part * twist;
    const v = v00 + part * climb + partOf[x] * rise;
    const slopeX = rise * stepX;
    const slopeY = (climb + partOf[x] * twist) * stepY;
    // Levels not above the value: it changes little from one pixel to the next, so walking beats searching.
    while (k < count && value[k] <= v) k++;
    while (k > 0 && value[k - 1] > v) k--;
    const shown = lineAlpha(levels, k, v, slopeX * slopeX + slopeY * slopeY, pixelRatio);
    if (shown > 0) pixels[line + x] = whitened(pixels[line + x], shown);
  }
}
