// The picture's arithmetic: what is drawn at a pixel, and in which colour. The CPU renderer runs it as it stands; the
// shader in program.js says the same, formula by formula, with the same constants.
import {MAX_LEVELS} from "../ladder.js";
import {SIZE} from "../spline.js";
import {paintCells} from "./cells.js";
import {FINE, packed, perSlopeOf, shadesOf, tableOf, whitened} from "./relief.js";

/**
 * One filled grid and how to read it. The drawn value at grid coordinates is grid + offset, relative to the frame's
 * origin; the caller computes the offset in float64, so that a deep zoom keeps its digits.
 * @typedef {object} Patch
 * @property {Float32Array} grid (129, 129), row 0 at the lowest b; NaN and ±∞ are not finite and drawn as such
 * @property {string} key identity for the texture cache: same key, same contents
 * @property {number} offset
 * @property {[number, number, number, number]} uv the part of the grid that covers the quad: u0, v0, u1, v1 in 0..1, v up
 * @property {number} [nodes] of a tile: evaluated ones per side that the grid was filled from
 * @property {Float32Array | null} [centres] of a tile: those half-way between them, if there are
 */

/**
 * A rectangle of the picture. Its drawn value is mix(from, to, t): values are blended, not colours, so that isolines
 * glide into place.
 * @typedef {object} Quad
 * @property {[number, number, number, number]} rect x0, y0, x1, y1 in device pixels, fractions allowed, y down
 * @property {Patch | null} from
 * @property {Patch} to
 * @property {number} t 0 to 1
 */

/**
 * @typedef {object} Frame
 * @property {number} width device pixels
 * @property {number} height device pixels
 * @property {number} pixelRatio device pixels per CSS pixel
 * @property {Quad[]} quads
 * @property {Uint8Array} lut (768,)
 * @property {[number, number]} domain relative to the same origin as the patches, like the levels
 * @property {{value: number, major: boolean, opacity: number}[]} levels
 * @property {[number, number, number]} background 0 to 255
 * @property {[number, number, number]} hatch colour of the stripes over what is not finite, 0 to 255
 * @property {number} desaturate 0 to 1: greys an old picture that is kept while a new one loads
 * @property {number} [relief] 0 to 1: soft light from the upper left; 0 when left out
 * @property {number} [steep] the slope that the light takes for one of 45 degrees, in drawn values per CSS pixel; without it
 *   the domain over a hundred pixels
 * @property {{name: string, x: number}[]} [marks] of a curve: x in device pixels
 * @property {boolean} [hurried] in the middle of a gesture, where a coarser picture in time is better than a fine one late
 */

/** Everything that decides how the picture looks. Lengths are CSS pixels. */
export const LOOK = {
  majorWidth: 1.15,
  minorWidth: 0.575,
  majorAlpha: 0.95,
  minorAlpha: 0.55,
  // Lines this close together have faded out; this much further apart they are at full strength. Majors count as
  // if they were four times as far apart as the lines are, which they are.
  crowded: 2,
  crowdedFade: 4,
  majorEvery: 4,
  // A slope of this share of the level distance per pixel is a plateau: a line there would be a blot made of rounding.
  plateau: 2e-5,
  plateauEnd: 1e-4,
  hatchPeriod: 9,
  hatchWidth: 1.6,
};

/**
 * The levels as typed arrays: ascending, finite, at most 64.
 * @param {Frame} frame
 */
export function prepareLevels({levels, pixelRatio, domain}) {
  const kept = levels
    .filter((level) => Number.isFinite(level.value) && level.opacity > 0)
    .sort((a, b) => a.value - b.value)
    .slice(0, MAX_LEVELS);
  const value = Float64Array.from(kept, (level) => level.value);
  const count = value.length;
  return {
    count,
    value,
    /** 1 for a major line, else 0. */
    major: Float32Array.from(kept, (level) => Number(level.major)),
    alpha: Float32Array.from(kept, ({major, opacity}) => opacity * (major ? LOOK.majorAlpha : LOOK.minorAlpha)),
    /** Half the width in device pixels. */
    half: Float32Array.from(kept, ({major}) => (pixelRatio * (major ? LOOK.majorWidth : LOOK.minorWidth)) / 2),
    /** Distance of the levels around a value that k levels lie below. */
    gap: Float64Array.from({length: count + 1}, (_, k) => {
      if (count < 2) return Math.max(domain[1] - domain[0], 1e-300);
      const upper = Math.min(Math.max(k, 1), count - 1);
      return value[upper] - value[upper - 1];
    }),
  };
}

