import {describe, expect, it} from "vitest";
import {Viewport} from "../viewport.js";
import {between, containing, DURATION, eased, samePlace} from "./glide.js";

const view = new Viewport([0.25, -0.5], 2, 800, 500);

describe("a glide", () => {
  it("does most of its way at first, never turns back, and ends exactly", () => {
    const shares = Array.from({length: 19}, (_, i) => eased((DURATION * i) / 18));
    expect([shares[0], shares[18], eased(-5), eased(1e9)]).toEqual([0, 1, 0, 1]);
    const steps = shares.slice(1).map((share, i) => share - shares[i]);
    expect(Math.min(...steps)).toBeGreaterThan(0);
    expect(steps).toEqual([...steps].sort((a, b) => b - a));
    expect(eased(DURATION / 3)).toBeGreaterThan(0.5);
  });

  it("keeps the point under the pointer, at every share of the way", () => {
    for (const at of /** @type {[number, number][]} */ ([
      [0, 0],
      [700, 33],
      [400, 250],
    ]))
      for (const factor of [Math.SQRT2, 0.5, 64]) {
        const end = view.zoomAt(factor, at);
        const point = view.toPlane(at);
        for (const share of [0.1, 0.5, 0.93]) {
          const [x, y] = between(view, end, share).toPixels(point);
          expect(x).toBeCloseTo(at[0], 8);
          expect(y).toBeCloseTo(at[1], 8);
        }
      }
  });

  it("still keeps it when it is given a new end on the way", () => {
    /** @type {[number, number]} */
    const at = [120, 400];
    const end = view.zoomAt(Math.SQRT2, at);
    const halfway = between(view, end, 0.4);
    const further = between(halfway, end.zoomAt(Math.SQRT2, at), 0.6);
    const [x, y] = further.toPixels(view.toPlane(at));
    expect([x, y].map(Math.round)).toEqual(at);
    expect(further.span).toBeLessThan(halfway.span);
  });

  it("ends at the very view that a step would have given", () => {
    const end = view.zoomAt(Math.SQRT2, [3, 5]).zoomAt(Math.SQRT2, [3, 5]);
    expect(between(view, end, 1)).toBe(end);
    expect(between(view, end, eased(DURATION))).toBe(end);
  });

  it("moves evenly where nothing is zoomed", () => {
    const end = view.at([1.25, 0.5], 2);
    expect(between(view, end, 0.25).center).toEqual([0.5, -0.25]);
    expect(between(view, end, 0.25).span).toBe(2);
  });

  it("has its digits a millionth of home deep", () => {
    const deep = view.at([0.1234567, 0.7654321], 1e-9);
    const end = deep.zoomAt(2, [100, 100]);
    const [x, y] = between(deep, end, 0.5).toPixels(deep.toPlane([100, 100]));
    // A double of size 1 has steps of 2e-16: 1e-9 across 800 pixels, they are 2e-4 pixels.
    expect(Math.hypot(x - 100, y - 100)).toBeLessThan(0.01);
  });
});

it("the view that contains a rectangle holds all of it on one scale, and no more than it must", () => {
  for (const rect of [
    [0, 1, 0, 0.1],
    [0, 0.1, -3, 1],
    [-2, 2, -1, 1],
  ]) {
    const [a0, a1, b0, b1] = containing(view, rect).rect;
    expect(a0).toBeLessThanOrEqual(rect[0] + 1e-12);
    expect(a1).toBeGreaterThanOrEqual(rect[1] - 1e-12);
    expect(b0).toBeLessThanOrEqual(rect[2] + 1e-12);
    expect(b1).toBeGreaterThanOrEqual(rect[3] - 1e-12);
    expect(Math.min(a1 - a0 - (rect[1] - rect[0]), b1 - b0 - (rect[3] - rect[2]))).toBeCloseTo(0, 12);
  }
});

it("a place is the same on an area of another size", () => {
  expect(samePlace(view, view.resized(300, 300))).toBe(true);
  expect(samePlace(view, view.panBy(1, 0))).toBe(false);
  expect(samePlace(null, view)).toBe(false);
});
