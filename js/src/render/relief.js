// Light on the slopes, and the colours under it: what is level keeps its colour, so that the colour bar holds. The CPU renderer
// looks its colours up here; the shader in program.js computes the same.
import {SIZE} from "../spline.js";
import {walk} from "./shade.js";

/** @typedef {import("./shade.js").Frame} Frame */
/** @typedef {import("./shade.js").Patch} Patch */
/** @typedef {import("./shade.js").Quad} Quad */

/** By which factor the steepness may be off. */
const LAG = 1.5;

/** How far full light moves a colour towards white, and full shade towards black. */
export const RELIEF = {light: 0.22, shade: 0.4};

/** The lookup table four times as fine: the nearest entry is then within half a step of the interpolated colour. */
export const FINE = 1024;
/** So many shades from the darkest to the lightest: the nearest one is within half a step of 255. */
export const SHADES = 128;

/** Of a grid its shades, kept while the map is as large as it was: a pan needs no others. @type {WeakMap<Float32Array, Shaded>} */
const known = new WeakMap();
/** @typedef {{shades: Float32Array, perX: number, perY: number}} Shaded */

/**
 * A patch with shades in the place of its values, from 0 to SHADES and to be cut off: what is read of it is interpolated, for the
 * slopes of a bilinear grid would show its facets.
 *
 * A slope at a knot is that of the parabola through it and its neighbours on both sides, on a border through the first three: two
 * tiles agree there to the third derivative. Beside a hole it is level.
 * @param {Patch} patch @param {Quad["rect"]} rect @param {number} perSlope @returns {Patch}
 */
function inShades(patch, rect, perSlope) {
  const {grid} = patch;
  const {stepX, stepY} = walk(patch, rect, 0, 0);
  const perX = stepX * perSlope;
  const perY = stepY * perSlope;
  const last = known.get(grid);
  const near = (/** @type {number} */ one, /** @type {number} */ other) =>
    Math.abs(one - other) < 1e-9 * Math.abs(other);
  if (last && near(last.perX, perX) && near(last.perY, perY)) return {...patch, grid: last.shades, offset: 0};
  const shades = last?.shades ?? new Float32Array(SIZE * SIZE);
  for (let j = 0; j < SIZE; j++) {
    const row = Math.min(Math.max(j - 1, 0), SIZE - 3);
    const q = j - row;
    for (let i = 0; i < SIZE; i++) {
      const column = Math.min(Math.max(i - 1, 0), SIZE - 3);
      const p = i - column;
      const across = j * SIZE + column;
      const up = row * SIZE + i;
      const x = ((p - 1.5) * grid[across] + (2 - 2 * p) * grid[across + 1] + (p - 0.5) * grid[across + 2]) * perX;
      const y = ((q - 1.5) * grid[up] + (2 - 2 * q) * grid[up + SIZE] + (q - 0.5) * grid[up + 2 * SIZE]) * perY;
      const light = ((x + y) * Math.SQRT1_2) / Math.sqrt(1 + x * x + y * y);
      shades[j * SIZE + i] = ((light - light === 0 ? light : 0) + 1) * ((SHADES - 1) / 2) + 0.5;
    }
  }
  known.set(grid, {shades, perX, perY});
  return {...patch, grid: shades, offset: 0};
}

/** A quad whose values are the shades on it. @param {Quad} quad @param {number} perSlope @returns {Quad} */
export const shadesOf = (quad, perSlope) => ({
  ...quad,
  to: inShades(quad.to, quad.rect, perSlope),
  from: quad.from && inShades(quad.from, quad.rect, perSlope),
});

/**
 * What turns a slope per device pixel into one that is 1 at 45 degrees.
 * @param {Frame} frame
 */
export function perSlopeOf({pixelRatio, domain, steep = (domain[1] - domain[0]) / 100}) {
  return steep > 0 ? pixelRatio / steep : 0;
}

/**
 * The slope that the light takes for one of 45 degrees: what rises twice by the range in sight over the size of the view. A share
 * of the colours would fade as one zooms in, where slopes are small beside them, and glare as one zooms out. It lags behind by up
 * to a factor, so that it stands still while one pans, and follows without a jump while one zooms.
 * @param {number} last 0 for none @param {{lo: number, hi: number}} sight @param {{width: number, height: number}} view
 */
export function steepness(last, {lo, hi}, {width, height}) {
  const wanted = (2 * (hi - lo)) / Math.sqrt(width * height);
  return Math.min(Math.max(last || wanted, wanted / LAG), wanted * LAG);
}

/**
 * The colours of a frame, FINE for each shade; with no relief there is one.
 * @param {Frame} frame
 * @param {number} relief 0 to 1
 */
export function tableOf({lut, desaturate}, relief) {
  const shades = relief > 0 ? SHADES : 1;
  const table = new Uint32Array(shades * FINE);
  const colour = [0, 0, 0];
  for (let i = 0; i < FINE; i++) {
    const x = (i / (FINE - 1)) * 255;
    const entry = Math.min(Math.floor(x), 254);
    for (let c = 0; c < 3; c++) {
      colour[c] = lut[3 * entry + c] + (x - entry) * (lut[3 * entry + 3 + c] - lut[3 * entry + c]);
    }
    const grey = desaturate * (0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]);
    const [r, g, b] = colour.map((channel) => grey + (1 - desaturate) * channel);
    for (let shade = 0; shade < shades; shade++) {
      const light = relief && relief * ((2 * shade) / (SHADES - 1) - 1);
      const fully = light > 0 ? light * RELIEF.light * 255 : 0;
      const rest = 1 - Math.abs(light) * (light > 0 ? RELIEF.light : RELIEF.shade);
      table[shade * FINE + i] = packed(fully + rest * r, fully + rest * g, fully + rest * b);
    }
  }
  return table;
}

/**
 * @param {number} r
 * @param {number} g
 * @param {number} b
 */
export const packed = (r, g, b) => 0xff000000 | ((b + 0.5) << 16) | ((g + 0.5) << 8) | (r + 0.5);

/** A colour on its way to white. @param {number} colour packed @param {number} share */
export function whitened(colour, share) {
  const r = colour & 255;
  const g = (colour >> 8) & 255;
  const b = (colour >> 16) & 255;
  return packed(r + share * (255 - r), g + share * (255 - g), b + share * (255 - b));
}
