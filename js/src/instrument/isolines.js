// The isolines of what is drawn, as lines. A picture is bilinear between the points of its grids, so that an isoline runs
// through a cell as an arc of a hyperbola: marching squares with all thresholds in one pass, the pairing at a saddle decided
// by the saddle's own value, as the renderers have it. Pieces are joined by the edges that they cross; across quads, whose
// borders agree to rounding, by where they end.

import {SIZE} from "../spline.js";
import {sample} from "../tiles.js";

/**
 * @typedef {import("../render/shade.js").Quad} Quad
 * @typedef {object} Line
 * @property {number} level index of its value
 * @property {boolean} closed then the last point is the first one again
 * @property {number[]} points x, y of each, in the coordinates of the quads' rectangles; greater values lie on the right,
 *   seen with y down
 * @property {number[]} slopes of the drawn value per unit of length, one for each point
 *
 * @typedef {Line & {cell: number}} Chain  a line through one quad; cell: side of its largest cell
 */

const LAST = SIZE - 1;
/** Ends this close together, in cells, are one: borders agree to rounding, and rounding moves a line where it is flat. */
const JOINT = 0.3;
/** Segments of a cell by its corners that are not below: 1 lower left, 2 lower right, 4 upper right, 8 upper left. Edges: lower,
 * right, upper, left. From, to, so that what is not below lies on the left, seen with b up. */
const CASES = [
  ...[[], [0, 3], [1, 0], [1, 3], [2, 1], [], [2, 0], [2, 3]],
  ...[[3, 2], [0, 2], [], [1, 2], [3, 1], [0, 1], [3, 0], []],
];
/** The two saddles, by which corners are not below and whether the middle is. @type {Record<number, number[][]>} */
const SADDLES = {
  5: [
    [0, 3, 2, 1],
    [0, 1, 2, 3],
  ],
  10: [
    [1, 0, 3, 2],
    [3, 0, 1, 2],
  ],
};

/**
 * The lines of several values through the picture that the quads draw, as they are when blends have ended.
 * @param {readonly Quad[]} quads
 * @param {ArrayLike<number>} values ascending, relative to the same origin as the quads
 * @param {{every?: number, within?: Quad["rect"] | null, flat?: number}} [options] every: so many points of the grids make a
 *   cell, 1 for what is drawn; within: cells outside are left out; flat: how far an arc may be from its chord
 * @returns {Line[]}
 */
export function isolines(quads, values, {every = 1, within = null, flat = 0.05} = {}) {
  const chains = quads.flatMap((quad) => chainsOf(latticeOf(quad, every, within), values, quad.to.offset, flat));
  return Array.from(values, (_, level) => joined(chains.filter((chain) => chain.level === level))).flat();
}

/**
 * Whole numbers from one place to another, every so many, and both ends. @param {number} from @param {number} to @param {number} every
 */
function places(from, to, every) {
  const inner = [];
  for (let at = (Math.floor(from / every) + 1) * every; at < to; at += every) inner.push(at);
  return [from, ...inner, to];
}

/** Where the places that border on a range begin and end. @param {number[]} at ascending or descending @param {number} lo @param {number} hi */
function bounds(at, lo, hi) {
  const touches = (/** @type {unknown} */ _, /** @type {number} */ i) =>
    i + 1 < at.length && Math.max(at[i], at[i + 1]) >= lo && Math.min(at[i], at[i + 1]) <= hi;
  return [Math.max(at.findIndex(touches), 0), at.findLastIndex(touches) + 2];
}

/**
 * A quad's knots and where they lie, row 0 at the lowest b.
 * @param {Quad} quad @param {number} every @param {Quad["rect"] | null} within
 */
function latticeOf({rect: [x0, y0, x1, y1], to}, every, within) {
  const [u0, v0, u1, v1] = to.uv.map((share) => share * LAST);
  let across = places(u0, u1, every);
  let up = places(v0, v1, every);
  let xs = across.map((at) => (at === u1 ? x1 : x0 + ((at - u0) / (u1 - u0)) * (x1 - x0)));
  let ys = up.map((at) => (at === v1 ? y0 : y1 + ((at - v0) / (v1 - v0)) * (y0 - y1)));
  if (within !== null) {
    const columns = bounds(xs, within[0], within[2]);
    const rows = bounds(ys, within[1], within[3]);
    [across, xs] = [across, xs].map((all) => all.slice(...columns));
    [up, ys] = [up, ys].map((all) => all.slice(...rows));
  }
  const width = across.length;
  const knots = new Float64Array(width * up.length);
  const whole = [u0, v0, u1, v1].every(Number.isInteger);
  for (const [j, v] of up.entries())
    for (let i = 0; i < width; i++)
      knots[j * width + i] = whole ? to.grid[v * SIZE + across[i]] : sample(to.grid, across[i] / LAST, v / LAST);
  return {xs, ys, knots};
}

