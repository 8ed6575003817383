import {expect, test} from "vitest";
import {SIZE} from "../spline.js";
import {pointsOf, spanOf} from "./curve.js";

const LAST = SIZE - 1;
/** A tile of a line as it is drawn, of a function of a. @param {(a: number) => number} f @param {{z: number, x: number}} address */
function tileOf(f, {z, x}) {
  const grid = new Float32Array(SIZE * SIZE);
  for (let k = 0; k < grid.length; k++) grid[k] = f((x + (k % SIZE) / LAST) / 2 ** z);
  return {
    grid,
    key: `${z}/${x}`,
    offset: 0,
    uv: /** @type {[number, number, number, number]} */ ([0, 0, 1, 1]),
    density: 32,
  };
}
/** @param {(a: number) => number} f @param {{z: number, x: number}} at */
const square = (f, at) => ({address: {...at, y: 0}, to: tileOf(f, at), from: null, since: 0});
/** Tiles x of level 0 on a picture in which a unit of a is 100 pixels. @param {(a: number) => number} f @param {number[]} xs */
const quads = (f, ...xs) =>
  xs.map((x) => {
    const rect = /** @type {[number, number, number, number]} */ ([100 * x, 0, 100 * x + 100, 9]);
    return {rect, from: null, to: tileOf(f, {z: 0, x}), t: 1};
  });
const parabola = (/** @type {number} */ a) => a * a;

test("the axis of values spans what is in sight, and some room", () => {
  const squares = [square(parabola, {z: 0, x: -1}), square(parabola, {z: 0, x: 0})];
  expect(spanOf(squares, [-1, 1])).toEqual([-0.06, 1.06]);
  const [lo, hi] = /** @type {[number, number]} */ (spanOf(squares, [0.5, 0.75]));
  expect(lo).toBeCloseTo(0.25 - 0.06 * 0.3125, 6);
  expect(hi).toBeCloseTo(0.5625 + 0.06 * 0.3125, 6);
});

test("a flat line has an axis, and nothing has none", () => {
  expect(spanOf([square(() => 4, {z: 0, x: 0})], [0, 1])).toEqual([3.8, 4.2]);
  expect(spanOf([square(() => 0, {z: 0, x: 0})], [0, 1])).toEqual([-1, 1]);
  expect(spanOf([square(() => Number.NaN, {z: 0, x: 0})], [0, 1])).toBeNull();
  expect(spanOf([], [0, 1])).toBeNull();
});

test("the curve runs through the function's points, the highest value at the top", () => {
  const points = pointsOf({quads: quads(parabola, 0, -1), domain: [0, 1], height: 200});
  expect(points[0]).toBeNull(); // the pen is set down once: the two tiles meet
  expect(points.slice(1)).not.toContain(null);
  expect(points[1]).toEqual({x: -100, y: 0});
  expect(points).toHaveLength(1 + 2 * SIZE);
  for (const point of points.slice(1)) {
    const {x, y} = /** @type {{x: number, y: number}} */ (point);
    expect(y).toBeCloseTo(200 * (1 - (x / 100) ** 2), 4);
  }
});

test("the pen is lifted over what is not there, and there is no row for what is no number", () => {
  const points = pointsOf({quads: quads(parabola, 0, 3), domain: [0, 1], height: 200});
  expect(points.filter((point) => point === null)).toHaveLength(2);
  const holed = pointsOf({quads: quads((a) => (a > 0.5 ? Number.NaN : a), 0), domain: [0, 1], height: 200});
  expect(holed.filter((point) => Number.isNaN(point?.y))).toHaveLength(LAST / 2);
});

test("on its way to a new pass the curve is in between", () => {
  const [quad] = quads(() => 1, 0);
  const blended = {...quad, from: tileOf(() => 0, {z: 0, x: 0}), t: 0.25};
  expect(pointsOf({quads: [blended], domain: [0, 1], height: 100})[1]?.y).toBe(75);
});
