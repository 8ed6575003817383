import {expect, it} from "vitest";
import {Viewport} from "../viewport.js";
import {pinched} from "./touch.js";

/** @typedef {[number, number]} Point */
const view = new Viewport([0.3, -0.2], 2, 400, 300);

it("two fingers keep the two points of the plane that they hold, as far as one scale allows", () => {
  /** @type {[Point, Point]} */
  const before = [
    [100, 100],
    [200, 150],
  ];
  /** @type {[Point, Point]} */
  const now = [
    [80, 140],
    [280, 240],
  ]; // twice as far apart, in the same direction
  const end = pinched(view, before, now);
  expect(end.span).toBeCloseTo(1, 12);
  before.forEach((finger, i) => {
    const [x, y] = end.toPixels(view.toPlane(finger));
    expect(x).toBeCloseTo(now[i][0], 9);
    expect(y).toBeCloseTo(now[i][1], 9);
  });
});

it("two fingers that move side by side pan", () => {
  const end = pinched(
    view,
    [
      [10, 10],
      [50, 90],
    ],
    [
      [30, 5],
      [70, 85],
    ],
  );
  expect(end.span).toBeCloseTo(2, 12);
  expect(end.center[0]).toBeCloseTo(0.3 - 20 / 200, 12);
  expect(end.center[1]).toBeCloseTo(-0.2 - 5 / 200, 12);
});

it("two fingers in one place do not zoom without end", () => {
  const end = pinched(
    view,
    [
      [10, 10],
      [10, 10],
    ],
    [
      [10, 10],
      [10, 10],
    ],
  );
  expect(end.span).toBe(2);
  expect(
    pinched(
      view,
      [
        [10, 10],
        [10, 10],
      ],
      [
        [0, 10],
        [30, 10],
      ],
    ).span,
  ).toBeGreaterThan(0.06);
});