/** @typedef {ReturnType<typeof latticeOf>} Lattice */

/**
 * The lines through one quad, each level's pieces joined by the edges that they have in common.
 * @param {Lattice} lattice @param {ArrayLike<number>} values @param {number} offset @param {number} flat
 * @returns {Chain[]}
 */
function chainsOf(lattice, values, offset, flat) {
  const {xs, ys} = lattice;
  if (xs.length < 2 || ys.length < 2) return [];
  // The first and the last may be parts of one.
  const widths = [1, xs.length - 1].map((i) => xs[i] - xs[i - 1]);
  const cell = Math.max(...widths, ys[0] - ys[1]);
  /** @type {Chain[]} */
  const chains = [];
  for (const [level, pieces] of piecesOf(lattice, values, offset, flat).entries()) {
    const next = new Map(pieces.map((piece) => [piece.from, piece]));
    const entered = new Set(pieces.map(({to}) => to));
    const follow = (/** @type {Piece} */ first) => {
      const points = first.points.slice(0, 2);
      const slopes = [first.slope];
      let end = first.from;
      for (let piece = next.get(end); piece !== undefined; piece = next.get(end)) {
        next.delete(end);
        end = piece.to;
        points.push(...piece.points.slice(2));
        for (let i = 2; i < piece.points.length; i += 2) slopes.push(piece.slope);
      }
      chains.push({level, closed: end === first.from, points, slopes, cell});
    };
    for (const piece of pieces) if (!entered.has(piece.from)) follow(piece);
    // What is left runs in circles.
    for (const piece of pieces) if (next.has(piece.from)) follow(piece);
  }
  return chains;
}

/** @typedef {{from: number, to: number, points: number[], slope: number}} Piece  of a line in one cell; from, to: the edges that it crosses */

/**
 * All pieces of all levels in one pass over the cells.
 * @param {Lattice} lattice @param {ArrayLike<number>} values @param {number} offset @param {number} flat
 * @returns {Piece[][]} by level
 */
function piecesOf({xs, ys, knots}, values, offset, flat) {
  const width = xs.length;
  const at = Float64Array.from(values, (value) => value - offset);
  /** @type {Piece[][]} */
  const found = Array.from(values, () => []);
  let low = 0;
  for (let j = 0; j + 1 < ys.length; j++)
    for (let i = 0; i + 1 < width; i++) {
      const corner = j * width + i;
      const a = knots[corner];
      const b = knots[corner + 1];
      const c = knots[corner + width];
      const d = knots[corner + width + 1];
      const sum = a + b + c + d;
      if (sum - sum !== 0) continue; // a hole
      const least = Math.min(a, b, c, d);
      const most = Math.max(a, b, c, d);
      // Levels not above the least: it changes little from one cell to the next, so walking beats searching.
      while (low < at.length && at[low] <= least) low++;
      while (low > 0 && at[low - 1] > least) low--;
      for (let k = low; k < at.length && at[k] <= most; k++) {
        const t = at[k];
        const corners = Number(a >= t) + 2 * Number(b >= t) + 4 * Number(d >= t) + 8 * Number(c >= t);
        const cell = {a, b, c, d, x0: xs[i], x1: xs[i + 1], y0: ys[j], y1: ys[j + 1]};
        const edges = [2 * corner, 2 * (corner + 1) + 1, 2 * (corner + width), 2 * corner + 1];
        const ways = segmentsOf(corners, cell, t);
        for (let w = 0; w < ways.length; w += 2)
          found[k].push({from: edges[ways[w]], to: edges[ways[w + 1]], ...arcOf(cell, ways[w], ways[w + 1], t, flat)});
      }
    }
  return found;
}

/** @typedef {{a: number, b: number, c: number, d: number, x0: number, x1: number, y0: number, y1: number}} Cell  a: at (x0, y0), b: (x1, y0), c: (x0, y1), d: (x1, y1) */

