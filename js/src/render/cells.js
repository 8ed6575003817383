// A quad drawn cell by cell: what shade.js says of each pixel, at a fraction of the cost. A cell of the grid is about two
// pixels wide, so the values at its corners, the knots, are made first; every row of knots becomes a row of pixels once,
// and a pixel is then a product and a look into a table of colours. Only in cells that a line can touch it is asked for.
import {SIZE} from "../spline.js";
import {FINE, lineAlpha, walk} from "./shade.js";

/** @typedef {import("./shade.js").Quad} Quad */
/** @typedef {import("./shade.js").Patch} Patch */
/** @typedef {import("./shade.js").Paint} Paint */
/** @typedef {import("./shade.js").Area} Area */

const LAST = SIZE - 1;

// Room for one quad, used again by each: a frame makes no garbage. Constants, for then the engine knows where they are.
const knots = new Float64Array(SIZE * SIZE);
/** Least and greatest knot of each row; NaN in either where there is a hole. */
const leastOf = new Float64Array(SIZE);
const mostOf = new Float64Array(SIZE);
/** Cells of a row that a line may touch, and the first level that may. */
const touched = new Uint8Array(SIZE);
const firstLevel = new Uint8Array(SIZE);
const cellOf = new Int32Array(SIZE);
const shareOf = new Float64Array(SIZE);
/** First pixel of each column of cells. */
const columnStart = new Int32Array(SIZE + 1);
const WIDEST = 8192;
/** Column of cells of each pixel, and how far in it is. */
const columnOf = new Int32Array(WIDEST);
const partOf = new Float64Array(WIDEST);
/** Places in the table of colours along two rows of knots. */
const rows = [new Float64Array(WIDEST), new Float64Array(WIDEST)];

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
  if (coarse === null) readKnots(fine, left, columns + 1, lower, end);
  else if (!blendKnots(fine, coarse, fine === quad.to ? t : 1 - t, left, columns + 1, lower, end))
    return general({x0, y0, x1, y1});

  let seen = -1;
  for (let x = x0; x < x1; x++) {
    const at = startX + (x - x0) * stepX - left;
    const column = clamp(Math.floor(at), 0, columns - 1);
    while (seen < column) columnStart[++seen] = x;
    columnOf[x] = column;
    partOf[x] = clamp(at - column, 0, 1);
  }
  while (seen < columns) columnStart[++seen] = x1;

  const {width, lowest, perTint} = paint;
  let [under, over] = rows;
  let row = -1;
  let marked = 0;
  let inside = false;
  for (let y = y0; y < y1; ) {
    const next = cell(startY + (y - y0) * stepY);
    let stop = y + 1;
    while (stop < y1 && cell(startY + (stop - y0) * stepY) === next) stop++;
    const j = next - lower;
    const least = (Math.min(leastOf[j], leastOf[j + 1]) - lowest) * perTint;
    const most = (Math.max(mostOf[j], mostOf[j + 1]) - lowest) * perTint;
    // Beyond that a place is no integer any more.
    if (!(least > -1e9 && most < 1e9)) {
      general({x0, y0: y, x1, y1: stop});
      row = -1;
    } else {
      if (row === next + 1) [under, over] = [over, under];
      else placeRow((j + 1) * SIZE, lowest, perTint, x0, x1, over);
      placeRow(j * SIZE, lowest, perTint, x0, x1, under);
      row = next;
      inside = least >= 0 && most < FINE - 1;
      marked = mark(j * SIZE, columns, Math.max(Math.abs(stepX), Math.abs(stepY)) * paint.widest, paint.levels);
      for (; y < stop; y++) {
        const part = clamp(startY + (y - y0) * stepY - next, 0, 1);
        if (inside) colour(under, over, part, paint.table, x0, x1, pixels, y * width);
        else colourClamped(under, over, part, paint.table, x0, x1, pixels, y * width);
        if (marked > 0) drawLines(j * SIZE, columns, part, stepX, stepY, y * width, paint, pixels);
      }
    }
    y = stop;
  }
}

/** The patch with more cells across first. @param {Patch} to @param {Patch} from @returns {[Patch, Patch]} */
const byFineness = (to, from) => (from.uv[2] - from.uv[0] > to.uv[2] - to.uv[0] ? [from, to] : [to, from]);

/** @param {Patch} patch @param {number} left @param {number} count @param {number} lower @param {number} end */
function readKnots({grid, offset}, left, count, lower, end) {
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
    leastOf[j - lower] = least + holes;
    mostOf[j - lower] = most + holes;
  }
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
 * Where the pixels along a row of knots are in the table of colours.
 * @param {number} first knot @param {number} lowest @param {number} perTint @param {number} x0 @param {number} x1
 * @param {Float64Array} row
 */
