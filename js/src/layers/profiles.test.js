// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {HOME, readerOf} from "./ground.js";
import {profileOf, runs, ticksOf} from "./profiles.js";

test("a profile of a quadratic is its parabola, with both ends", () => {
  const reader = readerOf((a, b) => a * a + 2 * b, HOME, {data: {error: 0.25}});
  const {values, errors} = profileOf(reader, [-0.9, 0.5], [0.9, 0.5], 181);
  expect(values.length).toBe(181);
  values.forEach((value, i) => {
    const a = -0.9 + 0.01 * i;
    // The bilinear fill lies above a parabola by at most a quarter of a squared step.
    expect(Math.abs(value - (a * a + 1))).toBeLessThan(1 / 4 / 128 ** 2 + 1e-6);
  });
  expect([...new Set(errors)]).toEqual([0.25]);
});

test("what is not finite, or not there, is left out", () => {
  const reader = readerOf((a) => (Math.abs(a) < 0.25 ? Number.POSITIVE_INFINITY : a), HOME);
  const {values} = profileOf(reader, [-1.5, 0], [0.99, 0], 250);
  expect(runs(values).length).toBe(2);
  expect(runs(Float64Array.of(1, Number.NaN, 2, 3))).toEqual([
    [0, 1],
    [2, 4],
  ]);
  expect(runs(Float64Array.of(Number.NaN))).toEqual([]);
});

test("a value axis has two or three numbers, majors first, that do not touch", () => {
  const levels = Array.from({length: 21}, (_, i) => ({value: i, major: i % 5 === 0}));
  const place = (/** @type {number} */ value) => value / 20;
  const texts = (/** @type {number} */ apart) => ticksOf(levels, place, apart).map(({text}) => text);
  expect(texts(0.2)).toEqual(["0", "20", "5"]);
  expect(texts(0.6)).toEqual(["0", "20"]);
  expect(ticksOf(levels.slice(1, 4), place, 0.05).map(({text}) => text)).toEqual(["1", "3"]);
  expect(ticksOf([], place, 0.1)).toEqual([]);
});