/** @param {number} corners @param {Cell} cell @param {number} t @returns {number[]} from, to, from, to */
function segmentsOf(corners, {a, b, c, d}, t) {
  if (corners !== 5 && corners !== 10) return CASES[corners];
  return SADDLES[corners][Number((a * d - b * c) / (a + d - b - c) >= t)];
}

/**
 * Where a line crosses an edge of a cell, in shares of its sides: the same numbers on either side of the edge.
 * @param {Cell} cell @param {number} edge @param {number} t
 */
function crossing({a, b, c, d}, edge, t) {
  if (edge === 0) return [(t - a) / (b - a), 0];
  if (edge === 1) return [1, (t - b) / (d - b)];
  if (edge === 2) return [(t - c) / (d - c), 1];
  return [0, (t - a) / (c - a)];
}

/**
 * The arc of a hyperbola from one edge to another, in as many chords as it takes, and the slope across it.
 * @param {Cell} cell @param {number} from @param {number} to @param {number} t @param {number} flat
 */
function arcOf(cell, from, to, t, flat) {
  const {a, b, c, d, x0, x1, y0, y1} = cell;
  const [s0, u0] = crossing(cell, from, t);
  const [s1, u1] = crossing(cell, to, t);
  const [w, h] = [x1 - x0, y1 - y0];
  const twist = a + d - b - c;
  const [sm, um] = [(s0 + s1) / 2, (u0 + u1) / 2];
  const slope = Math.hypot((b - a + twist * um) / w, (c - a + twist * sm) / h);
  const point = (/** @type {number} */ s, /** @type {number} */ u) => [
    s === 1 ? x1 : x0 + s * w,
    u === 1 ? y1 : y0 + u * h,
  ];
  // Along the side that it covers more of, the arc is a function.
  const flatter = Math.abs((s1 - s0) * w) >= Math.abs((u1 - u0) * h);
  /** @param {number} share @returns {[number, number]} */
  const on = (share) => {
    const s = s0 + share * (s1 - s0);
    const u = u0 + share * (u1 - u0);
    const exact = flatter ? (t - a - (b - a) * s) / (c - a + twist * s) : (t - a - (c - a) * u) / (b - a + twist * u);
    if (!(exact >= 0 && exact <= 1)) return [s, u];
    return flatter ? [s, exact] : [exact, u];
  };
  const [ms, mu] = on(0.5);
  const bend = Math.hypot((ms - sm) * w, (mu - um) * h);
  const chords = Math.min(32, Math.ceil(Math.sqrt(bend / flat)));
  const points = point(s0, u0);
  for (let i = 1; i < chords; i++) points.push(...point(...on(i / chords)));
  points.push(...point(s1, u1));
  return {points, slope};
}

/** Those of one level that end where another begins are one line. @param {Chain[]} chains @returns {Line[]} */
function joined(chains) {
  /** @type {Line[]} */
  const lines = chains.filter(({closed}) => closed);
  const open = chains.filter(({closed}) => !closed);
  const pairs = open.flatMap((tail) => {
    const [x, y] = tail.points.slice(-2);
    return open.flatMap((head) => {
      const apart = Math.hypot(head.points[0] - x, head.points[1] - y);
      return apart <= JOINT * Math.max(tail.cell, head.cell) ? [{tail, head, apart}] : [];
    });
  });
  // The nearest belong together; where a line only touches a border, both of its ends are there.
  pairs.sort((one, other) => one.apart - other.apart);
  /** @type {Map<Chain, Chain>} */
  const after = new Map();
  const taken = new Set();
  for (const {tail, head} of pairs) {
    if (after.has(tail) || taken.has(head)) continue;
    after.set(tail, head);
    taken.add(head);
  }
  const left = new Set(open);
  const follow = (/** @type {Chain} */ first) => {
    const {level, points, slopes} = first;
    /** @type {Chain | undefined} */
    let at = first;
    for (; at !== undefined && left.delete(at); at = after.get(at)) {
      if (at === first) continue;
      // The first point of what follows is the last one of what was.
      for (const value of at.points.slice(2)) points.push(value);
      for (const value of at.slopes.slice(1)) slopes.push(value);
    }
    const closed = at === first;
    if (closed) points.splice(-2, 2, points[0], points[1]);
    lines.push({level, closed, points, slopes});
  };
  for (const chain of open) if (!taken.has(chain)) follow(chain);
  // What is left runs in circles.
  for (const chain of open) if (left.has(chain)) follow(chain);
  return lines;
}
