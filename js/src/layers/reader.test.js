import {expect, test} from "vitest";
import {HOME, readerOf} from "./ground.js";

const plane = (/** @type {number} */ a, /** @type {number} */ b) => 2 * a - 3 * b + 1;

test("what is linear is read as it is, everywhere and across squares of two levels", () => {
  const finer = [0, 1].flatMap((y) => [0, 1].map((x) => ({z: 1, x, y})));
  const reader = readerOf(plane, [...HOME.slice(0, 3), ...finer], {offset: 0.5});
  for (const [a, b] of [
    [-0.7, 0.3],
    [0.2, 0.1],
    [0.5, 0.5],
    [-1, -1],
    [0.99, 0.99],
    [0, -0.25],
  ])
    expect(reader.at(a, b)).toBeCloseTo(plane(a, b), 5);
  expect(reader.at(1.5, 0)).toBeNull();
  expect(reader.slope(0.5, 0.25)?.map((x) => x.toFixed(3))).toEqual(["2.000", "-3.000"]);
});

test("the slope of a quadratic is its derivative, between the points of the fill too", () => {
  const reader = readerOf((a, b) => 3 * a * a + a * b - 2 * b * b, HOME);
  for (const [a, b] of [
    [0.3001, -0.2003],
    [-0.511, 0.77],
    [0.0004, 0.0003],
  ]) {
    const [da, db] = reader.slope(a, b) ?? [Number.NaN, Number.NaN];
    // Values of size 3 in float32, over a step of 1 / 128.
    expect(Math.abs(da - (6 * a + b))).toBeLessThan(1e-4);
    expect(Math.abs(db - (a - 4 * b))).toBeLessThan(1e-4);
  }
});

test("there is no slope where a value is not finite", () => {
  const reader = readerOf((a) => (a > 0.5 ? Number.NaN : a), HOME);
  expect(reader.at(0.6, 0)).toBeNaN();
  expect(reader.slope(0.499, 0.1)).toBeNull();
  expect(reader.slope(0.3, 0.1)).not.toBeNull();
});

test("what a value may be off by is its tile's, on the scale", () => {
  const data = {error: 0.1, error_of_log: 0.02};
  expect(readerOf(plane, HOME, {data}).errorAt(0.1, 0.1)).toBe(0.1);
  expect(readerOf(plane, HOME, {data, scale: "log"}).errorAt(0.1, 0.1)).toBe(0.02);
  expect(readerOf(plane, HOME).errorAt(0.1, 0.1)).toBe(0);
});
