import {expect, test} from "vitest";
import {bulkOf, domainOf, powerOfTen, scaleOf, valueTicks} from "./scale.js";

/** A Gaussian bulk of width 0.1 and a little weight far out. */
const grid = Array.from({length: 2001}, (_, i) => -1 + i * 0.01);
const values = grid.map((x) => Math.exp(-0.5 * (x / 0.1) ** 2) + 1e-4 * Math.exp(-0.5 * ((x - 15) / 0.05) ** 2));

test("the bulk is all but two in a hundred on either side", () => {
  const [from, to] = bulkOf(grid, values);
  // The quantiles of a normal distribution: ± 2.05 standard deviations, to a step of the grid.
  expect(from).toBeCloseTo(-0.205, 1);
  expect(to).toBeCloseTo(0.205, 1);
});

test("a bulk of no width is a place", () => {
  expect(bulkOf([0, 1, 2], [0, 1, 0])).toEqual([0, 2]);
});

test("an axis stays straight while the bulk is seen on it, and bends where it is not", () => {
  expect(domainOf(-1, 2, [-0.5, 0.5]).bend).toBeNull();
  const bent = domainOf(-1, 100, [-0.2, 0.2]);
  expect(bent.bend).toBe(0.25);
  const x = scaleOf(bent, 0, 300);
  // The bulk, a 250th of the range, gets more than a tenth of the axis.
  expect(x(0.2) - x(-0.2)).toBeGreaterThan(30);
  expect(x(100)).toBeLessThan(300);
  expect(x(-1)).toBeGreaterThan(0);
});

test.each([null, 0.25])("an axis runs from end to end without a turn, bent at %s", (bend) => {
  const x = scaleOf({lo: -3, hi: 50, bend}, 40, 200);
  expect(x(-3)).toBeCloseTo(40);
  expect(x(50)).toBeCloseTo(240);
  const along = Array.from({length: 100}, (_, i) => x(-3 + 0.53 * i));
  expect(along.every((at, i) => i === 0 || at > along[i - 1])).toBe(true);
});

test("an axis that is wide enough stays where it is while a run goes on", () => {
  const first = domainOf(-1, 10, [-1, 5]);
  expect(domainOf(-0.9, 9.5, [-1, 5], first)).toBe(first);
  expect(domainOf(-0.9, 12, [-1, 5], first)).not.toBe(first);
  expect(domainOf(-0.1, 2, [-0.1, 1], first)).not.toBe(first);
});

test.each([
  [{lo: -1, hi: 10, bend: null}],
  [{lo: -0.5, hi: 4000, bend: 0.01}],
  [{lo: -30, hi: 30, bend: 0.5}],
  [{lo: 1e-9, hi: 2e-9, bend: null}],
])("the numbers of %j rise, have room and lie on the axis", (domain) => {
  const ticks = valueTicks(domain, 40, 250);
  expect(ticks.length).toBeGreaterThan(1);
  for (const [i, {at, text}] of ticks.entries()) {
    expect(at).toBeGreaterThanOrEqual(39.9);
    expect(at).toBeLessThanOrEqual(290.1);
    expect(text).not.toBe("");
    if (i > 0) expect(at - ticks[i - 1].at).toBeGreaterThan(20);
  }
});

test("a bent axis names 0 and what is furthest out", () => {
  const texts = valueTicks({lo: -0.5, hi: 4000, bend: 0.01}, 40, 250).map(({text}) => text);
  expect(texts).toContain("0");
  expect(texts).toContain("1000");
});

test("a power of ten is written as one", () => {
  expect([powerOfTen(0), powerOfTen(-12), powerOfTen(3)]).toEqual(["10⁰", "10⁻¹²", "10³"]);
});
