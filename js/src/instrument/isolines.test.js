import {describe, expect, test} from "vitest";
import {SIZE} from "../spline.js";
import {stitch} from "../stitch.js";
import {keyOf} from "../tiles.js";
import {isolines} from "./isolines.js";

/** @typedef {import("./isolines.js").Quad} Quad @typedef {import("./isolines.js").Line} Line */

const LAST = SIZE - 1;

/** A square of the plane, drawn with 100 pixels to 1 and y down. @param {{z: number, x: number, y: number}} address */
const rectOf = ({z, x, y}) => {
  const side = 100 / 2 ** z;
  return /** @type {Quad["rect"]} */ ([x * side, -(y + 1) * side, (x + 1) * side, -y * side]);
};

/** @param {(a: number, b: number) => number} f @param {{z: number, x: number, y: number}} address */
const gridOf = (f, {z, x, y}) =>
  Float32Array.from({length: SIZE * SIZE}, (_, at) =>
    f((x + (at % SIZE) / LAST) / 2 ** z, (y + Math.floor(at / SIZE) / LAST) / 2 ** z),
  );

/** @param {(a: number, b: number) => number} f @param {{z: number, x: number, y: number}} address @returns {Quad} */
const quadOf = (f, address) => ({
  rect: rectOf(address),
  from: null,
  t: 1,
  to: {grid: gridOf(f, address), key: "", offset: 0, uv: [0, 0, 1, 1]},
});

const FOUR = [-1, 0].flatMap((y) => [-1, 0].map((x) => ({z: 0, x, y})));
/** @param {(a: number, b: number) => number} f */
const four = (f) => FOUR.map((address) => quadOf(f, address));
const bowl = (/** @type {number} */ a, /** @type {number} */ b) => a * a + b * b;

/** @param {Line} line @returns {[number, number][]} in the plane */
const verticesOf = ({points}) =>
  Array.from({length: points.length / 2}, (_, i) => [points[2 * i] / 100, -points[2 * i + 1] / 100]);

/** Twice the area that a line encloses, positive where the greater values lie outside. @param {Line} line */
const areaOf = (line) => {
  const at = verticesOf(line);
  return at.slice(1).reduce((sum, [x, y], i) => sum + at[i][0] * y - x * at[i][1], 0);
};

test("isolines of a bowl are circles, to what a bilinear cell is off by", () => {
  const lines = isolines(four(bowl), [0.04, 0.25, 0.81]);
  expect(lines.map(({level, closed}) => [level, closed])).toEqual([0, 1, 2].map((level) => [level, true]));
  for (const line of lines) {
    const r = [0.2, 0.5, 0.9][line.level];
    // f'' = 2 in either direction: on an edge of 1/128 it is off by h²/4, in a cell by twice that; and by float32.
    for (const [a, b] of verticesOf(line)) expect(Math.abs(bowl(a, b) - r * r)).toBeLessThan(0.5 / 128 ** 2 + 1e-6);
    // Greater values lie on the left, seen with b up: a bowl's lines run clockwise.
    expect(areaOf(line)).toBeCloseTo(-2 * Math.PI * r * r, 2);
  }
});

test("an arc through a large cell is the hyperbola that is drawn there, not its chord", () => {
  const f = (/** @type {number} */ a, /** @type {number} */ b) => a * b;
  // One cell of the grid, enlarged to the whole square: beyond any level that is drawn so, and cut at no whole number.
  const quad = quadOf(f, {z: 0, x: 0, y: 0});
  quad.to.uv = [0.5 / LAST, 0.5 / LAST, 0.75 / LAST, 0.75 / LAST];
  const [line] = isolines([quad], [0.36 / LAST ** 2], {flat: 0.01});
  expect(line.points.length).toBeGreaterThan(8);
  for (const [x, y] of verticesOf(line)) {
    const [a, b] = [0.5 + 0.25 * x, 0.5 + 0.25 * y];
    expect(a * b).toBeCloseTo(0.36, 6);
  }
});

/** Wavy, with saddles, extrema and no symmetry. @param {number} a @param {number} b */
const wavy = (a, b) => Math.sin(3.1 * a + 0.7) * Math.cos(2.3 * b - a) + 0.3 * a * b;
const LEVELS = Array.from({length: 15}, (_, i) => (i - 7) / 6.9);

