// Squares of different fineness meet: along a coarser neighbour the finer border is drawn as the neighbour draws it. The
// correction fades out within one cell, so that nothing else of a tile moves. Without it isolines would break there.
import {SIZE} from "./spline.js";
import {keyOf, sample} from "./tiles.js";

/** @typedef {import("./plan.js").Source} Source */
/** @typedef {{address: import("./tiles.js").TileAddress, to: Source}} Chosen  square and what is drawn in it */

const LAST = SIZE - 1;
/** A side may border on squares two levels finer: this many of them. */
const PARTS = 4;

/** The drawn value at (i, j) of a square's own 129 × 129 points. @param {Omit<Source, "density">} source @param {number} i @param {number} j */
export function valueIn({grid, offset, uv: [u0, v0, u1, v1]}, i, j) {
  return sample(grid, u0 + (i / LAST) * (u1 - u0), v0 + (j / LAST) * (v1 - v0)) + offset;
}

/**
 * The squares with their borders as they are to be drawn; those that have no coarser neighbour are handed back as they are.
 * @param {Map<string, Chosen>} squares that cover an area without overlap @param {Map<string, Source>} known from the last time
 * @returns {Map<string, Source>} those that were changed, by what they were made of
 */
export function stitch(squares, known) {
  /** @type {Map<string, Source>} */
  const made = new Map();
  const all = [...squares.values()];
  if (all.every(({to}) => to.density === all[0].to.density)) return made;
  const deepest = Math.max(...all.map(({address}) => address.z));
  /** The square at a point whose coordinates count tiles of level z. @param {number} z @param {number} x @param {number} y */
  const squareAt = (z, x, y) => {
    for (let level = deepest; level > deepest - 6; level--) {
      const n = 2 ** (level - z);
      const found = squares.get(keyOf(level, Math.floor(x * n), Math.floor(y * n)));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const whole = new Map(squares);
  for (const [name, {address, to}] of squares) {
    const {z, x, y} = address;
    /** Coarsest square at points of the border, where it is coarser than this one; x and y in 0 … PARTS. @type {Map<string, Chosen>} */
    const coarser = new Map();
    const nudge = 1 / 64;
    for (let p = 0; p <= PARTS; p++)
      for (let q = 0; q <= PARTS; q++) {
        if (p % PARTS !== 0 && q % PARTS !== 0) continue;
        for (const [dx, dy] of AROUND) {
          const found = squareAt(z, x + p / PARTS + dx * nudge, y + q / PARTS + dy * nudge);
          const best = coarser.get(`${p}/${q}`)?.to.density ?? to.density;
          if (found !== undefined && found.to.density < best) coarser.set(`${p}/${q}`, found);
        }
      }
    if (coarser.size === 0) continue;
    const of = [...coarser].map(([at, found]) => `${at} ${found.to.key} ${found.to.uv}`).join();
    const key = `${to.key} ${to.uv} beside ${of}`;
    const source = known.get(key) ?? {...withBorders({address, to}, coarser, squareAt), key};
    made.set(key, source);
    whole.set(name, {address, to: source});
  }
  for (const [name, square] of whole) squares.set(name, square);
  return made;
}

const AROUND = [
  [-1, -1],
  [1, -1],
  [-1, 1],
  [1, 1],
];

/**
 * @param {Chosen} square @param {Map<string, Chosen>} coarser
 * @param {(z: number, x: number, y: number) => Chosen | undefined} squareAt
 * @returns {Source}
 */
function withBorders({address: {z, x, y}, to}, coarser, squareAt) {
  /** The square beside each part of each side. @type {Map<string, Chosen | undefined>} */
  const beside = new Map();
  const part = LAST / PARTS;
  /** @param {number} i @param {number} j */
  const ruling = (i, j) => {
    // At the ends of its parts a border belongs to the coarsest square there is, between them to the one beside it.
    if (i % part === 0 && j % part === 0) return coarser.get(`${i / part}/${j / part}`);
    const middle = (/** @type {number} */ k) =>
      k === 0 ? -1 / 64 : k === LAST ? 1 + 1 / 64 : (Math.floor(k / part) + 0.5) / PARTS;
    const name = `${middle(i)}/${middle(j)}`;
    if (!beside.has(name)) beside.set(name, squareAt(z, x + middle(i), y + middle(j)));
    return beside.get(name);
  };
  /** What a point of the border has to be moved by. @param {number} i @param {number} j */
  const missing = (i, j) => {
    const found = ruling(i, j);
    if (found === undefined || found.to.density >= to.density) return 0;
    const n = 2 ** (found.address.z - z);
    const across = ((x + i / LAST) * n - found.address.x) * LAST;
    const up = ((y + j / LAST) * n - found.address.y) * LAST;
    const change = valueIn(found.to, across, up) - valueIn(to, i, j);
    return Number.isFinite(change) ? change : 0;
  };
  const side = Array.from({length: SIZE}, (_, k) => [missing(0, k), missing(LAST, k), missing(k, 0), missing(k, LAST)]);
  // One cell of the data, at most to the middle.
  const cell = Math.min(LAST / 2, (LAST * 2 ** z) / to.density);
  const near = (/** @type {number} */ k) => Math.max(0, 1 - k / cell);
  const grid = ownGrid(to);
  for (let j = 0; j < SIZE; j++) {
    const [south, north] = [near(j), near(LAST - j)];
    const [left, right] = side[j];
    for (let i = 0; i < SIZE; i++) {
      // Further in than a cell nothing changes.
      if (south + north === 0 && i > cell && i < LAST - cell) i = Math.ceil(LAST - cell);
      const [west, east] = [near(i), near(LAST - i)];
      const [, , low, high] = side[i];
      // Each corner is in two of the sides.
      const corners =
        south * (west * side[0][0] + east * side[0][1]) + north * (west * side[LAST][0] + east * side[LAST][1]);
      grid[j * SIZE + i] += west * left + east * right + south * low + north * high - corners;
    }
  }
  return {...to, grid, uv: [0, 0, 1, 1]};
}

/** What is drawn in a square, as a grid of its own. @param {Source} to */
function ownGrid(to) {
  if (to.uv.join() === "0,0,1,1") return to.grid.slice();
  const grid = new Float32Array(SIZE * SIZE);
  for (let j = 0; j < SIZE; j++) for (let i = 0; i < SIZE; i++) grid[j * SIZE + i] = valueIn(to, i, j) - to.offset;
  return grid;
}