function placeRow(first, lowest, perTint, x0, x1, row) {
  for (let x = x0; x < x1; x++) {
    const at = first + columnOf[x];
    const value = knots[at];
    row[x] = (value + partOf[x] * (knots[at + 1] - value) - lowest) * perTint + 0.5;
  }
}

/**
 * @param {Float64Array} under @param {Float64Array} over @param {number} part @param {Uint32Array} table
 * @param {number} x0 @param {number} x1 @param {Uint32Array} pixels @param {number} line
 */
function colour(under, over, part, table, x0, x1, pixels, line) {
  for (let x = x0; x < x1; x++) pixels[line + x] = table[(under[x] + part * (over[x] - under[x])) | 0];
}

/**
 * The same, where some of it lies outside the domain.
 * @param {Float64Array} under @param {Float64Array} over @param {number} part @param {Uint32Array} table
 * @param {number} x0 @param {number} x1 @param {Uint32Array} pixels @param {number} line
 */
function colourClamped(under, over, part, table, x0, x1, pixels, line) {
  for (let x = x0; x < x1; x++) {
    const entry = (under[x] + part * (over[x] - under[x])) | 0;
    pixels[line + x] = table[entry < 0 ? 0 : entry >= FINE ? FINE - 1 : entry];
  }
}

/**
 * Mark the cells of a row that a line can touch, and count them.
 *
 * With r and c the mean rise and climb of a bilinear cell and w its twist, its values lie within (|r| + |c|) / 2 + |w| / 4
 * of their mean, and it is nowhere steeper than |r| + |c| + |w|; where no level comes near that, no pixel has to ask.
 * @param {number} first knot @param {number} columns @param {number} cells how many of them a line's half width covers
 * @param {Paint["levels"]} levels
 */
function mark(first, columns, cells, {count, value: at}) {
  let marked = 0;
  let level = 0;
  let v0 = knots[first];
  let v1 = knots[first + SIZE];
  for (let i = 0; i < columns; i++) {
    const w0 = knots[first + i + 1];
    const w1 = knots[first + SIZE + i + 1];
    const steep = (Math.abs(w0 - v0 + (w1 - v1)) + Math.abs(v1 - v0 + (w1 - w0))) / 2;
    const twist = Math.abs(w1 - w0 - (v1 - v0));
    const middle = (v0 + v1 + w0 + w1) / 4;
    const reach = steep / 2 + twist / 4 + cells * (steep + twist);
    // Neighbours have nearly the same value: walking beats searching.
    while (level < count && at[level] <= middle - reach) level++;
    while (level > 0 && at[level - 1] > middle - reach) level--;
    const near = level < count && at[level] < middle + reach ? 1 : 0;
    touched[i] = near;
    firstLevel[i] = level;
    marked += near;
    v0 = w0;
    v1 = w1;
  }
  return marked;
}

/**
 * The lines in a row of pixels, over its colours.
 * @param {number} first knot @param {number} columns @param {number} part @param {number} stepX @param {number} stepY
 * @param {number} line @param {Paint} paint @param {Uint32Array} pixels
 */
function drawLines(first, columns, part, stepX, stepY, line, {levels, pixelRatio, widest}, pixels) {
  const {count, value: at} = levels;
  for (let i = 0; i < columns; i++) {
    if (touched[i] === 0) continue;
    const end = columnStart[i + 1];
    const v00 = knots[first + i];
    const v10 = knots[first + i + 1];
    const climb = knots[first + SIZE + i] - v00;
    const twist = knots[first + SIZE + i + 1] - v10 - climb;
    const rise = v10 - v00 + part * twist;
    const value = v00 + part * climb;
    const slopeX = rise * stepX;
    for (let x = columnStart[i]; x < end; x++) {
      const v = value + partOf[x] * rise;
      const slopeY = (climb + partOf[x] * twist) * stepY;
      let k = firstLevel[i];
      while (k < count && at[k] <= v) k++;
      // The sum is at least the slope: a cheap way to see that no line is near.
      const reach = (Math.abs(slopeX) + Math.abs(slopeY)) * widest;
      if ((k === count || at[k] - v >= reach) && (k === 0 || v - at[k - 1] >= reach)) continue;
      const shown = lineAlpha(levels, k, v, Math.sqrt(slopeX * slopeX + slopeY * slopeY), pixelRatio);
      if (shown > 0) pixels[line + x] = whitened(pixels[line + x], shown);
    }
  }
}

/** @param {number} colour packed @param {number} share */
function whitened(colour, share) {
  const r = colour & 255;
  const g = (colour >> 8) & 255;
  const b = (colour >> 16) & 255;
  return (
    0xff000000 |
    ((b + share * (255 - b) + 0.5) << 16) |
    ((g + share * (255 - g) + 0.5) << 8) |
    (r + share * (255 - r) + 0.5)
  );
}