/** @param {Line[]} lines */
const lengthsOf = (lines) =>
  lines
    .map((line) => {
      const at = verticesOf(line);
      const length = at.slice(1).reduce((sum, [x, y], i) => sum + Math.hypot(x - at[i][0], y - at[i][1]), 0);
      return [line.level, line.closed ? 1 : 0, length];
    })
    .sort((s, t) => s[0] - t[0] || s[1] - t[1] || s[2] - t[2]);

/** @type {[string, (a: number, b: number) => [number, number]][]} */
const TURNS = [
  ["mirrored along a", (a, b) => [-a, b]],
  ["mirrored along b", (a, b) => [a, -b]],
  ["turned by a right angle", (a, b) => [b, -a]],
  ["turned by two", (a, b) => [-a, -b]],
  ["mirrored at the diagonal", (a, b) => [b, a]],
];

test.each(TURNS)("when the grid is %s, so are the lines", (_, turn) => {
  const plain = lengthsOf(isolines(four(wavy), LEVELS));
  const turned = lengthsOf(
    isolines(
      four((a, b) => wavy(...turn(a, b))),
      LEVELS,
    ),
  );
  expect(turned.length).toBe(plain.length);
  for (const [i, value] of turned.flat().entries()) expect(value).toBeCloseTo(plain.flat()[i], 4);
});

/** Lines that are not closed end at the border of [−1, 1]² or at a hole. @param {Line[]} lines @param {(a: number, b: number) => boolean} mayEnd */
const expectWhole = (lines, mayEnd) => {
  for (const line of lines) {
    const at = verticesOf(line);
    if (line.closed) expect(at.at(-1)).toEqual(at[0]);
    else for (const [a, b] of [at[0], at[at.length - 1]]) expect([a, b, mayEnd(a, b)]).toEqual([a, b, true]);
  }
};
const onEdge = (/** @type {number} */ a, /** @type {number} */ b) => Math.max(Math.abs(a), Math.abs(b)) > 1 - 1e-9;

test("every line is closed or ends at the border of what is drawn", () => {
  const lines = isolines(four(wavy), LEVELS);
  expect(lines.some(({closed}) => closed)).toBe(true);
  expectWhole(lines, onEdge);
});

test("where a corner is shared by tiles of two levels, lines run through without a gap", () => {
  // Three squares of level 0 and, in the fourth, four of level 1, each drawn from as many points, so twice as fine.
  const fine = [0, 1].flatMap((y) => [0, 1].map((x) => ({z: 1, x, y})));
  const addresses = [...FOUR.filter(({x, y}) => x < 0 || y < 0), ...fine];
  const squares = new Map(
    addresses.map((address) => {
      const to = {
        grid: gridOf(wavy, address),
        key: keyOf(address.z, address.x, address.y),
        offset: 0,
        density: 32 * 2 ** address.z,
      };
      const square = {address, to: {...to, uv: /** @type {Quad["to"]["uv"]} */ ([0, 0, 1, 1])}};
      return [to.key, square];
    }),
  );
  expect(stitch(squares, new Map()).size).toBeGreaterThan(0);
  const quads = [...squares.values()].map(({address, to}) => ({rect: rectOf(address), from: null, t: 1, to}));
  const lines = isolines(quads, LEVELS);
  expectWhole(lines, onEdge);
  // As many as through tiles of one level, none of them with a jump.
  expect(lines.length).toBe(isolines(four(wavy), LEVELS).length);
  for (const line of lines) {
    const at = verticesOf(line);
    const steps = at.slice(1).map(([x, y], i) => Math.hypot(x - at[i][0], y - at[i][1]));
    expect(Math.max(...steps)).toBeLessThan(1.5 / LAST);
  }
});

test("a part of a coarser tile meets the tile beside it", () => {
  const whole = {z: -1, x: 0, y: 0};
  const part = {...quadOf(wavy, {z: 0, x: 1, y: 0})};
  part.to = {grid: gridOf(wavy, whole), key: "", offset: 0, uv: [0.5, 0, 1, 0.5]};
  const beside = {...quadOf(wavy, {z: 0, x: 0, y: 0})};
  beside.to = {grid: gridOf(wavy, whole), key: "", offset: 0, uv: [0, 0, 0.5, 0.5]};
  expectWhole(isolines([part, beside], LEVELS), (a, b) => [0, 2].includes(a) || [0, 1].includes(Math.abs(b)));
});

