// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {SIZE} from "../spline.js";
import {curveOf, partsOf} from "./curve.js";

test("a curve is cut where it has no number, and is nothing where nothing is known", () => {
  const at = (/** @type {number} */ x, y = 1) => ({x, y});
  expect(partsOf([at(0), at(1), at(2, Number.NaN), at(3), at(4), null, at(6), at(7)])).toEqual({
    runs: [
      [at(0), at(1)],
      [at(3), at(4)],
      [at(6), at(7)],
    ],
    holes: [
      [1, 2],
      [2, 3],
    ],
  });
  expect(partsOf([])).toEqual({runs: [], holes: []});
});

test("its points lie where their values are, under its levels and marks", () => {
  const grid = new Float32Array(SIZE * SIZE).map((_, i) => (i % SIZE) / (SIZE - 1));
  const source = {grid, key: "k", offset: 1, uv: [0, 0, 1, 1], density: 32, nodes: 33, centres: null};
  const frame = {
    width: 320,
    height: 100,
    pixelRatio: 1,
    quads: [{rect: [0, 0, 320, 320], from: null, to: source, t: 1}],
    domain: [0, 2],
    levels: [
      {value: 1, major: true, opacity: 1},
      {value: 0.5, major: false, opacity: 0},
    ],
    hatch: [90, 90, 90],
    paper: [255, 255, 255],
    ink: [20, 60, 200],
    marks: [{name: "<θ>", x: 160}],
    desaturate: 0,
  };
  const group = curveOf(/** @type {any} */ (frame));
  const curve = group.querySelector("[data-curve]")?.getAttribute("d") ?? "";
  expect(curve.startsWith("M0 50L")).toBe(true);
  expect(curve.endsWith("320 0")).toBe(true);
  expect(group.querySelectorAll('path[d="M0 50H320"]').length).toBe(1);
  expect(group.querySelector("text")?.textContent).toBe("<θ>");
  expect(group.querySelector("text")?.getAttribute("x")).toBe("165");
});
