import {expect, test} from "vitest";
import {Viewport} from "../viewport.js";
import {arrowsOf, pathOf} from "./arrows.js";
import {HOME, readerOf} from "./ground.js";

/** A quadratic with a turned, stretched bowl: its gradient is (5a + b, a + 2b). @param {number} a @param {number} b */
const bowl = (a, b) => 2.5 * a * a + a * b + b * b + 0.1;
const view = new Viewport([0, 0], 2, 800, 800);

test("arrows point down the gradient of a quadratic", () => {
  const arrows = arrowsOf(view, readerOf(bowl, HOME));
  expect(arrows.length).toBeGreaterThan(80);
  for (const {at, by} of arrows) {
    const [da, db] = [5 * at[0] + at[1], at[0] + 2 * at[1]];
    const size = Math.hypot(da, db);
    const length = Math.hypot(...by);
    expect(by[0] / length).toBeCloseTo(-da / size, 3);
    expect(by[1] / length).toBeCloseTo(db / size, 3);
  }
});

test("on the log scale they point the same way", () => {
  const plain = arrowsOf(view, readerOf(bowl, HOME));
  const logs = new Map(
    arrowsOf(
      view,
      readerOf((a, b) => Math.log(bowl(a, b)), HOME, {scale: "log"}),
    ).map(({at, by}) => [at.join(), by]),
  );
  for (const {at, by} of plain) {
    const other = logs.get(at.join());
    if (!other) continue;
    const cosine = (by[0] * other[0] + by[1] * other[1]) / Math.hypot(...by) / Math.hypot(...other);
    // The fill is bilinear between its points, and the logarithm is bent.
    expect(cosine).toBeGreaterThan(0.995);
  }
});

test("longer means steeper, and no arrow reaches the next", () => {
  const arrows = arrowsOf(view, readerOf(bowl, HOME));
  const steep = ({at: [a, b]} = arrows[0]) => Math.hypot(5 * a + b, a + 2 * b);
  const sorted = [...arrows].sort((p, q) => steep(p) - steep(q)).map(({by}) => Math.hypot(...by));
  sorted.slice(1).forEach((length, i) => {
    expect(length).toBeGreaterThan(sorted[i] - 0.05);
  });
  expect(sorted.at(-1)).toBeLessThan(50);
});

test("they stand on the plane: a pan moves them, a zoom keeps or halves their lattice", () => {
  const reader = readerOf(bowl, HOME);
  const places = (/** @type {Viewport} */ of) => new Set(arrowsOf(of, reader).map(({at}) => at.join()));
  const before = places(view.zoomAt(2));
  const after = places(view.zoomAt(2).panBy(13, -7));
  const shared = [...after].filter((at) => before.has(at));
  expect(shared.length).toBeGreaterThan(0.85 * before.size);
  const side = (/** @type {Viewport} */ of) => {
    const at = arrowsOf(of, reader).map(({at: [a]}) => a);
    return Math.min(...at.flatMap((a) => at.map((other) => Math.abs(a - other))).filter((distance) => distance > 0));
  };
  for (const factor of [1, 1.3, 1.9, 2, 3]) {
    const of = view.zoomAt(factor);
    expect(Number.isInteger(Math.log2(side(of)))).toBe(true);
    expect(side(of) * of.scale).toBeGreaterThanOrEqual(42);
    expect(side(of) * of.scale).toBeLessThan(84);
  }
});

test("there is none in a hole, and none where nothing rises", () => {
  const holed = arrowsOf(
    view,
    readerOf((a, b) => (Math.hypot(a, b) < 0.5 ? Number.NaN : a), HOME),
  );
  expect(holed.every(({at}) => Math.hypot(...at) > 0.5)).toBe(true);
  expect(
    arrowsOf(
      view,
      readerOf(() => 3, HOME),
    ),
  ).toEqual([]);
  expect(pathOf([], view)).toBe("");
});