test("a hole ends the lines that come to it", () => {
  const torn = (/** @type {number} */ a, /** @type {number} */ b) =>
    Math.hypot(a - 0.3, b - 0.1) < 0.2 ? Number.NaN : wavy(a, b);
  const atHole = (/** @type {number} */ a, /** @type {number} */ b) =>
    Math.abs(Math.hypot(a - 0.3, b - 0.1) - 0.2) < 2 / LAST;
  const lines = isolines(four(torn), LEVELS);
  expectWhole(lines, (a, b) => onEdge(a, b) || atHole(a, b));
  expect(lines.some(({points}) => atHole(points[0] / 100, -points[1] / 100))).toBe(true);
});

describe("a saddle in a cell", () => {
  // One cell: 1 at two opposite corners, 0 at one of the others and s at the last. Its saddle's value is 1 / (2 − s).
  const cell = (/** @type {number} */ s) => {
    const grid = new Float32Array(SIZE * SIZE).fill(Number.NaN);
    [grid[0], grid[1], grid[SIZE], grid[SIZE + 1]] = [1, 0, s, 1];
    return {
      ...quadOf(bowl, {z: 0, x: 0, y: 0}),
      to: {grid, key: "", offset: 0, uv: /** @type {Quad["to"]["uv"]} */ ([0, 0, 1, 1])},
    };
  };
  /** Whether the two greater corners are parted. @param {number} s @param {number} level */
  const parted = (s, level) => {
    const lines = isolines([cell(s)], [level]);
    expect(lines.length).toBe(2);
    // Greater values on the left, seen with b up: around a corner of greater values lines run so that it lies there.
    return lines.some((line) => {
      const [[x0, y0], [x1, y1]] = [verticesOf(line)[0], verticesOf(line).at(-1) ?? [0, 0]];
      return x1 === 0 && y0 === 0 && x0 > 0 && y1 > 0;
    });
  };
  test("parts the greater corners where its own value is below the level, joins them where it is not", () => {
    expect(parted(0, 0.55)).toBe(true);
    expect(parted(0, 0.45)).toBe(false);
    // The average of the corners would say otherwise here: it is 0.6, the saddle's value 0.625.
    expect(parted(0.4, 0.61)).toBe(false);
    expect(parted(0.4, 0.63)).toBe(true);
  });
});

test("values relative to an origin and grids with offsets give the same lines", () => {
  const [plain] = isolines([quadOf(bowl, {z: 0, x: 0, y: 0})], [0.25]);
  const quad = quadOf(bowl, {z: 0, x: 0, y: 0});
  quad.to.offset = 40;
  const [moved] = isolines([quad], [40.25]);
  expect(moved.points).toEqual(plain.points);
});

test("read at every fourth point, lines stay within a fraction of a cell", () => {
  const lines = isolines(four(wavy), LEVELS, {every: 4});
  expectWhole(lines, onEdge);
  const step = 1e-5;
  for (const line of lines)
    for (const [a, b] of verticesOf(line)) {
      const slope = Math.hypot(wavy(a + step, b) - wavy(a, b), wavy(a, b + step) - wavy(a, b)) / step;
      // A cell is four points wide; where it is flat, at its extrema and saddles, nothing says where a line is.
      if (slope > 0.3) expect(Math.abs(wavy(a, b) - LEVELS[line.level]) / slope).toBeLessThan(0.15 * (4 / LAST));
    }
});

test("cells outside of what is seen are left out", () => {
  const lines = isolines(four(bowl), [0.81], {within: [-100, -10, 100, 10]});
  expect(lines.length).toBe(2);
  for (const {points, closed} of lines) {
    expect(closed).toBe(false);
    for (let i = 1; i < points.length; i += 2) expect(Math.abs(points[i])).toBeLessThan(10 + 100 / LAST);
  }
});

test("each point says how steep it is there", () => {
  const [{points, slopes}] = isolines(four(bowl), [0.25]);
  expect(slopes.length).toBe(points.length / 2);
  // |∇f| = 2r = 1 in the plane, a hundredth of that per pixel.
  for (const slope of slopes) expect(slope).toBeCloseTo(0.01, 3);
});