/**
 * Where the pixels of a rectangle are in a patch's grid, and how many of them there are. A pixel belongs to the quad that
 * holds its centre, so that neighbours leave no gap and no pixel is drawn twice.
 * @param {Quad["rect"]} rect
 * @param {number} width
 * @param {number} height
 * @returns {{x0: number, y0: number, x1: number, y1: number}} whole pixels, the last ones not included
 */
export function pixelsOf([x0, y0, x1, y1], width, height) {
  return {
    x0: Math.max(0, Math.ceil(x0 - 0.5)),
    y0: Math.max(0, Math.ceil(y0 - 0.5)),
    x1: Math.min(width, Math.ceil(x1 - 0.5)),
    y1: Math.min(height, Math.ceil(y1 - 0.5)),
  };
}

/**
 * Grid coordinates (0 to 128) of the centre of pixel (x, y), and how they change per pixel.
 * @param {Patch} patch
 * @param {Quad["rect"]} rect
 * @param {number} x
 * @param {number} y
 */
export function walk({uv: [u0, v0, u1, v1]}, [x0, y0, x1, y1], x, y) {
  const stepX = ((u1 - u0) * (SIZE - 1)) / (x1 - x0);
  const stepY = ((v0 - v1) * (SIZE - 1)) / (y1 - y0);
  return {
    x: u0 * (SIZE - 1) + (x + 0.5 - x0) * stepX,
    y: v1 * (SIZE - 1) + (y + 0.5 - y0) * stepY,
    stepX,
    stepY,
  };
}

/**
 * One row of drawn values and of their slopes per pixel, along x and along y (down).
 * @typedef {{value: Float64Array, slopeX: Float64Array, slopeY: Float64Array}} Row
 */

/**
 * @param {number} length
 * @returns {Row}
 */
export function makeRow(length) {
  const numbers = () => new Float64Array(length);
  return {value: numbers(), slopeX: numbers(), slopeY: numbers()};
}

/**
 * Read one row of a patch: bilinear, with the slope of the same bilinear patch. Within a cell both are linear along the
 * row, so that a cell costs four reads and a pixel three products.
 * @param {Patch} patch
 * @param {Quad["rect"]} rect
 * @param {number} y
 * @param {number} from first pixel
 * @param {number} to the pixel after the last
 * @param {Row} row
 */
function readRow(patch, rect, y, from, to, {value, slopeX, slopeY}) {
  const {grid, offset} = patch;
  const start = walk(patch, rect, from, y);
  const {stepX, stepY} = start;
  const cellY = Math.min(Math.max(Math.floor(start.y), 0), SIZE - 2);
  const fy = Math.min(Math.max(start.y - cellY, 0), 1);
  let cell = -1;
  let level = 0;
  let rise = 0;
  let climb = 0;
  let twist = 0;
  for (let x = from; x < to; x++) {
    const at = start.x + (x - from) * stepX;
    const here = Math.min(Math.max(Math.floor(at), 0), SIZE - 2);
    if (here !== cell) {
      cell = here;
      const corner = cellY * SIZE + cell;
      const v00 = grid[corner];
      const v10 = grid[corner + 1];
      const v01 = grid[corner + SIZE];
      twist = grid[corner + SIZE + 1] - v10 - v01 + v00;
      climb = v01 - v00;
      rise = v10 - v00 + fy * twist;
      level = v00 + fy * climb + offset;
    }
    const fx = Math.min(Math.max(at - cell, 0), 1);
    value[x] = level + fx * rise;
    slopeX[x] = rise * stepX;
    slopeY[x] = (climb + fx * twist) * stepY;
  }
}

/**
 * Read one row of a quad. Where only `from` has a hole, `to` is drawn alone; a hole in `to` is a hole.
 * @param {Quad} quad
 * @param {number} y
 * @param {number} from
 * @param {number} to
 * @param {Row} row
 * @param {Row} scratch
 */
