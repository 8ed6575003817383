import {expect, test} from "vitest";
import {glyphOf, pathOf, SHARE} from "./glyph.js";

const ACROSS = [
  [1, 0],
  [0, 1],
];

/** @param {readonly number[]} point */
const length = ([a, b]) => Math.hypot(a, b);

test("a bowl has an ellipse, long where it is flat, as its level sets are", () => {
  const glyph = /** @type {import("./glyph.js").Glyph} */ (glyphOf([4, 1], ACROSS, 2));
  expect(glyph.falling).toEqual([]);
  const [first, second, ellipse] = glyph.rising;
  // ½ (4 a² + b²) is one number all along: the axes are as 1 to 2.
  expect(length(second[1])).toBeCloseTo(2 * SHARE);
  expect(length(first[1])).toBeCloseTo(SHARE);
  for (const [a, b] of ellipse) expect(4 * a * a + b * b).toBeCloseTo((2 * SHARE) ** 2);
});

test("a bowl upside down is dashed", () => {
  const glyph = glyphOf([-1, -4], ACROSS, 2);
  expect(glyph?.rising).toEqual([]);
  expect(glyph?.falling).toHaveLength(3);
});

test("a saddle has the arms of both its hyperbolas", () => {
  const glyph = /** @type {import("./glyph.js").Glyph} */ (glyphOf([1, -1], ACROSS, 2));
  const level = ([a, b] = [0, 0]) => a * a - b * b;
  for (const [lines, sign] of /** @type {const} */ ([
    [glyph.rising, 1],
    [glyph.falling, -1],
  ])) {
    expect(lines).toHaveLength(3);
    for (const line of lines.slice(1)) {
      const values = line.map(level);
      expect(sign * values[0]).toBeGreaterThan(0);
      for (const value of values) expect(value).toBeCloseTo(values[0]);
    }
  }
});

test("a flat direction is long and not endless, and nothing is drawn of what is not known", () => {
  const glyph = /** @type {import("./glyph.js").Glyph} */ (glyphOf([1, 0], ACROSS, 1));
  expect(length(glyph.rising[1][1])).toBeCloseTo(SHARE);
  expect(length(glyph.rising[0][1])).toBeCloseTo(SHARE / 10);
  expect(glyphOf([null, null], ACROSS, 1)).toBeNull();
  expect(glyphOf([1], [[1]], 1)).toBeNull();
});

test("axes that are not at right angles are drawn as they are", () => {
  const skewed = [
    [1, 0.5],
    [0, 1],
  ];
  const glyph = /** @type {import("./glyph.js").Glyph} */ (glyphOf([1, 1], skewed, 1));
  const [a, b] = glyph.rising[0][1];
  expect(b / a).toBeCloseTo(0.5);
});

test("lines become a path in pixels", () => {
  const lines = /** @type {[number, number][][]} */ ([
    [
      [0, 0],
      [1, 2],
    ],
  ]);
  expect(pathOf(lines, ([a, b]) => [10 * a, -10 * b])).toBe("M0.0 0.0L10.0 -20.0");
  expect(pathOf([], (point) => point)).toBe("");
});
