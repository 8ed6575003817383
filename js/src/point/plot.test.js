// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {decadesOf, extentOf, Plot} from "./plot.js";

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

/** @param {Finding} one @param {Finding[]} [others] */
function drawn(one, others = []) {
  const plot = new Plot();
  const thin = others.map((other) => ({finding: other, colour: "green"}));
  plot.draw(thin, {finding: one, colour: "blue"}, 300, false);
  return plot.element;
}

test("a spectrum is an area with its band and line, the former ones are lines alone", () => {
  const element = drawn(finding(), [finding({req: -1}), finding({req: -2})]);
  expect(element.querySelectorAll(".la-plot-line")).toHaveLength(3);
  expect(element.querySelectorAll(".la-plot-area")).toHaveLength(1);
  expect(element.querySelectorAll(".la-plot-band")).toHaveLength(1);
  expect(element.innerHTML).not.toMatch(/NaN|Infinity/);
});

test("an eigenvalue that has not converged is open, with its residual beside it", () => {
  const spectrum = {eigenvalues: [5, 4, -1], residuals: [1e-9, 0.5, 0], converged: [true, false, true], width: 0.1};
  const stems = [...drawn(finding({spectrum: /** @type {any} */ (spectrum)})).querySelectorAll(".la-stem")];
  expect(stems.map((stem) => stem.classList.contains("la-unsure"))).toEqual([false, true, false]);
  expect(stems.map((stem) => stem.querySelectorAll("path").length)).toEqual([1, 2, 1]);
  expect(stems[1].textContent).toBe("λ = 4.0 ± 0.5, not converged");
});

test("a line of stability stands where it is, or is pointed to", () => {
  const stability = {label: "2 / lr", reason: "words", limit: 8};
  const near = drawn(finding({stability}));
  expect(near.querySelector(".la-limit path")?.getAttribute("d")).toMatch(/^M\d/);
  expect(near.querySelector(".la-limit text")?.textContent).toBe("2 / lr");
  const far = drawn(finding({stability: {...stability, limit: 800}}));
  expect(far.querySelector(".la-limit path")).toBeNull();
  expect(far.querySelector(".la-limit text")?.textContent).toBe("2 / lr = 800 →");
  expect(drawn(finding({stability: {...stability, limit: null}})).querySelector(".la-limit")).toBeNull();
});

test("before anything is known there are axes, and no number that is none", () => {
  const stability = {label: "2 / lr", reason: "words", limit: 8};
  const element = drawn(finding({spectrum: null, density: null, stability}));
  expect(element.querySelector(".la-plot-axes")).not.toBeNull();
  expect(element.innerHTML).not.toMatch(/NaN|Infinity/);
});
