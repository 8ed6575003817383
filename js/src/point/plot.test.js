import {expect, test} from "vitest";
import {decadesOf, extentOf} from "./plot.js";

/** @typedef {import("./wire.js").Finding} Finding */

/** @param {Partial<Finding>} [more] @returns {Finding} */
const finding = (more) =>
  /** @type {any} */ ({
    size: 1000,
    spectrum: {eigenvalues: [5, 4, -1], residuals: [0, 0, 0], converged: [true, true, true], width: 0.1},
    density: {
      grid: Float32Array.of(-2, -1, 0, 1, 2),
      values: Float32Array.of(0, 1e-6, 3, 0.01, 0),
      lower: new Float32Array(5),
      upper: new Float32Array(5),
    },
    stability: null,
    ...more,
  });

test("the axis of densities goes from less than one eigenvalue to above the peak", () => {
  const [low, high] = decadesOf(finding());
  // One eigenvalue of 1000, as wide as 0.1, peaks at 0.004.
  expect(10 ** low).toBeLessThan(0.004 / 20);
  expect(10 ** high).toBeGreaterThan(3);
});

test("what is seen holds the density where it counts, the eigenvalues, and 0", () => {
  expect(extentOf(finding(), 1e-4)).toEqual([-1, 5]);
  expect(extentOf(finding({spectrum: null, density: null}), 1e-4)).toEqual([-1, 1]);
});

test("a line of stability is seen when it is near, and told of when it is not", () => {
  const stability = {label: "2 / lr", reason: "", limit: 8};
  expect(extentOf(finding({stability}), 1e-4)).toEqual([-1, 8]);
  expect(extentOf(finding({stability: {...stability, limit: 800}}), 1e-4)).toEqual([-1, 5]);
  expect(extentOf(finding({stability: {...stability, limit: null}}), 1e-4)).toEqual([-1, 5]);
});
