// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {doubtOf} from "./doubt.js";

const whole = {nodes: 33, q: 2, error: 0.001, error_of_log: 0.001, min: 1, max: 2, noise: false, sample: null};
const tile = (/** @type {object} */ more) => /** @type {any} */ ({...whole, ...more});
const levels = [0.5, 1, 1.5, 2, 2.5];

test("a tile whose every node is evaluated is in no doubt", () => {
  expect(doubtOf(tile({}), "linear", levels)).toBeNull();
  expect(doubtOf(tile({error: null, error_of_log: null}), "linear", levels)).toBeNull();
});

test("between nodes it is interpolated", () => {
  expect(doubtOf(tile({nodes: 17}), "linear", levels)).toBe("interpolated");
});

test("it is uncertain where it may be off by more than a contour step, or by nobody knows what", () => {
  expect(doubtOf(tile({nodes: 9, error: 0.49}), "linear", levels)).toBe("interpolated");
  expect(doubtOf(tile({nodes: 9, error: 0.51}), "linear", levels)).toBe("uncertain");
  expect(doubtOf(tile({nodes: 3, error: null}), "linear", levels)).toBe("uncertain");
  // Of the levels around its own values: far away they may be wider apart, or closer.
  expect(doubtOf(tile({nodes: 9, error: 0.51}), "linear", [0, 1, 2, 3, 3.1])).toBe("interpolated");
  expect(doubtOf(tile({nodes: 9, error: 0.51}), "linear", [])).toBe("interpolated");
});

test("a standard error counts as the stated one, on the scale", () => {
  const preview = (/** @type {number} */ se) =>
    tile({q: 0, error_of_log: 0, sample: {rests_on: "512", level: se / 2, shape: se / 2}});
  expect(doubtOf(preview(0.4), "linear", levels)).toBe("interpolated");
  expect(doubtOf(preview(0.6), "linear", levels)).toBe("uncertain");
  expect(doubtOf(preview(Number.POSITIVE_INFINITY), "linear", levels)).toBe("uncertain");
  // At 1 an error of 0.4 is as much of the logarithm, and log 1.5 − log 1 is 0.405.
  expect(doubtOf(preview(0.4), "log", [1, 1.5])).toBe("interpolated");
  expect(doubtOf(preview(0.42), "log", [1, 1.5])).toBe("uncertain");
});

test("on a symmetric logarithm an error counts as much as it is drawn", () => {
  const preview = (/** @type {number} */ se) =>
    tile({q: 0, error: 0, min: -1, max: 1, sample: {rests_on: "512", level: se, shape: 0}});
  // Within ±c it is linear, arsinh(v / 2c): from 0 to 1, where c is 1, are 0.48, and an error e at 0 is e / 2.
  expect(doubtOf(preview(0.95), "symlog:1", [0, 1])).toBe("interpolated");
  expect(doubtOf(preview(0.97), "symlog:1", [0, 1])).toBe("uncertain");
});

test("rounding alone is said where nothing worse is", () => {
  expect(doubtOf(tile({noise: true}), "linear", levels)).toBe("noise");
  expect(doubtOf(tile({noise: true, nodes: 5}), "linear", levels)).toBe("noise");
  expect(doubtOf(tile({noise: true, error: 3}), "linear", levels)).toBe("uncertain");
});
