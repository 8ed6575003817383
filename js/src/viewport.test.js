import {describe, expect, test} from "vitest";
import {Viewport} from "./viewport.js";

/** A small generator, so that a failure can be repeated. @param {number} seed */
function draws(seed) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

const view = new Viewport([0.25, -0.5], 2, 800, 500);

test("pixels and plane are inverse to each other, b upwards", () => {
  expect(view.toPixels([0.25, -0.5])).toEqual([400, 250]);
  expect(view.toPixels([0.25, 0])[1]).toBeLessThan(250);
  const [a, b] = view.toPlane(view.toPixels([0.1, 0.7]));
  expect(a).toBeCloseTo(0.1, 14);
  expect(b).toBeCloseTo(0.7, 14);
});

test("zooming keeps the point under the pointer", () => {
  const next = draws(1);
  let current = view;
  for (let i = 0; i < 200; i++) {
    const pixels = /** @type {[number, number]} */ ([next() * 800, next() * 500]);
    const before = current.toPlane(pixels);
    current = current.zoomAt(2 ** (4 * next() - 2), pixels);
    const [x, y] = current.toPixels(before);
    expect(Math.hypot(x - pixels[0], y - pixels[1])).toBeLessThan(1e-6);
  }
});

test("zooming in and out again is where we were", () => {
  const again = view.zoomAt(2, [10, 20]).zoomAt(0.5, [10, 20]);
  expect(again.span).toBe(view.span);
  expect(again.center[0]).toBeCloseTo(view.center[0], 14);
});

test("panning moves the picture with the hand", () => {
  const [x, y] = view.panBy(30, -12).toPixels([0.25, -0.5]);
  expect([x, y]).toEqual([430, 238]);
  expect(view.center).toEqual([0.25, -0.5]);
});

test("the home extent is seen whole, in wide and in high frames", () => {
  for (const [width, height] of [
    [800, 400],
    [300, 900],
  ]) {
    const fitted = Viewport.fit([-1, 1, -0.5, 2], width, height);
    const [a0, a1, b0, b1] = fitted.rect;
    expect(a0).toBeLessThanOrEqual(-1);
    expect(a1).toBeGreaterThanOrEqual(1);
    expect(b0).toBeLessThanOrEqual(-0.5 + 1e-12);
    expect(b1).toBeGreaterThanOrEqual(2 - 1e-12);
  }
});

describe("the drawn level", () => {
  /** @param {number} z @param {Viewport} of @param {number} ratio */
  const cell = (z, of, ratio) => (of.scale * ratio * 2 ** -z) / 32;

  test("has cells of 6 to 10 pixels, give or take the hysteresis", () => {
    const next = draws(2);
    /** @type {number | null} */
    let level = null;
    let current = view;
    for (let i = 0; i < 500; i++) {
      current = current.zoomAt(2 ** (next() - 0.5));
      level = current.level(1, level);
      const size = cell(level, current, 1);
      expect(size).toBeGreaterThanOrEqual(6 / 2 ** 0.3 - 1e-9);
      expect(size).toBeLessThanOrEqual(10 * 2 ** 0.3 + 1e-9);
    }
  });

  test("does not flicker when the view trembles around a boundary", () => {
    let level = view.level(1, null);
    let changes = 0;
    let boundary = view;
    while (boundary.level(1, null) === level) boundary = boundary.zoomAt(1.01);
    for (let i = 0; i < 100; i++) {
      const next = boundary.zoomAt(i % 2 ? 1.1 : 1 / 1.1).level(1, level);
      if (next !== level) changes++;
      level = next;
    }
    expect(changes).toBeLessThanOrEqual(1);
  });

  test("stays in a gesture until it is more than one level out", () => {
    const level = view.level(1, null);
    const nearly = view.zoomAt(2.1);
    expect(nearly.level(1, level)).toBe(level + 1);
    expect(nearly.level(1, level, true)).toBe(level);
    expect(view.zoomAt(8).level(1, level, true)).toBeGreaterThan(level);
  });

  test("counts device pixels, up to two per CSS pixel", () => {
    expect(view.level(2, null)).toBe(view.level(1, null) + 1);
    expect(view.level(3, null)).toBe(view.level(2, null));
  });
});

test("the span stays where tiles can be asked for", () => {
  expect(view.zoomAt(1e30).within([-20, 16], 1).level(1, null)).toBeLessThanOrEqual(17);
  expect(view.zoomAt(1e-30).within([-20, 16], 1).level(1, null)).toBeGreaterThanOrEqual(-20);
});

test("a deep view keeps its digits", () => {
  const deep = new Viewport([0.123456789, 0.5], 1e-9, 800, 500);
  const [a] = deep.toPlane([401, 250]);
  expect((a - deep.center[0]) / (1e-9 / 800)).toBeCloseTo(1, 4);
});
