// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {spread} from "./marks.js";

/** @typedef {[number, number]} Point */
const label = (/** @type {number} */ x, /** @type {number} */ y, width = 100, kept = false) => ({
  at: /** @type {Point} */ ([x, y]),
  width,
  kept,
});

test("a label stands right below its place, at the right rim left of it", () => {
  expect(spread([label(100, 100)], 400, [])).toEqual([[9, 6]]);
  expect(spread([label(350, 100)], 400, [])).toEqual([[-109, 6]]);
});

test("labels cover neither each other nor a place, and the last ones wait", () => {
  const places = [label(100, 100), label(104, 102), label(102, 98), label(101, 103), label(103, 101)];
  /** @type {number[][]} */
  const taken = [];
  const corners = spread(places, 400, taken);
  expect(corners.filter((corner) => corner === null).length).toBeGreaterThan(0);
  const boxes = taken.slice(places.length);
  for (const [i, p] of boxes.entries())
    for (const q of boxes.slice(i + 1)) expect(p[2] < q[0] || p[0] > q[2] || p[3] < q[1] || p[1] > q[3]).toBe(true);
  expect(spread([label(100, 100), label(110, 106, 100, true)], 400, [[0, 0, 400, 400]])).toEqual([null, [9, 6]]);
});

test("a mark without words has no label", () => {
  expect(spread([label(10, 10, 0)], 400, [])).toEqual([null]);
});