export function readQuadRow(quad, y, from, to, row, scratch) {
  readRow(quad.to, quad.rect, y, from, to, row);
  if (!quad.from || quad.t >= 1) return;
  readRow(quad.from, quad.rect, y, from, to, scratch);
  const t = Math.max(quad.t, 0);
  for (let x = from; x < to; x++) {
    const old = scratch.value[x];
    if (old - old !== 0) continue;
    row.value[x] = old + t * (row.value[x] - old);
    row.slopeX[x] = scratch.slopeX[x] + t * (row.slopeX[x] - scratch.slopeX[x]);
    row.slopeY[x] = scratch.slopeY[x] + t * (row.slopeY[x] - scratch.slopeY[x]);
  }
}

/**
 * How much of a pixel a straight line covers whose middle is `distance` away: a pixel's width of box filter.
 * @param {number} distance not negative
 * @param {number} half half the line's width
 */
export function coverage(distance, half) {
  return Math.max(0, Math.min(distance + 0.5, half) - Math.max(distance - 0.5, -half));
}

/** @param {number} x */
const clamped = (x) => Math.min(Math.max(x, 0), 1);

/**
 * How strongly an isoline shows at a point, 0 to 1.
 *
 * The distance to a line in pixels is the difference in value over the slope. Only the levels next above and next below
 * can be near; where more would be, all have faded.
 * @param {ReturnType<typeof prepareLevels>} levels
 * @param {number} below how many levels are not above the value
 * @param {number} value
 * @param {number} slope2 square of the slope per device pixel
 * @param {number} pixelRatio
 */
export function lineAlpha({count, value: at, major, alpha, half, gap}, below, value, slope2, pixelRatio) {
  let shown = 0;
  for (let k = below > 0 ? below - 1 : 0; k <= below && k < count; k++) {
    const apart = at[k] - value;
    const far = half[k] + 0.5;
    // Most pixels are far from any line, and this spares them the root and the divisions.
    if (apart * apart >= slope2 * far * far) continue;
    const slope = Math.sqrt(slope2);
    const share = coverage(Math.abs(apart) / slope, half[k]) * alpha[k];
    const steepness = (slope * pixelRatio) / gap[below];
    const every = 1 + major[k] * (LOOK.majorEvery - 1);
    const strength = clamped((every / steepness - LOOK.crowded) / LOOK.crowdedFade);
    const firm = clamped((steepness - LOOK.plateau) / (LOOK.plateauEnd - LOOK.plateau));
    shown = Math.max(shown, share * strength * firm);
  }
  return shown;
}

/**
 * How much of a pixel a stripe of the hatch covers. The stripes are fixed to the picture and never move under a pan.
 * @param {number} x
 * @param {number} y
 * @param {number} pixelRatio
 */
export function hatchAt(x, y, pixelRatio) {
  const period = LOOK.hatchPeriod * pixelRatio;
  const along = (x + y + 0.5) % period;
  return coverage(Math.abs(along - period / 2) * Math.SQRT1_2, (LOOK.hatchWidth * pixelRatio) / 2);
}

/** A hole's colour. @param {number} x @param {number} y @param {Paint} paint */
export function hatched(x, y, {pixelRatio, background, hatch}) {
  const stripe = hatchAt(x, y, pixelRatio);
  return packed(
    background[0] + stripe * (hatch[0] - background[0]),
    background[1] + stripe * (hatch[1] - background[1]),
    background[2] + stripe * (hatch[2] - background[2]),
  );
}

/** What all quads of a frame are painted with. @typedef {ReturnType<typeof paintOf>} Paint */

/** @param {Frame} frame */
export function paintOf(frame) {
  const {width, height, pixelRatio, domain, background, hatch, relief = 0} = frame;
  const perDomain = domain[1] > domain[0] ? 1 / (domain[1] - domain[0]) : 0;
  const perSlope = relief > 0 ? perSlopeOf(frame) : 0;
  return {
    width,
    height,
    pixelRatio,
    background,
    hatch,
    perDomain,
    levels: prepareLevels(frame),
    lowest: domain[0],
    /** Entries of the table per drawn value. */
    perTint: perDomain * (FINE - 1),
    table: tableOf(frame, perSlope > 0 ? relief : 0),
    /** 0 where there is no light. */
    perSlope,
    /** How far from its middle a line can be seen, in device pixels. */
    widest: (pixelRatio * LOOK.majorWidth) / 2 + 0.5,
  };
}

/** @typedef {{x0: number, y0: number, x1: number, y1: number}} Area  whole pixels, the last ones not included */

/**
 * Draw a frame, or parts of it, into the bytes of an ImageData, seen as 32-bit words (every browser runs on
 * little-endian machines).
 * @param {Frame} frame
 * @param {Uint32Array} pixels width × height
 * @param {Area[]} [areas] what is to be drawn of it; what lies elsewhere stays
 * @returns {boolean} whether something was hatched
 */
export function shadeFrame(frame, pixels, areas = [{x0: 0, y0: 0, x1: frame.width, y1: frame.height}]) {
  const paint = paintOf(frame);
  const {width, height} = frame;
  const behind = packed(...frame.background);
  let striped = false;
  for (const area of areas) {
    const parts = frame.quads.map((quad) => overlap(pixelsOf(quad.rect, width, height), area));
    // Quads leave no pixel of theirs out and never overlap.
    const covered = parts.reduce((sum, part) => sum + sizeOf(part), 0);
    if (covered < sizeOf(area))
      for (let y = area.y0; y < area.y1; y++) pixels.fill(behind, y * width + area.x0, y * width + area.x1);
    for (const [i, quad] of frame.quads.entries()) {
      if (sizeOf(parts[i]) === 0) continue;
      const general = (/** @type {Area} */ part) => {
        striped = paintPixels(quad, part, paint, pixels) || striped;
      };
      paintCells(quad, parts[i], paint, pixels, general);
    }
  }
  return striped;
}

/** @param {Area} one @param {Area} other @returns {Area} */
const overlap = (one, other) => ({
  x0: Math.max(one.x0, other.x0),
  y0: Math.max(one.y0, other.y0),
  x1: Math.min(one.x1, other.x1),
  y1: Math.min(one.y1, other.y1),
});

/** @param {Area} area */
const sizeOf = ({x0, y0, x1, y1}) => Math.max(0, x1 - x0) * Math.max(0, y1 - y0);

/**
 * Draw a quad pixel by pixel: the general way, formula by formula, which the cells have to agree with.
 * @param {Quad} quad
 * @param {Area} area
 * @param {Paint} paint
 * @param {Uint32Array} pixels
 * @returns {boolean} whether something was hatched
 */
export function paintPixels(quad, {x0, y0, x1, y1}, paint, pixels) {
  const {width, pixelRatio, perDomain, lowest, perSlope, widest, levels, table} = paint;
  const row = makeRow(x1);
  const scratch = makeRow(x1);
  const {value, slopeX, slopeY} = row;
  const lit = perSlope > 0 ? shadesOf(quad, perSlope) : null;
  const light = makeRow(x1);
  const {count, value: at} = levels;
  let striped = false;
  for (let y = y0; y < y1; y++) {
    if (lit) readQuadRow(lit, y, x0, x1, light, scratch);
    readQuadRow(quad, y, x0, x1, row, scratch);
    // Levels not above the value: it changes little from one pixel to the next, so walking beats searching.
    let below = 0;
    for (let x = x0; x < x1; x++) {
      const v = value[x];
      if (v - v !== 0) {
        pixels[y * width + x] = hatched(x, y, paint);
        striped = true;
        continue;
      }
      while (below < count && at[below] <= v) below++;
      while (below > 0 && at[below - 1] > v) below--;

      const tint = clamped((v - lowest) * perDomain) * (FINE - 1) + 0.5;
      const colour = table[(light.value[x] | 0) * FINE + (tint | 0)];
      const sx = slopeX[x];
      const sy = slopeY[x];
      // The sum is at least the slope: a cheap way to see that no line can be near.
      const reach = (Math.abs(sx) + Math.abs(sy)) * widest;
      if ((below > 0 && v - at[below - 1] < reach) || (below < count && at[below] - v < reach)) {
        const line = lineAlpha(levels, below, v, sx * sx + sy * sy, pixelRatio);
        pixels[y * width + x] = whitened(colour, line);
      } else pixels[y * width + x] = colour;
    }
  }
  return striped;
}
